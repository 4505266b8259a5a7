"""Pieces of pickles that need nothing from around them, found by following the
stack from the first opcode to the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from conformance.parser.opcodes import BY_CODE

from .spelling import read
from .stack import CODES, EFFECTS, GETS, MARK, PUTS, codes, split

#: In bytes; a sparse tensor needs them, which is made of two others.
LONGEST: Final = 600

_DUP: Final = CODES["DUP"]
_CALLS: Final = codes("REDUCE NEWOBJ NEWOBJ_EX OBJ")


class Piece(NamedTuple):
    """Opcodes that leave one value and need none, not even from the memo.

    `kind` is the same for pieces that differ only in their numbers and strings;
    `label` says in a word what a piece is for those of which it is a part.
    """

    code: bytes
    kind: str
    label: str


def pieces(pickle: bytes) -> Iterator[Piece]:
    """Every value that a pickle makes, innermost first, if it is short enough.

    What the pickle takes from its memo stands in the piece once more, as it was
    when it was remembered. Where the stack runs out, values are unknown.
    """
    stack: list[Piece | None] = []
    below: list[list[Piece | None]] = []
    memo: dict[int, Piece | None] = {}
    # The last is STOP, or a tail that is no opcode.
    for op in split(pickle)[:-1]:
        code = op[0]
        if code == MARK:
            below.append(stack)
            stack = []
        elif code in PUTS:
            memo[_index(op, len(memo))] = stack[-1] if stack else None
        elif code in GETS:
            stack.append(memo.get(_index(op, -1)))
        else:
            takes, gives, closes = EFFECTS[code]
            marked = None
            if closes:
                marked, stack = (stack, below.pop()) if below else ([None], [])
            stack[:0] = [None] * (takes - len(stack))
            height = len(stack) - takes
            taken = stack[height:]
            stack[height:] = [_made(op, taken, marked)] * gives
            if gives and stack[-1] is not None and code != _DUP:
                yield stack[-1]


def _index(op: bytes, end: int) -> int:
    told = read(op)
    return end if told is None else int(told[1])


def _made(
    op: bytes, taken: list[Piece | None], marked: list[Piece | None] | None
) -> Piece | None:
    """What an opcode makes of values below the mark and since the mark."""
    if op[0] == _DUP:
        return taken[0]
    parts = [*taken, *(marked or ())]
    if sum(LONGEST if part is None else len(part.code) for part in parts) > LONGEST:
        return None
    known = [part for part in parts if part is not None]
    written = [part.code for part in known]
    if marked is not None:
        written.insert(len(taken), b"(")
    code = b"".join((*written, op))
    if len(known) < len(parts) or len(code) > LONGEST:
        return None
    told = read(op)
    name = BY_CODE[op[0]].name
    if told is not None and told[0].kind in ("global", "class"):
        name = ".".join(told[1])
    if not known:
        return Piece(code, name, name)
    label = known[0].label if op[0] in _CALLS else name
    if op[0] in _CALLS and len(known) == 2:
        # The arguments, and not that they are in a tuple.
        kind = f"{name} {label} {known[1].kind}"
    else:
        # Ten floats are no other kind than two.
        kind = " ".join((name, *dict.fromkeys(part.label for part in known)))
    return Piece(code, kind, label)

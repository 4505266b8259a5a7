"""Random pickle programs: what the opcode table allows, and now and then not.

A program is made by walking the table: an opcode may come when the values it
takes lie on the stack, and leaves there what its row says.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

from conformance.parser.opcodes import OPCODES, Opcode
from tests.builders import pickles as p

#: What lies outside the pickle, and what ends it.
_OUTSIDE = {"EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER", "STOP", "FRAME"}
_ROWS = [row for row in OPCODES if row.name not in _OUTSIDE]

#: Names that stay inert, so that readers have no calls to disagree about.
INERT = (("a", "b"), ("c.d", "e"), ("a.b", "c"))

#: Words of the table that stand for any value.
_ANY = {"value", "key", "state", "pid"}

_LINES = {
    "INT": ("0", "-7", "00", "01", "99999999999999999999"),
    "LONG": ("0L", "-7L", "99999999999999999999", "5L"),
    "FLOAT": ("1.5", "-0.0", "inf", "1e300"),
    "STRING": ("''", "'a\\n'", '"b"'),
    "UNICODE": ("", "a", "\\u20ac"),
    "PERSID": ("", "7"),
}
_GET = {"GET", "BINGET", "LONG_BINGET"}
_PUT = {"PUT", "BINPUT", "LONG_BINPUT"}
_FIXED = (0, 1, 2, 127, 128, 200)
_COUNTED = (b"", b"a", b"\x00\x01", b"xyz", b"\x7f" * 9)


def program(
    random: Random,
    *,
    size: int,
    wild: float = 0.005,
    names: Sequence[tuple[str, str]] = INERT,
    without: Collection[str] = (),
) -> bytes:
    """Up to `size` opcodes; `wild` is how often one comes that does not fit.

    `names` are what it may name, `without` the opcodes that it may not use.
    """
    rows = [row for row in _ROWS if row.name not in without]
    stack = ["None", "mark"]
    kept: set[int] = set()
    pieces = [p.NONE, p.MARK]
    for _ in range(random.randrange(1, size)):
        fitting = [row for row in rows if _taken(row, stack) is not None]
        if random.random() < wild:
            fitting = rows
        row = random.choice(fitting)
        if row.name in _GET and not kept:
            continue
        pieces.append(_written(random, row, kept, names))
        if _taken(row, stack) is not None:
            _step(row, stack)
    # What is left becomes one value, so that all of it can be seen.
    return p.pickle(*pieces, p.TUPLE * stack.count("mark"))


def _written(
    random: Random, row: Opcode, kept: set[int], names: Sequence[tuple[str, str]]
) -> bytes:
    """The opcode with an argument; `kept` is what the memo holds by then."""
    argument = row.argument
    if row.name in _GET:
        return bytes(p.NAMES[row.name](random.choice([*kept, 9])))
    if row.name in _PUT:
        kept.add(random.choice(_FIXED))
        return bytes(p.NAMES[row.name](max(kept)))
    if row.name == "MEMOIZE":
        kept.add(len(kept))
    if argument.name == "nothing":
        return bytes(p.NAMES[row.name])
    if row.name == "PROTO":
        return bytes(p.PROTO(random.randrange(6)))
    if argument.lines == 2:
        return bytes(p.NAMES[row.name](*random.choice(names)))
    if argument.lines:
        return bytes(p.NAMES[row.name](random.choice(_LINES[row.name])))
    choice = random.choice(_COUNTED if argument.counted else _FIXED)
    return bytes(p.NAMES[row.name](choice))


def _taken(row: Opcode, stack: list[str]) -> int | None:
    """How many entries of the stack the opcode takes; `None` if it cannot."""
    height = len(stack)
    words = row.before.split()
    if "mark" in words:
        if "mark" not in stack:
            return None
        height -= stack[::-1].index("mark") + 1
        after_mark = words[words.index("mark") + 1 :]
        inside = stack[height + 1 :]
        if after_mark[:-1] and inside[:1] != ["global"]:
            return None
        if row.name in ("DICT", "SETITEMS") and len(inside) % 2:
            return None
        words = words[: words.index("mark")]
    for word in reversed(words):
        height -= 1
        if height < 0 or stack[height] == "mark":
            return None
        built = row.name == "BUILD" and word == "value"
        if word != stack[height] and (built or word not in _ANY):
            return None
    return len(stack) - height


def _step(row: Opcode, stack: list[str]) -> None:
    taken = _taken(row, stack)
    assert taken is not None
    top = stack[len(stack) - taken : len(stack) - taken + 1]
    del stack[len(stack) - taken :]
    after = row.after.split()
    if row.name in {*_PUT, "MEMOIZE", "BUILD"}:
        after = top
    if row.name == "DUP":
        after = top * 2
    stack.extend(after)

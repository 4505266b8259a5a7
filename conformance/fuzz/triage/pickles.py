"""Levels for one pickle: its opcodes, the balanced pieces of it, its arguments.

A pickle is worked on as a list of opcodes, each the bytes of one with its
argument. `Keep` is asked about other lists: whether one is simpler and still
the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from conformance.parser.opcodes import BY_CODE, OPCODES

from ..mutation.pickles.stack import (
    EFFECTS,
    GROUPING,
    PAIRED,
    Group,
    Ops,
    group,
    last_of,
    mark_of,
    split,
    start_of,
)
from .ddmin import ddmin

Keep = Callable[[Ops], bool]

#: Into more runs than this a pickle is not cut; beyond it nobody looks for
#: balanced pieces either.
RUNS: Final = 512
BALANCED: Final = 4 * RUNS

PROTO: Final = b"\x80"
STOP: Final = b"."
NONE: Final = b"N"
#: The least value of each type, as the opcode table calls them.
LEAST: Final = {
    "int": b"K\0",
    "list": b"]",
    "dict": b"}",
    "tuple": b")",
    "set": b"\x8f",
    "str": b"X\0\0\0\0",
}
#: How many of the values inside a piece are tried in its place, largest first.
INSIDE: Final = 8


def program(data: bytes, start: int = 0) -> Ops | None:
    """The opcodes of the pickle at `start`, up to its STOP; `None` if it is none.

    One at the beginning may end without STOP, if all of it are opcodes, or if it
    says which protocol it is: then what is none is the last element.
    """
    ops = split(data[start:])
    if STOP in ops:
        return ops[: ops.index(STOP) + 1]
    if start or not ops:
        return None
    whole = split(data + STOP)[-1] == STOP
    return ops if whole or data[:1] == PROTO else None


# ---------------------------------------------------------------------- levels


def members(ops: Ops, keep: Keep) -> Ops:
    """Fewer members in lists, tuples, dicts and sets."""
    if len(ops) > BALANCED:
        return ops
    at = len(ops)
    # From the end: what gathers others comes behind them.
    while at > 0:
        at = min(at, len(ops)) - 1
        found = group(ops, at) if ops[at][0] in GROUPING else None
        if found is not None:
            ops = _members(ops, found, keep)
    return ops


def _members(ops: Ops, found: Group, keep: Keep) -> Ops:
    size = 2 if found.closer[0] in PAIRED else 1
    units = [found.items[n : n + size] for n in range(0, len(found.items), size)]

    def written(kept: list[list[Ops]]) -> Ops:
        items = [item for unit in kept for item in unit]
        gathered = found._replace(items=items).written()
        return [*ops[: found.start], *gathered, *ops[found.stop :]]

    kept = ddmin(units, lambda kept: keep(written(kept)))
    return ops if len(kept) == len(units) else written(kept)


class Piece(NamedTuple):
    """`ops[start:stop]`: a value, or (without `type`) what is done to one."""

    start: int
    stop: int
    type: str


#: The type of what an opcode leaves on top, by its byte.
_TYPES: Final = {row.code: row.after.split()[-1] for row in OPCODES if row.after}
#: Opcodes that give back what they found lowest, with something done to it.
_CHANGES: Final = frozenset(
    row.code
    for row in OPCODES
    if " " in row.before and row.before.split()[:1] == row.after.split()
)


def pieces(ops: Ops, keep: Keep) -> Ops:
    """Balanced pieces left out, or something less in their place; large ones first."""
    if len(ops) > BALANCED:
        return ops
    last = (-len(ops), -1)
    while True:
        found = sorted(_pieces(ops), key=lambda one: (one.start - one.stop, one.start))
        for piece in found:
            rank = piece.start - piece.stop, piece.start
            if rank <= last:
                continue
            last = rank
            shorter = _without(ops, piece, found, keep)
            if shorter is not None:
                ops = shorter
                break
        else:
            return ops


def _pieces(ops: Ops) -> Iterator[Piece]:
    for at, op in enumerate(ops):
        effect = EFFECTS.get(op[0])
        if effect is None:
            continue
        if op[0] in _CHANGES:
            start = mark_of(ops, at) if effect.closes else at
            for _ in range(effect.takes - 1):
                start = start_of(ops, start) if start >= 0 else start
            if start >= 0:
                yield Piece(start, at + 1, "")
        if effect.gives:
            start = start_of(ops, at + 1)
            if start >= 0:
                maker = last_of(ops, at + 1)
                yield Piece(start, at + 1, _TYPES.get(ops[maker][0], "value"))


def _without(ops: Ops, piece: Piece, found: Sequence[Piece], keep: Keep) -> Ops | None:
    for instead in _instead(ops, piece, found):
        candidate = [*ops[: piece.start], *instead, *ops[piece.stop :]]
        if keep(candidate):
            return candidate
    return None


def _instead(ops: Ops, piece: Piece, found: Sequence[Piece]) -> Iterator[Ops]:
    """What may stand where a piece was, the least first."""
    yield []
    if not piece.type:
        return
    yield [NONE]
    if piece.type in LEAST:
        yield [LEAST[piece.type]]
    inside = [
        one
        for one in found
        if one.type and piece.start <= one.start and one.stop <= piece.stop
        if one.stop - one.start < piece.stop - piece.start
    ]
    for one in inside[:INSIDE]:
        yield ops[one.start : one.stop]


def opcodes(ops: Ops, keep: Keep) -> Ops:
    """Runs of opcodes left out, balanced or not."""
    run = -(-len(ops) // RUNS) or 1
    runs = [ops[start : start + run] for start in range(0, len(ops), run)]
    return _flat(ddmin(runs, lambda kept: keep(_flat(kept))))


def _flat(runs: Iterable[Ops]) -> Ops:
    return [op for run in runs for op in run]


def arguments(ops: Ops, keep: Keep) -> Ops:
    """Smaller numbers, shorter strings and names."""
    ops = list(ops)
    for at, op in enumerate(ops):
        put = partial(_put, ops, at, keep)
        ops[at] = _smaller(op, put)
    return ops


def _put(ops: Ops, at: int, keep: Keep, op: bytes) -> bool:
    return keep([*ops[:at], op, *ops[at + 1 :]])


def _smaller(op: bytes, put: Callable[[bytes], bool]) -> bytes:
    """An opcode with the least argument for which `put` says yes."""
    row = BY_CODE.get(op[0]) if op else None
    if row is None:
        return op
    if row.argument.lines:
        return _lines(op, put)
    if row.argument.counted:
        return _counted(op, row.argument.size, put)
    if row.after == "int":
        for plain in (b"K\0", b"K\1"):
            if plain == op:
                return op
            if put(plain):
                return plain
    return _number(op, put)


def _number(op: bytes, put: Callable[[bytes], bool]) -> bytes:
    """0, if that will do; or steps towards it, by halves."""
    size = len(op) - 1
    value = int.from_bytes(op[1:], "little")
    step = value
    while step:
        smaller = op[:1] + (value - step).to_bytes(size, "little")
        if put(smaller):
            op, value = smaller, value - step
            step = min(step, value)
        else:
            step //= 2
    return op


def _lines(op: bytes, put: Callable[[bytes], bool]) -> bytes:
    code, lines = op[:1], op[1:].split(b"\n")

    def instead(number: int, line: bytes) -> bytes:
        return code + b"\n".join([*lines[:number], line, *lines[number + 1 :]])

    def holds(number: int, line: bytes) -> bool:
        return put(instead(number, line))

    for number, line in enumerate(lines):
        lines[number] = shorter(line, partial(holds, number))
    return code + b"\n".join(lines)


def _counted(op: bytes, size: int, put: Callable[[bytes], bool]) -> bytes:
    def counting(text: bytes) -> bytes:
        return op[:1] + len(text).to_bytes(size, "little") + text

    text = op[1 + size :]
    if op != counting(text):
        # It says something else than is there, and that may be the point.
        return op
    return counting(shorter(text, lambda less: put(counting(less))))


#: In so many pieces at most a text is cut; the next round cuts what is left.
TEXT: Final = 64


def shorter(text: bytes, holds: Callable[[bytes], bool]) -> bytes:
    """A part of a text that holds."""
    run = -(-len(text) // TEXT) or 1
    parts = [text[start : start + run] for start in range(0, len(text), run)]
    return b"".join(ddmin(parts, lambda kept: holds(b"".join(kept))))


LEVELS: Final = (members, pieces, opcodes, arguments)

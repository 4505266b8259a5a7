"""Which value an edit is about, and which one it puts in."""

from __future__ import annotations

from itertools import chain
from random import Random
from typing import Final, NamedTuple

from ...words import Words
from .spelling import double, integer, named, opcode, pick, text
from .stack import (
    CODES,
    EFFECTS,
    GIVERS,
    PUTS,
    ROOM,
    Effect,
    Ops,
    anywhere,
    bare,
    split,
    start_of,
    use_of,
)

# ----------------------------------------------------------------------- finding


class Span(NamedTuple):
    """A value: `ops[start:stop]`."""

    start: int
    stop: int


def unbound(ops: Ops, codes: frozenset[int], random: Random) -> int:
    """One of these opcodes, mostly one whose value may be anything; -1 if none was
    found."""
    for chance in CHANCES:
        at = anywhere(ops, codes, random)
        if at < 0 or random.random() < chance[use_of(ops, at + 1)]:
            return at
    return -1


def any_value(ops: Ops, random: Random) -> Span | None:
    """One value, mostly one that may be anything; `None` if none was found."""
    at = unbound(ops, GIVERS, random)
    start = start_of(ops, at + 1)
    return None if start < 0 else Span(start, at + 1)


#: Of taking a value, by its `Use`, at every try.
CHANCES: Final = (*((1.0, 0.25, 0.02),) * 4, (1.0, 1.0, 0.2))


def recalled(value: Ops, *later: Ops) -> bool:
    """Whether something of this value is taken from the memo later."""
    wanted = set()
    for op in value:
        if op[0] in PUTS:
            if len(op) == 1:
                # MEMOIZE: whatever is remembered later has its number from this.
                return True
            wanted.add(_GETS[op[0]] + op[1:])
    return bool(wanted) and not wanted.isdisjoint(chain.from_iterable(later))


#: What takes from the memo what these put there.
_GETS: Final = {
    CODES[put]: bare(get)[0]
    for put, get in (
        ("PUT", "GET"),
        ("BINPUT", "BINGET"),
        ("LONG_BINPUT", "LONG_BINGET"),
    )
}


# ------------------------------------------------------------------------ making

NONE, TRUE, FALSE = bare("NONE NEWTRUE NEWFALSE")

#: Values where one of another type belongs.
ODD: Final[tuple[Ops, ...]] = (
    [NONE],
    [TRUE],
    [FALSE],
    *([integer(n)] for n in (0, 1, -1, 2**31, 2**63 - 1, 2**63, 2**64, 2**2039 - 1)),
    *([double(number)] for number in (0.0, 1.5, float("nan"))),
    [text("")],
    [text("junk")],
    [b"C\x01a"],
    bare("EMPTY_TUPLE"),
    bare("EMPTY_TUPLE TUPLE1"),
    bare("EMPTY_LIST"),
    [*bare("EMPTY_LIST"), integer(2), *bare("APPEND")],
    bare("EMPTY_DICT"),
    *(
        [*bare("EMPTY_DICT"), key, value, *bare("SETITEM")]
        for key, value in (
            (text("conj"), TRUE),
            (text("neg"), TRUE),
            (text("conj"), integer(1)),
            (text("requires_grad"), TRUE),
            (integer(1), integer(2)),
        )
    ),
    [named(("collections", "OrderedDict")), *bare("EMPTY_TUPLE REDUCE")],
    [named(("torch", "Size")), *map(integer, (2, 2)), *bare("TUPLE2 TUPLE1 REDUCE")],
    # A dict whose attributes stand in the way of its methods, and an array of two,
    # which is neither true nor false.
    [
        named(("collections", "OrderedDict")),
        *bare("EMPTY_TUPLE REDUCE"),
        *(text("conj"), TRUE, *bare("SETITEM EMPTY_DICT MARK")),
        *(text("keys"), NONE, text("values"), NONE, text("items"), NONE),
        *(text("get"), NONE, text("move_to_end"), NONE, *bare("SETITEMS BUILD")),
    ],
    [
        named(("numpy._core.numeric", "_frombuffer")),
        *(*bare("MARK"), b"C\2ab", named(("numpy", "dtype")), text("i1")),
        *(*bare("TUPLE1 REDUCE"), integer(2), *bare("TUPLE1"), text("C")),
        *bare("TUPLE REDUCE"),
    ],
    [named(("torch", "device")), text("cuda"), integer(0), *bare("TUPLE2 REDUCE")],
    [named(("torch", "float32"))],
    [named(("torch", "FloatStorage"))],
    [named(("torch", "FloatTensor")), *bare("EMPTY_TUPLE REDUCE")],
)
#: Opcodes that leave a value and take none.
PUSHES: Final = tuple(
    code for code, effect in EFFECTS.items() if effect == Effect(0, 1, closes=False)
)


def fits(ops: Ops, times: int = 1) -> bool:
    """Whether so much may be copied."""
    return len(ops) * times <= ROOM and sum(map(len, ops)) * times <= ROOM


def new_value(ops: Ops, random: Random, words: Words) -> Ops:
    """A piece of another pickle, a value of this one, or a small one."""
    chance = random.random()
    if chance < 0.45 and words.pieces:
        return split(pick(words.pieces, random))
    if chance < 0.7:
        span = any_value(ops, random)
        if span is not None:
            value = ops[span.start : span.stop]
            if fits(value):
                return value
    if chance < 0.9:
        return list(pick(ODD, random))
    return [opcode(pick(PUSHES, random), random, words)]

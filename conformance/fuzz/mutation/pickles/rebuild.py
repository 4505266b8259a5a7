"""The arguments of what a pickle calls: rebuild functions, persistent ids, states.

A reader believes these numbers when it makes a view of memory. One of them, or
how many they are, is put at an edge.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from ...words import Words
from . import edges
from .spelling import edge, integer, name, named, number, pick, read, text, write
from .stack import (
    CALLS,
    PERSISTENT,
    ROOM,
    TUPLES,
    Group,
    Ops,
    bare,
    codes,
    group,
    last_of,
)
from .values import FALSE, NONE, ODD, TRUE

_CALLS: Final = CALLS | codes("BUILD")
_EMPTY: Final = codes("EMPTY_TUPLE")


def mutate(ops: Ops, random: Random, words: Words) -> bool:
    """Changes the arguments of one call, in place; false if it found none."""
    at, closer = _call(ops, random)
    if closer < 0 or ops[closer][0] not in TUPLES:
        return False
    arguments = group(ops, closer)
    if arguments is None:
        return False
    before = arguments.written()
    if ops[at][0] in PERSISTENT:
        _persistent_id(arguments, random, words)
    elif random.random() < 0.1:
        return _callee(ops, arguments.start, random, words)
    else:
        _arguments(arguments, random, words)
    after = arguments.written()
    ops[arguments.start : arguments.stop] = after
    return after != before


def _call(ops: Ops, random: Random) -> tuple[int, int]:
    """A call, and the end of its arguments; mostly one that has some."""
    calls = _CALLS if random.random() < 0.8 else PERSISTENT
    found = [at for at, op in enumerate(ops) if op[0] in calls]
    at = closer = -1
    for _ in range(4 if found else 0):
        at = pick(found, random)
        closer = last_of(ops, at)
        # Half of the calls in a checkpoint are `OrderedDict()`.
        if closer < 0 or ops[closer][0] not in _EMPTY:
            break
    return at, closer


def _callee(ops: Ops, stop: int, random: Random, words: Words) -> bool:
    """Another function for the same arguments."""
    at = last_of(ops, stop)
    told = read(ops[at]) if at >= 0 else None
    if told is None or told[0].kind not in ("global", "get"):
        return False
    spelling, value = told
    if spelling.kind == "global":
        value = name(value, random, words)
    else:
        value = pick(edges.REBUILDS, random)
    before, ops[at] = ops[at], named(value)
    return ops[at] != before


# -------------------------------------------------------------------- arguments


def _arguments(arguments: Group, random: Random, words: Words) -> None:
    """One argument at an edge; or one more, one less, two in each other's place."""
    items = arguments.items
    chance = random.random()
    if not items or chance < 0.08:
        items.append(pick(ODD, random))
    elif chance < 0.16:
        del items[int(random.random() * len(items))]
    elif chance < 0.2:
        again = pick(items, random)
        if sum(map(len, again)) <= ROOM:
            items.append(again)
    elif chance < 0.3 and len(items) > 1:
        at = int(random.random() * (len(items) - 1))
        items[at], items[at + 1] = items[at + 1], items[at]
    else:
        at = int(random.random() * len(items))
        items[at] = _argument(items[at], random, words)


def _argument(item: Ops, random: Random, words: Words) -> Ops:
    """Another argument, mostly of the same kind; what it remembers stays."""
    last = last_of(item, len(item))
    if last < 0 or random.random() < 0.12:
        return pick(ODD, random)
    op, puts = item[last], item[last + 1 :]
    if op[0] in TUPLES:
        return [*_numbers(item, last, random), *puts]
    if op[0] in PERSISTENT:
        closer = last_of(item, last)
        pid = group(item, closer) if closer >= 0 else None
        if pid is not None and item[closer][0] in TUPLES:
            _persistent_id(pid, random, words)
            return [*item[: pid.start], *pid.written(), *item[pid.stop :]]
    told = read(op)
    if told is None:
        others = _INSTEAD.get(op)
        return [pick(others, random), *puts] if others else pick(ODD, random)
    spelling, value = told
    if spelling.kind == "int":
        return [integer(number(value, random, words)), *puts]
    if spelling.kind == "get" and random.random() < 0.6:
        # A class, or a string that was used before: which, the memo knows.
        return [named(pick(pick(edges.KINDS, random), random))]
    return [*item[:last], write(spelling, edge(spelling.kind, value, random, words)),
            *puts]  # fmt: skip


#: For opcodes that have no argument.
_INSTEAD: Final = {
    TRUE: (FALSE, NONE, integer(1), integer(2)),
    FALSE: (TRUE, NONE, integer(0), integer(-1)),
}


# ---------------------------------------------------------------- shape, stride


def _numbers(item: Ops, last: int, random: Random) -> Ops:
    """Another shape, stride or whatever this tuple is."""
    numbers = group(item, last)
    if numbers is None or random.random() < 0.3:
        return _tuple(pick(edges.SHAPES, random))
    items = numbers.items
    _CHANGES[int(random.random() * len(_CHANGES))](items, random)
    return numbers.written()


def _tuple(numbers: tuple[int, ...]) -> Ops:
    return [*bare("MARK"), *map(integer, numbers), *bare("TUPLE")]


def _one_more(items: list[Ops], random: Random) -> None:
    items.insert(int(random.random() * (len(items) + 1)), [integer(1)])


def _one_less(items: list[Ops], random: Random) -> None:
    if items:
        del items[int(random.random() * len(items))]


def _turned(items: list[Ops], random: Random) -> None:
    items.reverse()


def _at_an_edge(items: list[Ops], random: Random) -> None:
    at = int(random.random() * (len(items) or 1))
    items[at : at + 1] = [[integer(pick(edges.SIZES, random))]]


def _beside(items: list[Ops], random: Random) -> None:
    """One number a little larger or smaller, twice as large, or below zero."""
    at = int(random.random() * (len(items) or 1))
    told = read(items[at][0]) if items else None
    if told is not None and told[0].kind == "int":
        value = told[1]
        near = (value + 1, value - 1, 2 * value, -value, value + 2**32, value + 2**63)
        items[at] = [integer(pick(near, random))]
    else:
        _at_an_edge(items, random)


def _odd_one(items: list[Ops], random: Random) -> None:
    at = int(random.random() * (len(items) or 1))
    items[at : at + 1] = [pick(ODD, random)]


_CHANGES: Final[tuple[Callable[[list[Ops], Random], None], ...]] = (
    _one_more,
    _one_less,
    _turned,
    _at_an_edge,
    _at_an_edge,
    _beside,
    _beside,
    _beside,
    _odd_one,
)


# ---------------------------------------------------------------- persistent ids


def _persistent_id(pid: Group, random: Random, words: Words) -> None:
    """`('storage', class, key, location, numel[, view])`, not quite."""
    items = pid.items
    chance = random.random()
    if chance < 0.15:
        # What a legacy view of a storage has: key, offset, numel; or none.
        items[5:6] = [pick(_VIEWS, random)]
    elif chance < 0.3:
        _arguments(pid, random, words)
    else:
        at = int(random.random() * (len(items) or 1))
        items[at : at + 1] = [_part(at, items[at] if items else [], random, words)]


_VIEWS: Final[tuple[Ops, ...]] = (
    [NONE],
    *(
        [text(key), integer(offset), integer(size), *bare("TUPLE3")]
        for key, offset, size in (
            ("0", 0, 1),
            ("1", 1, 1),
            ("v", 0, 0),
            ("v", -1, 2),
            ("v", 1, 2**62),
            ("v", 2**63 - 1, 2),
        )
    ),
    [text("v"), integer(0), *bare("TUPLE2")],
    bare("EMPTY_TUPLE"),
)


def _part(at: int, item: Ops, random: Random, words: Words) -> Ops:
    if random.random() < 0.15:
        return pick(ODD, random)
    match at:
        case 0:
            return [text(pick(("storage", "module", "view", "Storage", ""), random))]
        case 1:
            return [named(pick(edges.STORAGES, random))]
        case 2:
            return [text(pick(_KEYS, random))]
        case 3:
            return [text(pick(edges.LOCATIONS, random))]
    told = read(item[0]) if item else None
    if told is None or told[0].kind != "int":
        return [integer(pick(edges.NUMBERS, random))]
    return [integer(number(told[1], random, words))]


_KEYS: Final = ("0", "1", "2", "00", "-1", "", "../0", "0/", "data/0", "a" * 300, "\0")

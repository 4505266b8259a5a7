"""Edits that follow the stack: where they end it is as high as it was.

What is put in, taken out or moved is a whole value. What the memo holds is made
all the same, if it is used later. Whether a value still means something where it
now stands is another question, and the reader's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from random import Random
from typing import Final, NamedTuple

from ...words import Words
from . import edges
from .spelling import BY_OPCODE, SPELLINGS, edge, named, opcode, pick, read, text, write
from .stack import (
    CALLS,
    CODES,
    EFFECTS,
    GROUPING,
    MARK,
    PAIRED,
    PUTS,
    ROOM,
    TUPLES,
    Effect,
    Ops,
    anywhere,
    bare,
    codes,
    group,
    last_of,
    start_of,
    use_of_items,
)
from .values import CHANCES, any_value, fits, new_value, recalled, unbound

_POP: Final = bare("POP")

# -------------------------------------------------------------- one opcode's argument


def revalue(ops: Ops, random: Random, words: Words) -> bool:
    """An argument at an edge, or beside what it was."""
    if random.random() < 0.85:
        at = unbound(ops, _VALUED, random)
    else:
        at = anywhere(ops, _WITH_ARGUMENT, random)
    told = read(ops[at]) if at >= 0 else None
    if told is None:
        return False
    spelling, value = told
    return _set(ops, at, write(spelling, edge(spelling.kind, value, random, words)))


def retype(ops: Ops, random: Random, words: Words) -> bool:
    """The same value, spelled by another opcode."""
    at = anywhere(ops, _SPELLED, random)
    told = read(ops[at]) if at >= 0 else None
    if told is None:
        return False
    kind, value = told[0].kind, told[1]
    if kind == "global":
        spellings = SPELLINGS["text"]
        ops[at : at + 1] = [
            # Mostly those that are text in Python 3, too.
            write(pick(pick((spellings[:4], spellings), random), random),
                  part.encode("utf-8", "surrogateescape"))
            for part in value
        ] + bare("STACK_GLOBAL")  # fmt: skip
        return True
    if kind in _CONFUSED and random.random() < 0.15:
        kind = _CONFUSED[kind]
    return _set(ops, at, write(pick(SPELLINGS[kind], random), value))


#: What one Python has two types for, and the other one.
_CONFUSED: Final = {"text": "bytes", "bytes": "text"}


def other_global(ops: Ops, random: Random, words: Words) -> bool:
    """Another name in the place of a global's."""
    at = anywhere(ops, _NAMING, random)
    told = read(ops[at]) if at >= 0 else None
    if told is None:
        return False
    spelling, value = told
    return _set(ops, at, write(spelling, edge("global", value, random, words)))


def other_opcode(ops: Ops, random: Random, words: Words) -> bool:
    """An opcode that takes and gives as many values."""
    at = anywhere(ops, _REPLACEABLE, random)
    if at < 0:
        return False
    code = pick(_SAME_EFFECT[EFFECTS[ops[at][0]]], random)
    return _set(ops, at, opcode(code, random, words))


def _set(ops: Ops, at: int, op: bytes) -> bool:
    changed = ops[at] != op
    ops[at] = op
    return changed


_WITH_ARGUMENT: Final = frozenset(BY_OPCODE)
_VALUED: Final = frozenset(
    spelling.code
    for kind in ("int", "text", "bytes", "float")
    for spelling in SPELLINGS[kind]
)
_SPELLED: Final = frozenset(
    spelling.code
    for kind in ("int", "text", "bytes", "float", "get", "put", "global")
    for spelling in SPELLINGS[kind]
)
_NAMING: Final = codes("GLOBAL INST")


def _same_effect() -> dict[Effect, tuple[int, ...]]:
    found: dict[Effect, tuple[int, ...]] = {}
    for code, effect in EFFECTS.items():
        if code == MARK:
            continue
        found[effect] = (*found.get(effect, ()), code)
    return {effect: codes for effect, codes in found.items() if len(codes) > 1}


_SAME_EFFECT: Final = _same_effect()
_REPLACEABLE: Final = frozenset(
    code for codes_ in _SAME_EFFECT.values() for code in codes_
)


# ----------------------------------------------------------------- a whole value


def replace(ops: Ops, random: Random, words: Words) -> bool:
    """Another value in a value's place."""
    span = any_value(ops, random)
    if span is None:
        return False
    new = new_value(ops, random, words)
    old = ops[span.start : span.stop]
    if random.random() < 0.9 and recalled(old, ops[span.stop :]):
        new = [*old, *_POP, *new]
    ops[span.start : span.stop] = new
    return new != old


def wrap(ops: Ops, random: Random, words: Words) -> bool:
    """A value inside another one: a container, a persistent id, a state."""
    before, after = pick(_WRAPPINGS, random)
    return _around(ops, before, after, random)


def wrap_in_call(ops: Ops, random: Random, words: Words) -> bool:
    """A value as the argument, or the state, of what a global makes."""
    known = words.globals if random.random() < 0.5 else ()
    name = pick(known or edges.CALLABLE, random)
    before, between, after = pick(_CALLS, random)
    return _around(ops, [*before, named(name), *between], after, random)


def nest(ops: Ops, random: Random, words: Words) -> bool:
    """A value deep inside others."""
    before, after = pick(_NESTS, random)
    most = ROOM // sum(map(len, before + after))
    times = min(pick((2, 10, 101, 150, 500, ROOM), random), most)
    return _around(ops, before * times, after * times, random)


def _around(ops: Ops, before: Ops, after: Ops, random: Random) -> bool:
    span = any_value(ops, random)
    if span is None:
        return False
    ops[span.stop : span.stop] = after
    ops[span.start : span.start] = before
    return True


#: What stands before the value, and after it.
_NESTS: Final = tuple(
    (bare(before), bare(after))
    for before, after in (
        ("", "TUPLE1"),
        ("MARK", "TUPLE"),
        ("MARK", "LIST"),
        ("EMPTY_LIST", "APPEND"),
        ("EMPTY_DICT NONE", "SETITEM"),
        ("MARK NONE", "DICT"),
        ("MARK", "FROZENSET"),
        ("", "DUP TUPLE2"),
    )
)
_STORAGE: Final = [
    *bare("MARK"),
    text("storage"),
    named(("torch", "FloatStorage")),
    text("0"),
    text("cpu"),
]
_WRAPPINGS: Final[tuple[tuple[Ops, Ops], ...]] = (
    *_NESTS,
    *(
        (bare(before), bare(after))
        for before, after in (
            ("", "NONE TUPLE2"),
            ("", "EMPTY_TUPLE NONE TUPLE3"),
            ("EMPTY_DICT", "NONE SETITEM"),
            ("EMPTY_DICT MARK NONE", "SETITEMS"),
            ("EMPTY_LIST MARK", "APPENDS"),
            ("EMPTY_SET MARK", "ADDITEMS"),
            ("", "EMPTY_DICT BUILD"),
        )
    ),
    ([*bare("EMPTY_DICT"), text("k")], bare("SETITEM")),
    (_STORAGE, bare("TUPLE BINPERSID")),
)
#: How the global is called, with a value as its argument or its state: what
#: stands before the global, between the two, and after both.
_CALLS: Final = tuple(
    (bare(before), bare(between), bare(after))
    for before, between, after in (
        ("", "", "TUPLE1 REDUCE"),
        ("", "", "TUPLE1 NEWOBJ"),
        ("", "", "TUPLE1 EMPTY_DICT NEWOBJ_EX"),
        ("MARK", "", "OBJ"),
        ("", "EMPTY_TUPLE REDUCE", "BUILD"),
        ("", "EMPTY_TUPLE NEWOBJ", "BUILD"),
    )
)


def pause(ops: Ops, random: Random, words: Words) -> bool:
    """Opcodes after a value that leave the stack as it is."""
    span = any_value(ops, random)
    if span is None:
        return False
    chance = random.random()
    if chance < 0.3:
        between = [*new_value(ops, random, words), *_POP]
    elif chance < 0.6:
        between = [opcode(pick(_SILENT, random), random, words)]
    else:
        between = pick(_PAUSES, random)
    ops[span.stop : span.stop] = between
    return True


#: To the memo, and what is said about the stream.
_SILENT: Final = tuple(sorted(PUTS | codes("PROTO FRAME")))
_PAUSES: Final = tuple(
    bare(names)
    for names in (
        "DUP POP",
        "MARK POP_MARK",
        "MARK POP",
        "MARK NONE POP_MARK",
        "MARK MARK NONE POP_MARK POP_MARK",
        "NONE NONE NONE TUPLE3 POP",
    )
)


def remember(ops: Ops, random: Random, words: Words) -> bool:
    """A value that is used again later, or inside itself."""
    span = any_value(ops, random)
    if span is None:
        return False
    later = ops[span.stop :]
    other = any_value(later, random)
    if other is None or recalled(later[other.start : other.stop], later[other.stop :]):
        return False
    index = pick((0, 1, 250, 255), random)
    later[other.start : other.stop] = [b"h%c" % index]
    ops[span.stop :] = [b"q%c" % index, *later]
    return True


def call_otherwise(ops: Ops, random: Random, words: Words) -> bool:
    """The same call by another of the opcodes that call."""
    at = anywhere(ops, CALLS, random)
    closer = last_of(ops, at)
    if at < 0 or closer < 0 or ops[closer][0] not in TUPLES:
        return False
    arguments = group(ops, closer)
    callee = -1 if arguments is None else start_of(ops, arguments.start)
    if arguments is None or callee < 0:
        return False
    given = [op for item in arguments.items for op in item]
    match int(random.random() * 4):
        case 0:
            ops[at] = _OTHER_CALL[ops[at]]
        case 1:
            ops[at : at + 1] = bare("EMPTY_DICT NEWOBJ_EX")
        case 2 if ops[callee][0] == _GLOBAL:
            ops[callee : at + 1] = [*_MARK, *given, b"i" + ops[callee][1:]]
        case _:
            called = ops[callee : arguments.start]
            ops[callee : at + 1] = [*_MARK, *called, *given, *bare("OBJ")]
    return True


_GLOBAL: Final = CODES["GLOBAL"]
_MARK: Final = bare("MARK")
_OTHER_CALL: Final = {b"R": b"\x81", b"\x81": b"R"}


# ---------------------------------------------------------------- what is gathered


class _Place(NamedTuple):
    """An item of a tuple, list, dict or set: `items[at : at + step]`, which is a
    key and its value in a dict; `after` is the pickle after the group."""

    items: list[Ops]
    at: int
    step: int
    after: Ops


def _any_group(ops: Ops, random: Random) -> int:
    """The end of a group, mostly one whose items may be anything."""
    for chance in CHANCES:
        at = anywhere(ops, GROUPING, random)
        if at < 0 or random.random() < chance[use_of_items(ops, at)]:
            return at
    return -1


def _in_a_group(
    change: Callable[[_Place, Ops, Random, Words], bool],
) -> Callable[[Ops, Random, Words], bool]:
    """An edit, from what it does to an item of some group."""

    @wraps(change)
    def edit(ops: Ops, random: Random, words: Words) -> bool:
        closer = _any_group(ops, random)
        found = group(ops, closer) if closer >= 0 else None
        if found is None:
            return False
        step = 2 if ops[closer][0] in PAIRED else 1
        at = step * int(random.random() * (len(found.items) // step))
        place = _Place(found.items, at, step, ops[found.stop :])
        if not change(place, ops, random, words):
            return False
        ops[found.start : found.stop] = found.written()
        return True

    return edit


@_in_a_group
def drop(place: _Place, ops: Ops, random: Random, words: Words) -> bool:
    """One item less."""
    items, at, stop = place.items, place.at, place.at + place.step
    dropped = [op for item in items[at:stop] for op in item]
    if not dropped:
        return False
    if recalled(dropped, place.after, *items[stop:]):
        if stop >= len(items):
            return False
        # It is made all the same, for the memo, and then dropped.
        items[stop] = [*dropped, *_POP * place.step, *items[stop]]
    del items[at:stop]
    return True


@_in_a_group
def insert(place: _Place, ops: Ops, random: Random, words: Words) -> bool:
    """One item more, from elsewhere."""
    new = [new_value(ops, random, words)]
    if place.step == 2:
        new.insert(0, [opcode(pick(_KEYS, random), random, words)])
    at = place.at if random.random() < 0.5 else len(place.items)
    place.items[at:at] = new
    return True


#: What most keys are written with: text and numbers.
_KEYS: Final = [CODES["BINUNICODE"]] * 4 + [CODES["BININT1"], CODES["BINFLOAT"]]


@_in_a_group
def swap(place: _Place, ops: Ops, random: Random, words: Words) -> bool:
    """Two items in each other's place."""
    items, at, step = place.items, place.at, place.step
    other = step * int(random.random() * (len(items) // step))
    one, two = items[at : at + step], items[other : other + step]
    if one == two:
        return False
    items[at : at + step], items[other : other + step] = two, one
    return True


@_in_a_group
def repeat(place: _Place, ops: Ops, random: Random, words: Words) -> bool:
    """One item again, and again."""
    again = place.items[place.at : place.at + place.step]
    times = pick((1, 1, 1, 2, 9, 70, 260), random)
    if not again or not fits([op for item in again for op in item], times):
        return False
    place.items[place.at : place.at] = again * times
    return True

"""A pickle as a list of opcodes: taken apart, and followed on the stack.

Nothing here runs a pickle, or reads more of it than it must. A *value* is a run
of opcodes that leaves one value on the stack and needs none below. It is found
backwards, from its last opcode, so it costs what the value is long, however long
the pickle. No function recurses; any bytes will do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum
from itertools import chain
from random import Random
from typing import Final, NamedTuple

from conformance.parser.opcodes import BY_CODE, OPCODES, Argument, Opcode

#: Each is one opcode with its argument; the last may be a tail that is none.
Ops = list[bytes]

#: In bytes, and in opcodes: the longest that one edit copies.
ROOM: Final = 1024

# ---------------------------------------------------------------- taking apart

#: In bytes. A regular expression takes what is shorter, twice as fast as a loop.
_SHORT_ARGUMENT: Final = 63
_WINDOW: Final = 4096


def _short_opcodes() -> re.Pattern[bytes]:
    """One opcode with its argument, if that is short; or all the rest."""
    forms: dict[Argument, bytes] = {}
    for row in OPCODES:
        forms[row.argument] = forms.get(row.argument, b"") + _literal([row.code])
    # The most frequent first.
    ordered = sorted(forms, key=lambda form: (form.counted, form.lines, form.size))
    branches = [b"[" + forms[form] + b"]" + _argument(form) for form in ordered]
    return re.compile(b"|".join((*branches, b".+")), re.DOTALL)


def _argument(form: Argument) -> bytes:
    if form.counted:
        counts = (
            _literal(count.to_bytes(form.size, "little")) + b".{%d}" % count
            for count in range(_SHORT_ARGUMENT + 1)
        )
        return b"(?:" + b"|".join(counts) + b")"
    return rb"[^\n]*\n" * form.lines + b"." * form.size


def _literal(data: Iterable[int]) -> bytes:
    return b"".join(b"\\x%02x" % byte for byte in data)


_SHORT: Final = _short_opcodes()


def split(data: bytes) -> Ops:
    """The opcodes, each with its argument, also after STOP; joined they are `data`.

    What is left where it no longer parses is the last element. (The splitter of
    `conformance/corpus/stream.py` says what is wrong, in the parser's own errors,
    and takes four times as long; a test holds the two to each other.)
    """
    ops: Ops = []
    at, size = 0, len(data)
    while at < size:
        window = min(at + _WINDOW, size)
        ops += _SHORT.findall(data, at, window)
        # The last may be long, cut by the window, or none: look again.
        at = window - len(ops.pop())
        stop = _end(data, at)
        if not stop:
            ops.append(data[at:])
            break
        ops.append(data[at:stop])
        at = stop
    return ops


def _end(data: bytes, start: int) -> int:
    """Where the opcode at `start` ends; 0 if it does not, or is none."""
    row = BY_CODE.get(data[start])
    if row is None:
        return 0
    stop = start + 1 + row.argument.size
    if row.argument.counted:
        stop += int.from_bytes(data[start + 1 : stop], "little")
    for _ in range(row.argument.lines):
        stop = data.find(b"\n", stop) + 1
        if not stop:
            return 0
    return stop if stop <= len(data) else 0


# -------------------------------------------------------------- stack effects


class Effect(NamedTuple):
    """What an opcode takes from the stack, below the mark if it `closes` one, and
    how many values it gives."""

    takes: int
    gives: int
    closes: bool


def _effect(row: Opcode) -> Effect:
    before, after = row.before.split(), row.after.split()
    closes = "mark" in before
    takes = before.index("mark") if closes else len(before)
    return Effect(takes, len(after) - after.count("mark"), closes)


#: By the opcode's byte.
EFFECTS: Final = {code: _effect(row) for code, row in BY_CODE.items()}
#: By the opcode's name.
CODES: Final = {row.name: row.code for row in OPCODES}


def codes(names: str) -> frozenset[int]:
    return frozenset(CODES[name] for name in names.split())


def bare(names: str) -> Ops:
    """Opcodes without arguments."""
    return [bytes((CODES[name],)) for name in names.split()]


MARK: Final = CODES["MARK"]
#: Opcodes that remember the top of the stack, and that take from the memo.
PUTS: Final = codes("PUT BINPUT LONG_BINPUT MEMOIZE")
GETS: Final = codes("GET BINGET LONG_BINGET")
#: Opcodes that call what lies under a tuple.
CALLS: Final = codes("REDUCE NEWOBJ")
PERSISTENT: Final = codes("BINPERSID")
#: Opcodes that end a mark, and those that leave what they took as one value.
CLOSERS: Final = frozenset(c for c, effect in EFFECTS.items() if effect.closes)
#: Opcodes that leave a value.
GIVERS: Final = frozenset(c for c, effect in EFFECTS.items() if effect.gives) - PUTS

_TUPLES: Final = bare("EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3")
TUPLES: Final = codes("EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 TUPLE")
#: Opcodes whose group can have more items, or fewer, and still mean something.
GROUPING: Final = TUPLES | codes("LIST APPENDS DICT SETITEMS ADDITEMS FROZENSET")
#: Of them, those whose items are keys and values.
PAIRED: Final = codes("DICT SETITEMS")

_NO_EFFECT: Final = Effect(0, 0, False)
# What a value that is looked for backwards still needs, by the opcode's byte.
_NEEDS: Final = tuple(
    effect.takes - effect.gives
    for effect in (EFFECTS.get(code, _NO_EFFECT) for code in range(256))
)


def start_of(ops: Ops, stop: int) -> int:
    """Where the value begins that `ops[:stop]` leaves on top; -1 if it cannot be
    told."""
    need, at = 1, stop
    while need > 0:
        at -= 1
        if at < 0:
            return -1
        code = ops[at][0]
        if code == MARK:
            return -1
        need += _NEEDS[code]
        if code in CLOSERS:
            at = mark_of(ops, at)
    return at


def mark_of(ops: Ops, closer: int) -> int:
    """Where the MARK is that `ops[closer]` ends; -1 if there is none."""
    depth, at = 1, closer
    while depth and at:
        at -= 1
        code = ops[at][0]
        if code == MARK:
            depth -= 1
        elif code in CLOSERS:
            depth += 1
    return -1 if depth else at


# ---------------------------------------------------------------- what it is for


class Use(IntEnum):
    """What becomes of a value: how much it matters what it is."""

    #: Kept in a container, or the answer: anything will do.
    FREE = 0
    #: Given to what is called.
    ARGUMENT = 1
    #: Called itself, filled, a key, a persistent id: it must be of a type.
    BOUND = 2


#: Further than this nobody looks.
_FAR: Final = 300
_SHORT_TUPLES: Final = codes("TUPLE1 TUPLE2 TUPLE3")
_MARKED_TUPLE: Final = codes("TUPLE")
#: Opcodes for which anything on top will do, and since the mark.
_TAKING_ANYTHING: Final = codes("APPEND SETITEM BUILD STOP POP")
_KEEPING_ANYTHING: Final = codes("LIST APPENDS ADDITEMS FROZENSET OBJ INST")


def use_of(ops: Ops, stop: int, *, inside: bool = False) -> Use:
    """What becomes of the value that `ops[:stop]` leaves on top.

    A value in a tuple is used as the tuple is; `inside` says that it is in one.
    """
    above = depth = 0
    for at in range(stop, min(stop + _FAR, len(ops))):
        code = ops[at][0]
        if code == MARK:
            depth += 1
            continue
        if depth:
            if code not in CLOSERS:
                continue
            depth -= 1
            if depth:
                continue
        elif code in CLOSERS:
            if code not in _MARKED_TUPLE:
                return _use_since_mark(code, above)
            inside, above = True, 0
            continue
        takes, gives, _ = EFFECTS.get(code, _NO_EFFECT)
        if takes <= above:
            above += gives - takes
        elif code in _SHORT_TUPLES:
            inside, above = True, 0
        elif code not in PUTS:
            return _use_by(code, above, inside)
    return Use.FREE


def _use_since_mark(code: int, above: int) -> Use:
    if code in PAIRED:
        return Use.BOUND if above % 2 else Use.FREE
    return Use.FREE if code in _KEEPING_ANYTHING else Use.BOUND


def _use_by(code: int, above: int, inside: bool) -> Use:
    if above:
        return Use.BOUND
    if inside and code in CALLS:
        return Use.ARGUMENT
    return Use.FREE if code in _TAKING_ANYTHING else Use.BOUND


def use_of_items(ops: Ops, closer: int) -> Use:
    """What becomes of the items that an opcode gathers."""
    if ops[closer][0] not in TUPLES:
        return Use.FREE
    return use_of(ops, closer + 1, inside=True)


# --------------------------------------------------------------------- groups


_MARK: Final = bare("MARK")
_TUPLE: Final = bare("TUPLE")


class Group(NamedTuple):
    """What one opcode gathers: `ops[start:stop]` is mark, items and `closer`."""

    start: int
    stop: int
    items: list[Ops]
    closer: bytes

    def written(self) -> Ops:
        """The opcodes again, after `items` was changed."""
        size = len(self.items)
        closer = self.closer
        if closer in _TUPLES:
            if size < len(_TUPLES):
                return [*chain.from_iterable(self.items), _TUPLES[size]]
            (closer,) = _TUPLE
        return [*_MARK, *chain.from_iterable(self.items), closer]


def group(ops: Ops, at: int) -> Group | None:
    """The items of the opcode at `at`, or `None` if they cannot be told apart."""
    closer, items, stop = ops[at], [], at
    if closer[0] in CLOSERS:
        while stop and ops[stop - 1][0] != MARK:
            begin = start_of(ops, stop)
            if begin < 0:
                return None
            items.append(ops[begin:stop])
            stop = begin
        if not stop:
            return None
        begin = stop - 1
    else:
        for _ in range(EFFECTS.get(closer[0], _NO_EFFECT).takes):
            begin = start_of(ops, stop)
            if begin < 0:
                return None
            items.append(ops[begin:stop])
            stop = begin
        begin = stop
    items.reverse()
    return Group(begin, at + 1, items, closer)


def last_of(ops: Ops, stop: int) -> int:
    """The opcode that made what is on top before `stop`: what only remembers it
    is passed over; -1 if there is none."""
    at = stop - 1
    while at >= 0 and ops[at][0] in PUTS:
        at -= 1
    return at


def anywhere(ops: Ops, codes: frozenset[int], random: Random) -> int:
    """One of the opcodes with these codes; -1 if there is none.

    The nearest one from anywhere, before or after it: not each is as likely, but
    few have to be looked at.
    """
    size = len(ops)
    begin = int(random.random() * size)
    if random.random() < 0.5:
        order = chain(range(begin, size), range(begin))
    else:
        order = chain(range(begin - 1, -1, -1), range(size - 1, begin - 1, -1))
    for at in order:
        if ops[at][0] in codes:
            return at
    return -1

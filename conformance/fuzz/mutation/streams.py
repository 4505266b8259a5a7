"""Mutants of legacy streams, taken apart into pickles and raw storages.

A stream is a magic number, a protocol version, facts about the machine, the
object, the keys of its storages (a pickle each, which ends at STOP), then for
each key an 8-byte count and the bytes. Nothing says how many bytes an element
has, so `apart` looks for element sizes with which everything fits. A file may
be several streams in a row, or one plain pickle.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Final

from conformance.parser.opcodes import OPCODES

from ..words import Words
from . import pickles
from .edits import damage, lie

#: The number as protocols 1 and 2 write it: what stands in the first pickle.
MAGIC: Final = b"l\xfc\x9cF\xf9 j\xa8P\x19"
MAGIC_TEXT: Final = b"119547037146038801333356"

#: The places of the pickles of a stream.
MACHINE: Final = 2
OBJECT: Final = 3
KEYS: Final = 4

#: The pickles before the object, as `torch.save` writes them.
HEAD: Final = (
    b"\x80\2\x8a\n" + MAGIC + b".",
    b"\x80\2M\xe9\3.",
    (
        b"\x80\2}q\0(X\x10\0\0\0protocol_versionq\1M\xe9\3X\r\0\0\0little_endianq\2\x88"
        b"X\n\0\0\0type_sizesq\3}q\4(X\5\0\0\0shortq\5K\2X\3\0\0\0intq\6K\4X\4\0\0\0long"
        b"q\7K\4uu."
    ),
)
#: A list of no keys.
NO_KEYS: Final = b"\x80\2]q\0."

#: Element sizes, the most frequent first.
_ITEMSIZES: Final = (4, 8, 2, 1, 16)

#: Longest storage that a mutation makes, in bytes.
_MOST: Final = 1 << 13


@dataclass(slots=True)
class Stored:
    """What stands in the file for one key: a count of elements, and bytes."""

    count: bytes
    data: bytes


@dataclass(slots=True)
class Stream:
    """Up to five pickles, then raw storages, then bytes that fit nothing."""

    pickles: list[bytes]
    storages: list[Stored] = field(default_factory=list)
    rest: bytes = b""

    def __bytes__(self) -> bytes:
        raw = (part for each in self.storages for part in (each.count, each.data))
        return b"".join((*self.pickles, *raw, self.rest))


# --------------------------------------------------------------- taking apart


def _forms() -> list[tuple[int, int, int]]:
    """By opcode: bytes with the argument, bytes of its count, lines; 0 for none."""
    forms = [(0, 0, 0)] * 256
    for row in OPCODES:
        argument = row.argument
        counted = argument.size if argument.counted else 0
        forms[row.code] = (1 + argument.size, counted, argument.lines)
    return forms


_FORMS: Final = _forms()
_STOP: Final = ord(".")


def _uncounted() -> re.Pattern[bytes]:
    """Opcodes in a row whose argument has no count of its own, up to STOP."""
    codes: dict[tuple[int, int], bytes] = {}
    for row in OPCODES:
        form = (row.argument.size, row.argument.lines)
        if not row.argument.counted and row.code != _STOP:
            codes[form] = codes.get(form, b"") + b"\\x%02x" % row.code
    branches = (
        b"[" + those + b"]" + (b"+" if form == (0, 0) else b"")
        + b"." * form[0] + rb"[^\n]*\n" * form[1]
        for form, those in sorted(codes.items())
    )  # fmt: skip
    return re.compile(b"(?:" + b"|".join(branches) + b")*", re.DOTALL)


_UNCOUNTED: Final = _uncounted()


def pickle_end(data: bytes, at: int) -> int:
    """Where the pickle that begins at `at` ends, after its STOP; 0 if it does not."""
    size, skip = len(data), _UNCOUNTED.match
    while at < size:
        run = skip(data, at)
        if run is not None:
            at = run.end()
        if at >= size:
            return 0
        code = data[at]
        if code == _STOP:
            return at + 1
        length, counted, _ = _FORMS[code]
        if not counted:
            return 0
        at += length + int.from_bytes(data[at + 1 : at + 1 + counted], "little")
    return 0


def apart(data: bytes) -> list[Stream]:
    """Any bytes as streams, that together are those bytes."""
    streams: list[Stream] = []
    at = 0
    while at < len(data):
        stream = Stream([])
        streams.append(stream)
        start = at
        for _ in range(KEYS + 1 if _magic(data, at) else 1):
            stop = pickle_end(data, at)
            if not stop:
                break
            stream.pickles.append(data[at:stop])
            at = stop
        if len(stream.pickles) > KEYS:
            at = _storages(stream, data, at)
        if not _magic(data, at) or at == start:
            stream.rest = data[at:]
            break
    return streams


def _magic(data: bytes, at: int) -> bool:
    head = data[at : at + 32]
    return MAGIC in head or MAGIC_TEXT in head


def _storages(stream: Stream, data: bytes, at: int) -> int:
    """Takes the storages of a stream; answers where they end.

    Of all the ways to read counts one after the other, the one that ends where
    the file does or another stream begins; else the first that has them all.
    """
    count = len(keys_of(stream.pickles[KEYS]))
    # By position, the one before it: a place that two ways lead to is one.
    levels: list[dict[int, int]] = [{at: -1}]
    for _ in range(min(count, _LEVELS)):
        level: dict[int, int] = {}
        for place in levels[-1]:
            numel = int.from_bytes(data[place : place + 8], "little", signed=True)
            left = len(data) - place - 8
            if not 0 <= numel <= left:
                continue
            for itemsize in _ITEMSIZES:
                if numel * itemsize <= left:
                    level.setdefault(place + 8 + numel * itemsize, place)
        if not level or len(level) > _WAYS:
            break
        levels.append(level)
    ends = list(levels[-1])
    ends = [end for end in ends if end == len(data) or _magic(data, end)] or ends
    end = place = ends[0]
    for level in reversed(levels[1:]):
        before = level[place]
        stored = Stored(data[before : before + 8], data[before + 8 : place])
        stream.storages.append(stored)
        place = before
    stream.storages.reverse()
    return end


#: Ways to read a run of storages, and its length, at most.
_WAYS: Final = 64
_LEVELS: Final = 512

#: What a key is made of: opcodes that give one value by themselves.
_GIVING: Final = frozenset(
    row.code
    for row in OPCODES
    if row.before == "" and row.after in {"int", "str", "bytes", "float", "None"}
)


def keys_of(pickle: bytes) -> list[bytes]:
    """The opcodes of the values in the pickle of a list."""
    found: list[bytes] = []
    at, size = 0, len(pickle)
    while at < size:
        code = pickle[at]
        length, counted, lines = _FORMS[code]
        if not length:
            break
        stop = at + length
        if counted:
            stop += int.from_bytes(pickle[at + 1 : at + 1 + counted], "little")
        for _ in range(lines):
            stop = pickle.find(b"\n", stop) + 1 or size
        if code in _GIVING:
            found.append(pickle[at:stop])
        at = stop
    return found


def keys_pickle(keys: list[bytes]) -> bytes:
    """The pickle of a list of such values."""
    return b"\x80\2](" + b"".join(keys) + b"e."


def text(string: bytes) -> bytes:
    """The opcode of a string."""
    return b"X" + struct.pack("<I", len(string)) + string


# ------------------------------------------------------------------- mutations

Mutation = Callable[[Stream, Random, Words], None]


def mutate(data: bytes, random: Random, words: Words) -> bytes:
    """Another stream than `data`, or another plain pickle."""
    streams = apart(data)
    if not any(stream.pickles for stream in streams):
        return damage(data, random)
    for _ in range(4):
        if random.random() < 0.04:
            repeated(streams, random)
        stream = random.choice(streams)
        whole = len(stream.pickles) > OBJECT
        for mutation in random.choices(
            _FUNCTIONS if whole else _PLAIN_FUNCTIONS,
            cum_weights=_WEIGHTS if whole else _PLAIN_WEIGHTS,
            k=random.choice((1, 1, 1, 1, 2)),
        ):
            mutation(stream, random, words)
        out = b"".join(map(bytes, streams))
        if out != data:
            return out
    return damage(data, random)


def repeated(streams: list[Stream], random: Random) -> None:
    """A stream more, one fewer, or another order."""
    if len(streams) > 1 and random.random() < 0.5:
        random.shuffle(streams)
        if random.random() < 0.5:
            streams.pop()
    else:
        stream = random.choice(streams)
        streams.append(Stream(list(stream.pickles), list(stream.storages)))


def pickled(stream: Stream, random: Random, words: Words) -> None:
    """Another object."""
    if stream.pickles:
        at = OBJECT if len(stream.pickles) > OBJECT else len(stream.pickles) - 1
        stream.pickles[at] = pickles.mutate(stream.pickles[at], random, words)


def pickled_before(stream: Stream, random: Random, words: Words) -> None:
    """Another magic number, version, or fact about the machine."""
    if stream.pickles:
        at = int(random.random() * min(len(stream.pickles), OBJECT))
        stream.pickles[at] = pickles.mutate(stream.pickles[at], random, words)


def versions(stream: Stream, random: Random, words: Words) -> None:
    """A magic number or a version near the right one."""
    if len(stream.pickles) <= MACHINE:
        return
    number = random.choice((0x1950A86A20F9469CFC6C, 1001)) + random.choice((-1, 0, 1))
    if random.random() < 0.3:
        number = -number
    size = number.bit_length() // 8 + 1
    opcode = b"\x8a" + bytes((size,)) + number.to_bytes(size, "little", signed=True)
    opcode = random.choice((opcode, opcode, b"I%d\n" % number, b"L%dL\n" % number))
    stream.pickles[int(random.random() * 2)] = b"\x80\2" + opcode + b"."


def machine(stream: Stream, random: Random, words: Words) -> None:
    """The other byte order in the facts about the machine."""
    if len(stream.pickles) <= MACHINE:
        return
    facts = stream.pickles[MACHINE]
    at = facts.find(b"little_endian")
    for old, new in ((b"\x88", b"\x89"), (b"I01\n", b"I00\n")):
        for one, other in ((old, new), (new, old)):
            place = facts.find(one, at, at + 24)
            if at >= 0 and place >= 0:
                stop = place + len(one)
                stream.pickles[MACHINE] = facts[:place] + other + facts[stop:]
                return


def keys(stream: Stream, random: Random, words: Words) -> None:
    """Keys in another order, missing, twice, or other values than strings.

    Half of the time the storages follow them.
    """
    if len(stream.pickles) <= KEYS:
        return
    values = keys_of(stream.pickles[KEYS])
    follow = random.random() < 0.5 and len(values) == len(stream.storages)
    storages = stream.storages if follow else [Stored(b"", b"")] * len(values)
    pairs = list(zip(values, storages, strict=True))
    at = int(random.random() * len(pairs))
    match int(random.random() * 5):
        case 0:
            random.shuffle(pairs)
        case 1:
            del pairs[at : at + 1]
        case 2:
            pairs[at:at] = pairs[at : at + 1]
        case 3:
            other = random.choice(_KEYS)
            pairs[at : at + 1] = [(other, stored) for _, stored in pairs[at : at + 1]]
        case _:
            pairs.insert(at, (random.choice(_KEYS), Stored(bytes(8), b"")))
    stream.pickles[KEYS] = keys_pickle([key for key, _ in pairs])
    if follow:
        stream.storages = [stored for _, stored in pairs]


_KEYS: Final = (
    text(b"0"), text(b"1"), text(b""), text(b"view"), b"K\0", b"K\1", b"\x88", b"N",
    b"U\x010", b"C\x010", b"G" + bytes(8), b")", b"]", b"}", b"K\0\x85",
    b"G\x7f\xf8" + bytes(6), b"\x8a\x09" + bytes(8) + b"\1", text(b"\xed\xa0\x80"),
)  # fmt: skip


def pickled_keys(stream: Stream, random: Random, words: Words) -> None:
    """The pickle of the keys, as any pickle."""
    if len(stream.pickles) > KEYS:
        stream.pickles[KEYS] = pickles.mutate(stream.pickles[KEYS], random, words)


def counts(stream: Stream, random: Random, words: Words) -> None:
    """A count of elements that lies."""
    if stream.storages:
        stored = random.choice(stream.storages)
        said = lie(int.from_bytes(stored.count, "little"), random, 8)
        stored.count = said.to_bytes(8, "little" if random.random() < 0.9 else "big")


def resized(stream: Stream, random: Random, words: Words) -> None:
    """A storage of more or fewer bytes; the count tells, or does not."""
    if stream.storages:
        stored = random.choice(stream.storages)
        count = int.from_bytes(stored.count, "little")
        itemsize = max(len(stored.data) // count, 1) if count else 4
        size = min(lie(len(stored.data), random, 4), 2 * len(stored.data) + 64, _MOST)
        stored.data = (stored.data + bytes(size))[:size]
        if random.random() < 0.7:
            stored.count = (size // itemsize).to_bytes(8, "little")


def damaged(stream: Stream, random: Random, words: Words) -> None:
    """Accidents on the bytes of a storage."""
    if stream.storages:
        stored = random.choice(stream.storages)
        stored.data = damage(stored.data, random)


def exchanged(stream: Stream, random: Random, words: Words) -> None:
    """Storages in another order, one missing, or one twice."""
    at = int(random.random() * len(stream.storages))
    match int(random.random() * 3):
        case 0:
            random.shuffle(stream.storages)
        case 1:
            del stream.storages[at : at + 1]
        case _:
            stream.storages[at:at] = stream.storages[at : at + 1]


def parts(stream: Stream, random: Random, words: Words) -> None:
    """A pickle of the stream missing, twice, or in another's place."""
    if not stream.pickles:
        return
    at, other = (int(random.random() * len(stream.pickles)) for _ in range(2))
    match int(random.random() * 3):
        case 0:
            del stream.pickles[at]
        case 1:
            stream.pickles.insert(other, stream.pickles[at])
        case _:
            stream.pickles[at], stream.pickles[other] = (
                stream.pickles[other],
                stream.pickles[at],
            )


def behind(stream: Stream, random: Random, words: Words) -> None:
    """Bytes behind the stream, or fewer of them."""
    if stream.rest and random.random() < 0.5:
        stream.rest = damage(stream.rest, random)
    else:
        more = (b"\0", b".", b"\x80\2N.", HEAD[0], b"PK\3\4", bytes(512))
        stream.rest += random.choice(more)


def cut(stream: Stream, random: Random, words: Words) -> None:
    """A stream that ends too soon, mostly in its storages."""
    data = bytes(stream)
    whole = not stream.storages or random.random() < 0.3
    start = 0 if whole else sum(map(len, stream.pickles))
    stop = start + int(random.random() * (len(data) - start))
    stream.pickles, stream.storages, stream.rest = [], [], data[:stop]


def bare(stream: Stream, random: Random, words: Words) -> None:
    """The object alone: a plain pickle."""
    stream.pickles, stream.storages = stream.pickles[OBJECT : OBJECT + 1], []
    if random.random() < 0.5:
        stream.rest = b""


def wrapped(stream: Stream, random: Random, words: Words) -> None:
    """A plain pickle as the object of a stream without storages."""
    stream.pickles[:] = [*HEAD, *stream.pickles[:1], NO_KEYS]


#: How often each mutation of a whole stream comes, and which.
MUTATIONS: Final[tuple[tuple[int, Mutation], ...]] = (
    (50, pickled),
    (5, pickled_before),
    (2, versions),
    (3, machine),
    (10, keys),
    (3, pickled_keys),
    (8, counts),
    (7, resized),
    (5, damaged),
    (5, exchanged),
    (4, parts),
    (3, behind),
    (4, cut),
    (1, bare),
)
#: The same for what has no more than one pickle, or is cut before its object.
PLAIN: Final[tuple[tuple[int, Mutation], ...]] = (
    (60, pickled),
    (3, behind),
    (2, cut),
    (1, wrapped),
)

_FUNCTIONS: Final = tuple(mutation for _, mutation in MUTATIONS)
_WEIGHTS: Final = tuple(accumulate(weight for weight, _ in MUTATIONS))
_PLAIN_FUNCTIONS: Final = tuple(mutation for _, mutation in PLAIN)
_PLAIN_WEIGHTS: Final = tuple(accumulate(weight for weight, _ in PLAIN))

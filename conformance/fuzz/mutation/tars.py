"""Mutants of the tar of torch 0.1: headers, members, and the rows in them.

The members `storages` and `tensors` are rows: a pickle that counts them, then
for each a small pickle and raw numbers. `rows` finds where each ends by the
storage class that the pickle names, or by the number of dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Final

from ..words import Words
from . import pickles
from .edits import EDGES, damage, lie
from .streams import pickle_end

BLOCK: Final = 512

#: Where in a header each field is (POSIX ustar).
FIELDS: Final[dict[str, slice]] = {
    "name": slice(0, 100),
    "mode": slice(100, 108),
    "uid": slice(108, 116),
    "size": slice(124, 136),
    "time": slice(136, 148),
    "checksum": slice(148, 156),
    "kind": slice(156, 157),
    "link": slice(157, 257),
    "magic": slice(257, 265),
    "prefix": slice(345, 500),
}

#: Files old and new, links, devices, folders, sparse files, names of GNU, pax.
KINDS: Final = tuple(bytes((kind,)) for kind in b"0\x001234567LKSxgMVAZ \xff")
NAMES: Final = (b"storages", b"tensors", b"pickle", b"sys_info", b"./pickle", b"")
MAGICS: Final = (b"ustar\x0000", b"ustar  \0", b"ustar\x0001", bytes(8), b"\xff" * 8)

#: Bytes of an element, by what its storage class is called without `Storage`.
_ITEMSIZES: Final[dict[bytes, int]] = {
    b"Double": 8, b"Long": 8, b"Float": 4, b"Int": 4, b"Half": 2, b"Short": 2,
    b"BFloat16": 2, b"Char": 1, b"Byte": 1, b"Bool": 1,
}  # fmt: skip

#: Longest content that a mutation makes, in bytes.
_MOST: Final = 1 << 13


@dataclass(slots=True)
class Member:
    """A header of 512 bytes, the content, and what fills up the last block."""

    header: bytes
    content: bytes
    padding: bytes

    def __bytes__(self) -> bytes:
        return self.header + self.content + self.padding

    @property
    def name(self) -> bytes:
        """Up to the first NUL."""
        return self.header[:100].partition(b"\0")[0]

    def say(self, field: str, value: bytes) -> None:
        """Writes a field of the header, and the right checksum."""
        place = FIELDS[field]
        room = place.stop - place.start
        header = bytearray(self.header)
        header[place] = value[:room].ljust(room, b"\0")
        self.header = summed(header)

    def fill(self, content: bytes) -> None:
        """Other content, and the right size of it."""
        self.content = content
        self.padding = bytes(-len(content) % BLOCK)
        self.say("size", b"%011o\0" % len(content))


def summed(header: bytearray) -> bytes:
    """The header with the right checksum."""
    place = FIELDS["checksum"]
    header[place] = b" " * 8
    header[place] = b"%06o\0 " % sum(header)
    return bytes(header)


def made(name: bytes, content: bytes, kind: bytes = b"0") -> Member:
    """A member with a right header."""
    header = bytearray(BLOCK)
    header[: len(name[:100])] = name[:100]
    header[FIELDS["mode"]] = b"0000644\0"
    header[FIELDS["kind"]] = kind[:1]
    header[FIELDS["magic"]] = MAGICS[0]
    member = Member(bytes(header), b"", b"")
    member.fill(content)
    return member


@dataclass(slots=True)
class Tar:
    """Members, and whatever stands behind the last one."""

    members: list[Member]
    rest: bytes

    def __bytes__(self) -> bytes:
        return b"".join(map(bytes, self.members)) + self.rest


def is_tar(data: bytes) -> bool:
    """Whether it begins with a header that says its right checksum."""
    return len(data) >= BLOCK and _number(data[148:156]) == (
        sum(data[:148]) + sum(data[156:BLOCK]) + 8 * 32
    )


def _number(field: bytes) -> int:
    """Octal digits, or base 256; -1 for neither."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.partition(b"\0")[0].strip()
    return -1 if digits.strip(b"01234567") else int(digits or b"0", 8)


def apart(data: bytes) -> Tar:
    """Any bytes as a tar, that together is those bytes."""
    members: list[Member] = []
    at = 0
    while len(data) - at >= BLOCK:
        header = data[at : at + BLOCK]
        if header.startswith(b"\0") and not any(header):
            break
        size = _number(header[FIELDS["size"]])
        if size < 0:
            break
        start = at + BLOCK
        stop = min(start + size, len(data))
        at = min(stop + -size % BLOCK, len(data))
        members.append(Member(header, data[start:stop], data[stop:at]))
    return Tar(members, data[at:])


@dataclass(slots=True)
class Row:
    """A small pickle, and the raw bytes behind it."""

    pickle: bytes
    raw: bytes

    def __bytes__(self) -> bytes:
        return self.pickle + self.raw


def rows(content: bytes) -> list[Row]:
    """A member's content as rows, that together are it."""
    found: list[Row] = []
    at = 0
    while at < len(content):
        stop = pickle_end(content, at)
        if not stop:
            found.append(Row(b"", content[at:]))
            break
        pickle = content[at:stop]
        at = stop + _raw(pickle, content, stop)
        found.append(Row(pickle, content[stop:at]))
    return found


def _raw(pickle: bytes, content: bytes, at: int) -> int:
    """How many raw bytes stand behind the pickle of a row."""
    if len(content) - at < 8:
        return 0
    if b"Storage\n" in pickle:
        name = pickle.partition(b"Storage\n")[0].rpartition(b"\n")[2]
        numel = int.from_bytes(content[at : at + 8], "little")
        return 8 + numel * _ITEMSIZES.get(name, 4)
    if b"Tensor\n" in pickle:
        ndim = int.from_bytes(content[at : at + 4], "little")
        return 8 + 8 * (2 * ndim + 1)
    return 0


# ------------------------------------------------------------------- mutations

Mutation = Callable[[Tar, Random, Words], None]


def mutate(data: bytes, random: Random, words: Words) -> bytes:
    """Another tar than `data`; bytes that are none suffer accidents."""
    tar = apart(data)
    if not tar.members:
        return damage(data, random)
    for _ in range(4):
        for mutation in random.choices(
            _FUNCTIONS, cum_weights=_WEIGHTS, k=random.choice((1, 1, 1, 1, 2))
        ):
            if tar.members:
                mutation(tar, random, words)
        out = bytes(tar)
        if out != data:
            return out
    return damage(data, random)


def _called(tar: Tar, name: bytes, random: Random) -> Member:
    """The member of that name, else any."""
    for member in tar.members:
        if member.name == name:
            return member
    return random.choice(tar.members)


def pickled(tar: Tar, random: Random, words: Words) -> None:
    """Another object."""
    member = _called(tar, b"pickle", random)
    member.fill(pickles.mutate(member.content, random, words))


def facts(tar: Tar, random: Random, words: Words) -> None:
    """Other facts about the machine."""
    member = _called(tar, b"sys_info", random)
    member.fill(pickles.mutate(member.content, random, words))


def _some_rows(tar: Tar, random: Random) -> tuple[Member, list[Row]]:
    name = b"storages" if random.random() < 0.5 else b"tensors"
    member = _called(tar, name, random)
    return member, rows(member.content)


def row_pickles(tar: Tar, random: Random, words: Words) -> None:
    """Another pickle in one of the rows, the count of them, or the views."""
    member, found = _some_rows(tar, random)
    if found:
        row = random.choice(found)
        row.pickle = pickles.mutate(row.pickle, random, words)
        member.fill(b"".join(map(bytes, found)))


def row_numbers(tar: Tar, random: Random, words: Words) -> None:
    """A raw number of a row at the edges: numel, ndim, size, stride, offset."""
    member, found = _some_rows(tar, random)
    found_raw = [row for row in found if len(row.raw) >= 8]
    if found_raw:
        row = random.choice(found_raw)
        storage = b"Storage\n" in row.pickle
        places = 1 if storage else len(row.raw) // 8
        at = 8 * int(random.random() * places)
        size = 4 if at == 0 and not storage else 8
        number = lie(int.from_bytes(row.raw[at : at + size], "little"), random, size)
        row.raw = row.raw[:at] + number.to_bytes(size, "little") + row.raw[at + size :]
        member.fill(b"".join(map(bytes, found)))


def row_bytes(tar: Tar, random: Random, words: Words) -> None:
    """Accidents on the raw bytes of a row."""
    member, found = _some_rows(tar, random)
    if found:
        row = random.choice(found)
        row.raw = damage(row.raw, random)
        member.fill(b"".join(map(bytes, found)))


def row_order(tar: Tar, random: Random, words: Words) -> None:
    """Rows in another order, one missing, or one twice."""
    member, found = _some_rows(tar, random)
    at = int(random.random() * len(found))
    match int(random.random() * 3):
        case 0:
            found[1:] = random.sample(found[1:], len(found[1:]))
        case 1:
            del found[at : at + 1]
        case _:
            found[at:at] = found[at : at + 1]
    member.fill(b"".join(map(bytes, found)))


def resized(tar: Tar, random: Random, words: Words) -> None:
    """Content longer, shorter or empty, and the header tells."""
    member = random.choice(tar.members)
    size = min(lie(len(member.content), random, 4), 2 * len(member.content), _MOST)
    member.fill((member.content + bytes(size))[:size])


def sizes(tar: Tar, random: Random, words: Words) -> None:
    """A size that lies: octal, base 256, negative, or no number."""
    member = random.choice(tar.members)
    size = len(member.content)
    said = size if random.random() < 0.3 else lie(size, random, 4)
    wide = said if random.random() < 0.7 else random.choice(EDGES[8])
    member.say(
        "size",
        random.choice(
            (
                b"%011o\0" % said,
                b"%011o\0" % said,
                b"%o" % said,
                b" %o \0" % said,
                b"-%o" % said,
                b"0o%o" % said,
                b"%d9" % said,
                b"\x80" + wide.to_bytes(11, "big"),
                b"\xff" + ((1 << 88) - 1 - wide).to_bytes(11, "big"),
                b"\x81" + wide.to_bytes(11, "big"),
                b"",
            )
        ),
    )


def checksums(tar: Tar, random: Random, words: Words) -> None:
    """A checksum that is wrong, signed, or written otherwise."""
    member = random.choice(tar.members)
    header = bytearray(member.header)
    total = sum(header) - sum(header[148:156]) + 8 * 32
    signed = total - 256 * sum(byte > 127 for byte in header)
    written = (
        b"%06o\0 " % (total + random.choice((-1, 1, 256))), b"%07o\0" % total,
        b"%o" % total, b"%06o\0 " % max(signed, 0), bytes(8), b" " * 8, b"\x80",
        b"\x80" + total.to_bytes(7, "big"),
    )  # fmt: skip
    header[148:156] = random.choice(written)[:8].ljust(8, b"\0")
    member.header = bytes(header)


def kinds(tar: Tar, random: Random, words: Words) -> None:
    """A member that is no regular file."""
    random.choice(tar.members).say("kind", random.choice(KINDS))


def fields(tar: Tar, random: Random, words: Words) -> None:
    """Another name, magic, mode, link target or prefix; or accidents on a header."""
    member = random.choice(tar.members)
    match int(random.random() * 5):
        case 0:
            member.say("name", random.choice(NAMES))
        case 1:
            member.say("name", damage(member.name, random))
        case 2:
            member.say("magic", random.choice(MAGICS))
        case 3:
            field = random.choice(("mode", "uid", "time", "link", "prefix"))
            member.say(field, random.choice((*NAMES, b"7" * 12, b"\xff" * 12)))
        case _:
            header = bytearray(damage(member.header, random)[:BLOCK].ljust(BLOCK))
            member.header = summed(header)


def members(tar: Tar, random: Random, words: Words) -> None:
    """A member missing, twice, elsewhere, or one more."""
    at, other = (int(random.random() * len(tar.members)) for _ in range(2))
    member = tar.members[at]
    match int(random.random() * 4):
        case 0:
            del tar.members[at]
        case 1:
            tar.members.insert(other, Member(member.header, member.content,
                                             member.padding))  # fmt: skip
        case 2:
            tar.members.insert(other, tar.members.pop(at))
        case _:
            tar.members.insert(other, made(random.choice(NAMES), member.content))


def exchanged(tar: Tar, random: Random, words: Words) -> None:
    """Two members with each other's content."""
    first, second = random.choice(tar.members), random.choice(tar.members)
    contents = first.content, second.content
    first.fill(contents[1])
    second.fill(contents[0])


def extended(tar: Tar, random: Random, words: Words) -> None:
    """Records of pax, or a long name of GNU, for the member behind them."""
    at = int(random.random() * len(tar.members))
    member = tar.members[at]
    name = member.name if random.random() < 0.5 else random.choice(NAMES)
    if random.random() < 0.4:
        kind = b"L" if random.random() < 0.8 else b"K"
        content = name + random.choice((b"\0", b"", b"\0\0x", b"x" * 200))
        inserted = made(b"././@LongLink", content, kind)
    else:
        size = len(member.content)
        said = b"%d" % (size if random.random() < 0.5 else lie(size, random, 8))
        records = (
            pax(b"path", name), pax(b"size", said), pax(b"size", said, 1),
            pax(b"path", name, -1), pax(b"size", b"-1"), pax(b"linkpath", name),
            pax(b"GNU.sparse.size", said), pax(b"hdrcharset", b"BINARY"),
        )  # fmt: skip
        content = b"".join(random.choices(records, k=random.choice((1, 1, 2, 3))))
        if random.random() < 0.2:
            content = damage(content, random)
        inserted = made(b"PaxHeaders/x", content, b"x" if at else b"g")
        if random.random() < 0.7:
            inserted.say("kind", b"x")
    tar.members[at:at] = [inserted] * random.choice((1, 1, 1, 2))


def pax(key: bytes, value: bytes, off: int = 0) -> bytes:
    """A record `length key=value`, whose length is wrong by `off`."""
    body = b" %s=%s\n" % (key, value)
    length = len(body) + len(b"%d" % len(body))
    length = len(body) + len(b"%d" % length)
    return b"%d" % (length + off) + body


def padding(tar: Tar, random: Random, words: Words) -> None:
    """Blocks that are not filled up, or with other bytes than zeros."""
    member = random.choice(tar.members)
    size = len(member.padding)
    member.padding = random.choice(
        (b"", b"\xff" * size, bytes(size + BLOCK), bytes(max(size - 1, 0)))
    )


def trailing(tar: Tar, random: Random, words: Words) -> None:
    """Fewer blocks at the end, more of them, or something behind them."""
    match int(random.random() * 4):
        case 0:
            tar.rest = bytes(random.choice((0, 1, 511, 512, 1024, 2048)))
        case 1:
            tar.rest += bytes(random.choice(tar.members))[: 4 * BLOCK]
        case 2:
            tar.rest = bytes(tar.members[-1])[: 2 * BLOCK] + tar.rest
        case _:
            tar.rest = damage(tar.rest, random)


def cut(tar: Tar, random: Random, words: Words) -> None:
    """A tar that ends too soon."""
    data = bytes(tar)
    stop = int(random.random() * len(data))
    tar.members, tar.rest = [], data[:stop]


#: How often each mutation comes, and which.
MUTATIONS: Final[tuple[tuple[int, Mutation], ...]] = (
    (30, pickled),
    (2, facts),
    (14, row_pickles),
    (14, row_numbers),
    (4, row_bytes),
    (6, row_order),
    (4, resized),
    (6, sizes),
    (3, checksums),
    (4, kinds),
    (4, fields),
    (5, members),
    (2, exchanged),
    (7, extended),
    (2, padding),
    (3, trailing),
    (2, cut),
)

_FUNCTIONS: Final = tuple(mutation for _, mutation in MUTATIONS)
_WEIGHTS: Final = tuple(accumulate(weight for weight, _ in MUTATIONS))

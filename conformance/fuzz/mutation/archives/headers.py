"""Lies in the headers of the records of a zip archive.

Each mutation changes what one header of a record says, or both, and leaves the
rest right. What ZipDiff ("My ZIP isn't your ZIP", USENIX Security 2025) found
to be ambiguous is all here and beside: a, what the two headers of a record say;
b, names (`archives` has both headers agree on another one); c is `layout`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from random import Random
from typing import Final

from ...words import Words
from ..edits import damage, lie
from .zips import FOLLOWS, FULL, FULL16, Archive, Entry, Record

Header = Entry | Record

#: Encrypted, descriptor, patched, strongly encrypted, UTF-8, masked, and more.
_FLAGS: Final = (0x1, 0x8, 0x20, 0x40, 0x800, 0x2000, 0x2, 0x10, 0x4000, 0x41)
_METHODS: Final = (0, 8, 9, 12, 14, 99, 0xFFFF)
_MADE_BY: Final = (0, 3 << 8, 19 << 8, 10 << 8, FULL16)
#: A DOS folder, a volume, hidden; a Unix folder, a link, a device, a file.
_ATTRIBUTES: Final = (
    0x10, 0x10, 0x8, 0x2, 0x4000 << 16, 0xA000 << 16, 0x2000 << 16, 0x8000 << 16,
    0x41FF0010, FULL,
)  # fmt: skip
#: Fields of 16 bits that change nothing for most readers.
_IDLE: Final = ("version", "time", "date")


def variant(name: bytes, random: Random) -> bytes:
    """Another name, that some readers or systems take for the same."""
    folder, slash, file = name.rpartition(b"/")
    match int(random.random() * 12):
        case 0:
            return folder + slash + file.swapcase()
        case 1:
            return name.upper()
        case 2:
            at = int(random.random() * (len(name) + 1))
            return name[:at] + name[at : at + 1].swapcase() + name[at + 1 :]
        case 3:
            behind = (b"\0", b"\0x", b"\n", b" ", b".", b"/", b"*", b":x", b"\xff")
            return name + random.choice(behind)
        case 4:
            between = (b"./", b"/", b"../data/", b"\\", b"//", b"\0")
            return folder + slash + random.choice(between) + file
        case 5:
            return name.replace(b"/", b"\\")
        case 6:
            return random.choice((b"/", b"./", b"C:/", b"\xef\xbb\xbf")) + name
        case 7:
            # torch cuts a name at 511 bytes to list it.
            return name + b"x" * max(random.choice((510, 511, 512)) - len(name), 1)
        case 8:
            return folder + slash + b"0" + file
        case 9:
            return random.choice((b"", b"/", b".", b"..", folder, file))
        case 10:
            return name[:-1]
        case _:
            return damage(name, random)[:1024]


def _headers(archive: Archive, random: Random) -> tuple[Header, ...]:
    """One header of a record, or both, for they may disagree."""
    found = archive.listed(random)
    if found is None:
        return ()
    entry, record = found
    return random.choice(((entry,), (record,), (entry, record)))


# ------------------------------------------------- a: what headers of a record say


def sizes(archive: Archive, random: Random, words: Words) -> None:
    """A size that is not that of the bytes."""
    some = _headers(archive, random)
    fields = random.choice((("size",), ("packed",), ("packed", "size")))
    for header in some:
        true_size = len(header.data) if type(header) is Record else header.packed
        said = lie(true_size, random, 4)
        for field in fields:
            if type(header) is Entry:
                header.put(field, said)
            else:
                setattr(header, field, said)


def methods(archive: Archive, random: Random, words: Words) -> None:
    """A packing that the bytes do not have."""
    method = random.choice(_METHODS)
    for header in _headers(archive, random):
        header.method = method


def flags(archive: Archive, random: Random, words: Words) -> None:
    """A flag that is not so: encrypted, masked, with a descriptor."""
    flag = random.choice(_FLAGS)
    for header in _headers(archive, random):
        header.flags ^= flag


def checksums(archive: Archive, random: Random, words: Words) -> None:
    """A wrong checksum, or none."""
    crc = 0 if random.random() < 0.5 else random.getrandbits(32)
    for header in _headers(archive, random):
        header.crc = crc


def idle(archive: Archive, random: Random, words: Words) -> None:
    """Versions and times at the edges."""
    field, value = random.choice(_IDLE), lie(20, random, 2)
    for header in _headers(archive, random):
        setattr(header, field, value)


def attributes(archive: Archive, random: Random, words: Words) -> None:
    """A record that a reader may take for a folder or a link."""
    found = archive.listed(random)
    if found is not None:
        entry = found[0]
        entry.attributes = random.choice(_ATTRIBUTES)
        if random.random() < 0.5:
            entry.made_by = random.choice(_MADE_BY)


def extras(archive: Archive, random: Random, words: Words) -> None:
    """An extra field more, one broken, or none."""
    some = _headers(archive, random)
    for header in some:
        match int(random.random() * 5):
            case 0:
                header.extra = b""
            case 1:
                header.extra = damage(header.extra, random)
            case 2:
                # Info-ZIP's: a name that some readers prefer.
                other = variant(header.name, random)
                crc = zlib.crc32(header.name) if random.random() < 0.7 else 0
                header.extra += _extra(0x7075, struct.pack("<BI", 1, crc) + other)
            case 3:
                header.extra += _extra(1, random.randbytes(random.choice((0, 4, 8))))
            case _:
                kind = random.choice((0x4246, 0x5455, 0x9901, 0x7875, 0))
                body = bytes(random.choice((0, 1, 5, 64)))
                header.extra += _extra(kind, body)


def _extra(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body) & FULL16) + body


def widened(archive: Archive, random: Random, words: Words) -> None:
    """Sizes and place in a zip64 extra field: right, a lie, or cut."""
    found = archive.listed(random)
    if found is None:
        return
    entry, record = found
    if entry.extra[:2] == b"\1\0":
        # There is one: one of its numbers lies.
        field = random.choice(("size", "packed"))
        entry.put(field, lie(entry.get(field), random, 8))
        return
    fields = ("size", "packed", "header")
    chosen = random.choice((fields, fields[:2], ("header",), ("size",)))
    numbers = [getattr(entry, field) for field in chosen]
    for field in chosen:
        setattr(entry, field, FULL)
    if random.random() < 0.3:
        at = int(random.random() * len(numbers))
        numbers[at] = lie(numbers[at], random, 8)
        if chosen[at] == "header":
            entry.header, entry.record = FULL, None
    body = struct.pack(f"<{len(numbers)}Q", *numbers)
    if random.random() < 0.1:
        body = body[: int(random.random() * len(body))]
    entry.extra = _extra(1, body) + entry.extra
    if random.random() < 0.3:
        # Locally, too.
        local = struct.pack("<QQ", record.size, record.packed)
        record.size = record.packed = FULL
        record.extra = _extra(1, local) + record.extra


def descriptors(archive: Archive, random: Random, words: Words) -> None:
    """A data descriptor: put behind the bytes, broken, or taken away."""
    found = archive.listed(random)
    if found is None:
        return
    entry, record = found
    if record.behind and random.random() < 0.5:
        record.behind = b"" if random.random() < 0.3 else damage(record.behind, random)
        return
    size = len(record.data)
    said = lie(size, random, 4) if random.random() < 0.4 else size
    signature = b"PK\7\b" if random.random() < 0.7 else b""
    layout = "<III" if random.random() < 0.7 else "<IQQ"
    record.behind = signature + struct.pack(layout, entry.crc, said, entry.size & FULL)
    if random.random() < 0.8:
        entry.flags |= FOLLOWS
        record.flags |= FOLLOWS
        record.crc = record.packed = record.size = 0


def lengths(archive: Archive, random: Random, words: Words) -> None:
    """A name, an extra field or a comment of another length than it has."""
    for header in _headers(archive, random)[:1]:
        kinds = ("name", "extra", "comment") if type(header) is Entry else _LOCALLY
        kind = random.choice(kinds)
        said = lie(len(getattr(header, kind)), random, 2)
        setattr(header, f"{kind}_length", said)


_LOCALLY: Final = ("name", "extra")


def signatures(archive: Archive, random: Random, words: Words) -> None:
    """A header with another signature."""
    for header in _headers(archive, random)[:1]:
        other = (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\7\b", b"PK\0\0", b"pk\3\4")
        header.signature = random.choice(other)


# --------------------------------------------------------------------- b: names


def named(archive: Archive, random: Random, words: Words) -> None:
    """Another name in one of the two headers, or that of another record."""
    some = _headers(archive, random)[:1]
    others = [entry.name for entry in archive.entries()]
    for header in some:
        if random.random() < 0.4:
            header.name = random.choice(others)
        else:
            header.name = variant(header.name, random)


def alias(archive: Archive, random: Random, words: Words) -> None:
    """A variant of a record's name, for a record with other bytes."""
    found = archive.listed(random)
    if found is not None:
        entry, record = found
        content = damage(record.content(entry.method), random)
        archive.add(variant(entry.name, random), content, entry)


Mutation = Callable[[Archive, Random, Words], None]

MUTATIONS: Final[tuple[tuple[int, Mutation], ...]] = (
    (12, sizes),
    (8, methods),
    (8, flags),
    (5, checksums),
    (2, idle),
    (7, attributes),
    (7, extras),
    (8, widened),
    (6, descriptors),
    (5, lengths),
    (2, signatures),
    (8, named),
    (6, alias),
)

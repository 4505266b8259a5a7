"""A zip archive as small parts that can be changed one by one.

Parts say what their headers say, true or not. Only what depends on the other
parts is worked out when `Archive.together` joins them: where things are, how
many, how long. A number given for one of those (`None` is the true one) stands
in the file as it is.

Layouts and names of fields: APPNOTE.TXT 4.3. Standard library only.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from random import Random
from typing import Final

LOCAL: Final = struct.Struct("<4s5H3I2H")
CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
END: Final = struct.Struct("<4s4H2IH")
END64: Final = struct.Struct("<4sQ2H2I4Q")
LOCATOR: Final = struct.Struct("<4sIQI")
_DESCRIPTOR: Final = struct.Struct("<3I")
_DESCRIPTOR64: Final = struct.Struct("<IQQ")

FULL16: Final = 0xFFFF
FULL: Final = 0xFFFF_FFFF

STORED: Final = 0
DEFLATED: Final = 8
#: Flag: checksum and sizes follow the bytes.
FOLLOWS: Final = 8

#: What `Record.content` inflates to, at most.
_MOST: Final = 1 << 17


@dataclass(slots=True, eq=False)
class Raw:
    """Bytes that no header claims."""

    data: bytes
    place: int = 0

    def __len__(self) -> int:
        return len(self.data)

    def __bytes__(self) -> bytes:
        return self.data


@dataclass(slots=True, eq=False)
class Record:
    """A local header, the bytes after it, and what stands behind those.

    `data` is as it stands in the file, packed or not; `behind` is a data
    descriptor or whatever else comes before the next header.
    """

    signature: bytes
    version: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed: int
    size: int
    name: bytes
    extra: bytes
    data: bytes
    behind: bytes
    place: int = 0
    name_length: int | None = None
    extra_length: int | None = None

    def __len__(self) -> int:
        return 30 + len(self.name) + len(self.extra) + len(self.data) + len(self.behind)

    def __bytes__(self) -> bytes:
        name, extra = self.name, self.extra
        head = LOCAL.pack(
            self.signature, self.version, self.flags, self.method, self.time,
            self.date, self.crc, self.packed, self.size,
            (len(name) if self.name_length is None else self.name_length) & FULL16,
            (len(extra) if self.extra_length is None else self.extra_length) & FULL16,
        )  # fmt: skip
        return b"".join((head, name, extra, self.data, self.behind))

    def content(self, method: int) -> bytes:
        """The bytes, inflated if `method` says so and they can be."""
        if method == DEFLATED:
            try:
                return zlib.decompressobj(-15).decompress(self.data, _MOST)
            except zlib.error:
                pass
        return self.data


@dataclass(slots=True, eq=False)
class Entry:
    """A central header.

    It is about `record`, or if there is none about what stands at `header`.
    `shift` moves where it says that record is.
    """

    signature: bytes
    made_by: int
    version: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed: int
    size: int
    disk: int
    internal: int
    attributes: int
    header: int
    name: bytes
    extra: bytes
    comment: bytes
    record: Record | None = None
    shift: int = 0
    name_length: int | None = None
    extra_length: int | None = None
    comment_length: int | None = None

    def __len__(self) -> int:
        return 46 + len(self.name) + len(self.extra) + len(self.comment)

    def __bytes__(self) -> bytes:
        if self.record is not None:
            place = self.record.place + self.shift
            if self.header == FULL:
                self.put("header", place)
            else:
                self.header = place & FULL
        name, extra, comment = self.name, self.extra, self.comment
        return b"".join(
            (
                CENTRAL.pack(
                    self.signature, self.made_by, self.version, self.flags,
                    self.method, self.time, self.date, self.crc, self.packed,
                    self.size,
                    (len(name) if self.name_length is None else self.name_length)
                    & FULL16,
                    (len(extra) if self.extra_length is None else self.extra_length)
                    & FULL16,
                    (len(comment) if self.comment_length is None
                     else self.comment_length) & FULL16,
                    self.disk, self.internal, self.attributes, self.header,
                ),
                name, extra, comment,
            )
        )  # fmt: skip

    def wide(self, field: str) -> int | None:
        """Where the zip64 extra field has `size`, `packed` or `header`, if it does."""
        extra = self.extra
        if extra[:2] != b"\1\0":
            return None
        at = 4
        for each in ("size", "packed", "header"):
            if getattr(self, each) == FULL:
                if each == field:
                    return at if at + 8 <= len(extra) else None
                at += 8
        return None

    def get(self, field: str) -> int:
        """`size`, `packed` or `header`, of 32 or 64 bits."""
        narrow: int = getattr(self, field)
        at = self.wide(field) if narrow == FULL else None
        if at is None:
            return narrow
        return int.from_bytes(self.extra[at : at + 8], "little")

    def put(self, field: str, value: int) -> None:
        """The same, where it stands now."""
        at = self.wide(field) if getattr(self, field) == FULL else None
        if at is None:
            setattr(self, field, value & FULL)
        else:
            number = (value & (1 << 64) - 1).to_bytes(8, "little")
            self.extra = self.extra[:at] + number + self.extra[at + 8 :]


@dataclass(slots=True, eq=False)
class Directory:
    """Central headers in a row; `length` in bytes is that of the last look."""

    entries: list[Entry]
    place: int = 0
    length: int = 0

    def __len__(self) -> int:
        self.length = sum(map(len, self.entries))
        return self.length

    def __bytes__(self) -> bytes:
        return b"".join(map(bytes, self.entries))


@dataclass(slots=True, eq=False)
class End:
    """An end record, about `directory`; with `wide` that of zip64.

    `rest` is what a zip64 end record says of its own length, with both
    versions behind it.
    """

    disk: int
    first: int
    here: int | None
    count: int | None
    size: int | None
    start: int | None
    comment: bytes = b""
    comment_length: int | None = None
    directory: Directory | None = None
    wide: bool = False
    rest: tuple[int, int, int] = (44, 45, 45)
    place: int = 0

    def __len__(self) -> int:
        return 56 if self.wide else 22 + len(self.comment)

    def __bytes__(self) -> bytes:
        count, size, start = true(self.directory)
        here = count if self.here is None else self.here
        count = count if self.count is None else self.count
        size = size if self.size is None else self.size
        start = start if self.start is None else self.start
        disk, first = self.disk, self.first
        if self.wide:
            most = (1 << 64) - 1
            return END64.pack(
                b"PK\6\6", *self.rest, disk & FULL, first & FULL,
                here & most, count & most, size & most, start & most,
            )  # fmt: skip
        length = self.comment_length
        return END.pack(
            b"PK\5\6", disk & FULL16, first & FULL16, here & FULL16, count & FULL16,
            size & FULL, start & FULL,
            (len(self.comment) if length is None else length) & FULL16,
        ) + self.comment  # fmt: skip


@dataclass(slots=True, eq=False)
class Locator:
    """Where the zip64 end record is: at `end`, or if there is none at `at`."""

    disk: int
    at: int
    disks: int
    end: End | None = None
    place: int = 0

    def __len__(self) -> int:
        return 20

    def __bytes__(self) -> bytes:
        at = self.at if self.end is None else self.end.place
        return LOCATOR.pack(
            b"PK\6\7", self.disk & FULL, at & (1 << 64) - 1, self.disks & FULL
        )


Part = Raw | Record | Directory | End | Locator


def true(directory: Directory | None) -> tuple[int, int, int]:
    """How many entries, how many bytes, and from where on."""
    if directory is None:
        return 0, 0, 0
    return len(directory.entries), directory.length, directory.place


class Archive:
    """The parts, in the order of the file."""

    __slots__ = ("parts",)

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts

    def together(self) -> bytes:
        """The file."""
        at = 0
        for part in self.parts:
            part.place = at
            at += len(part)
        return b"".join(map(bytes, self.parts))

    def records(self) -> list[Record]:
        """Everything with a local header, listed or not."""
        return [part for part in self.parts if type(part) is Record]

    def end(self) -> End | None:
        """The last end record, which most readers go by."""
        for part in reversed(self.parts):
            if type(part) is End and not part.wide:
                return part
        return None

    def directory(self) -> Directory | None:
        """That of the end record, else the last one."""
        last: Directory | None = None
        for part in reversed(self.parts):
            if type(part) is End and part.directory is not None:
                return part.directory
            if type(part) is Directory and last is None:
                last = part
        return last

    def entries(self) -> list[Entry]:
        """What that directory lists; the list itself."""
        directory = self.directory()
        return [] if directory is None else directory.entries

    def about(self, record: Record) -> Iterator[Entry]:
        """Every entry, in any directory, that is about the record."""
        for part in self.parts:
            if type(part) is Directory:
                for entry in part.entries:
                    if entry.record is record:
                        yield entry

    def fill(self, record: Record, content: bytes, method: int = STORED) -> None:
        """Gives a record other bytes, and every header the right sizes of them."""
        data = deflated(content) if method == DEFLATED else content
        crc, old = zlib.crc32(content), record.data
        before = record.crc
        record.data = data
        for entry in self.about(record):
            before = entry.crc
            entry.crc, entry.method = crc, method
            entry.put("packed", len(data))
            entry.put("size", len(content))
        record.method = method
        if record.flags & FOLLOWS:
            record.behind = _follow(
                record.behind, before, len(old), (crc, len(data), len(content))
            )
        if record.size or record.packed or not record.flags & FOLLOWS:
            record.crc, record.packed, record.size = crc, len(data), len(content)

    def remove(self, record: Record) -> None:
        """Takes a record out of the file, and what lists it out of directories."""
        self.take(record)
        for part in self.parts:
            if type(part) is Directory:
                part.entries[:] = [e for e in part.entries if e.record is not record]

    def take(self, part: Part) -> None:
        """Takes a part out of the file, if it is there."""
        self.parts[:] = [other for other in self.parts if other is not part]

    def listed(self, random: Random) -> tuple[Entry, Record] | None:
        """One of the directory's entries and its record, if that has one."""
        entries = self.entries()
        if not entries:
            return None
        entry = entries[int(random.random() * len(entries))]
        return None if entry.record is None else (entry, entry.record)

    def spot(self, record: Record) -> int:
        """Where among the parts a record is; behind all if it was taken out."""
        for at, part in enumerate(self.parts):
            if part is record:
                return at
        return len(self.parts)

    def add(self, name: bytes, content: bytes, entry: Entry | None = None) -> Entry:
        """A record behind the others, listed as the last one.

        Its headers are those of `entry`, so that they look like the others.
        """
        if entry is None or entry.record is None:
            record = Record(
                b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, name, b"", b"", b""
            )  # fmt: skip
            entry = Entry(
                b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 0, 0, 0, 0, name, b"", b"",
                record,
            )  # fmt: skip
        else:
            record, entry = copy(entry.record), copy(entry)
            record.name = entry.name = name
            entry.record = record
        places = [at for at, part in enumerate(self.parts) if type(part) is Record]
        self.parts.insert(places[-1] + 1 if places else 0, record)
        self.entries().append(entry)
        self.fill(record, content, entry.method)
        return entry


def deflated(content: bytes) -> bytes:
    """Packed as zip has it, without zlib's own header."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def _follow(
    behind: bytes, crc: int, packed: int, numbers: tuple[int, int, int]
) -> bytes:
    """The data descriptor of other numbers, if there is one."""
    at = 4 if behind[:4] == b"PK\7\b" else 0
    if not at and behind[:4] != crc.to_bytes(4, "little"):
        return behind
    for layout in (_DESCRIPTOR64, _DESCRIPTOR):
        stop = at + layout.size
        if len(behind) >= stop and layout.unpack_from(behind, at)[1] == packed:
            return behind[:at] + layout.pack(*numbers) + behind[stop:]
    return behind

"""Zip archives by hand: each header says what it is told to say.

`pack` makes an archive of records; a `Record` is their bytes, with whatever is
unusual about them. The bytes are the same every time and everywhere: no clock,
and no zlib.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

#: In a field of 16 or 32 bits: see the zip64 extra field or end record.
FULL16: Final = 0xFFFF
FULL: Final = 0xFFFF_FFFF

#: Flag: checksum and sizes follow the bytes; flag: names are UTF-8.
FOLLOWS: Final = 0x0008
UTF8: Final = 0x0800


@dataclass(frozen=True)
class Record:
    """The bytes of a record, and what is unusual about it.

    `packed` is a DEFLATE stream that stands in the file in place of `data`;
    `folder` sets the attribute of a directory; `like` names an earlier record
    whose bytes and local header this one shares; one that is not `listed` is
    not in the directory.

    `fields` are said of the record in the central directory, `local` in the
    local header, whatever is true: `flags`, `method`, `time`, `date`, `crc`,
    `packed` and `size` (in bytes), `name`, `extra`, and centrally also
    `made_by`, `comment`, `disk`, `attributes` and `place`. `crc` and `flags`
    are said in both.

    `follows` puts checksum and sizes behind the bytes, with a signature or
    `bare`, and zeros in the local header; `zip64` puts sizes and place into the
    zip64 extra field.
    """

    data: bytes = b""
    packed: bytes | None = None
    folder: bool = False
    like: str | None = None
    listed: bool = True
    crc: int | None = None
    flags: int = 0
    follows: Literal["signed", "bare"] | None = None
    zip64: bool = False
    local: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """What stands in the file."""
        return self.data if self.packed is None else self.packed


Records = Mapping[str, bytes | Record] | Iterable[tuple[str, bytes | Record]]


def pack(
    records: Records,
    *,
    root: str = "archive",
    alignment: int = 1,
    zip64: bool = False,
    disk: int = 0,
    gap: bytes = b"",
    comment: bytes = b"",
) -> bytes:
    """A zip archive of records in one root folder.

    Pairs of names and records may repeat a name, as a mapping cannot. The
    bytes of records begin at multiples of `alignment`, by torch's way of
    padding; `zip64` adds an end record of 64 bits, and the usual one refers to
    it; `gap` stands before the directory, `comment` at the end.
    """
    out, directory, count = b"", b"", 0
    places: dict[str, int] = {}
    for name, content in records.items() if isinstance(records, Mapping) else records:
        record = content if isinstance(content, Record) else Record(content)
        path = f"{root}/{name}".encode("utf-8", "surrogateescape")
        if record.like is None:
            places[name] = len(out)
            out += _local(record, path, len(out), alignment) + record.body
            out += _following(record)
        if record.listed:
            directory += _central(record, path, places[record.like or name])
            count += 1
    out += gap
    place, size = len(out), len(directory)
    out += directory
    if zip64:
        at = len(out)
        out += struct.pack(
            "<4sQHHII4Q", b"PK\6\6", 44, 45, 45, disk, disk, count, count, size, place
        )
        out += struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
        count, size, place = FULL16, FULL, FULL
    return out + struct.pack(
        "<4s4HIIH", b"PK\5\6", disk, disk, count, count, size, place, len(comment)
    ) + comment  # fmt: skip


def _facts(record: Record, path: bytes) -> dict[str, Any]:
    """What both headers say."""
    crc = zlib.crc32(record.data) if record.crc is None else record.crc
    return {
        "flags": record.flags | (FOLLOWS if record.follows else 0),
        "method": 0 if record.packed is None else 8,
        "time": 0,
        "date": 33,
        "crc": crc,
        "packed": FULL if record.zip64 else len(record.body),
        "size": FULL if record.zip64 else len(record.data),
        "name": path,
        "extra": b"",
    }


def _header(facts: Mapping[str, Any]) -> bytes:
    return struct.pack(
        "<4HIIIHH", *(facts[key] for key in ("flags", "method", "time", "date")),
        *(facts[key] for key in ("crc", "packed", "size")),
        len(facts["name"]), len(facts["extra"]),
    )  # fmt: skip


def _local(record: Record, path: bytes, place: int, alignment: int) -> bytes:
    facts = _facts(record, path)
    if record.follows:
        facts |= {"crc": 0, "packed": 0, "size": 0}
    if record.zip64:
        facts["extra"] = _sizes(record)
    facts |= record.local
    if alignment > 1:
        used = place + 30 + len(facts["name"]) + len(facts["extra"]) + 4
        padding = -used % alignment
        facts["extra"] += struct.pack("<2sH", b"FB", padding) + b"Z" * padding
    return b"".join(
        (
            struct.pack("<4sH", b"PK\3\4", 20),
            _header(facts),
            facts["name"],
            facts["extra"],
        )
    )


def _sizes(record: Record, *place: int) -> bytes:
    """The zip64 extra field."""
    numbers = (len(record.data), len(record.body), *place)
    return struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers)


def _following(record: Record) -> bytes:
    if not record.follows:
        return b""
    crc = _facts(record, b"")["crc"]
    layout = "<IQQ" if record.zip64 else "<III"
    numbers = struct.pack(layout, crc, len(record.body), len(record.data))
    return (b"PK\7\b" if record.follows == "signed" else b"") + numbers


def _central(record: Record, path: bytes, place: int) -> bytes:
    facts = {
        **_facts(record, path),
        "made_by": 20,
        "comment": b"",
        "disk": 0,
        "attributes": 0x10 if record.folder else 0,
        "place": place,
    }
    if record.zip64:
        facts |= {"place": FULL, "extra": _sizes(record, place)}
    facts |= record.fields
    return b"".join(
        (
            struct.pack("<4sHH", b"PK\1\2", facts["made_by"], 20),
            _header(facts),
            struct.pack("<HHH", len(facts["comment"]), facts["disk"], 0),
            struct.pack("<II", facts["attributes"], facts["place"]),
            facts["name"],
            facts["extra"],
            facts["comment"],
        )
    )


def deflate(*runs: tuple[bytes, int]) -> bytes:
    """A DEFLATE stream of strings, each repeated so many times.

    Made here because zlibs differ in what they write. A single byte that
    repeats takes 13 bits for 258 of them.
    """
    bits = ["110"]  # the last block, with the codes that everybody knows
    for text, count in runs:
        copies = 0
        if len(text) == 1 and count > 258:
            copies, count = divmod(count - 1, 258)
            count += 1
        bits += [_literal(byte) for byte in text * count]
        # Length 258 (code 285), distance 1 (code 0).
        bits.append(("11000101" + "00000") * copies)
    bits.append("0000000")
    text_of_bits = "".join(bits)[::-1]
    return int(text_of_bits, 2).to_bytes(-(-len(text_of_bits) // 8), "little")


def _literal(byte: int) -> str:
    return f"{0x30 + byte:08b}" if byte < 144 else f"{0x190 + byte - 144:09b}"

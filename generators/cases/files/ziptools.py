"""Headers of zip archives by their names: found, read and changed in a file."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

#: Struct codes of the fields, in their order (APPNOTE.TXT 4.3). What a header
#: says of itself and of its parts: `name`, `extra` and `comment` are lengths.
HEADERS: Final[dict[str, dict[str, str]]] = {
    "local": {
        "signature": "4s", "needed": "H", "flags": "H", "method": "H", "time": "H",
        "date": "H", "crc": "I", "packed": "I", "size": "I", "name": "H", "extra": "H",
    },
    "central": {
        "signature": "4s", "made_by": "H", "needed": "H", "flags": "H",
        "method": "H", "time": "H", "date": "H", "crc": "I", "packed": "I",
        "size": "I", "name": "H", "extra": "H", "comment": "H", "disk": "H",
        "internal": "H", "attributes": "I", "place": "I",
    },
    "end64": {
        "signature": "4s", "rest": "Q", "made_by": "H", "needed": "H", "disk": "I",
        "first": "I", "here": "Q", "count": "Q", "size": "Q", "place": "Q",
    },
    "locator": {"signature": "4s", "disk": "I", "place": "Q", "disks": "I"},
    "end": {
        "signature": "4s", "disk": "H", "first": "H", "here": "H", "count": "H",
        "size": "I", "place": "I", "comment": "H",
    },
}  # fmt: skip
_SIGNATURES: Final = {
    "local": b"PK\3\4",
    "central": b"PK\1\2",
    "end64": b"PK\6\6",
    "locator": b"PK\6\7",
    "end": b"PK\5\6",
}
_CODES: Final = {kind: "<" + "".join(row.values()) for kind, row in HEADERS.items()}
SIZES: Final = {kind: struct.calcsize(code) for kind, code in _CODES.items()}


def fields(file: bytes, kind: str, at: int) -> dict[str, Any]:
    """The fields of the header that begins at `at`."""
    values = struct.unpack_from(_CODES[kind], file, at)
    return dict(zip(HEADERS[kind], values, strict=True))


def place(file: bytes, kind: str, number: int = 0) -> int:
    """Where the header of this kind is, counted from 0; the last end record."""
    if kind == "end":
        return file.rindex(_SIGNATURES[kind])
    at = -1
    for _ in range(number + 1):
        at = file.index(_SIGNATURES[kind], at + 1)
    return at


def header(kind: str, **given: int | bytes) -> bytes:
    """A header: what is not given is zero."""
    unknown = given.keys() - HEADERS[kind].keys()
    if unknown:
        raise KeyError(f"no such header fields: {sorted(unknown)}")
    values = {**dict.fromkeys(HEADERS[kind], 0), "signature": _SIGNATURES[kind]}
    return struct.pack(_CODES[kind], *{**values, **given}.values())


def patch(file: bytes, kind: str, number: int = 0, /, **changes: int | bytes) -> bytes:
    """The file with other values in the fields of one header."""
    at = place(file, kind, number)
    changed = header(kind, **{**fields(file, kind, at), **changes})
    return file[:at] + changed + file[at + len(changed) :]


class Parts(NamedTuple):
    """The records of an archive, its directory, and its end records."""

    records: bytes
    directory: bytes
    end: bytes


def parts(file: bytes) -> Parts:
    """An archive taken apart."""
    end = fields(file, "end", place(file, "end"))
    middle, behind = end["place"], end["place"] + end["size"]
    return Parts(file[:middle], file[middle:behind], file[behind:])


def entries(directory: bytes) -> Iterator[int]:
    """Where each entry of a directory begins."""
    at = 0
    while at < len(directory):
        yield at
        entry = fields(directory, "central", at)
        lengths: int = entry["name"] + entry["extra"] + entry["comment"]
        at += SIZES["central"] + lengths


def behind(before: bytes, file: bytes) -> bytes:
    """An archive behind other bytes, with offsets that count from their start."""
    shift = len(before)
    records, directory, end = parts(file)
    for number in range(sum(1 for _ in entries(directory))):
        old = fields(directory, "central", place(directory, "central", number))
        directory = patch(directory, "central", number, place=old["place"] + shift)
    old = fields(end, "end", place(end, "end"))
    return before + records + directory + patch(end, "end", place=old["place"] + shift)


def extra_field(identifier: int, data: bytes) -> bytes:
    """An extra field."""
    return struct.pack("<HH", identifier, len(data)) + data


def zip64(*numbers: int) -> bytes:
    """The zip64 extra field: those of size, packed size and place that are full."""
    return extra_field(1, struct.pack(f"<{len(numbers)}Q", *numbers))


def listed(file: bytes) -> Mapping[bytes, dict[str, Any]]:
    """What the directory says of each record, by its name."""
    directory = parts(file).directory
    found = {}
    for at in entries(directory):
        entry = fields(directory, "central", at)
        start = at + SIZES["central"]
        found[directory[start : start + entry["name"]]] = entry
    return found

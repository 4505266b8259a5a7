"""A zip archive torn into its parts, whatever the bytes are.

They are torn at the signatures of headers, so that nothing that a header says
has to be true; only the records' lengths are taken from the directory, to leave
an archive inside a record whole. Joined again, the parts are the same bytes.
Nothing is checked, no checksum is computed, and the time is linear in the bytes
(but for the sorting of places).
"""

from __future__ import annotations

import re
from typing import Final

from .zips import (
    CENTRAL,
    END,
    END64,
    FOLLOWS,
    FULL,
    LOCAL,
    LOCATOR,
    Archive,
    Directory,
    End,
    Entry,
    Locator,
    Part,
    Raw,
    Record,
    true,
)

_SIGNATURE: Final = re.compile(b"PK(?:\3\4|\1\2|\5\6|\6\6|\6\7)")


def apart(data: bytes) -> Archive:
    """Any bytes as parts, that together are those bytes."""
    listed = _main_directory(data)
    packed = _packed(listed, len(data))
    parts: list[Part] = []
    at = 0
    found = _SIGNATURE.search(data)
    while found is not None:
        start = found.start()
        part = _read(data, start, packed, listed)
        if part is None:
            found = _SIGNATURE.search(data, start + 4)
            continue
        if at < start:
            _gap(parts, data[at:start], at)
        part.place = start
        parts.append(part)
        at = start + (part.length if type(part) is Directory else len(part))
        found = _SIGNATURE.search(data, at)
    if at < len(data):
        _gap(parts, data[at:], at)
    _link(parts)
    return Archive(parts)


def _gap(parts: list[Part], data: bytes, at: int) -> None:
    """Bytes behind a record belong to it; other ones to nothing."""
    last = parts[-1] if parts else None
    if type(last) is Record:
        last.behind += data
    else:
        parts.append(Raw(data, at))


def _read(
    data: bytes, at: int, packed: dict[int, int], listed: Directory | None
) -> Part | None:
    """What begins with the signature at `at`, if there is room for it."""
    match data[at + 2]:
        case 3:
            return _record(data, at, packed)
        case 1:
            if listed is not None and listed.place == at:
                return listed
            return _directory(data, at)
        case 5:
            return _end(data, at)
        case _ if data[at + 3] == 6:
            return _end64(data, at)
    return _locator(data, at)


def _record(data: bytes, at: int, packed: dict[int, int]) -> Record | None:
    if at + 30 > len(data):
        return None
    (
        signature, version, flags, method, time, date, crc, there, size, names, extras,
    ) = LOCAL.unpack_from(data, at)  # fmt: skip
    extra = at + 30 + names
    start = extra + extras
    if start > len(data):
        return None
    stop = start + packed.get(at, there)
    if at not in packed and not there:
        # Nobody says how long it is: up to what follows.
        found = _SIGNATURE.search(data, start)
        stop = len(data) if found is None else found.start()
        if flags & FOLLOWS:
            descriptor = data.find(b"PK\7\b", start, stop)
            stop = stop if descriptor < 0 else descriptor
    elif stop > len(data):
        found = _SIGNATURE.search(data, start)
        stop = len(data) if found is None else found.start()
    return Record(
        signature, version, flags, method, time, date, crc, there, size,
        data[at + 30 : extra], data[extra:start], data[start:stop], b"",
    )  # fmt: skip


def _directory(data: bytes, at: int) -> Directory | None:
    entries: list[Entry] = []
    start, room = at, len(data)
    while at + 46 <= room and data[at : at + 4] == b"PK\1\2":
        (
            signature, made_by, version, flags, method, time, date, crc, packed, size,
            names, extras, comments, disk, internal, attributes, header,
        ) = CENTRAL.unpack_from(data, at)  # fmt: skip
        extra = at + 46 + names
        comment = extra + extras
        stop = comment + comments
        if stop > room:
            break
        entries.append(
            Entry(
                signature, made_by, version, flags, method, time, date, crc, packed,
                size, disk, internal, attributes, header,
                data[at + 46 : extra], data[extra:comment], data[comment:stop],
            )
        )  # fmt: skip
        at = stop
    return Directory(entries, start, at - start) if entries else None


def _end(data: bytes, at: int) -> End | None:
    if at + 22 > len(data):
        return None
    _, disk, first, here, count, size, start, length = END.unpack_from(data, at)
    comment = data[at + 22 : at + 22 + length]
    told = None if len(comment) == length else length
    return End(disk, first, here, count, size, start, comment, told)


def _end64(data: bytes, at: int) -> End | None:
    if at + 56 > len(data):
        return None
    _, rest, made_by, version, disk, first, here, count, size, start = (
        END64.unpack_from(data, at)
    )
    end = End(disk, first, here, count, size, start, wide=True)
    end.rest = (rest, made_by, version)
    return end


def _locator(data: bytes, at: int) -> Locator | None:
    if at + 20 > len(data):
        return None
    _, disk, end, disks = LOCATOR.unpack_from(data, at)
    return Locator(disk, end, disks)


def _main_directory(data: bytes) -> Directory | None:
    """The one that the last end record leads to, else the first one."""
    end = data.rfind(b"PK\5\6")
    if 0 <= end <= len(data) - 22:
        found = _directory(data, END.unpack_from(data, end)[6])
        if found is not None:
            return found
    at = data.find(b"PK\1\2")
    return None if at < 0 else _directory(data, at)


def _packed(directory: Directory | None, room: int) -> dict[int, int]:
    """How many bytes each record has, by the place of its local header.

    Cut so that records do not run into each other or the directory.
    """
    if directory is None:
        return {}
    packed = {
        entry.get("header") if entry.header == FULL else entry.header: (
            entry.get("packed") if entry.packed == FULL else entry.packed
        )
        for entry in directory.entries
    }
    bound = room
    for place in sorted(packed, reverse=True):
        stop = directory.place if place < directory.place < bound else bound
        packed[place] = min(packed[place], max(stop - place - 30, 0))
        bound = place
    return packed


def _link(parts: list[Part]) -> None:
    """Numbers that are true refer to parts from now on."""
    places = {part.place: part for part in parts}
    last: Directory | None = None
    for part in parts:
        if type(part) is Directory:
            last = part
            for entry in part.entries:
                header = entry.header
                record = places.get(entry.get("header") if header == FULL else header)
                entry.record = record if type(record) is Record else None
        elif type(part) is End:
            about = places.get(-1 if part.start is None else part.start)
            part.directory = about if type(about) is Directory else last
            count, size, start = true(part.directory)
            part.here = None if part.here == count else part.here
            part.count = None if part.count == count else part.count
            part.size = None if part.size == size else part.size
            part.start = None if part.start == start else part.start
        elif type(part) is Locator:
            end = places.get(part.at)
            part.end = end if type(end) is End else None

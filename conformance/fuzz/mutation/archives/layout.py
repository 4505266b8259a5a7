"""Archives whose parts are not where a reader looks, or not where another one does.

What ZipDiff calls c, and more: bytes before, between and behind, records that
share or overlap, two directories, two archives, the numbers of the end record.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from random import Random
from typing import Final

from ...words import Words
from ..edits import damage, lie
from .headers import variant
from .tearing import apart
from .zips import FULL, FULL16, Archive, Directory, End, Locator, Raw, true


def moved(archive: Archive, random: Random, words: Words) -> None:
    """An entry that leads elsewhere."""
    found = archive.listed(random)
    if found is not None:
        found[0].shift = random.choice((-1, 1, 2, 4, -4, 16, -30, 30, -46, 1 << 16))
        if random.random() < 0.4:
            found[0].record = None
            found[0].header = lie(found[0].header, random, 4)


def shared(archive: Archive, random: Random, words: Words) -> None:
    """Two entries about one record: with the right sizes, or with their own."""
    first, second = archive.listed(random), archive.listed(random)
    if first is not None and second is not None:
        entry, other = first[0], second[0]
        entry.record = other.record
        if random.random() < 0.7:
            entry.method, entry.crc = other.method, other.crc
            entry.packed, entry.size, entry.extra = (
                other.packed,
                other.size,
                other.extra,
            )


def planted(archive: Archive, random: Random, words: Words) -> None:
    """A record, header and all, inside the bytes of another one."""
    first, second = archive.listed(random), archive.listed(random)
    if first is None or second is None or first[1] is second[1]:
        return
    (entry, record), (_, host) = first, second
    entry.shift = len(host) - len(host.behind)
    content = host.data + bytes(record)
    method = host.method
    archive.fill(host, content)
    if random.random() < 0.3:
        # Both overlap: the host's sizes are as if it were not there.
        host.method = method
        for about in archive.about(host):
            about.put("size", entry.shift)
    entry.record = host


def unlisted(archive: Archive, random: Random, words: Words) -> None:
    """A record that only readers of streams find, last, first or between."""
    found = archive.listed(random)
    if found is not None:
        hidden = copy(found[1])
        hidden.data = damage(hidden.data, random)
        hidden.packed = hidden.size = len(hidden.data)
        if random.random() < 0.3:
            hidden.name = variant(hidden.name, random)
        at = archive.spot(found[1]) + int(random.random() * 2)
        archive.parts.insert(0 if random.random() < 0.3 else at, hidden)


def gaps(archive: Archive, random: Random, words: Words) -> None:
    """Bytes between the parts."""
    at = int(random.random() * (len(archive.parts) + 1))
    data = random.choice((b"\0", bytes(64), b"PK", b"PK\3\4", b"PK\5\6", b"Z" * 7))
    archive.parts.insert(at, Raw(data))


def prefixed(archive: Archive, random: Random, words: Words) -> None:
    """Bytes before the archive: offsets count from the file's start, or its own."""
    data = random.choice((b"PK\3\4", b"PK\3\4" + bytes(26), b"\0", b"#!", b"\x80\2N."))
    if random.random() < 0.6:
        end, directory = archive.end(), archive.directory()
        for entry in archive.entries():
            entry.shift = -len(data)
        if end is not None and directory is not None:
            archive.together()
            end.start = directory.place
    archive.parts.insert(0, Raw(data))


def trailed(archive: Archive, random: Random, words: Words) -> None:
    """Bytes behind the end record, some as many as windows of 4096 bytes skip."""
    size = random.choice((1, 2, 4, 21, 22, 100, 4070, 4073, 4074, 4075, 4096, 8190))
    archive.parts.append(Raw(random.choice((b"\0", b"P", b"PK\5\6")) * size))


def comments(archive: Archive, random: Random, words: Words) -> None:
    """A comment of an entry or of the archive, with or without its length."""
    end = archive.end()
    comment = random.choice((b"x", b"PK\5\6", b"PK\5\6" + bytes(18), b"PK\1\2" * 12))
    if end is None or random.random() < 0.3:
        for entry in archive.entries()[:1]:
            entry.comment += comment
    else:
        end.comment += comment
        if random.random() < 0.4:
            end.comment_length = lie(len(end.comment), random, 2)


def counts(archive: Archive, random: Random, words: Words) -> None:
    """Fewer or more entries than there are, in one count or both."""
    end = archive.end()
    if end is not None:
        count = true(end.directory)[0]
        said = max(count + random.choice((-1, 1)), 0)
        said = said if random.random() < 0.6 else lie(count, random, 2)
        which = random.random()
        end.here = said if which < 0.8 else None
        end.count = said if which < 0.6 or which >= 0.8 else None


def disks(archive: Archive, random: Random, words: Words) -> None:
    """An archive, or an entry of it, on another disk."""
    end, number = archive.end(), random.choice((1, 1, 2, FULL16))
    match int(random.random() * 4):
        case 0 if end is not None:
            end.disk = number
        case 1 if end is not None:
            end.first = number
        case 2 if end is not None:
            end.disk = end.first = number
        case _:
            for entry in archive.entries()[:1]:
                entry.disk = number


def led(archive: Archive, random: Random, words: Words) -> None:
    """A directory that begins or ends elsewhere."""
    end = archive.end()
    if end is not None:
        archive.together()
        _, size, start = true(end.directory)
        if random.random() < 0.5:
            end.size = lie(size, random, 4)
        else:
            end.start = lie(start, random, 4)


def two_directories(archive: Archive, random: Random, words: Words) -> None:
    """Another directory, of other records, beside that of the end record."""
    end, directory = archive.end(), archive.directory()
    if end is None or directory is None:
        return
    other = Directory([copy(entry) for entry in directory.entries])
    for entry in random.sample(other.entries, min(len(other.entries), 2)):
        if entry.record is not None:
            record, about = entry.record, Directory([entry])
            twin = copy(record)
            entry.record = twin
            Archive([twin, about]).fill(twin, damage(record.data, random), 0)
            archive.parts.insert(archive.spot(record), twin)
    at = archive.parts.index(directory) if directory in archive.parts else 0
    archive.parts.insert(at + 1, other)
    if random.random() < 0.3:
        end.directory = other
    if random.random() < 0.4:
        _wide(archive, end, random.choice((other, directory)), random)


def wide_end(archive: Archive, random: Random, words: Words) -> None:
    """A zip64 end record, with the usual one full, right or wrong."""
    end = archive.end()
    if end is not None:
        _wide(archive, end, end.directory, random)


def _wide(
    archive: Archive, end: End, directory: Directory | None, random: Random
) -> None:
    wide = End(0, 0, None, None, None, None, directory=directory, wide=True)
    locator = Locator(0, 0, 1, wide)
    if random.random() < 0.6:
        end.here = end.count = FULL16
        end.size = end.start = FULL
    match int(random.random() * 12):
        case 0:
            locator.disks = random.choice((0, 2, FULL))
        case 1:
            locator.end, locator.at = None, lie(wide.place, random, 8)
        case 2:
            wide.rest = (lie(44, random, 8), 45, 45)
        case 3:
            wide.here = wide.count = lie(true(directory)[0], random, 8)
        case 4:
            wide.size = lie(true(directory)[1], random, 8)
        case 5:
            wide.start = lie(true(directory)[2], random, 8)
        case 6:
            wide.disk = random.choice((1, FULL))
    at = archive.parts.index(end)
    archive.parts[at:at] = [wide, locator]
    if random.random() < 0.1:
        archive.parts.insert(at + 2, Raw(b"\0"))


def ends(archive: Archive, random: Random, words: Words) -> None:
    """No end record, two of them, or one cut short."""
    end = archive.end()
    if end is None:
        end = End(0, 0, None, None, None, None, directory=archive.directory())
        archive.parts.append(end)
        return
    at = archive.parts.index(end)
    match int(random.random() * 4):
        case 0:
            del archive.parts[at]
        case 1:
            # For a reader of streams it ends between two records.
            archive.parts.insert(int(random.random() * at), copy(end))
        case 2:
            twin = copy(end)
            twin.here = twin.count = lie(true(end.directory)[0], random, 2)
            archive.parts.insert(at + int(random.random() * 2), twin)
        case _:
            archive.parts[at] = Raw(bytes(end)[: int(random.random() * 22)])


def cut(archive: Archive, random: Random, words: Words) -> None:
    """An archive that ends too soon."""
    data = archive.together()
    stop = int(random.random() * len(data))
    archive.parts[:] = [Raw(data[:stop])]


def two_archives(archive: Archive, random: Random, words: Words) -> None:
    """The archive and another one: behind it, before it, or in its comment."""
    data = archive.together()
    if len(data) > FULL16:
        return
    other = apart(data)
    for record in random.sample(other.records(), min(len(other.records()), 2)):
        other.fill(record, damage(record.data, random))
    end = archive.end()
    match int(random.random() * 4):
        case 0 if end is not None:
            off = random.choice((0, 0, -1, 1))
            end.comment_length = len(end.comment) + len(other.together()) + off
            archive.parts += other.parts
        case 1:
            # Offsets of the second count from its own start.
            archive.parts.append(Raw(other.together()))
        case 2:
            archive.parts += other.parts
        case _:
            archive.parts[0:0] = other.parts


Mutation = Callable[[Archive, Random, Words], None]

MUTATIONS: Final[tuple[tuple[int, Mutation], ...]] = (
    (6, moved),
    (6, shared),
    (6, planted),
    (4, unlisted),
    (4, gaps),
    (3, prefixed),
    (3, trailed),
    (4, comments),
    (6, counts),
    (3, disks),
    (5, led),
    (4, two_directories),
    (5, wide_end),
    (3, ends),
    (2, cut),
    (4, two_archives),
)

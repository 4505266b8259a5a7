"""Zip archives: fewer parts and entries, headers as usual, a short root."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from ..mutation.archives.tearing import apart
from ..mutation.archives.zips import (
    STORED,
    Archive,
    Directory,
    End,
    Entry,
    Locator,
    Part,
    Raw,
    Record,
)
from . import pickles, records
from .ddmin import ddmin
from .search import Level, Search

#: What headers say as a rule, and `None` where that is what is true.
USUAL: Final[dict[type[Any], dict[str, Any]]] = {
    Raw: {},
    Record: {
        "version": 20, "flags": 0, "time": 0, "date": 33, "extra": b"", "behind": b"",
        "name_length": None, "extra_length": None,
    },
    Directory: {},
    Entry: {
        "made_by": 20, "version": 20, "flags": 0, "time": 0, "date": 33, "extra": b"",
        "comment": b"", "disk": 0, "internal": 0, "attributes": 0, "shift": 0,
        "name_length": None, "extra_length": None, "comment_length": None,
    },
    End: {
        "disk": 0, "first": 0, "here": None, "count": None, "size": None,
        "start": None, "comment": b"", "comment_length": None,
    },
    Locator: {"disk": 0, "disks": 1},
}  # fmt: skip
#: Of a record: that it is stored, with the true checksum and sizes everywhere;
#: and that it has the name under which it is listed.
CONTENT: Final = "(content)"
NAME: Final = "(name)"

#: Bytes in a part that need no other part to know of them.
LOOSE: Final[dict[type[Any], tuple[str, ...]]] = {
    Raw: ("data",),
    Record: ("extra", "behind"),
    Directory: (),
    Entry: ("extra", "comment"),
    End: ("comment",),
    Locator: (),
}

#: A part or an entry, by its number, and one of its fields.
Field = tuple[int, str]


def is_archive(data: bytes) -> bool:
    """Whether there is a record in it that something lists."""
    if b"PK\3\4" not in data:
        return False
    archive = apart(data)
    return any(entry.record is not None for entry in archive.entries())


# --------------------------------------------------------------- what is inside


def _contents(data: bytes) -> list[bytes]:
    archive = apart(data)
    return [record.content(_method(archive, record)) for record in archive.records()]


def _method(archive: Archive, record: Record) -> int:
    """Readers go by the directory."""
    return next((entry.method for entry in archive.about(record)), record.method)


def _fill(data: bytes, number: int, content: bytes) -> bytes:
    archive = apart(data)
    record = archive.records()[number]
    archive.fill(record, content, _method(archive, record))
    return archive.together()


def _keep(data: bytes, kept: Sequence[int]) -> bytes:
    archive = apart(data)
    chosen = set(kept)
    for number, record in enumerate(archive.records()):
        if number not in chosen:
            archive.remove(record)
    return archive.together()


ZIP: Final = records.Format(is_archive, _contents, _fill, _keep)

# ---------------------------------------------------------------------- levels


def parts(search: Search) -> None:
    """Without entries whose records stay, directories, end records, loose bytes."""
    data = search.best
    numbers: list[tuple[int, int]] = []
    for number, part in enumerate(apart(data).parts):
        # A record goes with what lists it, or its place is that of another one.
        if type(part) is not Record:
            numbers.append((number, -1))
        if type(part) is Directory:
            numbers += [(number, index) for index in range(len(part.entries))]
    ddmin(numbers, lambda kept: search.better(_with(data, set(kept))))


def _with(data: bytes, kept: AbstractSet[tuple[int, int]]) -> bytes:
    archive = apart(data)
    parts: list[Part] = []
    for number, part in enumerate(archive.parts):
        if type(part) is Directory:
            entries = enumerate(part.entries)
            part.entries[:] = [one for at, one in entries if (number, at) in kept]
        if type(part) is Record or (number, -1) in kept:
            parts.append(part)
    return Archive(parts).together()


def headers(search: Search) -> None:
    """The fewest fields that are not as usual."""
    data = search.best
    odd = list(_odd(data))
    ddmin(odd, lambda kept: search.better(_usual(data, set(odd).difference(kept))))


def _odd(data: bytes) -> Iterator[Field]:
    for number, part in enumerate(_all(apart(data))):
        for field, value in USUAL[type(part)].items():
            if getattr(part, field) != value:
                yield number, field
        if type(part) is Record:
            for field in (CONTENT, NAME):
                if _usual(data, {(number, field)}) != data:
                    yield number, field


def _usual(data: bytes, fields: AbstractSet[Field]) -> bytes:
    archive = apart(data)
    every = list(_all(archive))
    for number, field in fields:
        if field not in (CONTENT, NAME):
            setattr(every[number], field, USUAL[type(every[number])][field])
    # Where sizes stand depends on the flags.
    for number, field in fields:
        record = every[number]
        if field == CONTENT:
            content = record.content(_method(archive, record))
            archive.fill(record, content, STORED)
        elif field == NAME:
            names = (entry.name for entry in archive.about(record))
            record.name = next(names, record.name)
    return archive.together()


def _all(archive: Archive) -> Iterator[Any]:
    """Parts, and the entries of directories."""
    for part in archive.parts:
        yield part
        if type(part) is Directory:
            yield from part.entries


def loose(search: Search) -> None:
    """Less in comments, extra fields, and between the parts."""
    for number, part in enumerate(list(_all(apart(search.best)))):
        for field in LOOSE[type(part)]:
            _loosen(search, number, field)


def _loosen(search: Search, number: int, field: str) -> None:
    data = search.best
    every = list(_all(apart(data)))
    if number >= len(every) or not hasattr(every[number], field):
        return

    def holds(less: bytes) -> bool:
        archive = apart(data)
        setattr(list(_all(archive))[number], field, less)
        return search.better(archive.together())

    pickles.shorter(getattr(every[number], field), holds)


#: The shortest root with a name.
ROOT: Final = b"a"


def names(search: Search) -> None:
    """A short root, in all names."""
    archive = apart(search.best)
    for root in sorted({name.partition(b"/")[0] for name in _names(archive)}):
        if len(root) > len(ROOT):
            search.better(_renamed(search.best, root + b"/", ROOT + b"/"))


def _names(archive: Archive) -> Iterable[bytes]:
    return [one.name for one in _all(archive) if type(one) in (Record, Entry)]


def _renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    archive = apart(data)
    for header in _all(archive):
        if type(header) in (Record, Entry) and header.name.startswith(old):
            header.name = new + header.name[len(old) :]
    return archive.together()


def on_archives(level: Callable[[Search], None]) -> Level:
    """The level, for archives alone."""

    def run(search: Search) -> None:
        if is_archive(search.best):
            level(search)

    return run


_FEWER, *_INSIDE = records.levels(ZIP)
LEVELS: Final = (
    _FEWER,
    *map(on_archives, (parts, headers, loose, names)),
    *_INSIDE,
)

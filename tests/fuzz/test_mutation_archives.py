"""Mutants of zip archives: what is right in them, and what they reach."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Final

import pytest

from conformance.fuzz.mutation import archives
from conformance.fuzz.mutation.archives import layout, mutants
from conformance.fuzz.mutation.archives.tearing import apart
from conformance.fuzz.mutation.archives.zips import (
    DEFLATED,
    STORED,
    Archive,
    Directory,
    End,
    Record,
)
from tests.fuzz.containers import WORDS, ZIP, opens, seeded, zips


def test_most_mutants_still_open() -> None:
    """A mutant that no reader gets into shows nothing about what comes after."""
    random = seeded("open")
    found = zips()
    assert len(found) > 2_500
    opened = 0
    for _ in range(1_500):
        opened += opens(archives.mutate(random.choice(found), random, WORDS))
    # 0.68 when this was written.
    assert 0.6 < opened / 1_500 < 0.85


CONTENTS: Final = [
    pytest.param(mutation, share, id=mutation.__name__)
    for mutation, share in (
        (mutants.pickled, 0.95),
        (mutants.resized, 0.6),
        (mutants.damaged, 0.4),
        (mutants.repacked, 0.95),
        (mutants.swapped_order, 0.95),
        (mutants.added, 0.8),
        (layout.unlisted, 0.95),
    )
]


@pytest.mark.parametrize(("mutation", "share"), CONTENTS)
def test_what_is_not_chosen_to_lie_is_right(
    mutation: mutants.Mutation, share: float
) -> None:
    random = seeded(mutation.__name__)
    found = random.sample(zips(), 100)
    opened = 0
    for data in found:
        archive = apart(data)
        mutation(archive, random, WORDS)
        opened += opens(archive.together())
    assert opened / len(found) >= share


def test_other_content_has_the_right_headers() -> None:
    """Python's zipfile checks sizes, places, names and checksums of both headers."""
    random = seeded("fill")
    checked = 0
    for data in random.sample(zips(), 1_000):
        if not zipfile_agrees(data):
            continue
        archive = apart(data)
        kinds = [type(part) for part in archive.parts]
        end = archive.end()
        if (
            data.count(b"PK\5\6") != 1
            or kinds.count(Directory) != 1
            or data.startswith(b"PK\3\4PK\3\4")
            or end is None
            or len(archive.records()) != len(archive.entries())
            or {end.here, end.count, end.size, end.start} != {None}
        ):
            # Two archives, bytes before the first record, or not all is listed.
            continue
        expected = [b"more"]
        lies = not all(map(descriptor, archive.records()))
        for record in archive.records():
            content = random.randbytes(int(random.random() * 90)) * 2
            archive.fill(record, content, random.choice((STORED, DEFLATED)))
            expected.append(content)
        archive.add(b"archive/more", b"more", archive.entries()[0])
        out = archive.together()
        assert zipfile_agrees(out)
        with zipfile.ZipFile(io.BytesIO(out)) as file:
            assert sorted(map(file.read, file.namelist())) == sorted(expected)
        # What the directory does not say: a reader of streams sees it.
        assert lies or all(map(descriptor, apart(out).records()))
        checked += 1
    assert checked > 700


#: What Python's zipfile raises for archives of the corpus.
UNREADABLE: Final = (
    *(zipfile.BadZipFile, OSError, RuntimeError, ValueError, OverflowError),
    *(EOFError, zlib.error),
)


def zipfile_agrees(data: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            names = file.namelist()
            return len({*names}) == len(names) and file.testzip() is None
    except UNREADABLE:
        return False


def descriptor(record: Record) -> bool:
    """No data descriptor, or one with the right packed size."""
    behind = record.behind
    if not record.flags & 8 or behind[:4] != b"PK\7\b":
        return True
    return len(record.data) in {
        *struct.unpack_from("<8xI", behind),
        *(struct.unpack_from("<8xQ", behind) if len(behind) >= 24 else ()),
    }


def test_an_archive_in_a_record_stays_whole() -> None:
    archive = apart(ZIP)
    archive.add(b"archive/inner", ZIP)
    again = apart(archive.together())
    assert [record.name for record in again.records()][-1] == b"archive/inner"
    assert again.records()[-1].data == ZIP
    assert len(again.records()) == len(apart(ZIP).records()) + 1


SPECIAL: Final = (b"\0", b"\n", b":", b"*")
SPELLED: Final = (b"/./", b"//", b"../", b"\\")


def ambiguities(archive: Archive) -> Iterator[str]:
    """Of ZipDiff's fourteen types, those that an archive shows."""
    end, entries = archive.end(), archive.entries()
    if end is None or not entries:
        return
    pairs = [(each, each.record) for each in entries if each.record is not None]
    names = [entry.name for entry in entries]
    lower = [name.lower() for name in names]
    listed = {id(record) for _, record in pairs}
    wide = [part for part in archive.parts if type(part) is End and part.wide]
    directories = sum(type(part) is Directory for part in archive.parts)
    shows = {
        "a1": any(e.method != r.method for e, r in pairs),
        "a2": any(not r.flags & 8 and r.size != e.get("size") for e, r in pairs),
        "a3": any(e.name != r.name or b"up" in e.extra for e, r in pairs),
        "a4": any(e.attributes & 0xF000_0010 for e in entries),
        "a5": any((e.flags ^ r.flags) & 1 for e, r in pairs),
        "b1": len({*names}) < len(names),
        "b2": any(mark in name for name in names for mark in SPECIAL),
        "b3": any(mark in name for name in names for mark in SPELLED),
        "b4": len({*lower}) < len({*names}),
        "c1": any(id(record) not in listed for record in archive.records()),
        "c2": archive.parts[-1] is not end or end.comment_length is not None,
        "c3": not wide and (end.here is not None or end.count is not None),
        "c4": end.start is not None or directories > 1,
        "c5": bool(wide) and end.count is None and end.directory is not None,
    }
    yield from (kind for kind, shown in shows.items() if shown)


def test_the_ambiguities_of_zipdiff_are_reached() -> None:
    """All fourteen, in mutants that our parser opens."""
    assert not [*ambiguities(apart(ZIP))]
    random = seeded("ambiguous")
    reached: dict[str, int] = {}
    for _ in range(8_000):
        mutant = archives.mutate(ZIP, random, WORDS)
        if opens(mutant):
            for kind in ambiguities(apart(mutant)):
                reached[kind] = reached.get(kind, 0) + 1
    numbers = {"a": 5, "b": 4, "c": 5}
    types = {f"{kind}{n + 1}" for kind, count in numbers.items() for n in range(count)}
    assert types - reached.keys() == set()

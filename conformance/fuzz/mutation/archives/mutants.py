"""Mutants of zip archives: the pickle, the records, what the headers say of them.

The archive is taken apart (`tearing`), one to three of the mutations below
change its parts, and it is put together with right values for whatever was not
chosen to lie. This module has what archives contain; `headers` what is said of it,
and `layout` where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from itertools import accumulate
from random import Random
from typing import Final

from ...words import Words
from .. import pickles
from ..edits import damage, lie
from . import headers, layout
from .tearing import apart
from .zips import DEFLATED, STORED, Archive, Entry, Record

Mutation = Callable[[Archive, Random, Words], None]

#: Longest content that a mutation repeats or makes, in bytes.
_MOST: Final = 1 << 14

#: Content at the edges, for the records about the archive itself.
_NUMBERS: Final = (
    b"", b"0", b"1", b"1\n", b"2", b"3", b"3\n", b"10", b"11", b"-1", b"+3", b" 3",
    b"03", b"3junk", b"0x3", b"3.0", b"3_0", b"\xd9\xa3", b"64", b"999",
    b"18446744073709551615", b"18446744073709551619", b"9" * 5000, b"\xff\xfe",
)  # fmt: skip
_ORDERS: Final = (
    b"little", b"big", b"", b"LITTLE", b"Big", b"little\n", b"native", b"middle",
    b"\xef\xbb\xbflittle", b"l\0i\0t\0t\0l\0e\0", b"littlebig",
)  # fmt: skip
_IDENTIFIERS: Final = (b"", b"0" * 40, b"\xff", b"\xed\xa0\x80", b"\0", b"1" * 600)
_METADATA: Final[tuple[tuple[bytes, tuple[bytes, ...]], ...]] = (
    (b"version", _NUMBERS),
    (b".data/version", _NUMBERS),
    (b"byteorder", _ORDERS),
    (b".format_version", _NUMBERS),
    (b".storage_alignment", _NUMBERS),
    (b".data/serialization_id", _IDENTIFIERS),
)

#: Names that mean something to a reader, beside those in `Words.records`.
_RECORDS: Final = (
    b"data.pkl", b"constants.pkl", b"data/0", b"data/1", b"data/00", b"tensors/0",
    b"constants/0", b"code/__torch__.py", b"version", b"byteorder", b"model.json",
    b"archive_format", b".data/extern_modules", b"data/", b"",
)  # fmt: skip


def mutate(data: bytes, random: Random, words: Words) -> bytes:
    """Another archive than `data`; bytes that are none suffer accidents."""
    archive = apart(data)
    if not archive.entries() and not archive.records():
        return damage(data, random)
    for _ in range(4):
        for mutation in random.choices(
            _FUNCTIONS, cum_weights=_WEIGHTS, k=random.choice((1, 1, 1, 1, 2, 3))
        ):
            mutation(archive, random, words)
        out = archive.together()
        if out != data:
            return out
    return damage(data, random)


def is_archive(data: bytes) -> bool:
    """Whether a reader of checkpoints would take it for one."""
    return data[:4] == b"PK\3\4"


def pickle_of(archive: Archive, random: Random) -> tuple[Entry, Record] | None:
    """The object's pickle, or now and then another one."""
    found = [
        (entry, entry.record)
        for entry in archive.entries()
        if entry.record is not None and entry.name[-4:].lower() == b".pkl"
    ]
    if not found:
        return None
    if len(found) > 1 and random.random() < 0.2:
        return random.choice(found)
    for entry, record in found:
        if entry.name[-8:].lower() == b"data.pkl":
            return entry, record
    return found[0]


def _storage(archive: Archive, random: Random) -> tuple[Entry, Record] | None:
    """A record with the bytes of a storage, if there is one."""
    found = [
        entry
        for entry in archive.entries()
        if b"/data/" in entry.name or b"/constants/" in entry.name
    ]
    if not found:
        return archive.listed(random)
    entry = random.choice(found)
    return None if entry.record is None else (entry, entry.record)


def _root(archive: Archive) -> bytes:
    """The folder of the first entry, with its slash."""
    entries = archive.entries()
    folder, slash, _ = entries[0].name.partition(b"/") if entries else (b"",) * 3
    return folder + slash


def _name(random: Random, words: Words) -> bytes:
    if words.records and random.random() < 0.5:
        return random.choice(words.records).encode("utf-8", "surrogatepass")
    return random.choice(_RECORDS)


# ------------------------------------------------------------------- mutations


def pickled(archive: Archive, random: Random, words: Words) -> None:
    """Another pickle, packed as the one before."""
    found = pickle_of(archive, random)
    if found is not None:
        entry, record = found
        content = pickles.mutate(record.content(entry.method), random, words)
        archive.fill(record, content, entry.method)


def resized(archive: Archive, random: Random, words: Words) -> None:
    """A storage longer, shorter or empty, and the headers tell."""
    found = _storage(archive, random)
    if found is not None:
        entry, record = found
        content = record.content(entry.method)
        size = min(lie(len(content), random, 4), 2 * len(content) + 64, _MOST)
        content = (content + bytes(max(size - len(content), 0)))[:size]
        archive.fill(record, content, entry.method)


def damaged(archive: Archive, random: Random, words: Words) -> None:
    """Accidents on the bytes of a record, and the headers tell."""
    found = archive.listed(random)
    if found is not None:
        entry, record = found
        content = damage(record.content(entry.method), random)
        archive.fill(record, content, entry.method)


def damaged_packed(archive: Archive, random: Random, words: Words) -> None:
    """Accidents on a DEFLATE stream, and bytes behind it: sizes are those before."""
    found = archive.listed(random)
    if found is not None:
        entry, record = found
        content = record.content(entry.method)
        archive.fill(record, content, DEFLATED)
        record.data = (
            record.data + random.randbytes(4)
            if random.random() < 0.2
            else damage(record.data, random)
        )
        if random.random() < 0.5:
            entry.put("packed", len(record.data))


def described(archive: Archive, random: Random, words: Words) -> None:
    """The archive's version, byte order, alignment or id at the edges."""
    name, contents = random.choice(_METADATA)
    content = random.choice(contents)
    for entry in archive.entries():
        if entry.record is not None and entry.name.endswith(b"/" + name):
            archive.fill(entry.record, content, entry.method)
            return
    archive.add(_root(archive) + name, content, _like(archive))


def repacked(archive: Archive, random: Random, words: Words) -> None:
    """Stored instead of packed, or the other way round; one record or all."""
    entries = archive.entries()
    some = entries if random.random() < 0.3 else entries and [random.choice(entries)]
    for entry in some:
        if entry.record is not None:
            content = entry.record.content(entry.method)
            method = STORED if entry.method == DEFLATED else DEFLATED
            archive.fill(entry.record, content, method)


def inflating(archive: Archive, random: Random, words: Words) -> None:
    """A packed record that is much longer than its packed bytes."""
    found = archive.listed(random)
    if found is not None:
        size = random.choice((1 << 10, 1 << 12, _MOST))
        content = random.choice((b"\0", b"(", b"N", b"]", b"0")) * size
        archive.fill(found[1], content, DEFLATED)


def swapped_order(archive: Archive, random: Random, words: Words) -> None:
    """The other byte order, with or without the storages' bytes swapped."""
    big = True
    for entry in archive.entries():
        if entry.record is not None and entry.name.endswith(b"/byteorder"):
            big = entry.record.content(entry.method) != b"big"
            archive.fill(entry.record, b"big" if big else b"little", entry.method)
            break
    else:
        archive.add(_root(archive) + b"byteorder", b"big", _like(archive))
    itemsize = random.choice((0, 0, 2, 4, 8))
    for entry in archive.entries() if itemsize else ():
        if entry.record is not None and b"/data/" in entry.name:
            content = entry.record.content(entry.method)
            items = (
                content[at : at + itemsize][::-1]
                for at in range(0, len(content), itemsize)
            )
            archive.fill(entry.record, b"".join(items), entry.method)


def added(archive: Archive, random: Random, words: Words) -> None:
    """A record with a name that means something."""
    found = archive.listed(random)
    content = b"" if found is None else found[1].content(found[0].method)
    archive.add(_root(archive) + _name(random, words), content, _like(archive))


def dropped(archive: Archive, random: Random, words: Words) -> None:
    """A record gone: from the file, from the directory, or from both."""
    found = archive.listed(random)
    if found is not None:
        entry, record = found
        match int(random.random() * 3):
            case 0:
                archive.remove(record)
            case 1:
                archive.entries().remove(entry)
            case _:
                archive.take(record)


def doubled(archive: Archive, random: Random, words: Words) -> None:
    """Up to six more records of one name, before or behind it in the directory."""
    found = pickle_of(archive, random) if random.random() < 0.4 else None
    found = found or archive.listed(random)
    if found is None:
        return
    entry, record = found
    entries = archive.entries()
    content = record.content(entry.method)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6)) if len(content) < _MOST else 1):
        if entry.name.endswith(b".pkl") and random.random() < 0.7:
            content = pickles.mutate(content, random, words)
        else:
            content = damage(content, random)
        name = entry.name.swapcase() if random.random() < 0.2 else entry.name
        twin = archive.add(name, content, entry)
        if random.random() < 0.5:
            entries.remove(twin)
            entries.insert(int(random.random() * (len(entries) + 1)), twin)


def renamed(archive: Archive, random: Random, words: Words) -> None:
    """A record by another name, in both headers."""
    found = archive.listed(random)
    if found is not None:
        entry, record = found
        if random.random() < 0.3:
            name = _root(archive) + _name(random, words)
        else:
            name = headers.variant(entry.name, random)
        record.name = entry.name = name


def rooted(archive: Archive, random: Random, words: Words) -> None:
    """Another root folder: of all records, or of the one that decides."""
    root = _root(archive)
    other = random.choice((b"", b"/", b"a/", b"archive/", b"Archive/", b"a/b/",
                           b"\xff/", b"../", b"a" * 511 + b"/", b"./"))  # fmt: skip
    if random.random() < 0.3:
        other = headers.variant(root[:-1], random) + b"/"
    entries = archive.entries()
    for entry in entries if random.random() < 0.7 else entries[:1]:
        if entry.name.startswith(root):
            entry.name = other + entry.name[len(root) :]
            if entry.record is not None:
                entry.record.name = entry.name


def reordered(archive: Archive, random: Random, words: Words) -> None:
    """The directory, or the records in the file, in another order."""
    if random.random() < 0.6:
        random.shuffle(archive.entries())
    else:
        places = [at for at, part in enumerate(archive.parts) if type(part) is Record]
        records = archive.records()
        random.shuffle(records)
        for at, record in zip(places, records, strict=True):
            archive.parts[at] = record


def exchanged(archive: Archive, random: Random, words: Words) -> None:
    """Two records with each other's bytes."""
    first, second = archive.listed(random), archive.listed(random)
    if first is not None and second is not None:
        contents = [record.content(entry.method) for entry, record in (first, second)]
        archive.fill(first[1], contents[1], first[0].method)
        archive.fill(second[1], contents[0], second[0].method)


def nested(archive: Archive, random: Random, words: Words) -> None:
    """The whole archive in a record of itself."""
    inner = archive.together()[:_MOST]
    content = damage(inner, random) if random.random() < 0.3 else inner
    archive.add(_root(archive) + _name(random, words), content)
    if random.random() < 0.5:
        # Before the others, so that a reader of streams finds it first.
        last = archive.records()[-1]
        archive.take(last)
        archive.parts.insert(0, last)


def aligned(archive: Archive, random: Random, words: Words) -> None:
    """Bytes that begin at multiples of a number, by torch's padding, or do not."""
    alignment = random.choice((1, 3, 16, 64, 64, 128, 4096))
    at = 0
    for part in archive.parts:
        if type(part) is Record:
            part.extra = b""
            padding = -(at + len(part) - len(part.data) - len(part.behind) + 4)
            padding %= alignment
            if alignment > 1 and len(part.extra) + padding < 1 << 12:
                part.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
        at += len(part)


def _like(archive: Archive) -> Entry | None:
    """An entry to take the headers of a new one from."""
    for entry in archive.entries():
        if entry.record is not None:
            return copy(entry)
    return None


#: How often each mutation comes, and which.
MUTATIONS: Final[tuple[tuple[int, Mutation], ...]] = (
    (150, pickled),
    (20, resized),
    (14, damaged),
    (6, damaged_packed),
    (22, described),
    (10, repacked),
    (2, inflating),
    (6, swapped_order),
    (10, added),
    (8, dropped),
    (12, doubled),
    (12, renamed),
    (5, rooted),
    (5, reordered),
    (6, exchanged),
    (2, nested),
    (3, aligned),
    *headers.MUTATIONS,
    *layout.MUTATIONS,
)

_FUNCTIONS: Final = tuple(mutation for _, mutation in MUTATIONS)
_WEIGHTS: Final = tuple(accumulate(weight for weight, _ in MUTATIONS))

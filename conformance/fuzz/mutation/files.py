"""Mutants of whole files: of the container that a file is, now and then of others.

What a file is, its first bytes say, as readers have it: `PK\\3\\4` is a zip
archive, a header with the right checksum a tar, and anything else a pickle: a
legacy stream or a plain one.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

from ..words import Words
from . import archives, streams, tars
from .archives.tearing import apart
from .archives.zips import DEFLATED, Archive, Directory, End
from .edits import damage

#: How often the mutant is in another container than the file.
_CROSSED: Final = 0.05

#: The members of a tar without storages and tensors.
_NONE: Final = b"\x80\2K\0."
_NO_VIEWS: Final = b"\x80\2]."


class Contents(NamedTuple):
    """A pickle, and storages by their keys, wherever they came from."""

    pickle: bytes
    storages: list[tuple[bytes, bytes]]


def mutate(data: bytes, random: Random, words: Words) -> bytes:
    """Another file than `data`."""
    if random.random() < _CROSSED:
        out = random.choice(CROSSINGS)(data, contents(data, random), random)
        if out != data:
            return out
    if archives.is_archive(data):
        return archives.mutate(data, random, words)
    if tars.is_tar(data):
        return tars.mutate(data, random, words)
    return streams.mutate(data, random, words)


def contents(data: bytes, random: Random) -> Contents:
    """The pickle in a file and its storages; bytes that are none are the pickle."""
    if archives.is_archive(data):
        return _in_archive(apart(data), data, random)
    if tars.is_tar(data):
        members = {member.name: member.content for member in tars.apart(data).members}
        return Contents(members.get(b"pickle", data), list(members.items()))
    for stream in streams.apart(data):
        if len(stream.pickles) > streams.KEYS:
            keys = [
                key.lstrip(b"X").strip(b"\0\1\2\3\4\5\n") or b"0"
                for key in streams.keys_of(stream.pickles[streams.KEYS])
            ]
            storages = [stored.data for stored in stream.storages]
            pairs = list(zip(keys, storages, strict=False))
            return Contents(stream.pickles[streams.OBJECT], pairs)
        if stream.pickles:
            return Contents(stream.pickles[0], [])
    return Contents(data, [])


def _in_archive(archive: Archive, data: bytes, random: Random) -> Contents:
    found = archives.pickle_of(archive, random)
    storages = [
        (entry.name.rpartition(b"/")[2], entry.record.content(entry.method))
        for entry in archive.entries()
        if entry.record is not None and b"/data/" in entry.name
    ]
    if found is None:
        return Contents(data, storages)
    return Contents(found[1].content(found[0].method), storages)


# ------------------------------------------------------------------- crossings

Crossing = Callable[[bytes, Contents, Random], bytes]


def zipped(data: bytes, found: Contents, random: Random) -> bytes:
    """The pickle and the storages as an archive."""
    records = [(b"data.pkl", found.pickle), (b"byteorder", b"little")]
    records += [(b"data/" + key, content) for key, content in found.storages]
    return pack([*records, (b"version", b"3\n")], random)


def zipped_whole(data: bytes, found: Contents, random: Random) -> bytes:
    """The file as a record of an archive."""
    name = random.choice((b"data.pkl", b"data/0", b"constants.pkl"))
    records = [(b"data.pkl", found.pickle), (name, data), (b"version", b"3\n")]
    return pack(records if random.random() < 0.5 else records[1:], random)


def pack(records: list[tuple[bytes, bytes]], random: Random) -> bytes:
    """A zip archive of records in one root folder; packed ones among them."""
    directory = Directory([])
    end = End(0, 0, None, None, None, None, directory=directory)
    archive = Archive([directory, end])
    for name, content in records:
        entry = archive.add(b"archive/" + name, content)
        if entry.record is not None and random.random() < 0.1:
            archive.fill(entry.record, content, DEFLATED)
    return archive.together()


def streamed(data: bytes, found: Contents, random: Random) -> bytes:
    """The pickle and the storages as a legacy stream."""
    keys = streams.keys_pickle([streams.text(key) for key, _ in found.storages])
    itemsize = random.choice((4, 4, 8, 1))
    stored = [
        streams.Stored((len(content) // itemsize).to_bytes(8, "little"), content)
        for _, content in found.storages
    ]
    return bytes(streams.Stream([*streams.HEAD, found.pickle, keys], stored))


def streamed_whole(data: bytes, found: Contents, random: Random) -> bytes:
    """The file behind the pickles that begin a stream, or cut to them."""
    return b"".join(streams.HEAD[: random.choice((1, 2, 3))]) + data


def tarred(data: bytes, found: Contents, random: Random) -> bytes:
    """The pickle, or the file, in a tar without storages."""
    pickle = data if random.random() < 0.3 else found.pickle
    members = {
        b"sys_info": streams.HEAD[streams.MACHINE],
        b"pickle": pickle,
        b"storages": _NONE + _NO_VIEWS,
        b"tensors": _NONE,
    }
    made = [tars.made(name, content) for name, content in members.items()]
    return bytes(tars.Tar(made, bytes(2 * tars.BLOCK)))


def bare(data: bytes, found: Contents, random: Random) -> bytes:
    """The pickle alone, or the bytes of a storage."""
    if found.storages and random.random() < 0.1:
        return random.choice(found.storages)[1]
    return found.pickle


def both(data: bytes, found: Contents, random: Random) -> bytes:
    """Two containers in a row, each whole: which one a reader takes is its choice."""
    other = random.choice((zipped, streamed, tarred, bare))(data, found, random)
    return data + other if random.random() < 0.5 else other + data


def headed(data: bytes, found: Contents, random: Random) -> bytes:
    """What another container begins with, before the file or over its beginning."""
    head = random.choice(
        (b"PK\3\4", b"\x80\2", streams.HEAD[0], b"\x1f\x8b", b"PK\5\6", b"\x80\2N.",
         bytes(tars.made(b"pickle", b"")), b"\x93NUMPY", b"")
    )  # fmt: skip
    if random.random() < 0.5:
        return head + data[len(head) :]
    return head + (data if head else damage(data, random))


#: Files of another container, or of two.
CROSSINGS: Final[tuple[Crossing, ...]] = (
    zipped,
    zipped,
    zipped_whole,
    streamed,
    streamed,
    streamed_whole,
    tarred,
    bare,
    both,
    headed,
)

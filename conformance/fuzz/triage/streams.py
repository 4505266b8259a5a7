"""Legacy streams: fewer storages, with their keys; less in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ..mutation.pickles.stack import split, start_of
from ..mutation.streams import (
    KEYS,
    MAGIC,
    MAGIC_TEXT,
    OBJECT,
    Stored,
    Stream,
    apart,
    keys_of,
    keys_pickle,
)
from . import records
from .pickles import NONE
from .search import Search


def is_stream(data: bytes) -> bool:
    """Whether it begins with the pickle of the magic number."""
    head = data[:32]
    return MAGIC in head or MAGIC_TEXT in head


class _Place(NamedTuple):
    """A part: the pickle, the storage (after those) or the rest of a stream."""

    stream: int
    part: int


def _places(streams: list[Stream]) -> Iterator[_Place]:
    for number, stream in enumerate(streams):
        count = len(stream.pickles) + len(stream.storages) + bool(stream.rest)
        yield from (_Place(number, part) for part in range(count))


def _contents(data: bytes) -> list[bytes]:
    return [
        part
        for stream in apart(data)
        for part in (
            *stream.pickles,
            *(stored.data for stored in stream.storages),
            *filter(None, [stream.rest]),
        )
    ]


def _fill(data: bytes, number: int, content: bytes) -> bytes:
    streams = apart(data)
    place = list(_places(streams))[number]
    stream = streams[place.stream]
    part = place.part - len(stream.pickles)
    if part < 0:
        stream.pickles[part] = content
    elif part < len(stream.storages):
        old = stream.storages[part]
        stream.storages[part] = Stored(_count(old, len(content)), content)
    else:
        stream.rest = content
    return b"".join(map(bytes, streams))


def _count(old: Stored, size: int) -> bytes:
    """As many elements as there are, if that is what it said before."""
    count = int.from_bytes(old.count, "little")
    if not count or len(old.data) % count:
        return old.count
    return (size // (len(old.data) // count)).to_bytes(8, "little")


def _keep(data: bytes, kept: Sequence[int]) -> bytes:
    streams = apart(data)
    places = list(_places(streams))
    chosen = {places[number] for number in kept}
    for number, stream in enumerate(streams):
        before = len(stream.pickles)
        stored = range(before, before + len(stream.storages))
        there = [part for part in stored if (number, part) in chosen]
        _unlist(stream, [part - before for part in there])
        stream.storages = [stream.storages[part - before] for part in there]
        stream.pickles = [
            pickle
            for part, pickle in enumerate(stream.pickles)
            if (number, part) in chosen
        ]
        if (number, stored.stop) not in chosen:
            stream.rest = b""
    return b"".join(map(bytes, streams))


def _unlist(stream: Stream, kept: Sequence[int]) -> None:
    """Takes the keys of storages that go out of the list, if that has them all."""
    if len(stream.pickles) <= KEYS or len(kept) == len(stream.storages):
        return
    keys = keys_of(stream.pickles[KEYS])
    if len(keys) == len(stream.storages):
        stream.pickles[KEYS] = keys_pickle([keys[number] for number in kept])


STREAM: Final = records.Format(is_stream, _contents, _fill, _keep)

PERSID: Final = b"Q"


def storages(search: Search) -> None:
    """Without a storage, its key, and every reference to it."""
    if not is_stream(search.best):
        return
    for number, stream in enumerate(apart(search.best)):
        for place in reversed(range(len(stream.storages))):
            without = _without(search.best, number, place)
            if without is not None:
                search.better(without)


def _without(data: bytes, number: int, place: int) -> bytes | None:
    streams = apart(data)
    if number >= len(streams) or place >= len(streams[number].storages):
        return None
    stream = streams[number]
    key = keys_of(stream.pickles[KEYS])[place]
    ops = split(stream.pickles[OBJECT])
    for at in reversed(range(len(ops))):
        # Behind what was cut there may be less than there was.
        if at < len(ops) and ops[at] == PERSID:
            start = start_of(ops, at + 1)
            if start >= 0 and key in ops[start:at]:
                ops[start : at + 1] = [NONE]
    stream.pickles[OBJECT] = b"".join(ops)
    kept = [other for other in range(len(stream.storages)) if other != place]
    _unlist(stream, kept)
    del stream.storages[place]
    return b"".join(map(bytes, streams))


_FEWER, *_INSIDE = records.levels(STREAM)
LEVELS: Final = (_FEWER, storages, *_INSIDE)

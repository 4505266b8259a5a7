"""Levels for the parts of a file: records of an archive, parts of a stream.

A `Format` says how files of a kind are taken apart and put together again; the
levels are the same for all. What a part holds may be a pickle, or several with
something behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ..mutation.pickles.stack import Ops
from . import pickles
from .ddmin import ddmin
from .search import Level, Search


class Format(NamedTuple):
    """A kind of file, as far as the levels have to know it.

    `matches` says whether a file is one; `contents` gives what its parts hold;
    `fill` puts something else into one of them, by its number, and `keep` leaves
    all but some parts out. None of them raises on a file that matches.
    """

    matches: Callable[[bytes], bool]
    contents: Callable[[bytes], list[bytes]]
    fill: Callable[[bytes, int, bytes], bytes]
    keep: Callable[[bytes, Sequence[int]], bytes]


def levels(format: Format) -> tuple[Level, ...]:
    """Fewer parts, less in them, simpler pickles in them."""

    def only_if_it_matches(level: Callable[[Search, Format], None]) -> Level:
        def run(search: Search) -> None:
            if format.matches(search.best):
                level(search, format)

        return run

    return tuple(map(only_if_it_matches, (_fewer, _less, _pickles)))


def _fewer(search: Search, format: Format) -> None:
    data = search.best
    numbers = range(len(format.contents(data)))
    ddmin(numbers, lambda kept: search.better(format.keep(data, kept)))


def _less(search: Search, format: Format) -> None:
    for number in range(len(format.contents(search.best))):
        part = _part(search, format, number)
        if part is not None:
            pickles.shorter(part.content, part.put)


def _pickles(search: Search, format: Format) -> None:
    for number in range(len(format.contents(search.best))):
        for level in pickles.LEVELS:
            part = _part(search, format, number)
            if part is not None:
                _programs(part, level)


class _Part(NamedTuple):
    """What a part holds by now, and how to try something else in its place."""

    content: bytes
    put: Callable[[bytes], bool]


def _part(search: Search, format: Format, number: int) -> _Part | None:
    """None where a simpler file has no such part any more."""
    data = search.best
    contents = format.contents(data) if format.matches(data) else []
    if number >= len(contents):
        return None
    return _Part(
        contents[number], lambda less: search.better(format.fill(data, number, less))
    )


def _programs(part: _Part, level: Callable[[Ops, pickles.Keep], Ops]) -> None:
    """A level for each pickle in a row at the beginning of what a part holds."""
    content, at = part.content, 0
    ops = pickles.program(content)
    while ops is not None:
        head, tail = content[:at], content[at + sum(map(len, ops)) :]
        ops = level(ops, _putting(part, head, tail))
        at += sum(map(len, ops))
        content = b"".join((head, *ops, tail))
        ops = pickles.program(content, at) if ops else None


def _putting(part: _Part, head: bytes, tail: bytes) -> pickles.Keep:
    return lambda ops: part.put(b"".join((head, *ops, tail)))


def _is_pickle(data: bytes) -> bool:
    return pickles.program(data) is not None


def _whole(data: bytes) -> list[bytes]:
    return [data]


def _filled(_data: bytes, _number: int, content: bytes) -> bytes:
    return content


def _kept(data: bytes, kept: Sequence[int]) -> bytes:
    return data if kept else b""


#: A pickle and whatever is behind it, or several in a row: a legacy stream, too.
PICKLE: Final = Format(_is_pickle, _whole, _filled, _kept)

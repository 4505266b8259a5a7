"""The last level: bytes, whatever they mean."""

from __future__ import annotations

from typing import Final

from .ddmin import ddmin
from .search import Search

#: Into more pieces than this a file is not cut: each costs a judgement.
PIECES: Final = 512


def drop(search: Search) -> None:
    """Runs of bytes left out."""
    data = search.best
    run = -(-len(data) // PIECES) or 1
    pieces = [data[start : start + run] for start in range(0, len(data), run)]
    ddmin(pieces, lambda kept: search.better(b"".join(kept)))


def plain(search: Search) -> None:
    """Runs of bytes set to zero."""
    length = len(search.best)
    run = 1 << max(0, length.bit_length() - 1)
    while run * PIECES >= length > 0 and run:
        for start in range(0, length, run):
            data = search.best
            zeros = bytes(len(data[start : start + run]))
            search.better(data[:start] + zeros + data[start + run :])
        run //= 2


LEVELS: Final = (drop, plain)

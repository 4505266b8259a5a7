"""All levels, in the order in which they pay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from . import archives, raw, records, streams, tars
from .search import Level, Search


def _unknown(level: Callable[[Search], None]) -> Level:
    """Bytes are for what nothing else takes apart: a reader would see the damage."""

    def run(search: Search) -> None:
        if not any(
            matches(search.best)
            for matches in (archives.is_archive, tars.MEMBERS.matches)
        ):
            level(search)

    return run


STAGES: Final = (
    (
        *archives.LEVELS,
        *tars.LEVELS,
        *streams.LEVELS,
        *records.levels(records.PICKLE),
    ),
    tuple(map(_unknown, raw.LEVELS)),
)

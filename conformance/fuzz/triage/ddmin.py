"""Delta debugging: the fewest items of a list that still do what the list does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def ddmin(items: Sequence[T], holds: Callable[[list[T]], bool]) -> list[T]:
    """A part of the list that holds, and does not without any one of its items.

    The whole list must hold. Runs of items are left out, large ones first, and
    later ones before those that they may rest on. `holds` is asked fewer than
    `len(items) * (len(items) + 3)` times, and about twice per item if little
    has to stay. After Zeller and Hildebrandt, "Simplifying and Isolating
    Failure-Inducing Input" (2002), with complements alone.
    """
    kept = list(items)
    run = len(kept)
    while run:
        stop, fewer = len(kept), False
        while stop > 0:
            start = max(0, stop - run)
            shorter = kept[:start] + kept[stop:]
            if holds(shorter):
                kept, fewer = shorter, True
            stop = start
        if run > 1:
            run //= 2
        elif not fewer:
            break
    return kept

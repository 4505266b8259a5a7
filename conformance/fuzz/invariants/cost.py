"""What reading costs: lines of Python, bytes of memory, of input, and inflated.

Never seconds.
"""

from __future__ import annotations

import sys
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any, SupportsIndex

from .guard import GUARD, PARSER, where


class TooMuch(Exception):
    """A function did not end within the lines that it was given."""


def work(
    function: Callable[[], object],
    most: int = sys.maxsize,
    functions: Counter[str] | None = None,
) -> int:
    """How many lines of Python `function` executes, in all that it calls.

    What is done in C counts as the line that asks for it; a line that loops counts
    each time round. Raises `TooMuch` after `most` lines, inside the parser, so that
    what would never end does. `functions` is filled with the lines of each of the
    parser's, which takes far longer.
    """
    left = most

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal left
        left -= 1
        if functions is not None:
            functions[where(frame)] += 1
        if left < 0 and PARSER in frame.f_code.co_filename:
            # Only there: whoever called the parser has things to put away. And
            # Python ends the trace by a deed of its own.
            GUARD.off()
            raise TooMuch(f"more than {most} lines of Python")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return most - left


def memory(function: Callable[[], object]) -> int:
    """The most bytes that `function` held at a time, what it returns among them."""
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        function()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not tracing:
            tracemalloc.stop()


def inflated(function: Callable[[], object]) -> int:
    """How many bytes zlib makes of packed ones for `function`, a piece at a time."""
    total = 0
    real = zlib.decompressobj

    class Counting:
        """What `zlib.decompressobj` gives, and counts."""

        def __init__(self, *args: Any) -> None:
            self._real = real(*args)

        def decompress(self, data: bytes, max_length: int = 0) -> bytes:
            nonlocal total
            found = self._real.decompress(data, max_length)
            total += len(found)
            return found

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    zlib.decompressobj = Counting  # type: ignore[assignment]
    try:
        function()
    finally:
        zlib.decompressobj = real
    return total


class Metered(bytes):
    """Bytes that know how many of them were copied, in how many slices."""

    copied = 0
    slices = 0

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        found = super().__getitem__(key)
        if isinstance(key, slice):
            self.slices += 1
            self.copied += len(found)  # type: ignore[arg-type]
        return found

"""Bytes as answers: each question takes the next of them, and zeros at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Whoever asks decides what an answer means; zero should be the simplest."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def over(self) -> bool:
        """Whether all that comes is zeros."""
        return self._at >= len(self._data)

    def take(self, size: int) -> bytes:
        """The next bytes as they are."""
        found = self._data[self._at : self._at + size]
        self._at += size
        return found.ljust(size, b"\0")

    def below(self, limit: int) -> int:
        """A number from 0 up to `limit`, which is 256 at most."""
        return self.take(1)[0] % limit

    def often(self, odds: int) -> bool:
        """True in one of so many cases; not at the end."""
        return self.below(odds) == odds - 1

    def pick(self, among: Sequence[T]) -> T:
        """One of these."""
        return among[self.below(len(among))]

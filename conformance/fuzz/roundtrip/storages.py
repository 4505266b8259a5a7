"""Storages that tensors may share, by every way in which a file names them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from conformance.parser.dtypes import DTYPES, DTypeInfo

from .choices import Choices
from .specs import Stored

_LOCATIONS: Final = ("cpu", "cpu", "cpu", "cuda:0")


class Storages:
    """Those of one checkpoint; `views` if it can have storages inside others."""

    def __init__(self, choices: Choices, *, views: bool) -> None:
        self._choices = choices
        self._views = views
        self._made: list[Stored] = []

    def one(self, info: DTypeInfo, numel: int) -> Stored:
        """With at least so many elements of that dtype; an old one, perhaps."""
        fits = [
            one
            for one in self._made
            if len(one.data) >= numel * info.itemsize
            and (one.kind, one.swap) == (_kind(info), info.swap)
        ]
        if fits and self._choices.often(2):
            return self._choices.pick(fits)
        more = self._choices.below(3)
        size = (numel + more) * info.itemsize
        few = self._choices.take(min(size, 16))
        data = (few * (size // 16 + 1))[:size]
        if info.kind == "bool":
            data = bytes(byte & 1 for byte in data)
        return self.of(info, data, self._choices.pick(_LOCATIONS))

    def of(self, info: DTypeInfo, data: bytes, location: str = "cpu") -> Stored:
        """A new one that holds this."""
        number = len(self._made)
        key = self._choices.pick((str(number), number, f"key {number}"))
        dtype, itemsize = info.name, info.itemsize
        if info.storage is None:
            dtype, itemsize = "uint8", 1
        made = Stored(_kind(info), dtype, itemsize, info.swap, data, key, location)
        if self._views:
            if self._choices.often(4):
                made = self._part(made)
        elif type(key) is int:
            # A number and its digits are two storages, and one record.
            self._made.append(replace(made, key=str(key)))
        self._made.append(made)
        return made

    def _part(self, whole: Stored) -> Stored:
        """The same storage, as a part of another one."""
        before = self._choices.below(3) * whole.itemsize
        data = bytes(before) + whole.data + bytes(whole.itemsize)
        root = replace(whole, data=data)
        return replace(whole, key=f"in {whole.key}", root=root, start=before)

    def alone(self) -> Stored:
        """One that stands in the tree by itself."""
        return self.one(DTYPES["float32"], self._choices.below(5))


def _kind(info: DTypeInfo) -> str:
    return info.storage or "UntypedStorage"

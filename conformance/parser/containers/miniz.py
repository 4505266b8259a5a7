"""What miniz and C have ways of their own for, as functions of plain values.

miniz 3.0.2 is the zip library inside torch 2.13 (third_party/miniz-3.0.2).
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import Final

#: Offsets are unsigned numbers of 64 bits.
MOD: Final = 1 << 64
#: In a field of 32 bits: the zip64 extra field has the value.
FULL: Final = 0xFFFFFFFF

#: Extra field: its kind, its length.
_EXTRA: Final = struct.Struct("<HH")
_ZIP64: Final = 1


def signed(offset: int) -> int:
    """An offset as torch gives it to a file object's `seek`."""
    return offset - MOD if offset >> 63 == 1 else offset


def zip64(
    extra: bytes, size: int, packed: int, header: int, *, strict: bool
) -> tuple[int, int, int] | None:
    """The three numbers, those of `FULL` out of the zip64 extra field, if any.

    `None` where miniz finds the extra fields broken. It is `strict` when it
    reads a record. When it reads the directory it also takes numbers from
    behind the field's end, and leaves them as they are where all ends.
    """
    at = 0
    while at < len(extra):
        if at + _EXTRA.size > len(extra):
            return None
        kind, length = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size
        end = at + length
        if end > len(extra):
            return None
        if kind == _ZIP64:
            break
        at = end
    else:
        return size, packed, header
    if not strict:
        end = len(extra)
    numbers = [size, packed, header]
    for i, number in enumerate(numbers):
        if number == FULL:
            if at + 8 > end:
                if strict:
                    return None
                break
            numbers[i] = int.from_bytes(extra[at : at + 8], "little")
            at += 8
    size, packed, header = numbers
    return size, packed, header


def leading_number(text: bytes) -> int | None:
    """What `strtoull` makes of it; `None` for nothing, or for too much."""
    text = text.partition(b"\0")[0].lstrip(b" \t\n\v\f\r")
    negative = text.startswith(b"-")
    if text.startswith((b"-", b"+")):
        text = text[1:]
    digits = text[: len(text) - len(text.lstrip(b"0123456789"))]
    if not digits:
        return None
    digits = digits.lstrip(b"0")
    number = int(digits or b"0") if len(digits) <= len(str(MOD)) else MOD
    if number >= MOD:
        return None
    return -number % MOD if negative else number


def index(names: list[bytes], places: list[int]) -> dict[bytes, int]:
    """The place of each name, in lower case; of equal names, the one found.

    miniz sorts the directory and searches it. Only where names are equal does
    it matter how: its heap sort mixes those, and its binary search stops at the
    first that it meets.
    """
    names = [name.lower() for name in names]
    found = dict(zip(names, places, strict=True))
    if len(found) < len(names):
        ranks = {name: rank for rank, name in enumerate(sorted(found))}
        ranked = [ranks[name] for name in names]
        order = _heap_sorted(ranked)
        for name, times in Counter(names).items():
            if times > 1:
                found[name] = places[_search(ranked, order, ranks[name])]
    return found


def _heap_sorted(ranked: list[int]) -> list[int]:
    """The indices of the directory, sorted by rank."""
    order = list(range(len(ranked)))

    def sift(root: int, end: int) -> None:
        sinking = order[root]
        rank = ranked[sinking]
        while (child := 2 * root + 1) < end:
            if child + 1 < end and ranked[order[child]] < ranked[order[child + 1]]:
                child += 1
            if rank >= ranked[order[child]]:
                break
            order[root] = order[child]
            root = child
        order[root] = sinking

    for root in reversed(range(len(order) // 2)):
        sift(root, len(order))
    for end in reversed(range(1, len(order))):
        order[0], order[end] = order[end], order[0]
        sift(0, end)
    return order


def _search(ranked: list[int], order: list[int], rank: int) -> int:
    """The index, among those of a rank, that a binary search meets first."""
    low, high = 0, len(order) - 1
    while ranked[order[middle := (low + high) // 2]] != rank:
        if ranked[order[middle]] < rank:
            low = middle + 1
        else:
            high = middle - 1
    return order[middle]

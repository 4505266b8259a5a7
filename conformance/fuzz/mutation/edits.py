"""Accidents on bytes, for whatever cannot be taken apart, and numbers that lie."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

#: Signed and unsigned extremes, and their neighbours, by width in bytes.
EDGES: Final[dict[int, tuple[int, ...]]] = {
    width: tuple(
        sorted(
            {
                number
                for bits in (7, 8, 15, 16, 31, 32, 63, 64)
                for number in ((1 << bits) - 2, (1 << bits) - 1, 1 << bits)
                if number < 1 << 8 * width
            }
            | {0, 1, 2, 3, (1 << 8 * width) - 8}
        )
    )
    for width in (1, 2, 4, 8)
}

#: The same as they stand in a file, in both byte orders.
_WRITTEN: Final[tuple[bytes, ...]] = tuple(
    number.to_bytes(width, order)
    for width, numbers in EDGES.items()
    for number in numbers
    for order in ("little", "big")
)

_LENGTHS: Final = (1, 1, 1, 2, 2, 3, 4, 8, 16, 40, 64)
_COUNTS: Final = (1, 1, 1, 1, 2, 2, 3, 4)


def lie(true: int, random: Random, width: int) -> int:
    """Another number than `true` for an unsigned field of `width` bytes.

    Half of them are near it: those pass the first checks.
    """
    limit = 1 << 8 * width
    true %= limit
    if random.random() < 0.5:
        step = random.choice(_LENGTHS)
        said = true + step if random.random() < 0.5 else true - step
    elif random.random() < 0.2:
        said = true * 2 if random.random() < 0.5 else true // 2
    else:
        said = random.choice(EDGES[width])
    said %= limit
    return said if said != true else (true + 1) % limit


def damage(data: bytes, random: Random) -> bytes:
    """One to four accidents on bytes; always another input than `data`."""
    out = bytearray(data)
    for _ in range(random.choice(_COUNTS)):
        random.choice(ACCIDENTS)(out, random)
    if out == data:
        _flip(out, random)
    return bytes(out)


def _at(out: bytearray, random: Random) -> int:
    return int(random.random() * len(out))


def _flip(out: bytearray, random: Random) -> None:
    """One bit; a byte where there is none."""
    if out:
        out[_at(out, random)] ^= 1 << int(random.random() * 8)
    else:
        out.append(int(random.random() * 256))


def _byte(out: bytearray, random: Random) -> None:
    at = _at(out, random)
    out[at : at + 1] = bytes((int(random.random() * 256),))


def _insert(out: bytearray, random: Random) -> None:
    at = _at(out, random)
    out[at:at] = random.choice(_WRITTEN)


def _overwrite(out: bytearray, random: Random) -> None:
    at, number = _at(out, random), random.choice(_WRITTEN)
    out[at : at + len(number)] = number


def _step(out: bytearray, random: Random) -> None:
    """A byte one more or one less."""
    if out:
        at = _at(out, random)
        out[at] = (out[at] + random.choice((-1, 1))) & 0xFF


def _delete(out: bytearray, random: Random) -> None:
    at = _at(out, random)
    del out[at : at + random.choice(_LENGTHS)]


def _double(out: bytearray, random: Random) -> None:
    at = _at(out, random)
    out[at:at] = out[at : at + random.choice(_LENGTHS)]


def _copy(out: bytearray, random: Random) -> None:
    """A run from elsewhere, over what stands here or between it."""
    at, other, length = _at(out, random), _at(out, random), random.choice(_LENGTHS)
    run = out[other : other + length]
    out[at : at + (len(run) if random.random() < 0.5 else 0)] = run


def _truncate(out: bytearray, random: Random) -> None:
    """Mostly near the end, where a reader has believed the most."""
    if random.random() < 0.3:
        del out[_at(out, random) :]
    else:
        del out[-random.choice(_LENGTHS) :]


#: Each may change nothing now and then.
ACCIDENTS: Final[tuple[Callable[[bytearray, Random], None], ...]] = (
    _flip,
    _flip,
    _byte,
    _insert,
    _overwrite,
    _overwrite,
    _step,
    _delete,
    _double,
    _copy,
    _truncate,
)

"""Python's and numpy's own values, the edges of each among them."""

from __future__ import annotations

import datetime
import math
import struct
from collections.abc import Callable
from typing import Any, Final

import ml_dtypes
import numpy as np

from .choices import Choices

#: Where the spelling of an integer changes, in bits.
_BITS: Final = (0, 7, 8, 15, 16, 31, 32, 63, 64, 255, 2039, 2047, 2048)


def integer(choices: Choices) -> int:
    """One next to the largest of a width, or any that is small."""
    near = choices.below(7) - 3
    bits = choices.pick(_BITS)
    number = near if not bits else (1 << bits) + near
    return -number if choices.often(2) else number


def _float(choices: Choices) -> float:
    """Any bits, but of all NaNs one: protocol 0 writes no payload."""
    number: float = struct.unpack(">d", choices.take(8))[0]
    return math.nan if math.isnan(number) else number


def text(choices: Choices) -> str:
    """Up to 300 characters, of any plane; surrogates alone, too."""
    size = choices.pick((0, 1, 3, 8, 255, 256, 300))
    if choices.often(4):
        points = struct.unpack(f"<{min(size, 8)}I", choices.take(4 * min(size, 8)))
        return "".join(chr(point % 0x110000) for point in points)
    return (choices.take(min(size, 8)).decode("latin-1") * 40)[:size]


def octets(choices: Choices) -> bytes:
    """Up to 300 bytes."""
    size = choices.pick((0, 1, 3, 8, 255, 256, 300))
    return (choices.take(min(size, 8)) * 40)[:size]


def _bool(choices: Choices) -> bool:
    return choices.often(2)


def _none(choices: Choices) -> None:
    return None


def _complex(choices: Choices) -> complex:
    return complex(_float(choices), _float(choices))


def _bytearray(choices: Choices) -> bytearray:
    return bytearray(octets(choices))


def _range(choices: Choices) -> range:
    return range(choices.below(9), choices.below(99), 1 + choices.below(3))


def _slice(choices: Choices) -> slice:
    return slice(integer(choices), None, integer(choices))


def _moment(choices: Choices) -> datetime.datetime:
    day, hour = 1 + choices.below(28), choices.below(24)
    zone = datetime.timezone(datetime.timedelta(minutes=choices.below(200)))
    zones = (None, datetime.timezone.utc, zone)
    year = 1 + 39 * choices.below(256)
    return datetime.datetime(year, 2, day, hour, 5, 6, 7, tzinfo=choices.pick(zones))


def _date(choices: Choices) -> datetime.date:
    return _moment(choices).date()


def _delta(choices: Choices) -> datetime.timedelta:
    return datetime.timedelta(choices.below(256) - 128, 5, choices.below(256))


#: dtypes of numpy. Not big-endian ones: numpy itself turns them round when it reads.
_DTYPES: Final = (
    *("|b1", "|i1", "|u1", "<i2", "<u4", "<i8", "<f2", "<f4", "<f8", "<c8", "<c16"),
    *("|S3", "<U2", "|V3", "<M8[ns]", "<m8[3D]"),
)
_RECORD: Final = np.dtype([("a", "<i2"), ("b", ">f4", (2,))])


def array(choices: Choices) -> np.ndarray[Any, Any]:
    """Up to 3 dimensions, in either order of memory."""
    kind = np.dtype(choices.pick((*_DTYPES, _RECORD, ml_dtypes.bfloat16)))
    shape = tuple(choices.below(4) for _ in range(choices.below(4)))
    count = int(np.prod(shape, dtype=int))
    if kind.kind == "U":
        words = [text(choices)[:2] for _ in range(count)]
        made = np.array(words, kind).reshape(shape)
    else:
        data = choices.take(count * kind.itemsize)
        if kind.kind == "b":
            data = bytes(byte & 1 for byte in data)
        made = np.frombuffer(data, kind).reshape(shape).copy()
    return np.asfortranarray(made) if choices.often(3) and shape else made


def _scalar(choices: Choices) -> Any:
    kind = np.dtype(choices.pick(_DTYPES[:11]))
    data = choices.take(kind.itemsize)
    if kind.kind == "b":
        data = bytes((data[0] & 1,))
    return np.frombuffer(data, kind)[0]


#: The simplest first, and the usual ones more than once.
SCALARS: Final[tuple[Callable[[Choices], Any], ...]] = (
    *(_none, integer, integer, text, text, _float, _bool, octets),
    *(_complex, _bytearray, _range, _slice, _moment, _date, _delta, array, _scalar),
)

#: What a key may be, and a member of a set.
KEYS: Final[tuple[Callable[[Choices], Any], ...]] = (
    *(text, text, integer, octets, _bool, _none, _date),
    lambda choices: (integer(choices), text(choices)),
)

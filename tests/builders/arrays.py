"""numpy's dtypes, arrays and scalars as numpy pickles them, or nearly so."""

from __future__ import annotations

import struct
from typing import Any

from tests.builders.checkpoints import Call, Name

#: The bytes of two float64, 1.5 and -2.
TWO = struct.pack("<2d", 1.5, -2)


def kind(code: Any = "f8", order: str = "<", *rest: Any, state: Any = None) -> Call:
    """A dtype as numpy pickles it; `rest` after the byte order, as far as it goes."""
    letter = code[:1] if isinstance(code, str) else ""
    size, flags = -1, 63 if letter == "O" else 0
    if letter in ("S", "U", "V"):
        size = int(code[1:] or 0) * (4 if letter == "U" else 1)
    usual = (3, order, *rest, *(None, None, None, size, -1, flags)[len(rest) :])
    return Call(
        "numpy.dtype", code, False, True, state=usual if state is None else state
    )


def filled(state: Any, subtype: str = "numpy.ndarray", shape: Any = (0,)) -> Call:
    """An array that BUILD fills."""
    function = "numpy._core.multiarray._reconstruct"
    return Call(function, Name(subtype), shape, b"b", state=state)


A_FIELD = {"a": (kind("i4"), 0)}


def fields(
    names: Any = ("a",), rows: Any = None, size: Any = 4, flags: Any = 16
) -> Call:
    """A dtype of one field, if nothing else is said."""
    return kind(
        "V4", "|", None, names, A_FIELD if rows is None else rows, size, 1, flags
    )


def dated(metadata: Any, code: str = "M8") -> Call:
    """A dtype with metadata, which is where dates keep their unit."""
    return kind(code, state=(4, "<", None, None, None, -1, -1, 0, metadata))


def buffered(*args: Any) -> Call:
    """An array as protocol 5 writes it."""
    return Call("numpy._core.numeric._frombuffer", *args)


def alone(*args: Any) -> Call:
    """A scalar."""
    return Call("numpy._core.multiarray.scalar", *args)

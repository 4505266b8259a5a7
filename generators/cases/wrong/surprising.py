"""Files that no torch would write, and that torch reads without a word."""

from __future__ import annotations

import pickle
from typing import Any, Final

from ...handmade import (
    Piece,
    archive,
    call,
    floats,
    legacy,
    name,
    storage,
)
from ..registry import written
from .streams import counted

DATA: Final = floats(1.0, 2.0)
MACHINE: Final[dict[str, Any]] = {"label": "built", "directory": "machine"}

#: A key, and the record that `f"data/{key}"` is.
KEYS: Final = {
    "none": (None, "None", "None"),
    "tuple": ((0, 1), "(0, 1)", "a tuple"),
}


@written("opcode:BINPERSID", each=KEYS, **MACHINE)
def key_formatted(key: Any, record: str, what: str) -> bytes:
    """A storage whose key is {what}; the record is called as Python shows it."""
    return archive([storage("FloatStorage", 2, key)], {record: DATA})


@written("opcode:BINPERSID", flags=("weights-only-refuses",), **MACHINE)
def key_of_bytes() -> bytes:
    """A storage whose key is bytes; the record is called as Python shows them."""
    key = Piece(counted(pickle.SHORT_BINBYTES, b"0"))
    return archive([storage("FloatStorage", 2, key)], {"b'0'": DATA})


VIEWS: Final = {
    "from_the_end": (-2, 1, "that begins two elements before the end"),
    "past_the_end": (1, 99, "that ends past the end"),
    "behind_the_end": (9, 1, "that begins behind the end"),
    "of_less_than_nothing": (1, -1, "of -1 elements"),
}


@written("persistent-id:view", each=VIEWS, **MACHINE)
def legacy_view(offset: int, size: int, what: str) -> bytes:
    """A legacy stream with a part of a storage {what}."""
    whole = storage("FloatStorage", 3, "0", "cpu", ("1", offset, size))
    return legacy([whole], {"0": (3, floats(1.0, 2.0, 3.0))})


V2: Final = "torch._utils._rebuild_tensor_v2"


@written("global:torch._utils._rebuild_tensor_v2", **MACHINE)
def function_as_value() -> bytes:
    """A rebuild function that is a value, and not called."""
    return archive(name(V2))


@written(V2, **MACHINE)
def hook_of_a_rebuild_function() -> bytes:
    """A tensor with a rebuild function among its hooks."""
    hooks = call("collections.OrderedDict", [[0, name(V2)]])
    args = (storage("FloatStorage", 2), 0, (2,), (1,), True, hooks)
    return archive(call(V2, *args), {"0": DATA})

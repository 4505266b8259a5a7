"""Quantized, nested and device tensors made of the wrong things.

Each starts from arguments that make a tensor, and changes one of them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ...handmade import (
    Piece,
    archive,
    call,
    floats,
    longs,
    name,
    storage,
    tensor,
    value,
)
from ..readers.threads import issues
from ..registry import saved, written
from ..tensors.devices import FROM_CPU, FROM_NUMPY, META
from ..tensors.nested import JAGGED, NESTED
from ..tensors.quantized import QTENSOR, matrix, per_channel

#: What most cases here claim.
WRONG: Final[dict[str, Any]] = {
    "label": "built",
    "verdict": "invalid",
    "phase": "rebuild",
}

HOOKS: Final = call("collections.OrderedDict")

#: Storages that the tensors here are views of: class, numel, bytes.
STORAGES: Final = {
    "floats": ("FloatStorage", 6, floats(1, 2, 3, 4, 5, 6)),
    "scales": ("DoubleStorage", 4, np.arange(1.0, 5.0).tobytes()),
    "zeros": ("LongStorage", 6, bytes(6 * 8)),
    "ones": ("LongStorage", 6, longs(1, 1, 1, 1, 1, 1)),
    "negatives": ("LongStorage", 2, longs(-1, -2)),
    "counts": ("LongStorage", 9, longs(0, 1, 2, 3, 4, 5, 6, 7, 8)),
    "ints": ("IntStorage", 6, np.arange(6, dtype="<i4").tobytes()),
    "qints": ("QInt8Storage", 6, bytes(range(6))),
    "bytes": ("ByteStorage", 6, bytes(range(6))),
}


def whole(key: str, location: str = "cpu") -> Piece:
    kind, numel, _ = STORAGES[key]
    return storage(kind, numel, key, location)


def view(key: str, *size: int, offset: int = 0, location: str = "cpu") -> Piece:
    """A tensor of this size in a storage, its elements in a row."""
    return tensor(whole(key, location), size, offset=offset)


def file(root: Piece) -> bytes:
    """An archive of the value, with the storages that it names."""
    named = {
        key: data for key, (_, _, data) in STORAGES.items() if root.count(value(key))
    }
    return archive(root, named)


# -------------------------------------------------------------------- quantized

AFFINE: Final = name("torch.per_tensor_affine")
CHANNELS: Final = name("torch.per_channel_affine")


def _qtensor(**changes: Any) -> bytes:
    args = {
        "storage": whole("qints"),
        "offset": 0,
        "size": (2, 3),
        "stride": (3, 1),
        "scheme": (AFFINE, 0.5, 1),
        "requires_grad": False,
        "hooks": HOOKS,
        **changes,
    }
    return file(call(QTENSOR, *args.values()))


@written(
    QTENSOR,
    **WRONG,
    each={
        "plain_storage": ("a storage of uint8", {"storage": whole("bytes")}),
        "storage_none": ("no storage", {"storage": None}),
        "offset_negative": ("a negative offset", {"offset": -1}),
        "stride_negative": ("a negative stride", {"stride": (-3, 1)}),
        "stride_short": ("a stride of one dimension", {"stride": (1,)}),
        "scheme_empty": ("an empty scheme", {"scheme": ()}),
        "scheme_text": (
            "a scheme that is a string",
            {"scheme": ("per_tensor_affine", 0.5, 1)},
        ),
        "scheme_symmetric": (
            "the scheme per_tensor_symmetric, which torch does not write",
            {"scheme": (name("torch.per_tensor_symmetric"), 0.5, 1)},
        ),
        "scale_text": ("a scale that is a string", {"scheme": (AFFINE, "0.5", 1)}),
        "scale_missing": ("a scale, no zero point", {"scheme": (AFFINE, 0.5)}),
        "zero_point_float": ("a zero point of 1.5", {"scheme": (AFFINE, 0.5, 1.5)}),
        "zero_point_large": (
            "a zero point of 2**64",
            {"scheme": (AFFINE, 1.0, 1 << 64)},
        ),
        "requires_grad": (
            "requires_grad set",
            {"requires_grad": True},
        ),
        "eighth_argument": ("an argument too many", {"more": None}),
    },
)
def qtensor_with(what: str, changes: dict[str, Any]) -> bytes:
    """A qint8 tensor with {what}."""
    return _qtensor(**changes)


@written(
    QTENSOR,
    **WRONG,
    flags=("out-of-bounds",),
    links=issues("pytorch/pytorch", 184652),
    each={
        "offset": ("offset", {"offset": 1}),
        "size": ("size", {"size": (3, 3)}),
        "stride": ("stride", {"stride": (4, 1)}),
    },
)
def qtensor_outside(what: str, changes: dict[str, Any]) -> bytes:
    """A qint8 tensor whose {what} leads past its storage."""
    return _qtensor(**changes)


@written(QTENSOR, **WRONG, flags=("overflow",))
def qtensor_overflow() -> bytes:
    """A qint8 tensor of 2**80 elements, all the same byte."""
    return _qtensor(size=(1 << 40, 1 << 40), stride=(0, 0))


@written(
    QTENSOR,
    **WRONG,
    each={
        "axis_outside": ("axis 2 of two", {"axis": 2}),
        "axis_negative": ("axis -1", {"axis": -1}),
        "axis_float": ("axis 0.5", {"axis": 0.5}),
        "axis_bool": ("axis False", {"axis": False}),
        "axis_missing": ("no axis", {"axis": ...}),
        "scales_more": ("a scale too many", {"scales": view("scales", 3)}),
        "scales_none": ("no scales", {"scales": None}),
        "scales_short_list": (
            "one scale in a list",
            {"scales": [0.5], "zero_points": [0, 1]},
        ),
        "zero_points_fewer": ("one zero point", {"zero_points": view("ones", 1)}),
        "scales_2d": ("scales of two dimensions", {"scales": view("scales", 1, 2)}),
        "scales_int64": ("scales of int64", {"scales": view("ones", 2)}),
        "scales_listed": ("scales alone in a list", {"scales": [0.5, 0.25]}),
        "scales_of_text": (
            "strings for scales",
            {"scales": ["a", "b"], "zero_points": [0, 1]},
        ),
    },
)
def channels_with(what: str, changes: dict[str, Any]) -> bytes:
    """A qint8 tensor of two channels with {what}."""
    return _qtensor(scheme=_channels(**changes))


def _channels(**changes: Any) -> tuple[Any, ...]:
    params = {
        "scales": view("scales", 2),
        "zero_points": view("ones", 2),
        "axis": 0,
        **changes,
    }
    return (CHANNELS, *(each for each in params.values() if each is not ...))


@written(
    QTENSOR,
    label="built",
    verdict="either",
    reason="torch converts scales and zero points of other dtypes and strides; it "
    "never writes them",
    each={
        "zero_points_int32": ("zero points of int32", {"zero_points": view("ints", 2)}),
        "scales_strided": (
            "every second scale of a storage",
            {"scales": tensor(whole("scales"), (2,), (2,))},
        ),
    },
)
def channels_of(what: str, changes: dict[str, Any]) -> bytes:
    """A qint8 tensor of two channels with {what}."""
    return _qtensor(scheme=_channels(**changes))


@saved(QTENSOR, verdict="invalid", phase="rebuild")
def per_channel_viewed() -> object:
    """A view of size (3, 2) of a tensor quantized for each of two rows: torch saves it,
    and refuses it for its scales are two, not three."""
    return per_channel(matrix(), 0).view(3, 2)


@saved(QTENSOR, verdict="invalid", phase="rebuild")
def per_channel_selected() -> object:
    """A column of a tensor that is quantized for each row: torch saves it with the
    axis -1, and refuses that."""
    return per_channel(matrix(), 0).select(1, 0)


# ----------------------------------------------------------------------- nested


def _strided(**changes: Any) -> bytes:
    parts = {
        "buffer": view("floats", 6),
        "sizes": view("ones", 2, 1),
        "strides": view("ones", 2, 1),
        "offsets": view("counts", 2),
        **changes,
    }
    return file(call(NESTED, *parts.values()))


@written(
    NESTED,
    **WRONG,
    each={
        "buffer_none": ("no buffer", {"buffer": None}),
        "buffer_2d": ("a buffer of two dimensions", {"buffer": view("floats", 2, 3)}),
        "sizes_none": ("no sizes", {"sizes": None}),
        "sizes_1d": ("sizes of one dimension", {"sizes": view("ones", 2)}),
        "sizes_float": ("sizes of float32", {"sizes": view("floats", 2, 1)}),
        "sizes_int32": ("sizes of int32", {"sizes": view("ints", 2, 1)}),
        "strides_other": ("strides of one component", {"strides": view("ones", 1, 1)}),
        "offsets_other": (
            "offsets of three components",
            {"offsets": view("counts", 3)},
        ),
        "offsets_negative": (
            "a component before its buffer",
            {"offsets": view("negatives", 2)},
        ),
        "sizes_negative": (
            "components of negative sizes",
            {"sizes": view("negatives", 2, 1)},
        ),
        "fifth_argument": ("an argument too many", {"more": None}),
    },
)
def strided_with(what: str, changes: dict[str, Any]) -> bytes:
    """A nested tensor of two vectors with {what}."""
    return _strided(**changes)


@written(
    NESTED,
    **WRONG,
    flags=("out-of-bounds", "sparse-indices"),
    each={
        "size": ("size", {"sizes": view("counts", 2, 1, offset=6)}),
        "stride": (
            "stride",
            {
                "sizes": view("counts", 2, 1, offset=2),
                "strides": view("counts", 2, 1, offset=4),
            },
        ),
        "offset": ("offset", {"offsets": view("counts", 2, offset=6)}),
    },
)
def strided_outside(what: str, changes: dict[str, Any]) -> bytes:
    """A nested tensor with a component whose {what} leads past the buffer."""
    return _strided(**changes)


@written(
    NESTED,
    label="built",
    verdict="either",
    reason="torch does not look at the shape of the offsets",
)
def strided_offsets_2d() -> bytes:
    """A nested tensor of two vectors with offsets of two dimensions."""
    return _strided(offsets=view("counts", 2, 1))


def _jagged(**changes: Any) -> bytes:
    kwargs = {
        "values": view("floats", 2, 3),
        "offsets": view("counts", 3),
        **changes,
    }
    return file(call(JAGGED, kwargs))


@written(
    JAGGED,
    **WRONG,
    each={
        "values_none": ("no values", {"values": None}),
        "values_scalar": ("values without dimensions", {"values": view("floats")}),
        "offsets_none": ("no offsets", {"offsets": None}),
        "offsets_2d": ("offsets of two dimensions", {"offsets": view("counts", 1, 3)}),
        "offsets_scalar": ("offsets without dimensions", {"offsets": view("counts")}),
        "lengths_more": (
            "three lengths for two components",
            {"lengths": view("zeros", 3)},
        ),
        "ragged_outside": ("a ragged dimension 3 of three", {"_ragged_idx": 3}),
        "ragged_text": ("a ragged dimension that is a string", {"_ragged_idx": "1"}),
        "cache_text": ("a cache that is a string", {"_metadata_cache": "none"}),
        "two_devices": (
            "offsets on the meta device",
            {"offsets": view("counts", 3, location="meta")},
        ),
    },
)
def jagged_with(what: str, changes: dict[str, Any]) -> bytes:
    """A jagged tensor with {what}."""
    return _jagged(**changes)


@written(
    JAGGED,
    label="built",
    verdict="either",
    reason="torch does not look at offsets and lengths",
    each={
        "offsets_float": ("offsets of float32", {"offsets": view("floats", 3)}),
        "lengths_2d": ("lengths of two dimensions", {"lengths": view("zeros", 2, 1)}),
    },
)
def jagged_parts(what: str, changes: dict[str, Any]) -> bytes:
    """A jagged tensor with {what}."""
    return _jagged(**changes)


@written(JAGGED, **WRONG)
def jagged_of_integers_requires_grad() -> bytes:
    """A jagged tensor of int64 that requires gradients."""
    return _jagged(values=view("ones", 2, 3), requires_grad=True)


@written(JAGGED, **WRONG)
def jagged_without_offsets() -> bytes:
    """A jagged tensor of values alone."""
    return file(call(JAGGED, {"values": view("floats", 2, 3)}))


@written(JAGGED, **WRONG)
def jagged_of_tuple() -> bytes:
    """A jagged tensor whose arguments are a tuple, not a dict."""
    return file(call(JAGGED, (view("floats", 2, 3), view("counts", 3))))


# ---------------------------------------------------------------------- devices

FLOAT: Final = name("torch.float32")
DATA: Final = view("floats", 2)


@written(
    META,
    **WRONG,
    each={
        "dtype_text": ("a dtype that is a string", ("float32", (2,), (1,), False)),
        "size_int": ("a size that is an int", (FLOAT, 2, (1,), False)),
        "size_negative": ("a negative size", (FLOAT, (-2,), (1,), False)),
        "size_float": ("a size of 2.5", (FLOAT, (2.5,), (1,), False)),
        "stride_short": ("a stride of one dimension", (FLOAT, (2, 3), (1,), False)),
        "three_arguments": ("three arguments", (FLOAT, (2,), (1,))),
        "integers_requires_grad": (
            "dtype int64 that requires gradients",
            (name("torch.int64"), (2,), (1,), True),
        ),
    },
)
def meta_with(what: str, args: tuple[Any, ...]) -> bytes:
    """A meta tensor with {what}."""
    return file(call(META, *args))


@written(META, **WRONG, flags=("overflow",))
def meta_overflow() -> bytes:
    """A meta tensor of 2**80 elements."""
    return file(call(META, FLOAT, (1 << 40, 1 << 40), (1 << 40, 1), False))


@written(
    FROM_CPU,
    **WRONG,
    each={
        "data_none": ("no data", (None, FLOAT, "xla:0", False)),
        "device_float": ("a device of 1.5", (DATA, FLOAT, 1.5, False)),
        "dtype_text": ("a dtype of text", (DATA, "float32", "xla:0", False)),
        "integers_requires_grad": (
            "integers that require gradients",
            (view("ones", 2), name("torch.int64"), "xla:0", True),
        ),
    },
)
def from_cpu_with(what: str, args: tuple[Any, ...]) -> bytes:
    """A device's tensor with {what}."""
    return file(call(FROM_CPU, *args))


@written(
    FROM_NUMPY,
    **WRONG,
    each={
        "tensor": ("a tensor", view("floats", 2)),
        "list": ("a list", [1.0, 2.0]),
        "array_of_text": ("an array of strings", np.array(["a", "b"])),
        "array_of_objects": ("an array of objects", np.array([None, None])),
    },
)
def from_numpy_of(what: str, data: Any) -> bytes:
    """A tensor of xla:0 that is kept as {what}."""
    return file(call(FROM_NUMPY, data, FLOAT, "xla:0", False))

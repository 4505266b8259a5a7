"""Rebuild functions whose arguments are out of range, or of the wrong kind."""

from __future__ import annotations

import pickle
from typing import Any, Final

from ...handmade import (
    Piece,
    archive,
    build,
    call,
    floats,
    longs,
    name,
    new,
    storage,
    tensor,
)
from ..registry import LEDGER, written
from .streams import HOOKS, counted

INVALID: Final[dict[str, Any]] = {
    "label": "built",
    "verdict": "invalid",
    "phase": "rebuild",
}
OUTSIDE: Final[dict[str, Any]] = {**INVALID, "flags": ("out-of-bounds",)}
MAX: Final = (1 << 63) - 1

FLOATS: Final = {"0": floats(1.0, 2.0, 3.0, 4.0)}
STORAGE: Final = storage("FloatStorage", 4)
BYTES: Final = storage("UntypedStorage", 16)
#: The first arguments of a view of all four elements.
WHOLE: Final = (STORAGE, 0, (4,), (1,))
RAW: Final = (BYTES, 0, (4,), (1,))
TENSOR: Final = tensor(STORAGE, (2, 2))
INTS: Final = tensor(storage("LongStorage", 2), (2,))
FLOAT32: Final = name("torch.float32")
INT32: Final = name("torch.int32")
INT64: Final = name("torch.int64")
PLAIN: Final = name("torch.Tensor")


def _rows(rows: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, str]]:
    """The last part of a row is the sentence, the rest are arguments."""
    return {key: (row[:-1], row[-1]) for key, row in rows.items()}


def _file(root: Any) -> bytes:
    return archive([root], FLOATS)


# ------------------------------------------------ offset, size and stride of a view

V1: Final = "torch._utils._rebuild_tensor"
V2: Final = "torch._utils._rebuild_tensor_v2"
V3: Final = "torch._utils._rebuild_tensor_v3"

#: Of four elements.
VIEWS: Final = {
    "offset_past": (4, (1,), (1,), "an offset just past the storage"),
    "offset_and_size_past": (2, (3,), (1,), "the last element past the storage"),
    "size_past": (0, (5,), (1,), "one element more than there are"),
    "stride_past": (0, (2,), (4,), "a second element past the storage"),
    "strides_past": (1, (2, 2), (2, 1), "strides that only together lead outside"),
    "scalar_past": (4, (), (), "no dimensions and an offset past the storage"),
    "offset_negative": (-1, (1,), (1,), "an offset of -1"),
    "offset_least": (-1 << 63, (1,), (1,), "the least offset of 64 bits"),
    "offset_max": (MAX, (1,), (1,), "the largest offset of 64 bits"),
    "size_negative": (0, (-1,), (1,), "a size of -1"),
    "size_least": (0, (-1 << 63,), (1,), "the least size of 64 bits"),
    "sizes_negative": (0, (-2, -2), (1, 1), "two negative sizes, whose product is 4"),
    "stride_negative": (3, (2,), (-1,), "a stride that runs backwards"),
    "stride_max": (0, (2,), (MAX,), "the largest stride of 64 bits"),
    "size_max": (0, (MAX,), (1,), "the largest size of 64 bits"),
    "sizes_wrap": (0, (1 << 32, 1 << 32), (0, 0), "2^64 elements, all of them one"),
    "sizes_2_63": (0, (1 << 31, 1 << 32), (0, 0), "2^63 elements, all of them one"),
    "sizes_wrap_empty": (
        0, (1 << 32, 1 << 32, 0), (1, 1, 1), "no elements, by a product beyond 64 bits",
    ),
    "strides_wrap": (
        0, (3, 3), (1 << 62, 1 << 62), "strides whose sum in 64 bits is zero",
    ),
    "rank_of_stride_less": (0, (2, 2), (1,), "two sizes and one stride"),
    "rank_of_stride_more": (0, (2,), (1, 1), "one size and two strides"),
    "rank_of_size_none": (0, (), (1,), "no size and one stride"),
}  # fmt: skip


@written(V2, each=_rows(VIEWS), **OUTSIDE)
def view(arguments: tuple[Any, ...], what: str) -> bytes:
    """A tensor over four elements with {what}."""
    offset, size, stride = arguments
    return _file(call(V2, STORAGE, offset, size, stride, False, HOOKS))


#: The others check their arguments themselves, in every reader.
SAME: Final = (
    "offset_past size_past stride_past offset_negative size_negative stride_negative "
    "sizes_wrap rank_of_stride_less"
).split()


@written(V1, each=_rows({key: VIEWS[key] for key in SAME}), **OUTSIDE)
def oldest_view(arguments: tuple[Any, ...], what: str) -> bytes:
    """_rebuild_tensor over four elements with {what}."""
    return _file(call(V1, STORAGE, *arguments))


@written(V3, each=_rows({key: VIEWS[key] for key in SAME}), **OUTSIDE)
def untyped_view(arguments: tuple[Any, ...], what: str) -> bytes:
    """_rebuild_tensor_v3 over the bytes of four elements with {what}."""
    offset, size, stride = arguments
    return _file(call(V3, BYTES, offset, size, stride, False, HOOKS, FLOAT32))


@written("build:torch.Tensor", each=_rows({key: VIEWS[key] for key in SAME}), **OUTSIDE)
def state_view(arguments: tuple[Any, ...], what: str) -> bytes:
    """The state of a tensor of torch 0.3 over four elements with {what}."""
    return _file(build(call("torch.FloatTensor"), (STORAGE, *arguments)))


# ------------------------------------------------------------------- wrong kinds

KINDS: Final[dict[str, tuple[Any, ...]]] = {
    "storage_none": (None, 0, (4,), (1,), "None for its storage"),
    "storage_int": (0, 0, (4,), (1,), "an int for its storage"),
    "storage_bytes": (
        Piece(counted(pickle.SHORT_BINBYTES, bytes(16))), 0, (4,), (1,),
        "bytes for its storage",
    ),
    "storage_class": (
        name("torch.FloatStorage"), 0, (4,), (1,), "a class for its storage",
    ),
    "storage_dict": ({}, 0, (4,), (1,), "a dict for its storage"),
    "storage_ids": (("storage", "0"), 0, (4,), (1,), "a tuple for its storage"),
    "offset_none": (STORAGE, None, (4,), (1,), "None for its offset"),
    "offset_str": (STORAGE, "0", (4,), (1,), "a str for its offset"),
    "offset_float": (STORAGE, 0.0, (4,), (1,), "a float for its offset"),
    "offset_tuple": (STORAGE, (0,), (4,), (1,), "a tuple for its offset"),
    "offset_2_63": (STORAGE, 1 << 63, (0,), (1,), "an offset of 64 bits and no sign"),
    "size_none": (STORAGE, 0, None, (1,), "None for its size"),
    "size_str": (STORAGE, 0, "4", (1,), "a str for its size"),
    "size_of_str": (STORAGE, 0, ("4",), (1,), "a str in its size"),
    "size_of_float": (STORAGE, 0, (4.0,), (1,), "a float in its size"),
    "size_of_none": (STORAGE, 0, (None,), (1,), "None in its size"),
    "size_of_list": (STORAGE, 0, ([4],), (1,), "a list in its size"),
    "size_dict": (STORAGE, 0, {4: 4}, (1,), "a dict for its size"),
    "size_2_63": (STORAGE, 0, (1 << 63,), (1,), "a size of 64 bits and no sign"),
    "size_2_64": (STORAGE, 0, (1 << 64,), (1,), "a size beyond 64 bits"),
    "stride_of_str": (STORAGE, 0, (4,), ("1",), "a str in its stride"),
    "stride_of_float": (STORAGE, 0, (4,), (1.0,), "a float in its stride"),
    "stride_2_63": (STORAGE, 0, (1,), (1 << 63,), "a stride of 64 bits and no sign"),
}  # fmt: skip


@written(V2, each=_rows(KINDS), **INVALID)
def kind(arguments: tuple[Any, ...], what: str) -> bytes:
    """A tensor with {what}."""
    return _file(call(V2, *arguments, False, HOOKS))


REST: Final = {
    "nothing": ((), "no arguments at all"),
    "few": ((*WHOLE, False), "no hooks"),
    "many": ((*WHOLE, False, HOOKS, None, None), "an argument too many"),
    "requires_grad_int": ((*WHOLE, 1, HOOKS), "1 for requires_grad"),
    "requires_grad_str": ((*WHOLE, "", HOOKS), "text for requires_grad"),
    "requires_grad_of_ints": (
        (storage("IntStorage", 4), 0, (4,), (1,), True, HOOKS),
        "gradients of integers",
    ),
    "requires_grad_of_bools": (
        (storage("BoolStorage", 16), 0, (4,), (1,), True, HOOKS), "gradients of bools",
    ),
    "metadata_list": (
        (*WHOLE, False, HOOKS, ["conj"]), "a list as its metadata",
    ),
    "metadata_int": ((*WHOLE, False, HOOKS, 1), "an int as its metadata"),
    "metadata_key_int": (
        (*WHOLE, False, HOOKS, {1: True}), "an int in its metadata",
    ),
    "conj_of_floats": (
        (*WHOLE, False, HOOKS, {"conj": True}), "a conj bit on floats",
    ),
    "quantized": (
        (storage("QInt8Storage", 16), 0, (4,), (1,), False, HOOKS),
        "quantized elements and no scale",
    ),
}  # fmt: skip


@written(V2, each=REST, **INVALID)
def tensor_with(arguments: tuple[Any, ...], what: str) -> bytes:
    """A tensor with {what}."""
    return _file(call(V2, *arguments))


UNTYPED: Final = {
    "dtype_str": ((*RAW, False, HOOKS, "float32"), "a str as its dtype"),
    "dtype_class": (
        (*RAW, False, HOOKS, name("torch.FloatStorage")),
        "a storage class as its dtype",
    ),
    "dtype_quantized": (
        (*RAW, False, HOOKS, name("torch.qint8")),
        "a quantized dtype and no scale",
    ),
    "dtype_missing": ((*RAW, False, HOOKS), "no dtype"),
    "dtype_larger": (
        (*RAW, False, HOOKS, name("torch.float64")),
        "four elements of eight bytes over sixteen bytes",
    ),
    "requires_grad_of_ints": (
        (*RAW, True, HOOKS, INT32), "gradients of integers",
    ),
    "storage_none": ((None, 0, (4,), (1,), False, HOOKS, FLOAT32), "no storage"),
}  # fmt: skip


@written(V3, each=UNTYPED, **INVALID)
def untyped_with(arguments: tuple[Any, ...], what: str) -> bytes:
    """_rebuild_tensor_v3 with {what}."""
    return _file(call(V3, *arguments))


# ---------------------------------------------------------- parameters, subclasses

PARAMETER: Final = "torch._utils._rebuild_parameter"
WITH_STATE: Final = "torch._utils._rebuild_parameter_with_state"
FROM_TYPE: Final = "torch._tensor._rebuild_from_type_v2"
META: Final = "torch._utils._rebuild_meta_tensor_no_storage"
WRAPPER: Final = "torch._utils._rebuild_wrapper_subclass"
DEVICE: Final = "torch._utils._rebuild_device_tensor_from_cpu_tensor"
NUMPY: Final = "torch._utils._rebuild_device_tensor_from_numpy"
LAYOUT: Final = "torch.serialization._get_layout"
SUBCLASS: Final = name("no.such.Subclass")
STRIDED: Final = name("torch.strided")
REBUILD: Final = name(V2)
ARGUMENTS: Final = (*WHOLE, False, HOOKS)

CALLS: Final = {
    "parameter_of_int": (PARAMETER, (1, True, HOOKS), "an int"),
    "parameter_of_list": (PARAMETER, ([1.0], True, HOOKS), "a list"),
    "parameter_of_storage": (PARAMETER, (STORAGE, True, HOOKS), "a storage"),
    "parameter_of_ints": (PARAMETER, (INTS, True, HOOKS), "gradients of integers"),
    "parameter_requires_grad": (PARAMETER, (TENSOR, "yes", HOOKS), "text as a bool"),
    "parameter_few": (PARAMETER, (TENSOR, True), "no hooks"),
    "parameter_many": (PARAMETER, (TENSOR, True, HOOKS, {}), "an argument too many"),
    "state_int": (WITH_STATE, (TENSOR, True, HOOKS, 1), "an int as its state"),
    "state_list": (WITH_STATE, (TENSOR, True, HOOKS, ["a"]), "a list as its state"),
    "state_key_int": (WITH_STATE, (TENSOR, True, HOOKS, {1: 2}), "an attribute 1"),
    "state_few": (WITH_STATE, (TENSOR, True, HOOKS), "no state"),
    "from_type_few": (FROM_TYPE, (REBUILD, PLAIN, ARGUMENTS), "no state"),
    "from_type_function_int": (
        FROM_TYPE, (1, PLAIN, ARGUMENTS, {}), "an int for a function",
    ),
    "from_type_class_int": (
        FROM_TYPE, (REBUILD, 1, ARGUMENTS, {}), "an int for a class",
    ),
    "from_type_class_str": (
        FROM_TYPE, (REBUILD, "torch.Tensor", ARGUMENTS, {}), "a str for a class",
    ),
    "from_type_arguments_few": (
        FROM_TYPE, (REBUILD, PLAIN, ARGUMENTS[:5], {}), "too few of them",
    ),
    "from_type_view_outside": (
        FROM_TYPE,
        (REBUILD, PLAIN, (STORAGE, 4, (4,), (1,), False, HOOKS), {}),
        "an offset past the storage, one function deeper",
    ),
    "from_type_state_int": (
        FROM_TYPE, (REBUILD, PLAIN, ARGUMENTS, 1), "an int as its state",
    ),
    "meta_dtype_str": (META, ("float32", (2,), (1,), False), "a str for a dtype"),
    "meta_size_none": (META, (FLOAT32, None, (1,), False), "None for a size"),
    "meta_size_negative": (META, (FLOAT32, (-1,), (1,), False), "a size of -1"),
    "meta_size_str": (META, (FLOAT32, ("2",), (1,), False), "a str in its size"),
    "meta_ranks": (META, (FLOAT32, (2, 2), (1,), False), "two sizes and one stride"),
    "meta_wraps": (
        META, (FLOAT32, (1 << 32, 1 << 32), (0, 0), False), "2^64 elements",
    ),
    "meta_of_ints": (META, (INT64, (2,), (1,), True), "gradients of ints"),
    "wrapper_of_tensor": (
        WRAPPER,
        (PLAIN, FLOAT32, (2,), (1,), 0, STRIDED, "cpu", False),
        "a class that wraps nothing",
    ),
    "device_of_none": (DEVICE, (None, FLOAT32, "cpu", False), "no tensor"),
    "device_of_storage": (DEVICE, (STORAGE, FLOAT32, "cpu", False), "a storage"),
    "device_dtype_str": (DEVICE, (TENSOR, "float32", "cpu", False), "text for a dtype"),
    "device_float": (DEVICE, (TENSOR, FLOAT32, 1.5, False), "a float for a device"),
    "numpy_of_list": (NUMPY, ([1.0], FLOAT32, "cpu", False), "a list for an array"),
}  # fmt: skip


@written("{path}", each=CALLS, **INVALID)
def wrong(path: str, arguments: tuple[Any, ...], what: str) -> bytes:
    """{path} with {what}."""
    return _file(call(path, *arguments))


SMALL: Final = {
    "size_of_int": ("torch.Size", (4,), "an int"),
    "size_of_str": ("torch.Size", ("4",), "a str"),
    "size_of_none": ("torch.Size", ((None,),), "None in it"),
    "size_of_float": ("torch.Size", ((1.0,),), "a float in it"),
    "size_of_two": ("torch.Size", ((1,), (2,)), "two arguments"),
    "device_of_nothing": ("torch.device", (), "no name"),
    "device_empty": ("torch.device", ("",), "an empty name"),
    "device_number_twice": ("torch.device", ("cuda:1", 1), "two numbers"),
    "device_number_word": ("torch.device", ("cuda:one",), "a word for a number"),
    "device_number_negative": ("torch.device", ("cuda", -7), "a number below zero"),
    "device_of_none": ("torch.device", (None,), "None"),
    "device_of_float": ("torch.device", (1.5,), "a float"),
    "layout_unknown": (LAYOUT, ("torch.sideways",), "a name that no layout has"),
    "layout_int": (LAYOUT, (1,), "an int"),
    "layout_none": (LAYOUT, (), "no name"),
    "encode_outside": ("_codecs.encode", ("\u0100", "latin1"), "a letter outside it"),
    "encode_int": ("_codecs.encode", (1, "latin1"), "an int for text"),
    "encode_unknown": ("_codecs.encode", ("a", "no-such-codec"), "an unknown codec"),
    "bytearray_negative": ("builtins.bytearray", (-1,), "a negative size"),
    "bytearray_of_256": ("builtins.bytearray", ([256],), "a byte of 256"),
    "complex_huge": ("builtins.complex", (1 << 2000, 0), "an integer of 2,001 bits"),
    "ordered_dict_of_ints": ("collections.OrderedDict", ([1, 2],), "ints for pairs"),
    "ordered_dict_of_three": (
        "collections.OrderedDict", ([(1, 2, 3)],), "three where a pair should be",
    ),
}  # fmt: skip


@written("{path}", each=SMALL, **INVALID)
def small(path: str, arguments: tuple[Any, ...], what: str) -> bytes:
    """{path} with {what}."""
    return _file(call(path, *arguments))


HASHED: Final = {
    "set_of_list": ("builtins.set", ([[]],), "a list as a member"),
    "ordered_dict_key": ("collections.OrderedDict", ([([], 1)],), "a list as a key"),
    "counter_of_list": ("collections.Counter", ([[]],), "a list, which has no hash"),
    "from_type_arguments_none": (
        FROM_TYPE, (REBUILD, PLAIN, None, {}), "None for the arguments",
    ),
}  # fmt: skip


@written("{path}", each=HASHED, **{**INVALID, "phase": "pickle"})
def made_of(path: str, arguments: tuple[Any, ...], what: str) -> bytes:
    """{path} with {what}."""
    return _file(call(path, *arguments))


# ------------------------------------------------------------------------- states

FLOAT_TENSOR: Final = call("torch.FloatTensor")
STATES: Final = {
    "none": (FLOAT_TENSOR, None, "None"),
    "int": (FLOAT_TENSOR, 1, "an int"),
    "of_two": (FLOAT_TENSOR, (STORAGE, 0), "a tuple of two"),
    "of_six": (FLOAT_TENSOR, (*WHOLE, False, HOOKS), "a tuple of six"),
    "storage_none": (FLOAT_TENSOR, (None, 0, (4,), (1,)), "no storage"),
    "of_other_dtype": (
        FLOAT_TENSOR, (storage("DoubleStorage", 2), 0, (2,), (1,)),
        "a storage of doubles",
    ),
}  # fmt: skip


@written("build:torch.Tensor", each=STATES, **INVALID)
def state_of_tensor(target: Piece, state: Any, what: str) -> bytes:
    """BUILD gives a torch.FloatTensor {what}."""
    return _file(build(target, state))


OTHERS: Final = {
    "parameter_int": (
        "torch.nn.parameter.Parameter", new("torch.nn.parameter.Parameter", TENSOR), 1,
        "a Parameter an int",
    ),
    "parameter_two": (
        "torch.nn.parameter.Parameter", new("torch.nn.parameter.Parameter", TENSOR),
        (True, None), "a Parameter a tuple of two",
    ),
    "ordered_dict_int": (
        "collections.OrderedDict", call("collections.OrderedDict"), 1,
        "an OrderedDict an int",
    ),
    "ordered_dict_list": (
        "collections.OrderedDict", call("collections.OrderedDict"), [1],
        "an OrderedDict a list",
    ),
    "counter_int": (
        "collections.Counter", call("collections.Counter"), 1, "a Counter an int",
    ),
}  # fmt: skip


@written("build:{path}", each=OTHERS, **INVALID)
def state_of(path: str, target: Piece, state: Any, what: str) -> bytes:
    """BUILD gives {what}."""
    return _file(build(target, state))


@written(V2, **INVALID)
def newobj_of_function() -> bytes:
    """NEWOBJ of a function, which has no instances, without arguments."""
    return _file(new(V2))


@written("build:torch.Tensor", **OUTSIDE)
def state_replaces_view() -> bytes:
    """A tensor that is right, and then a state whose view is outside."""
    return _file(build(TENSOR, (STORAGE, 2, (2, 2), (2, 1))))


# -------------------------------------------------------------- strange, and right

STRANGE: Final = {
    "empty_far": (
        (STORAGE, MAX, (0,), (1,), False, HOOKS), "no elements, at the largest offset",
    ),
    "empty_wide": (
        (STORAGE, 0, (0, MAX), (MAX, MAX), False, HOOKS), "no elements, far apart",
    ),
    "rank_65": (
        (STORAGE, 0, (1,) * 65, (1,) * 65, False, HOOKS), "65 dimensions",
    ),
    "largest": (
        (STORAGE, 0, (MAX,), (0,), False, HOOKS), "2^63-1 elements, all of them one",
    ),
    "overlapping": (
        (STORAGE, 0, (3, 2), (1, 1), False, HOOKS), "rows that overlap",
    ),
    "stride_of_one": (
        (STORAGE, 3, (1,), (MAX,), False, HOOKS), "one element and the largest stride",
    ),
    "lists": ([STORAGE, 0, [2, 2], [2, 1], False, HOOKS], "lists for size and stride"),
    "metadata_empty": (
        (*WHOLE, False, HOOKS, {}), "metadata that says nothing",
    ),
    "hooks_none": ((STORAGE, 0, (4,), (1,), False, None), "None for its hooks"),
    "requires_grad_of_nothing": (
        (STORAGE, 0, (0,), (1,), True, HOOKS), "gradients and no elements",
    ),
    "size_of_torch": (
        (STORAGE, 0, call("torch.Size", (4,)), (1,), False, HOOKS), "a torch.Size",
    ),
}  # fmt: skip


@written(V2, each=STRANGE, label="built")
def strange(arguments: Any, what: str) -> bytes:
    """A tensor that is right, though no torch would write it: {what}."""
    return _file(call(V2, *arguments))


@written("persistent-id:storage", label="built")
def strange_numel_true() -> bytes:
    """A storage of True elements, which is one."""
    numel: Any = True
    return archive(tensor(storage("FloatStorage", numel), (1,)), {"0": floats(1.0)})


@written(V3, label="built")
def strange_typed_storage() -> bytes:
    """_rebuild_tensor_v3 of a storage that has a dtype, and is given another one."""
    arguments = (STORAGE, 0, (2,), (1,), False, HOOKS, INT64)
    return archive(call(V3, *arguments), {"0": longs(1, 2)})


@written(META, label="built")
def strange_meta_large() -> bytes:
    """A tensor without elements of 2^50 of them, which costs nothing."""
    return archive(call(META, FLOAT32, (1 << 25, 1 << 25), (1 << 25, 1), False))


# ------------------------------------------------------- what torch makes sense of


@written(
    V2,
    label="built",
    verdict="either",
    reason=LEDGER,
)
def converted_stride_none() -> bytes:
    """A tensor with None for its stride."""
    return _file(call(V2, STORAGE, 0, (2, 2), None, False, HOOKS))


NUMBERS: Final = {"300": (("cuda:300",),), "2_40": (("cuda", 1 << 40),)}


@written(
    "torch.device",
    each=NUMBERS,
    label="built",
    verdict="either",
    reason=LEDGER,
    flags=("silent-failure",),
)
def converted_device_number(arguments: tuple[Any, ...]) -> bytes:
    """A device with a number that is too large: {arguments}."""
    return _file(call("torch.device", *arguments))


@written(
    "build:torch.Tensor",
    label="built",
    verdict="either",
    reason=LEDGER,
)
def converted_state_empty() -> bytes:
    """BUILD gives a torch.FloatTensor a tuple of nothing."""
    return _file(build(FLOAT_TENSOR, ()))

"""Rebuild functions: what torch has dropped, does not check, or leaves unfilled."""

from __future__ import annotations

import math
import struct

from ...handmade import (
    Piece,
    archive,
    build,
    call,
    floats,
    layout,
    legacy,
    longs,
    name,
    storage,
    tensor,
    untyped_tensor,
)
from .registry import case

HOOKS = call("collections.OrderedDict")


def index_tensor(key: str, *size: int) -> Piece:
    return tensor(storage("LongStorage", math.prod(size), key), size)


def float_tensor(key: str, *size: int) -> Piece:
    return tensor(storage("FloatStorage", math.prod(size), key), size)


# ------------------------------------------------- functions that torch has dropped


@case("torch._utils._rebuild_sparse_csr_tensor")
def sparse_csr_of_1_13() -> bytes:
    """A CSR tensor by `_rebuild_sparse_csr_tensor`, as torch 1.11 to 1.13 wrote it."""
    parts = (index_tensor("0", 3), index_tensor("1", 2), float_tensor("2", 2), (2, 2))
    root = call("torch._utils._rebuild_sparse_csr_tensor", layout("sparse_csr"), parts)
    storages = {"0": longs(0, 1, 2), "1": longs(0, 1), "2": floats(1.0, 2.0)}
    return archive(root, storages)


@case("torch._utils._rebuild_qtensor")
def qtensor_of_1_2() -> bytes:
    """A quantized tensor by `_rebuild_qtensor` with the arguments of torch 1.2."""
    return archive(
        call(
            "torch._utils._rebuild_qtensor",
            *(storage("QInt8Storage", 2), 0, (2,), (1,), 0.5, 1, False, HOOKS),
        ),
        {"0": b"\x01\xff"},
    )


@case("torch.tensor._rebuild_from_type")
def legacy_from_type_of_1_8() -> bytes:
    """A legacy stream that calls `torch.tensor._rebuild_from_type` of torch 1.8."""
    function = name("torch._utils._rebuild_tensor_v2")
    args = (storage("FloatStorage", 1, "0", "cpu", None), 0, (1,), (1,), False, HOOKS)
    root = call(
        "torch.tensor._rebuild_from_type", function, name("torch.Tensor"), args, {}
    )
    return legacy(root, {"0": (1, floats(1.0))})


@case("torch._utils._rebuild_mlc_tensor")
def mlc_tensor_of_1_10() -> bytes:
    """A tensor by `_rebuild_mlc_tensor`, as torch 1.10 wrote those of MLC devices."""
    dtype = build(
        call("numpy.dtype", "u1", False, True), (3, "|", None, None, None, -1, -1, 0)
    )
    empty = call("numpy.core.multiarray._reconstruct", name("numpy.ndarray"), (0,), "b")
    array = build(empty, (1, (1,), dtype, False, Piece(b"C\x01a")))
    root = call(
        "torch._utils._rebuild_mlc_tensor", array, name("torch.uint8"), "mlc:0", False
    )
    return archive(root)


@case("build:torch.Tensor")
def variable_of_0_3() -> bytes:
    """BUILD of a tensor with three items, as Variables before torch 0.4 had."""
    return archive(build(call("torch.Tensor"), (True, None, HOOKS)))


@case("container:legacy")
def legacy_untyped_storage() -> bytes:
    """A legacy stream that holds an UntypedStorage, as torch itself saves it."""
    return legacy(storage("UntypedStorage", 2, "0", "cpu", None), {"0": (2, b"ab")})


@case("torch._utils._rebuild_tensor_v3")
def legacy_uint16() -> bytes:
    """A legacy stream that holds a tensor of uint16, as torch itself saves it."""
    root = untyped_tensor(
        storage("UntypedStorage", 2, "0", "cpu", None), (1,), "uint16"
    )
    return legacy(root, {"0": (2, b"ab")})


# ----------------------------------------------------------------- byte order


@case("torch._utils._rebuild_tensor_v3")
def big_endian_uint16() -> bytes:
    """A big-endian archive with a tensor of uint16: 1, 2."""
    root = untyped_tensor(storage("UntypedStorage", 4), (2,), "uint16")
    return archive(root, {"0": struct.pack(">2H", 1, 2)}, byteorder="big")


@case("torch._utils._rebuild_tensor_v3")
def big_endian_two_dtypes() -> bytes:
    """A big-endian archive with one storage under tensors of uint16 and of uint32."""
    one = storage("UntypedStorage", 4)
    root = [untyped_tensor(one, (2,), "uint16"), untyped_tensor(one, (1,), "uint32")]
    return archive(root, {"0": struct.pack(">I", 1)}, byteorder="big")


# ------------------------------------------------------------- new constructors


@case("torch.FloatTensor")
def tensor_from_list() -> bytes:
    """`torch.FloatTensor([1.0, 2.0])`."""
    return archive(call("torch.FloatTensor", [1.0, 2.0]))


@case("torch.sparse.FloatTensor")
def sparse_from_two() -> bytes:
    """`torch.sparse.FloatTensor(indices, values)`, without a size."""
    root = call(
        "torch.sparse.FloatTensor", index_tensor("0", 1, 1), float_tensor("1", 1)
    )
    return archive(root, {"0": longs(0), "1": floats(1.0)})


@case("torch.FloatTensor", undisclosed=True)
def new_tensor() -> bytes:
    """`torch.FloatTensor(3)`: three elements that nothing fills."""
    return archive(call("torch.FloatTensor", 3))


@case("torch.storage.UntypedStorage", undisclosed=True)
def new_storage() -> bytes:
    """`torch.storage.UntypedStorage(16)`: 16 bytes that nothing fills."""
    return archive(call("torch.storage.UntypedStorage", 16))


@case("torch.storage.TypedStorage", undisclosed=True)
def new_typed_storage() -> bytes:
    """`torch.storage.TypedStorage(4)`: four elements that nothing fills."""
    return archive(call("torch.storage.TypedStorage", 4))


@case("numpy.core.multiarray._reconstruct", undisclosed=True)
def new_array() -> bytes:
    """A numpy array of 64 bytes that no BUILD fills."""
    return archive(
        call("numpy.core.multiarray._reconstruct", name("numpy.ndarray"), (2000,), "b")
    )


# --------------------------------------------------------------- not validated


def sparse(
    kind: str, compressed: tuple[int, ...], plain: tuple[int, ...], *block: int
) -> bytes:
    """A tensor of size (2, 2) with two values, which are blocks in some layouts."""
    parts = (
        index_tensor("0", len(compressed)),
        index_tensor("1", len(plain)),
        float_tensor("2", 2, *block),
        (2, 2),
    )
    root = call("torch._utils._rebuild_sparse_tensor", layout(kind), parts)
    storages = {"0": longs(*compressed), "1": longs(*plain), "2": floats(1.0, 2.0)}
    return archive(root, storages)


@case("torch._utils._rebuild_sparse_tensor")
def sparse_coo_index_outside() -> bytes:
    """A COO tensor of size (2,) with the index 1000."""
    parts = (index_tensor("0", 1, 1), float_tensor("1", 1), (2,), False)
    root = call("torch._utils._rebuild_sparse_tensor", layout("sparse_coo"), parts)
    return archive(root, {"0": longs(1000), "1": floats(1.0)})


@case("torch._utils._rebuild_sparse_tensor")
def sparse_coo_not_coalesced() -> bytes:
    """A COO tensor that says it is coalesced and repeats an index."""
    parts = (index_tensor("0", 1, 2), float_tensor("1", 2), (2,), True)
    root = call("torch._utils._rebuild_sparse_tensor", layout("sparse_coo"), parts)
    return archive(root, {"0": longs(1, 1), "1": floats(1.0, 2.0)})


@case("torch._utils._rebuild_sparse_tensor")
def sparse_csr_index_outside() -> bytes:
    """A CSR tensor of size (2, 2) with the column 1000."""
    return sparse("sparse_csr", (0, 1, 2), (0, 1000))


@case("torch._utils._rebuild_sparse_tensor")
def sparse_csr_runs_outside() -> bytes:
    """A CSR tensor whose rows run to 1000 with two values there."""
    return sparse("sparse_csr", (0, 1, 1000), (0, 1))


@case("torch._utils._rebuild_sparse_tensor")
def sparse_csc_index_outside() -> bytes:
    """A CSC tensor of size (2, 2) with a negative row."""
    return sparse("sparse_csc", (0, 1, 2), (0, -1))


@case("torch._utils._rebuild_sparse_tensor")
def sparse_bsr_index_outside() -> bytes:
    """A BSR tensor of 1x1 blocks and size (2, 2) with the column 2."""
    return sparse("sparse_bsr", (0, 1, 2), (0, 2), 1, 1)


@case("torch._utils._rebuild_sparse_tensor")
def sparse_bsc_unsorted() -> bytes:
    """A BSC tensor of 1x1 blocks whose rows are not sorted."""
    return sparse("sparse_bsc", (0, 2, 2), (1, 0), 1, 1)


@case("torch.nested._internal.nested_tensor._rebuild_njt", undisclosed=True)
def jagged_outside() -> bytes:
    """A jagged tensor whose offsets lead beyond its values."""
    kwargs = {
        "values": float_tensor("0", 2, 1),
        "offsets": index_tensor("1", 3),
        "lengths": None,
    }
    root = call("torch.nested._internal.nested_tensor._rebuild_njt", kwargs)
    return archive(root, {"0": floats(1, 2), "1": longs(0, 1, 1000)})


@case("torch._utils._rebuild_device_tensor_from_cpu_tensor")
def device_tensor_converted() -> bytes:
    """A device's tensor of float64 whose elements were kept as float32."""
    root = call(
        "torch._utils._rebuild_device_tensor_from_cpu_tensor",
        *(float_tensor("0", 1), name("torch.float64"), "cpu", False),
    )
    return archive(root, {"0": floats(1.0)})


@case("torch._tensor._rebuild_from_type_v2")
def attribute_taken() -> bytes:
    """A tensor whose state sets `requires_grad`, which is no attribute of its own."""
    function = name("torch._utils._rebuild_tensor_v2")
    args = (storage("FloatStorage", 1), 0, (1,), (1,), False, HOOKS)
    root = call(
        "torch._tensor._rebuild_from_type_v2",
        *(function, name("torch.Tensor"), args, {"requires_grad": True}),
    )
    return archive(root, {"0": floats(1.0)})


@case("torch._utils._rebuild_sparse_tensor")
def sparse_values_conj() -> bytes:
    """A COO tensor of complex64 whose values have the conj bit."""
    values = call(
        "torch._utils._rebuild_tensor_v2",
        *(storage("ComplexFloatStorage", 1, "1"), 0, (1,), (1,), False, HOOKS),
        {"conj": True},
    )
    parts = (index_tensor("0", 1, 1), values, (2,), True)
    root = call("torch._utils._rebuild_sparse_tensor", layout("sparse_coo"), parts)
    return archive(root, {"0": longs(1), "1": floats(1.0, 2.0)})


@case("torch._utils._rebuild_qtensor")
def qtensor_scales_mixed() -> bytes:
    """A quantized tensor with scales of float32 and zero points of int64."""
    scheme = (
        name("torch.per_channel_affine"), float_tensor("1", 1), index_tensor("2", 1), 0
    )  # fmt: skip
    root = call(
        "torch._utils._rebuild_qtensor",
        *(storage("QInt8Storage", 1), 0, (1,), (1,), scheme, False, HOOKS),
    )
    return archive(root, {"0": b"\x01", "1": floats(0.1), "2": longs(3)})


@case("torch._utils._rebuild_tensor_v2")
def metadata_unknown() -> bytes:
    """A tensor whose metadata has a name that no torch writes."""
    root = call(
        "torch._utils._rebuild_tensor_v2",
        *(storage("FloatStorage", 1), 0, (1,), (1,), False, HOOKS, {"new": True}),
    )
    return archive(root, {"0": floats(1.0)})


@case("torch._utils._rebuild_tensor_v3")
def float8_requires_grad() -> bytes:
    """A float8 tensor that requires gradients, as torch 2.13 saves it."""
    dtype = name("torch.float8_e5m2")
    root = call(
        "torch._utils._rebuild_tensor_v3",
        *(storage("UntypedStorage", 2), 0, (2,), (1,), True, HOOKS, dtype),
    )
    return archive(root, {"0": b"\x3c\x40"})


@case("torch._utils._rebuild_nested_tensor", undisclosed=True)
def legacy_nested() -> bytes:
    """A nested tensor in a legacy stream, where its sizes come after it."""

    def part(kind: str, key: str, *size: int) -> Piece:
        return tensor(storage(kind, math.prod(size), key, "cpu", None), size)

    root = call(
        "torch._utils._rebuild_nested_tensor",
        part("FloatStorage", "0", 3),
        part("LongStorage", "1", 2, 1),
        part("LongStorage", "2", 2, 1),
        part("LongStorage", "3", 2),
    )
    return legacy(
        root,
        {
            "0": (3, floats(1.0, 2.0, 3.0)),
            "1": (2, longs(1, 2)),
            "2": (2, longs(1, 1)),
            "3": (2, longs(0, 1)),
        },
    )


@case("global:torch.UInt16Storage")
def storage_of_cpp() -> bytes:
    """A tensor in a `UInt16Storage`, a class that only C++ has."""
    return archive(tensor(storage("UInt16Storage", 2), (2,)), {"0": b"\1\0\2\0"})

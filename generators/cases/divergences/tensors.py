"""Numbers of a tensor that torch repairs, converts, or does not look at."""

from __future__ import annotations

import math
import pickle
from typing import Any

from ...handmade import (
    Piece,
    archive,
    call,
    floats,
    layout,
    longs,
    name,
    new,
    storage,
    tensor,
)
from .rebuild import HOOKS, float_tensor, index_tensor
from .registry import case

#: One float32 in the storage "0".
ONE = storage("FloatStorage", 1)


# -------------------------------------------------------------------- strides


@case("torch._utils._rebuild_tensor_v2")
def stride_negative_of_one() -> bytes:
    """A tensor of size (1, 3) and stride (-5, 1), whose -5 is never used."""
    root = tensor(storage("FloatStorage", 3), (1, 3), (-5, 1))
    return archive(root, {"0": floats(1.0, 2.0, 3.0)})


@case("torch._utils._rebuild_tensor_v2")
def size_negative_beside_none() -> bytes:
    """A tensor of size (0, -1): of no elements, whatever its other size."""
    root = tensor(storage("FloatStorage", 3), (0, -1), (1, 1))
    return archive(root, {"0": floats(1.0, 2.0, 3.0)})


@case("torch._utils._rebuild_meta_tensor_no_storage")
def stride_negative_on_meta() -> bytes:
    """A meta tensor of size (2,) and stride (-1,)."""
    root = call(
        "torch._utils._rebuild_meta_tensor_no_storage",
        *(name("torch.float32"), (2,), (-1,), False),
    )
    return archive(root)


@case("torch._utils._rebuild_meta_tensor_no_storage")
def meta_beyond_64_bits() -> bytes:
    """A meta tensor of float32 whose 2**62 elements are 2**64 bytes."""
    root = call(
        "torch._utils._rebuild_meta_tensor_no_storage",
        *(name("torch.float32"), (1 << 62,), (1,), False),
    )
    return archive(root)


# --------------------------------------------------------------- kinds of value


def rebuilt(offset: Any, size: Any, stride: Any, grad: Any, *metadata: Any) -> bytes:
    """A float32 tensor by `_rebuild_tensor_v2` with whatever arguments."""
    function = "torch._utils._rebuild_tensor_v2"
    root = call(function, ONE, offset, size, stride, grad, HOOKS, *metadata)
    return archive(root, {"0": floats(1.0), "1": longs(1)})


@case("torch._utils._rebuild_tensor_v2")
def size_of_tensor() -> bytes:
    """A tensor whose size is an int64 tensor without dimensions."""
    return rebuilt(0, (index_tensor("1"),), (1,), False)


@case("torch._utils._rebuild_tensor_v2")
def offset_of_tensor() -> bytes:
    """A tensor whose storage offset is an int64 tensor without dimensions."""
    args = (storage("FloatStorage", 2), index_tensor("1"), (1,), (1,), False, HOOKS)
    root = call("torch._utils._rebuild_tensor_v2", *args)
    return archive(root, {"0": floats(1.0, 2.0), "1": longs(1)})


@case("torch._utils._rebuild_tensor_v2")
def size_of_bool() -> bytes:
    """A tensor of size (1, True)."""
    return rebuilt(0, (1, True), (1, 1), False)


@case("torch._utils._rebuild_tensor_v3")
def requires_grad_none() -> bytes:
    """A tensor by `_rebuild_tensor_v3` whose requires_grad is None."""
    args = (storage("UntypedStorage", 4), 0, (1,), (1,), None, HOOKS)
    root = call("torch._utils._rebuild_tensor_v3", *args, name("torch.float32"))
    return archive(root, {"0": floats(1.0)})


@case("torch._utils._rebuild_tensor_v3")
def dtype_none() -> bytes:
    """A tensor by `_rebuild_tensor_v3` whose dtype is None."""
    args = (storage("UntypedStorage", 4), 0, (1,), (1,), False, HOOKS)
    root = call("torch._utils._rebuild_tensor_v3", *args, None)
    return archive(root, {"0": floats(1.0)})


@case("torch._utils._rebuild_tensor_v2")
def neg_of_int() -> bytes:
    """A tensor whose neg bit is the number 1."""
    return rebuilt(0, (1,), (1,), False, {"neg": 1})


# ------------------------------------------------------------------ other tensors


@case("torch._utils._rebuild_qtensor")
def quantized_expanded() -> bytes:
    """A quantized tensor of 2**40 elements that are all the same one."""
    scheme = (name("torch.per_tensor_affine"), 0.5, 0)
    root = call(
        "torch._utils._rebuild_qtensor",
        *(storage("QInt8Storage", 1), 0, (1 << 40,), (0,), scheme, False, HOOKS),
    )
    return archive(root, {"0": b"\1"})


def nested(numel: int, buffer: Piece, length: int) -> bytes:
    """A nested tensor of one component with so many elements."""
    root = call(
        "torch._utils._rebuild_nested_tensor",
        *(buffer, index_tensor("1", 1, 1), index_tensor("2", 1, 1)),
        index_tensor("3", 1),
    )
    data = floats(*map(float, range(numel)))
    return archive(root, {"0": data, "1": longs(length), "2": longs(1), "3": longs(0)})


@case("torch._utils._rebuild_nested_tensor")
def nested_of_offset() -> bytes:
    """A nested tensor of two elements, in a buffer that starts at the second."""
    return nested(3, tensor(storage("FloatStorage", 3), (2,), (1,), 1), 2)


@case("torch._utils._rebuild_nested_tensor")
def nested_of_stride() -> bytes:
    """A nested tensor of two elements, in a buffer of every second one."""
    return nested(3, tensor(storage("FloatStorage", 3), (2,), (2,)), 2)


@case("torch._utils._rebuild_nested_tensor")
def nested_of_nothing() -> bytes:
    """`torch.nested.nested_tensor([])`, as torch saves it."""
    empty, sizes = float_tensor("0", 0), float_tensor("1")
    root = call(
        "torch._utils._rebuild_nested_tensor",
        *(empty, sizes, sizes, index_tensor("2", 0)),
    )
    return archive(root, {"0": b"", "1": floats(0.0), "2": b""})


JAGGED = "torch.nested._internal.nested_tensor"


def jagged(offsets: tuple[int, ...], state: Any = None, **more: Any) -> bytes:
    """A jagged tensor of three elements, with the attributes of a state."""
    kwargs = {
        "values": float_tensor("0", 3, 1),
        "offsets": index_tensor("1", len(offsets)),
        "lengths": None,
        **more,
    }
    root = call(f"{JAGGED}._rebuild_njt", kwargs)
    if state is not None:
        root = call(
            "torch._tensor._rebuild_from_type_v2",
            *(name(f"{JAGGED}._rebuild_njt"), name(f"{JAGGED}.NestedTensor")),
            *((kwargs,), state),
        )
    return archive(root, {"0": floats(1, 2, 3), "1": longs(*offsets)})


@case("torch.nested._internal.nested_tensor._rebuild_njt")
def jagged_state_of_another() -> bytes:
    """A jagged tensor whose state says that another dimension is the ragged one."""
    return jagged((0, 1, 3), {"_ragged_idx": 2})


@case("torch.nested._internal.nested_tensor._rebuild_njt")
def jagged_unknown_argument() -> bytes:
    """A jagged tensor with an argument that no torch writes."""
    return jagged((0, 1, 3), new=1)


@case("torch.nested._internal.nested_tensor._rebuild_njt")
def jagged_along_batch() -> bytes:
    """A jagged tensor whose dimension 0, that of the components, is the ragged one."""
    return jagged((0, 1, 3), _ragged_idx=0)


@case("torch.nested._internal.nested_tensor._rebuild_njt")
def jagged_without_offsets() -> bytes:
    """A jagged tensor with not even one offset."""
    return jagged(())


def bsr(crow: tuple[int, ...], nnz: int, size: tuple[int, int], *block: int) -> bytes:
    """A BSR tensor with so many blocks, each in column 0."""
    parts = (
        index_tensor("0", len(crow)),
        index_tensor("1", nnz),
        float_tensor("2", nnz, *block),
        size,
    )
    root = call("torch._utils._rebuild_sparse_tensor", layout("sparse_bsr"), parts)
    data = floats(*[1.0] * (nnz * math.prod(block)))
    return archive(root, {"0": longs(*crow), "1": longs(*[0] * nnz), "2": data})


@case("torch._utils._rebuild_sparse_tensor")
def sparse_bsr_blocks_empty() -> bytes:
    """A BSR tensor of size (2, 2) whose one block is of size (0, 0)."""
    return bsr((0, 1), 1, (2, 2), 0, 0)


@case("torch._utils._rebuild_sparse_tensor")
def sparse_bsr_no_rows() -> bytes:
    """A BSR tensor of size (0, 2) with a block."""
    return bsr((0,), 1, (0, 2), 1, 1)


@case("torch._tensor._rebuild_from_type_v2")
def type_of_no_tensor() -> bytes:
    """A tensor that is to be an OrderedDict."""
    inner = (storage("FloatStorage", 1), 0, (1,), (1,), False, None)
    root = call(
        "torch._tensor._rebuild_from_type_v2",
        *(name("torch._utils._rebuild_tensor_v2"), name("collections.OrderedDict")),
        *(inner, {}),
    )
    return archive(root, {"0": floats(1.0)})


@case("torch._utils._rebuild_tensor_v2")
def quantized_dropped() -> bytes:
    """A tensor of quint8 without a scale, which POP drops again."""
    one = tensor(storage("QUInt8Storage", 1), (1,))
    return archive(Piece(one + pickle.POP + pickle.NONE), {"0": b"a"})


@case("torch._utils._rebuild_sparse_tensor")
def sparse_on_two_devices() -> bytes:
    """A sparse tensor whose indices are on cuda:0, and its values on the CPU."""
    indices = tensor(storage("LongStorage", 1, "0", "cuda:0"), (1, 1))
    values = tensor(storage("FloatStorage", 1, "1"), (1,))
    parts = (indices, values, call("torch.Size", (3,)))
    root = call("torch._utils._rebuild_sparse_tensor", layout("sparse_coo"), parts)
    return archive(root, {"0": longs(1), "1": floats(1.0)})


@case("torch._dynamo.decorators._DimRange")
def range_unfilled() -> bytes:
    """A `_DimRange` of torch's compiler, by NEWOBJ alone."""
    return archive(new("torch._dynamo.decorators._DimRange"))

"""No view outside its storage, in exact integers; nor what lies inside tensors.

Everything is computed anew from the values that the parser returned: with none
of its checks, and without numpy's arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product
from math import prod
from typing import Any, Final

import numpy as np

from conformance.parser import CheckpointError, Storage, Tensor
from conformance.parser.dtypes import DTYPES

from ..target import Violation

PLAIN: Final = "torch.Tensor"

#: Elements that are looked at one by one; a view may repeat its storage for ever.
FEW: Final = 512


def _require(holds: bool, tensor: Tensor, detail: str) -> None:
    if not holds:
        told = f"{detail}: {tensor!r} at {tensor.storage_offset} of {tensor.storage!r}"
        for name, part in tensor.parts.items():
            shown = part.numpy().tolist() if _small(part) else part
            told += f", {name} {shown!r:.200}"
        raise Violation("view outside", told, detail)


def _small(part: Any) -> bool:
    """Whether a part is a tensor whose elements can be looked at one by one."""
    return (
        type(part) is Tensor
        and part.layout == "strided"
        and part.storage is not None
        and part.storage.has_data
        and prod(part.shape) <= FEW
    )


def _last(shape: Sequence[int], stride: Sequence[int], offset: int) -> int:
    """The farthest element of a view; -1 if it has none, wherever it begins."""
    if 0 in shape:
        return -1
    return offset + sum(
        (size - 1) * step for size, step in zip(shape, stride, strict=True)
    )


# ----------------------------------------------------------------------- strided


def view(tensor: Tensor) -> None:
    """Every element of a strided tensor lies in its storage."""
    storage, shape, stride = tensor.storage, tensor.shape, tensor.stride
    if tensor.layout != "strided" or storage is None:
        return
    if stride is None or len(stride) != len(shape):
        _require(False, tensor, "no stride")
        return
    numbers = (*shape, *stride, tensor.storage_offset)
    _require(all(type(number) is int for number in numbers), tensor, "no integer")
    _require(min(numbers) >= 0, tensor, "a negative number")
    info = DTYPES[tensor.dtype]
    room = storage.nbytes * info.per_byte // info.itemsize
    last = _last(shape, stride, tensor.storage_offset)
    _require(last < room, tensor, f"elements of {tensor.dtype}")


def elements(tensor: Tensor) -> None:
    """`numpy()` and `tobytes()` give the elements from their very places.

    Of a tensor that is too large to look at, or that numpy has no array for, they
    may also raise a `CheckpointError`.
    """
    if (tensor.is_conj or tensor.is_neg) and prod(tensor.shape) > FEW:
        # A copy, of what may be more than there is memory.
        return
    try:
        array, told = tensor.numpy(), None
    except CheckpointError as error:
        array, told = np.empty(()), error
    if not _has_elements(tensor):
        return
    if told is not None:
        raise Violation("elements", f"{tensor!r}: {told}")
    expected = b"".join(
        _element(tensor, place)
        for place in _places(tensor.shape, tensor.stride or (), tensor.storage_offset)
    )
    dtype = DTYPES[tensor.dtype].numpy
    if array.shape != tensor.shape or array.dtype != dtype:
        raise Violation("elements", f"{tensor!r} as {array.dtype}{array.shape}")
    if not array.tobytes() == tensor.tobytes() == expected:
        raise Violation("elements", f"{tensor!r} is not what its storage holds")


def _has_elements(tensor: Tensor) -> bool:
    """Whether there is an array of the tensor, small enough to compare."""
    # numpy knows 64 dimensions, and none of a view is too large for it.
    fits = len(tensor.shape) <= 64 and max(tensor.shape, default=0) <= FEW
    return fits and _small(tensor) and (not tensor.is_neg or tensor.dtype in _NEGATED)


#: What torch can negate (2.13.0, on a CPU).
_NEGATED: Final = (
    *("float64", "float32", "float16", "bfloat16"),
    *("complex128", "complex64", "complex32", "bcomplex32"),
    *("int64", "int32", "int16", "int8", "uint8"),
)


def _element(tensor: Tensor, place: int) -> bytes:
    """One element as it is in an array: its bytes, or a byte for its few bits."""
    info, data = DTYPES[tensor.dtype], tensor.storage.data if tensor.storage else b""
    if info.per_byte > 1:
        byte, at = divmod(place, info.per_byte)
        bits = 8 // info.per_byte
        return bytes((data[byte] >> at * bits & (1 << bits) - 1,))
    found = bytes(data[place * info.itemsize : (place + 1) * info.itemsize])
    if info.kind == "int":
        return _negative(found) if tensor.is_neg else found
    half = info.swap
    parts = [found[at : at + half] for at in range(0, len(found), half)]
    for number, part in enumerate(parts):
        if tensor.is_neg is not (tensor.is_conj and number == 1):
            parts[number] = part[:-1] + bytes((part[-1] ^ 0x80,))
    return b"".join(parts)


def _negative(found: bytes) -> bytes:
    number = -int.from_bytes(found, "little") % (1 << 8 * len(found))
    return number.to_bytes(len(found), "little")


def memory(storage: Storage) -> None:
    """A storage that shows an array's memory shows memory that is still that."""
    owner: Any = storage.data.obj if storage.has_data else None
    while isinstance(owner, np.ndarray) and isinstance(owner.base, np.ndarray):
        owner = owner.base
    if not isinstance(owner, np.ndarray):
        return
    begin, size = _address(storage.data), storage.data.nbytes
    first = _address(owner)
    if size and not first <= begin <= begin + size <= first + owner.nbytes:
        told = f"{storage!r} shows {size} bytes that its array has given back"
        raise Violation("view outside", told, "memory of an array")


def _address(data: Any) -> int:
    place: int = np.asarray(data).__array_interface__["data"][0]
    return place


def _places(
    shape: tuple[int, ...], stride: tuple[int, ...], offset: int
) -> Iterator[int]:
    """Where in the storage each element is, row-major."""
    if 0 not in shape:
        for index in product(*map(range, shape)):
            steps = zip(index, stride, strict=True)
            yield offset + sum(at * step for at, step in steps)


# ------------------------------------------------------------ tensors of tensors


def parts(tensor: Tensor) -> None:
    """Whatever a tensor's indices say lies inside its other parts.

    A wrapper subclass may call itself sparse, and has none.
    """
    check = _PARTS.get(tensor.layout)
    if not tensor.parts and tensor.storage is None and tensor.type != PLAIN:
        return
    if check is not None and all(
        _small(part) for part in tensor.parts.values() if type(part) is Tensor
    ):
        check(tensor)


def _coo(tensor: Tensor) -> None:
    indices, values = tensor.parts["indices"], tensor.parts["values"]
    rows = indices.numpy().tolist()
    _require(len(rows) <= len(tensor.shape), tensor, "rows of a COO tensor")
    for row, size in zip(rows, tensor.shape, strict=False):
        _require(all(0 <= at < size for at in row), tensor, "an index of a COO tensor")
    shape = (*indices.shape[1:], *tensor.shape[len(rows) :])
    _require(values.shape == shape, tensor, "values of a COO tensor")
    if tensor.parts["is_coalesced"]:
        columns = list(zip(*rows, strict=True))
        ascending = all(one < other for one, other in pairwise(columns))
        _require(ascending, tensor, "a COO tensor that is not coalesced")


def _compressed(
    compressed: str, plain: str, axis: int, *, blocks: bool = False
) -> Callable[[Tensor], None]:
    """`axis`: which of the two sparse dimensions the compressed indices run over."""

    def check(tensor: Tensor) -> None:
        starts, index = tensor.parts[compressed], tensor.parts[plain]
        values = tensor.parts["values"]
        batch, nnz = len(starts.shape) - 1, index.shape[-1]
        block = values.shape[batch + 1 : batch + 3] if blocks else (1, 1)
        sizes = [
            size // part
            for size, part in zip(tensor.shape[batch : batch + 2], block, strict=True)
        ]
        runs, width = sizes[axis], sizes[1 - axis]
        fits = values.shape[batch] == nnz
        _require(fits, tensor, "values of a compressed tensor")
        for start in starts.numpy().reshape(-1, starts.shape[-1]).tolist():
            whole = len(start) == runs + 1 and start[0] == 0 and start[-1] == nnz
            rising = all(0 <= after - at <= width for at, after in pairwise(start))
            _require(whole and rising, tensor, "runs of a compressed tensor")
        inside = all(0 <= at < width for at in index.numpy().reshape(-1).tolist())
        _require(inside, tensor, "an index of a compressed tensor")

    return check


def _nested(tensor: Tensor) -> None:
    room = prod(tensor.parts["values"].shape)
    offsets = tensor.parts["storage_offsets"].numpy().tolist()
    if not offsets:
        # torch gives an empty one sizes and strides that mean nothing.
        return
    table = (tensor.parts[name].numpy().tolist() for name in ("sizes", "strides"))
    for offset, sizes, strides in zip(offsets, *table, strict=True):
        inside = (
            min((offset, *sizes, *strides)) >= 0
            and _last(sizes, strides, offset) < room
        )
        _require(inside, tensor, "a component of a nested tensor")


def _jagged(tensor: Tensor) -> None:
    made = tensor.parts
    room = made["values"].shape[made["ragged_idx"] - 1]
    starts = made["offsets"].numpy().tolist()
    pieces = list(pairwise(starts))
    if made["lengths"] is not None:
        lengths = made["lengths"].numpy().tolist()
        pieces += [(at, at + size) for at, size in zip(starts, lengths, strict=False)]
    inside = all(0 <= begin <= end <= room for begin, end in pieces)
    _require(inside, tensor, "a component of a jagged tensor")


def _quantized(tensor: Tensor) -> None:
    scales = tensor.parts.get("scales")
    if scales is not None:
        channels = (tensor.shape[tensor.parts["axis"]],)
        fits = scales.shape == tensor.parts["zero_points"].shape == channels
        _require(fits, tensor, "channels of a quantized tensor")


_CSR: Final = ("crow_indices", "col_indices", 0)
_CSC: Final = ("ccol_indices", "row_indices", 1)

_PARTS: Final[dict[str, Callable[[Tensor], None]]] = {
    "strided": _quantized,
    "sparse_coo": _coo,
    "sparse_csr": _compressed(*_CSR),
    "sparse_csc": _compressed(*_CSC),
    "sparse_bsr": _compressed(*_CSR, blocks=True),
    "sparse_bsc": _compressed(*_CSC, blocks=True),
    "nested": _nested,
    "jagged": _jagged,
}

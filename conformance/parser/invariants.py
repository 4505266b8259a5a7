"""What must hold inside sparse and nested tensors, checked for every one.

torch 2.13 checks these only when asked (`torch.sparse.check_sparse_tensor_
invariants`), 2.15 always under `weights_only=True`: an index that points
outside is memory read outside. The `*_shapes` functions need no bytes; the
others read the indices and run when the storages' bytes are there (a legacy
stream has them after the pickle).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .dtypes import DTYPES
from .errors import LimitExceeded, Malformed
from .tensor import Tensor, extent

Shape = tuple[int, ...]
Integers = npt.NDArray[np.int64]


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise Malformed(message, phase="rebuild")


def _index_dtype(tensor: Tensor, what: str, allowed: Shape = (8,)) -> None:
    info = DTYPES[tensor.dtype]
    _require(
        tensor.layout == "strided"
        and tensor.storage is not None
        and info.name in ("int32", "int64")
        and info.itemsize in allowed,
        f"{what} must be a tensor of int64, not {tensor.dtype}",
    )


def _integers(tensor: Tensor) -> Integers | None:
    """The elements of an index tensor; `None` if the file does not hold them.

    Work stays within the file: elements that overlap are refused, those that
    repeat (stride 0) are looked at through numpy without a copy.
    """
    if tensor.storage is None or not tensor.storage.has_data:
        return None
    if tensor.numel * DTYPES[tensor.dtype].itemsize > tensor.storage.nbytes:
        raise LimitExceeded("indices that overlap in memory", phase="rebuild")
    return tensor.numpy()


# -------------------------------------------------------------------------- COO


def coo_shapes(indices: Tensor, values: Tensor, shape: Shape) -> None:
    """`indices` is (sparse dims, nnz), `values` (nnz, dense dims...)."""
    _index_dtype(indices, "the indices of a sparse tensor")
    _require(
        values.layout == "strided" and values.storage is not None,
        "the values of a sparse tensor must be strided",
    )
    _require(
        len(indices.shape) == 2
        and len(values.shape) >= 1
        and values.shape[0] == indices.shape[1]
        and len(shape) == indices.shape[0] + len(values.shape) - 1
        and values.shape[1:] == shape[indices.shape[0] :]
        and min(shape, default=0) >= 0,
        f"indices of shape {indices.shape} and values of shape {values.shape} "
        f"make no sparse tensor of size {shape}",
    )


def coo(indices: Tensor, values: Tensor, shape: Shape, coalesced: bool) -> None:
    """Every index inside the size; sorted and unique if `coalesced` says so."""
    index = _integers(indices)
    if index is None or index.size == 0:
        return
    limits = np.array(shape[: index.shape[0]], dtype=np.uint64)
    _require(
        bool(
            (index >= 0).all() and (index.max(axis=1).astype(np.uint64) < limits).all()
        ),
        "an index of a sparse tensor lies outside its size",
    )
    if coalesced:
        # Each column must come after the one before, the first row deciding.
        before, after = index[:, :-1], index[:, 1:]
        undecided = np.ones(before.shape[1], dtype=bool)
        for left, right in zip(before, after, strict=True):
            _require(
                not bool((undecided & (left > right)).any()),
                "the indices of a coalesced tensor are not sorted",
            )
            undecided &= left == right
        _require(not bool(undecided.any()), "the indices of a coalesced tensor repeat")


# ------------------------------------------------------------------- compressed


def _compressed_axis(layout: str) -> int:
    """Which of the two sparse dimensions the compressed indices run over."""
    return 0 if layout in ("sparse_csr", "sparse_bsr") else 1


def compressed_shapes(
    layout: str, compressed: Tensor, plain: Tensor, values: Tensor, shape: Shape
) -> None:
    """Batch dims first, then rows and columns (in blocks), then dense dims."""
    _index_dtype(compressed, "the compressed indices", (4, 8))
    _index_dtype(plain, "the plain indices", (4, 8))
    _require(compressed.dtype == plain.dtype, "indices of two dtypes")
    _require(
        values.layout == "strided" and values.storage is not None,
        "the values of a sparse tensor must be strided",
    )
    batch = len(compressed.shape) - 1
    block = 2 if layout in ("sparse_bsr", "sparse_bsc") else 0
    fits = (
        batch >= 0
        and len(plain.shape) == batch + 1
        and len(values.shape) >= batch + 1 + block
        and len(shape) == batch + 2 + len(values.shape) - (batch + 1 + block)
        and min(shape, default=0) >= 0
        and compressed.shape[:batch] == plain.shape[:batch] == shape[:batch]
        and values.shape[:batch] == shape[:batch]
        and values.shape[batch] == plain.shape[batch]
        and values.shape[batch + 1 + block :] == shape[batch + 2 :]
    )
    if fits:
        blocks = values.shape[batch + 1 : batch + 3] if block else (1, 1)
        fits = all(
            size > 0 and whole % size == 0
            for whole, size in zip(shape[batch : batch + 2], blocks, strict=True)
        )
        if fits:
            axis = _compressed_axis(layout)
            rows = shape[batch + axis] // blocks[axis]
            fits = compressed.shape[batch] == rows + 1
    _require(
        fits,
        f"indices of shapes {compressed.shape} and {plain.shape} and values of "
        f"shape {values.shape} make no {layout} tensor of size {shape}",
    )


def compressed(
    layout: str, compressed: Tensor, plain: Tensor, values: Tensor, shape: Shape
) -> None:
    """Runs that begin at 0, never go back and end at nnz; sorted inside a run."""
    starts, index = _integers(compressed), _integers(plain)
    if starts is None or index is None:
        return
    batch = starts.ndim - 1
    other = 1 - _compressed_axis(layout)
    block = values.shape[batch + 1 + other] if "bs" in layout else 1
    width = shape[batch + other] // block
    nnz = plain.shape[-1]
    steps = np.diff(starts, axis=-1)
    _require(
        bool(
            (starts[..., 0] == 0).all()
            and (starts[..., -1] == nnz).all()
            and (steps >= 0).all()
            and (steps <= width).all()
        ),
        "the compressed indices do not run from 0 to the number of values",
    )
    _require(
        bool((index >= 0).all() and (index < width).all()),
        "a plain index of a sparse tensor lies outside its size",
    )
    rising = np.diff(index, axis=-1) > 0
    for run_starts, run_rising in zip(
        starts.reshape(-1, starts.shape[-1]),
        rising.reshape(-1, max(nnz - 1, 0)),
        strict=True,
    ):
        # Between two runs the index may fall; inside one it must rise.
        free = np.zeros(nnz + 1, dtype=bool)
        free[run_starts] = True
        _require(
            bool((run_rising | free[1:nnz]).all()),
            "the plain indices of a sparse tensor are not sorted",
        )


# ----------------------------------------------------------------------- nested


def nested_shapes(
    values: Tensor, sizes: Tensor, strides: Tensor, storage_offsets: Tensor
) -> tuple[int, int]:
    """The number of components and of their dimensions."""
    for part, what in (
        (sizes, "the sizes"),
        (strides, "the strides"),
        (storage_offsets, "the offsets"),
    ):
        _index_dtype(part, f"{what} of a nested tensor")
    count = storage_offsets.shape[0] if len(storage_offsets.shape) == 1 else -1
    empty = sizes.numel == 0 == strides.numel
    _require(
        values.layout == "strided"
        and values.storage is not None
        and len(values.shape) == 1
        and count >= 0
        and (empty or (len(sizes.shape) == 2 and sizes.shape == strides.shape))
        and (len(sizes.shape) != 2 or sizes.shape[0] == count),
        f"sizes {sizes.shape}, strides {strides.shape} and offsets "
        f"{storage_offsets.shape} make no nested tensor",
    )
    return count, sizes.shape[1] if len(sizes.shape) == 2 else 0


def nested(
    values: Tensor, sizes: Tensor, strides: Tensor, storage_offsets: Tensor
) -> None:
    """Every component inside the buffer."""
    tables = [_integers(part) for part in (sizes, strides, storage_offsets)]
    if any(table is None for table in tables):
        return
    rows, steps, offsets = (np.asarray(table).tolist() for table in tables)
    room = values.numel
    if len(rows) != len(offsets):
        rows = steps = [[]] * len(offsets)
    for row, step, offset in zip(rows, steps, offsets, strict=True):
        _require(
            extent(row, step, offset) <= room,
            "a component of a nested tensor lies outside its buffer",
        )


def jagged_shapes(values: Tensor, offsets: Tensor, lengths: Any, ragged: Any) -> None:
    """One ragged dimension of `values`, cut by `offsets` (batch + 1 of them)."""
    _index_dtype(offsets, "the offsets of a jagged tensor", (4, 8))
    _require(
        values.layout == "strided"
        and len(offsets.shape) == 1
        and offsets.shape[0] >= 1
        and type(ragged) is int
        and 1 <= ragged <= len(values.shape),
        "values and offsets that make no jagged tensor",
    )
    if lengths is not None:
        _index_dtype(lengths, "the lengths of a jagged tensor", (4, 8))
        _require(
            lengths.shape == (offsets.shape[0] - 1,),
            "the lengths of a jagged tensor do not match its offsets",
        )


def jagged(values: Tensor, offsets: Tensor, lengths: Any, ragged: int) -> None:
    """Every component inside the values."""
    starts = _integers(offsets)
    if starts is None:
        return
    room = values.shape[ragged - 1]
    ends = starts[1:]
    if lengths is not None:
        counts = _integers(lengths)
        if counts is None:
            return
        _require(bool((counts >= 0).all()), "a negative length in a jagged tensor")
        ends = starts[:-1] + counts
    _require(
        bool(
            (starts >= 0).all()
            and (np.diff(starts) >= 0).all()
            and (starts <= room).all()
            and (ends <= room).all()
        ),
        "a component of a jagged tensor lies outside its values",
    )

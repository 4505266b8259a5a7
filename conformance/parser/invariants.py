"""What must hold inside sparse and nested tensors, checked for every one.

torch 2.13 checks these only when asked (`torch.sparse.check_sparse_tensor_
invariants`), 2.15 always under `weights_only=True`: an index that points
outside is memory read outside. The `*_shapes` functions need no bytes; the
others read the indices and run when the storages' bytes are there (a legacy
stream has them after the pickle).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .dtypes import DTYPES
from .errors import LimitExceeded, Malformed
from .limits import Limits
from .tensor import Storage, Tensor, extent

Shape = tuple[int, ...]
Integers = npt.NDArray[np.int64]


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise Malformed(message, phase="rebuild")


def _index_dtype(tensor: Tensor, what: str, *others: str) -> None:
    _require(
        tensor.dtype in ("int64", *others),
        f"{what} must be a tensor of int64, not {tensor.dtype}",
    )


def _one_device(*parts: Tensor | None) -> None:
    devices = {part.device for part in parts if part is not None}
    _require(len(devices) == 1, "a tensor made of parts on several devices")


def _integers(tensor: Tensor, limits: Limits, collapsible: int = 0) -> Integers | None:
    """The elements of an index tensor; `None` if the file does not hold them.

    The first `collapsible` dimensions are shown once where they repeat (stride
    0). The same indices may be asked for again and again, but not too often.
    """
    storage, strides = tensor.storage, tensor.stride
    if storage is None or strides is None or not storage.has_data:
        return None
    shape = tuple(
        min(size, 1) if step == 0 and number < collapsible else size
        for number, (size, step) in enumerate(zip(tensor.shape, strides, strict=True))
    )
    once = Tensor(tensor.dtype, shape, strides, tensor.storage_offset, storage)
    _examine(storage, once.numel * DTYPES[tensor.dtype].itemsize, limits)
    return once.numpy()


def _examine(storage: Storage, nbytes: int, limits: Limits) -> None:
    """Counts the looks at a storage against its size."""
    storage.examined += nbytes
    if storage.examined > limits.copies_ratio * storage.nbytes:
        raise LimitExceeded(
            "the same indices are looked at too often (Limits.copies_ratio)",
            phase="rebuild",
        )


# -------------------------------------------------------------------------- COO


def coo_shapes(indices: Tensor, values: Tensor, shape: Shape) -> None:
    """`indices` is (sparse dims, nnz), `values` (nnz, dense dims...)."""
    _index_dtype(indices, "the indices of a sparse tensor")
    _one_device(indices, values)
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


def coo(indices: Tensor, shape: Shape, coalesced: bool, limits: Limits) -> None:
    """Every index inside the size; sorted and unique if `coalesced` says so."""
    index = _integers(indices, limits, collapsible=2)
    if index is None or index.size == 0:
        return
    bounds = np.array(shape[: indices.shape[0]])
    _require(
        bool((index >= 0).all() and (index.max(axis=1) < bounds).all()),
        "an index of a sparse tensor lies outside its size",
    )
    if coalesced:
        repeats = "the indices of a coalesced tensor repeat"
        _require(index.shape[1] == indices.shape[1], repeats)
        # Each column must come after the one before, the first row deciding.
        undecided = np.ones(index.shape[1] - 1, dtype=bool)
        for row in index:
            if not undecided.any():
                return
            _require(
                not bool((undecided & (row[:-1] > row[1:])).any()),
                "the indices of a coalesced tensor are not sorted",
            )
            undecided &= row[:-1] == row[1:]
        _require(not bool(undecided.any()), repeats)


# ------------------------------------------------------------------- compressed


def _compressed_axis(layout: str) -> int:
    """Which of the two sparse dimensions the compressed indices run over."""
    return 0 if layout in ("sparse_csr", "sparse_bsr") else 1


def compressed_shapes(
    layout: str, compressed: Tensor, plain: Tensor, values: Tensor, shape: Shape
) -> None:
    """Batch dims first, then rows and columns (in blocks), then dense dims."""
    _index_dtype(compressed, "the compressed indices", "int32")
    _index_dtype(plain, "the plain indices", "int32")
    _require(compressed.dtype == plain.dtype, "indices of two dtypes")
    _one_device(compressed, plain, values)
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
    layout: str,
    compressed: Tensor,
    plain: Tensor,
    values: Tensor,
    shape: Shape,
    limits: Limits,
) -> None:
    """Runs that begin at 0, never go back and end at nnz; sorted inside a run."""
    batch = len(compressed.shape) - 1
    starts = _integers(compressed, limits, collapsible=batch)
    index = _integers(plain, limits, collapsible=batch)
    if starts is None or index is None or plain.storage is None:
        return
    other = 1 - _compressed_axis(layout)
    block = values.shape[batch + 1 + other] if "bs" in layout else 1
    width = shape[batch + other] // block
    nnz = plain.shape[-1]
    _require(
        bool(
            (starts[..., 0] == 0).all()
            and (starts[..., -1] == nnz).all()
            and (starts >= 0).all()
            and (starts <= nnz).all()
            and (np.diff(starts, axis=-1) >= 0).all()
            and (np.diff(starts, axis=-1) <= width).all()
        ),
        "the compressed indices do not run from 0 to the number of values",
    )
    _require(
        bool((index >= 0).all() and (index < width).all()),
        "a plain index of a sparse tensor lies outside its size",
    )
    if nnz < 2:
        return
    batches = np.broadcast_shapes(starts.shape[:-1], index.shape[:-1])
    if batches != index.shape[:-1]:
        _examine(plain.storage, nnz * starts.nbytes, limits)
    starts = np.broadcast_to(starts, (*batches, starts.shape[-1]))
    rising = np.broadcast_to(np.diff(index, axis=-1) > 0, (*batches, nnz - 1))
    for batch_index in np.ndindex(batches):
        # Between two runs the index may fall; inside one it must rise.
        free = np.zeros(nnz + 1, dtype=bool)
        free[starts[batch_index]] = True
        _require(
            bool((rising[batch_index] | free[1:nnz]).all()),
            "the plain indices of a sparse tensor are not sorted",
        )


# ----------------------------------------------------------------------- nested


def nested_shapes(
    values: Tensor, sizes: Tensor, strides: Tensor, storage_offsets: Tensor
) -> tuple[int, int]:
    """The number of components and of their dimensions."""
    _one_device(values, sizes, strides, storage_offsets)
    offsets = storage_offsets.shape
    _require(
        len(offsets) == 1
        and (offsets == (0,) or len(sizes.shape) == 2)
        and sizes.shape == strides.shape
        and sizes.shape[:1] in (offsets, ()),
        f"sizes {sizes.shape}, strides {strides.shape} and offsets {offsets} "
        "make no nested tensor",
    )
    _require(
        # torch believes them as they lie in memory.
        _is_contiguous(sizes) and _is_contiguous(strides),
        "the sizes and strides of a nested tensor must be contiguous",
    )
    if offsets != (0,):
        # torch gives an empty one sizes and strides that mean nothing.
        _index_dtype(sizes, "the sizes of a nested tensor")
        _index_dtype(strides, "the strides of a nested tensor")
        _index_dtype(storage_offsets, "the offsets of a nested tensor")
    storage = values.storage
    _require(
        storage is not None
        and len(values.shape) == 1
        and values.storage_offset == 0
        and values.numel == storage.nbytes // DTYPES[values.dtype].itemsize
        and values.stride == (1,),
        "the buffer of a nested tensor must be a whole storage",
    )
    return offsets[0], sizes.shape[1] if len(sizes.shape) == 2 else 0


def _is_contiguous(tensor: Tensor) -> bool:
    if 0 in tensor.shape:
        return True
    expected = 1
    steps = reversed(tensor.stride or ())
    for size, step in zip(reversed(tensor.shape), steps, strict=True):
        if size > 1 and step != expected:
            return False
        expected *= size
    return True


def nested(
    values: Tensor,
    sizes: Tensor,
    strides: Tensor,
    storage_offsets: Tensor,
    limits: Limits,
) -> None:
    """Every component inside the buffer."""
    tables = [
        _integers(part, limits)
        for part in (sizes, strides, storage_offsets)
        if storage_offsets.numel
    ]
    if any(table is None for table in tables):
        return
    rows = (np.asarray(table).tolist() for table in tables)
    for row, step, offset in zip(*rows, strict=True):
        _require(
            extent(row, step, offset) <= values.numel,
            "a component of a nested tensor lies outside its buffer",
        )


def jagged_shapes(
    values: Tensor, offsets: Tensor, lengths: Tensor | None, ragged: int
) -> None:
    """One ragged dimension of `values`, cut by `offsets` (batch + 1 of them)."""
    _index_dtype(offsets, "the offsets of a jagged tensor", "int32")
    _one_device(values, offsets, lengths)
    _require(
        len(offsets.shape) == 1
        and offsets.shape[0] >= 1
        and 1 <= ragged <= len(values.shape),
        f"values of shape {values.shape} and offsets of shape {offsets.shape} make "
        "no jagged tensor",
    )
    if lengths is not None:
        _index_dtype(lengths, "the lengths of a jagged tensor", "int32")
        _require(
            lengths.shape == (offsets.shape[0] - 1,),
            "the lengths of a jagged tensor do not match its offsets",
        )


def jagged(
    values: Tensor, offsets: Tensor, lengths: Tensor | None, ragged: int, limits: Limits
) -> None:
    """Every component inside the values."""
    starts = _integers(offsets, limits)
    counts = None if lengths is None else _integers(lengths, limits)
    if starts is None:
        return
    room = values.shape[ragged - 1]
    _require(
        bool(((starts >= 0) & (starts <= room)).all() and (np.diff(starts) >= 0).all()),
        "the offsets of a jagged tensor lie outside its values",
    )
    if counts is not None:
        _require(
            bool(((counts >= 0) & (counts <= room - starts[:-1])).all()),
            "a component of a jagged tensor lies outside its values",
        )

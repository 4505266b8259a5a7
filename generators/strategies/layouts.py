"""Tensors made of other tensors: sparse, quantized, nested."""

from __future__ import annotations

from typing import Final

import torch
from hypothesis import strategies as st

from .formats import DEFAULT, Format, check_format
from .tensors import (
    Memory,
    draw_octets,
    draw_storage,
    draw_strided,
    quiet_composite,
    untyped,
    view,
)

_LAYOUTS: Final = (
    torch.sparse_coo,
    torch.sparse_csr,
    torch.sparse_csc,
    torch.sparse_bsr,
    torch.sparse_bsc,
)
_SMALL: Final = st.integers(0, 3)
_BOOLEANS: Final = st.booleans()
_SOMETIMES: Final = st.sampled_from((False, False, False, True))
_SCALES: Final = st.sampled_from((1.0, 0.5, 1e-30, 3.0, float("inf"), float("nan")))
_ZEROS: Final = st.sampled_from((0, 1, 3, -7, 127, 1 << 40))

#: The integers inside qint8, quint8 and qint32.
_INTEGERS: Final = (torch.int8, torch.uint8, torch.int32)
_PACKED: Final = (torch.quint4x2, torch.quint2x4)


def draw_sparse(draw: st.DrawFn, memory: Memory) -> torch.Tensor:
    """Any of the five sparse layouts."""
    layout = draw(st.sampled_from(_LAYOUTS))
    if layout == torch.sparse_coo:
        return _draw_coo(draw, memory)
    return _draw_compressed(draw, memory, layout)


def _draw_values(draw: st.DrawFn, memory: Memory, shape: list[int]) -> torch.Tensor:
    """Values of that shape: now and then a view with steps, into more than it needs."""
    dtype = draw(st.sampled_from(memory.dtypes))
    count = 1
    for size in shape:
        count *= size
    offset = int(draw(_SOMETIMES))
    step = offset + 1
    storage = draw_storage(draw, memory, dtype, count * step + offset)
    strides: list[int] = []
    for size in reversed(shape):
        strides.insert(0, step)
        step *= max(size, 1)
    return view(storage, dtype, offset, shape, strides)


def _draw_coo(draw: st.DrawFn, memory: Memory) -> torch.Tensor:
    sparse = draw(st.lists(st.integers(1, 4), min_size=0, max_size=3))
    dense = draw(st.lists(_SMALL, max_size=2))
    entries = [
        tuple(draw(st.integers(0, size - 1)) for size in sparse)
        for _ in range(draw(_SMALL))
    ]
    coalesced = draw(_BOOLEANS)
    if coalesced:
        entries = sorted(set(entries))
    count = len(entries)
    indices = torch.tensor(entries, dtype=torch.int64).reshape(count, len(sparse))
    values = _draw_values(draw, memory, [count, *dense])
    tensor = torch.sparse_coo_tensor(
        indices.t(), values, [*sparse, *dense], check_invariants=False
    )
    return tensor._coalesced_(coalesced)


def _draw_compressed(
    draw: st.DrawFn, memory: Memory, layout: torch.layout
) -> torch.Tensor:
    blocked = layout in (torch.sparse_bsr, torch.sparse_bsc)
    by_row = layout in (torch.sparse_csr, torch.sparse_bsr)
    block = [draw(st.integers(1, 2)), draw(st.integers(1, 3))] if blocked else []
    batch = draw(st.sampled_from(([], [], [1], [2])))
    groups, others = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    dense = draw(st.lists(st.integers(1, 2), max_size=1))
    integers = draw(st.sampled_from((torch.int64, torch.int32)))
    # How many entries each row (or column) has; the same in each batch.
    counts = draw(st.lists(st.integers(0, others), min_size=groups, max_size=groups))
    compressed = torch.zeros(groups + 1, dtype=integers)
    compressed[1:] = torch.tensor(counts).cumsum(0)
    plain = torch.tensor([n for count in counts for n in range(count)], dtype=integers)
    values = _draw_values(draw, memory, [*batch, sum(counts), *block, *dense])
    rows, columns = (groups, others) if by_row else (others, groups)
    if blocked:
        rows, columns = rows * block[0], columns * block[1]
    return torch.sparse_compressed_tensor(
        compressed.expand(*batch, -1),
        plain.expand(*batch, -1),
        values,
        [*batch, rows, columns, *dense],
        layout=layout,
        check_invariants=False,
    )


def draw_quantized(draw: st.DrawFn, memory: Memory) -> torch.Tensor:
    """Per tensor, per channel, or packed into less than a byte an element."""
    if draw(_SOMETIMES):
        return _draw_packed(draw)
    integers = draw(st.sampled_from(_INTEGERS))
    if draw(_BOOLEANS):
        return _draw_per_channel(draw, integers)
    raw = draw_strided(draw, Memory(memory.format), [integers])
    tensor = torch._make_per_tensor_quantized_tensor(raw, draw(_SCALES), draw(_ZEROS))
    if tensor.dim() and draw(_SOMETIMES):
        tensor = tensor.transpose(0, -1).narrow(0, 0, tensor.size(-1) // 2)
    return tensor


def _draw_per_channel(draw: st.DrawFn, integers: torch.dtype) -> torch.Tensor:
    shape = [draw(st.integers(1, 3)) for _ in range(draw(st.integers(1, 3)))]
    axis = draw(st.integers(0, len(shape) - 1))
    channels = shape[axis]
    count = torch.Size(shape).numel()
    raw = torch.frombuffer(
        draw_octets(draw, count * integers.itemsize), dtype=integers
    ).reshape(shape)
    scales = torch.tensor([draw(_SCALES) for _ in range(channels)])
    # Zero points that are floats make it `per_channel_affine_float_qparams`.
    exact = torch.float32 if draw(_BOOLEANS) else torch.int64
    zeros = torch.tensor([draw(_ZEROS) for _ in range(channels)], dtype=exact)
    return torch._make_per_channel_quantized_tensor(raw, scales, zeros, axis)


def _draw_packed(draw: st.DrawFn) -> torch.Tensor:
    """quint4x2 or quint2x4; torch leaves padding uninitialised, we fill it."""
    dtype = draw(st.sampled_from(_PACKED))
    shape = [draw(_SMALL), draw(st.integers(1, 5))]
    if draw(_BOOLEANS):
        tensor = torch._empty_affine_quantized(
            shape, scale=draw(_SCALES), zero_point=draw(_ZEROS), dtype=dtype
        )
    else:
        tensor = torch._empty_per_channel_affine_quantized(
            shape,
            scales=torch.tensor([draw(_SCALES) for _ in range(shape[0])]),
            zero_points=torch.tensor([float(draw(_ZEROS)) for _ in range(shape[0])]),
            axis=0,
            dtype=dtype,
        )
    storage = tensor.untyped_storage()
    storage.copy_(untyped(draw_octets(draw, storage.nbytes())))
    return tensor


def draw_nested(draw: st.DrawFn, memory: Memory) -> torch.Tensor:
    """A nested tensor of the strided layout: a buffer, and where each part lies."""
    rank = draw(st.integers(1, 3))
    shapes = draw(
        st.lists(st.lists(_SMALL, min_size=rank, max_size=rank), min_size=1, max_size=3)
    )
    strides, offsets, end = [], [], 0
    for shape in shapes:
        steps = [1]
        for size in reversed(shape[1:]):
            steps.insert(0, steps[0] * size)
        offsets.append(end)
        end += steps[0] * shape[0]
        strides.append(steps)
    dtype = draw(st.sampled_from(memory.dtypes))
    # Nothing views this storage but the nested tensor, and no gap is left in it.
    storage = draw_storage(draw, Memory(memory.format), dtype, end)
    tensor = torch._nested_view_from_buffer(
        view(storage, dtype, 0, [end], [1]),
        torch.tensor(shapes),
        torch.tensor(strides),
        torch.tensor(offsets),
    )
    return tensor.transpose(1, 2) if rank > 1 and draw(_SOMETIMES) else tensor


@quiet_composite
def _sparse_tensors(draw: st.DrawFn, format: Format) -> torch.Tensor:
    return draw_sparse(draw, Memory(format))


def sparse_tensors(*, format: Format = DEFAULT) -> st.SearchStrategy[torch.Tensor]:
    """COO (coalesced or not), CSR, CSC, BSR and BSC tensors.

    With batch and dense dimensions, both integer dtypes of compressed indices,
    and values of any dtype, which may be strided views. Shrinks to a COO
    tensor without elements.
    """
    check_format(format)
    return _sparse_tensors(format)


@quiet_composite
def _quantized_tensors(draw: st.DrawFn, format: Format) -> torch.Tensor:
    return draw_quantized(draw, Memory(format))


def quantized_tensors(*, format: Format = DEFAULT) -> st.SearchStrategy[torch.Tensor]:
    """Tensors quantized per tensor and per channel, down to 4 and 2 bits.

    Scales and zero points are odd on purpose. The padding of packed tensors,
    which torch leaves uninitialised, is drawn too. Shrinks to a qint8 matrix.
    """
    check_format(format)
    return _quantized_tensors(format)


@quiet_composite
def _nested_tensors(draw: st.DrawFn) -> torch.Tensor:
    return draw_nested(draw, Memory())


def nested_tensors() -> st.SearchStrategy[torch.Tensor]:
    """Nested tensors of the strided layout, for a format that `keeps_all`.

    torch rebuilds them from the numbers in three of their tensors, and raises
    or worse if they are others. Shrinks to a single part without elements.
    """
    return _nested_tensors()

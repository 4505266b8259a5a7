"""Storages, and the strided tensors that view them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import mul
from typing import Concatenate, Final, ParamSpec, TypeVar

import torch
from hypothesis import strategies as st

from .formats import DEFAULT, Format, check_format

#: Written with a storage class of their own (`_rebuild_tensor_v2`).
V2: Final = tuple(
    dtype
    for dtype in (
        torch.float32, torch.int64, torch.float64, torch.float16, torch.bfloat16,
        torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
        torch.complex64, torch.complex128,
    )
)  # fmt: skip

#: Written in an untyped storage (`_rebuild_tensor_v3`).
V3: Final = (
    torch.uint16, torch.uint32, torch.uint64, torch.complex32,
    torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz,
    torch.float8_e5m2fnuz, torch.float8_e8m0fnu, torch.float4_e2m1fn_x2,
    torch.bits8, torch.bits16, torch.bits1x8, torch.bits2x4, torch.bits4x2,
)  # fmt: skip

#: torch checks that a storage is saved under one dtype; to that check all of
#: these are bytes, so they may share.
BYTES: Final = (*V3, torch.uint8)

#: Only on the meta device: elsewhere `torch.save` raises KeyError.
NARROW: Final = tuple(
    getattr(torch, f"{sign}int{bits}") for sign in ("", "u") for bits in range(1, 8)
)

#: Tiled over a storage. Little-endian: infinities, quiet and signalling NaNs
#: of each width, subnormals, the largest and smallest integers.
_PATTERNS: Final = (
    b"\x00", b"\xff", b"\x80", b"\x7f", b"\x01",
    b"\x00\x80", b"\x00\x7c", b"\x01\xfc", b"\x80\x7f", b"\x81\xff", b"\xff\x7f",
    b"\x00\x00\x00\x80", b"\x00\x00\x80\x7f", b"\x01\x00\x80\xff",
    b"\x00\x00\x00\x00\x00\x00\x00\x80", b"\x00\x00\x00\x00\x00\x00\xf0\x7f",
    b"\x01\x00\x00\x00\x00\x00\xf0\xff", b"\xef\xbe\xad\xde\x00\x00\xf8\x7f",
    bytes(range(256)),
)  # fmt: skip

_COUNTS: Final = st.sampled_from((1, 2, 3, 4, 6, 8, 12, 24, 0, 60))
_SIZES: Final = st.lists(
    st.sampled_from((1, 2, 3, 2, 4, 3, 1, 2, 5, 0)), min_size=0, max_size=6
)
#: A dimension of one element may have any stride; the last is for those.
_STRIDES: Final = st.lists(
    st.sampled_from((1, 0, 2, 3, 1, 4, 6, 0, 12, 10**12)), min_size=6, max_size=6
)
_RARELY: Final = st.sampled_from((False,) * 7 + (True,))
_BOOLEANS: Final = st.booleans()


P = ParamSpec("P")
T = TypeVar("T")


def quiet_composite(
    function: Callable[Concatenate[st.DrawFn, P], T],
) -> Callable[P, st.SearchStrategy[T]]:
    """`st.composite`, without torch's word on prototypes and deprecations.

    torch warns, some of it once a process, about complex32, sparse layouts,
    nested and quantized tensors.
    """

    def quiet(draw: st.DrawFn, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(draw, *args, **kwargs)

    quiet.__name__ = function.__name__
    return st.composite(quiet)


@dataclass
class Memory:
    """The storages of one checkpoint so far: later tensors may view them too.

    `dtype` is what a storage is saved as; `None` stands for any of `BYTES`.
    """

    format: Format = DEFAULT
    storages: list[tuple[torch.UntypedStorage, torch.dtype | None]] = field(
        default_factory=list
    )

    @property
    def dtypes(self) -> tuple[torch.dtype, ...]:
        """What a tensor with data can be, in this format."""
        return (*V2, *V3) if self.format.keeps_all else V2


def draw_octets(draw: st.DrawFn, count: int) -> bytearray:
    """So many bytes: drawn one by one if few, else a pattern repeated."""
    if count <= 16:
        return bytearray(draw(st.binary(min_size=count, max_size=count)))
    pattern = draw(st.sampled_from(_PATTERNS) | st.binary(min_size=1, max_size=24))
    return bytearray((pattern * (count // len(pattern) + 1))[:count])


def untyped(octets: bytearray) -> torch.UntypedStorage:
    """A storage of torch's own that holds these bytes."""
    if not octets:
        return torch.UntypedStorage(0)
    return torch.frombuffer(octets, dtype=torch.uint8).clone().untyped_storage()


def view(
    storage: torch.UntypedStorage,
    dtype: torch.dtype,
    offset: int,
    shape: Sequence[int],
    stride: Sequence[int],
) -> torch.Tensor:
    """The tensor that reads `storage` so; all counted in elements."""
    return torch.empty(0, dtype=dtype).set_(storage, offset, shape, stride)


def draw_storage(
    draw: st.DrawFn, memory: Memory, dtype: torch.dtype, elements: int | None = None
) -> torch.UntypedStorage:
    """A new storage for that dtype, remembered for later tensors."""
    if elements is None:
        elements = draw(_COUNTS)
    octets = draw_octets(draw, elements * dtype.itemsize)
    if dtype in V3 and draw(_RARELY):
        # An untyped storage need not end with an element.
        octets += draw_octets(draw, 1)
    if dtype == torch.bool and not draw(_RARELY):
        octets = bytearray(octet & 1 for octet in octets)
    storage = untyped(octets)
    shared = None if dtype in BYTES and memory.format.keeps_all else dtype
    memory.storages.append((storage, shared))
    return storage


def draw_strided(
    draw: st.DrawFn, memory: Memory, dtypes: Sequence[torch.dtype] | None = None
) -> torch.Tensor:
    """A tensor on a storage of its own, or one that an earlier tensor views."""
    if dtypes is None and memory.storages and draw(_BOOLEANS):
        storage, only = draw(st.sampled_from(memory.storages))
        dtype = draw(st.sampled_from(BYTES)) if only is None else only
        return draw_view(draw, storage, dtype)
    dtype = draw(st.sampled_from(memory.dtypes if dtypes is None else dtypes))
    if draw(_BOOLEANS):
        return draw_view(draw, draw_storage(draw, memory, dtype), dtype)
    # The everyday tensor: it fills its storage, in order or transposed.
    shape = _within(draw(_SIZES), 240)
    stride = _contiguous(shape)
    storage = draw_storage(draw, memory, dtype, _count(shape))
    if draw(_RARELY):
        shape, stride = shape[::-1], stride[::-1]
    return view(storage, dtype, 0, shape, stride)


def draw_view(
    draw: st.DrawFn, storage: torch.UntypedStorage, dtype: torch.dtype
) -> torch.Tensor:
    """Any view: offset, steps, repeated elements, overlap, no elements at all."""
    held = storage.nbytes() // dtype.itemsize
    offset = draw(st.integers(0, held))
    shape = draw(_SIZES)
    stride = draw(_STRIDES)[: len(shape)]
    room = held - offset - 1
    if room < 0 and 0 not in shape:
        # Nothing is left there; a view without elements needs nothing.
        shape = [0, *shape[1:]]
        stride = stride or [1]
    elif 0 not in shape:
        for dim, step in enumerate(stride):
            if step:
                shape[dim] = min(shape[dim], room // step + 1)
                room -= (shape[dim] - 1) * step
    return view(storage, dtype, offset, shape, stride)


def draw_bits(draw: st.DrawFn, memory: Memory, tensor: torch.Tensor) -> torch.Tensor:
    """Perhaps conjugate or negate lazily, or require gradients."""
    if tensor.is_complex() and draw(_BOOLEANS):
        tensor = tensor.conj()
    if draw(_RARELY):
        tensor = torch._neg_view(tensor)
    # torch saves a v3 tensor that requires gradients, but cannot load it: "a
    # leaf Variable that requires grad is being used in an in-place operation".
    differentiable = tensor.is_floating_point() or tensor.is_complex()
    if differentiable and tensor.dtype not in V3 and draw(_RARELY):
        tensor.requires_grad_()
    return tensor


def draw_meta(draw: st.DrawFn) -> torch.Tensor:
    """A tensor without data, of any dtype and stride."""
    shape = draw(_SIZES)
    stride = draw(_STRIDES)[: len(shape)]
    dtype = draw(st.sampled_from(V2) | st.sampled_from((*V3, *NARROW)))
    tensor = torch.empty_strided(shape, stride, dtype=dtype, device="meta")
    if (tensor.is_floating_point() or tensor.is_complex()) and draw(_RARELY):
        tensor.requires_grad_()
    return tensor


def _count(shape: Sequence[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _within(shape: list[int], limit: int) -> list[int]:
    """The longest head of `shape` whose elements stay below `limit`."""
    while _count(shape) > limit:
        shape = shape[:-1]
    return shape


def _contiguous(shape: Sequence[int]) -> list[int]:
    """Row-major strides, as torch counts them: an empty dimension as one."""
    steps = accumulate((max(size, 1) for size in reversed(shape[1:])), mul, initial=1)
    return list(steps)[::-1][-len(shape) :] if shape else []


def dtypes(*, format: Format = DEFAULT) -> st.SearchStrategy[torch.dtype]:
    """Dtypes of plain tensors that can be saved and loaded again.

    In the legacy stream these are only the twelve whose storages have a dtype
    (see `Format.keeps_all`). Shrinks to float32.
    """
    check_format(format)
    return st.sampled_from(Memory(format).dtypes)


@quiet_composite
def _storages(draw: st.DrawFn, dtype: torch.dtype | None) -> torch.UntypedStorage:
    memory = Memory()
    return draw_storage(draw, memory, dtype or draw(dtypes()))


def storages(
    *, dtype: torch.dtype | None = None
) -> st.SearchStrategy[torch.UntypedStorage]:
    """Storages of up to a thousand bytes: any bytes, for whole elements of `dtype`.

    Among the bytes are the odd floats of each width, NaN payloads included;
    bool storages hold mostly 0 and 1. Shrinks to one element of zero.
    """
    if dtype is not None and dtype not in (*V2, *V3):
        raise ValueError(f"no plain tensor of {dtype} can be saved")
    return _storages(dtype)


@quiet_composite
def _strided_tensors(
    draw: st.DrawFn, dtypes: Sequence[torch.dtype] | None, format: Format
) -> torch.Tensor:
    memory = Memory(format)
    return draw_bits(draw, memory, draw_strided(draw, memory, dtypes))


def strided_tensors(
    *,
    dtypes: Sequence[torch.dtype] | None = None,
    format: Format = DEFAULT,
) -> st.SearchStrategy[torch.Tensor]:
    """Strided tensors with up to six dimensions, on storages often larger.

    Half of them fill their storage, the others view it with any offset and
    strides (steps, zero strides, overlap). Some have the conj or neg bit, or
    require gradients. Shrinks to a float32 scalar of zero.
    """
    check_format(format)
    possible = Memory(format).dtypes
    for dtype in dtypes or ():
        if dtype not in possible:
            raise ValueError(f"no plain tensor of {dtype} can be loaded from {format}")
    return _strided_tensors(tuple(dtypes) if dtypes else None, format)


@quiet_composite
def _meta_tensors(draw: st.DrawFn) -> torch.Tensor:
    return draw_meta(draw)


def meta_tensors() -> st.SearchStrategy[torch.Tensor]:
    """Tensors on the meta device: no data, any dtype, int1 to uint7 included.

    Shrinks to a float32 scalar.
    """
    return _meta_tensors()

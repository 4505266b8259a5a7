"""Tensors over storages, every element of them inside; and what comes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..dtypes import DTYPES, DTypeInfo
from ..errors import Malformed, Unsupported, quote
from ..tensor import Storage, Tensor, extent
from .checks import (
    NESTED_TENSOR,
    PARAMETER,
    TENSOR,
    as_flag,
    as_grad,
    as_int,
    as_ints,
    as_tensor,
    check_count,
    is_nothing,
    short,
    wrong,
)

if TYPE_CHECKING:
    from ..unpickler import Unpickler


def strided(
    machine: Unpickler,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    info: DTypeInfo | None = None,
) -> Tensor:
    """A view of a storage, every element of it inside."""
    if type(storage) is not Storage:
        raise wrong("a tensor needs a storage", storage)
    offset = as_int(offset, "the storage offset")
    shape = as_ints(machine, size, "the size")
    # torch's set_ takes no stride at all for row-major order.
    steps = as_ints(machine, stride, "the stride") or contiguous(shape)
    return tensor_of(storage, offset, shape, steps, info)


def tensor_of(
    storage: Storage,
    offset: int,
    shape: tuple[int, ...],
    steps: tuple[int, ...],
    info: DTypeInfo | None = None,
) -> Tensor:
    """The same from ints of 64 bits; `info` if the dtype is not the storage's."""
    if len(shape) != len(steps):
        raise Malformed(
            f"a size of {len(shape)} dimensions, a stride of {len(steps)}",
            phase="rebuild",
        )
    if info is None:
        info = DTYPES[storage.dtype]
    needed = extent(shape, steps, offset)
    room = storage.nbytes // info.itemsize
    if needed > room:
        raise Malformed(
            f"size {short(shape)}, stride {short(steps)}, offset {offset} need "
            f"{needed} elements where the storage has {room}",
            phase="rebuild",
        )
    if needed == 0 or 0 in steps:
        check_count(shape)
    return Tensor(info.name, shape, steps, offset, storage, device=storage.location)


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    steps = []
    step = 1
    for size in reversed(shape):
        steps.append(step)
        step *= max(size, 1)
    return tuple(reversed(steps))


def from_array(array: np.ndarray[Any, Any], dtype: str) -> Tensor:
    """A contiguous tensor around an array of ours."""
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    storage = Storage(dtype, data.nbytes, source=memoryview(data.data).toreadonly())
    return Tensor(dtype, array.shape, contiguous(array.shape), 0, storage)


def part_of(value: Any, what: str, *, bits: bool = False) -> Tensor:
    """A tensor with elements, for others to be made of: whatever class it had.

    `bits` says whether it may have a conj or neg bit.
    """
    tensor = as_tensor(value, what)
    if tensor.layout != "strided" or tensor.storage is None:
        raise Malformed(f"{what} must be strided", phase="rebuild")
    if DTYPES[tensor.dtype].kind == "quantized":
        raise Malformed(f"{what} cannot be {tensor.dtype}", phase="rebuild")
    if not bits and (tensor.is_conj or tensor.is_neg):
        raise Unsupported(f"{what} with a conj or neg bit", phase="rebuild")
    plain = copy_of(tensor)
    plain._type = TENSOR
    plain._requires_grad = False
    return plain


def copy_of(tensor: Tensor) -> Tensor:
    """Another tensor over the same storage, without its Python attributes."""
    return Tensor(
        tensor._dtype,
        tensor._shape,
        tensor._stride,
        tensor._storage_offset,
        tensor._storage,
        tensor._requires_grad,
        tensor._layout,
        tensor._device,
        tensor._is_conj,
        tensor._is_neg,
        tensor._type,
        tensor._parts,
    )


def with_hooks(tensor: Tensor, hooks: Any) -> Tensor:
    """Hooks are not saved since 0.4; what an old file has is kept as it stands."""
    if hooks is not None and not (isinstance(hooks, dict) and not hooks):
        tensor._attributes = {**tensor.attributes, "_backward_hooks": hooks}
    return tensor


def with_metadata(tensor: Tensor, metadata: Any) -> Tensor:
    """The conj and neg bits: a name that is there sets its bit, whatever it says.

    Source: `setTensorMetadata`, torch/csrc/jit/serialization/pickler_helper.h.
    """
    if is_nothing(metadata):
        return tensor
    if not isinstance(metadata, dict):
        raise wrong("a tensor's metadata must be a dict", metadata)
    # Not `metadata.items()`: an attribute from the file may hide it.
    for name, value in dict.items(metadata):
        if name not in ("conj", "neg"):
            raise Unsupported(f"the tensor metadata {quote(name)}", phase="rebuild")
        as_flag(value, name)
    if "conj" in metadata and DTYPES[tensor.dtype].kind != "complex":
        raise Malformed(f"a conj bit on {tensor.dtype}", phase="rebuild")
    tensor._is_conj = "conj" in metadata
    tensor._is_neg = "neg" in metadata
    return tensor


def with_state(machine: Unpickler, tensor: Tensor, state: Any) -> Tensor:
    """A subclass's attributes, or the state its `__setstate__` would get."""
    attributes = machine.attributes(state)
    plain = tensor.type in (TENSOR, PARAMETER, NESTED_TENSOR)
    if attributes is not None:
        if not all(type(name) is str for name in attributes):
            # Those of Python 2 are bytes, which torch cannot set either.
            raise Malformed("a tensor's attribute is no string", phase="rebuild")
        if tensor.type not in (TENSOR, NESTED_TENSOR):
            _say_again(tensor, attributes)
        taken = PROPERTIES.intersection(attributes) if plain else None
        if taken:
            raise Unsupported(
                f"an attribute called {quote(min(taken))}, which every tensor has",
                phase="rebuild",
            )
        tensor._attributes = {**tensor.attributes, **attributes}
    elif plain:
        if not is_nothing(state):
            raise wrong("a tensor's attributes must be a dict", state)
    else:
        tensor._state = state
    return tensor


def _say_again(tensor: Tensor, attributes: dict[Any, Any]) -> None:
    """What the 4-bit Parameters of bitsandbytes keep in their state as well.

    To set these attributes is to change the tensor, whatever its class.
    """
    data = attributes.get("data")
    if type(data) is Tensor and _kind(data) == _kind(tensor):
        tensor._take_view(attributes.pop("data"))
    if type(attributes.get("requires_grad")) is bool:
        grad = as_grad(attributes.pop("requires_grad"), DTYPES[tensor.dtype])
        tensor._requires_grad = grad


def _kind(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.dtype, tensor.layout, tensor.device, tensor.is_conj, tensor.is_neg


#: What every tensor has: to set it is more than to keep an attribute, if torch
#: allows it at all (`torch.Tensor.__mro__`, 2.13.0).
PROPERTIES: Final = frozenset(
    """
    H T __class__ __cuda_array_interface__ __dict__ __weakref__ _base _cdata
    _grad _grad_fn _has_symbolic_sizes_strides _post_accumulate_grad_hooks
    _python_dispatch _version data device dtype grad grad_dtype grad_fn imag is_cpu
    is_cuda is_ipu is_leaf is_maia is_meta is_mkldnn is_mps is_mtia is_nested
    is_quantized is_sparse is_sparse_csr is_vulkan is_xla is_xpu itemsize layout mH mT
    name names nbytes ndim output_nr real requires_grad retains_grad shape volatile
    """.split()
)

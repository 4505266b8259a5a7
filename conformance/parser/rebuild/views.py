"""Tensors over storages, every element of them inside; and what comes with them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import DTYPES, DTypeInfo
from ..errors import Malformed, quote
from ..tensor import Storage, Tensor, extent
from .checks import PARAMETER, TENSOR, as_flag, as_ints, check_counts, short, wrong

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
    if type(offset) is not int:
        offset = int(as_flag(offset, "the storage offset"))
    shape = as_ints(machine, size, "the size")
    steps = as_ints(machine, stride, "the stride")
    return tensor_of(storage, offset, shape, steps, info)


def tensor_of(
    storage: Storage,
    offset: int,
    shape: tuple[int, ...],
    steps: tuple[int, ...],
    info: DTypeInfo | None = None,
) -> Tensor:
    """The same from ints that are known to be ints; `info` if not the storage's."""
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
        check_counts(shape, steps, offset)
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
    if hooks is not None and type(hooks) not in (dict, OrderedDict):
        raise wrong("backward hooks must be a dict", hooks)
    if hooks:
        tensor._attributes = {**tensor.attributes, "_backward_hooks": hooks}
    return tensor


def with_metadata(tensor: Tensor, metadata: Any) -> Tensor:
    """The conj and neg bits (`torch._C._set_tensor_metadata`)."""
    if not metadata:
        return tensor
    if type(metadata) is not dict:
        raise wrong("a tensor's metadata must be a dict", metadata)
    for name, value in metadata.items():
        if name == "conj":
            tensor._is_conj = as_flag(value, "conj")
        elif name == "neg":
            tensor._is_neg = as_flag(value, "neg")
        else:
            raise Malformed(f"unknown tensor metadata {quote(name)}", phase="rebuild")
    if tensor._is_conj and DTYPES[tensor.dtype].kind != "complex":
        raise Malformed(f"a conj bit on {tensor.dtype}", phase="rebuild")
    return tensor


def with_state(machine: Unpickler, tensor: Tensor, state: Any) -> Tensor:
    """A subclass's attributes, or the state its `__setstate__` would get."""
    attributes = machine.attributes(state)
    if attributes is not None:
        tensor._attributes = {**tensor.attributes, **attributes}
    elif tensor.type in (TENSOR, PARAMETER):
        raise wrong("a tensor's attributes must be a dict", state)
    else:
        tensor._state = state
    return tensor

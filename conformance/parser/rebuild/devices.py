"""Tensors without a storage, and tensors of devices that kept none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..dtypes import DTYPES
from ..errors import Malformed, Unsupported
from ..registry import Table
from ..tensor import Storage, Tensor, extent
from ..values import Layout
from .checks import (
    PARAMETER,
    TENSOR,
    as_class,
    as_dtype,
    as_grad,
    as_int,
    as_ints,
    as_tensor,
    check_count,
    without_scale,
    wrong,
)
from .small import device_of
from .sparse import COMPRESSED
from .views import copy_of, from_array

if TYPE_CHECKING:
    from ..unpickler import Unpickler

CALLS: Final = Table()


@CALLS.named("torch._utils._rebuild_meta_tensor_no_storage")
def _rebuild_meta_tensor_no_storage(
    machine: Unpickler, dtype: Any, size: Any, stride: Any, requires_grad: Any
) -> Tensor:
    info = as_dtype(dtype)
    if info.kind == "quantized":
        raise without_scale(info.name)
    shape = as_ints(machine, size, "the size")
    steps = as_ints(machine, stride, "the stride")
    if len(shape) != len(steps):
        raise Malformed("a size and a stride of different lengths", phase="rebuild")
    nbytes = extent(shape, steps, 0) * info.itemsize
    check_count(shape)
    as_int(nbytes, "the size of a storage")
    tensor = Tensor(info.name, shape, steps, 0, Storage(info.name, nbytes, "meta"))
    tensor._device = "meta"
    tensor._requires_grad = as_grad(requires_grad, info)
    return tensor


@CALLS.named("torch._utils._rebuild_wrapper_subclass")
def _rebuild_wrapper_subclass(
    machine: Unpickler,
    cls: Any,
    dtype: Any,
    size: Any,
    stride: Any,
    offset: Any,
    layout: Any,
    device: Any,
    requires_grad: Any,
) -> Tensor:
    """A tensor that keeps its elements in tensors among its attributes."""
    info = as_dtype(dtype)
    shape = as_ints(machine, size, "the size")
    steps = as_ints(machine, stride, "the stride")
    if len(shape) != len(steps):
        raise Malformed("a size and a stride of different lengths", phase="rebuild")
    if type(layout) is not Layout:
        raise wrong("a wrapper subclass needs a layout", layout)
    if layout.name in COMPRESSED:
        # What torch wraps has no indices.
        raise Malformed(f"a wrapper subclass of layout {layout}", phase="rebuild")
    name = as_class(cls)
    if name in (TENSOR, PARAMETER):
        raise Malformed(f"{name} wraps no other tensors", phase="rebuild")
    extent(shape, steps, as_int(offset, "the storage offset"))
    check_count(shape)
    return Tensor(
        info.name,
        shape,
        steps,
        offset,
        None,
        as_grad(requires_grad, info),
        layout.name,
        _device_tag(device),
        type=name,
    )


def _device_tag(device: Any) -> str:
    return str(device_of(device))


@CALLS.named("torch._utils._rebuild_device_tensor_from_cpu_tensor")
def _rebuild_device_tensor_from_cpu_tensor(
    machine: Unpickler, data: Any, dtype: Any, device: Any, requires_grad: Any
) -> Tensor:
    tensor = copy_of(as_tensor(data, "the data of a device's tensor"))
    if as_dtype(dtype).name != tensor.dtype:
        raise Unsupported(
            f"a tensor of {as_dtype(dtype).name} kept as {tensor.dtype}",
            phase="rebuild",
        )
    tensor._device = _device_tag(device)
    tensor._requires_grad = as_grad(requires_grad, DTYPES[tensor.dtype])
    return tensor


@CALLS.named(
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_xla_tensor",
    "torch._utils._rebuild_mlc_tensor",
)
def _rebuild_device_tensor_from_numpy(
    machine: Unpickler, data: Any, dtype: Any, device: Any, requires_grad: Any
) -> Tensor:
    """An XLA tensor; numpy has no bfloat16, so those were kept as float32."""
    info = as_dtype(dtype)
    if (
        type(data) is not np.ndarray
        or data.dtype.hasobject
        or id(data) in machine.incomplete
    ):
        raise wrong("a device's tensor is kept as a numpy array", data)
    machine.spend(data.nbytes)
    if data.dtype != info.numpy:
        if data.dtype != np.float32 or info.name != "bfloat16":
            raise Unsupported(
                f"a tensor of {info.name} kept as numpy's {data.dtype.str}",
                phase="rebuild",
            )
        data = data.astype(info.numpy)
    tensor = from_array(data, info.name)
    tensor._device = _device_tag(device)
    tensor._requires_grad = as_grad(requires_grad, info)
    return tensor

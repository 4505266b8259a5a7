"""Plain tensors: `_rebuild_tensor`, `_v2`, `_v3`, and the classes of before 1.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..dtypes import DTYPES, DTypeInfo
from ..errors import Malformed, Uninitialised, Unsupported
from ..registry import Table
from ..tensor import Storage, Tensor
from .checks import TENSOR, as_dtype, as_grad, as_tensor, short, without_scale
from .views import strided, with_hooks, with_metadata

if TYPE_CHECKING:
    from ..unpickler import Unpickler

CALLS: Final = Table()


@CALLS.named("torch._utils._rebuild_tensor")
def _rebuild_tensor(
    machine: Unpickler, storage: Any, offset: Any, size: Any, stride: Any
) -> Tensor:
    tensor = strided(machine, storage, offset, size, stride)
    if DTYPES[tensor.dtype].kind == "quantized":
        raise without_scale(tensor.dtype)
    return tensor


@CALLS.named("torch._utils._rebuild_tensor_v2")
def _rebuild_tensor_v2(
    machine: Unpickler,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    metadata: Any = None,
) -> Tensor:
    tensor = _rebuild_tensor(machine, storage, offset, size, stride)
    if requires_grad is not False:
        tensor._requires_grad = as_grad(requires_grad, DTYPES[tensor.dtype])
    if metadata is not None:
        with_metadata(tensor, metadata)
    return with_hooks(tensor, hooks)


@CALLS.named("torch._utils._rebuild_tensor_v3")
def _rebuild_tensor_v3(
    machine: Unpickler,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    info = as_dtype(dtype)
    if info.kind == "quantized":
        raise without_scale(info.name)
    tensor = strided(machine, storage, offset, size, stride, info)
    storage.interpret(info.swap)
    tensor._requires_grad = as_grad(requires_grad, info)
    with_metadata(tensor, metadata)
    return with_hooks(tensor, hooks)


# -------------------------------------------------------------- legacy tensors


def empty(info: DTypeInfo) -> Tensor:
    return Tensor(info.name, (0,), (1,), 0, Storage(info.name, 0))


def legacy_tensor(info: DTypeInfo, args: tuple[Any, ...]) -> Tensor:
    """`torch.FloatTensor(...)`, before 1.0; BUILD then gives it a storage."""
    sizes = all(type(size) is int for size in args)
    if sizes and args in ((), (0,)):
        return empty(info)
    if sizes:
        raise Uninitialised(
            f"a new tensor of size {short(args)}, which nothing fills", phase="rebuild"
        )
    raise Unsupported(
        f"a legacy tensor made from a {type(args[0]).__name__}", phase="rebuild"
    )


def set_state(machine: Unpickler, tensor: Tensor, state: Any) -> None:
    """BUILD of a tensor (`Tensor.__setstate__`, torch/_tensor.py).

    Four items are the storage, offset, size and stride of a tensor of 0.3;
    five are a Variable's, three a Parameter's.
    """
    if not isinstance(state, tuple) or len(state) not in (3, 4, 5):
        raise Malformed(
            "the state of a tensor is a tuple of 3, 4 or 5", phase="rebuild"
        )
    if len(state) == 4:
        view = strided(machine, *state)
        if view.dtype != tensor.dtype:
            raise Malformed(
                f"a storage of {view.dtype} in a tensor of {tensor.dtype}",
                phase="rebuild",
            )
        tensor._take_view(view)
        return
    if len(state) == 5:
        data = as_tensor(state[0], "a Variable's data")
        if data.dtype != tensor.dtype:
            raise Malformed(
                f"data of {data.dtype} in a Variable of {tensor.dtype}", phase="rebuild"
            )
        tensor._take_view(data)
        state = (state[3], state[4], state[2])
    requires_grad, _, hooks = state
    tensor._requires_grad = as_grad(requires_grad, DTYPES[tensor.dtype])
    with_hooks(tensor, hooks)


@CALLS.named(TENSOR)
def _new_tensor(machine: Unpickler, *args: Any) -> Tensor:
    return legacy_tensor(DTYPES["float32"], args)

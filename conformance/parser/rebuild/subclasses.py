"""Parameters, Variables, and tensors of any other class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..dtypes import DTYPES
from ..registry import Table
from ..tensor import Tensor
from .checks import PARAMETER, TENSOR, as_class, as_flag, as_grad, as_tensor
from .strided import empty
from .views import copy_of, with_hooks, with_state

if TYPE_CHECKING:
    from ..unpickler import Unpickler

CALLS: Final = Table()


def _parameter(data: Any, requires_grad: Any) -> Tensor:
    """`torch.nn.Parameter(data, requires_grad)`: another tensor on the same bytes."""
    tensor = copy_of(as_tensor(data, "a Parameter's data"))
    if tensor.type in (TENSOR, PARAMETER):
        tensor._type = PARAMETER
    else:
        # A Parameter of a subclass stays that class (nn/parameter.py).
        kept = data.attributes if data.storage is None else {}
        tensor._attributes = {**kept, "_is_param": True}
    tensor._requires_grad = as_grad(requires_grad, DTYPES[tensor.dtype])
    return tensor


@CALLS.named("torch._utils._rebuild_parameter")
def _rebuild_parameter(
    machine: Unpickler, data: Any, requires_grad: Any, hooks: Any
) -> Tensor:
    return with_hooks(_parameter(data, requires_grad), hooks)


@CALLS.named("torch._utils._rebuild_parameter_with_state")
def _rebuild_parameter_with_state(
    machine: Unpickler, data: Any, requires_grad: Any, hooks: Any, state: Any
) -> Tensor:
    tensor = with_hooks(_parameter(data, requires_grad), hooks)
    return with_state(machine, tensor, state)


@CALLS.named("torch._tensor._rebuild_from_type_v2")
def _rebuild_from_type_v2(
    machine: Unpickler, func: Any, new_type: Any, args: Any, state: Any
) -> Any:
    name = as_class(new_type)
    tensor = machine.call(func, args)
    if type(tensor) is not Tensor:
        return NotImplemented  # rebuilt by a function that nobody knows
    if tensor.type != name:
        tensor = copy_of(tensor)
        tensor._type = name
    return with_state(machine, tensor, state)


@CALLS.named("torch._tensor._rebuild_from_type", "torch.tensor._rebuild_from_type")
def _rebuild_from_type(
    machine: Unpickler, func: Any, new_type: Any, args: Any, state: Any
) -> Any:
    """torch 1.7 to 1.9; a plain tensor's attributes are ignored there too."""
    if as_class(new_type) == TENSOR:
        return machine.call(func, args)
    return _rebuild_from_type_v2(machine, func, new_type, args, state)


@CALLS.named(PARAMETER, "torch.nn.Parameter")
def _new_parameter(
    machine: Unpickler, data: Any = None, requires_grad: Any = True
) -> Tensor:
    if data is None:
        data = empty(DTYPES["float32"])
    return _parameter(data, requires_grad)


@CALLS.named("torch.autograd.variable.Variable", "torch.autograd.Variable")
def _variable(machine: Unpickler, data: Any) -> Tensor:
    """A Variable of torch 0.1 to 0.3; BUILD brings `requires_grad`."""
    return copy_of(as_tensor(data, "a Variable's data"))


def _uninitialized_kind(name: str) -> None:
    @CALLS.named(name)
    def make(machine: Unpickler, requires_grad: Any = True) -> Tensor:
        """Materialised by its first use; a file knows only what it will be."""
        tensor = empty(DTYPES["float32"])
        tensor._type = name
        tensor._requires_grad = as_flag(requires_grad, "requires_grad")
        return tensor


for _name in ("UninitializedParameter", "UninitializedBuffer"):
    _uninitialized_kind(f"torch.nn.parameter.{_name}")

"""Parameters, Variables, and tensors of any other class."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from ..dtypes import DTYPES
from ..errors import Malformed, quote
from ..registry import Table
from ..tensor import Tensor
from ..values import Global, Inert, Object
from .checks import (
    NESTED_TENSOR,
    PARAMETER,
    TENSOR,
    as_class,
    as_flag,
    as_grad,
    as_tensor,
    wrong,
)
from .nested import jagged_of_2_4
from .strided import empty
from .views import copy_of, with_hooks, with_state

if TYPE_CHECKING:
    from ..unpickler import Unpickler

CALLS: Final = Table()


def _parameter(data: Any, requires_grad: Any) -> Tensor:
    """`torch.nn.Parameter(data, requires_grad)`: another tensor on the same bytes."""
    if data is None:
        data = empty(DTYPES["float32"])
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


#: torch 1.7 to 1.9, and the name of that module before, which torch still maps.
_OLD: Final = ("torch._tensor._rebuild_from_type", "torch.tensor._rebuild_from_type")
_NEW: Final = (
    "torch._tensor._rebuild_from_type_v2",
    "torch.tensor._rebuild_from_type_v2",
)


@CALLS.named(*_OLD)
def _rebuild_from_type(machine: Unpickler, *args: Any) -> Any:
    return _typed(machine, _OLD[0], args)


@CALLS.named(*_NEW)
def _rebuild_from_type_v2(machine: Unpickler, *args: Any) -> Any:
    return _typed(machine, _NEW[0], args)


def _typed(machine: Unpickler, name: str, args: Any) -> Any:
    """`(func, type, args, state)`: what `func(*args)` makes, as that type.

    `func` may again be one of these: a loop, for the file says how often.
    """
    layers = []
    while name in _NEW or name in _OLD:
        if not isinstance(args, (tuple, list)) or len(args) != 4:
            raise Malformed(f"{name} takes 4 arguments", phase="rebuild")
        func, kind, args, state = args
        if not isinstance(func, Inert):
            raise wrong("a function is expected", func)
        layers.append((name, as_class(kind), state))
        if not isinstance(func, Global) or not func.name.startswith("torch."):
            return NotImplemented  # nobody knows what that makes
        name = func.name
    if name == NESTED_TENSOR:
        made: Any = jagged_of_2_4(machine, args, state)
    else:
        made = machine.call(func, args)
    if type(made) is Object:
        return NotImplemented
    tensor = as_tensor(made, f"what {quote(name)} makes")
    for name, kind, state in reversed(layers):
        if name in _OLD and kind == TENSOR:
            continue  # torch, too, leaves it alone, and its state aside
        if tensor.type != kind or name in _OLD:
            tensor = copy_of(tensor)
            tensor._type = kind
        if name in _OLD and type(state) not in (dict, OrderedDict):
            raise wrong("a tensor's attributes must be a dict", state)
        with_state(machine, tensor, state)
    return tensor


@CALLS.named(PARAMETER, "torch.nn.Parameter")
def _new_parameter(
    machine: Unpickler, data: Any = None, requires_grad: Any = True
) -> Tensor:
    return _parameter(data, requires_grad)


@CALLS.named("torch.autograd.variable.Variable", "torch.autograd.Variable")
def _variable(machine: Unpickler, data: Any) -> Tensor:
    """A Variable of torch 0.1 to 0.3; BUILD brings `requires_grad`."""
    return copy_of(as_tensor(data, "a Variable's data"))


@CALLS.named("torch.nn.parameter.UninitializedParameter")
def _uninitialized_parameter(machine: Unpickler, requires_grad: Any = True) -> Tensor:
    """Materialised by its first use; a file knows only what it will be."""
    tensor = empty(DTYPES["float32"])
    tensor._type = "torch.nn.parameter.UninitializedParameter"
    tensor._requires_grad = as_flag(requires_grad, "requires_grad")
    return tensor


@CALLS.named("torch.nn.parameter.UninitializedBuffer")
def _uninitialized_buffer(machine: Unpickler, requires_grad: Any = False) -> Tensor:
    tensor = _uninitialized_parameter(machine, requires_grad)
    tensor._type = "torch.nn.parameter.UninitializedBuffer"
    tensor._attributes = {"persistent": True, "_is_buffer": True}
    return tensor

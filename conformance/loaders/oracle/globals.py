"""Which globals are real when torch reads a file with an inert pickle machine.

What is data, or rebuilds it, is torch's own; everything else is recorded.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import io
import operator
import sys
import types
from typing import Any, Final

import torch
import torch._weights_only_unpickler
import torch.jit._pickle
import torch.serialization
from torch.nested._internal import nested_tensor
from torch.nn import parameter

from conformance.loaders import inert
from conformance.loaders.inert import Named, Record

from .map_location import ToCPU


@functools.cache
def inert_pickle() -> Any:
    return inert.pickle_module(inert_table())


def inert_table() -> dict[str, Any]:
    """The globals that are real, by their full names."""
    return _Table(_table())


class _Table(dict[str, Any]):
    """A table of globals, one of which torch only has when asked."""

    #: Slow to import. Jagged tensors carry this plain dataclass in their
    #: attributes, and torch's own code adds to them.
    LATE: Final = "torch._dynamo.decorators._DimRange"

    def __missing__(self, full_name: str) -> Any:
        if full_name == self.LATE:
            module, _, name = full_name.rpartition(".")
            return getattr(importlib.import_module(module), name)
        if full_name.startswith("torch."):
            _look_up(full_name.split("."))
        raise KeyError(full_name)


def _look_up(parts: list[str]) -> None:
    """Raises what pickle would for a name that this torch does not have.

    Imports nothing for it: a module that nobody has imported yet is taken to
    have what the file wants of it.
    """
    names = [".".join(parts[:depth]) for depth in range(1, len(parts))]
    # A function may go by the name of its module: torch.nn.utils.weight_norm.
    known = max(depth for depth, name in enumerate(names, 1) if name in sys.modules)
    value: Any = sys.modules[names[known - 1]]
    for depth, part in enumerate(parts[known:], known + 1):
        if not hasattr(value, part):
            if depth == len(parts) or not isinstance(value, types.ModuleType):
                raise AttributeError(f"Can't get attribute {part!r} on {value!r}")
            if importlib.util.find_spec(names[depth - 1]) is None:
                raise ModuleNotFoundError(f"No module named {names[depth - 1]!r}")
            return
        value = getattr(value, part)


def _table() -> dict[str, Any]:
    """What is data, or rebuilds it: torch's own allowlist, and a few more."""
    return {
        **torch._weights_only_unpickler._get_allowed_globals(),
        **{
            f"torch.{name}": value
            for name, value in vars(torch).items()
            if isinstance(value, torch.dtype | torch.layout | torch.qscheme)
        },
        **{
            f"torch.jit._pickle.{name}": value
            for name, value in vars(torch.jit._pickle).items()
            if name.startswith(("build_", "restore_"))
        },
        **inert.TABLE,
        "torch.UntypedStorage": torch.UntypedStorage,
        "torch.nn.Parameter": parameter.Parameter,
        "torch.nn.parameter.UninitializedBuffer": parameter.UninitializedBuffer,
        "torch.nn.parameter.UninitializedParameter": parameter.UninitializedParameter,
        "torch.autograd.variable.Variable": torch.autograd.Variable,
        "torch.autograd.Variable": torch.autograd.Variable,
        "torch.nested._internal.nested_tensor.NestedTensor": nested_tensor.NestedTensor,
        "torch.nested._internal.nested_tensor._rebuild_njt": nested_tensor._rebuild_njt,
        "torch._utils._rebuild_xla_tensor": torch._utils._rebuild_xla_tensor,
        "torch._utils._rebuild_wrapper_subclass": _rebuild_wrapper_subclass,
        "torch._tensor._rebuild_from_type": _rebuild_from_type,
        "torch._tensor._rebuild_from_type_v2": _rebuild_from_type_v2,
        "torch.storage._load_from_bytes": _load_from_bytes,
    }


def _load_from_bytes(data: bytes) -> Any:
    """`torch.storage._load_from_bytes`, but as inert inside as outside."""
    file = io.BytesIO(data)
    options: dict[str, Any] = {"map_location": ToCPU(), "weights_only": False}
    return torch.load(file, pickle_module=inert_pickle(), **options)


@functools.lru_cache(maxsize=256)
def _tensor_class(named: Named, wrapper: bool) -> type[torch.Tensor]:
    """A subclass of `torch.Tensor` that stands for the file's own."""

    def setstate(self: Any, state: Any) -> None:
        # `_set_obj_state` knows a dict, and a pair of them; what any other
        # state means only the real class knows.
        parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
        if all(part is None or isinstance(part, dict) for part in parts):
            torch._utils._set_obj_state(self, state)
        else:
            self.__dict__[STATE] = state

    def dispatch(_cls: Any, func: Any, *_: Any) -> Any:
        raise NotImplementedError(f"{func} of {named.full_name}")

    members: dict[str, Any] = {"__setstate__": setstate, "full_name": named.full_name}
    if wrapper:
        members["__torch_dispatch__"] = classmethod(dispatch)
    fill = operator.methodcaller("update", members)
    return types.new_class("Subclass", (torch.Tensor,), {}, fill)


#: Where a minted subclass keeps a state that is no dict.
STATE: Final = "<state>"


def _rebuild_wrapper_subclass(cls: Any, *args: Any) -> Any:
    if isinstance(cls, Named):
        cls = _tensor_class(cls, True)
    return torch._utils._rebuild_wrapper_subclass(cls, *args)


_FROM_TYPE_V2: Final = Named("torch._tensor", "_rebuild_from_type_v2")


def _rebuild_from_type_v2(func: Any, new_type: Any, args: Any, state: Any) -> Any:
    if not isinstance(new_type, Named):
        return torch._tensor._rebuild_from_type_v2(func, new_type, args, state)
    made = func(*args)
    if not isinstance(made, torch.Tensor):
        # Rebuilt by a function that is kept inert.
        return Record(_FROM_TYPE_V2, (func, new_type, args, state))
    if getattr(type(made), "full_name", None) == new_type.full_name:
        kind: Any = type(made)
    else:
        kind = _tensor_class(new_type, False)
    return torch._tensor._rebuild_from_type_v2(lambda: made, kind, (), state)


def _rebuild_from_type(func: Any, new_type: Any, args: Any, state: Any) -> Any:
    if isinstance(new_type, Named):
        new_type = _tensor_class(new_type, False)
    return torch._tensor._rebuild_from_type(func, new_type, args, state)

"""Parameters, buffers, and what hangs on them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import Parameter

from ...handmade import (
    Piece,
    archive,
    build,
    call,
    floats,
    legacy,
    longs,
    new,
    storage,
)
from ..classes import Bias, Tagged
from ..registry import LEGACY, LEGACY_4, PROTOCOL_4, PROTOCOL_5, ZIP, saved, written
from .tensors import V2

PARAMETER = "torch._utils._rebuild_parameter"
WITH_STATE = "torch._utils._rebuild_parameter_with_state"
V1 = "torch._utils._rebuild_tensor"
BUFFER = "torch._tensor._rebuild_from_type_v2"

CANDLE = "https://github.com/huggingface/candle/issues/1676"
BOTH = (ZIP, LEGACY)


# ------------------------------------------------------------------- Parameters


@saved(
    PARAMETER,
    formats=(ZIP, LEGACY, PROTOCOL_4, PROTOCOL_5, LEGACY_4),
    flags=("requires-grad",),
)
def parameter() -> object:
    """A Parameter alone at the root."""
    return Parameter(torch.arange(6.0).reshape(2, 3))


@saved(PARAMETER, formats=BOTH, flags=("requires-grad",))
def frozen() -> object:
    """A Parameter that does not require gradients, beside one that does."""
    return {
        "frozen": Parameter(torch.zeros(2), requires_grad=False),
        "trained": Parameter(torch.ones(2)),
    }


@saved(
    PARAMETER,
    each={
        key: (getattr(torch, key),)
        for key in ("float64", "float16", "bfloat16", "complex64", "complex128")
    },
    flags=("requires-grad",),
)
def parameter_of(dtype: torch.dtype) -> object:
    """A Parameter of {dtype}."""
    return Parameter(torch.tensor([1, -2, 3], dtype=dtype))


@saved(
    PARAMETER,
    each={
        key: (getattr(torch, key),)
        for key in ("int64", "int8", "uint8", "bool", "float8_e4m3fn", "uint16")
    },
    flags=("requires-grad",),
)
def frozen_of(dtype: torch.dtype) -> object:
    """A Parameter of {dtype}, without gradients."""
    data = torch.tensor([1, 0, 3], dtype=dtype)
    return Parameter(data, requires_grad=False)


@saved(PARAMETER, flags=("requires-grad",))
def parameter_of_float8() -> object:
    """A Parameter of float8 that requires gradients, though its data does not."""
    return Parameter(torch.tensor([1.0, 2.0]).to(torch.float8_e5m2))


@saved(PARAMETER, flags=("requires-grad",))
def scalar_parameter() -> object:
    """A Parameter without dimensions, as a learned temperature is."""
    return {"temperature": Parameter(torch.tensor(0.07))}


@saved(PARAMETER, flags=("requires-grad", "empty"))
def empty_parameter() -> object:
    """A Parameter without elements."""
    return Parameter()


# ----------------------------------------------------------------------- trees


@saved(
    PARAMETER,
    formats=BOTH,
    flags=("requires-grad", "silent-failure", "user-report"),
    links=(CANDLE,),
)
def parameters_and_buffers() -> object:
    """An OrderedDict of Parameters, buffers, and an int64 scalar, as ResNet-18's."""
    return OrderedDict(
        [
            ("conv1.weight", Parameter(torch.arange(4.0).reshape(1, 1, 2, 2))),
            ("bn1.running_mean", torch.zeros(1)),
            ("bn1.running_var", torch.ones(1)),
            ("bn1.num_batches_tracked", torch.tensor(7)),
            ("bn1.weight", Parameter(torch.full((1,), 2.0))),
            ("bn1.bias", Parameter(torch.full((1,), 3.0))),
        ]
    )


@saved(PARAMETER, formats=(ZIP, PROTOCOL_4), flags=("requires-grad", "silent-failure"))
def state_dict_keep_vars() -> object:
    """`state_dict(keep_vars=True)`: the Parameters themselves, with `_metadata`."""
    return torch.nn.BatchNorm1d(2).state_dict(keep_vars=True)


@saved(PARAMETER, flags=("requires-grad", "silent-failure"))
def parameters_in_list() -> object:
    """A list of Parameters, as `list(module.parameters())` gives."""
    return list(torch.nn.Linear(2, 1).parameters())


@saved(PARAMETER, formats=BOTH, flags=("requires-grad", "alias"))
def tied_parameter() -> object:
    """Two keys lead to one Parameter."""
    weight = Parameter(torch.arange(4.0).reshape(2, 2))
    return {"embed.weight": weight, "head.weight": weight}


@saved(PARAMETER, flags=("requires-grad", "shared-storage"))
def two_parameters_of_one_storage() -> object:
    """Two Parameters on one storage."""
    data = torch.arange(4.0)
    return {"a": Parameter(data), "b": Parameter(data, requires_grad=False)}


@saved(PARAMETER, formats=BOTH, flags=("requires-grad", "shared-storage"))
def parameter_and_its_data() -> object:
    """A Parameter and its `.data`: two tensors on one storage."""
    weight = Parameter(torch.arange(3.0))
    return {"parameter": weight, "data": weight.data}


@saved(
    PARAMETER,
    flags=("requires-grad", "shared-storage", "offset", "non-contiguous"),
)
def parameter_and_views_of_it() -> object:
    """A Parameter, a row of it, and its transpose, which are plain tensors."""
    weight = Parameter(torch.arange(6.0).reshape(2, 3))
    return {"weight": weight, "row": weight.detach()[1], "t": weight.detach().t()}


@saved(PARAMETER, formats=BOTH, flags=("requires-grad", "non-contiguous", "offset"))
def parameter_on_view() -> object:
    """A Parameter whose data are columns of a larger storage."""
    return Parameter(torch.arange(12.0).reshape(3, 4)[:, 1:3])


@saved(PARAMETER, flags=("requires-grad", "non-contiguous", "silent-failure"))
def parameter_transposed() -> object:
    """A Parameter whose data are transposed."""
    return Parameter(torch.arange(6.0).reshape(2, 3).t())


@saved(PARAMETER, flags=("requires-grad", "conj"))
def parameter_conj() -> object:
    """A complex Parameter whose data have the conj bit."""
    return Parameter(torch.tensor([1 + 2j]).conj())


@saved(PARAMETER, flags=("requires-grad",))
def parameter_with_grad() -> object:
    """A Parameter that has a gradient, which is not saved."""
    weight = Parameter(torch.arange(3.0))
    weight.grad = torch.ones(3)
    return weight


@saved(PARAMETER, flags=("requires-grad",))
def parameter_as_key() -> object:
    """A Parameter that is the key of a dict, as in an optimizer's state."""
    weight = Parameter(torch.zeros(2))
    return {weight: {"step": torch.tensor(3.0), "exp_avg": torch.ones(2)}}


# ------------------------------------------------------------------- attributes


@saved(WITH_STATE, formats=(ZIP, LEGACY, PROTOCOL_4),
       flags=("requires-grad", "attributes", "silent-failure"))  # fmt: skip
def parameter_with_attributes() -> object:
    """A Parameter with attributes, as tensor-parallel code sets them."""
    weight: Any = Parameter(torch.arange(3.0))
    weight.tensor_model_parallel = True
    weight.partition_dim = 0
    return weight


@saved(WITH_STATE, flags=("requires-grad", "attributes", "alias"))
def parameter_with_tensor_attribute() -> object:
    """A Parameter that carries a tensor, which is in the tree as well."""
    weight: Any = Parameter(torch.arange(3.0))
    weight.scale = torch.tensor(0.5)
    return {"weight": weight, "scale": weight.scale}


@saved(WITH_STATE, flags=("requires-grad", "attributes", "shared-storage", "offset"))
def parameter_with_views_of_itself() -> object:
    """A frozen Parameter with an attribute that is a list of two views of it."""
    weight: Any = Parameter(torch.arange(3.0), requires_grad=False)
    weight.parts = [weight.data[:1], weight.data[1:]]
    return weight


# ------------------------------------------------------------------- subclasses


@saved(PARAMETER, flags=("requires-grad",))
def subclass_of_parameter() -> object:
    """A subclass of Parameter: the file only says Parameter."""
    return Bias(torch.arange(3.0))


@saved(
    BUFFER,
    flags=("requires-grad", "attributes", "weights-only-refuses"),
)
def parameter_of_subclass() -> object:
    """A Parameter of a tensor subclass: the subclass, with `_is_param`."""
    return Parameter(torch.arange(3.0).as_subclass(Tagged))


# ---------------------------------------------------------------------- buffers


@saved(BUFFER, formats=(ZIP, LEGACY, PROTOCOL_4), flags=("attributes",))
def buffer() -> object:
    """An `nn.Buffer`: a plain tensor with `persistent` and `_is_buffer`."""
    return torch.nn.Buffer(torch.arange(3.0))


@saved(BUFFER, flags=("attributes",))
def buffer_not_persistent() -> object:
    """An `nn.Buffer` that a state dict would leave out."""
    return torch.nn.Buffer(torch.arange(3), persistent=False)


@saved(BUFFER, flags=("attributes", "requires-grad", "shared-storage"))
def buffer_on_parameter() -> object:
    """A Parameter, and an `nn.Buffer` that shows half of it."""
    weight = Parameter(torch.arange(4.0))
    return {"weight": weight, "half": torch.nn.Buffer(weight.detach()[:2])}


# ---------------------------------------------------------------- uninitialized


@saved(
    "torch.nn.parameter.UninitializedParameter",
    formats=BOTH,
    flags=("requires-grad", "empty", "weights-only-refuses"),
)
def uninitialized_parameter() -> object:
    """A Parameter of a lazy module, whose shape is not known yet."""
    return torch.nn.UninitializedParameter()


@saved(
    "torch.nn.parameter.UninitializedParameter",
    flags=("requires-grad", "empty", "weights-only-refuses"),
)
def uninitialized_parameter_of_float16() -> object:
    """One of float16 without gradients; the file does not say its dtype."""
    new_parameter: Any = torch.nn.UninitializedParameter
    return new_parameter(requires_grad=False, dtype=torch.float16)


@saved(
    "torch.nn.parameter.UninitializedBuffer",
    flags=("attributes", "empty", "weights-only-refuses"),
)
def uninitialized_buffer() -> object:
    """A buffer of a lazy module, whose shape is not known yet."""
    return torch.nn.UninitializedBuffer()


# ------------------------------------------------- as older releases wrote them

#: What hangs on a tensor that has no hooks.
HOOKS = call("collections.OrderedDict")


def stored(kind: str = "FloatStorage", numel: int = 3) -> Piece:
    """A storage of a legacy stream."""
    return storage(kind, numel, "0", "cpu", None)


def oldest(kind: str = "FloatStorage", numel: int = 3) -> Piece:
    """A tensor by `_rebuild_tensor`, as torch before 0.4 wrote it."""
    return call("torch._utils._rebuild_tensor", stored(kind, numel), 0, (numel,), (1,))


def stream(root: Any) -> bytes:
    """A legacy stream with three floats in its storage."""
    return legacy(root, {"0": (3, floats(1.0, 2.0, 3.0))})


def ordered_dict(*items: tuple[str, Piece]) -> Piece:
    """An OrderedDict made from a list of pairs, as Python 2 wrote it."""
    return call("collections.OrderedDict", [list(item) for item in items])


@written(
    V1,
    label="built",
    flags=("user-report", "silent-failure"),
    links=("https://github.com/tinygrad/tinygrad/pull/13253",),
)
def state_dict_of_0_3() -> bytes:
    """A state dict of torch 0.3: `_rebuild_tensor` of storage, offset, size, stride."""
    return stream(ordered_dict(("features.0.weight", oldest())))


@written(V1, label="built", flags=("offset", "non-contiguous"))
def view_of_0_3() -> bytes:
    """`_rebuild_tensor` of a column: size (2, 1), stride (2, 1), offset 1."""
    root = call("torch._utils._rebuild_tensor", stored(numel=4), 1, (2, 1), (2, 1))
    return legacy(root, {"0": (4, floats(1.0, 2.0, 3.0, 4.0))})


@written(V1, label="built")
def in_archive() -> bytes:
    """`_rebuild_tensor` in a zip archive, which no torch wrote together."""
    root = call(
        "torch._utils._rebuild_tensor", storage("LongStorage", 2), 0, (2,), (1,)
    )
    return archive(root, {"0": longs(5, 6)})


#: The tensor classes of a CPU, and the bytes of an element.
_CLASSES = {
    "Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2,
    "Char": 1, "Byte": 1, "Bool": 1,
}  # fmt: skip


@written(
    "torch.{kind}Tensor",
    label="built",
    directory="legacy_tensors",
    each={kind.lower(): (kind, size) for kind, size in _CLASSES.items()},
)
def built(kind: str, itemsize: int) -> bytes:
    """`torch.{kind}Tensor()` and its BUILD: storage, offset, size and stride."""
    state = (stored(f"{kind}Storage", 2), 0, (2,), (1,))
    data = bytes([1, *[0] * (itemsize - 1)]) * 2
    return legacy(build(call(f"torch.{kind}Tensor"), state), {"0": (2, data)})


@written(
    "build:torch.Tensor",
    label="built",
    directory="legacy_tensors",
    flags=("offset",),
)
def built_tensor() -> bytes:
    """`torch.Tensor()` and its BUILD: storage, offset, size and stride."""
    return stream(build(call("torch.Tensor"), (stored(), 1, (2,), (1,))))


@written("build:torch.Tensor", label="built", directory="legacy_tensors")
def built_tensor_after_rebuild() -> bytes:
    """A tensor by `_rebuild_tensor`, which BUILD then makes a smaller view."""
    return stream(build(oldest(), (stored(), 0, (2,), (1,))))


@written(
    "build:torch.Tensor",
    label="built",
    directory="legacy_tensors",
    flags=("requires-grad",),
)
def built_variable() -> bytes:
    """`torch.Tensor()` and a Variable's BUILD: data, grad, hooks, flags."""
    state = (oldest(), None, HOOKS, True, False)
    return stream(build(call("torch.Tensor"), state))


@written(
    "torch.autograd.variable.Variable",
    label="built",
    directory="legacy_tensors",
    flags=("requires-grad", "weights-only-refuses"),
)
def variable() -> bytes:
    """A Variable of torch 0.3: its data, and BUILD of what hangs on it."""
    made = call("torch.autograd.variable.Variable", oldest())
    return stream(build(made, (True, False, HOOKS)))


@written(
    "build:torch.nn.parameter.Parameter",
    label="built",
    directory="legacy_tensors",
    each={"called": (call,), "new": (new,)},
    flags=("requires-grad",),
)
def parameter_of_0_3(make: Callable[..., Piece]) -> bytes:
    """A Parameter of torch 0.3, {key}: its data, and BUILD of what hangs on it."""
    weight = build(make("torch.nn.parameter.Parameter", oldest()), (True, False, HOOKS))
    return stream(ordered_dict(("weight", weight)))


@written(
    "build:torch.nn.parameter.Parameter",
    label="built",
    directory="legacy_tensors",
    flags=("requires-grad",),
)
def frozen_parameter_of_0_3() -> bytes:
    """A Parameter that is called with True, and frozen by its BUILD."""
    made = call("torch.nn.parameter.Parameter", oldest(), True)
    return stream(build(made, (False, False, None)))


# ----------------------------------------------------------------------- hooks


@written(V2, label="built")
def hooks_none() -> bytes:
    """A tensor by `_rebuild_tensor_v2` whose hooks are None."""
    return stream(call(V2, stored(), 0, (3,), (1,), False, None))


@written(PARAMETER, label="built", flags=("requires-grad",))
def hooks_none_of_parameter() -> bytes:
    """A Parameter whose hooks are None."""
    return stream(call(PARAMETER, oldest(), True, None))


@written(V2, label="built", flags=("requires-grad", "attributes"))
def hooks_kept() -> bytes:
    """A tensor with a hook by its id, as before hooks were left out."""
    hooks = call("collections.OrderedDict", [[7, "hook"]])
    return stream(call(V2, stored(), 0, (3,), (1,), True, hooks))


@written(PARAMETER, label="built", flags=("requires-grad",))
def parameter_of_parameter() -> bytes:
    """A Parameter made of another one, and frozen."""
    inner = call(PARAMETER, oldest(), True, HOOKS)
    return stream(call(PARAMETER, inner, False, HOOKS))


@written(
    "torch.nn.Parameter",
    label="built",
    directory="parameters",
    flags=("requires-grad", "weights-only-refuses"),
)
def parameter_by_public_name() -> bytes:
    """`torch.nn.Parameter`, the name that people know and torch never writes."""
    return stream(call("torch.nn.Parameter", oldest(), False))

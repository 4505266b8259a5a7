"""Tensor subclasses, attributes of tensors, and wrapper subclasses."""

from __future__ import annotations

from typing import Any

import torch
from torch.masked import masked_tensor
from torch.nn import Parameter
from torch.nn.attention.bias import causal_upper_left
from torch.testing._internal.two_tensor import TwoTensor

from ...handmade import archive, call, floats, legacy, name, storage
from ..classes import Bias, Counted, Pair, Slotted, Summed, Tagged
from ..registry import LEGACY, PROTOCOL_4, PROTOCOL_5, ZIP, saved, written
from .tensors import V2

FROM_TYPE = "torch._tensor._rebuild_from_type"
FROM_TYPE_V2 = "torch._tensor._rebuild_from_type_v2"
WRAPPER = "torch._utils._rebuild_wrapper_subclass"

BOTH = (ZIP, LEGACY)
FOREIGN = ("attributes", "weights-only-refuses")


# ------------------------------------------------------- attributes of a tensor


@saved(FROM_TYPE_V2, formats=(ZIP, LEGACY, PROTOCOL_4), flags=("attributes",))
def attributes() -> object:
    """A plain tensor with attributes, as any code may set them."""
    tensor: Any = torch.arange(3.0)
    tensor.unit, tensor.version, tensor.frozen = "m", 2, True
    return tensor


@saved(FROM_TYPE_V2, flags=("attributes", "alias", "shared-storage", "offset"))
def attribute_of_tensors() -> object:
    """A tensor whose attributes are tensors: one of its own storage, one shared."""
    tensor: Any = torch.arange(4.0)
    tensor.tail, tensor.scale = tensor[2:], torch.tensor(0.5)
    return {"weight": tensor, "scale": tensor.scale}


@saved(FROM_TYPE_V2, flags=("attributes",))
def attributes_of_attribute() -> object:
    """A tensor whose attribute is a tensor that has an attribute."""
    outer: Any = torch.arange(2.0)
    outer.inner = torch.arange(3.0)
    outer.inner.unit = "m"
    return outer


@saved(FROM_TYPE_V2, flags=("attributes", "requires-grad", "non-contiguous", "offset"))
def attributes_of_view() -> object:
    """A tensor with an attribute that shows columns and requires gradients."""
    tensor: Any = torch.arange(6.0).reshape(2, 3)[:, 1:].requires_grad_()
    tensor.label = "columns"
    return tensor


@saved(FROM_TYPE_V2, flags=("attributes",))
def attributes_of_uint16() -> object:
    """A uint16 tensor with an attribute: around `_rebuild_tensor_v3`."""
    tensor: Any = torch.tensor([1, 65535], dtype=torch.uint16)
    tensor.label = "ids"
    return tensor


@saved(FROM_TYPE_V2, flags=("attributes",))
def attributes_of_sparse() -> object:
    """A COO tensor with an attribute: around `_rebuild_sparse_tensor`."""
    tensor: Any = torch.sparse_coo_tensor(torch.tensor([[1]]), torch.ones(1), (3,))
    tensor.label = "sparse"
    return tensor


@saved(FROM_TYPE_V2, flags=("attributes",))
def attributes_of_meta() -> object:
    """A meta tensor with an attribute: around `_rebuild_meta_tensor_no_storage`."""
    tensor: Any = torch.empty(2, 3, device="meta")
    tensor.label = "shape"
    return tensor


@saved(FROM_TYPE_V2, flags=("attributes", "conj"))
def attributes_of_conj() -> object:
    """A tensor with the conj bit and an attribute."""
    tensor: Any = torch.tensor([1 + 2j]).conj()
    tensor.label = "conjugated"
    return tensor


# ------------------------------------------------------------------- subclasses


@saved(FROM_TYPE_V2, formats=(ZIP, LEGACY, PROTOCOL_4), flags=("weights-only-refuses",))
def subclass() -> object:
    """A tensor of a subclass, without attributes."""
    return torch.arange(3.0).as_subclass(Tagged)


@saved(FROM_TYPE_V2, flags=FOREIGN)
def subclass_with_attributes() -> object:
    """A tensor of a subclass with attributes."""
    tensor = torch.arange(3.0).as_subclass(Tagged)
    tensor.__dict__.update(unit="m", scale=0.5)
    return tensor


@saved(FROM_TYPE_V2, flags=("weights-only-refuses", "requires-grad"))
def subclass_that_requires_grad() -> object:
    """A tensor of a subclass that requires gradients."""
    return torch.arange(3.0).as_subclass(Tagged).requires_grad_()


@saved(FROM_TYPE_V2, flags=("weights-only-refuses", "shared-storage", "offset"))
def subclass_and_plain() -> object:
    """A tensor of a subclass and a plain one on one storage."""
    plain = torch.arange(4.0)
    return {"tagged": plain[1:].as_subclass(Tagged), "plain": plain}


@saved(FROM_TYPE_V2, flags=("weights-only-refuses", "alias"))
def subclass_twice() -> object:
    """Two keys lead to one tensor of a subclass."""
    tensor = torch.arange(2.0).as_subclass(Tagged)
    return [tensor, tensor]


@saved(FROM_TYPE_V2, formats=(ZIP, PROTOCOL_5), flags=FOREIGN)
def slots() -> object:
    """A tensor of a subclass with slots: its state is a dict and the slots'."""
    tensor = torch.arange(3.0).as_subclass(Slotted)
    tensor.scale, tensor.unit = 0.5, "m"
    tensor.__dict__["label"] = "measured"
    return tensor


@saved(FROM_TYPE_V2, flags=FOREIGN)
def slots_alone() -> object:
    """A tensor of a subclass with one slot filled and no other attributes."""
    tensor = torch.arange(3.0).as_subclass(Slotted)
    tensor.unit = "s"
    return tensor


@saved(FROM_TYPE_V2, flags=FOREIGN)
def state_of_own_dict() -> object:
    """A tensor of a subclass that chooses its state: a dict."""
    return torch.arange(3.0).as_subclass(Summed)


@saved(FROM_TYPE_V2, flags=FOREIGN)
def state_of_number() -> object:
    """A tensor of a subclass whose state is a number: what it means, only it knows."""
    return torch.arange(3.0).as_subclass(Counted)


@saved(FROM_TYPE_V2, flags=FOREIGN)
def causal_bias() -> object:
    """torch's own CausalBias: sizes, and a variant that is a member of an enum."""
    bias: Any = causal_upper_left(2, 3)
    bias.untyped_storage().fill_(0)  # nothing has filled it
    return bias


@saved(FROM_TYPE_V2, flags=(*FOREIGN, "requires-grad"))
def subclass_in_parameter() -> object:
    """A Parameter of a subclass with attributes, tied to a plain one."""
    tensor = torch.arange(3.0).as_subclass(Tagged)
    weight: Any = Parameter(tensor)
    weight.unit = "m"
    return {"tagged": weight, "plain": Parameter(torch.zeros(1))}


@saved("torch._utils._rebuild_parameter_with_state",
       flags=("attributes", "requires-grad"))  # fmt: skip
def subclass_of_parameter_with_attributes() -> object:
    """A subclass of Parameter with an attribute: the file only says Parameter."""
    weight: Any = Bias(torch.arange(3.0))
    weight.sequence_parallel = True
    return weight


# ------------------------------------------------------------ wrapper subclasses


@saved(WRAPPER, formats=(ZIP, LEGACY, PROTOCOL_4), flags=FOREIGN)
def wrapper() -> object:
    """A wrapper of two tensors, which has no elements of its own."""
    return Pair(torch.arange(4.0).reshape(2, 2), torch.ones(2, 2))


@saved(WRAPPER, flags=(*FOREIGN, "non-contiguous", "shared-storage"))
def wrapper_of_views() -> object:
    """A wrapper with the strides of a transpose; what it wraps is in the tree too."""
    weight = torch.arange(6.0).reshape(2, 3)
    return {"pair": Pair(weight.t(), torch.ones(3, 2)), "weight": weight}


@saved(WRAPPER, flags=FOREIGN)
def wrapper_of_wrappers() -> object:
    """A wrapper of a wrapper and a plain tensor."""
    inner = Pair(torch.zeros(2), torch.ones(2))
    return Pair(inner, torch.arange(2.0))


@saved(WRAPPER, flags=(*FOREIGN, "requires-grad"))
def parameter_of_wrapper() -> object:
    """A Parameter of a wrapper: the wrapper, with `_is_param`."""
    return Parameter(Pair(torch.zeros(2), torch.ones(2)))


@saved(WRAPPER, flags=FOREIGN)
def two_tensor() -> object:
    """torch's own TwoTensor, which its tests are full of."""
    return TwoTensor(torch.arange(3.0), torch.ones(3))


@saved(WRAPPER, formats=BOTH, flags=FOREIGN)
def masked() -> object:
    """A MaskedTensor: data and mask."""
    mask = torch.tensor([True, False, True])
    return masked_tensor(torch.arange(3.0), mask)


@saved(WRAPPER, flags=FOREIGN)
def wrapper_of_int4() -> object:
    """A wrapper that says it is of int4, around bytes: no plain tensor can be."""
    packed = torch.tensor([0x21, 0x43], dtype=torch.uint8)
    int4: torch.dtype = vars(torch)["int4"]
    pair: Any = torch.Tensor._make_wrapper_subclass(Pair, (4,), dtype=int4)
    pair.first, pair.second = packed, torch.tensor([0.5])
    return pair


# ----------------------------------------------------------------- made by hand

HOOKS = call("collections.OrderedDict")


def plain_args(*view: Any) -> tuple[Any, ...]:
    """Arguments of `_rebuild_tensor_v2` for a vector of two floats."""
    stored = storage("FloatStorage", 2, "0", "cpu", *view)
    return (stored, 0, (2,), (1,), False, HOOKS)


ONE_TWO = floats(1.0, 2.0)


@written(FROM_TYPE, label="built", flags=("weights-only-refuses",))
def of_tensor() -> bytes:
    """`_rebuild_from_type` of torch.Tensor, which leaves the state aside."""
    args = (name(V2), name("torch.Tensor"), plain_args(), {"unit": "m"})
    return archive(call(FROM_TYPE, *args), {"0": ONE_TWO})


@written(FROM_TYPE, label="built", flags=FOREIGN)
def of_subclass() -> bytes:
    """`_rebuild_from_type` of a subclass with attributes, as torch 1.7 to 1.10."""
    args = (
        name(V2),
        name("generators.cases.classes.Tagged"),
        plain_args(),
        {"unit": "m"},
    )
    return archive(call(FROM_TYPE, *args), {"0": ONE_TWO})


@written(
    "torch.tensor._rebuild_from_type",
    label="built",
    flags=FOREIGN,
    directory="rebuild_from_type",
)
def of_1_7() -> bytes:
    """`_rebuild_from_type` where torch 1.7 and 1.8 had it: in `torch.tensor`."""
    args = (
        name(V2),
        name("generators.cases.classes.Tagged"),
        plain_args(),
        {"unit": "m"},
    )
    return archive(call("torch.tensor._rebuild_from_type", *args), {"0": ONE_TWO})


@written(
    "torch.tensor._rebuild_from_type",
    label="built",
    flags=FOREIGN,
    directory="rebuild_from_type",
    verdict="either",
    reason="torch 2.13 knows `torch.tensor` as a module in zip archives only.",
)
def of_1_7_in_stream() -> bytes:
    """The same in a legacy stream."""
    args = (
        name(V2),
        name("generators.cases.classes.Tagged"),
        plain_args(None),
        {"unit": "m"},
    )
    root = call("torch.tensor._rebuild_from_type", *args)
    return legacy(root, {"0": (2, ONE_TWO)})


@written(
    "torch.tensor._rebuild_from_type_v2",
    label="built",
    flags=("attributes", "weights-only-refuses"),
)
def of_old_module() -> bytes:
    """`_rebuild_from_type_v2` under the name of a module that torch no longer has."""
    args = (name(V2), name("torch.Tensor"), plain_args(), {"unit": "m"})
    return archive(call("torch.tensor._rebuild_from_type_v2", *args), {"0": ONE_TWO})


@written(FROM_TYPE_V2, label="built", flags=FOREIGN)
def nested_twice() -> bytes:
    """`_rebuild_from_type_v2` around itself: a subclass made into another one."""
    inner = (
        name(V2),
        name("generators.cases.classes.Tagged"),
        plain_args(),
        {"unit": "m"},
    )
    args = (
        name(FROM_TYPE_V2),
        name("generators.cases.classes.Slotted"),
        inner,
        {"scale": 2},
    )
    return archive(call(FROM_TYPE_V2, *args), {"0": ONE_TWO})


@written(FROM_TYPE_V2, label="built")
def of_no_state() -> bytes:
    """`_rebuild_from_type_v2` whose state is None, as from Python 3.11 on."""
    args = (name(V2), name("torch.Tensor"), plain_args(), None)
    return archive(call(FROM_TYPE_V2, *args), {"0": ONE_TWO})


@written(FROM_TYPE_V2, label="built", flags=("attributes", "requires-grad"))
def of_parameter() -> bytes:
    """`_rebuild_from_type_v2` around a Parameter: a Parameter with attributes."""
    data = call(V2, *plain_args())
    inner = (data, True, HOOKS)
    function = name("torch._utils._rebuild_parameter")
    kind = name("torch.nn.parameter.Parameter")
    args = (function, kind, inner, {"unit": "m"})
    return archive(call(FROM_TYPE_V2, *args), {"0": ONE_TWO})

"""Plain tensors, and several in one tree."""

from __future__ import annotations

from collections import OrderedDict

import torch

from ..registry import (
    LEGACY,
    LEGACY_4,
    NO_CRC,
    PROTOCOL_3,
    PROTOCOL_4,
    PROTOCOL_5,
    ZIP,
    saved,
)

V2 = "torch._utils._rebuild_tensor_v2"


@saved(
    V2,
    formats=(
        ZIP, LEGACY, PROTOCOL_3, PROTOCOL_4, PROTOCOL_5, LEGACY_4, NO_CRC,
    ),
)  # fmt: skip
def matrix() -> object:
    """A tensor of two dimensions, alone at the root."""
    return torch.arange(6.0).reshape(2, 3)


# ---------------------------------------------------------------------- shapes


@saved(V2, formats=(ZIP, LEGACY))
def scalar() -> object:
    """A tensor without dimensions."""
    return torch.tensor(1.5)


@saved(V2, formats=(ZIP, LEGACY), flags=("offset",))
def scalar_of_larger_storage() -> object:
    """A tensor without dimensions: the fourth element of a storage of six."""
    return torch.arange(6.0)[3]


@saved(
    V2,
    each={
        "1": ((5,),),
        "3": ((2, 3, 4),),
        "4": ((2, 3, 2, 2),),
        "5": ((2, 1, 3, 1, 2),),
        "25": ((1,) * 12 + (2,) + (1,) * 11 + (3,),),
        "33": ((2,) + (1,) * 31 + (2,),),
        "65": ((2,) + (1,) * 63 + (2,),),
    },
)
def dimensions(size: tuple[int, ...]) -> object:
    """A contiguous tensor of {key} dimensions."""
    return torch.arange(float(torch.Size(size).numel())).reshape(size)


@saved(
    V2,
    each={
        "0": ((0,),),
        "0x3": ((0, 3),),
        "3x0": ((3, 0),),
        "2x0x3": ((2, 0, 3),),
        "0x1099511627776": ((0, 1 << 40),),
    },
    flags=("empty",),
)
def size(shape: tuple[int, ...]) -> object:
    """A tensor of size {shape}, which has no elements."""
    return torch.empty(shape)


@saved(V2, formats=(ZIP, LEGACY), flags=("empty",))
def empties() -> object:
    """Two tensors without elements beside one that has some."""
    return {"a": torch.empty(0), "b": torch.ones(2), "c": torch.empty(0, 4)}


@saved(V2)
def size_256() -> object:
    """A tensor of 256 elements: the size and the count take two bytes each."""
    return torch.arange(256, dtype=torch.uint8)


# ----------------------------------------------------------------------- trees


@saved(V2, formats=(ZIP, LEGACY))
def in_dict() -> object:
    """A dict of two tensors."""
    return {"weight": torch.arange(4.0).reshape(2, 2), "bias": torch.zeros(2)}


@saved(V2)
def in_dict_of_one() -> object:
    """A dict of one tensor: pickle writes SETITEM, not SETITEMS."""
    return {"weight": torch.arange(3.0)}


@saved(V2, formats=(ZIP, LEGACY), flags=("silent-failure",))
def in_list() -> object:
    """A list of two tensors of different sizes."""
    return [torch.arange(3.0), torch.arange(4.0)]


@saved(V2, flags=("silent-failure",))
def in_list_of_one() -> object:
    """A list of one tensor: pickle writes APPEND, not APPENDS."""
    return [torch.arange(3.0)]


@saved(V2, formats=(ZIP, LEGACY), flags=("silent-failure",))
def in_tuple() -> object:
    """A tuple of two tensors."""
    return torch.arange(3.0), torch.arange(4.0)


@saved(V2)
def in_ordered_dict() -> object:
    """An OrderedDict of tensors whose keys are not in order."""
    return OrderedDict(b=torch.zeros(1), a=torch.ones(2), c=torch.full((3,), 2.0))


@saved(V2, flags=("silent-failure",))
def under_int_keys() -> object:
    """A dict whose keys are ints."""
    return {0: torch.arange(2.0), 7: torch.arange(3.0), -1: torch.arange(4.0)}


@saved(V2, formats=(ZIP, LEGACY, PROTOCOL_4), flags=("silent-failure",))
def in_mixed_tree() -> object:
    """Dicts, lists, tuples and an OrderedDict in each other, with scalars beside."""
    return {
        "model": OrderedDict(
            [("layer.weight", torch.arange(4.0).reshape(2, 2)), ("layer.bias", None)]
        ),
        "history": [(1, torch.tensor(0.5)), (2, torch.tensor(0.25))],
        "nested": {"a": {"b": ({"c": torch.arange(3)},)}},
        "epoch": 3,
        "lr": 0.1,
        "name": "résumé",
        "done": False,
    }


@saved(V2, flags=("silent-failure",))
def same_names_in_two_dicts() -> object:
    """Two dicts that have a tensor of the same name."""
    return {"model": {"weight": torch.zeros(2)}, "ema": {"weight": torch.ones(2)}}


@saved(V2)
def as_key() -> object:
    """A tensor that is the key of a dict."""
    return {torch.arange(2.0): "seen"}


# ----------------------------------------------------------------- state dicts


@saved(V2, formats=(ZIP, LEGACY, PROTOCOL_4, PROTOCOL_5, LEGACY_4, NO_CRC))
def state_dict_of_conv_and_norm() -> object:
    """A module's state dict: an OrderedDict with `_metadata`, and an int64 scalar."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 2), torch.nn.BatchNorm2d(2)
    ).state_dict()


@saved(V2, flags=("requires-grad",))
def state_dict_with_requires_grad() -> object:
    """A state dict where some tensors require gradients and some do not."""
    state = torch.nn.Linear(2, 1).state_dict()
    state["weight"].requires_grad_()
    return state


@saved(
    V2,
    formats=(ZIP, LEGACY),
    flags=("silent-failure", "user-report"),
    links=("https://github.com/PaddlePaddle/PaddleNLP/issues/4699",),
)
def twelve_storages() -> object:
    """Twelve storages, so that by name "10" comes before "2", each of its own size."""
    return [torch.full((n + 1,), float(n)) for n in range(12)]


@saved(V2, formats=(ZIP, LEGACY))
def dtypes_in_turn() -> object:
    """Tensors of three dtypes in turn: a storage class comes back by its memo."""
    kinds = (torch.float16, torch.float32, torch.int64) * 2
    return [torch.tensor([n, n + 1], dtype=kind) for n, kind in enumerate(kinds)]


# ------------------------------------------------------------ identity and grad


@saved(V2, formats=(ZIP, LEGACY), flags=("alias",))
def same_tensor_twice() -> object:
    """Two keys lead to one tensor."""
    tensor = torch.arange(3.0)
    return {"a": tensor, "b": tensor}


@saved(V2, flags=("shared-storage",))
def two_tensors_on_all_of_one_storage() -> object:
    """Two tensors that show the same elements of one storage and are not one object."""
    tensor = torch.arange(3.0)
    return {"a": tensor, "b": tensor.detach()}


@saved(V2)
def equal_tensors() -> object:
    """Two equal tensors with a storage each."""
    return {"a": torch.arange(3.0), "b": torch.arange(3.0)}


@saved(V2, formats=(ZIP, LEGACY), flags=("requires-grad",))
def requires_grad() -> object:
    """A leaf that requires gradients."""
    return torch.arange(3.0, requires_grad=True)


@saved(V2, flags=("requires-grad",))
def requires_grad_not_leaf() -> object:
    """The result of an operation that requires gradients: it comes back as a leaf."""
    return torch.arange(3.0, requires_grad=True) * 2


@saved(V2, flags=("requires-grad",))
def with_grad() -> object:
    """A leaf that has a gradient, which is not saved."""
    tensor = torch.arange(3.0, requires_grad=True)
    tensor.sum().backward()
    return tensor


@saved(V2, flags=("requires-grad",))
def with_backward_hook() -> object:
    """A tensor with a backward hook, which is not saved."""
    tensor = torch.arange(3.0, requires_grad=True)
    tensor.register_hook(torch.neg)
    return tensor

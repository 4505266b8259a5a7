"""State dicts of modules: what most checkpoints are."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from .. import things
from ..registry import LEGACY, NO_CRC, PROTOCOL_4, PROTOCOL_5, ZIP, saved
from .filling import filled

REFUSED: Final = ("weights-only-refuses",)
METADATA: Final = "build:collections.OrderedDict"
PARAMETER: Final = "torch._utils._rebuild_parameter"


def _state(module: nn.Module) -> dict[str, Any]:
    return filled(module).state_dict()


# ------------------------------------------------------------------ layer by layer


LAYERS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "linear": (lambda: nn.Linear(2, 1), "a linear layer"),
    "batch_norm": (
        lambda: nn.BatchNorm2d(2),
        "a batch norm: two weights, two means, and a count without dimensions",
    ),
    "embedding": (lambda: nn.Embedding(3, 2, padding_idx=0), "an embedding"),
    "conv": (lambda: nn.Conv2d(2, 1, (3, 2)), "a convolution"),
    "group_norm": (lambda: nn.GroupNorm(1, 2), "a group norm"),
    "gru": (lambda: nn.GRU(1, 1, 2), "a recurrent net of two layers"),
    "lstm": (
        lambda: nn.LSTM(1, 2, bidirectional=True, proj_size=1),
        "an LSTM in both directions: five weights each",
    ),
    "attention": (
        lambda: nn.MultiheadAttention(2, 1, add_bias_kv=True),
        "an attention with biases of its own",
    ),
    "encoder_layer": (
        lambda: nn.TransformerEncoderLayer(2, 1, 2),
        "a layer of an encoder: twelve tensors",
    ),
    "activation": (nn.ReLU, "an activation: no tensors, only metadata"),
    "module_dict": (
        lambda: nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.PReLU()}),
        "a ModuleDict",
    ),
    "module_list": (
        lambda: nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)]),
        "a ModuleList: the keys begin with numbers",
    ),
    "parameter_list": (
        lambda: nn.ParameterList([torch.zeros(2), torch.zeros(1)]),
        "a ParameterList: the keys are numbers",
    ),
    "parameter_dict": (
        lambda: nn.ParameterDict({"scale": torch.zeros(2), "b": torch.zeros(1)}),
        "a ParameterDict",
    ),
    "nested": (
        lambda: nn.Sequential(nn.Sequential(nn.Linear(1, 2), nn.ReLU()), nn.PReLU()),
        "a Sequential in a Sequential: keys with two numbers",
    ),
    "net": (things.Net, "a module that keeps one buffer and drops another"),
    "unlisted": (
        things.Unlisted,
        "a module with layers in a list: it has none of them",
    ),
    "extra_state": (things.Extra, "a module with a state beside its tensors: a dict"),
    "data_parallel": (
        lambda: nn.DataParallel(nn.Linear(2, 1)),
        "a module wrapped for several graphics cards: the keys begin with `module.`",
    ),
}


@saved(METADATA, each=LAYERS)
def state(make: Callable[[], nn.Module], what: str) -> object:
    """The state dict of {what}."""
    return _state(make())


@saved(METADATA, formats=(LEGACY, PROTOCOL_4, PROTOCOL_5, NO_CRC))
def state_of_net() -> object:
    """The state dict of two linear layers, a batch norm and a buffer."""
    return _state(nn.Sequential(things.Net(), nn.BatchNorm1d(1)))


@saved(METADATA, flags=("alias",))
def state_of_shared_module() -> object:
    """The state dict of a module that stands twice: two keys for each tensor."""
    layer = nn.Linear(1, 1)
    return _state(nn.Sequential(layer, layer))


@saved(METADATA, formats=(ZIP, LEGACY), flags=("shared-storage",))
def state_of_tied_weights() -> object:
    """The state dict of two modules with one weight: two tensors, one storage."""
    return _state(things.Tied())


@saved(PARAMETER, directory="states", formats=(ZIP, LEGACY), flags=("requires-grad",))
def state_with_parameters() -> object:
    """A state dict that keeps the Parameters, one of which wants no gradients."""
    module = filled(nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1)))
    module[0].bias.requires_grad_(False)
    return module.state_dict(keep_vars=True)


@saved("torch._utils._rebuild_tensor_v2", directory="states")
def state_as_dict() -> object:
    """A state dict as a plain dict: its metadata is gone."""
    return dict(_state(nn.Linear(2, 1)))


@saved(METADATA)
def state_with_prefix() -> object:
    """The state dict of a part under a prefix: so are the keys of the metadata."""
    return filled(nn.Sequential(nn.PReLU())).state_dict(prefix="model.encoder.")


@saved(METADATA)
def state_in_checkpoint() -> object:
    """A state dict among other things, as training scripts save it."""
    return {
        "arch": "net",
        "epoch": 3,
        "state_dict": _state(nn.Linear(2, 1)),
        "best": 0.5,
        "classes": ["cat", "dog"],
    }


# ---------------------------------------------------------- converted and changed


CONVERTED: dict[str, tuple[torch.dtype, str]] = {
    "float16": (torch.float16, "halved"),
    "bfloat16": (torch.bfloat16, "halved, with the range of float32"),
    "float64": (torch.float64, "doubled"),
}


@saved(METADATA, each=CONVERTED)
def state_as(dtype: torch.dtype, what: str) -> object:
    """The state dict of a batch norm in {key}, {what}; its count stays int64."""
    return filled(nn.BatchNorm1d(2)).to(dtype).state_dict()


@saved(METADATA, flags=("non-contiguous",))
def state_channels_last() -> object:
    """The state dict of a convolution in channels-last order."""
    module: Any = filled(nn.Conv2d(2, 2, 2))
    return module.to(memory_format=torch.channels_last).state_dict()


@saved(METADATA, flags=("shared-storage", "offset"))
def state_of_flat_weights() -> object:
    """A state dict whose tensors are parts of one storage, as flat optimizers do."""
    module = filled(nn.Linear(2, 1))
    flat = nn.utils.parameters_to_vector(module.parameters()).detach()
    nn.utils.vector_to_parameters(flat, module.parameters())
    return module.state_dict()


@saved("torch.nn.parameter.UninitializedParameter", flags=REFUSED)
def state_of_lazy_module() -> object:
    """The state dict of a module that has seen no input yet."""
    return nn.LazyLinear(2).state_dict()


@saved("torch.nn.parameter.UninitializedBuffer", flags=REFUSED)
def state_of_lazy_norm() -> object:
    """The state dict of a norm that has seen no input yet: buffers too."""
    return nn.LazyBatchNorm1d().state_dict()


@saved(METADATA)
def state_of_lazy_module_after_input() -> object:
    """The state dict of a lazy module after its first input: an ordinary one."""
    module = nn.LazyLinear(2)
    module(torch.ones(1, 3))
    return _state(module)


def _weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(nn.Linear(2, 1))


def _pruned() -> nn.Module:
    module = nn.Linear(2, 1)
    prune.custom_from_mask(module, "weight", torch.tensor([[1, 0]]))
    return module


def _doubled() -> nn.Module:
    module = nn.Linear(2, 1)
    parametrize.register_parametrization(module, "weight", things.Double())
    return module


CHANGED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "weight_norm": (
        lambda: parametrizations.weight_norm(nn.Linear(2, 1)),
        "whose weight is made of a direction and a length",
    ),
    "weight_norm_by_hook": (_weight_norm, "whose weight a hook makes, as once"),
    "spectral_norm": (
        lambda: parametrizations.spectral_norm(nn.Linear(2, 1)),
        "whose weight is divided by its largest singular value",
    ),
    "pruned": (_pruned, "whose weight is masked"),
    "doubled": (_doubled, "whose weight a module makes"),
}


@saved(METADATA, each=CHANGED)
def state_parametrized(make: Callable[[], nn.Module], what: str) -> object:
    """The state dict of a linear layer {what}: keys that the layer itself lacks."""
    return _state(make())


# ---------------------------------------------------------------------- quantized


QUANTIZED: dict[str, tuple[Callable[[], Any], str]] = {
    "linear": (
        lambda: torch.ao.nn.quantized.Linear(2, 1),
        "a quantized linear layer: a packed weight, a scale and a zero point",
    ),
    "dynamic": (
        lambda: torch.ao.nn.quantized.dynamic.Linear(2, 1),
        "a linear layer that quantizes its input as it comes",
    ),
    "conv": (lambda: torch.ao.nn.quantized.Conv2d(1, 1, 1), "a quantized convolution"),
}


@saved("torch._utils._rebuild_qtensor", directory="states", each=QUANTIZED)
def state_quantized(make: Callable[[], Any], what: str) -> object:
    """The state dict of {what}."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = make()
        ones = torch.ones(module.weight().shape)
        weight = torch.quantize_per_tensor(ones, 0.5, 0, torch.qint8)
        module.set_weight_bias(weight, torch.zeros(1))
        return module.state_dict()


@saved(METADATA)
def state_of_observer() -> object:
    """The state dict of an observer that has seen nothing: infinite both ways."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.MinMaxObserver().state_dict()

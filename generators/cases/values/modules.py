"""Whole modules: each is an object of its class, with modules and tensors inside."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any, Final
from unittest import mock

import torch
from torch import nn
from torch._sources import get_source_lines_and_file

from ...saving import save
from .. import things
from ..registry import LEGACY, LEGACY_4, PROTOCOL_4, PROTOCOL_5, ZIP, saved, written
from .filling import fill, filled

REFUSED: Final = ("weights-only-refuses",)
HERE: Final = things.__name__

# ------------------------------------------------------------- torch.nn, class by class

#: What each class of `torch.nn` is made with, as small as it may be.
ARGUMENTS: Final[dict[str, tuple[Any, ...]]] = {
    "AdaptiveAvgPool1d": (2,),
    "AdaptiveAvgPool2d": ((2, None),),
    "AdaptiveAvgPool3d": ((1, 2, 3),),
    "AdaptiveLogSoftmaxWithLoss": (4, 6, [2, 4]),
    "AdaptiveMaxPool1d": (2,),
    "AdaptiveMaxPool2d": ((2, None),),
    "AdaptiveMaxPool3d": ((1, 2, 3),),
    "AlphaDropout": (0.25,),
    "AvgPool1d": (2,),
    "AvgPool2d": ((2, 1),),
    "AvgPool3d": (2,),
    "BCELoss": (),
    "BCEWithLogitsLoss": (),
    "BatchNorm1d": (2,),
    "BatchNorm2d": (2,),
    "BatchNorm3d": (2,),
    "Bilinear": (2, 1, 2),
    "CELU": (0.5,),
    "CTCLoss": (),
    "ChannelShuffle": (2,),
    "CircularPad1d": (1,),
    "CircularPad2d": (1,),
    "CircularPad3d": (1,),
    "ConstantPad1d": (1, 0.5),
    "ConstantPad2d": ((1, 2, 0, 1), 0.5),
    "ConstantPad3d": (1, 0.5),
    "Container": (),
    "Conv1d": (1, 2, 3),
    "Conv2d": (2, 1, (3, 2)),
    "Conv3d": (1, 1, (1, 2, 3)),
    "ConvTranspose1d": (1, 2, 3),
    "ConvTranspose2d": (2, 1, (3, 2)),
    "ConvTranspose3d": (1, 1, (1, 2, 3)),
    "CosineEmbeddingLoss": (0.25,),
    "CosineSimilarity": (),
    "CrossEntropyLoss": (),
    "CrossMapLRN2d": (3,),
    "Dropout": (),
    "Dropout1d": (),
    "Dropout2d": (),
    "Dropout3d": (),
    "ELU": (),
    "Embedding": (3, 2, 0),
    "EmbeddingBag": (3, 2),
    "FeatureAlphaDropout": (),
    "Flatten": (),
    "Fold": ((4, 4), 2),
    "FractionalMaxPool2d": (2, (1, 2)),
    "FractionalMaxPool3d": (2, (1, 2, 3)),
    "GELU": ("tanh",),
    "GLU": (),
    "GRU": (2, 1),
    "GRUCell": (2, 1),
    "GaussianNLLLoss": (),
    "GroupNorm": (1, 2),
    "Hardshrink": (),
    "Hardsigmoid": (),
    "Hardswish": (),
    "Hardtanh": (-2.0, 2.0),
    "HingeEmbeddingLoss": (),
    "HuberLoss": (),
    "Identity": (),
    "InstanceNorm1d": (2, 1e-5, 0.1, True, True),
    "InstanceNorm2d": (2,),
    "InstanceNorm3d": (2,),
    "KLDivLoss": (),
    "L1Loss": (),
    "LPPool1d": (2, 3),
    "LPPool2d": (2, 3),
    "LPPool3d": (2, 3),
    "LSTM": (2, 1),
    "LSTMCell": (2, 1),
    "LayerNorm": ((2, 3),),
    "LazyBatchNorm1d": (),
    "LazyBatchNorm2d": (),
    "LazyBatchNorm3d": (),
    "LazyConv1d": (2, 3),
    "LazyConv2d": (2, 3),
    "LazyConv3d": (2, 3),
    "LazyConvTranspose1d": (2, 3),
    "LazyConvTranspose2d": (2, 3),
    "LazyConvTranspose3d": (2, 3),
    "LazyInstanceNorm1d": (),
    "LazyInstanceNorm2d": (),
    "LazyInstanceNorm3d": (),
    "LazyLinear": (2,),
    "LeakyReLU": (),
    "Linear": (2, 1),
    "LinearCrossEntropyLoss": (2, 3),
    "LocalResponseNorm": (2,),
    "LogSigmoid": (),
    "LogSoftmax": (1,),
    "MSELoss": (),
    "MarginRankingLoss": (),
    "MaxPool1d": (2,),
    "MaxPool2d": ((2, 3),),
    "MaxPool3d": (2,),
    "MaxUnpool1d": (2,),
    "MaxUnpool2d": (2,),
    "MaxUnpool3d": (2,),
    "Mish": (),
    "Module": (),
    "ModuleDict": (),
    "ModuleList": (),
    "MultiLabelMarginLoss": (),
    "MultiLabelSoftMarginLoss": (),
    "MultiMarginLoss": (),
    "MultiheadAttention": (2, 1),
    "NLLLoss": (),
    "NLLLoss2d": (),
    "PReLU": (2,),
    "PairwiseDistance": (),
    "ParameterDict": (),
    "ParameterList": (),
    "PixelShuffle": (2,),
    "PixelUnshuffle": (2,),
    "PoissonNLLLoss": (),
    "RMSNorm": (2,),
    "RNN": (2, 1, 2, "relu"),
    "RNNBase": ("GRU", 1, 1),
    "RNNCell": (2, 1),
    "RNNCellBase": (2, 1, True, 3),
    "RReLU": (),
    "ReLU": (True,),
    "ReLU6": (),
    "ReflectionPad1d": (1,),
    "ReflectionPad2d": (1,),
    "ReflectionPad3d": (1,),
    "ReplicationPad1d": (1,),
    "ReplicationPad2d": (1,),
    "ReplicationPad3d": (1,),
    "SELU": (),
    "Sequential": (),
    "SiLU": (),
    "Sigmoid": (),
    "SmoothL1Loss": (),
    "SoftMarginLoss": (),
    "Softmax": (1,),
    "Softmax2d": (),
    "Softmin": (1,),
    "Softplus": (),
    "Softshrink": (),
    "Softsign": (),
    "SyncBatchNorm": (2,),
    "Tanh": (),
    "Tanhshrink": (),
    "Threshold": (0.5, 2.0),
    "Transformer": (2, 1, 1, 1, 2),
    "TripletMarginLoss": (),
    "TripletMarginWithDistanceLoss": (),
    "Unflatten": (1, (2, 3)),
    "Unfold": (2,),
    "Upsample": (None, 2.0),
    "UpsamplingBilinear2d": (None, 2.0),
    "UpsamplingNearest2d": ((4, 4),),
    "ZeroPad1d": (1,),
    "ZeroPad2d": ((1, 2, 0, 1),),
    "ZeroPad3d": (1,),
}

#: The classes of `torch.nn` that ARGUMENTS leaves out, and why.
OTHERS: Final[dict[str, str]] = {
    "LinearCrossEntropyOptions": "no module, but the options of one",
    "TransformerDecoder": "inside `whole_Transformer`",
    "TransformerDecoderLayer": "inside `whole_Transformer`",
    "TransformerEncoder": "inside `whole_Transformer`",
    "TransformerEncoderLayer": "inside `whole_Transformer`",
}

CLASSES: Final = {
    key: (getattr(nn.modules, key), arguments) for key, arguments in ARGUMENTS.items()
}


#: The files of `torch.nn.modules` whose classes keep no tensors, but for these.
PLAIN: Final = (
    "activation", "channelshuffle", "distance", "dropout", "flatten", "fold", "loss",
    "padding", "pixelshuffle", "pooling", "upsampling",
)  # fmt: skip
KEEP_TENSORS: Final = ("LinearCrossEntropyLoss", "MultiheadAttention", "PReLU")


def _group(key: str) -> str | None:
    """Which others a class stands together with, in one file."""
    file = CLASSES[key][0].__module__.rpartition(".")[2]
    if key.startswith("Lazy"):
        return "lazy"
    return file if file in PLAIN and key not in KEEP_TENSORS else None


APART: Final = {key: row for key, row in CLASSES.items() if _group(key) is None}
GROUPS: Final = {
    group: [key for key in CLASSES if _group(key) == group]
    for group in (*PLAIN, "lazy")
}
TOGETHER: Final = {
    group: (
        f"{CLASSES[keys[0]][0].__module__}.{keys[0]}",
        keys,
        "that waits for its first input" if group == "lazy"
        else f"of `torch.nn.modules.{group}` that keeps no tensors",
    )
    for group, keys in GROUPS.items()
}  # fmt: skip


@saved("{first}", each=TOGETHER, flags=REFUSED)
def whole_of(first: str, keys: list[str], what: str) -> object:
    """A list of whole modules, one of each class {what}."""
    made = [CLASSES[key] for key in keys]
    return [_made(kind, *arguments) for kind, arguments in made]


@saved("{kind.__module__}.{kind.__qualname__}", each=APART, flags=REFUSED)
def whole(kind: Callable[..., nn.Module], arguments: tuple[Any, ...]) -> object:
    """A whole `torch.nn.{key}`: NEWOBJ of its class, its attributes as state."""
    return filled(_made(kind, *arguments))


def _made(make: Callable[..., nn.Module], *arguments: Any) -> nn.Module:
    """What `make` makes, the same whatever ran before in this process."""
    # The keys of hooks are counted through, over all modules.
    hooks = mock.patch.object(torch.utils.hooks.RemovableHandle, "next_id", 0)
    with hooks, warnings.catch_warnings():
        # Some classes say that they are old, or not finished.
        warnings.simplefilter("ignore")
        module = make(*arguments)
    if isinstance(module, nn.RNNBase):
        # Whether two equal names are one object depends on who used them before.
        rows = [[sys.intern(name) for name in row] for row in module._all_weights]
        module._all_weights = rows
        module._flat_weights_names = [name for row in rows for name in row]
        weights = module._parameters.items()
        module._parameters = {sys.intern(name): weight for name, weight in weights}
    return module


@saved(
    "torch.nn.modules.linear_cross_entropy_options.LinearCrossEntropyOptions",
    flags=REFUSED,
)
def whole_options() -> object:
    """The options of a loss: a dataclass, and no module."""
    return nn.modules.LinearCrossEntropyOptions()


# --------------------------------------------------------------- modules in modules


def _pair() -> nn.Module:
    return filled(nn.Sequential(nn.Linear(2, 1), nn.ReLU()))


@saved(
    "torch.nn.modules.container.Sequential",
    formats=(ZIP, PROTOCOL_4, PROTOCOL_5),
    flags=REFUSED,
)
def whole_chain() -> object:
    """A whole Sequential of a linear layer and an activation."""
    return _pair()


@saved("torch.nn.modules.container.Sequential", flags=(*REFUSED, "alias"))
def whole_module_twice() -> object:
    """A whole Sequential in which one layer stands twice."""
    layer = nn.Linear(2, 2)
    return filled(nn.Sequential(layer, nn.ReLU(), layer))


@saved("torch.nn.modules.container.ModuleDict", flags=REFUSED)
def whole_module_dict() -> object:
    """A whole ModuleDict, with a ModuleList inside."""
    heads = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 2)])
    return filled(nn.ModuleDict({"body": nn.Identity(), "heads": heads}))


@saved("torch.nn.modules.container.ParameterDict", flags=REFUSED)
def whole_parameter_dict() -> object:
    """A whole ParameterDict, with a ParameterList inside."""
    inner = nn.ParameterList([torch.zeros(2), torch.zeros(1)])
    return filled(nn.ParameterDict({"scale": torch.zeros(1), "inner": inner}))


@saved(f"{HERE}.Net", formats=(ZIP, PROTOCOL_4), flags=REFUSED)
def whole_net() -> object:
    """A whole module of a class of its own: children, buffers and plain attributes."""
    return filled(things.Net())


@saved(f"{HERE}.Tied", flags=(*REFUSED, "alias"))
def whole_tied() -> object:
    """A whole module, two of whose children have one weight."""
    return filled(things.Tied())


@saved(f"{HERE}.Unlisted", flags=REFUSED)
def whole_unlisted() -> object:
    """A whole module with layers in a list and a dict, which no state dict has."""
    module = things.Unlisted()
    for layer in (module.layers[0], module.table["head"]):
        filled(layer)
    return module


@saved("torch.nn.parallel.data_parallel.DataParallel", flags=REFUSED)
def whole_data_parallel() -> object:
    """A whole module wrapped for several graphics cards, of which there are none."""
    return nn.DataParallel(_pair())


@saved("torch.nn.modules.container.Sequential", flags=REFUSED)
def whole_in_eval() -> object:
    """A whole module that is in eval mode, and whose weights want no gradients."""
    return _pair().eval().requires_grad_(False)


@saved("torch.nn.modules.linear.Linear", flags=REFUSED)
def whole_with_gradients() -> object:
    """A whole module after a backward pass: the gradients are not saved."""
    module = filled(nn.Linear(2, 1))
    module(torch.ones(2)).backward()
    return module


@saved("torch.nn.modules.linear.Linear", flags=REFUSED)
def whole_with_hooks() -> object:
    """A whole module with hooks: functions by their names, in OrderedDicts."""
    return filled(_made(_hooked))


def _hooked() -> nn.Module:
    module = nn.Linear(2, 1)
    module.register_forward_pre_hook(things.before)
    module.register_forward_hook(things.after, always_call=True)
    return module


@saved("torch.nn.modules.linear.Linear", flags=REFUSED)
def whole_with_weight_norm() -> object:
    """A whole module whose weight a hook makes of two others, as torch once did."""
    module: Any = _made(nn.utils.weight_norm, nn.Linear(2, 1))
    fill([module.weight_g, module.weight_v, module.bias, module.weight])
    return module


@saved("torch.nn.parameter.UninitializedParameter", flags=REFUSED)
def whole_lazy_with_others() -> object:
    """A whole module, one of whose layers has seen no input yet."""
    return filled(nn.Sequential(nn.Linear(2, 1), _made(nn.LazyLinear, 2)))


@saved("torch.nn.modules.conv.Conv2d", flags=(*REFUSED, "non-contiguous"))
def whole_channels_last() -> object:
    """A whole convolution whose weight is in channels-last order."""
    module = filled(nn.Conv2d(2, 2, 2))
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@saved("torch.nn.modules.linear.Linear", flags=REFUSED)
def whole_in_bfloat16() -> object:
    """A whole module in bfloat16."""
    return filled(nn.Linear(2, 1)).bfloat16()


@saved("torch.nn.modules.linear.Linear", flags=REFUSED)
def whole_beside_state() -> object:
    """A checkpoint that has the module as a whole, and its state dict."""
    module = filled(nn.Linear(2, 1))
    return {"model": module, "state_dict": module.state_dict(), "epoch": 3}


@saved("torch.ao.nn.quantized.modules.linear.Linear", flags=REFUSED)
def whole_quantized() -> object:
    """A whole quantized linear layer: its weight is packed inside a module inside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.ao.nn.quantized.Linear(2, 1)
        weight = torch.quantize_per_tensor(torch.ones(1, 2), 0.5, 0, torch.qint8)
        module.set_weight_bias(weight, torch.zeros(1))
        return module


# -------------------------------------------------------------- with source code


def _of_package(kind: Any) -> Any:
    """The source of a class, in a file that every machine calls the same."""
    lines, number, _ = get_source_lines_and_file(kind)
    return lines, number, kind.__module__.replace(".", "/") + ".py"


LEGACY_MODULES: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "activation": (nn.ReLU, "an activation"),
    "net": (things.Net, "a module with two children of one class"),
    "nested": (_pair, "a Sequential of two layers"),
}


def _with_source(module: nn.Module, format: Any) -> bytes:
    place = "get_source_lines_and_file"
    with mock.patch.object(torch.serialization, place, _of_package):
        return save(module, format)


@written("persistent-id:module", label="native", each=LEGACY_MODULES, flags=REFUSED)
def whole_legacy(make: Callable[[], nn.Module], what: str) -> bytes:
    """A legacy stream of {what}, whole, with the source code of each class."""
    return _with_source(filled(make()), LEGACY)


@written("persistent-id:module", label="native", flags=REFUSED)
def whole_legacy_of_protocol_4() -> bytes:
    """A whole module in a legacy stream of protocol 4, with its source code."""
    return _with_source(nn.Flatten(), LEGACY_4)


@written("persistent-id:module", label="native", flags=REFUSED)
def whole_legacy_without_source() -> bytes:
    """A whole module in a legacy stream whose class has no source code."""
    return save(things.Made(), LEGACY)

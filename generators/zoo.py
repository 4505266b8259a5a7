"""Every torchvision model that builds without a download, one at a time.

The point is the bytes of their state dicts, not what they compute, so the
slow initialisations are left out and every storage gets a cheap pattern in
which no two words are alike.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final
from unittest import mock

import torch

from .vision import models

_OFFLINE: Final[dict[str, Any]] = {"weights": None, "weights_backbone": None}

#: Odd, so that counting by it visits every 64-bit word (2**64 / golden ratio).
_STEP: Final = 0x9E3779B97F4A7C15 - (1 << 64)

Builder = Callable[[], torch.nn.Module]


def zoo() -> Iterator[tuple[str, Builder]]:
    """Yield each model's name and what builds it; nothing is kept."""
    for name in models.list_models():
        yield name, partial(build, name)


def build(name: str) -> torch.nn.Module:
    """The model of that name (as in `torchvision.models.list_models()`), filled."""
    builder = models.get_model_builder(name)
    accepted = inspect.signature(builder).parameters
    options = {key: value for key, value in _OFFLINE.items() if key in accepted}
    with _uninitialised(), warnings.catch_warnings():
        # Two models announce that their initialisation will change.
        warnings.simplefilter("ignore", FutureWarning)
        model: torch.nn.Module = builder(**options)
    fill(model.state_dict())
    return model


def fill(tensors: dict[str, torch.Tensor]) -> None:
    """Write a pattern into every storage; each 8 bytes differ from all others.

    The bytes are arbitrary: as floats, some are NaN. Storages of bool, which
    may hold only 0 and 1, get the lowest bit.
    """
    start = 0
    for tensor in tensors.values():
        octets = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
        words = -(-octets.numel() // 8)
        pattern = torch.arange(start, start + words).mul_(_STEP).view(torch.uint8)
        octets.copy_(pattern[: octets.numel()])
        if tensor.dtype == torch.bool:
            octets.bitwise_and_(1)
        start += words


def _uninitialised() -> AbstractContextManager[Any]:
    """Make every function of `torch.nn.init` return its tensor as it is."""
    functions = vars(torch.nn.init)
    in_place = [name for name in functions if name.endswith("_") and name[0] != "_"]
    return mock.patch.dict(functions, dict.fromkeys(in_place, _untouched))


def _untouched(tensor: torch.Tensor, *_args: Any, **_kwargs: Any) -> torch.Tensor:
    return tensor

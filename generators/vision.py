"""The one place that imports torchvision, whichever build of it is there.

A wheel built for another torch (a CUDA wheel beside a CPU torch) cannot load its
compiled operators, and its import then fails on the two whose shape functions
it registers all the same (torchvision 0.28.0, `_meta_registrations.py`).
Building a model runs neither, so declaring them is enough.
"""

from __future__ import annotations

from types import ModuleType
from typing import Final

import torch

_OPERATORS: Final = ("nms", "qnms")
_SIGNATURE: Final = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def _declare() -> torch.library.Library:
    """Declare the operators; they exist as long as the library object does."""
    library = torch.library.Library("torchvision", "DEF")
    for name in _OPERATORS:
        library.define(name + _SIGNATURE)
    return library


def _import() -> tuple[ModuleType, torch.library.Library | None]:
    declared = None
    try:
        import torchvision
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        declared = _declare()
        import torchvision
    return torchvision.models, declared


#: `torchvision.models`; the second is only kept alive.
models, _DECLARED = _import()

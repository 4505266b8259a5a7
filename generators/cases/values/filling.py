"""Numbers for tensors: no two alike, and the same ones on every machine.

Random numbers are neither: how torch draws them depends on the processor.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import torch

Module = TypeVar("Module", bound=torch.nn.Module)


def fill(tensors: Iterable[torch.Tensor]) -> None:
    """Counts through the elements of all tensors, in steps of 1/8."""
    count = 0
    with torch.no_grad():
        for tensor in tensors:
            if torch.nn.parameter.is_lazy(tensor):  # it has no elements yet
                continue
            steps = torch.arange(count, count + tensor.numel()).reshape(tensor.shape)
            tensor.copy_(steps / 8 if tensor.is_floating_point() else steps)
            count += tensor.numel()


def filled(module: Module) -> Module:
    """The module, with all its parameters and buffers filled."""
    fill(module.parameters())
    fill(buffer for buffer in module.buffers() if buffer.is_floating_point())
    return module

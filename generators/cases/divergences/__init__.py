"""Files on which `torch.load` and torchproof differ on purpose.

Cases of the corpus like the others, in its directory `divergences`. Which torch
does what with each, and why we do not, says `conformance/divergences.toml`.
"""

from __future__ import annotations

from . import containers, hostile, machine, rebuild, tensors, values

__all__ = ["containers", "hostile", "machine", "rebuild", "tensors", "values"]

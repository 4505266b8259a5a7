"""Files on which `torch.load` and torchproof differ on purpose.

One function writes one file, and says in one sentence what is in it. Which
torch does what with it, and why we do not, says `conformance/divergences.toml`.
`python -m generators.divergences DIR` writes them all.
"""

from __future__ import annotations

from . import containers, hostile, machine, rebuild, tensors, values
from .registry import CASES, UNDISCLOSED, write

__all__ = [
    "CASES",
    "UNDISCLOSED",
    "containers",
    "hostile",
    "machine",
    "rebuild",
    "tensors",
    "values",
    "write",
]

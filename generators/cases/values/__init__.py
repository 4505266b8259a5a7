"""Python's values, numpy's, and whole objects."""

from __future__ import annotations

from . import (
    arrays,
    containers,
    library,
    modules,
    objects,
    optimizers,
    pickled,
    scalars,
    states,
)

__all__ = [
    "arrays",
    "containers",
    "library",
    "modules",
    "objects",
    "optimizers",
    "pickled",
    "scalars",
    "states",
]

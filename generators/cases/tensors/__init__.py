"""Tensors of every kind, and what hangs on them."""

from __future__ import annotations

from . import (
    devices,
    dtypes,
    narrow,
    nested,
    parameters,
    quantized,
    sparse,
    storages,
    subclasses,
    tensors,
    views,
)

__all__ = [
    "devices",
    "dtypes",
    "narrow",
    "nested",
    "parameters",
    "quantized",
    "sparse",
    "storages",
    "subclasses",
    "tensors",
    "views",
]

"""Files that are wrong, hostile, or at the edge of the format."""

from __future__ import annotations

from . import (
    ambiguous,
    archives,
    bombs,
    bounds,
    cut,
    forbidden,
    layouts_wrong,
    machine,
    opcodes,
    sparse_wrong,
)

__all__ = [
    "ambiguous",
    "archives",
    "bombs",
    "bounds",
    "cut",
    "forbidden",
    "layouts_wrong",
    "machine",
    "opcodes",
    "sparse_wrong",
]

"""Files that are wrong, hostile, or at the edge of the format."""

from __future__ import annotations

from . import (
    ambiguous,
    archives,
    bombs,
    bounds,
    costly,
    cut,
    deep,
    forbidden,
    found,
    layouts_wrong,
    machine,
    opcodes,
    published,
    scanners,
    sparse_wrong,
    surprising,
    tar_headers,
    unfilled,
)

__all__ = [
    "ambiguous",
    "archives",
    "bombs",
    "bounds",
    "costly",
    "cut",
    "deep",
    "forbidden",
    "found",
    "layouts_wrong",
    "machine",
    "opcodes",
    "published",
    "scanners",
    "sparse_wrong",
    "surprising",
    "tar_headers",
    "unfilled",
]

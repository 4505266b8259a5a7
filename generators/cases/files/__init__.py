"""The containers: what torch writes, has written, and takes."""

from __future__ import annotations

from . import (
    distributed,
    headers,
    legacies,
    scripts,
    tars,
    zips,
)

__all__ = [
    "distributed",
    "headers",
    "legacies",
    "scripts",
    "tars",
    "zips",
]

"""What readers are known to get wrong."""

from __future__ import annotations

from . import (
    reported,
    reported_views,
    silent,
)

__all__ = [
    "reported",
    "reported_views",
    "silent",
]

"""Reads PyTorch checkpoints without torch, and runs nothing from the file.

    from conformance.parser import load

    tree = load("resnet18.pth")
    tree["fc.weight"].numpy()

Imports numpy, ml_dtypes and the standard library, nothing else.
"""

from __future__ import annotations

from .errors import (
    CheckpointError,
    GlobalNotAllowed,
    LimitExceeded,
    Malformed,
    NotACheckpoint,
    Truncated,
    Uninitialised,
    Unsupported,
)
from .limits import Limits
from .loading import load
from .tensor import Storage, Tensor
from .trace import Trace
from .values import Device, DType, Global, Layout, Object, QScheme, Size

__all__ = [
    "CheckpointError",
    "DType",
    "Device",
    "Global",
    "GlobalNotAllowed",
    "Layout",
    "LimitExceeded",
    "Limits",
    "Malformed",
    "NotACheckpoint",
    "Object",
    "QScheme",
    "Size",
    "Storage",
    "Tensor",
    "Trace",
    "Truncated",
    "Uninitialised",
    "Unsupported",
    "load",
]

"""What `load` returned, as values that are easy to write down in a test."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.parser import Global, Storage, Tensor
from conformance.parser.dtypes import DTYPES


def plain(value: Any) -> Any:
    """Storages as dtype and elements, tensors as lists, names as their text."""
    if isinstance(value, Storage):
        elements = np.frombuffer(value.data, DTYPES[value.dtype].numpy)
        return value.dtype, elements.tolist()
    if isinstance(value, Tensor):
        return value.numpy().tolist()
    if isinstance(value, Global):
        return value.name
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value)
    return value

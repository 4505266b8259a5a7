"""ptloader's `ptloader.load`, as it is called without options."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import ptloader

if TYPE_CHECKING:
    from . import serving
else:
    # A script finds what lies beside it.
    import serving


def load(file: str, _encoding: str | None) -> dict[str, Any]:
    found = serving.find(ptloader.load(file), _is_array)
    return {"tensors": [_told(name, array) for name, array in found]}


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _told(name: str, array: np.ndarray[Any, Any]) -> dict[str, Any]:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return serving.tensor(
        name,
        little.tobytes(),
        dtype=array.dtype.newbyteorder("=").name,
        shape=array.shape,
        stride=[step // array.itemsize for step in array.strides],
    )


if __name__ == "__main__":
    serving.serve(
        load,
        name="ptloader",
        version=importlib.metadata.version("ptloader"),
        language="Python",
        facts=("dtype", "shape", "data", "stride"),
        homepage="https://pypi.org/project/ptloader/",
    )

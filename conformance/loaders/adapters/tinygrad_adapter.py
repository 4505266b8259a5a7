"""tinygrad's `tinygrad.nn.state.torch_load`."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any

from tinygrad import Tensor, dtypes
from tinygrad.nn.state import torch_load

if TYPE_CHECKING:
    from . import serving
else:
    # A script finds what lies beside it.
    import serving

#: tinygrad has a short name of its own for each, and torch's as an attribute.
NAMES = {
    dtype: name
    for name in (
        "bool uint8 int8 uint16 int16 uint32 int32 uint64 int64"
        " float16 bfloat16 float32 float64 fp8e4m3 fp8e5m2"
    ).split()
    if (dtype := getattr(dtypes, name, None)) is not None
}


def load(file: str, _encoding: str | None) -> dict[str, Any]:
    found = serving.find(torch_load(file), _is_tensor)
    return {"tensors": [_told(name, tensor) for name, tensor in found]}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def _told(name: str, tensor: Any) -> dict[str, Any]:
    elements = b""
    if tensor.numel():
        # As bytes: not every dtype has a type of Python, and not every clang has
        # a bfloat16.
        elements = bytes(tensor.flatten().bitcast(dtypes.uint8).data())
    dtype = NAMES.get(tensor.dtype, str(tensor.dtype))
    return serving.tensor(name, elements, dtype=dtype, shape=tensor.shape)


if __name__ == "__main__":
    serving.serve(
        load,
        name="tinygrad",
        version=importlib.metadata.version("tinygrad"),
        language="Python",
        facts=("dtype", "shape", "data"),
        homepage="https://tinygrad.org",
        issues="https://github.com/tinygrad/tinygrad/issues",
    )

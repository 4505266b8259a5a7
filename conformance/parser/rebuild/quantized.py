"""Quantized tensors, per tensor and per channel, down to two bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..dtypes import DTYPES
from ..errors import Malformed, Unsupported
from ..registry import Table
from ..tensor import Storage, Tensor
from ..values import QScheme
from .checks import as_grad, as_int, short, wrong
from .views import from_array, part_of, strided, with_hooks

if TYPE_CHECKING:
    from ..unpickler import Unpickler

CALLS: Final = Table()


@CALLS.named("torch._utils._rebuild_qtensor")
def _rebuild_qtensor(
    machine: Unpickler,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    params: Any,
    *rest: Any,
) -> Tensor:
    """`(..., (qscheme, ...), requires_grad, hooks)`; in 1.2 `(..., scale,
    zero_point, requires_grad, hooks)`."""
    if type(params) in (int, float) and len(rest) == 3:
        params, rest = (QScheme("per_tensor_affine"), params, rest[0]), rest[1:]
    if not isinstance(params, (tuple, list)) or len(rest) != 2:
        raise Malformed("a quantized tensor without its scheme", phase="rebuild")
    tensor = _quantized_view(machine, storage, offset, size, stride)
    tensor._parts = _quantizer(machine, tensor.shape, *params)
    tensor._requires_grad = as_grad(rest[0], DTYPES[tensor.dtype])
    return with_hooks(tensor, rest[1])


def _quantized_view(
    machine: Unpickler, storage: Any, offset: Any, size: Any, stride: Any
) -> Tensor:
    if type(storage) is not Storage:
        raise wrong("a tensor needs a storage", storage)
    info = DTYPES[storage.dtype]
    if info.kind != "quantized":
        raise Malformed(
            f"a quantized tensor in a storage of {storage.dtype}", phase="rebuild"
        )
    # Several elements may lie in a byte: bounds are counted in elements.
    whole = Storage(storage.dtype, storage.nbytes * info.per_byte, storage.location)
    view = strided(machine, whole, offset, size, stride)
    view._storage = storage
    return view


def _quantizer(
    machine: Unpickler, shape: tuple[int, ...], scheme: Any = None, *params: Any
) -> dict[str, Any]:
    if type(scheme) is not QScheme:
        raise wrong("a quantization scheme is expected", scheme)
    if scheme.name == "per_tensor_affine" and len(params) == 2:
        return {
            "qscheme": scheme.name,
            "scale": _scale(params[0]),
            "zero_point": as_int(params[1], "the zero point"),
        }
    if scheme.name not in _CHANNELS or len(params) != 3:
        raise Malformed(
            f"the scheme {scheme} with {len(params)} parameters", phase="rebuild"
        )
    axis = as_int(params[2], "the axis of a quantized tensor")
    if not 0 <= axis < len(shape):
        raise Malformed(f"a quantized tensor has no axis {axis}", phase="rebuild")
    if type(params[0]) is list and type(params[1]) is list:
        parts = [
            _listed(machine, value, dtype)
            for value, dtype in zip(params[:2], _CHANNELS[scheme.name], strict=True)
        ]
    else:
        parts = [part_of(value, "scales and zero points") for value in params[:2]]
    for part in parts:
        if part.shape != (shape[axis],) or part.stride != (1,):
            raise Malformed(
                f"scales or zero points of shape {short(part.shape)} for "
                f"{shape[axis]} channels",
                phase="rebuild",
            )
    dtypes = (parts[0].dtype, parts[1].dtype)
    # The file writes one scheme for both; the dtypes tell them apart.
    names = [name for name, wanted in _CHANNELS.items() if wanted == dtypes]
    if not names:
        raise Unsupported(
            f"scales of {dtypes[0]} and zero points of {dtypes[1]}", phase="rebuild"
        )
    return {
        "qscheme": names[0],
        "scales": parts[0],
        "zero_points": parts[1],
        "axis": axis,
    }


#: The dtypes of scales and zero points (ATen/quantized/Quantizer.cpp).
_CHANNELS: Final = {
    "per_channel_affine": ("float64", "int64"),
    "per_channel_affine_float_qparams": ("float32", "float32"),
}


def _scale(value: Any) -> float:
    if type(value) is int:
        value = as_int(value, "the scale")
    elif type(value) not in (float, bool):
        raise wrong("the scale must be a float", value)
    return float(value)


def _listed(machine: Unpickler, value: list[Any], dtype: str) -> Tensor:
    """Scales as a tensor; files of 1.3 hold them as a list."""
    machine.spend(len(value))
    if not all(type(item) in (int, float, bool) for item in value):
        raise Malformed("scales and zero points must be numbers", phase="rebuild")
    try:
        with np.errstate(over="raise"):
            array = np.array(value, dtype=DTYPES[dtype].numpy)
    except (OverflowError, ValueError, FloatingPointError):
        raise Malformed(f"a number that no {dtype} holds", phase="rebuild") from None
    return from_array(array, dtype)

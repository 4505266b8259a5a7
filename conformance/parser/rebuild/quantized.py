"""Quantized tensors, per tensor and per channel, down to two bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..dtypes import DTYPES
from ..errors import Malformed, Unsupported, quote
from ..registry import Table
from ..tensor import Storage, Tensor
from ..values import QScheme
from .checks import as_grad, wrong
from .views import contiguous, from_array, strided, with_hooks

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
    if type(params) is not tuple or len(rest) != 2:
        raise Malformed("a quantized tensor without its scheme", phase="rebuild")
    if type(storage) is Storage and DTYPES[storage.dtype].kind != "quantized":
        raise Malformed(
            f"a quantized tensor in a storage of {storage.dtype}", phase="rebuild"
        )
    tensor = _quantized_view(machine, storage, offset, size, stride)
    tensor._parts = _quantizer(tensor.shape, params)
    tensor._requires_grad = as_grad(rest[0], DTYPES[tensor.dtype])
    return with_hooks(tensor, rest[1])


def _quantized_view(
    machine: Unpickler, storage: Any, offset: Any, size: Any, stride: Any
) -> Tensor:
    per_byte = DTYPES[storage.dtype].per_byte if type(storage) is Storage else 1
    if per_byte == 1:
        return strided(machine, storage, offset, size, stride)
    # Several elements in a byte: bounds in elements, of a contiguous tensor.
    whole = Storage(storage.dtype, storage.nbytes * per_byte, storage.location)
    view = strided(machine, whole, offset, size, stride)
    if view.stride != contiguous(view.shape):
        raise Unsupported(f"a strided tensor of {storage.dtype}", phase="rebuild")
    view._storage = storage
    return view


def _quantizer(shape: tuple[int, ...], params: tuple[Any, ...]) -> dict[str, Any]:
    scheme = params[0] if params else None
    if type(scheme) is not QScheme:
        raise wrong("a quantization scheme is expected", scheme)
    if scheme.name == "per_tensor_affine" and len(params) == 3:
        scale, zero_point = params[1:]
        if type(scale) not in (int, float) or type(zero_point) is not int:
            raise Malformed("a scale is a float, a zero point an int", phase="rebuild")
        return {"qscheme": scheme.name, "scale": float(scale), "zero_point": zero_point}
    if scheme.name.startswith("per_channel_affine") and len(params) == 4:
        scales, zero_points, axis = params[1:]
        if type(axis) is not int or not 0 <= axis < len(shape):
            raise Malformed(
                f"a quantized tensor has no axis {quote(str(axis)[:20])}",
                phase="rebuild",
            )
        for part in (scales, zero_points):
            count = part.numel if type(part) is Tensor else len(_numbers(part))
            if count != shape[axis]:
                raise Malformed(
                    f"{count} scales or zero points for {shape[axis]} channels",
                    phase="rebuild",
                )
        return {
            "qscheme": scheme.name,
            "scales": _channel(scales, "float64"),
            "zero_points": _channel(zero_points, "int64"),
            "axis": axis,
        }
    raise Malformed(
        f"the scheme {scheme} with {len(params) - 1} parameters", phase="rebuild"
    )


def _numbers(value: Any) -> list[Any]:
    if type(value) is not list:
        raise wrong("scales must be a tensor or a list", value)
    if not all(type(item) in (int, float) for item in value):
        raise Malformed("scales must be numbers", phase="rebuild")
    return value


def _channel(value: Any, dtype: str) -> Tensor:
    """Scales as a tensor; files of 1.3 hold them as a list."""
    if type(value) is Tensor:
        return value
    info = DTYPES[dtype]
    try:
        array = np.array(value, dtype=info.numpy)
    except (OverflowError, ValueError):
        raise Malformed("a zero point that is no 64-bit int", phase="rebuild") from None
    return from_array(array, dtype)

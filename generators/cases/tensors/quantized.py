"""Quantized tensors: per tensor, per channel, and packed.

The elements are given as integers, so that no kernel decides about a bit.
"""

from __future__ import annotations

from typing import Final

import torch
from torch.ao.nn.quantized import Linear, dynamic
from torch.ao.quantization import MinMaxObserver

from ...handmade import Piece, archive, call, floats, name, storage, tensor
from ..registry import LEGACY, PROTOCOL_5, ZIP, saved, written

QTENSOR: Final = "torch._utils._rebuild_qtensor"

#: The dtypes of whole bytes, and that of the integers inside.
INTEGERS: Final = {
    "qint8": (torch.int8,),
    "quint8": (torch.uint8,),
    "qint32": (torch.int32,),
}

#: Two elements in a byte, or four.
PACKED: Final = {"quint4x2": (torch.quint4x2,), "quint2x4": (torch.quint2x4,)}


def per_tensor(
    integers: torch.Tensor, scale: float = 0.5, zero_point: int = 3
) -> torch.Tensor:
    """A tensor of these integers with one scale and zero point."""
    return torch._make_per_tensor_quantized_tensor(integers, scale, zero_point)


def matrix(dtype: torch.dtype = torch.int8) -> torch.Tensor:
    """The integers 0 to 5, two rows of them."""
    return torch.arange(6, dtype=dtype).reshape(2, 3)


def per_channel(integers: torch.Tensor, axis: int) -> torch.Tensor:
    """A tensor of these integers with a scale and zero point for each channel."""
    channels = integers.size(axis)
    scales = torch.arange(1.0, channels + 1, dtype=torch.float64) / 4
    return torch._make_per_channel_quantized_tensor(
        integers, scales, torch.arange(channels), axis
    )


def float_qparams(integers: torch.Tensor, axis: int) -> torch.Tensor:
    """A tensor of these integers whose zero points are floats."""
    channels = integers.size(axis)
    scales = torch.arange(1.0, channels + 1) / 4
    zero_points = torch.arange(channels) + 0.5
    return torch._make_per_channel_quantized_tensor(integers, scales, zero_points, axis)


# ------------------------------------------------------------------- per tensor


@saved(QTENSOR, formats=(ZIP, LEGACY), each=INTEGERS, flags=("silent-failure",))
def per_tensor_affine(integers: torch.dtype) -> object:
    """A {key} tensor with one scale and one zero point."""
    return per_tensor(matrix(integers))


@saved(QTENSOR, formats=(PROTOCOL_5,))
def per_tensor_zero_point_negative() -> object:
    """A qint8 tensor whose zero point is negative."""
    return per_tensor(matrix(), 0.1, -7)


@saved(QTENSOR)
def per_tensor_scalar() -> object:
    """A quantized tensor without dimensions."""
    return per_tensor(torch.tensor(5, dtype=torch.int8))


@saved(QTENSOR, flags=("empty",))
def per_tensor_empty() -> object:
    """A quantized tensor of size (0, 3)."""
    return per_tensor(torch.empty(0, 3, dtype=torch.int8))


@saved(QTENSOR, flags=("non-contiguous",))
def per_tensor_transposed() -> object:
    """A quantized tensor transposed."""
    return per_tensor(matrix()).t()


@saved(QTENSOR, flags=("offset", "non-contiguous"))
def per_tensor_column() -> object:
    """The last column of a quantized tensor, with the whole storage in the file."""
    return per_tensor(matrix())[:, 2]


@saved(QTENSOR, flags=("non-contiguous",))
def per_tensor_expanded() -> object:
    """A row of a quantized tensor shown four times: its stride is 0."""
    return per_tensor(matrix()[:1]).expand(4, 3)


@saved(QTENSOR, flags=("non-contiguous",))
def per_tensor_channels_last() -> object:
    """A quantized image of memory format channels_last."""
    image = torch.arange(16, dtype=torch.uint8).reshape(1, 4, 2, 2)
    return per_tensor(image.contiguous(memory_format=torch.channels_last))


@saved(QTENSOR, flags=("shared-storage", "offset"))
def per_tensor_shared() -> object:
    """Both rows of a quantized tensor, which share its storage."""
    return list(per_tensor(matrix()))


@saved(QTENSOR, flags=("alias",))
def per_tensor_twice() -> object:
    """One quantized tensor, twice in a list."""
    quantized = per_tensor(matrix())
    return [quantized, quantized]


@saved(
    QTENSOR,
    flags=("special-values",),
    each={
        "infinite": (float("inf"), 0),
        "nan": (float("nan"), 0),
        "subnormal": (5e-324, 0),
        "zero_point_large": (1.0, 2**31 - 1),
    },
)
def per_tensor_scale(scale: float, zero_point: int) -> object:
    """A quantized tensor of scale {scale} and zero point {zero_point}."""
    return per_tensor(matrix(), scale, zero_point)


@saved("torch._utils._rebuild_parameter")
def quantized_parameter() -> object:
    """A quantized tensor as a Parameter, which cannot require gradients."""
    return torch.nn.Parameter(per_tensor(matrix()), requires_grad=False)


@saved("torch._tensor._rebuild_from_type_v2", flags=("attributes",))
def quantized_with_attribute() -> object:
    """A quantized tensor with an attribute of its own."""
    quantized = per_tensor(matrix())
    quantized.observer = "min_max"  # type: ignore[attr-defined]
    return quantized


# ------------------------------------------------------------------ per channel


@saved(QTENSOR, formats=(ZIP, LEGACY), each=INTEGERS, flags=("silent-failure",))
def per_channel_affine(integers: torch.dtype) -> object:
    """A {key} tensor with a scale and a zero point for each row."""
    return per_channel(matrix(integers), 0)


@saved(QTENSOR)
def per_channel_axis_1() -> object:
    """A quantized tensor with a scale and a zero point for each column."""
    return per_channel(matrix(), 1)


@saved(QTENSOR, flags=("non-contiguous",))
def per_channel_channels_last() -> object:
    """The weight of a quantized convolution of memory format channels_last."""
    return _filled(
        torch._empty_per_channel_affine_quantized(
            (3, 2, 2, 2),
            scales=torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64),
            zero_points=torch.tensor([0, 1, 2]),
            axis=0,
            dtype=torch.quint8,
            memory_format=torch.channels_last,
        )
    )


@saved(QTENSOR, flags=("offset", "non-contiguous"))
def per_channel_column() -> object:
    """The columns but the first of a tensor that is quantized for each row."""
    return per_channel(matrix(), 0)[:, 1:]


@saved(QTENSOR)
def per_channel_unsqueezed() -> object:
    """A quantized tensor with a new first dimension, which moves its axis to 1."""
    return per_channel(matrix(), 0).unsqueeze(0)


@saved(QTENSOR, flags=("empty",))
def per_channel_no_channels() -> object:
    """A quantized tensor of size (0, 3) with no scale and no zero point."""
    return per_channel(matrix()[:0], 0)


@saved(QTENSOR, flags=("shared-storage",))
def per_channel_shares_scales() -> object:
    """A quantized tensor beside its own scales: two references to one storage."""
    weight = per_channel(matrix(), 0)
    return {"weight": weight, "scales": weight.q_per_channel_scales()}


@saved(QTENSOR, each=INTEGERS, flags=("silent-failure",))
def per_channel_affine_float_qparams(integers: torch.dtype) -> object:
    """A {key} tensor with float zero points: the file names the scheme
    per_channel_affine, and only the dtypes tell which it is."""
    return float_qparams(matrix(integers), 0)


# ----------------------------------------------------------------------- packed


def packed(dtype: torch.dtype, size: tuple[int, ...]) -> torch.Tensor:
    """A tensor whose bytes are filled to the last."""
    return _filled(
        torch._empty_affine_quantized(size, scale=0.5, zero_point=1, dtype=dtype)
    )


def _filled(empty: torch.Tensor) -> torch.Tensor:
    # torch leaves what follows the last element as it was in memory.
    octets = empty.untyped_storage()
    for index in range(octets.nbytes()):
        octets[index] = (0x10 * (2 * index + 1) + 2 * index) % 256
    return empty


@saved(QTENSOR, formats=(ZIP, LEGACY), each=PACKED)
def packed_per_tensor(dtype: torch.dtype) -> object:
    """A {key} tensor: several elements in a byte, the first in its low bits."""
    return packed(dtype, (2, 4))


@saved(QTENSOR, each=PACKED)
def packed_odd(dtype: torch.dtype) -> object:
    """A {key} tensor of five elements, whose last byte is not full."""
    return packed(dtype, (5,))


@saved(QTENSOR, each=PACKED)
def packed_per_channel(dtype: torch.dtype) -> object:
    """A {key} tensor with float scales and zero points for each row, as the weights
    of quantized embeddings have."""
    scales, zero_points = torch.tensor([0.25, 0.5]), torch.tensor([0.5, 1.5])
    return _filled(
        torch._empty_per_channel_affine_quantized(
            (2, 8), scales=scales, zero_points=zero_points, axis=0, dtype=dtype
        )
    )


# ------------------------------------------------------------------------ built


@written(QTENSOR, label="built")
def per_channel_of_lists() -> bytes:
    """A qint8 tensor whose scales and zero points are lists, as in torch 1.3."""
    return _of_rows(name("torch.per_channel_affine"), [0.25, 0.5], [0, 3])


@written(QTENSOR, label="built")
def float_qparams_of_lists() -> bytes:
    """A qint8 tensor of the scheme per_channel_affine_float_qparams, whose scales
    and zero points are lists."""
    scheme = name("torch.per_channel_affine_float_qparams")
    return _of_rows(scheme, [0.25, 0.5], [0.5, 1.5])


@written("global:torch.per_channel_affine_float_qparams", label="built")
def float_qparams_by_name() -> bytes:
    """A qint8 tensor of the scheme per_channel_affine_float_qparams, by this name."""
    parts = [_two_floats("1"), _two_floats("2")]
    return _of_rows(name("torch.per_channel_affine_float_qparams"), *parts)


def _two_floats(key: str) -> Piece:
    return tensor(storage("FloatStorage", 2, key), (2,))


def _of_rows(scheme: Piece, scales: object, zero_points: object) -> bytes:
    """A qint8 tensor of two rows, which are its channels."""
    return archive(
        call(
            QTENSOR,
            *(storage("QInt8Storage", 4), 0, (2, 2), (2, 1)),
            *((scheme, scales, zero_points, 0), False, call("collections.OrderedDict")),
        ),
        {"0": b"\0\1\2\xff", "1": floats(0.25, 0.5), "2": floats(0.5, 1.5)},
    )


@written(QTENSOR, label="built")
def per_tensor_scale_of_int() -> bytes:
    """A qint8 tensor whose scale is the integer 2."""
    scheme = (name("torch.per_tensor_affine"), 2, 0)
    hooks = call("collections.OrderedDict")
    view = (storage("QInt8Storage", 2), 0, (2,), (1,))
    return archive(call(QTENSOR, *view, scheme, False, hooks), {"0": b"\1\2"})


# ---------------------------------------------------------------- schemes, modules


@saved(
    "global:{scheme}",
    each={
        "per_tensor_affine": (torch.per_tensor_affine,),
        "per_channel_affine": (torch.per_channel_affine,),
        "per_tensor_symmetric": (torch.per_tensor_symmetric,),
        "per_channel_symmetric": (torch.per_channel_symmetric,),
        "per_channel_affine_float_qparams": (torch.per_channel_affine_float_qparams,),
    },
)
def qscheme(scheme: torch.qscheme) -> object:
    """The value `{scheme}`."""
    return scheme


def linear() -> torch.nn.Module:
    """A quantized Linear whose weight is quantized per tensor."""
    module = Linear(3, 2)
    module.set_weight_bias(per_tensor(matrix(), 0.5, 0), torch.tensor([0.5, -0.5]))
    return module


@saved(QTENSOR)
def state_dict_of_linear() -> object:
    """The state dict of a quantized Linear: weight and bias are a pair in it."""
    return linear().state_dict()


@saved("global:torch.ScriptObject", flags=("weights-only-refuses",))
def module_linear() -> object:
    """A quantized Linear as a whole, its packed weight in a ScriptObject."""
    return linear()


@saved(QTENSOR)
def state_dict_of_dynamic_linear() -> object:
    """The state dict of a dynamically quantized Linear."""
    module = dynamic.Linear(3, 2)
    module.set_weight_bias(per_tensor(matrix(), 0.5, 0), None)
    return module.state_dict()


@saved("torch._utils._rebuild_tensor_v2")
def state_dict_of_observer() -> object:
    """The state dict of an observer, which learns scale and zero point."""
    observer = MinMaxObserver()
    observer(torch.tensor([-1.0, 2.0]))
    return observer.state_dict()

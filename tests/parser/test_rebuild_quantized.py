"""Quantized tensors: per tensor, per channel, and down to two bits."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from conformance.parser import Object
from tests.builders.checkpoints import (
    Bytes,
    Call,
    Name,
    contiguous,
    floats,
    hooks,
    longs,
)
from tests.builders.checkpoints import tensor as plain
from tests.builders.rebuilt import rebuilt, refused

REBUILD = "torch._utils._rebuild_qtensor"

TENSOR = Name("torch.per_tensor_affine")
CHANNEL = Name("torch.per_channel_affine")
FLOAT_CHANNEL = Name("torch.per_channel_affine_float_qparams")


def quantized(
    kind: str,
    data: bytes,
    size: Any,
    params: Any,
    stride: Any = None,
    offset: Any = 0,
    *rest: Any,
) -> Call:
    stride = contiguous(size) if stride is None else stride
    rest = rest or (False, hooks())
    return Call(REBUILD, Bytes(kind, data), offset, size, stride, params, *rest)


def row(kind: str, code: str, *numbers: float) -> Call:
    data = struct.pack(f"<{len(numbers)}{code}", *numbers)
    return plain(Bytes(kind, data), (len(numbers),))


def doubles(*numbers: float) -> Call:
    return row("DoubleStorage", "d", *numbers)


def wholes(*numbers: int) -> Call:
    return row("LongStorage", "q", *numbers)


def singles(*numbers: float) -> Call:
    return row("FloatStorage", "f", *numbers)


# ------------------------------------------------------------------ per tensor


@pytest.mark.parametrize(
    ("kind", "dtype", "data", "numbers"),
    [
        ("QInt8Storage", "qint8", b"\x01\xff\x80", [1, -1, -128]),
        ("QUInt8Storage", "quint8", b"\x01\xff\x80", [1, 255, 128]),
        ("QInt32Storage", "qint32", struct.pack("<3i", 1, -2, 3), [1, -2, 3]),
        ("QUInt4x2Storage", "quint4x2", b"\x21\x03", [1, 2, 3]),
        ("QUInt2x4Storage", "quint2x4", b"\x39", [1, 2, 3]),
    ],
)
def test_per_tensor(kind: str, dtype: str, data: bytes, numbers: list[int]) -> None:
    read = rebuilt(quantized(kind, data, (3,), (TENSOR, 0.5, 7)))
    assert (read.dtype, read.layout, read.shape) == (dtype, "strided", (3,))
    assert read.numpy().tolist() == numbers
    assert read.parts == {
        "qscheme": "per_tensor_affine",
        "scale": 0.5,
        "zero_point": 7,
    }
    assert bytes(read.storage.data) == data


@pytest.mark.parametrize(
    ("scale", "value"), [(1, 1.0), (True, 1.0), (0.0, 0.0), (-1.5, -1.5)]
)
def test_scales_that_torch_takes(scale: Any, value: float) -> None:
    read = rebuilt(quantized("QInt8Storage", b"\1", (1,), [TENSOR, scale, 1 << 40]))
    assert type(read.parts["scale"]) is float
    assert (read.parts["scale"], read.parts["zero_point"]) == (value, 1 << 40)


def test_views_of_one_storage() -> None:
    read = rebuilt(quantized("QUInt8Storage", b"abcd", (2,), (TENSOR, 1.0, 0), (2,), 1))
    assert read.tobytes() == b"bd"
    old = {1: 2}
    made = quantized("QInt8Storage", b"a", (), (TENSOR, 1.0, 0), (), 0, False, old)
    assert rebuilt(made).attributes == {"_backward_hooks": old}


def test_the_form_of_torch_1_2() -> None:
    """`(storage, offset, size, stride, scale, zero_point, requires_grad, hooks)`."""
    storage = Bytes("QInt8Storage", b"\1\2")
    for scale in (0.5, 1):
        args = (storage, 0, (2,), (1,), scale, 3, False, hooks())
        parts = rebuilt(Call(REBUILD, *args)).parts
        assert parts == {
            "qscheme": "per_tensor_affine",
            "scale": scale,
            "zero_point": 3,
        }


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ((TENSOR, 0.5), "with 1 parameters"),
        ((TENSOR, 0.5, 1, 2), "with 3 parameters"),
        ((TENSOR, None, 1), "the scale must be a float, not NoneType"),
        ((TENSOR, singles(1), 1), "the scale must be a float, not Tensor"),
        ((TENSOR, 1 << 2000, 1), "the scale does not fit 64 bits"),
        ((TENSOR, 0.5, 1.0), "the zero point must be an int, not float"),
        ((TENSOR, 0.5, True), "the zero point must be an int, not bool"),
        ((TENSOR, 0.5, 1 << 63), "the zero point does not fit 64 bits"),
        ((Name("torch.per_tensor_symmetric"), 0.5, 1), "the scheme .*symmetric"),
        (("per_tensor_affine", 0.5, 1), "a quantization scheme is expected, not str"),
        ((), "a quantization scheme is expected, not NoneType"),
        ({}, "without its scheme"),
        (None, "without its scheme"),
    ],
)
def test_wrong_parameters(params: Any, match: str) -> None:
    with refused("Malformed", match):
        rebuilt(quantized("QInt8Storage", b"\1\2\3", (3,), params))


@pytest.mark.parametrize(
    ("tree", "match"),
    [
        (quantized("FloatStorage", bytes(12), (3,), (TENSOR, 1.0, 0)), "of float32"),
        (quantized("UntypedStorage", bytes(3), (3,), (TENSOR, 1.0, 0)), "of uint8"),
        (Call(REBUILD, 7, 0, (1,), (1,), (TENSOR, 1.0, 0), False, None), "a storage"),
        (quantized("QInt8Storage", b"abc", (4,), (TENSOR, 1.0, 0)), "storage has 3"),
        (quantized("QUInt4x2Storage", b"abc", (7,), (TENSOR, 1.0, 0)), "storage has 6"),
        (quantized("QUInt2x4Storage", b"a", (5,), (TENSOR, 1.0, 0)), "storage has 4"),
        (
            quantized(
                "QInt8Storage", b"a", (1,), (TENSOR, 1.0, 0), (1,), 0, True, None
            ),
            "a tensor of qint8 cannot require gradients",
        ),
        (
            quantized("QInt8Storage", b"a", (1,), (TENSOR, 1.0, 0), (1,), 0, False),
            "without its scheme",
        ),
        (
            Call(REBUILD, Bytes("QInt8Storage", b"a"), 0, (1,), (1,)),
            "takes at least 5 arguments, not 4",
        ),
    ],
)
def test_wrong_tensors(tree: Call, match: str) -> None:
    with refused("Malformed", match):
        rebuilt(tree)


# ----------------------------------------------------------------- per channel


def test_per_channel() -> None:
    scales, zeros = doubles(0.5, 0.25), wholes(3, 4)
    made = quantized("QInt8Storage", bytes(6), (2, 3), (CHANNEL, scales, zeros, 0))
    alone, read = rebuilt([scales, made])
    assert list(read.parts) == ["qscheme", "scales", "zero_points", "axis"]
    assert (read.parts["qscheme"], read.parts["axis"]) == ("per_channel_affine", 0)
    assert read.parts["scales"].numpy().tolist() == [0.5, 0.25]
    assert read.parts["zero_points"].numpy().tolist() == [3, 4]
    assert read.parts["scales"].storage is alone.storage


@pytest.mark.parametrize("scheme", [CHANNEL, FLOAT_CHANNEL])
def test_floats_for_both_are_another_scheme(scheme: Name) -> None:
    """torch writes one name for two schemes; the dtypes tell them apart."""
    params = (scheme, singles(0.5, 0.25, 2), singles(3.5, 4, 5), 1)
    read = rebuilt(quantized("QUInt4x2Storage", b"\x21\x43\x65", (2, 3), params))
    assert read.parts["qscheme"] == "per_channel_affine_float_qparams"
    assert read.parts["zero_points"].numpy().tolist() == [3.5, 4, 5]
    assert read.numpy().tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("scheme", "scales", "zeros", "dtypes"),
    [
        (CHANNEL, [0.5, 1], [3, 4], ("float64", "int64")),
        (CHANNEL, [True, 2], [3.7, False], ("float64", "int64")),
        (FLOAT_CHANNEL, [0.5, 1], [3, 4], ("float32", "float32")),
    ],
)
def test_lists_of_torch_1_3(
    scheme: Name, scales: Any, zeros: Any, dtypes: tuple[str, str]
) -> None:
    params = (scheme, scales, zeros, 0)
    parts = rebuilt(quantized("QInt8Storage", bytes(2), (2,), params)).parts
    assert (parts["scales"].dtype, parts["zero_points"].dtype) == dtypes
    assert parts["scales"].numpy().tolist() == [float(scale) for scale in scales]
    assert parts["zero_points"].numpy().tolist() == [int(zero) for zero in zeros]
    assert parts["qscheme"] == scheme.name
    with pytest.raises(ValueError, match="read-only"):
        parts["scales"].numpy()[0] = 1


def test_no_channels() -> None:
    params = (CHANNEL, doubles(), wholes(), 0)
    assert rebuilt(quantized("QInt8Storage", b"", (0, 3), params)).shape == (0, 3)


@pytest.mark.parametrize(
    ("params", "kind", "match"),
    [
        ((CHANNEL, doubles(1, 2), wholes(1, 2)), "Malformed", "with 2 parameters"),
        ((CHANNEL, doubles(1, 2), wholes(1, 2), 2), "Malformed", "has no axis 2"),
        ((CHANNEL, doubles(1, 2), wholes(1, 2), -1), "Malformed", "has no axis -1"),
        ((CHANNEL, doubles(1, 2), wholes(1, 2), None), "Malformed", "must be an int"),
        ((CHANNEL, doubles(1, 2), wholes(1, 2), 1), "Malformed", "for 3 channels"),
        ((CHANNEL, doubles(1, 2), wholes(1), 0), "Malformed", "for 2 channels"),
        (
            (CHANNEL, plain(floats(1, 2), (2, 1)), wholes(1, 2), 0),
            *("Malformed", r"shape \(2, 1\) for 2 channels"),
        ),
        (
            (
                CHANNEL,
                plain(Bytes("DoubleStorage", bytes(32)), (2,), (2,)),
                wholes(1, 2),
                0,
            ),
            *("Malformed", "for 2 channels"),
        ),
        (
            (CHANNEL, doubles(1, 2), [1, 2], 0),
            "Malformed",
            "must be a tensor, not list",
        ),
        ((CHANNEL, (1.0, 2.0), (1, 2), 0), "Malformed", "must be a tensor, not tuple"),
        ((CHANNEL, ["a", "b"], [1, 2], 0), "Malformed", "must be numbers"),
        ((CHANNEL, [1.0, 2.0], [1, [2]], 0), "Malformed", "must be numbers"),
        ((CHANNEL, [1.0, 2.0], [1, 1 << 70], 0), "Malformed", "that no int64 holds"),
        ((CHANNEL, [1.0, 2.0], [1, float("nan")], 0), "Malformed", "no int64 holds"),
        ((CHANNEL, [1.0, 1 << 2000], [1, 2], 0), "Malformed", "that no float64 holds"),
        ((FLOAT_CHANNEL, [1.0, 1e300], [1, 2], 0), "Malformed", "no float32 holds"),
        ((CHANNEL, [1.0], [1], 0), "Malformed", "for 2 channels"),
        # torch converts these.
        (
            (CHANNEL, singles(1, 2), wholes(1, 2), 0),
            *("Unsupported", "scales of float32 and zero points of int64"),
        ),
        (
            (CHANNEL, doubles(1, 2), singles(1, 2), 0),
            *("Unsupported", "scales of float64 and zero points of float32"),
        ),
        (
            (CHANNEL, plain(longs(1, 2), (2,)), wholes(1, 2), 0),
            *("Unsupported", "scales of int64"),
        ),
    ],
)
def test_wrong_channels(params: Any, kind: str, match: str) -> None:
    with refused(kind, match):
        rebuilt(quantized("QInt8Storage", bytes(6), (2, 3), params))


def test_long_lists_again_and_again() -> None:
    scales, zeros = [1.0] * 50_000, [1] * 50_000
    storage = Bytes("QInt8Storage", bytes(50_000))
    params = (CHANNEL, scales, zeros, 0)
    one = (storage, 0, (50_000,), (1,), params, False, None)
    with refused("LimitExceeded", "copies_ratio", phase="pickle"):
        rebuilt([Call(REBUILD, *one) for _ in range(1000)])


# ------------------------------------------------------------------ packed bits


@pytest.mark.parametrize(
    ("kind", "per_byte"), [("QUInt4x2Storage", 2), ("QUInt2x4Storage", 4)]
)
def test_packed_views(kind: str, per_byte: int) -> None:
    """Any view: the element counts, not the byte it lies in."""
    data = bytes([0x21, 0x43, 0x65, 0x87, 0xA9])
    bits = 8 // per_byte
    mask = (1 << bits) - 1
    elements = [byte >> shift & mask for byte in data for shift in range(0, 8, bits)]
    whole = np.array(elements, dtype=np.uint8)
    for offset in range(6):
        for size, stride in (
            *(((), ()), ((3,), (1,)), ((2,), (2,)), ((3,), (0,)), ((0,), (1,))),
            *(((2, 2), (2, 1)), ((2, 2), (1, 2)), ((1,), (99,))),
        ):
            made = quantized(kind, data, size, (TENSOR, 1.0, 0), stride, offset)
            read = rebuilt(made)
            span = sum((n - 1) * step for n, step in zip(size, stride, strict=True))
            room = whole[offset : offset + span + 1].copy()
            expected = np.lib.stride_tricks.as_strided(room, size, stride)
            assert read.storage_offset == offset
            assert read.numpy().tolist() == expected.tolist()
            assert read.numpy().dtype == np.uint8


def test_a_byte_more_than_needed() -> None:
    """torch writes one for some shapes; it belongs to the storage."""
    made = quantized("QUInt4x2Storage", b"\x21\x03\x55\x66", (3,), (TENSOR, 1.0, 0))
    read = rebuilt(made)
    assert (read.storage.nbytes, read.tobytes()) == (4, b"\1\2\3")


def test_a_quantized_tensor_of_a_function_that_nobody_knows() -> None:
    made = Call("torch._utils._rebuild_qtensor_v9", 1)
    assert type(rebuilt(made, weights_only=False)) is Object

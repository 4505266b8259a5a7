"""Tensors and storages as values: numpy arrays and bytes, whatever the dtype."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from conformance.parser import Storage, Tensor
from conformance.parser.dtypes import DTYPES, DTypeInfo
from conformance.parser.tensor import UNKNOWN_SWAP, extent
from tests.builders.rebuilt import refused

ROWS = list(DTYPES.values())
#: Every byte there is, twice, so that any dtype has a few of its oddest numbers.
EVERY = bytes(range(256)) * 2


def storage(dtype: str, data: bytes, **options: Any) -> Storage:
    return Storage(dtype, len(data), source=memoryview(data), **options)


def tensor(
    dtype: str, data: bytes, shape: tuple[int, ...] | None = None, **facts: Any
) -> Tensor:
    """A tensor of these bytes, contiguous and whole if nothing else is said."""
    info = DTYPES[dtype]
    if shape is None:
        shape = (len(data) * info.per_byte // info.itemsize,)
    steps = [1]
    for size in reversed(shape[1:]):
        steps.insert(0, steps[0] * size)
    facts.setdefault("stride", tuple(steps[: len(shape)]))
    return Tensor(dtype, shape, storage=storage(dtype, data), **facts)


def data_of(read: Tensor) -> memoryview:
    assert read.storage is not None
    return read.storage.data


# ----------------------------------------------------------------- every dtype


@pytest.mark.parametrize("info", ROWS, ids=lambda info: info.name)
def test_the_bytes_of_every_dtype(info: DTypeInfo) -> None:
    read = tensor(info.name, EVERY)
    array = read.numpy()
    assert array.dtype == info.numpy
    if info.per_byte == 1:
        assert read.tobytes() == EVERY
        assert np.shares_memory(array, np.frombuffer(data_of(read), np.uint8))
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]
    else:
        bits = 8 // info.per_byte
        spread = [byte >> shift for byte in EVERY for shift in range(0, 8, bits)]
        assert list(read.tobytes()) == [value % (1 << bits) for value in spread]


#: A dtype, some bytes of it and the numbers that they are.
NUMBERS: list[tuple[str, bytes, list[Any]]] = [
    ("float64", struct.pack("<2d", 1.5, -0.0), [1.5, 0.0]),
    ("float32", struct.pack("<2f", 1.5, float("inf")), [1.5, float("inf")]),
    ("float16", struct.pack("<2e", 1.5, -2), [1.5, -2]),
    ("bfloat16", b"\x80\x3f\x20\xc0", [1, -2.5]),
    ("int64", struct.pack("<2q", -1, 1 << 62), [-1, 1 << 62]),
    ("int16", struct.pack("<2h", -1, 300), [-1, 300]),
    ("bool", b"\0\1", [False, True]),
    ("uint64", b"\xff" * 8, [(1 << 64) - 1]),
    ("complex64", struct.pack("<2f", 1, -2), [1 - 2j]),
    ("complex128", struct.pack("<2d", 1, -2), [1 - 2j]),
    ("float8_e5m2", b"\x3c\xc0", [1, -2]),
    ("float8_e4m3fn", b"\x38\xc0", [1, -2]),
    ("float8_e5m2fnuz", b"\x40", [1]),
    ("float8_e4m3fnuz", b"\x40", [1]),
    ("float8_e8m0fnu", b"\x7f\x80", [1, 2]),
    ("qint8", b"\xff", [-1]),
    ("quint4x2", b"\x21\x03", [1, 2, 3, 0]),
    ("quint2x4", b"\x39", [1, 2, 3, 0]),
]


@pytest.mark.parametrize(("dtype", "data", "numbers"), NUMBERS)
def test_the_numbers(dtype: str, data: bytes, numbers: list[Any]) -> None:
    assert tensor(dtype, data).numpy().tolist() == numbers


@pytest.mark.skipif(not hasattr(ml_dtypes, "complex32"), reason="ml_dtypes before 0.6")
def test_half_complex_numbers() -> None:
    array = tensor("complex32", struct.pack("<2e", 1, -2)).numpy()
    assert complex(array.astype(np.complex64)[0]) == 1 - 2j


# ------------------------------------------------------------------------ views


def test_every_small_view() -> None:
    """Beside numpy's own idea of strides."""
    data = np.arange(12, dtype="<i2")
    seen = 0
    for rank in range(4):
        for shape in itertools.product((0, 1, 2, 3), repeat=rank):
            for stride in itertools.product((0, 1, 2, 4), repeat=rank):
                for offset in (0, 1, 5):
                    if extent(shape, stride, offset) > 12:
                        continue
                    read = tensor("int16", data.tobytes(), shape, stride=stride)
                    read._storage_offset = offset
                    expected = np.lib.stride_tricks.as_strided(
                        data[offset:], shape, [2 * step for step in stride]
                    )
                    assert np.array_equal(read.numpy(), expected)
                    assert read.tobytes() == expected.tobytes()
                    assert read.numel == expected.size
                    seen += 1
    assert seen > 2000


@pytest.mark.parametrize(
    ("shape", "stride", "offset", "needed"),
    [
        ((), (), 0, 1),
        ((), (), 7, 8),
        ((2, 3), (3, 1), 1, 7),
        ((2, 3), (0, 1), 0, 3),
        ((0, 1 << 62), (9, 9), 5, 0),
        ((1 << 62, 1 << 62), (1, 1), 0, (1 << 63) - 1),
    ],
)
def test_extent(shape: Any, stride: Any, offset: int, needed: int) -> None:
    assert extent(shape, stride, offset) == needed


@pytest.mark.parametrize(
    ("shape", "stride", "offset", "match"),
    [
        ((-1,), (1,), 0, "negative size -1"),
        ((0, -1), (1, 1), 0, "negative size -1"),
        ((1,), (-1,), 0, "negative stride -1"),
        ((0,), (1,), -1, "negative storage offset -1"),
    ],
)
def test_extent_of_nothing_negative(
    shape: Any, stride: Any, offset: int, match: str
) -> None:
    with refused("Malformed", match):
        extent(shape, stride, offset)


def test_more_than_memory() -> None:
    """A stride of 0 makes terabytes of a byte: only who asks for them pays."""
    read = tensor("uint8", b"\7", (1 << 50,), stride=(0,))
    assert read.numpy()[1 << 49] == 7
    with refused("LimitExceeded", f"{1 << 50} bytes of elements"):
        read.tobytes()
    negative = tensor("int8", b"\7", (1 << 50,), stride=(0,), is_neg=True)
    with refused("LimitExceeded", f"{1 << 50} bytes of elements"):
        negative.numpy()


@pytest.mark.parametrize("layout", ["sparse_coo", "nested", "jagged"])
def test_other_layouts_have_no_array(layout: str) -> None:
    for facts in ({"layout": layout}, {"layout": "strided", "stride": None}):
        read = tensor("uint8", b"\7", (1,), **facts)
        with refused("Unsupported", "tensor has no array of its own; see its parts"):
            read.numpy()


def test_a_wrapper_has_no_array() -> None:
    read = Tensor("float32", (2,), (1,), type="my.Wrap", device="cuda:0")
    with refused("Uninitialised", "a 'my.Wrap' on 'cuda:0' holds no elements"):
        read.numpy()


def test_the_elements_of_a_ragged_tensor_are_those_of_its_values() -> None:
    values = tensor("uint8", b"abc")
    read = Tensor("uint8", (2, -1), None, layout="jagged", parts={"values": values})
    assert read.numel == 3


def test_a_tensor_says_what_it_is() -> None:
    read = tensor("uint8", b"abc", type="my.Sub")
    assert repr(read) == "Sub(dtype='uint8', shape=(3,), stride=(1,))"


# ------------------------------------------------------------------- conj, neg


def flipped(data: bytes, unit: int, which: slice) -> bytes:
    """The same with the top bit of some of the little-endian units turned."""
    out = bytearray(data)
    for top in range(unit - 1, len(data), unit)[which]:
        out[top] ^= 0x80
    return bytes(out)


#: Zeros, infinities, NaNs with payloads and quiet ones, in any unit.
ODD = {
    2: struct.pack("<8H", 0, 0x8000, 0x7C00, 0xFC01, 0x7E00, 0xFFFF, 0x3C00, 1),
    4: struct.pack(
        *("<8I", 0, 1 << 31, 0x7F800000, 0xFF800001, 0x7FC00000, (1 << 32) - 1, 1, 2),
    ),
    8: struct.pack(
        *("<8Q", 0, 1 << 63, 0x7FF << 52, 0xFFF << 52 | 1, 0x7FF8 << 48),
        *((1 << 64) - 1, 1, 2),
    ),
}


@pytest.mark.parametrize("name", ["complex32", "complex64", "complex128", "bcomplex32"])
@pytest.mark.parametrize(("conj", "neg"), [(True, False), (False, True), (True, True)])
def test_only_signs_turn(name: str, conj: bool, neg: bool) -> None:
    info = DTYPES[name]
    data = ODD[info.swap]
    expected = flipped(data, info.swap, slice(None)) if neg else data
    expected = flipped(expected, info.swap, slice(1, None, 2)) if conj else expected
    read = tensor(name, data, is_conj=conj, is_neg=neg)
    assert read.tobytes() == expected
    assert bytes(data_of(read)) == data
    column = tensor(name, data, (2, 2), stride=(1, 2), is_conj=conj, is_neg=neg)
    step = info.itemsize
    assert column.tobytes() == b"".join(
        expected[n * step : (n + 1) * step] for n in (0, 2, 1, 3)
    )
    alone = tensor(name, data, (), stride=(), is_conj=conj, is_neg=neg)
    assert alone.tobytes() == expected[:step]


@pytest.mark.parametrize("name", ["float64", "float32", "float16", "bfloat16"])
def test_negative_floats(name: str) -> None:
    info = DTYPES[name]
    data = ODD[info.itemsize]
    read = tensor(name, data, is_neg=True)
    assert read.tobytes() == flipped(data, info.itemsize, slice(None))
    assert read.numpy().dtype == info.numpy


@pytest.mark.parametrize("name", ["int64", "int32", "int16", "int8", "uint8"])
def test_negative_integers(name: str) -> None:
    """Around the corner at both ends, as in C."""
    kind: np.dtype[Any] = DTYPES[name].numpy
    limits = np.iinfo(kind)
    numbers = [0, 1, 2, int(limits.max), int(limits.min)]
    data = np.array(numbers, dtype=kind).tobytes()
    width = 1 << (8 * kind.itemsize)
    got = tensor(name, data, is_neg=True).numpy()
    assert got.dtype == kind
    assert [int(value) % width for value in got] == [-n % width for n in numbers]


CANNOT = sorted(
    info.name
    for info in ROWS
    if info.name
    not in "float64 float32 float16 bfloat16 complex128 complex64 complex32 "
    "bcomplex32 int64 int32 int16 int8 uint8".split()
)


@pytest.mark.parametrize("name", CANNOT)
def test_what_torch_cannot_negate(name: str) -> None:
    with refused("Unsupported", f"a neg bit on {name}"):
        tensor(name, bytes(8), is_neg=True).numpy()


def test_no_elements_to_turn() -> None:
    read = tensor("complex64", b"", (0, 3), stride=(3, 1), is_conj=True)
    assert read.numpy().shape == (0, 3)


# --------------------------------------------------------------------- storages


def test_bytes_are_fetched_once_and_late() -> None:
    asked = []

    def fetch() -> memoryview:
        asked.append(1)
        return memoryview(b"abcd")

    made = Storage("uint8", 4, "cuda:0", "7", fetch)
    assert made.has_data
    assert not asked
    assert bytes(made.data) == bytes(made.data) == b"abcd"
    assert asked == [1]
    assert repr(made) == (
        "Storage(dtype='uint8', nbytes=4, location='cuda:0', key='7')"
    )


def test_a_storage_without_bytes() -> None:
    made = Storage("uint8", 4, "meta")
    assert made.has_data is False
    with refused("Uninitialised", "the storage '' on 'meta' has no bytes"):
        bytes(made.data)
    empty = Storage("uint8", 0)
    assert empty.has_data
    assert bytes(empty.data) == b""
    made.fill(memoryview(b"abcd"))
    assert bytes(made.data) == b"abcd"


@pytest.mark.parametrize(
    ("unit", "data", "little"),
    [
        (1, b"abcdef", b"abcdef"),
        (2, b"abcdef", b"badcfe"),
        (4, b"abcdefgh", b"dcbahgfe"),
        (8, b"abcdefgh", b"hgfedcba"),
        # What is no whole unit stays as it is.
        (2, b"abc", b"bac"),
        (4, b"ab", b"ab"),
    ],
)
def test_big_endian_bytes(unit: int, data: bytes, little: bytes) -> None:
    made = storage("uint8", data, swap=unit)
    assert bytes(made.data) == bytes(made.data) == little
    assert made.data.readonly


@pytest.mark.parametrize("info", ROWS, ids=lambda info: info.name)
def test_big_endian_numbers(info: DTypeInfo) -> None:
    """Each unit turned round gives the bytes of a little-endian file."""
    unit = info.swap
    turned = b"".join(
        EVERY[start : start + unit][::-1] for start in range(0, len(EVERY), unit)
    )
    assert bytes(storage(info.name, turned, swap=unit).data) == EVERY


def test_a_rebuild_function_knows_the_unit() -> None:
    made = storage("uint8", b"abcd", swap=UNKNOWN_SWAP)
    made.interpret(2)
    made.interpret(2)
    with refused("Unsupported", "under dtypes of different sizes"):
        made.interpret(4)
    assert bytes(made.data) == b"badc"


def test_a_storage_that_knows_its_unit() -> None:
    made = storage("int16", b"abcd", swap=2)
    made.interpret(4)
    assert bytes(made.data) == b"badc"


def test_nobody_knows_the_unit() -> None:
    made = storage("uint8", b"abcd", swap=UNKNOWN_SWAP)
    assert bytes(made.data) == b"abcd"
    made.interpret(2)
    with refused("Unsupported", "under dtypes of different sizes"):
        made.interpret(4)
    assert bytes(made.data) == b"badc"

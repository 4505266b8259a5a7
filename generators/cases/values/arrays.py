"""numpy's arrays, scalars and dtypes."""

from __future__ import annotations

from typing import Any, Final

import ml_dtypes
import numpy as np

from ...handmade import archive, build, call, name
from ..registry import LEGACY, PROTOCOL_4, PROTOCOL_5, ZIP, saved, written

REFUSED: Final = ("weights-only-refuses",)
SPECIAL: Final = (*REFUSED, "special-values")
EMPTY: Final = (*REFUSED, "empty")
STRIDED: Final = (*REFUSED, "non-contiguous")

RECONSTRUCT: Final = "numpy._core.multiarray._reconstruct"
FROM_BUFFER: Final = "numpy._core.numeric._frombuffer"
SCALAR: Final = "numpy._core.multiarray.scalar"


# ------------------------------------------------------------------------ dtypes


DTYPES: dict[str, tuple[Any, str, str]] = {
    "bool": ([True, False], "?", "booleans"),
    "int8": ([-128, 127], "i1", "int8"),
    "uint8": ([0, 255], "u1", "uint8"),
    "int16": ([-(2**15), 1], "<i2", "int16"),
    "uint16": ([2**16 - 1, 1], "<u2", "uint16"),
    "int32": ([-(2**31), 1], "<i4", "int32"),
    "uint32": ([2**32 - 1, 1], "<u4", "uint32"),
    "int64": ([-(2**63), 1], "<i8", "int64"),
    "uint64": ([2**64 - 1, 1], "<u8", "uint64"),
    "float16": ([0.5, -2.0], "<f2", "float16"),
    "float32": ([0.5, -2.0], "<f4", "float32"),
    "float64": ([0.5, -2.0], "<f8", "float64"),
    "complex64": ([0.5 - 1j, 2j], "<c8", "complex64"),
    "complex128": ([0.5 - 1j, 2j], "<c16", "complex128"),
    "text": (["a", "é🔥"], "<U2", "text of at most two characters"),
    "text_empty": (["", ""], "<U0", "text of no characters"),
    "octets": ([b"a", b"b\xff"], "S2", "at most two bytes each"),
    "void": ([b"abc", b"\0\1\2"], "V3", "three raw bytes each"),
    "datetime_ns": (["2020-02-29T23:59:58.123456789", "NaT"], "<M8[ns]", "dates in ns"),
    "datetime_days": (["2020-02-29", "1969-12-31"], "<M8[D]", "dates in days"),
    "datetime_15_minutes": (["2020-02-29T12:15"], "<M8[15m]", "quarters of an hour"),
    "datetime_generic": (["NaT"], "<M8", "no date, and no unit"),
    "timedelta": ([-1, 5], "<m8[us]", "durations in microseconds"),
    "timedelta_generic": ([7], "<m8", "durations without a unit"),
}


@saved(RECONSTRUCT, each=DTYPES, flags=REFUSED)
def array_of(values: Any, dtype: str, what: str) -> object:
    """An array of {what}: dtype {dtype}."""
    return np.array(values, dtype)


#: Dates have no buffers: protocol 5 writes them as protocol 4 does.
BUFFERS = {
    key: DTYPES[key]
    for key in ("bool", "uint16", "float64", "complex64", "text", "octets", "void")
}


@saved(FROM_BUFFER, each=BUFFERS, formats=(PROTOCOL_5,), flags=REFUSED)
def array_buffer_of(values: Any, dtype: str, what: str) -> object:
    """An array of {what}, whose bytes protocol 5 keeps in a buffer: dtype {dtype}."""
    return np.array(values, dtype)


SWAPPED: dict[str, tuple[Any, str]] = {
    key: (values, dtype.replace("<", ">"))
    for key, (values, dtype, _) in DTYPES.items()
    if key in ("int16", "uint64", "float32", "complex64", "text", "datetime_ns")
}


@saved(RECONSTRUCT, each=SWAPPED, flags=(*REFUSED, "big-endian"))
def array_big_endian_of(values: Any, dtype: str) -> object:
    """An array whose bytes are big-endian: dtype {dtype}."""
    return np.array(values, dtype)


@saved(RECONSTRUCT, formats=(PROTOCOL_5,), flags=REFUSED)
def array_of_dates() -> object:
    """An array of dates, for which protocol 5 has no buffer."""
    return np.array(["2020-02-29"], "<M8[D]")


@saved(FROM_BUFFER, formats=(PROTOCOL_5,), flags=(*REFUSED, "big-endian"))
def array_buffer_big_endian() -> object:
    """A big-endian array whose bytes lie in a buffer."""
    return np.array([1, 2], ">i4")


SPECIAL_VALUES: dict[str, tuple[str, str, str]] = {
    "float16": ("<f2", "<u2", "7e01 fc00 8000 0001"),
    "float32": ("<f4", "<u4", "7fc0dead ff800000 80000000 00000001"),
    "float64": ("<f8", "<u8", "7ff00000deadbeef fff0000000000000 8000000000000000 1"),
}


@saved(RECONSTRUCT, each=SPECIAL_VALUES, flags=SPECIAL)
def array_special_of(dtype: str, bits: str, numbers: str) -> object:
    """An array of {key}: a NaN with a payload, -inf, -0.0, the smallest subnormal."""
    return np.array([int(word, 16) for word in numbers.split()], bits).view(dtype)


STRUCTURES: dict[str, tuple[Any, str]] = {
    "fields": (np.dtype("<i4,<f8"), "an integer and a float"),
    "aligned": (np.dtype("i1,<f8", align=True), "fields with bytes between them"),
    "padded": (
        np.dtype({"names": ["a"], "formats": ["<i2"], "offsets": [1], "itemsize": 5}),
        "one field inside five bytes",
    ),
    "overlapping": (
        np.dtype({"names": ["a", "b"], "formats": ["<i4", "<i2"], "offsets": [0, 2]}),
        "two fields that share bytes",
    ),
    "nested": (np.dtype([("a", [("b", "<f4"), ("c", "?")])]), "a field with fields"),
    "subarray": (np.dtype([("a", "<i2", (2, 2)), ("b", "u1")]), "a field with a shape"),
    "titled": (np.dtype([(("a title", "a"), "<i2")]), "a field with a title"),
    "named_oddly": (np.dtype([("", "u1"), ("a b", "u1"), ("é", "u1")]), "odd names"),
    "big_endian": (np.dtype([("a", ">i2"), ("b", "<i2")]), "fields of both orders"),
    "nothing": (np.dtype([]), "no fields"),
}


@saved(RECONSTRUCT, each=STRUCTURES, flags=REFUSED)
def array_structured(dtype: Any, what: str) -> object:
    """An array of {what}."""
    octets = np.arange(2 * dtype.itemsize, dtype="u1") % 2
    return np.frombuffer(octets.tobytes(), dtype, 2 if dtype.itemsize else 0).copy()


@saved(FROM_BUFFER, formats=(PROTOCOL_5,), flags=REFUSED)
def array_buffer_structured() -> object:
    """An array of fields, one of them an array, whose bytes lie in a buffer."""
    return np.zeros(2, [("a", "<i2", (2,)), ("b", "<f8")])


@saved("build:numpy.ndarray", formats=(ZIP, PROTOCOL_5), flags=REFUSED)
def array_of_objects() -> object:
    """An array of objects: its state is a list, with an array inside."""
    return np.array([1, "b", None, np.arange(2)], dtype=object)


@saved("build:numpy.ndarray", flags=(*REFUSED, "cycle"))
def array_of_itself() -> object:
    """An array of objects, one of which is the array."""
    array = np.array([None, 1], dtype=object)
    array[0] = array
    return array


EXTENSIONS: dict[str, tuple[Any, str]] = {
    name: (getattr(ml_dtypes, name), f"`ml_dtypes.{name}`")
    for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4")
}


@saved(RECONSTRUCT, each=EXTENSIONS, flags=REFUSED)
def array_extension(dtype: Any, what: str) -> object:
    """An array of {what}, whose dtype another package than numpy has."""
    return np.array([1, 2], dtype)


# --------------------------------------------------------------- shape and order


SHAPES: dict[str, tuple[Any, str]] = {
    "scalar": ((), "no dimensions"),
    "five": ((1, 2, 1, 2, 1), "five dimensions, three of them 1"),
    "matrix": ((2, 3), "two dimensions"),
}


@saved(RECONSTRUCT, each=SHAPES, flags=REFUSED)
def array_shape(shape: tuple[int, ...], what: str) -> object:
    """An array of {what}."""
    return np.arange(np.prod(shape, dtype=int), dtype="<i2").reshape(shape)


@saved(RECONSTRUCT, formats=(ZIP, LEGACY), flags=EMPTY)
def array_empty() -> object:
    """An array without elements, of three dimensions."""
    return np.zeros((2, 0, 3), "<f4")


@saved(FROM_BUFFER, formats=(PROTOCOL_5,), flags=EMPTY)
def array_buffer_empty() -> object:
    """An array without elements, whose buffer is empty."""
    return np.zeros((0, 3), "<f4")


@saved(RECONSTRUCT, flags=STRIDED)
def array_fortran() -> object:
    """An array whose first dimension runs fastest, in memory and in the file."""
    return np.asfortranarray(np.arange(6, dtype="<i2").reshape(2, 3))


@saved(FROM_BUFFER, formats=(PROTOCOL_5,), flags=STRIDED)
def array_buffer_fortran() -> object:
    """An array whose first dimension runs fastest, in a buffer: order F."""
    return np.asfortranarray(np.arange(6, dtype="<i2").reshape(2, 3))


VIEWS: dict[str, tuple[Any, str]] = {
    "step": (np.arange(6, dtype="<i2")[::2], "every second element of another"),
    "reversed": (np.arange(3, dtype="<i2")[::-1], "another one backwards"),
    "column": (np.arange(6, dtype="<i2").reshape(2, 3)[:, 1], "a column of another"),
    "broadcast": (np.broadcast_to(np.arange(2, dtype="<i2"), (3, 2)), "rows repeated"),
    "permuted": (
        np.arange(8, dtype="<i2").reshape(2, 2, 2).transpose(1, 2, 0),
        "three dimensions in another order",
    ),
}


@saved(RECONSTRUCT, each=VIEWS, formats=(ZIP, PROTOCOL_4), flags=STRIDED)
def array_view(value: Any, what: str) -> object:
    """A view, {what}: numpy writes it row-major."""
    return value


@saved(FROM_BUFFER, formats=(PROTOCOL_5,), flags=REFUSED)
def array_read_only() -> object:
    """An array that must not be written to: protocol 5 keeps it as `bytes`."""
    array = np.arange(3, dtype="<i2")
    array.flags.writeable = False
    return array


@saved(RECONSTRUCT, formats=(ZIP, LEGACY), flags=(*REFUSED, "alias"))
def array_twice() -> object:
    """One array in two places, and a view of it: numpy writes the view anew."""
    array = np.arange(4, dtype="<i2")
    return {"first": array, "second": array, "view": array[:2]}


@saved(RECONSTRUCT, formats=(PROTOCOL_4,), flags=REFUSED)
def arrays_of_one_dtype() -> object:
    """Two arrays of one dtype, which is written once."""
    return [np.zeros(2, "<f4"), np.ones(1, "<f4")]


# ----------------------------------------------------------------------- scalars


SCALARS: dict[str, tuple[Any, str]] = {
    "bool": (np.True_, "`numpy.bool`: not True itself"),
    "int8": (np.int8(-1), "an int8"),
    "uint16": (np.uint16(65535), "a uint16"),
    "int64": (np.int64(-(2**63)), "an int64"),
    "float16": (np.float16(0.5), "a float16"),
    "float32": (np.float32(0.1), "a float32"),
    "float64": (np.float64(0.1), "a float64: a subclass of Python's float"),
    "complex64": (np.complex64(1 - 2j), "a complex64"),
    "text": (np.str_("é"), "a `numpy.str_`: a subclass of str"),
    "octets": (np.bytes_(b"a\xff"), "a `numpy.bytes_`: a subclass of bytes"),
    "void": (np.void(b"abc"), "three raw bytes"),
    "datetime": (np.datetime64("2020-02-29T12", "h"), "a date in hours"),
    "timedelta": (np.timedelta64(-3, "W"), "a duration in weeks"),
    "not_a_time": (np.datetime64("NaT", "ns"), "no date"),
    "fields": (np.array([(1, 0.5)], "<i4,<f8")[0], "an integer and a float"),
    "bfloat16": (ml_dtypes.bfloat16(1.5), "a bfloat16 of ml_dtypes"),
}


@saved(SCALAR, each=SCALARS, flags=REFUSED)
def scalar(value: Any, what: str) -> object:
    """A scalar of numpy: {what}."""
    return value


@saved(SCALAR, formats=(PROTOCOL_4, PROTOCOL_5), flags=REFUSED)
def scalar_in_dict() -> object:
    """Two losses as numpy computes them, beside numbers of Python's own."""
    return {"loss": np.float64(0.5), "best": np.float32(0.25), "epoch": 3, "lr": 0.5}


@saved(SCALAR, flags=SPECIAL)
def scalar_special() -> object:
    """A float32 that is a NaN with a payload."""
    return np.array([0x7FC0DEAD], "<u4").view("<f4")[0]


# ------------------------------------------------------------------------ dtypes


DTYPE_OBJECTS: dict[str, tuple[Any, str]] = {
    "bool": (np.dtype("?"), "booleans"),
    "float32": (np.dtype("<f4"), "float32"),
    "big_endian": (np.dtype(">i8"), "big-endian int64"),
    "object": (np.dtype("O"), "objects"),
    "text": (np.dtype("<U5"), "text of five characters"),
    "datetime": (np.dtype("<M8[25s]"), "dates, 25 seconds apart"),
    "fields": (np.dtype([("a", "<i4"), ("b", "<f8")]), "two fields"),
    "aligned": (np.dtype("i1,<f8", align=True), "fields with bytes between them"),
    "subarray": (np.dtype(("<f4", (2, 3))), "arrays"),
    "metadata": (np.dtype("<f4", metadata={"unit": "m"}), "float32 with metadata"),
    "bfloat16": (np.dtype(ml_dtypes.bfloat16), "the bfloat16 of ml_dtypes"),
}


@saved("numpy.dtype", each=DTYPE_OBJECTS, flags=REFUSED)
def dtype_of(value: Any, what: str) -> object:
    """A dtype as a value: that of {what}."""
    return value


@saved("numpy.dtype", formats=(PROTOCOL_4, LEGACY), flags=(*REFUSED, "alias"))
def dtypes() -> object:
    """A dtype twice, and one that equals it."""
    kind = np.dtype("<f4")
    return [kind, kind, np.zeros(1, "<f4").dtype]


@saved("global:numpy.float32", flags=REFUSED)
def scalar_class() -> object:
    """The class of numpy's float32 as a value: no dtype, only a name."""
    return np.float32


@saved("global:numpy.sin", flags=REFUSED)
def ufunc() -> object:
    """One of numpy's functions as a value."""
    return np.sin


# -------------------------------------------------------------- kinds of arrays


@saved("numpy.random._pickle.__randomstate_ctor", flags=REFUSED)
def random_state() -> object:
    """numpy's old random number generator: MT19937, with its 624 words."""
    return np.random.RandomState(7)


@saved(RECONSTRUCT, flags=REFUSED)
def random_state_as_tuple() -> object:
    """The state of numpy's random numbers, as checkpoints keep it: a tuple."""
    return np.random.RandomState(7).get_state()


@saved("numpy.random._pickle.__generator_ctor", flags=REFUSED)
def random_generator() -> object:
    """numpy's random number generator: PCG64, with its seeds."""
    return np.random.default_rng(7)


@saved("numpy.ma.core._mareconstruct", flags=REFUSED)
def masked_array() -> object:
    """An array some of whose elements are masked."""
    return np.ma.masked_array(np.arange(3, dtype="<i2"), [False, True, False])


@saved(RECONSTRUCT, flags=REFUSED)
def matrix() -> object:
    """A `numpy.matrix`: rebuilt like an array, of another class."""
    return np.asmatrix(np.arange(4, dtype="<i2").reshape(2, 2))


@saved(RECONSTRUCT, flags=REFUSED)
def record_array() -> object:
    """A `numpy.recarray`, whose fields are attributes."""
    return np.rec.array([(1, 0.5)], dtype=[("a", "<i4"), ("b", "<f8")])


@saved(SCALAR, flags=REFUSED)
def record() -> object:
    """An element of a `numpy.recarray`."""
    return np.rec.array([(1, 0.5)], dtype=[("a", "<i4"), ("b", "<f8")])[0]


@saved("numpy.polynomial.polynomial.Polynomial", flags=REFUSED)
def polynomial() -> object:
    """An object with an array inside: a polynomial."""
    return np.polynomial.Polynomial([1.0, 0.5])


# ------------------------------------------------------------------------ numpy 1


def _float64(module: str) -> Any:
    kind = build(call("numpy.dtype", "f8", 0, 1), (3, "<", None, None, None, -1, -1, 0))
    empty = call(
        f"numpy.{module}.multiarray._reconstruct", name("numpy.ndarray"), (0,), "b"
    )
    octets = np.array([0.5, -2.0], "<f8").tobytes().decode("latin-1")
    state = (1, (2,), kind, False, call("_codecs.encode", octets, "latin1"))
    return build(empty, state)


@written("numpy.core.multiarray._reconstruct", label="built", flags=REFUSED)
def array_of_numpy_1() -> bytes:
    """An array of float64 as numpy 1 wrote it: its module had no underscore."""
    return archive(_float64("core"))


@written("numpy.core.multiarray.scalar", label="built", flags=REFUSED)
def scalar_of_numpy_1() -> bytes:
    """A float64 as numpy 1 wrote it."""
    kind = build(call("numpy.dtype", "f8", 0, 1), (3, "<", None, None, None, -1, -1, 0))
    octets = call("_codecs.encode", "\0\0\0\0\0\0\u00e0?", "latin1")
    return archive(call("numpy.core.multiarray.scalar", kind, octets))

"""numpy's arrays, scalars and dtypes: what numpy wrote, and what nobody should.

The right ones are written by the numpy at hand, and read by it and by us.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from conformance.parser import Object, load
from tests.builders import pickles as p
from tests.builders.arrays import TWO, filled, kind
from tests.builders.checkpoints import Call, Name, dump
from tests.builders.machine import unpickle
from tests.builders.rebuilt import refused

# ------------------------------------------------------------ what numpy writes

#: Every simple dtype, in both byte orders where it has one.
SIMPLE = [
    *("?", "b", "B", "<h", "<H", "<i", "<I", "<q", "<Q", "<e", "<f", "<d", "<F", "<D"),
    *(">h", ">H", ">i", ">I", ">q", ">Q", ">e", ">f", ">d", ">F", ">D"),
    *("g", "G", "S5", "S0", "<U3", ">U3", "U0", "V7", "V0", "O"),
    *("<M8", "<M8[ns]", ">M8[25s]", "<M8[D]", "<m8", "<m8[us]", ">m8[Y]"),
    *("bfloat16", "float8_e4m3fn", "float8_e8m0fnu", "int4", "uint2", "float4_e2m1fn"),
]

FIELDS: dict[str, Any] = {
    "plain": [("a", "<i4"), ("b", ">f8")],
    "nested": [("s", "<i4", (2,)), ("n", [("x", "<f2"), ("y", ">u2", (3, 1))])],
    "titles": [(("T", "a"), "<i4"), ("c", "S3")],
    "spread": {
        "names": ["a", "b"],
        "formats": ["i4", "i4"],
        "offsets": [4, 0],
        "itemsize": 12,
    },
    "empty": [],
    "objects": [("a", "<i4"), ("o", "O")],
    "dates": [("t", "<M8[ns]"), ("n", ml_dtypes.bfloat16)],
}


def dtypes() -> dict[str, Any]:
    """Every kind of dtype that numpy pickles, by a name for the test."""
    made = {name: np.dtype(getattr(ml_dtypes, name, name)) for name in SIMPLE}
    for name, fields in FIELDS.items():
        made[name] = np.dtype(fields)
    made["aligned"] = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    made["record"] = np.dtype((np.record, [("a", "<i4")]))
    about = {"unit": ["m", {"s": 1}]}
    for name, spec in {
        "float about": "<f8",
        "big about": ">i4",
        "date about": "<M8[ns]",
        "fields about": [("a", "<i4")],
        "object about": "O",
        "text about": "U3",
    }.items():
        made[name] = np.dtype(spec, metadata=about)  # type: ignore[call-overload]
    return made


DTYPES = dtypes()


def array(kind: np.dtype[Any], shape: tuple[int, ...] = (2, 3)) -> np.ndarray[Any, Any]:
    """An array of that dtype with some numbers in it."""
    count = int(np.prod(shape))
    if kind.hasobject and kind.names is None:
        made = np.empty(count, dtype=kind)
        made[:] = [(None, [1], "x", (1, 2), {"a": 1}, 2.5)[n % 6] for n in range(count)]
        return made.reshape(shape)
    made = np.zeros(count, dtype=kind)
    if kind.kind in "SUV" or kind.itemsize == 0 or kind.names is not None:
        return made.reshape(shape)
    whole = np.arange(count) % 2 if kind.type.__module__ == "ml_dtypes" else None
    made[:] = np.arange(count).astype("i8") % 2 if whole is None else whole
    return made.reshape(shape)


def read(data: bytes, **options: Any) -> Any:
    return load(io.BytesIO(data), weights_only=False, **options)


def same(ours: Any, theirs: Any) -> None:
    """Equal to the bit, and in everything that a dtype says."""
    assert type(ours) is type(theirs)
    one, other = ours.dtype, theirs.dtype
    assert one == other
    assert repr(one) == repr(other)
    assert one.isalignedstruct is other.isalignedstruct
    if isinstance(ours, np.ndarray):
        # numpy before 2.3 says {} of dates that it unpickled, and means nothing.
        assert (one.metadata or {}) == (other.metadata or {})
        assert ours.shape == theirs.shape
        assert ours.flags.f_contiguous is theirs.flags.f_contiguous
        assert ours.flags.c_contiguous is theirs.flags.c_contiguous
        assert ours.flags.writeable is theirs.flags.writeable
    if one.hasobject:
        assert ours.tolist() == theirs.tolist()
    else:
        assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", DTYPES)
def test_arrays(name: str, protocol: int) -> None:
    for shape in ((2, 3), (), (0, 4), (700,)):
        if name == "objects" and shape == (700,):
            continue
        data = pickle.dumps(array(DTYPES[name], shape), protocol)
        same(read(data), pickle.loads(data))


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("name", DTYPES)
def test_dtypes(name: str, protocol: int) -> None:
    kind = DTYPES[name]
    one, again = read(pickle.dumps([kind, kind], protocol))
    assert one is again
    same(np.empty(0, one), np.empty(0, kind))


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize(
    "name", [name for name, kind in DTYPES.items() if not kind.hasobject]
)
def test_scalars(name: str, protocol: int) -> None:
    data = pickle.dumps(array(DTYPES[name]).reshape(-1)[1], protocol)
    same(read(data), pickle.loads(data))


@pytest.mark.parametrize("protocol", range(6))
def test_memory_layouts(protocol: int) -> None:
    numbers = np.arange(24.0).reshape(2, 3, 4)
    for made in (
        *(np.asfortranarray(numbers), numbers.transpose(2, 0, 1), numbers[:, ::2, 1:3]),
        *(numbers[::-1], np.asfortranarray(numbers[0].astype(object)), numbers.T),
    ):
        data = pickle.dumps(made, protocol)
        same(read(data), pickle.loads(data))


@pytest.mark.parametrize("protocol", [2, 5])
def test_one_dtype_for_many(protocol: int) -> None:
    """The dtype that BUILD made is the one that the memo gives from then on."""
    kind = np.dtype([("a", ">f4")])
    tree = [np.zeros(2, kind), kind, np.ones(3, kind), {"k": kind}]
    ours = read(pickle.dumps(tree, protocol))
    assert ours[1] is ours[3]["k"]
    assert ours[0].dtype == ours[1] == ours[2].dtype == kind


@pytest.mark.parametrize("code", ["d", "<d", "O", "?", ">H", "m", "i4", "c32", "V3"])
def test_codes(code: str) -> None:
    assert unpickle(dump(Call("numpy.dtype", code))) == np.dtype(code)


@pytest.mark.parametrize("name", ["float64", "bool", "str_", "void", "longdouble"])
def test_classes(name: str) -> None:
    kind = unpickle(dump(Call("numpy.dtype", Name(f"numpy.{name}"))))
    assert kind == np.dtype(getattr(np, name))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3])
def test_names_of_numpy_1(protocol: int) -> None:
    for made in (np.arange(3.0), np.float64(2.5), np.array([None, 1], dtype=object)):
        data = pickle.dumps(made, protocol)
        assert b"numpy._core" in data
        same(read(data.replace(b"numpy._core", b"numpy.core")), made)


@pytest.mark.parametrize(
    "name",
    ["multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer"],
)
def test_both_names_of_every_function(name: str) -> None:
    for package in ("numpy.core", "numpy._core"):
        with refused("Malformed", f"{package}.{name} takes"):
            unpickle(dump(Call(f"{package}.{name}")))


# ---------------------------------------------------------------- by hand, right


@pytest.mark.parametrize("encoding", ["latin1", "bytes"])
def test_arrays_of_python_2(encoding: str) -> None:
    """Its bytes are a str, and so are the byte order and the names of fields."""
    order = p.SHORT_BINSTRING("|")
    pair = p.args(p.Assembled(p.GLOBAL("numpy", "dtype") + _old("f8", "<")), 0)
    fields = p.Assembled(p.EMPTY_DICT + p.SHORT_BINSTRING("a") + pair + p.SETITEM)
    names = p.Assembled(p.SHORT_BINSTRING("a") + p.TUPLE1)
    structured = p.Assembled(
        p.GLOBAL("numpy", "dtype")
        + p.args(p.Assembled(p.SHORT_BINSTRING("V8")), 0, 1)
        + p.REDUCE
        + p.args(3, p.Assembled(order), None, names, fields, 8, 1, 16)
        + p.BUILD
    )
    for made, number in (
        (p.Assembled(p.GLOBAL("numpy", "dtype") + _old("f8", "<")), 1.5),
        (structured, (1.5,)),
    ):
        data = p.Assembled(p.SHORT_BINSTRING(TWO))
        stream = p.pickle(
            *(p.GLOBAL("numpy.core.multiarray", "_reconstruct"),),
            p.args(
                *(p.Assembled(p.GLOBAL("numpy", "ndarray")), (0,)),
                p.Assembled(p.SHORT_BINSTRING("b")),
            ),
            *(p.REDUCE, p.args(1, (2,), made, False, data), p.BUILD),
        )
        assert unpickle(stream, encoding=encoding).tolist()[0] == number
        scalar = p.pickle(p.call("numpy.core.multiarray.scalar", made, _half(data)))
        assert unpickle(scalar, encoding=encoding).item() == number


def _half(_data: bytes) -> p.Assembled:
    return p.Assembled(p.SHORT_BINSTRING(TWO[:8]))


def _old(code: str, order: str) -> bytes:
    """The rest of a dtype of Python 2: its strings are SHORT_BINSTRING."""
    state = p.args(
        3, p.Assembled(p.SHORT_BINSTRING(order)), None, None, None, -1, -1, 0
    )
    args = p.args(p.Assembled(p.SHORT_BINSTRING(code)), 0, 1)
    return bytes(args + p.REDUCE + state + p.BUILD)


def test_text_that_is_no_bytes() -> None:
    for made, what in (
        (filled((1, (1,), kind("S1", "|"), False, "\u20ac")), "a numpy array"),
        (Call("numpy.core.multiarray.scalar", kind("S1", "|"), "\u20ac"), "scalar"),
    ):
        with refused("Malformed", f"the bytes of {what}|{what}.*encoding='latin1'"):
            unpickle(dump(made))


def test_a_state_without_a_version() -> None:
    """numpy before 1.0."""
    same(unpickle(dump(filled(((2,), kind(), False, TWO)))), np.array([1.5, -2]))


def test_a_scalar_of_no_bytes() -> None:
    assert unpickle(dump(Call("numpy.core.multiarray.scalar", kind("S0", "|")))) == b""


@pytest.mark.parametrize("order", ["C", "F"])
def test_buffers(order: str) -> None:
    for data in (TWO, bytearray(TWO)):
        made = Call("numpy._core.numeric._frombuffer", *(data, kind(), (1, 2), order))
        assert unpickle(dump(made)).tolist() == [[1.5, -2]]


def test_axes_in_another_order() -> None:
    made = Call("numpy._core.numeric._frombuffer", *(TWO, kind(), (1, 2), "K", (1, 0)))
    assert unpickle(dump(made)).tolist() == [[1.5], [-2]]


def test_other_subclasses_stay_objects() -> None:
    made = unpickle(dump(filled((1, (2,), kind(), False, TWO), "numpy.matrix")))
    assert type(made) is Object
    assert made.state[2] == np.dtype("f8")
    masked = pickle.dumps(np.ma.array([1, 2], mask=[False, True]))
    assert type(read(masked)) is Object
    flexible = read(pickle.dumps(np.dtypes.StringDType()))
    assert type(flexible) is Object


def test_a_scalar_that_is_an_object() -> None:
    made = unpickle(dump(Call("numpy.core.multiarray.scalar", kind("O8", "|"), None)))
    assert type(made) is Object


def test_recursive_arrays() -> None:
    made = np.empty(2, dtype=object)
    made[0] = made
    ours = read(pickle.dumps(made, 2))
    assert ours[0] is ours
    made[0] = None

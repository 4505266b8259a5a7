"""numpy's dtypes and arrays as numpy never writes them: refused, whatever they ask.

numpy believes what a state says of sizes, and changes dtypes that others have;
nothing gets there that was not checked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from conformance.parser import CheckpointError, Limits, Object
from tests.builders import pickles as p
from tests.builders.arrays import (
    A_FIELD,
    TWO,
    alone,
    buffered,
    dated,
    fields,
    filled,
    kind,
)
from tests.builders.checkpoints import Call, Name, dump
from tests.builders.machine import unpickle
from tests.builders.rebuilt import refused

# ---------------------------------------------------------------------- values

DEEP: Any = ()
for _ in range(200):
    DEEP = (DEEP,)

#: The state of a simple dtype after its byte order.
USUAL = (None, None, None, -1, -1, 0)

#: A dtype, and what is said of it.
WRONG_DTYPES: list[tuple[Call, str, str]] = [
    *(
        (Call("numpy.dtype", code), "Unsupported", "the numpy dtype")
        for code in (
            *(
                "",
                "<",
                "nope",
                "i3",
                "f12x",
                "t8",
                "a5",
                "i4,i4",
                "f8[2]",
                "S-1",
                "S+1",
            ),
            *("S99999999999", "V2147483648", "f\u0663", "x" * 50, "M8[ns]", "i\x00"),
        )
    ),
    (
        Call("numpy.dtype", Name("my.thing")),
        "Unsupported",
        "the numpy dtype 'my.thing'",
    ),
    (Call("numpy.dtype", Name("numpy.matrix")), "Unsupported", "'numpy.matrix'"),
    (Call("numpy.dtype", Name("ml_dtypes.nope")), "Unsupported", "'ml_dtypes.nope'"),
    (Call("numpy.dtype", Call("my.thing")), "Unsupported", "'my.thing'"),
    (Call("numpy.dtype", "f8", ()), "Unsupported", "dtype 'f8' without flags"),
    (Call("numpy.dtype", "f8", 0, None), "Unsupported", "dtype 'f8' without flags"),
    (Call("numpy.dtype", 1.5), "Unsupported", "the numpy dtype of a float"),
    (kind("i2", "<", None, (), None), "Malformed", "numpy refuses"),
    (kind("i2", "<", None, None, {}), "Malformed", "numpy refuses"),
    (kind("i2", "<", None, ("a",), A_FIELD), "Malformed", "numpy refuses"),
    (kind("i2", "<", None, None, None, None), "Malformed", "numpy refuses"),
    (kind("i2", "<", None, None, None, -1, "4"), "Malformed", "numpy refuses"),
    (kind("i2", "<", None, None, None, -1, -1, None), "Malformed", "numpy refuses"),
    (kind("i2", "<", None, None, None, -1, -1, 63), "Malformed", "numpy refuses"),
    (kind("O", "|", None, None, None, -1, -1, 0), "Malformed", "numpy refuses"),
    (kind("S2", "|", None, None, None, 5), "Malformed", "numpy refuses"),
    (kind("V8", "|", (kind(), (2,)), None, None, 8), "Malformed", "numpy refuses"),
    (kind("M8"), "Malformed", "numpy refuses"),
    (kind(state=()), "Malformed", "the state of a numpy dtype is a tuple"),
    (kind(state=[3, "<", *USUAL]), "Malformed", "is a tuple"),
    (kind(state=(3, "<", *USUAL[1:])), "Malformed", "is a tuple"),
    (kind(state=(3,) * 10), "Malformed", "is a tuple"),
    (kind(state=("3", "<", *USUAL)), "Malformed", "of unknown version"),
    (kind(state=(5, "<", *USUAL)), "Malformed", "of unknown version"),
    (kind(state=(0, "<", *USUAL)), "Malformed", "of unknown version"),
    (kind(state=(3, 1, *USUAL)), "Malformed", "of unknown byte order"),
    (kind(order="x"), "Malformed", "of unknown byte order"),
    (kind(order=""), "Malformed", "of unknown byte order"),
    (kind("V8", "|", 7, None, None), "Malformed", "numpy refuses the dtype"),
    (kind("V8", "|", (kind(),), None, None), "Malformed", "numpy refuses"),
    (
        kind("V8", "|", (7, (2,)), None, None),
        "Malformed",
        "a numpy dtype needs a dtype",
    ),
    (kind("V8", "|", (kind(), (-1,)), None, None), "Malformed", "numpy refuses"),
    (kind("V8", "|", (kind(), (1 << 40,)), None, None), "Malformed", "numpy refuses"),
    (kind("V8", "|", (kind(), DEEP), None, None), "Malformed", "numpy refuses"),
    (fields("a"), "Malformed", "numpy refuses"),
    (fields(None), "Malformed", "numpy refuses"),
    (fields(("a",), []), "Malformed", "numpy refuses"),
    (fields(("b",)), "Malformed", "numpy refuses"),
    (fields(("a", "a")), "Malformed", "numpy refuses"),
    (fields((DEEP,)), "Malformed", "numpy refuses"),
    (fields((7,)), "Malformed", "numpy refuses"),
    (fields((b"\xff",)), "Malformed", "numpy refuses"),
    (fields(rows={"a": 7}), "Malformed", "numpy refuses"),
    (fields(rows={"a": (kind("i4"),)}), "Malformed", "numpy refuses"),
    (fields(rows={"a": (7, 0)}), "Malformed", "a field of a numpy dtype needs a dtype"),
    (fields(rows={"a": (kind("i4"), "0")}), "Malformed", "numpy refuses"),
    (fields(rows={"a": (kind("i4"), 1 << 80)}), "Malformed", "numpy refuses"),
    (fields(rows={"a": (kind("i4"), -1)}), "Malformed", "numpy refuses"),
    (fields(rows={"a": (kind("i4"), 0, DEEP)}), "Malformed", "numpy refuses"),
    (fields(rows={"a": (kind("i4"), 0, 7)}), "Malformed", "numpy refuses"),
    (fields(size=3), "Malformed", "numpy refuses"),
    (fields(size=-1), "Malformed", "numpy refuses"),
    (fields(size=1 << 40), "Malformed", "numpy refuses"),
    (fields(size="4"), "Malformed", "numpy refuses"),
    (fields(flags=None), "Malformed", "numpy refuses"),
    (fields(size=5, flags=0x90), "Malformed", "numpy refuses"),
    (dated(7), "Malformed", "numpy refuses"),
    (dated((None,)), "Malformed", "numpy refuses"),
    (dated((None, 7)), "Malformed", "numpy refuses"),
    (dated((None, ())), "Malformed", "numpy refuses"),
    (dated((None, ["ns", 1])), "Malformed", "numpy refuses"),
    (dated((None, ("ns", 1, 1, 1, 1))), "Malformed", "numpy refuses"),
    (dated((None, ("nope", 1))), "Malformed", "numpy refuses"),
    (dated((None, (DEEP, 1))), "Malformed", "numpy refuses"),
    (dated((None, ("ns", 0))), "Malformed", "numpy refuses"),
    (dated((None, ("ns", 1 << 31))), "Malformed", "numpy refuses"),
    (dated((None, ("ns", 1.0))), "Malformed", "numpy refuses"),
    (dated((None, ("ns", 1, 2, 1))), "Malformed", "numpy refuses"),
    (dated((None, ("ns", 1, 1, 2))), "Malformed", "numpy refuses"),
    (dated(([1], ("ns", 1, 1, 1))), "Malformed", "numpy refuses"),
    (dated([1], "f8"), "Malformed", "numpy refuses"),
]


@pytest.mark.parametrize(("made", "error", "match"), WRONG_DTYPES)
def test_wrong_dtypes(made: Call, error: str, match: str) -> None:
    with refused(error, match):
        unpickle(dump(made))


#: An array, and what is said of it.
WRONG_ARRAYS: list[tuple[Call, str]] = [
    (filled((1, (2,), kind(), False, TWO), shape=(1,)), "rebuilt from nothing"),
    (filled((1, (2,), kind(), False, TWO), shape=7), "rebuilt from nothing"),
    (filled((1, (2,), kind(), False)), "dtype"),
    (filled((2, (2,), kind(), False, TWO)), "a numpy array of unknown version"),
    (filled(("1", (2,), kind(), False, TWO)), "a numpy array of unknown version"),
    (filled([(2,), kind(), False, TWO]), "the state of a numpy array is a tuple"),
    (filled((1, (2,))), "the state of a numpy array is a tuple"),
    (filled((1, (2,), "f8", False, TWO)), "a numpy array needs a dtype"),
    (filled((1, [2], kind(), False, TWO)), "of impossible shape"),
    (filled((1, (2.0,), kind(), False, TWO)), "of impossible shape"),
    (filled((1, (-2,), kind(), False, TWO)), "of impossible shape"),
    (filled((1, (1 << 63,), kind(), False, TWO)), "of impossible shape"),
    (filled((1, (1,) * 65, kind(), False, TWO)), "of impossible shape"),
    (filled((1, (2,), kind(), "no", TWO)), "of impossible shape"),
    (filled((1, (3,), kind(), False, TWO)), "3 x 8 bytes is given 16"),
    (filled((1, (1 << 40, 1 << 40), kind(), False, TWO)), "x 8 bytes is given 16"),
    (filled((1, (2,), kind(), False, None)), "a numpy array is made of bytes"),
    (filled((1, (2,), kind(), False, [1.5, 2.5])), "a numpy array is made of bytes"),
    (filled((1, (2,), kind(), False, bytearray(TWO))), "numpy refuses the array"),
    (filled((1, (0, 1 << 62), kind(), False, b"")), "an array too large for numpy"),
    (filled((1, (2,), kind("O8", "|"), False, TWO)), "of objects needs a list"),
    (filled((1, (2,), kind("O8", "|"), False, [1])), "of objects needs a list"),
    (filled((1, (2,), kind("O8", "|"), False, (1, 2))), "of objects needs a list"),
    (
        filled((1, (1,), kind("V16", "|", (kind(), (2,)), None, None), False, TWO)),
        "a numpy array of arrays",
    ),
]


@pytest.mark.parametrize(("made", "match"), WRONG_ARRAYS)
def test_wrong_arrays(made: Call, match: str) -> None:
    with refused("Malformed", match):
        unpickle(dump(made, protocol=4))


@pytest.mark.parametrize(
    ("made", "match"),
    [
        (buffered("x", kind(), (2,), "C"), "_frombuffer needs bytes"),
        (buffered(TWO, "f8", (2,), "C"), "a numpy array needs a dtype"),
        (buffered(TWO, kind(), 2, "C"), "of impossible shape"),
        (buffered(TWO, kind(), (2,), "X"), "of impossible shape"),
        (buffered(TWO, kind(), (2,), None), "of impossible shape"),
        (buffered(TWO, kind("O8", "|"), (2,), "C"), "of impossible shape"),
        (buffered(TWO, kind(), (3,), "C"), "3 x 8 bytes is given 16"),
        (buffered(b"", kind(), (0, 1 << 62), "C"), "an array too large for numpy"),
        (buffered(TWO, kind(), (2, 1), "K"), "the axes .* are no permutation"),
        (buffered(TWO, kind(), (2, 1), "K", (0, 0)), "are no permutation"),
        (buffered(TWO, kind(), (2, 1), "K", (0,)), "are no permutation"),
        (buffered(TWO, kind(), (2, 1), "K", [1, 0]), "are no permutation"),
        (alone("f8", TWO[:8]), "a numpy scalar needs a dtype"),
        (alone(kind(), TWO), "1 x 8 bytes is given 16"),
        (alone(kind()), "1 x 8 bytes is given 0"),
        (alone(kind(), None), "a numpy scalar is made of bytes"),
        (alone(kind("U1"), b"\xff\xff\xff\xff"), "numpy refuses the scalar"),
        (
            alone(kind("V16", "|", (kind(), (2,)), None, None), TWO),
            "a numpy scalar of arrays",
        ),
    ],
)
def test_wrong_buffers_and_scalars(made: Call, match: str) -> None:
    with refused("Malformed", match):
        unpickle(dump(made, protocol=4))


def test_elements_that_their_fields_do_not_take() -> None:
    mixed = kind(
        *("V12", "|", None, ("a", "o")),
        *({"a": (kind("i4"), 0), "o": (kind("O8", "|"), 4)}, 12, 1, 27),
    )
    made = filled((1, (1,), mixed, False, [(7, None)]))
    assert unpickle(dump(made)).tolist() == [(7, None)]
    for element in (("x", None), (7,), (Name("a.b"), 1), (1 << 40, 1)):
        with refused("Malformed", "numpy refuses the array"):
            unpickle(dump(filled((1, (1,), mixed, False, [element]))))


# ------------------------------------------------------- the order of things

DTYPE = p.GLOBAL("numpy", "dtype") + p.args("f8", False, True)
BIG = p.args(3, ">", None, None, None, -1, -1, 0)
SAME = p.args(3, "<", None, None, None, -1, -1, 0)
OWN = (p.GLOBAL("numpy", "dtype"), p.value("f8"), p.NEWFALSE, p.NEWTRUE)
SCALAR = p.GLOBAL("numpy.core.multiarray", "scalar")
EMPTY = p.call(
    "numpy.core.multiarray._reconstruct",
    *(p.Assembled(p.GLOBAL("numpy", "ndarray")), (0,), b"b"),
)


def made_scalar(recall: bytes) -> bytes:
    """The float64 that eight bytes are under the dtype that `recall` brings."""
    return bytes(SCALAR + p.args(p.Assembled(recall), TWO[:8]) + p.REDUCE)


@pytest.mark.parametrize(
    ("put", "get"),
    [
        (p.BINPUT(5), p.BINGET(5)),
        (p.LONG_BINPUT(5), p.BINGET(5)),
        (p.PUT("5"), p.GET("5")),
        (p.MEMOIZE, p.BINGET(0)),
    ],
)
def test_the_memo_gives_what_build_made(put: bytes, get: bytes) -> None:
    stream = p.pickle(DTYPE, p.REDUCE, put, BIG, p.BUILD, p.POP, get)
    assert unpickle(stream) == np.dtype(">f8")
    whole = p.pickle(DTYPE, p.REDUCE, put, BIG, p.BUILD, p.POP, made_scalar(get))
    assert unpickle(whole) == np.frombuffer(TWO, ">f8")[0]


NATIVE = p.Assembled(DTYPE + p.REDUCE + SAME + p.BUILD)
NONE_AT_ALL = p.args(1, (0,), NATIVE, False, b"")
INCOMPLETE = "a numpy scalar has a dtype that is not complete"


@pytest.mark.parametrize(
    ("pieces", "match"),
    [
        # Used before BUILD has said all.
        ((DTYPE, p.REDUCE, p.BINPUT(5), p.POP, made_scalar(p.BINGET(5))), INCOMPLETE),
        # Had by somebody else when BUILD made another of it.
        (
            (
                *(DTYPE, p.REDUCE, p.BINPUT(5), p.BINPUT(6), BIG, p.BUILD, p.POP),
                made_scalar(p.BINGET(6)),
            ),
            INCOMPLETE,
        ),
        (
            (
                *(DTYPE, p.REDUCE, p.DUP, BIG, p.BUILD, p.POP, p.BINPUT(5)),
                made_scalar(p.BINGET(5)),
            ),
            INCOMPLETE,
        ),
        # Changed twice, or made by opcodes that numpy's own pickles never have.
        (
            (DTYPE, p.REDUCE, BIG, p.BUILD, SAME, p.BUILD),
            "a numpy dtype is changed after its use",
        ),
        (
            (p.MARK, *OWN, p.OBJ, BIG, p.BUILD),
            "a numpy dtype is changed after its use",
        ),
        # An array whose memory others may show by now.
        ((EMPTY, NONE_AT_ALL, p.BUILD, NONE_AT_ALL, p.BUILD), "built twice"),
        # Numbers that are none, and a stream that ends there.
        ((DTYPE, p.REDUCE, p.PUT("x5")), "'x5' is no integer"),
        ((DTYPE, p.REDUCE, p.PUT("9" * 30)), "is no memo index"),
        ((DTYPE, p.REDUCE, b"q"), "the pickle ends before its STOP"),
    ],
)
def test_the_wrong_order(pieces: tuple[bytes, ...], match: str) -> None:
    with pytest.raises(CheckpointError, match=match):
        unpickle(p.pickle(*pieces))


def test_states_that_change_nothing() -> None:
    """Then it is the same dtype, whoever had it before."""
    for order in ("<", "="):
        state = p.args(3, order, None, None, None, -1, -1, 0)
        stream = p.pickle(
            *(p.MARK, DTYPE, p.REDUCE, p.BINPUT(5), state, p.BUILD),
            *(state, p.BUILD, p.BINGET(5), made_scalar(p.BINGET(5)), p.TUPLE),
        )
        one, again, number = unpickle(stream)
        assert one is again
        assert number == 1.5


def test_a_dtype_that_all_share_does_not_change() -> None:
    """Without a copy, `numpy.dtype` answers numpy's own, and BUILD leaves it alone."""
    begin = p.call("numpy.dtype", "f8")
    for state in (BIG, p.NONE):
        stream = p.pickle(begin, p.BINPUT(5), state, p.BUILD, p.BINGET(5), p.TUPLE2)
        assert unpickle(stream) == (np.dtype("<f8"), np.dtype("<f8"))
    assert unpickle(p.pickle(made_scalar(begin))) == 1.5


def test_arrays_of_nothing_that_numpy_knows() -> None:
    function = "numpy._core.multiarray._reconstruct"
    with refused("Unsupported", "the numpy dtype 'nope'"):
        unpickle(dump(Call(function, Name("numpy.ndarray"), (0,), b"nope")))
    with refused("Uninitialised", "a new array, which nothing fills"):
        unpickle(dump(Call("numpy.ndarray", (4,))))
    for name in ("numpy.float64", "ml_dtypes.bfloat16"):
        assert type(unpickle(dump(Call(name, 1)))) is Object


def test_an_array_from_a_buffer_cannot_be_built() -> None:
    made = buffered(bytearray(TWO), kind(), (2,), "C")
    made.state = (1, (2,), kind(), False, TWO)
    with refused("Malformed", "a numpy array is built twice"):
        unpickle(dump(made))


# --------------------------------------------------------------------- hostility


def test_elements_of_no_bytes_are_counted() -> None:
    """A shape alone makes any number of them."""
    for made in (
        filled((1, (1 << 40,), kind("S0", "|"), False, b"")),
        buffered(b"", kind("V0", "|"), (1 << 40,), "C"),
    ):
        with refused("LimitExceeded", "copies_ratio", phase="pickle"):
            unpickle(dump(made))


def test_the_same_bytes_again_and_again() -> None:
    data = bytes(80_000)
    states = [(1, (10_000,), kind(), False, data) for _ in range(500)]
    with refused("LimitExceeded", "copies_ratio", phase="pickle"):
        unpickle(dump([filled(state) for state in states]))


def wrapped(inner: bytes, depth: int) -> bytes:
    """A dtype of one field of a dtype of one field ..."""
    head = p.GLOBAL("numpy", "dtype") + p.args("V8", False, True) + p.REDUCE
    begin = head + p.MARK + p.value(3) + p.value("|") + p.NONE + p.args("a")
    begin += p.EMPTY_DICT + p.value("a")
    end = p.value(0) + p.TUPLE2 + p.SETITEM + p.value(8) + p.value(1) + p.value(16)
    return bytes(begin * depth + inner + (end + p.TUPLE + p.BUILD) * depth)


@pytest.mark.parametrize(("depth", "fine"), [(29, True), (31, False), (5000, False)])
def test_dtypes_inside_each_other(depth: int, fine: bool) -> None:
    """numpy compares, hashes and frees them by recursion."""
    inner = DTYPE + p.REDUCE + SAME + p.BUILD
    stream = p.pickle(wrapped(inner, depth))
    if fine:
        assert unpickle(stream).itemsize == 8
    else:
        with refused("LimitExceeded", "numpy dtypes too deep in each other"):
            unpickle(stream)


def test_dtypes_that_double() -> None:
    """Two fields of the same dtype, of two of the same: 2^n to look at."""
    made: Call = kind("V0", "|", None, (), {}, 0, 1, 16)
    for _ in range(25):
        made = kind("V0", "|", None, ("a", "b"), {"a": (made, 0), "b": (made, 0)}, 0, 1)
    with refused("LimitExceeded", "copies_ratio", phase="pickle"):
        unpickle(dump(made), limits=Limits(copies_base=1000))


def test_arrays_of_dtypes_in_metadata() -> None:
    about = {"inner": kind(), "list": [1, 2]}
    made = kind(state=(4, "<", None, None, None, -1, -1, 0, about))
    assert dict(unpickle(dump(made)).metadata) == {
        "inner": np.dtype("f8"),
        "list": [1, 2],
    }
    assert unpickle(dump(dated({}, "f8"))).metadata is None


def test_nothing_is_imported_or_called() -> None:
    for module in ("numpy.testing", "os", "numpy.f2py"):
        made = unpickle(dump(Call(f"{module}.system", "x")))
        assert type(made) is Object

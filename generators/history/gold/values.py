"""What Python and numpy keep in checkpoints."""

from __future__ import print_function

import collections
import datetime
import sys

import numpy as np
import torch

import models
from cases import PY2, case, count

NUMPY = "numpy._core" if np.__version__ >= "2" else "numpy.core"
PROTOCOLS = (2,) if PY2 else (2, 4)
#: Strings of Python 2 that are bytes need this of a reader in Python 3.
LATIN1 = "latin1" if PY2 else "utf-8"


@case("opcode:LONG1", legacy=True)
def numbers():
    """Integers of all lengths, floats and complex numbers at their edges."""
    powers = [2**31 - 1, 2**31, -(2**31), 2**63, -(2**63), 2**64, 10**30, -(10**30)]
    edges = [0.0, -0.0, 1.5, 5e-324, float("inf"), float("nan"), complex(0.5, -0.0)]
    return [None, True, False, 0, -1, 255, 256, 65535, 65536, 2**2100] + powers + edges


@case("opcode:BINUNICODE", legacy=True, protocols=PROTOCOLS)
def text():
    """Text in several scripts, long text, and text with quotes and backslashes."""
    return [
        "",
        "native \n ' \" \\",
        b"\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac".decode("utf-8"),
        b"\xf0\x9f\x98\x80 \\u0041".decode("utf-8"),
        "x" * 300,
        {b"k\xc3\xa9y".decode("utf-8"): "native"},
    ]


@case("builtins.bytearray", protocols=PROTOCOLS, encoding=LATIN1)
def binary():
    """`bytes` and `bytearray`."""
    return [b"", b"ascii", b"\xff\x00\x80", bytearray(b""), bytearray(b"abc\xff")]


@case("opcode:BYTEARRAY8", protocols=(5,))
def binary_apart():
    """`bytes` and `bytearray`, for which protocol 5 has opcodes of its own."""
    return [b"ascii", bytearray(b"abc\xff")]


@case("opcode:MARK", legacy=True, protocols=(2,) if PY2 else (2, 3, 4, 5))
def containers():
    """Python's containers, empty and filled, and one list that stands twice."""
    inner = [1, 2]
    counter, default = collections.Counter(), collections.defaultdict(list)
    counter["a"] = 2
    default["a"] = [1]
    return [
        [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
        [[], {}, set(), frozenset(), collections.OrderedDict()],
        collections.OrderedDict([("b", inner), ("a", (inner,))]),
        {1: "int", None: "none", (1, "a"): "tuple"} if not PY2 else {(1, "a"): "tuple"},
        set([1, 2]),
        frozenset([3]),
        [counter, default, collections.defaultdict(None, k=1)],
        [collections.deque([1, 2]), collections.deque([1], 5)],
    ]


@case("collections.OrderedDict", flags=["cycle"])
def recursive():
    """A list, a dict and an OrderedDict that contain themselves."""
    row, table, ordered = [1], {}, collections.OrderedDict()
    row.append(row)
    row.append((row,))
    table["me"] = table
    ordered["me"] = ordered
    return [row, table, ordered]


@case("build:collections.OrderedDict", flags=["attributes"])
def ordered_dict_attributes():
    """An OrderedDict with attributes, as state dicts have them."""
    made = collections.OrderedDict(a=1)
    made._metadata = collections.OrderedDict([("", {"version": 1})])
    return made


@case("datetime.datetime", encoding=LATIN1, flags=["weights-only-refuses"])
def dates():
    """Dates, times and durations, with a time zone where Python has one."""
    moments = [
        datetime.datetime(2020, 1, 2, 3, 4, 5, 678901),  # noqa: DTZ001
        datetime.date(1999, 12, 31),
        datetime.time(23, 59, 1, 5),
        datetime.timedelta(-5, 2, 3),
    ]
    if not PY2:
        zone = datetime.timezone(datetime.timedelta(hours=-3))
        moments.append(datetime.datetime(2020, 1, 1, 1, tzinfo=zone))
        moments.append(datetime.time(3, fold=1))
    return moments


@case(
    "pathlib._local.PosixPath" if sys.version_info >= (3, 13) else "pathlib.PosixPath",
    flags=["weights-only-refuses"],
)
def paths():
    """Paths of pathlib, as training scripts keep them."""
    import pathlib

    return [pathlib.Path("a/b"), pathlib.PureWindowsPath("c:/y"), pathlib.Path(".")]


@case("builtins.slice", flags=["weights-only-refuses"])
def ranges():
    """Ranges and slices."""
    made = xrange(3) if PY2 else range(5, 0, -2)  # noqa: F821
    return [made, slice(1, 2, None), slice(None)]


@case("torch.Size")
def torch_values():
    """Sizes, devices, and dtypes as values."""
    return [
        torch.Size([1, 2]),
        torch.Size([]),
        torch.device("cpu"),
        torch.device("cuda", 1),
        torch.float32,
        torch.uint8,
    ]


@case("global:torch.per_tensor_affine")
def layouts_and_schemes():
    """Layouts and quantization schemes as values."""
    return [torch.strided, torch.sparse_coo, torch.per_tensor_affine]


@case("models.WithReduce", legacy=True, flags=["weights-only-refuses"])
def objects():
    """Objects of classes of one's own: by state, by reduce, with slots, as lists."""
    made = [models.Plain(), models.Empty(), models.WithState(), models.WithReduce(3)]
    made += [models.Slots(), models.Row([1, 2]), models.Config(a=1)]
    return made + [models.Point(1, torch.ones(1))]


@case("models.Color", flags=["weights-only-refuses"])
def enums():
    """Members of an enumeration, one of them twice."""
    return [models.Color.RED, models.Color.BLUE, models.Color.RED]


@case("models.OldStyle", flags=["weights-only-refuses"])
def old_style():
    """Instances of classes that only Python 2 has."""
    if not PY2:
        raise TypeError("Python 3 has no such classes")
    return [models.OldStyle(), models.OldStyleInit(4)]


@case("global:models.function", flags=["weights-only-refuses"])
def functions():
    """Functions and classes as values."""
    row = [models.function, models.Plain, len, dict, torch.nn.Linear]
    return row + [torch.nn.functional.relu, np.ndarray, np.float32, torch.FloatTensor]


# ------------------------------------------------------------------------ numpy


@case(NUMPY + ".multiarray._reconstruct", legacy=True, encoding=LATIN1)
def numpy_arrays():
    """numpy arrays: by rows, by columns, sliced, empty, and of either byte order."""
    base = np.arange(6.0).reshape(2, 3)
    names = "i1 u2 i4 >i4 u8 f2 f4 >f8 c16 ? S3 U3"
    arrays = [base, np.asfortranarray(base), np.arange(10)[::2], np.array(3)]
    made = [np.array([0, 1, 1]).astype(name) for name in names.split()]
    return arrays + [np.zeros((0, 2)), arrays[0]] + made


@case(NUMPY + ".multiarray._reconstruct", encoding=LATIN1)
def numpy_objects():
    """numpy arrays of objects and of records, and of dates."""
    objects = np.empty(2, object)
    objects[0], objects[1] = ["x", 1], count(1)
    records = np.zeros(2, dtype=[("a", "i4"), ("b", "f8", (2,))])
    records["a"] = [1, 2]
    dates = np.array(["2020-01-01", "NaT"], "M8[D]")
    return [objects, records, dates, np.array([1], "m8[25s]")]


@case(NUMPY + ".multiarray.scalar", encoding=LATIN1)
def numpy_scalars():
    """Scalars and dtypes of numpy."""
    made = [np.float32(1.5), np.float64(2.5), np.int64(3), np.bool_(True)]
    made += [np.uint8(255), np.float16(0.5), np.complex64(1 + 2j), np.str_("s")]
    return made + [np.bytes_(b"b"), np.datetime64("2020-01-01"), np.dtype(">i8")]

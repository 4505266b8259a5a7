"""Legacy streams that torch loads, and what is in them.

What is expected is written as `plain` gives it: a storage as its dtype and its
elements, a tensor as nested lists. Storages with no elements stand for
themselves, for torch makes them anew for each reference.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

from tests.builders import pickles as p
from tests.builders.legacy import (
    class_name,
    floats,
    module,
    python2,
    storage,
    stream,
    tensor,
)

FOUR: Final = floats(1, 2, 3, 4)
TWO: Final = floats(5, 6)


class Case(NamedTuple):
    """A stream, and what `plain` makes of its tree."""

    name: str
    data: bytes
    expected: Any
    encoding: str = "utf-8"
    #: Only `weights_only=False` reads it, in torch and here.
    unsafe: bool = False

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


def a(
    *view: Any, kind: str = "FloatStorage", key: Any = "a", numel: int = 4
) -> p.Assembled:
    """A storage of four floats, or a part of it."""
    return storage(kind, key, numel, view or None)


def _raw(code: str, *numbers: float) -> tuple[int, bytes]:
    return len(numbers), struct.pack(f"<{len(numbers)}{code}", *numbers)


_LINEAR = "torch.nn.modules.linear.Linear"

CASES: Final = (
    Case("no storages", stream({"lr": 0.5}), {"lr": 0.5}),
    Case(
        "a tensor", stream(tensor(a(), (2, 2), (2, 1)), ("a",), FOUR), [[1, 2], [3, 4]]
    ),
    Case(
        "two tensors in one storage",
        stream([tensor(a(), (3,)), tensor(a(), (2,), (2,), 1)], ("a",), FOUR),
        [[1, 2, 3], [2, 4]],
    ),
    Case(
        "two storages in the order of the keys",
        stream(
            [
                storage("FloatStorage", "b", 2, None),
                storage("FloatStorage", "a", 4, None),
            ],
            ("a", "b"),
            FOUR,
            TWO,
        ),
        [("float32", [5, 6]), ("float32", [1, 2, 3, 4])],
    ),
    Case(
        "complex and bool",
        stream(
            [
                storage("ComplexDoubleStorage", "c", 1, None),
                storage("BoolStorage", "b", 3, None),
            ],
            ("b", "c"),
            (3, b"\1\0\1"),
            (1, struct.pack("<2d", 1, -2)),
        ),
        [("complex128", [1 - 2j]), ("bool", [True, False, True])],
    ),
    Case(
        "the first dtype wins",
        stream([a(), a(kind="ByteStorage", numel=99)], ("a",), FOUR),
        [("float32", [1, 2, 3, 4])] * 2,
    ),
    Case(
        "a class that has a dtype",
        stream(storage("FloatTensor", "a", 2, None), ("a",), TWO),
        ("float32", [5, 6]),
    ),
    *(
        Case(
            f"the key {key!r}",
            stream(storage("FloatStorage", key, 2, None), (key,), TWO),
            ("float32", [5, 6]),
        )
        for key in (7, -1, 1 << 70, None, 0.5, ("x", 1, None))
    ),
    Case(
        "a number and its digits are two keys",
        stream(
            [storage("FloatStorage", key, 2, None) for key in (0, "0")],
            ("0", 0),
            TWO,
            floats(7, 8),
        ),
        [("float32", [7, 8]), ("float32", [5, 6])],
    ),
    Case(
        "one and True are one key",
        stream([storage("FloatStorage", k, 2, None) for k in (1, True)], (True,), TWO),
        [("float32", [5, 6])] * 2,
    ),
    Case(
        "a key listed twice",
        stream(storage("FloatStorage", "a", 2, None), ("a", "a"), TWO, floats(7, 8)),
        ("float32", [7, 8]),
    ),
    Case(
        "a size that is a bool",
        stream(storage("FloatStorage", "a", True, None), ("a",), floats(9)),
        ("float32", [9]),
    ),
    Case(
        "empty storages, listed or not",
        stream([a(key="x", numel=0), a(key="y", numel=0)], ("x",), floats()),
        [("float32", []), ("float32", [])],
    ),
    Case(
        "an empty storage again as another dtype",
        stream([a(numel=0), a(kind="LongStorage", numel=5)]),
        [("float32", []), ("int64", [])],
    ),
    *(
        Case(
            f"keys in a {type(keys).__name__}",
            stream(a(key="a"), keys, FOUR),
            ("float32", [1, 2, 3, 4]),
        )
        for keys in ({"a": 1}, "a")
    ),
    # -------------------------------------------------------------- storage views
    Case(
        "views before their root",
        stream([a("v", 1, 2), a("w", 3, 1), a()], ("a",), FOUR),
        [("float32", [2, 3]), ("float32", [4]), ("float32", [1, 2, 3, 4])],
    ),
    Case(
        "a view by its key alone",
        stream([a("v", 1, 2), a("v", 0, 4)], ("a",), FOUR),
        [("float32", [2, 3])] * 2,
    ),
    Case(
        "views cut as Python cuts",
        stream(
            [
                a("b", -2, 1),
                a("c", 1, 99),
                a("d", 3, -2),
                a("e", -9, 7),
                a("f", 9, 7),
                a("g", -2, 2),
                a("h", -(1 << 90), 1 << 91),
            ],
            ("a",),
            FOUR,
        ),
        [
            ("float32", part)
            for part in ([3], [2, 3, 4], [], [1, 2], [], [], [1, 2, 3, 4])
        ],
    ),
    Case(
        "a view of another dtype",
        stream([a(), a("v", 1, 2, kind="ShortStorage")], ("a",), FOUR),
        [("float32", [1, 2, 3, 4]), ("int16", [0x3F80, 0])],
    ),
    Case(
        "a view of a view",
        stream(
            [a("v", 1, 3), a("w", 1, 1, key="v"), a("x", 0, 9, key="w")], ("a",), FOUR
        ),
        [("float32", [2, 3, 4]), ("float32", [3]), ("float32", [3])],
    ),
    Case(
        "a view with the key of a root",
        stream(
            [storage("FloatStorage", "b", 2, None), a("b", 0, 4)], ("a", "b"), FOUR, TWO
        ),
        [("float32", [5, 6])] * 2,
    ),
    Case(
        "a view that is used as a root",
        stream([a("v", 1, 2), storage("FloatStorage", "v", 99, None)], ("a",), FOUR),
        [("float32", [2, 3])] * 2,
    ),
    Case(
        "a tensor in a view",
        stream(tensor(a("v", 1, 3), (2,), (1,), 1), ("a",), FOUR),
        [3, 4],
    ),
    Case(
        "a view of nothing",
        stream([a("v", 0, 0, numel=0), a(numel=0)]),
        [("float32", []), ("float32", [])],
    ),
    # ------------------------------------------------------------------ Python 2
    Case(
        "Python 2",
        stream(
            python2(
                {
                    "w": tensor(
                        storage(
                            "FloatStorage",
                            python2("a"),
                            2,
                            None,
                            location=python2("cpu"),
                        ),
                        (2,),
                    ),
                    "\xe4": 1,
                }
            ),
            python2(["a"]),
            TWO,
            about=python2({"little_endian": True}),
        ),
        {"w": [5, 6], "\xe4": 1},
    ),
    *(
        Case(
            f"Python 2 as {encoding}",
            stream(
                python2({b"\xe4": storage("ByteStorage", python2(b"k"), 1, None)}),
                python2([b"k"]),
                (1, b"\7"),
            ),
            {key: ("uint8", [7])},
            encoding,
        )
        for encoding, key in (("latin1", "\xe4"), ("bytes", b"\xe4"))
    ),
    Case(
        "Python 2 under another encoding",
        # Only its first part and its location are taken for text.
        stream(
            p.Assembled(
                p.args(
                    python2("storage"),
                    class_name("torch.FloatStorage"),
                    python2("a"),
                    python2("cpu"),
                    2,
                    None,
                )
                + p.BINPERSID
            ),
            python2(["a"]),
            TWO,
        ),
        ("float32", [5, 6]),
        "bytes",
        unsafe=True,
    ),
    # ------------------------------------------------------------- other classes
    Case(
        "a module's class without its source",
        stream(module(_LINEAR, None, None)),
        _LINEAR,
        unsafe=True,
    ),
    Case(
        "storages of modules that are none",
        stream(storage("no.such.FloatStorage", "a", 2, None), ("a",), TWO),
        ("float32", [5, 6]),
        unsafe=True,
    ),
    # --------------------------------------------------------------------- pickles
    *(
        Case(
            f"protocol {protocol}",
            stream({"x": 1}, protocol=protocol),
            {"x": 1},
            unsafe=protocol != 2,
        )
        for protocol in (0, 1, 3, 4, 5)
    ),
    Case(
        "about nothing",
        stream(1, about=None),
        1,
    ),
    Case(
        "the memo of each pickle is its own",
        stream(
            # MEMOIZE counts: it would drift in a memo that others have used.
            p.Assembled(
                p.EMPTY_LIST
                + p.MARK
                + p.value("x")
                + p.MEMOIZE
                + p.BINGET(0)
                + p.APPENDS
            ),
            about=p.Assembled(p.EMPTY_DICT + p.BINPUT(0)),
        ),
        ["x", "x"],
        unsafe=True,
    ),
)

"""Pickles that are wrong: each refusal says what, where, and how to act on it."""

from __future__ import annotations

import pickle
from typing import NamedTuple

import pytest

from conformance.parser.errors import CheckpointError, Malformed
from conformance.parser.opcodes import OPCODES
from tests.builders import pickles as p
from tests.builders.machine import unpickle
from tests.builders.reference import reference

NAME = p.GLOBAL("a", "b")


class Wrong(NamedTuple):
    """`before` is fine, `at` is where it goes wrong, and a STOP follows."""

    before: bytes
    at: bytes
    message: str
    kind: str = "Malformed"

    def __str__(self) -> str:
        return f"{self.before[:40]!r} {self.at[:40]!r}"


#: What each opcode finds when there is one value too few; also above a mark.
TOO_LITTLE: dict[str, bytes] = {
    "TUPLE1": b"",
    "TUPLE2": p.NONE,
    "TUPLE3": p.NONE * 2,
    "DUP": b"",
    "APPEND": p.NONE,
    "SETITEM": p.NONE * 2,
    "REDUCE": p.EMPTY_TUPLE,
    "NEWOBJ": p.EMPTY_TUPLE,
    "NEWOBJ_EX": p.EMPTY_TUPLE + p.EMPTY_DICT,
    "BUILD": p.EMPTY_DICT,
    "STACK_GLOBAL": p.value("a"),
    "BINPERSID": b"",
    "READONLY_BUFFER": b"",
    "MEMOIZE": b"",
    "STOP": b"",
}

#: Opcodes that take everything since the mark and then something below it.
BELOW_THE_MARK = ("APPENDS", "SETITEMS", "ADDITEMS")
#: Opcodes that need a mark, and what they need besides.
MARKED = (*BELOW_THE_MARK, *("TUPLE", "LIST", "DICT", "FROZENSET", "POP_MARK", "OBJ"))

STACK = [
    *(
        Wrong(mark + before, p.NAMES[name], f"{name} finds too little on the stack")
        for name, before in TOO_LITTLE.items()
        for mark in (b"", p.NONE * 3 + p.MARK)
    ),
    *(
        Wrong(below + p.MARK, p.NAMES[name], f"{name} finds too little")
        for name in BELOW_THE_MARK
        for below in (b"", p.EMPTY_LIST + p.MARK)
    ),
    *(
        Wrong(below, put, "finds too little")
        for put in (p.PUT(0), p.BINPUT(0), p.LONG_BINPUT(0))
        for below in (b"", p.NONE + p.MARK)
    ),
    Wrong(p.MARK, p.OBJ, "OBJ finds too little on the stack (it takes: mark global"),
    *(Wrong(p.NONE, p.NAMES[name], "no mark on the stack") for name in MARKED),
    Wrong(p.NONE, p.INST("a", "b"), "no mark on the stack"),
    Wrong(b"", p.POP, "no mark on the stack"),
]

MEMO = [
    Wrong(b"", p.GET(5), "nothing in the memo at 5"),
    Wrong(b"", p.BINGET(5), "nothing in the memo at 5"),
    Wrong(b"", p.LONG_BINGET(1 << 31), "nothing in the memo at 2147483648"),
    Wrong(p.NONE, p.PUT(-1), "'-1' is no memo index"),
    Wrong(p.NONE, p.PUT(1 << 63), "'9223372036854775808' is no memo index"),
    Wrong(b"", p.GET("1" * 4000), "'1111111111"),
]

VALUES = [
    Wrong(p.NONE * 2, p.APPEND, "APPEND to a NoneType"),
    Wrong(p.EMPTY_TUPLE + p.NONE, p.APPEND, "APPEND to a tuple"),
    Wrong(p.EMPTY_LIST + p.NONE * 2, p.SETITEM, "SETITEM on a list"),
    Wrong(p.NONE + p.MARK + p.NONE, p.ADDITEMS, "ADDITEMS to a NoneType"),
    Wrong(p.MARK + p.NONE, p.DICT, "a key without a value"),
    Wrong(p.EMPTY_DICT + p.MARK + p.NONE * 3, p.SETITEMS, "a key without a value"),
    Wrong(p.MARK + p.EMPTY_LIST + p.NONE, p.DICT, "a list cannot be a key"),
    Wrong(p.MARK + p.EMPTY_DICT, p.FROZENSET, "a dict cannot be a key"),
    Wrong(p.EMPTY_SET + p.MARK + p.EMPTY_SET, p.ADDITEMS, "a set cannot be a key"),
    Wrong(p.EMPTY_DICT + p.args([]) + p.NONE, p.SETITEM, "a tuple cannot be a key"),
    Wrong(p.NONE + p.EMPTY_TUPLE, p.REDUCE, "a NoneType is called"),
    Wrong(NAME + p.NONE, p.REDUCE, "arguments must be a tuple, not NoneType"),
    Wrong(p.NONE + p.EMPTY_TUPLE, p.NEWOBJ, "a NoneType is called, which is no global"),
    Wrong(p.MARK + p.NONE, p.OBJ, "a NoneType is called"),
    Wrong(NAME + p.EMPTY_TUPLE + p.NONE, p.NEWOBJ_EX, "NEWOBJ_EX needs a dict"),
    Wrong(p.NONE * 2, p.STACK_GLOBAL, "STACK_GLOBAL needs two strings"),
    Wrong(b"", p.GLOBAL("", "a"), "a global without a name"),
    Wrong(p.MARK, p.INST("a", ""), "a global without a name"),
    Wrong(p.value("") + p.value("a"), p.STACK_GLOBAL, "a global without a name"),
    Wrong(p.value(b"a") + p.value("b"), p.STACK_GLOBAL, "needs two strings"),
    Wrong(p.NONE, p.READONLY_BUFFER, "READONLY_BUFFER of a NoneType", "Unsupported"),
]

OUTSIDE = [
    Wrong(b"", p.NEXT_BUFFER, "a buffer outside itself"),
    Wrong(b"", p.EXT1(7), "extension code 7 means something only", "Unsupported"),
    Wrong(b"", p.EXT2(300), "extension code 300", "Unsupported"),
    Wrong(b"", p.EXT4(-1), "extension code -1", "Unsupported"),
]


def lie(opcode: str, count: int, left: int) -> Wrong:
    """An argument that announces more than the two bytes and the STOP there are."""
    announced = p.NAMES[opcode](b"ab", count)
    return Wrong(
        b"", announced, f"{count} bytes announced where {left} are", "Truncated"
    )


SIZES = [
    lie("BINBYTES", 1000, 3),
    lie("BINBYTES", (1 << 32) - 1, 3),
    lie("BINBYTES8", (1 << 64) - 1, 3),
    lie("BYTEARRAY8", 1 << 40, 3),
    lie("SHORT_BINBYTES", 4, 3),
    lie("BINSTRING", (1 << 31) - 1, 3),
    lie("SHORT_BINSTRING", 255, 3),
    lie("BINUNICODE", (1 << 32) - 1, 3),
    lie("BINUNICODE8", 1 << 63, 3),
    lie("SHORT_BINUNICODE", 4, 3),
    lie("LONG1", 255, 3),
    lie("LONG4", (1 << 31) - 1, 3),
    Wrong(p.NONE, p.FRAME(2), "2 bytes announced where 1 are left", "Truncated"),
    Wrong(p.NONE, p.FRAME((1 << 64) - 1), "bytes announced where 1", "Truncated"),
    Wrong(b"", b"\x8b\xff\xff\xff\xff", "negative byte count -1"),
    Wrong(b"", b"T\x00\x00\x00\x80", "negative byte count -2147483648"),
]


@pytest.mark.parametrize("wrong", [*STACK, *MEMO, *VALUES, *OUTSIDE, *SIZES], ids=str)
def test_wrong(wrong: Wrong) -> None:
    data = p.pickle(wrong.before, wrong.at)
    for source in (data, memoryview(data)):
        with pytest.raises(CheckpointError) as refused:
            unpickle(source, base=1000)
        error = refused.value
        assert wrong.message in error.message
        assert error.kind == wrong.kind
        assert error.phase == "pickle"
        assert error.offset == 1000 + len(wrong.before)
        assert str(error).startswith(f"{error.message} (pickle, byte {error.offset}")
        assert "\n" not in str(error)
    assert refuses(data)


def refuses(data: bytes) -> bool:
    """Whether C pickle refuses as well, for whatever reason."""
    try:
        reference(data)
    except Exception:  # noqa: BLE001 - it has many ways to say no
        return True
    return False


UNKNOWN = sorted(set(range(256)) - {row.code for row in OPCODES})


@pytest.mark.parametrize("code", UNKNOWN)
def test_bytes_that_are_no_opcode(code: int) -> None:
    data = p.NONE + bytes([code]) + p.STOP
    with pytest.raises(Malformed, match=f"0x{code:02x} is no opcode") as refused:
        unpickle(data)
    assert refused.value.offset == 1
    with pytest.raises(pickle.UnpicklingError):
        reference(data)


#: What C pickle takes and we do not; nobody writes any of it.
ONLY_C_PICKLE = [
    # It looks at what it appends to only when there is something to append.
    Wrong(p.NONE + p.MARK, p.APPENDS, "APPEND to a NoneType"),
    Wrong(p.NONE + p.MARK, p.SETITEMS, "SETITEM on a NoneType"),
    Wrong(p.NONE + p.MARK, p.ADDITEMS, "ADDITEMS to a NoneType"),
    # It calls whatever has a method of that name.
    Wrong(p.BYTEARRAY8(b"") + p.value(7), p.APPEND, "APPEND to a bytearray"),
    Wrong(p.value([1]) + p.BININT1(0) + p.NONE, p.SETITEM, "SETITEM on a list"),
    # A state of None is no state, whatever it is for.
    Wrong(p.EMPTY_LIST + p.NONE, p.BUILD, "BUILD of a list"),
    # The first state would be lost.
    Wrong(
        NAME + p.args() + p.REDUCE + p.value(1) + p.BUILD + p.value(2),
        p.BUILD,
        "'a.b' is built twice",
    ),
    Wrong(p.BYTEARRAY8(b""), p.READONLY_BUFFER, "of a bytearray", "Unsupported"),
]


@pytest.mark.parametrize("wrong", ONLY_C_PICKLE, ids=str)
def test_only_c_pickle_takes(wrong: Wrong) -> None:
    data = p.pickle(wrong.before, wrong.at)
    assert not refuses(data)
    with pytest.raises(CheckpointError) as refused:
        unpickle(data)
    assert wrong.message in refused.value.message
    assert refused.value.kind == wrong.kind
    assert refused.value.offset == len(wrong.before)

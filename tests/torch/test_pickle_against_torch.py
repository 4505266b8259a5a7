"""Our pickle machine beside torch's restricted one: one value, or both refuse."""

from __future__ import annotations

import io
import pickle
import re
import warnings
from collections import Counter, OrderedDict
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from torch import _weights_only_unpickler as restricted

from conformance.parser.errors import CheckpointError
from conformance.parser.opcodes import OPCODES
from tests.builders import pickles as p
from tests.builders.machine import persistent_load, unpickle
from tests.builders.programs import program
from tests.builders.reference import facts

#: Opcodes that torch's machine has not; ours has one machine for both modes.
LACKING = {
    *"INT LONG LONG4 STRING BINSTRING UNICODE FLOAT GET PUT PERSID INST OBJ".split(),
    *"BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 NEXT_BUFFER READONLY_BUFFER".split(),
    *"SHORT_BINUNICODE BINUNICODE8 LIST DICT ADDITEMS FROZENSET POP DUP".split(),
    *"POP_MARK MEMOIZE EXT1 EXT2 EXT4 STACK_GLOBAL NEWOBJ_EX FRAME".split(),
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """torch warns of every protocol but 2."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected pickle protocol")
        yield


def ours(data: bytes, encoding: str = "utf-8") -> Any:
    return unpickle(data, weights_only=True, encoding=encoding)


def theirs(data: bytes, encoding: str = "utf-8") -> Any:
    reader = restricted.Unpickler(io.BytesIO(data), encoding=encoding)
    reader.persistent_load = persistent_load  # type: ignore[method-assign]
    return reader.load()


def answer(read: Any, data: bytes, **options: Any) -> Any:
    """What a machine makes of a pickle, or what it says."""
    try:
        return facts(read(data, **options))
    except CheckpointError as error:
        return f"refused: {error.message}"
    except Exception as error:  # noqa: BLE001 - torch has many ways to say no
        return f"refused: {error}"


def test_opcodes_that_torch_lacks() -> None:
    lacking = set()
    for row in OPCODES:
        data = bytes([row.code]) + b"\x00" * 8 + b"\n\n."
        if f"Unsupported operand {row.code}" in str(answer(theirs, data)):
            lacking.add(row.name)
    assert lacking == LACKING
    assert len(OPCODES) - len(lacking) == 34


def test_random_programs() -> None:
    """Of the opcodes that both have, but for persistent ids: see the containers."""
    names = (
        *(("collections", "OrderedDict"), ("collections", "Counter")),
        *(("__builtin__", "set"), ("__builtin__", "bytearray")),
    )
    both = 0
    for seed in range(3000):
        random = Random(seed)  # noqa: S311 - no secrets here
        without = {*LACKING, "BINPERSID"}
        data = program(random, size=30, names=names, without=without)
        one, other = answer(ours, data), answer(theirs, data)
        if isinstance(one, list) and one == other:
            both += 1
        elif isinstance(one, str):
            # torch takes as arguments whatever can be iterated.
            assert isinstance(other, str) or "must be a tuple" in one, data
        else:
            # A call that nobody writes, such as Counter(Counter).
            assert ("object", 1, 0, 0) in one, (data, other)
    assert both > 2000


VALUES: dict[str, Any] = {
    "state": OrderedDict([("a", 1), ("b", {"c": [1.5, None, True, (1, 2)]})]),
    "counter": Counter("hello"),
    "bytes": {"b": b"\x00\xff" * 100},
    "bytearray": bytearray(b"a\xff"),
    "set": {1, 2, 3},
    "complex": [1 + 2j],
    "ints": [0, 255, 256, 65536, -1, -(1 << 31), 1 << 40, 1 << 2000],
    "text": ["", "\u20ac\n", "\ud800", "x" * 1000],
    "shared": [[1]] * 3,
}


@pytest.mark.parametrize("name", VALUES)
def test_what_torch_save_writes(name: str) -> None:
    """Protocol 2, the default of torch.save."""
    data = pickle.dumps(VALUES[name], 2)
    assert facts(ours(data)) == facts(theirs(data)) == facts(VALUES[name])


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii", "bytes"])
def test_strings_of_python_2(encoding: str) -> None:
    for text in (b"", b"ascii", b"\xe9", "\u20ac".encode()):
        data = p.pickle(p.SHORT_BINSTRING(text))
        one = answer(ours, data, encoding=encoding)
        other = answer(theirs, data, encoding=encoding)
        assert isinstance(one, str) is isinstance(other, str)
        assert isinstance(one, str) or one == other


#: Streams on which we are of one mind with torch, or of two for a reason that
#: stands in the divergence ledger.
ONLY_TORCH = {
    "any iterable for arguments": p.pickle(
        p.GLOBAL("builtins", "set"), p.EMPTY_DICT, p.REDUCE
    ),
}
ONLY_WE = {
    "BUILD with nothing": p.pickle(p.call("collections.OrderedDict"), p.NONE, p.BUILD),
    "BUILD with slots": p.pickle(
        p.call("collections.OrderedDict"), p.value(({"a": 1}, {"b": 2})), p.BUILD
    ),
    "bytes": p.pickle(p.SHORT_BINBYTES(b"a")),
}
BOTH = {
    "a protocol of the future": p.pickle(p.PROTO(9), p.NONE),
    "arguments in a list": p.pickle(
        p.GLOBAL("builtins", "set"), p.EMPTY_LIST, p.REDUCE
    ),
    "NEWOBJ of set": p.pickle(p.GLOBAL("builtins", "set"), p.args([1]), p.NEWOBJ),
    "a name across the dot": p.pickle(p.GLOBAL("torch.nn", "parameter.Parameter")),
    "data after STOP": p.pickle(p.NONE) + b"anything",
    "values left on the stack": p.pickle(p.NONE, p.NEWTRUE),
    "a mark left on the stack": p.pickle(p.NONE, p.MARK, p.NEWTRUE),
}  # fmt: skip
NEITHER = {
    "SETITEM on a list": p.pickle(p.value([1]), p.BININT1(0), p.NONE, p.SETITEM),
    "APPEND to a set": p.pickle(p.EMPTY_SET, p.NONE, p.APPEND),
    "APPENDS of nothing to None": p.pickle(p.NONE, p.MARK, p.APPENDS),
    "BUILD of a list": p.pickle(p.EMPTY_LIST, p.NONE, p.BUILD),
    "a call of None": p.pickle(p.NONE, p.EMPTY_TUPLE, p.REDUCE),
    "bytes() of Python 2": p.pickle(p.call("__builtin__.bytes")),
    "os.system": p.pickle(p.GLOBAL("os", "system")),
    "posix.system": p.pickle(p.GLOBAL("posix", "system")),
    "getattr": p.pickle(p.GLOBAL("builtins", "getattr")),
    "FloatStorage of anything": p.pickle(p.GLOBAL("os", "FloatStorage")),
    "an alias of a dtype": p.pickle(p.GLOBAL("torch", "float")),
    "nothing": p.pickle(),
    "a mark and nothing": p.pickle(p.NONE, p.MARK),
    "an unhashable key": p.pickle(p.EMPTY_DICT, p.EMPTY_LIST, p.NONE, p.SETITEM),
    "half a pair": p.pickle(p.EMPTY_DICT, p.MARK, p.NONE, p.SETITEMS),
    "an empty memo": p.pickle(p.BINGET(0)),
    "text that is not UTF-8": p.pickle(p.BINUNICODE(b"\xff")),
}


@pytest.mark.parametrize(
    ("data", "we", "torch"),
    [
        pytest.param(data, we, torch, id=name)
        for streams, we, torch in (
            (ONLY_TORCH, False, True),
            (ONLY_WE, True, False),
            (BOTH, True, True),
            (NEITHER, False, False),
        )
        for name, data in streams.items()
    ],
)
def test_stream(data: bytes, we: bool, torch: bool) -> None:
    one, other = answer(ours, data), answer(theirs, data)
    assert isinstance(one, list) is we
    assert isinstance(other, list) is torch
    if we and torch:
        assert one == other


def test_codecs() -> None:
    """torch calls whatever codec the file names, and so can get text for bytes."""
    hexed = p.pickle(p.call("_codecs.encode", "no", "rot13"))
    assert theirs(hexed) == "ab"
    with pytest.raises(CheckpointError, match=re.escape("the codec 'rot13'")):
        ours(hexed)

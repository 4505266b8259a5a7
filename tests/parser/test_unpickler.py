"""The pickle machine: every opcode, right and wrong, beside C pickle."""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from conformance.parser.errors import CheckpointError, Malformed
from conformance.parser.limits import Budget, Limits
from conformance.parser.opcodes import OPCODES
from conformance.parser.trace import Trace
from conformance.parser.values import Global, Object
from tests.builders import pickles as p
from tests.builders.machine import machine, unpickle
from tests.builders.programs import program
from tests.builders.reference import facts, reference

# ------------------------------------------------------------- every opcode, right

#: `a.b` as a global, and an object made from it.
NAME = p.GLOBAL("a", "b")
MADE = NAME + p.EMPTY_TUPLE + p.REDUCE

#: One stream at least for each row of the table.
STREAMS: dict[str, list[bytes]] = {
    "INT": [p.INT(-7), p.INT(1 << 70), p.INT("00"), p.INT("01")],
    "BININT": [p.BININT(-(1 << 31)), p.BININT((1 << 31) - 1)],
    "BININT1": [p.BININT1(0), p.BININT1(255)],
    "BININT2": [p.BININT2(0), p.BININT2(65535)],
    "LONG": [p.LONG("-7L"), p.LONG("7")],
    "LONG1": [p.LONG1(b""), p.LONG1(b"\xff"), p.LONG1(b"\x00" * 254 + b"\x80")],
    "LONG4": [p.LONG4(b""), p.LONG4(b"\xff\x00"), p.LONG4(b"\x01" * 300)],
    "STRING": [p.STRING("'a'")],
    "BINSTRING": [p.BINSTRING("a\xe9")],
    "SHORT_BINSTRING": [p.SHORT_BINSTRING(""), p.SHORT_BINSTRING("a")],
    "BINBYTES": [p.BINBYTES(b"\xff")],
    "SHORT_BINBYTES": [p.SHORT_BINBYTES(b""), p.SHORT_BINBYTES(b"\xff")],
    "BINBYTES8": [p.BINBYTES8(b"\xff")],
    "BYTEARRAY8": [p.BYTEARRAY8(b"\xff")],
    "NEXT_BUFFER": [],
    "READONLY_BUFFER": [p.SHORT_BINBYTES(b"a") + p.READONLY_BUFFER],
    "NONE": [p.NONE],
    "NEWTRUE": [p.NEWTRUE],
    "NEWFALSE": [p.NEWFALSE],
    "UNICODE": [p.UNICODE("\\u20ac")],
    "SHORT_BINUNICODE": [p.SHORT_BINUNICODE("\u20ac")],
    "BINUNICODE": [p.BINUNICODE("\ud800")],
    "BINUNICODE8": [p.BINUNICODE8("")],
    "FLOAT": [p.FLOAT("-0.0")],
    "BINFLOAT": [p.BINFLOAT(1e-300), b"G\x7f\xf4\x00\x00\x00\x00\x00\x01"],
    "EMPTY_LIST": [p.EMPTY_LIST],
    "APPEND": [
        p.EMPTY_LIST + p.NONE + p.APPEND,
        MADE + p.NONE + p.APPEND,
        p.call("collections.deque") + p.NONE + p.APPEND,
    ],
    "APPENDS": [
        p.EMPTY_LIST + p.MARK + p.NONE + p.NEWTRUE + p.APPENDS,
        p.EMPTY_LIST + p.MARK + p.APPENDS,
        p.call("collections.deque", [1], 2) + p.MARK + p.NONE * 3 + p.APPENDS,
    ],
    "LIST": [p.MARK + p.LIST, p.MARK + p.NONE + p.NEWTRUE + p.LIST],
    "EMPTY_TUPLE": [p.EMPTY_TUPLE],
    "TUPLE": [p.MARK + p.TUPLE, p.MARK + p.NONE + p.NEWTRUE + p.TUPLE],
    "TUPLE1": [p.NONE + p.TUPLE1],
    "TUPLE2": [p.NONE + p.NEWTRUE + p.TUPLE2],
    "TUPLE3": [p.NONE + p.NEWTRUE + p.NEWFALSE + p.TUPLE3],
    "EMPTY_DICT": [p.EMPTY_DICT],
    "DICT": [p.MARK + p.DICT, p.MARK + p.NONE + p.NEWTRUE + p.DICT],
    "SETITEM": [
        p.EMPTY_DICT + p.NONE + p.NEWTRUE + p.SETITEM,
        MADE + p.EMPTY_LIST + p.NONE + p.SETITEM,
    ],
    "SETITEMS": [
        p.EMPTY_DICT
        + p.MARK
        + p.value("b")
        + p.NONE
        + p.value("a")
        + p.NONE
        + p.SETITEMS,
        # The first of two equal keys keeps its place, the second gives the value.
        p.EMPTY_DICT + p.MARK + p.value((1, 2, True, 3, 1.0, 4))[1:-1] + p.SETITEMS,
        p.EMPTY_DICT + p.MARK + p.SETITEMS,
    ],
    "EMPTY_SET": [p.EMPTY_SET],
    "ADDITEMS": [
        p.EMPTY_SET + p.MARK + p.NONE + p.NEWTRUE + p.ADDITEMS,
        MADE + p.MARK + p.NONE + p.ADDITEMS,
    ],
    "FROZENSET": [p.MARK + p.FROZENSET, p.MARK + p.NONE + p.NONE + p.FROZENSET],
    "POP": [p.NONE + p.NEWTRUE + p.POP, p.NONE + p.MARK + p.POP],
    "DUP": [p.EMPTY_LIST + p.DUP + p.TUPLE2],
    "MARK": [p.MARK + p.NONE],
    "POP_MARK": [p.NONE + p.MARK + p.NEWTRUE + p.POP_MARK],
    "GET": [p.EMPTY_LIST + p.PUT(5) + p.GET(5) + p.TUPLE2],
    "BINGET": [p.EMPTY_LIST + p.BINPUT(255) + p.BINGET(255) + p.TUPLE2],
    "LONG_BINGET": [p.EMPTY_LIST + p.LONG_BINPUT(300) + p.LONG_BINGET(300) + p.TUPLE2],
    "PUT": [p.NONE + p.PUT(70000)],
    "BINPUT": [p.NONE + p.BINPUT(0) + p.NEWTRUE + p.BINPUT(0) + p.BINGET(0) + p.TUPLE3],
    "LONG_BINPUT": [p.NONE + p.LONG_BINPUT(1 << 20)],
    "MEMOIZE": [
        p.EMPTY_LIST + p.MEMOIZE + p.EMPTY_DICT + p.MEMOIZE + p.BINGET(1) + p.TUPLE3,
        # The end of the memo is how many it holds, not the highest number.
        p.EMPTY_LIST + p.BINPUT(9) + p.EMPTY_DICT + p.MEMOIZE + p.BINGET(1) + p.TUPLE3,
    ],
    "EXT1": [],
    "EXT2": [],
    "EXT4": [],
    "GLOBAL": [NAME, NAME + NAME + p.TUPLE2, p.GLOBAL("__builtin__", "set")],
    "STACK_GLOBAL": [p.value("a.b") + p.value("c.d") + p.STACK_GLOBAL],
    "REDUCE": [MADE, NAME + p.args(1, [2]) + p.REDUCE, MADE + p.args(1) + p.REDUCE],
    "BUILD": [MADE + p.value({"x": 1}) + p.BUILD, MADE + p.value(5) + p.BUILD],
    "INST": [p.MARK + p.INST("a", "b"), p.MARK + p.NONE + p.NEWTRUE + p.INST("a", "b")],
    "OBJ": [p.MARK + NAME + p.OBJ, p.MARK + NAME + p.NONE + p.NEWTRUE + p.OBJ],
    "NEWOBJ": [NAME + p.EMPTY_TUPLE + p.NEWOBJ, NAME + p.args(1) + p.NEWOBJ],
    "NEWOBJ_EX": [
        NAME + p.args(1) + p.value({"k": 2}) + p.NEWOBJ_EX,
        NAME + p.args(1) + p.EMPTY_DICT + p.NEWOBJ_EX,
        NAME + p.args(1) + p.call("collections.OrderedDict") + p.NEWOBJ_EX,
        p.GLOBAL("builtins", "set") + p.EMPTY_TUPLE + p.EMPTY_DICT + p.NEWOBJ_EX,
    ],
    "PROTO": [p.PROTO(0) + p.NONE, p.PROTO(5) + p.NONE, p.NONE + p.PROTO(2)],
    "STOP": [p.NONE + p.NEWTRUE],
    "FRAME": [p.FRAME(2) + p.NONE, p.FRAME(0) + p.NONE],
    "PERSID": [p.PERSID("7"), p.PERSID("")],
    "BINPERSID": [p.args("storage", 1) + p.BINPERSID, p.NONE + p.BINPERSID],
}

#: Those that only mean something outside the pickle.
OUTSIDE = {"EXT1", "EXT2", "EXT4", "NEXT_BUFFER"}


def test_no_opcode_is_forgotten() -> None:
    assert list(STREAMS) == [row.name for row in OPCODES]
    assert {name for name, streams in STREAMS.items() if not streams} == OUTSIDE


@pytest.mark.parametrize("name", [name for name in STREAMS if name not in OUTSIDE])
def test_opcode(name: str) -> None:
    for stream in STREAMS[name]:
        data = p.pickle(stream)
        expected = facts(reference(data))
        assert facts(unpickle(data)) == expected
        # The same from a slice of a file, with other things before and after it.
        inside = memoryview(b"xyz" + data + b"\xff\xff")
        assert facts(unpickle(inside, position=3)) == expected


def test_where_the_next_pickle_begins() -> None:
    one, two = p.pickle(p.PROTO(2), p.EMPTY_LIST), p.pickle(p.BININT1(7))
    reader = machine(one + two)
    assert reader.load() == []
    assert reader.position == len(one)
    again = machine(one + two, position=reader.position)
    assert again.load() == 7
    assert again.position == len(one + two)


def test_protocols_are_told() -> None:
    trace = Trace()
    for stream in (
        p.PROTO(4) + p.NONE,
        p.NONE,
        p.NONE + p.PROTO(2),
        p.PROTO(255) + p.NONE,
    ):
        unpickle(p.pickle(stream), trace=trace)
    for stream in (p.PROTO(3)[:1], b""):
        with pytest.raises(CheckpointError):
            unpickle(stream, trace=trace)
    assert trace.protocols == [4, 0, 0, 255, 0, 0]


# ------------------------------------------------------------- beside C pickle


def test_only_we_take() -> None:
    made = unpickle(p.pickle(MADE, p.args(1), p.NEWOBJ))
    assert (made.name, made.args) == ("a.b()", (1,))
    # As torch's weights_only does.
    for data, value in (
        (p.pickle(p.PROTO(255), p.NONE), None),
        (p.pickle(p.GLOBAL("builtins", "set"), p.EMPTY_LIST, p.REDUCE), set()),
    ):
        with pytest.raises((ValueError, TypeError)):
            reference(data)
        assert unpickle(data) == value


#: What we say to that which only C pickle takes.
REFUSALS = re.compile("BUILD of a|APPEND to a|SETITEM on a|ADDITEMS to a|built twice")


def test_random_programs() -> None:
    both = 0
    for seed in range(1500):
        data = program(Random(seed), size=30)  # noqa: S311 - no secrets here
        ours, theirs = answer(unpickle, data), answer(reference, data)
        if ours == theirs:
            both += isinstance(ours, list)
        elif isinstance(theirs, list):
            assert REFUSALS.search(ours), (data, ours)
        else:
            assert not isinstance(ours, list), (data, theirs)
    assert both > 1000


def answer(read: Callable[[bytes], Any], data: bytes) -> Any:
    """What a reader makes of a pickle, or what it says."""
    try:
        return facts(read(data))
    except CheckpointError as error:
        return error.message
    except Exception as error:  # noqa: BLE001 - C pickle has many ways to say no
        return str(error)


# ------------------------------------------------------------- cut anywhere


def long_pickle(protocol: int) -> bytes:
    value = {
        "text": ["a\n", "\u20ac" * 300, b"b" * 300, bytearray(b"c")],
        "numbers": [1, -1, 300, 70000, 1 << 40, 1 << 3000, 1.5, True, None, 2 + 3j],
        "more": [(), (1,), (1, 2, 3, 4), {1}, frozenset({2}), OrderedDict(a=1)],
    }
    return pickle.dumps(value, protocol)


@pytest.mark.parametrize("protocol", range(6))
def test_cut_at_every_byte(protocol: int) -> None:
    data = long_pickle(protocol)
    expected = facts(unpickle(data))
    assert expected == facts(pickle.loads(data))
    for cut in range(len(data)):
        for part in (data[:cut], memoryview(data)[:cut]):
            with pytest.raises(CheckpointError) as refused:
                unpickle(part)
            assert refused.value.kind == "Truncated"
            assert refused.value.offset is not None
            assert refused.value.offset <= cut
    assert facts(unpickle(data + b"anything")) == expected


@pytest.mark.parametrize("name", [name for name in STREAMS if name not in OUTSIDE])
def test_every_opcode_cut(name: str) -> None:
    """Whatever is cut off an argument, the error says that it was."""
    for stream in STREAMS[name]:
        for cut in range(len(stream)):
            with pytest.raises(CheckpointError) as refused:
                unpickle(stream[:cut])
            assert refused.value.kind == "Truncated"
        with pytest.raises(CheckpointError) as refused:
            unpickle(stream)
        assert refused.value.kind == "Truncated"


# ------------------------------------------------------------- objects, arguments


def test_an_inert_object_keeps_everything() -> None:
    state = p.value({"x": [1]})
    items = p.MARK + p.value(1) + p.value(2) + p.APPENDS
    pairs = p.MARK + p.value("k") + p.value("v") + p.SETITEMS
    kwargs = p.value({"kw": 4})
    made = unpickle(
        p.pickle(NAME, p.args(3), kwargs, p.NEWOBJ_EX, items, pairs, state, p.BUILD)
    )
    assert type(made) is Object
    assert made.callee == Global("a", "b")
    assert made.name == "a.b"
    assert made.args == (3,)
    assert made.kwargs == {"kw": 4}
    assert made.state == {"x": [1]}
    assert made.listitems == [1, 2]
    assert made.dictitems == [("k", "v")]


def test_arguments_may_be_a_list() -> None:
    """torch's weights_only machine takes any iterable."""
    assert unpickle(p.pickle(NAME, p.value([1, 2]), p.REDUCE)).args == (1, 2)


def test_kwargs_keep_a_call_inert() -> None:
    """What we know to rebuild, we know without names for its arguments."""
    name = p.GLOBAL("collections", "OrderedDict")
    made = unpickle(p.pickle(name, p.EMPTY_TUPLE, p.value({"a": 1}), p.NEWOBJ_EX))
    assert type(made) is Object
    assert made.kwargs == {"a": 1}


def test_calls_are_counted() -> None:
    trace = Trace()
    streams = [
        *STREAMS["REDUCE"],
        *STREAMS["INST"],
        *STREAMS["OBJ"],
        *STREAMS["NEWOBJ"],
    ]
    for stream in streams:
        unpickle(p.pickle(stream), trace=trace)
    # An object that is called in turn has no name of its own.
    assert trace.calls == {"a.b": 9}


def test_states_of_other_forms() -> None:
    reader = machine(b"")
    assert reader.attributes(None) == {}
    assert reader.attributes((None, {"a": 1})) == {"a": 1}
    assert reader.attributes(({"a": 1}, {"a": 2})) == {"a": 2}
    others: list[Any] = [5, [], ((), {}), ({}, 5), ({}, {}, {})]
    for other in others:
        assert reader.attributes(other) is None
    with pytest.raises(Malformed, match="name is no string"):
        reader.attributes({1: 2})


# ------------------------------------------------------------- checks for later


def test_deferred_checks_know_where_they_came_from() -> None:
    reader = machine(p.pickle(p.NONE), base=100)
    ran: list[str] = []

    def fails() -> None:
        ran.append("second")
        raise Malformed("no good", phase="rebuild")

    def placed() -> None:
        raise Malformed("no good", phase="rebuild", offset=3, path="[0]")

    reader.stack = [{}, "w"]
    reader.position = 7
    reader.defer(lambda: ran.append("first"))
    reader.defer(fails)
    with pytest.raises(Malformed) as refused:
        reader.run_deferred()
    assert ran == ["first", "second"]
    assert str(refused.value) == "no good (rebuild, byte 107, at ['w'])"
    reader.deferred.clear()
    reader.defer(placed, start=9)
    with pytest.raises(Malformed) as refused:
        reader.run_deferred()
    assert (refused.value.offset, refused.value.path) == (3, "[0]")


def test_an_error_that_knows_its_place_keeps_it() -> None:
    def persistent_load(pid: Any) -> Any:
        raise Malformed("no good", offset=5, path="['elsewhere']")

    reader = machine(p.pickle(p.NONE, p.BINPERSID))
    reader.persistent_load = persistent_load
    with pytest.raises(Malformed) as refused:
        reader.load()
    assert str(refused.value) == "no good (container, byte 5, at ['elsewhere'])"


def test_a_budget_of_its_own_or_a_shared_one() -> None:
    limits = Limits(copies_base=10, copies_ratio=2)
    assert machine(b"12345", limits=limits).budget.left == 20
    assert machine(b"12345", limits=limits, position=3).budget.left == 14
    budget = Budget.of(limits)
    assert machine(b"12345", limits=limits, budget=budget).budget is budget
    assert budget.left == 10

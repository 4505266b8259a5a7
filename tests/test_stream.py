"""Pickles taken apart, against the standard library's own way of doing it."""

from __future__ import annotations

import pickle
import pickletools
from collections import OrderedDict
from typing import Any

import pytest

from conformance.corpus.stream import opcodes_of
from conformance.parser import Malformed, Truncated
from conformance.parser.opcodes import OPCODES

VALUES: list[Any] = [
    [1, 300, 2**70, 2**3000, -1.5, None, True],
    ["a", "é" * 300, "x\ny", b"x" * 300, bytearray(b"q")],
    OrderedDict([("a", {1: {2}, 3: frozenset([4])})]),
    (complex(1, 2), pickle.PickleError),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", VALUES)
def test_opcodes_are_those_of_pickletools(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    expected = [(row.name, place) for row, _, place in pickletools.genops(data)]
    found = list(opcodes_of(data + b"more"))
    assert [(row.name, start) for row, start, _ in found] == expected
    # Each begins where the one before ends, and the last ends the pickle.
    assert [stop for _, _, stop in found] == [
        *(start for _, start, _ in found[1:]),
        len(data),
    ]


#: An argument of each form.
ARGUMENTS = {
    "nothing": b"",
    "uint1": b"\1",
    "uint2": b"\1\0",
    "int4": b"\1\0\0\0",
    "uint4": b"\1\0\0\0",
    "uint8": b"\1" + bytes(7),
    "float8": bytes(8),
    "line": b"1\n",
    "two lines": b"a\nb\n",
    "counted1": b"\2ab",
    "counted4": b"\2\0\0\0ab",
    "counted8": b"\2" + bytes(7) + b"ab",
}


@pytest.mark.parametrize("row", OPCODES, ids=lambda row: row.name)
def test_every_opcode_is_known(row: Any) -> None:
    """With an argument such as pickletools would read."""
    argument = ARGUMENTS[row.argument.name]
    data = bytes([row.code]) + argument + b"."
    found = list(opcodes_of(data))
    assert (found[0][0].name, found[0][2]) == (row.name, 1 + len(argument))


@pytest.mark.parametrize("protocol", range(6))
def test_a_cut_pickle_is_truncated_wherever_it_is_cut(protocol: int) -> None:
    data = pickle.dumps(VALUES, protocol)
    whole = list(opcodes_of(data))
    for size in range(len(data)):
        inside = [row for row in whole if row[2] <= size]
        opcodes = opcodes_of(data[:size])
        assert [next(opcodes) for _ in inside] == inside
        with pytest.raises(Truncated) as caught:
            next(opcodes)
        assert caught.value.offset == (inside[-1][2] if inside else 0)


def test_a_byte_that_is_no_opcode_is_malformed() -> None:
    with pytest.raises(Malformed, match="0xff is no opcode") as caught:
        list(opcodes_of(b"\x80\x02N\xff."))
    assert caught.value.offset == 3


def test_it_may_begin_inside_other_bytes() -> None:
    first, second = pickle.dumps(1, 2), pickle.dumps([2], 2)
    data = memoryview(first + second)
    *_, (stop, _, end) = opcodes_of(data)
    assert (stop.name, end) == ("STOP", len(first))
    assert [row.name for row, _, _ in opcodes_of(data, end)] == [
        "PROTO", "EMPTY_LIST", "BINPUT", "BININT1", "APPEND", "STOP",
    ]  # fmt: skip


def test_a_count_that_no_file_could_hold_is_truncated() -> None:
    with pytest.raises(Truncated, match="inside BINSTRING's argument"):
        list(opcodes_of(b"T\xff\xff\xff\xffabc."))

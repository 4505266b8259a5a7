"""The opcode table, row by row, against `pickletools`."""

from __future__ import annotations

import pickletools

import pytest

from conformance.parser import opcodes
from conformance.parser.execute import DISPATCH
from conformance.parser.opcodes import BY_CODE, OPCODES, Opcode

THEIRS = {row.name: row for row in pickletools.opcodes}

#: pickletools' names of arguments, and ours.
ARGUMENTS = {
    None: opcodes.NOTHING,
    "uint1": opcodes.UINT1,
    "uint2": opcodes.UINT2,
    "int4": opcodes.INT4,
    "uint4": opcodes.UINT4,
    "uint8": opcodes.UINT8,
    "float8": opcodes.FLOAT8,
    "decimalnl_short": opcodes.LINE,
    "decimalnl_long": opcodes.LINE,
    "floatnl": opcodes.LINE,
    "stringnl": opcodes.LINE,
    "stringnl_noescape": opcodes.LINE,
    "unicodestringnl": opcodes.LINE,
    "stringnl_noescape_pair": opcodes.TWO_LINES,
    "long1": opcodes.COUNTED1,
    "string1": opcodes.COUNTED1,
    "bytes1": opcodes.COUNTED1,
    "unicodestring1": opcodes.COUNTED1,
    "long4": opcodes.COUNTED4,
    "string4": opcodes.COUNTED4,
    "bytes4": opcodes.COUNTED4,
    "unicodestring4": opcodes.COUNTED4,
    "bytes8": opcodes.COUNTED8,
    "bytearray8": opcodes.COUNTED8,
    "unicodestring8": opcodes.COUNTED8,
}

#: pickletools' names of what lies on the stack, and ours.
VALUES = {
    "stackslice": "...",
    "int_or_bool": "int",
    "bytes_or_str": "str",
}

#: Where we say more than "any" of a value.
ANY = {"value", "key", "state", "global", "tuple", "dict", "pid"}

#: pickletools says nothing of the value that these keep; without one they fail.
NEEDS_A_VALUE = {"PUT", "BINPUT", "LONG_BINPUT"}


def test_every_opcode_once() -> None:
    assert len(OPCODES) == len(BY_CODE) == len(THEIRS) == 68
    assert {row.name for row in OPCODES} == set(THEIRS)


@pytest.mark.parametrize("row", OPCODES, ids=lambda row: row.name)
def test_row(row: Opcode) -> None:
    theirs = THEIRS[row.name]
    assert row.code == ord(theirs.code)
    assert row.proto == theirs.proto
    assert row.argument == ARGUMENTS[theirs.arg.name if theirs.arg else None]
    before = [value.name for value in theirs.stack_before]
    after = [value.name for value in theirs.stack_after]
    if row.name in NEEDS_A_VALUE:
        assert not before
        assert not after
        before = after = ["any"]
    same_effect(row.before, before)
    same_effect(row.after, after)


def same_effect(ours: str, theirs: list[str]) -> None:
    words = ours.split()
    assert len(words) == len(theirs)
    for word, their in zip(words, theirs, strict=True):
        assert word == VALUES.get(their, their) or (their == "any" and word in ANY)


@pytest.mark.parametrize("row", OPCODES, ids=lambda row: row.name)
def test_sizes(row: Opcode) -> None:
    """Our sizes are the ones that pickletools reads."""
    arg = THEIRS[row.name].arg
    if arg is None:
        assert row.argument == opcodes.NOTHING
    elif arg.n == pickletools.UP_TO_NEWLINE:
        assert row.argument.lines
        assert not row.argument.size
    elif row.argument.counted:
        count = {
            pickletools.TAKEN_FROM_ARGUMENT1: 1,
            pickletools.TAKEN_FROM_ARGUMENT4: 4,
            pickletools.TAKEN_FROM_ARGUMENT4U: 4,
            pickletools.TAKEN_FROM_ARGUMENT8U: 8,
        }
        assert row.argument.size == count[arg.n]
    else:
        assert row.argument.size == arg.n


def test_a_function_for_each_row() -> None:
    """Found by its name; every other byte leads to the protocol error."""
    handlers = {row.code: DISPATCH[row.code] for row in OPCODES}
    for row in OPCODES:
        assert handlers[row.code].__name__ == f"_{row.name.lower()}"
    rest = {DISPATCH[code] for code in range(256) if code not in BY_CODE}
    assert [handler.__name__ for handler in rest] == ["_unknown"]

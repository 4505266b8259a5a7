"""The opcode table: all of pickle, protocols 0 to 5, one row per opcode.

Executable documentation: the machine in `unpickler.py` has one function per
row and is built from this table, and whatever takes pickles apart reads the
same rows. Source: PEP 3154, PEP 574 and CPython's Lib/pickletools.py; the tests
compare every row with pickletools.

Theory of operation. A pickle is a program for a small stack machine. It has a
*stack*, whose last value at STOP is the answer; *marks*, which remember the
height of the stack so that an opcode can take "everything since the mark"; and
a *memo*, a numbered shelf that lets a value be used again, which is how shared
and recursive values come back. Three opcodes look outwards: GLOBAL (and its
kin) names something, REDUCE (and its kin) would call it, and PERSID hands a
*persistent id* to the container, which in a checkpoint means "this storage".
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Argument(NamedTuple):
    """What follows an opcode in the stream.

    `size` is a fixed number of bytes; or the size in bytes of a little-endian
    count that is followed by as many bytes (`counted`); or, with `lines`, that
    many lines, each ended by a newline.
    """

    name: str
    size: int = 0
    counted: bool = False
    lines: int = 0


NOTHING: Final = Argument("nothing")
UINT1: Final = Argument("uint1", 1)
UINT2: Final = Argument("uint2", 2)
INT4: Final = Argument("int4", 4)
UINT4: Final = Argument("uint4", 4)
UINT8: Final = Argument("uint8", 8)
FLOAT8: Final = Argument("float8", 8)
LINE: Final = Argument("line", lines=1)
TWO_LINES: Final = Argument("two lines", lines=2)
COUNTED1: Final = Argument("counted1", 1, counted=True)
COUNTED4: Final = Argument("counted4", 4, counted=True)
COUNTED8: Final = Argument("counted8", 8, counted=True)


class Opcode(NamedTuple):
    """A row: `before` and `after` are the stack's top, rightmost last.

    `mark` stands for the mark and `...` for the values since it.
    """

    name: str
    code: int
    argument: Argument
    before: str
    after: str
    proto: int
    doc: str


def _row(
    name: str,
    code: str,
    argument: Argument,
    before: str,
    after: str,
    proto: int,
    doc: str,
) -> Opcode:
    return Opcode(name, ord(code), argument, before, after, proto, doc)


OPCODES: Final[tuple[Opcode, ...]] = (
    # Integers.
    _row("INT", "I", LINE, "", "int", 0, "decimal text; 00 and 01 are bools"),
    _row("BININT", "J", INT4, "", "int", 1, "signed"),
    _row("BININT1", "K", UINT1, "", "int", 1, "unsigned"),
    _row("BININT2", "M", UINT2, "", "int", 1, "unsigned"),
    _row("LONG", "L", LINE, "", "int", 0, "decimal text, with or without an L"),
    _row("LONG1", "\x8a", COUNTED1, "", "int", 2, "two's complement, little-endian"),
    _row("LONG4", "\x8b", COUNTED4, "", "int", 2, "the same; the count is signed"),
    # Strings of bytes, of Python 2 and of Python 3.
    _row("STRING", "S", LINE, "", "str", 0, "quoted, escaped; decoded by encoding"),
    _row("BINSTRING", "T", COUNTED4, "", "str", 1, "decoded; the count is signed"),
    _row("SHORT_BINSTRING", "U", COUNTED1, "", "str", 1, "decoded by encoding"),
    _row("BINBYTES", "B", COUNTED4, "", "bytes", 3, ""),
    _row("SHORT_BINBYTES", "C", COUNTED1, "", "bytes", 3, ""),
    _row("BINBYTES8", "\x8e", COUNTED8, "", "bytes", 4, ""),
    _row("BYTEARRAY8", "\x96", COUNTED8, "", "bytearray", 5, ""),
    _row("NEXT_BUFFER", "\x97", NOTHING, "", "buffer", 5, "out of band: never here"),
    _row("READONLY_BUFFER", "\x98", NOTHING, "buffer", "buffer", 5, ""),
    # None, bools, floats, text.
    _row("NONE", "N", NOTHING, "", "None", 0, ""),
    _row("NEWTRUE", "\x88", NOTHING, "", "bool", 2, ""),
    _row("NEWFALSE", "\x89", NOTHING, "", "bool", 2, ""),
    _row("UNICODE", "V", LINE, "", "str", 0, "raw-unicode-escape"),
    _row("SHORT_BINUNICODE", "\x8c", COUNTED1, "", "str", 4, "UTF-8, surrogates pass"),
    _row("BINUNICODE", "X", COUNTED4, "", "str", 1, "UTF-8, surrogates pass"),
    _row("BINUNICODE8", "\x8d", COUNTED8, "", "str", 4, "UTF-8, surrogates pass"),
    _row("FLOAT", "F", LINE, "", "float", 0, "decimal text"),
    _row("BINFLOAT", "G", FLOAT8, "", "float", 1, "big-endian"),
    # Lists, tuples, dicts, sets.
    _row("EMPTY_LIST", "]", NOTHING, "", "list", 1, ""),
    _row("APPEND", "a", NOTHING, "list value", "list", 0, ""),
    _row("APPENDS", "e", NOTHING, "list mark ...", "list", 1, ""),
    _row("LIST", "l", NOTHING, "mark ...", "list", 0, ""),
    _row("EMPTY_TUPLE", ")", NOTHING, "", "tuple", 1, ""),
    _row("TUPLE", "t", NOTHING, "mark ...", "tuple", 0, ""),
    _row("TUPLE1", "\x85", NOTHING, "value", "tuple", 2, ""),
    _row("TUPLE2", "\x86", NOTHING, "value value", "tuple", 2, ""),
    _row("TUPLE3", "\x87", NOTHING, "value value value", "tuple", 2, ""),
    _row("EMPTY_DICT", "}", NOTHING, "", "dict", 1, ""),
    _row("DICT", "d", NOTHING, "mark ...", "dict", 0, ""),
    _row("SETITEM", "s", NOTHING, "dict key value", "dict", 0, ""),
    _row("SETITEMS", "u", NOTHING, "dict mark ...", "dict", 1, ""),
    _row("EMPTY_SET", "\x8f", NOTHING, "", "set", 4, ""),
    _row("ADDITEMS", "\x90", NOTHING, "set mark ...", "set", 4, ""),
    _row("FROZENSET", "\x91", NOTHING, "mark ...", "frozenset", 4, ""),
    # The stack and the memo.
    _row("POP", "0", NOTHING, "value", "", 0, "drops a mark if that is on top"),
    _row("DUP", "2", NOTHING, "value", "value value", 0, ""),
    _row("MARK", "(", NOTHING, "", "mark", 0, ""),
    _row("POP_MARK", "1", NOTHING, "mark ...", "", 1, ""),
    _row("GET", "g", LINE, "", "value", 0, "from the memo"),
    _row("BINGET", "h", UINT1, "", "value", 1, "from the memo"),
    _row("LONG_BINGET", "j", UINT4, "", "value", 1, "from the memo"),
    _row("PUT", "p", LINE, "value", "value", 0, "to the memo"),
    _row("BINPUT", "q", UINT1, "value", "value", 1, "to the memo"),
    _row("LONG_BINPUT", "r", UINT4, "value", "value", 1, "to the memo"),
    _row("MEMOIZE", "\x94", NOTHING, "value", "value", 4, "to the memo's end"),
    # Names, and what would be called.
    _row("EXT1", "\x82", UINT1, "", "value", 2, "copyreg extension registry"),
    _row("EXT2", "\x83", UINT2, "", "value", 2, "copyreg extension registry"),
    _row("EXT4", "\x84", INT4, "", "value", 2, "copyreg extension registry"),
    _row("GLOBAL", "c", TWO_LINES, "", "global", 0, "module, name"),
    _row("STACK_GLOBAL", "\x93", NOTHING, "str str", "global", 4, "module, name"),
    _row("REDUCE", "R", NOTHING, "global tuple", "value", 0, "callee(*args)"),
    _row("BUILD", "b", NOTHING, "value state", "value", 0, "value.__setstate__"),
    _row("INST", "i", TWO_LINES, "mark ...", "value", 0, "GLOBAL and OBJ in one"),
    _row("OBJ", "o", NOTHING, "mark global ...", "value", 1, "cls(*args)"),
    _row("NEWOBJ", "\x81", NOTHING, "global tuple", "value", 2, "cls.__new__"),
    _row("NEWOBJ_EX", "\x92", NOTHING, "global tuple dict", "value", 4, "with kwargs"),
    # The stream itself, and what lies outside it.
    _row("PROTO", "\x80", UINT1, "", "", 2, "the protocol's number"),
    _row("STOP", ".", NOTHING, "value", "", 0, "the end"),
    _row("FRAME", "\x95", UINT8, "", "", 4, "the size of what follows"),
    _row("PERSID", "P", LINE, "", "value", 0, "a persistent id, as text"),
    _row("BINPERSID", "Q", NOTHING, "pid", "value", 1, "a persistent id"),
)

BY_CODE: Final[dict[int, Opcode]] = {row.code: row for row in OPCODES}

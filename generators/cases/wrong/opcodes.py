"""One case for each opcode of pickle, and for what is easily forgotten of one."""

from __future__ import annotations

import pickle
import struct

from ...handmade import archive, floats, storage, tensor, value
from ..registry import written
from .streams import counted, stream, whole, word

ORDERED_DICT = pickle.GLOBAL + b"collections\nOrderedDict\n"


def _long(opcode: bytes, number: int, size: int) -> bytes:
    return counted(opcode, number.to_bytes(size, "little", signed=True))


NUMBERS = {
    "int": ("INT", b"I-7\n", "an integer in decimal digits"),
    "int_true": ("INT", b"I01\n", "the digits 01, which stand for True"),
    "int_false": ("INT", b"I00\n", "the digits 00, which stand for False"),
    "binint": ("BININT", b"J" + struct.pack("<i", -2), "an integer of four bytes"),
    "binint1": ("BININT1", b"K\xff", "an integer of one byte, without a sign"),
    "binint2": ("BININT2", b"M\xfe\xff", "an integer of two bytes, without a sign"),
    "long": ("LONG", b"L-12345678901234567890L\n", "decimal digits and an L"),
    "long_plain": ("LONG", b"L7\n", "decimal digits without an L"),
    "long1": ("LONG1", _long(pickle.LONG1, -(1 << 70), 9), "an integer of nine bytes"),
    "long1_empty": ("LONG1", counted(pickle.LONG1, b""), "zero, in no bytes at all"),
    "long1_padded": (
        "LONG1", _long(pickle.LONG1, -1, 16), "-1 in sixteen bytes, where one would do",
    ),
    "long1_longest": (
        "LONG1", _long(pickle.LONG1, -(1 << 2038), 255), "an integer of 255 bytes",
    ),
    "long4": ("LONG4", _long(pickle.LONG4, 1 << 70, 9), "an integer of nine bytes"),
    "long4_empty": ("LONG4", counted(pickle.LONG4, b""), "zero, in no bytes at all"),
    "float": ("FLOAT", b"F-0.1\n", "a float as text"),
    "float_exponent": ("FLOAT", b"F1e-320\n", "a subnormal float as text"),
    "float_inf": ("FLOAT", b"F-inf\n", "minus infinity as text"),
    "float_nan": ("FLOAT", b"Fnan\n", "NaN as text"),
    "binfloat": ("BINFLOAT", b"G" + struct.pack(">d", -0.0), "minus zero, big-endian"),
    "binfloat_payload": (
        "BINFLOAT", b"G\xff\xf8\0\0\0\0\1\2", "a NaN with a sign and a payload",
    ),
}  # fmt: skip


@written("opcode:{opcode}", label="built", each=NUMBERS)
def number(opcode: str, program: bytes, shows: str) -> bytes:
    """{opcode}: {shows}."""
    return stream(program)


TEXTS = {
    "string": ("STRING", rb"S'a\x42\n\101\'\\\q'" + b"\n", "every kind of escape"),
    "string_double": ("STRING", b'S"it\'s"\n', "text in double quotes"),
    "binstring": (
        "BINSTRING", counted(pickle.BINSTRING, b"ab"), "Python 2's text, up to 2 GB",
    ),
    "short_binstring": (
        "SHORT_BINSTRING", counted(pickle.SHORT_BINSTRING, "grün".encode()),
        "Python 2's text, which is UTF-8 unless the reader is told otherwise",
    ),
    "unicode": ("UNICODE", rb"V\u00fcber \\ \q" + b"\n", "text with escapes"),
    "unicode_latin1": ("UNICODE", b"V\xfcber\n", "text with a byte that is Latin-1"),
    "short_binunicode": ("SHORT_BINUNICODE", word("grün"), "text of up to 255 bytes"),
    "binunicode": (
        "BINUNICODE", counted(pickle.BINUNICODE, "grün".encode()), "text as UTF-8",
    ),
    "binunicode_surrogate": (
        "BINUNICODE", counted(pickle.BINUNICODE, b"\xed\xa0\x80"),
        "half of a surrogate pair, which strict UTF-8 does not know",
    ),
    "binunicode_nul": (
        "BINUNICODE", counted(pickle.BINUNICODE, b"a\0b"), "text with a NUL in it",
    ),
    "binunicode_empty": (
        "BINUNICODE", counted(pickle.BINUNICODE, b""), "text of no characters",
    ),
    "binunicode8": (
        "BINUNICODE8", counted(pickle.BINUNICODE8, b"ab"), "text, its size in 64 bits",
    ),
    "binbytes": ("BINBYTES", counted(pickle.BINBYTES, b"\0\xff"), "bytes"),
    "short_binbytes": (
        "SHORT_BINBYTES", counted(pickle.SHORT_BINBYTES, b"\0\xff"), "up to 255 bytes",
    ),
    "binbytes8": (
        "BINBYTES8", counted(pickle.BINBYTES8, b"\0\xff"), "bytes, the size in 64 bits",
    ),
    "bytearray8": (
        "BYTEARRAY8", counted(pickle.BYTEARRAY8, b"\0\xff"), "a bytearray",
    ),
    "readonly_buffer": (
        "READONLY_BUFFER",
        counted(pickle.SHORT_BINBYTES, b"a") + pickle.READONLY_BUFFER,
        "bytes made read-only, which they are already",
    ),
}  # fmt: skip


@written("opcode:{opcode}", label="built", each=TEXTS)
def text(opcode: str, program: bytes, shows: str) -> bytes:
    """{opcode}: {shows}."""
    return stream(program)


CONTAINERS = {
    "none": ("NONE", b"N", "None"),
    "newtrue": ("NEWTRUE", b"\x88", "True"),
    "newfalse": ("NEWFALSE", b"\x89", "False"),
    "empty_list": ("EMPTY_LIST", b"]", "a list of nothing"),
    "append": ("APPEND", b"]K\1aK\2a", "a list of two, one after the other"),
    "appends": ("APPENDS", b"](K\1K\2e", "a list of two at once"),
    "appends_nothing": ("APPENDS", b"](e", "a list to which nothing is appended"),
    "list": ("LIST", b"(K\1K\2l", "a list of all that is above the mark"),
    "empty_tuple": ("EMPTY_TUPLE", b")", "a tuple of nothing"),
    "tuple": ("TUPLE", b"(K\1K\2K\3K\4t", "a tuple of all that is above the mark"),
    "tuple1": ("TUPLE1", b"K\1\x85", "a tuple of one"),
    "tuple2": ("TUPLE2", b"K\1K\2\x86", "a tuple of two"),
    "tuple3": ("TUPLE3", b"K\1K\2K\3\x87", "a tuple of three"),
    "empty_dict": ("EMPTY_DICT", b"}", "a dict of nothing"),
    "dict": ("DICT", b"(K\1K\2K\3K\4d", "a dict of all that is above the mark"),
    "setitem": ("SETITEM", b"}K\1K\2s", "a dict of one item"),
    "setitem_again": ("SETITEM", b"}K\1K\2sK\1K\3s", "a key that is set twice"),
    "setitems": ("SETITEMS", b"}(K\1K\2K\3K\4u", "a dict of two items at once"),
    "setitems_nothing": ("SETITEMS", b"}(u", "a dict in which nothing is set"),
    "setitems_equal": (
        "SETITEMS", b"}(K\1K\2\x88K\3G" + struct.pack(">d", 1.0) + b"K\4u",
        "the keys 1, True and 1.0, which are one: the first key, the last value",
    ),
    "empty_set": ("EMPTY_SET", b"\x8f", "a set of nothing"),
    "additems": ("ADDITEMS", b"\x8f(K\1K\2\x90", "a set of two"),
    "additems_equal": ("ADDITEMS", b"\x8f(K\1\x88\x90", "1 and True, which are one"),
    "frozenset": ("FROZENSET", b"(K\1K\2\x91", "a frozenset of two"),
}  # fmt: skip


@written("opcode:{opcode}", label="built", each=CONTAINERS)
def container(opcode: str, program: bytes, shows: str) -> bytes:
    """{opcode}: {shows}."""
    return stream(program)


STACK = {
    "pop": ("POP", b"K\1K\x020", "the value on top is dropped"),
    "pop_mark_on_top": ("POP", b"K\1(0", "a mark on top is dropped like a value"),
    "dup": ("DUP", b"]2\x86", "one list, twice in a tuple"),
    "mark": ("MARK", b"(K\1(K\2tt", "a tuple in a tuple, each with a mark of its own"),
    "mark_left_open": ("MARK", b"(K\1", "a mark that nothing closes before the end"),
    "pop_mark": ("POP_MARK", b"K\1(K\2K\x031", "all above the mark is dropped"),
    "get": ("GET", b"]p0\ng0\n\x86", "one list, twice in a tuple"),
    "binget": ("BINGET", b"]q\xffh\xff\x86", "one list, twice in a tuple"),
    "long_binget": (
        "LONG_BINGET", b"]r\0\1\0\0j\0\1\0\0\x86", "one list, twice in a tuple",
    ),
    "put": ("PUT", b"]p1000\ng1000\n\x86", "a memo index of four digits"),
    "binput": ("BINPUT", b"K\1q\0K\2q\0h\0\x87", "a memo index that is used again"),
    "binput_before_filled": (
        "BINPUT", b"]q\0K\1ah\0K\2a\x86", "a list that is filled after BINPUT",
    ),
    "long_binput": (
        "LONG_BINPUT", b"]r\0\0\1\0j\0\0\1\0\x86", "index 65,536 in an empty memo",
    ),
    "memoize": ("MEMOIZE", b"]\x94h\0\x86", "one list, twice in a tuple"),
    "memoize_counts": (
        "MEMOIZE", b"K\5q\7K\6\x94h\1\x87",
        "the next index is the number of those that are used, not the largest",
    ),
}  # fmt: skip


@written("opcode:{opcode}", label="built", each=STACK)
def stack(opcode: str, program: bytes, shows: str) -> bytes:
    """{opcode}: {shows}."""
    return stream(program)


CALLS = {
    "global": ("GLOBAL", ORDERED_DICT, "a class as a value"),
    "global_of_python_2": (
        "GLOBAL", b"c__builtin__\nset\n]K\1a\x85R",
        "a module as Python 2 calls it, whatever protocol the pickle says",
    ),
    "stack_global": (
        "STACK_GLOBAL", word("collections") + word("OrderedDict") + b"\x93",
        "a class whose module and name are values on the stack",
    ),
    "stack_global_of_memo": (
        "STACK_GLOBAL",
        word("collections") + b"\x94" + word("Counter") + b"\x94\x93"
        + b"h\0" + word("OrderedDict") + b"\x93\x86",
        "a module's name that comes from the memo the second time",
    ),
    "reduce": ("REDUCE", ORDERED_DICT + b")R", "an OrderedDict, called"),
    "reduce_with_items": (
        "REDUCE", ORDERED_DICT + b"]K\1K\2\x86a\x85R", "an OrderedDict of pairs",
    ),
    "build": ("BUILD", ORDERED_DICT + b")R}X\1\0\0\0aK\1sb", "an attribute is set"),
    "inst": ("INST", b"(icollections\nOrderedDict\n", "name and arguments in one"),
    "obj": ("OBJ", b"(" + ORDERED_DICT + b"o", "the class is above the mark"),
    "newobj": ("NEWOBJ", ORDERED_DICT + b")\x81", "an instance, not initialised"),
    "newobj_fills_nothing": (
        "NEWOBJ", ORDERED_DICT + b"]K\1K\2\x86a\x85\x81",
        "pairs for an OrderedDict that only __init__ would take",
    ),
    "newobj_ex": ("NEWOBJ_EX", ORDERED_DICT + b")}\x92", "with no keywords"),
}  # fmt: skip


@written("opcode:{opcode}", label="built", each=CALLS)
def call(opcode: str, program: bytes, shows: str) -> bytes:
    """{opcode}: {shows}."""
    return stream(program)


@written("opcode:NEWOBJ_EX", label="built", flags=("weights-only-refuses",))
def call_newobj_ex_keywords() -> bytes:
    """NEWOBJ_EX: keywords for a class that the reader may not know."""
    callee = pickle.GLOBAL + b"uuid\nUUID\n"
    return stream(callee, value(()), value({"int": 7}), pickle.NEWOBJ_EX)


@written("opcode:BINPERSID", label="built")
def call_binpersid() -> bytes:
    """BINPERSID: a storage, by a tuple that the archive understands."""
    weight = tensor(storage("FloatStorage", 2), (2,))
    return archive({"weight": weight}, {"0": floats(1.0, 2.0)})


FRAMES = {
    "proto": ("PROTO", b"\x80\2N.", "the number 2, as torch writes it"),
    "proto_absent": ("NONE", b"N.", "no PROTO at all, as before protocol 2"),
    "proto_zero": ("PROTO", b"\x80\0N.", "the number 0, which nobody writes"),
    "proto_later": ("PROTO", b"\x80\2]\x80\2N\x80\2a.", "PROTO between other opcodes"),
    "proto_changes": ("PROTO", b"\x80\2\x80\5N.", "two numbers, one after the other"),
    "stop": ("STOP", b"\x80\2N.", "the value on top is the answer"),
    "stop_with_more": ("STOP", b"\x80\2K\1K\2K\3.", "two values are left below"),
    "stop_then_data": ("STOP", b"\x80\2K\1.K\2.\xff", "bytes after it do not count"),
    "frame": (
        "FRAME", b"\x80\4\x95" + struct.pack("<Q", 3) + b"]\x94.",
        "a frame around all opcodes",
    ),
    "frame_empty": ("FRAME", b"\x80\4\x95" + bytes(8) + b"N.", "a frame of no bytes"),
    "frames": (
        "FRAME",
        b"\x80\4\x95" + struct.pack("<Q", 1) + b"]"
        + b"\x95" + struct.pack("<Q", 3) + b"K\1a" + b".",
        "two frames, and an opcode after them",
    ),
}  # fmt: skip


@written("opcode:{opcode}", label="built", each=FRAMES)
def program(opcode: str, opcodes: bytes, shows: str) -> bytes:
    """{opcode}: {shows}."""
    return whole(opcodes)


NOWHERE = {
    "ext1": ("EXT1", b"\x82\1", "code 1 of a registry that only a program has"),
    "ext2": ("EXT2", b"\x83\0\1", "code 256 of a registry that only a program has"),
    "ext4": ("EXT4", b"\x84\0\0\1\0", "code 65,536 of a registry of some program"),
    "ext1_zero": ("EXT1", b"\x82\0", "code 0, which no registry can have"),
    "ext4_negative": ("EXT4", b"\x84\xff\xff\xff\xff", "a code below zero"),
    "next_buffer": ("NEXT_BUFFER", b"\x97", "a buffer outside the pickle"),
    "persid": ("PERSID", b"Pabc\n", "an id as text, where an archive needs a tuple"),
}


@written(
    "opcode:{opcode}", label="built", each=NOWHERE, verdict="invalid", phase="pickle"
)
def outside(opcode: str, program: bytes, shows: str) -> bytes:
    """{opcode}: {shows}."""
    return stream(program)

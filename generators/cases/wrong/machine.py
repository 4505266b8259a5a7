"""Pickles that the machine must refuse: stack, memo, types, sizes, text, ids."""

from __future__ import annotations

import pickle
import struct
from typing import Any, Final

from ...handmade import Piece, archive, dump, floats, legacy, name, storage, value
from ..files.tarring import Shown, members, number, tar
from ..readers.threads import issues
from ..registry import LEDGER, written
from .streams import counted, stream, word

ORDERED_DICT: Final = pickle.GLOBAL + b"collections\nOrderedDict\n"
INVALID: Final[dict[str, Any]] = {
    "label": "built",
    "verdict": "invalid",
    "phase": "pickle",
}
STACK: Final[dict[str, Any]] = {**INVALID, "flags": ("stack",)}

# ----------------------------------------------------------- the stack and marks

UNDERFLOW = {
    "append": ("APPEND", b"]a"),
    "appends": ("APPENDS", b"(K\1e"),
    "setitem": ("SETITEM", b"}K\1s"),
    "setitems": ("SETITEMS", b"(K\1K\2u"),
    "additems": ("ADDITEMS", b"(K\1\x90"),
    "tuple1": ("TUPLE1", b"\x85"),
    "tuple2": ("TUPLE2", b"K\1\x86"),
    "tuple3": ("TUPLE3", b"K\1K\2\x87"),
    "pop": ("POP", b"0"),
    "dup": ("DUP", b"2"),
    "put": ("PUT", b"p0\n"),
    "binput": ("BINPUT", b"q\0"),
    "long_binput": ("LONG_BINPUT", b"r\0\0\0\0"),
    "memoize": ("MEMOIZE", b"\x94"),
    "readonly_buffer": ("READONLY_BUFFER", b"\x98"),
    "stack_global": ("STACK_GLOBAL", word("OrderedDict") + b"\x93"),
    "reduce": ("REDUCE", b")R"),
    "build": ("BUILD", b"}b"),
    "obj": ("OBJ", b"(o"),
    "newobj": ("NEWOBJ", b")\x81"),
    "newobj_ex": ("NEWOBJ_EX", b")}\x92"),
    "binpersid": ("BINPERSID", b"Q"),
    "stop": ("STOP", b""),
}


@written(
    "opcode:{opcode}", each=UNDERFLOW, links=issues("pytorch/pytorch", 127525), **STACK
)
def stack_too_short_for(opcode: str, program: bytes) -> bytes:
    """{opcode} where the stack holds one value less than it takes."""
    return stream(program)


BELOW_MARK = {
    "append": ("APPEND", b"](K\1a"),
    "setitem": ("SETITEM", b"}(K\1K\2s"),
    "tuple1": ("TUPLE1", b"K\1(\x85"),
    "tuple2": ("TUPLE2", b"K\1(K\2\x86"),
    "dup": ("DUP", b"K\1(2"),
    "binput": ("BINPUT", b"K\1(q\0"),
    "memoize": ("MEMOIZE", b"K\1(\x94"),
    "reduce": ("REDUCE", ORDERED_DICT + b"()R"),
    "build": ("BUILD", ORDERED_DICT + b")R(}b"),
    "newobj": ("NEWOBJ", ORDERED_DICT + b"()\x81"),
    "binpersid": ("BINPERSID", b"K\1(Q"),
    "stop": ("STOP", b"K\1("),
}


@written("opcode:{opcode}", each=BELOW_MARK, **STACK)
def below_the_mark(opcode: str, program: bytes) -> bytes:
    """{opcode} whose values lie on both sides of a mark."""
    return stream(program)


NO_MARK = {
    "appends": ("APPENDS", b"]K\1e"),
    "list": ("LIST", b"K\1l"),
    "tuple": ("TUPLE", b"K\1t"),
    "dict": ("DICT", b"K\1K\2d"),
    "setitems": ("SETITEMS", b"}K\1K\2u"),
    "additems": ("ADDITEMS", b"\x8fK\1\x90"),
    "frozenset": ("FROZENSET", b"K\1\x91"),
    "pop_mark": ("POP_MARK", b"K\x011"),
    "inst": ("INST", b"icollections\nOrderedDict\n"),
    "obj": ("OBJ", ORDERED_DICT + b"o"),
    "tuple_twice": ("TUPLE", b"(tt"),
}


@written("opcode:{opcode}", each=NO_MARK, **STACK)
def no_mark_for(opcode: str, program: bytes) -> bytes:
    """{opcode} where no mark is open."""
    return stream(program)


MEMO = {
    "get": ("GET", b"]p0\ng1\n"),
    "binget": ("BINGET", b"]q\0h\1"),
    "binget_first": ("BINGET", b"h\0"),
    "long_binget": ("LONG_BINGET", b"]q\0j\0\1\0\0"),
    "long_binget_largest": ("LONG_BINGET", b"]q\0j\xff\xff\xff\xff"),
    "get_between": ("GET", b"]p0\np2\ng1\n"),
}


@written("opcode:{opcode}", each=MEMO, **STACK)
def not_in_the_memo(opcode: str, program: bytes) -> bytes:
    """{opcode} of an index at which nothing is in the memo."""
    return stream(program)


# ------------------------------------------------------------------- wrong values

KINDS = {
    "append_to_none": ("APPEND", b"NK\1a", "appends to None"),
    "append_to_tuple": ("APPEND", b")K\1a", "appends to a tuple"),
    "append_to_dict": ("APPEND", b"}K\1a", "appends to a dict"),
    "append_to_int": ("APPEND", b"K\1K\2a", "appends to an int"),
    "appends_to_dict": ("APPENDS", b"}(K\1e", "appends to a dict"),
    "appends_to_set": ("APPENDS", b"\x8f(K\1e", "appends to a set"),
    "setitem_on_none": ("SETITEM", b"NK\1K\2s", "sets an item of None"),
    "setitem_on_tuple": ("SETITEM", b"K\1\x85K\0K\2s", "sets an item of a tuple"),
    "setitem_on_empty_list": ("SETITEM", b"]K\0K\2s", "sets an item of a list"),
    "setitems_on_set": ("SETITEMS", b"\x8f(K\0K\2u", "sets an item of a set"),
    "setitems_odd": ("SETITEMS", b"}(K\1K\2K\3u", "has a key without a value"),
    "dict_odd": ("DICT", b"(K\1K\2K\3d", "has a key without a value"),
    "additems_to_list": ("ADDITEMS", b"](K\1\x90", "adds to a list"),
    "additems_to_frozenset": ("ADDITEMS", b"(\x91(K\1\x90", "adds to a frozenset"),
    "setitem_list_as_key": ("SETITEM", b"}]K\1s", "has a list as a key"),
    "setitem_dict_in_key": ("SETITEM", b"}}\x85K\1s", "has a dict in a key"),
    "setitems_set_as_key": ("SETITEMS", b"}(\x8fK\1u", "has a set as a key"),
    "dict_list_as_key": ("DICT", b"(]K\1d", "has a list as a key"),
    "additems_list": ("ADDITEMS", b"\x8f(]\x90", "adds a list, which has no hash"),
    "frozenset_of_list": ("FROZENSET", b"(]\x91", "has a list as a member"),
    "build_of_int": ("BUILD", b"K\1}K\1K\2sb", "gives a state to an int"),
    "build_of_list": ("BUILD", b"]}X\1\0\0\0aK\2sb", "gives a state to a list"),
    "build_of_dict": ("BUILD", b"}}X\1\0\0\0aK\2sb", "gives a state to a dict"),
    "reduce_of_int": ("REDUCE", b"K\1)R", "calls an int"),
    "reduce_of_str": ("REDUCE", b"X\2\0\0\0os)R", "calls a str"),
    "reduce_of_none": ("REDUCE", b"N)R", "calls None"),
    "reduce_of_dtype": ("REDUCE", b"ctorch\nfloat32\n)R", "calls a dtype"),
    "reduce_of_made": ("REDUCE", ORDERED_DICT + b")R)R", "calls an OrderedDict"),
    "reduce_with_int": ("REDUCE", ORDERED_DICT + b"K\1R", "has an int as arguments"),
    "reduce_with_none": ("REDUCE", ORDERED_DICT + b"NR", "has None as arguments"),
    "obj_of_int": ("OBJ", b"(K\1K\2o", "makes an instance of an int"),
    "newobj_of_int": ("NEWOBJ", b"K\1)\x81", "makes an instance of an int"),
    "newobj_with_int": ("NEWOBJ", ORDERED_DICT + b"K\1\x81", "has an int as arguments"),
    "newobj_ex_of_int": ("NEWOBJ_EX", b"K\1)}\x92", "makes an instance of an int"),
    "newobj_ex_with_list": (
        "NEWOBJ_EX", ORDERED_DICT + b")]\x92", "has a list as its keywords",
    ),
    "stack_global_of_ints": ("STACK_GLOBAL", b"K\1K\2\x93", "has a name of two ints"),
    "stack_global_of_bytes": (
        "STACK_GLOBAL", b"C\2osC\6getcwd\x93", "has a name of bytes",
    ),
    "stack_global_of_none": (
        "STACK_GLOBAL", word("os") + b"N\x93", "has a module, and None as the name",
    ),
    "readonly_buffer_of_str": (
        "READONLY_BUFFER", word("a") + b"\x98", "makes a str a read-only buffer",
    ),
}  # fmt: skip


@written("opcode:{opcode}", each=KINDS, **STACK)
def takes(opcode: str, program: bytes, what: str) -> bytes:
    """{opcode} that {what}."""
    return stream(program)


UNKNOWN = {
    "nul": b"\0",
    "space": b" ",
    "newline": b"\n",
    "underscore": b"_",
    "0x7f": b"\x7f",
    "0x99": b"\x99",
    "0xff": b"\xff",
}


@written(
    "container:zip", each={key: (code,) for key, code in UNKNOWN.items()}, **INVALID
)
def unknown_opcode(code: bytes) -> bytes:
    """A byte that is no opcode, where one must be: {code!r}."""
    return stream(b"K\1", code)


# ------------------------------------------------------------------ sizes and text

GIGA: Final = 1 << 30
LIES = {
    "long1": ("LONG1", counted(pickle.LONG1, b"\1\2", 200)),
    "long4": ("LONG4", counted(pickle.LONG4, b"\1\2", GIGA)),
    "long4_negative": ("LONG4", counted(pickle.LONG4, b"\1\2", -2)),
    "binstring": ("BINSTRING", counted(pickle.BINSTRING, b"ab", GIGA)),
    "binstring_negative": ("BINSTRING", counted(pickle.BINSTRING, b"ab", -1)),
    "short_binstring": ("SHORT_BINSTRING", counted(pickle.SHORT_BINSTRING, b"a", 255)),
    "binbytes": ("BINBYTES", counted(pickle.BINBYTES, b"ab", GIGA)),
    "short_binbytes": ("SHORT_BINBYTES", counted(pickle.SHORT_BINBYTES, b"ab", 255)),
    "binbytes8": ("BINBYTES8", counted(pickle.BINBYTES8, b"ab", GIGA)),
    "binbytes8_largest": ("BINBYTES8", counted(pickle.BINBYTES8, b"", (1 << 64) - 1)),
    "bytearray8": ("BYTEARRAY8", counted(pickle.BYTEARRAY8, b"ab", GIGA)),
    "bytearray8_2_63": ("BYTEARRAY8", counted(pickle.BYTEARRAY8, b"ab", 1 << 63)),
    "binunicode": ("BINUNICODE", counted(pickle.BINUNICODE, b"ab", GIGA)),
    "binunicode_largest": (
        "BINUNICODE", counted(pickle.BINUNICODE, b"", (1 << 32) - 1),
    ),
    "short_binunicode": (
        "SHORT_BINUNICODE", counted(pickle.SHORT_BINUNICODE, b"ab", 255),
    ),
    "binunicode8": ("BINUNICODE8", counted(pickle.BINUNICODE8, b"ab", GIGA)),
    "binunicode8_largest": (
        "BINUNICODE8", counted(pickle.BINUNICODE8, b"", (1 << 64) - 1),
    ),
    "frame": ("FRAME", b"\x95" + struct.pack("<Q", 1000) + b"N"),
    "frame_largest": ("FRAME", b"\x95" + b"\xff" * 8 + b"N"),
}  # fmt: skip


@written("opcode:{opcode}", each=LIES, **{**INVALID, "flags": ("size-lies",)})
def says_too_much(opcode: str, program: bytes) -> bytes:
    """{opcode} that announces more bytes than there are, or less than none."""
    return stream(program)


TEXT = {
    "int_empty": ("INT", b"I\n", "no digits"),
    "int_word": ("INT", b"Iseven\n", "letters"),
    "int_float": ("INT", b"I1.5\n", "a point"),
    "long_word": ("LONG", b"LxL\n", "letters"),
    "long_empty": ("LONG", b"L\n", "no digits"),
    "float_empty": ("FLOAT", b"F\n", "no digits"),
    "float_word": ("FLOAT", b"Fone\n", "letters"),
    "float_comma": ("FLOAT", b"F1,5\n", "a comma"),
    "get_word": ("GET", b"]p0\ngx\n", "letters for an index"),
    "get_negative": ("GET", b"]p0\ng-1\n", "an index below zero"),
    "put_word": ("PUT", b"]px\n", "letters for an index"),
    "put_negative": ("PUT", b"]p-1\n", "an index below zero"),
    "string_unquoted": ("STRING", b"Sab\n", "no quotes"),
    "string_half_quoted": ("STRING", b"S'ab\n", "only one quote"),
    "string_mixed_quotes": ("STRING", b"S'ab\"\n", "two kinds of quotes"),
    "string_empty": ("STRING", b"S\n", "nothing, not even quotes"),
    "string_bad_escape": ("STRING", rb"S'\x4'" + b"\n", "an escape of one digit"),
    "string_ends_in_escape": ("STRING", b"S'\\'\n", "a backslash before the quote"),
    "string_not_utf8": ("STRING", rb"S'\xff'" + b"\n", "a byte that is not UTF-8"),
    "unicode_bad_escape": ("UNICODE", rb"V\u12" + b"\n", "an escape of two digits"),
    "binstring_not_utf8": (
        "BINSTRING", counted(pickle.BINSTRING, b"\xff"), "a byte that is not UTF-8",
    ),
    "short_binstring_not_utf8": (
        "SHORT_BINSTRING", counted(pickle.SHORT_BINSTRING, b"gr\xfcn"),
        "Latin-1, which a reader takes only if it is told so",
    ),
    "binunicode_not_utf8": (
        "BINUNICODE", counted(pickle.BINUNICODE, b"\xff"), "a byte that is not UTF-8",
    ),
    "binunicode_overlong": (
        "BINUNICODE", counted(pickle.BINUNICODE, b"\xc0\x80"), "a NUL in two bytes",
    ),
    "binunicode_cut": (
        "BINUNICODE", counted(pickle.BINUNICODE, b"\xe2\x82"), "half a character",
    ),
    "binunicode_too_large": (
        "BINUNICODE", counted(pickle.BINUNICODE, b"\xf4\x90\x80\x80"),
        "a character above U+10FFFF",
    ),
    "short_binunicode_not_utf8": (
        "SHORT_BINUNICODE", counted(pickle.SHORT_BINUNICODE, b"\xff"),
        "a byte that is not UTF-8",
    ),
    "binunicode8_not_utf8": (
        "BINUNICODE8", counted(pickle.BINUNICODE8, b"\xff"), "a byte that is not UTF-8",
    ),
    "global_not_utf8": ("GLOBAL", b"c\xff\nx\n", "a byte that is not UTF-8"),
    "global_empty": ("GLOBAL", b"c\n\n", "two empty lines"),
    "inst_empty": ("INST", b"(ios\n\n", "no name in its module"),
    "persid_not_ascii": ("PERSID", b"P\xff\n", "a byte that is not ASCII"),
}  # fmt: skip


@written("opcode:{opcode}", each=TEXT, **INVALID)
def text(opcode: str, program: bytes, what: str) -> bytes:
    """{opcode} with {what}."""
    return stream(program)


# ----------------------------------------------------------------- persistent ids

FLOAT_STORAGE = name("torch.FloatStorage")
IDS: Final[dict[str, tuple[Any, str]]] = {
    "int": (7, "an int"),
    "none": (None, "None"),
    "str": ("storage", "a str"),
    "list": (["storage", FLOAT_STORAGE, "0", "cpu", 1], "a list"),
    "dict": ({}, "a dict"),
    "empty": ((), "a tuple of nothing"),
    "name_alone": (("storage",), "nothing but its name"),
    "four_parts": (("storage", FLOAT_STORAGE, "0", "cpu"), "without a size"),
    "six_parts": (
        ("storage", FLOAT_STORAGE, "0", "cpu", 1, None),
        "with a view, as in a legacy stream",
    ),
    "seven_parts": (("storage", FLOAT_STORAGE, "0", "cpu", 1, None, None), "too long"),
    "unknown_name": (("tensor", FLOAT_STORAGE, "0", "cpu", 1), "that begins otherwise"),
    "module": (
        ("module", name("torch.nn.modules.linear.Linear"), "linear.py", "source"),
        "of a module, which only legacy streams have",
    ),
    "name_int": ((1, FLOAT_STORAGE, "0", "cpu", 1), "that begins with an int"),
    "class_none": (("storage", None, "0", "cpu", 1), "without a class"),
    "class_str": (("storage", "FloatStorage", "0", "cpu", 1), "whose class is a str"),
    "class_dtype": (
        ("storage", name("torch.float32"), "0", "cpu", 1), "whose class is a dtype",
    ),
    "class_of_no_storage": (
        ("storage", name("collections.OrderedDict"), "0", "cpu", 1),
        "whose class is an OrderedDict",
    ),
    "location_none": (("storage", FLOAT_STORAGE, "0", None, 1), "of no location"),
    "location_int": (("storage", FLOAT_STORAGE, "0", 0, 1), "whose location is an int"),
    "numel_none": (("storage", FLOAT_STORAGE, "0", "cpu", None), "whose size is None"),
    "numel_str": (("storage", FLOAT_STORAGE, "0", "cpu", "1"), "whose size is a str"),
    "numel_float": (("storage", FLOAT_STORAGE, "0", "cpu", 1.0), "of a float's size"),
}  # fmt: skip


@written("opcode:BINPERSID", each=IDS, **INVALID)
def persistent_id(pid: Any, what: str) -> bytes:
    """A persistent id that no archive understands: {what}."""
    return archive(Piece(value(pid) + pickle.BINPERSID), {"0": floats(1.0)})


KEYS: Final[dict[str, tuple[Any, str]]] = {
    "missing": ("1", "a key that no record has"),
    "empty": ("", "an empty key"),
    "none": (None, "None as its key"),
    "tuple": (("0",), "a tuple as its key"),
    "outside": ("../version", "a key that leads out of the folder"),
}


@written(
    "opcode:BINPERSID", each=KEYS, label="built", verdict="invalid", phase="container"
)
def storage_key(key: Any, what: str) -> bytes:
    """The persistent id of a storage, with {what}."""
    pid = ("storage", FLOAT_STORAGE, key, "cpu", 1)
    return archive(Piece(value(pid) + pickle.BINPERSID), {"0": floats(1.0)})


SIZES = {
    "zero": (0, "0"),
    "smaller": (1, "1"),
    "larger": (3, "3"),
    "negative": (-1, "-1"),
    "2_62": (1 << 62, "2^62"),
    "wraps": ((1 << 62) + 2, "2^62+2 (whose bytes are 8 in 64 bits)"),
    "2_64": (1 << 64, "2^64"),
}


@written(
    "opcode:BINPERSID",
    each=SIZES,
    label="built",
    verdict="either",
    reason=LEDGER,
    flags=("size-lies",),
)
def storage_size(numel: int, shown: str) -> bytes:
    """A storage of {shown} float32 elements, and a record of two."""
    return archive([storage("FloatStorage", numel)], {"0": floats(1.0, 2.0)})


# --------------------------------------------------------------- legacy streams

LEGACY_IDS: Final[dict[str, tuple[Any, str]]] = {
    "five_parts": (("storage", FLOAT_STORAGE, "0", "cpu", 1), "as in a zip archive"),
    "view_int": (("storage", FLOAT_STORAGE, "0", "cpu", 1, 7), "whose view is an int"),
    "view_short": (
        ("storage", FLOAT_STORAGE, "0", "cpu", 1, ("1", 0)), "whose view has no size",
    ),
    "view_float": (
        ("storage", FLOAT_STORAGE, "0", "cpu", 1, ("1", 0.0, 1)),
        "whose view begins at a float",
    ),
    "module_short": (("module",), "of a module, without its class"),
    "unknown_name": (("tensor", FLOAT_STORAGE, "0", "cpu", 1, None), "of another name"),
}  # fmt: skip


@written("container:legacy", each=LEGACY_IDS, **INVALID)
def legacy_persistent_id(pid: Any, what: str) -> bytes:
    """A persistent id that no legacy stream understands: {what}."""
    root = Piece(value(pid) + pickle.BINPERSID)
    return legacy(root, {"0": (1, floats(1.0))})


@written("container:pickle", label="built", verdict="either", reason=LEDGER)
def legacy_magic_wrong() -> bytes:
    """A legacy stream whose magic number is 1: nothing but pickles in a row."""
    begin = dump(0x1950A86A20F9469CFC6C)
    return dump(1) + legacy(value(None)).removeprefix(begin)


@written("container:legacy", label="built", verdict="invalid", phase="container")
def legacy_version_wrong() -> bytes:
    """A legacy stream of version 1002; there has only ever been 1001."""
    begin = legacy(value(None))
    return begin.replace(dump(1001), dump(1002), 1)


LISTED: Final[dict[str, tuple[Any, str]]] = {
    "unused": (["0", "1"], "a key that no storage has"),
    "int": ([0], "an int, where the storage's key is a str"),
    "none": (None, "None in place of the list"),
    "number": (1, "a number in place of the list"),
}


CONTAINER: Final[dict[str, Any]] = {**INVALID, "phase": "container"}
LIES_OF_SIZE: Final[dict[str, Any]] = {**CONTAINER, "flags": ("size-lies",)}


@written("container:legacy", each=LISTED, **CONTAINER)
def legacy_keys(keys: Any, what: str) -> bytes:
    """A legacy stream whose list of keys has {what}."""
    one = struct.pack("<q", 1) + floats(1.0)
    return _keys(keys) + one + one


@written("container:legacy", label="built")
def legacy_key_twice() -> bytes:
    """A legacy stream that lists a storage twice: the later bytes count."""
    one, two = (struct.pack("<q", 1) + floats(number) for number in (1.0, 2.0))
    return _keys(["0", "0"]) + one + two


def _keys(keys: Any) -> bytes:
    """A legacy stream of one storage, up to the list of the keys."""
    begin = legacy(storage("FloatStorage", 1, "0", "cpu", None))
    return begin.removesuffix(dump([])) + dump(keys)


@written(
    "container:legacy", each={"negative": (-1,), "more": (2,), "huge": (1 << 62,)},
    **LIES_OF_SIZE,
)  # fmt: skip
def legacy_numel(numel: int) -> bytes:
    """A storage of one element whose bytes say that they are {numel}."""
    root = storage("FloatStorage", 1, "0", "cpu", None)
    return legacy(root, {"0": (numel, floats(1.0))})


# --------------------------------------------------------------------- legacy tars


def _tar(**changes: tuple[bytes, bytes]) -> bytes:
    """A tar of one tensor, with the bytes of a member replaced."""
    contents = members(
        number(2), {1: ("FloatStorage", 2, floats(1.0, 2.0))}, {2: Shown(1, (2,))}
    )
    for label, (old, new) in changes.items():
        contents[label] = contents[label].replace(old, new, 1)
    return tar(contents)


TARS: Final[dict[str, tuple[str, bytes, bytes, str]]] = {
    "storages_more": ("storages", dump(1), dump(2), "two storages announced"),
    "storages_none": ("storages", dump(1), dump(None), "None for their number"),
    "storages_str": ("storages", dump(1), dump("1"), "a str for their number"),
    "tensors_negative": ("tensors", dump(1), dump(-1), "-1 tensors"),
    "tensors_float": ("tensors", dump(1), dump(1.0), "a float for their number"),
    "numel_more": (
        "storages", struct.pack("<q", 2), struct.pack("<q", 99), "a storage of 99",
    ),
    "numel_negative": (
        "storages", struct.pack("<q", 2), struct.pack("<q", -1), "a storage of -1",
    ),
    "dimensions": (
        "tensors", struct.pack("<i4x", 1), struct.pack("<i4x", 99), "99 dimensions",
    ),
    "views_none": ("storages", dump([]), dump(None), "None for the list of views"),
}  # fmt: skip


@written("container:tar", each=TARS, **LIES_OF_SIZE)
def tar_with(member: str, old: bytes, new: bytes, what: str) -> bytes:
    """A tar whose member `{member}` says something wrong: {what}."""
    return _tar(**{member: (old, new)})


@written("opcode:BINPERSID", **CONTAINER)
def tar_number_unknown() -> bytes:
    """A tar whose object refers to a tensor that is not there."""
    return _tar(pickle=(value("2"), value("3")))


@written("opcode:PERSID", label="built", flags=("weights-only-refuses",))
def tar_number_in_text() -> bytes:
    """PERSID in a tar, whose tensors have numbers for ids."""
    return _tar(pickle=(number(2), pickle.PERSID + b"2\n"))

"""What an opcode's argument says, and all the ways in which opcodes can say it.

Most kinds of value have several opcodes: `read` finds kind and value, `SPELLINGS`
has the opcodes of each kind. What does not fit is cut, as a careless writer would
cut it. Text is kept as UTF-8, lone surrogates and all.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final, NamedTuple, TypeVar

from conformance.parser.opcodes import BY_CODE, OPCODES

from ...words import Words
from . import edges

#: In bytes. Longer arguments are not read: spelled otherwise they could grow.
LONGEST: Final = 320

Name = tuple[str, str]
T = TypeVar("T")


class Spelling(NamedTuple):
    """One opcode: its argument, without the code, as a value; and back."""

    code: int
    kind: str
    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]


# ------------------------------------------------------------------- by form


def _fixed(size: int, signed: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    mask = (1 << 8 * size) - 1

    def read(argument: bytes) -> int:
        return int.from_bytes(argument, "little", signed=signed)

    def write(number: int) -> bytes:
        return (number & mask).to_bytes(size, "little")

    return read, write


def _counted(size: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    longest = (1 << 8 * size) - 1

    def read(argument: bytes) -> bytes:
        return argument[size:]

    def write(data: bytes) -> bytes:
        data = data[:longest]
        return len(data).to_bytes(size, "little") + data

    return read, write


def _long(size: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    _, counted = _counted(size)

    def read(argument: bytes) -> int:
        return int.from_bytes(argument[size:], "little", signed=True)

    def write(number: int) -> bytes:
        bytes_ = number.bit_length() // 8 + 1 if number else 0
        written: bytes = counted(number.to_bytes(bytes_, "little", signed=True))
        return written

    return read, write


def _read_line(argument: bytes) -> bytes:
    return argument[:-1]


def _write_line(data: bytes) -> bytes:
    return data.replace(b"\n", b" ") + b"\n"


def _read_number(argument: bytes) -> int:
    return int(argument.rstrip(b"L\n"))


def _write_number(number: int) -> bytes:
    return b"%d\n" % number


def _write_long(number: int) -> bytes:
    return b"%dL\n" % number


def _read_unicode(argument: bytes) -> bytes:
    return argument[:-1].decode("raw-unicode-escape").encode("utf-8", "surrogatepass")


def _write_unicode(data: bytes) -> bytes:
    text = data.decode("utf-8", "replace").replace("\\", r"\u005c")
    return text.replace("\n", r"\u000a").encode("raw-unicode-escape") + b"\n"


def _read_string(argument: bytes) -> bytes:
    return argument[1:-2]


def _write_string(data: bytes) -> bytes:
    escaped = data.decode("latin-1").encode("unicode-escape")
    return b"'" + escaped.replace(b"'", rb"\'") + b"'\n"


def _read_float(argument: bytes) -> float:
    return float(argument)


def _write_float(number: float) -> bytes:
    return b"%r\n" % number


def _read_double(argument: bytes) -> float:
    number: float = struct.unpack(">d", argument)[0]
    return number


def _write_double(number: float) -> bytes:
    return struct.pack(">d", number)


def _read_name(argument: bytes) -> Name:
    module, name, _ = argument.decode("utf-8", "surrogateescape").split("\n")
    return module, name


def _write_name(name: Name) -> bytes:
    return "{}\n{}\n".format(*name).encode("utf-8", "surrogateescape")


_CODES: Final = {row.name: row.code for row in OPCODES}
_LINE: Final = (_read_line, _write_line)
_NUMBER: Final = (_read_number, _write_number)

#: Kind, the opcode's name, and how to read and write its argument.
_ROWS: Final = (
    ("int", "BININT1", *_fixed(1, signed=False)),
    ("int", "BININT2", *_fixed(2, signed=False)),
    ("int", "BININT", *_fixed(4, signed=True)),
    ("int", "LONG1", *_long(1)),
    ("int", "LONG4", *_long(4)),
    ("int", "INT", *_NUMBER),
    ("int", "LONG", _read_number, _write_long),
    ("text", "BINUNICODE", *_counted(4)),
    ("text", "SHORT_BINUNICODE", *_counted(1)),
    ("text", "BINUNICODE8", *_counted(8)),
    ("text", "UNICODE", _read_unicode, _write_unicode),
    ("text", "SHORT_BINSTRING", *_counted(1)),
    ("text", "BINSTRING", *_counted(4)),
    ("text", "STRING", _read_string, _write_string),
    ("bytes", "BINBYTES", *_counted(4)),
    ("bytes", "SHORT_BINBYTES", *_counted(1)),
    ("bytes", "BINBYTES8", *_counted(8)),
    ("bytes", "BYTEARRAY8", *_counted(8)),
    ("float", "BINFLOAT", _read_double, _write_double),
    ("float", "FLOAT", _read_float, _write_float),
    ("get", "BINGET", *_fixed(1, signed=False)),
    ("get", "LONG_BINGET", *_fixed(4, signed=False)),
    ("get", "GET", *_NUMBER),
    ("put", "BINPUT", *_fixed(1, signed=False)),
    ("put", "LONG_BINPUT", *_fixed(4, signed=False)),
    ("put", "PUT", *_NUMBER),
    ("global", "GLOBAL", _read_name, _write_name),
    ("class", "INST", _read_name, _write_name),
    ("line", "PERSID", *_LINE),
    ("number", "PROTO", *_fixed(1, signed=False)),
    ("number", "EXT1", *_fixed(1, signed=False)),
    ("number", "EXT2", *_fixed(2, signed=False)),
    ("number", "EXT4", *_fixed(4, signed=True)),
    ("number", "FRAME", *_fixed(8, signed=False)),
)
BY_OPCODE: Final = {
    _CODES[opcode]: Spelling(_CODES[opcode], kind, read, write)
    for kind, opcode, read, write in _ROWS
}
SPELLINGS: Final = {
    kind: tuple(row for row in BY_OPCODE.values() if row.kind == kind)
    for kind in dict.fromkeys(row[0] for row in _ROWS)
}


def read(op: bytes) -> tuple[Spelling, Any] | None:
    """How an opcode spells its argument, and what that says."""
    spelling = BY_OPCODE.get(op[0])
    if spelling is None or len(op) > LONGEST:
        return None
    try:
        return spelling, spelling.read(op[1:])
    except (ValueError, struct.error):
        # A tail that is no opcode, or a line with nonsense in it.
        return None


def write(spelling: Spelling, value: Any) -> bytes:
    return bytes((spelling.code,)) + spelling.write(value)


# -------------------------------------------------------------- usual spellings


def _as(opcode: str, value: Any) -> bytes:
    return write(BY_OPCODE[_CODES[opcode]], value)


def integer(number: int) -> bytes:
    """As protocol 2 writes it."""
    if 0 <= number < 1 << 8:
        return _as("BININT1", number)
    if 0 <= number < 1 << 16:
        return _as("BININT2", number)
    if -(1 << 31) <= number < 1 << 31:
        return _as("BININT", number)
    return _as("LONG1", number)


def double(number: float) -> bytes:
    return _as("BINFLOAT", number)


def text(string: str) -> bytes:
    return _as("BINUNICODE", string.encode("utf-8", "surrogatepass"))


def named(name: Name) -> bytes:
    return _as("GLOBAL", name)


# ------------------------------------------------------------------------ edges


def pick(table: Sequence[T], random: Random) -> T:
    """One of a sequence; takes a third of the time of `Random.choice`."""
    return table[int(random.random() * len(table))]


#: Globals that could stand in a global's place, by its name.
_KIN: Final = {name: kind for kind in edges.KINDS for name in kind}


def edge(kind: str, value: Any, random: Random, words: Words) -> Any:
    """Another value of this kind: at an edge, or beside this one."""
    return _EDGES[kind](value, random, words)


def number(value: int, random: Random, words: Words) -> int:
    """Another number."""
    if random.random() < 0.4:
        return pick((value + 1, value - 1, 2 * value, -value, ~value), random)
    return pick(edges.NUMBERS, random)


def _text(value: bytes, random: Random, words: Words) -> bytes:
    if random.random() < 0.3:
        parts = (value[:-1], value[1:], value + b"0", value + value, value.swapcase())
        return pick(parts, random)
    known = words.strings if words.strings and random.random() < 0.5 else edges.STRINGS
    string: str = pick(known, random)
    return string.encode("utf-8", "surrogatepass")


def _bytes(value: bytes, random: Random, words: Words) -> bytes:
    if value and random.random() < 0.5:
        at = int(random.random() * len(value))
        flipped = value[at] ^ (1 << int(random.random() * 8))
        changed = b"%b%c%b" % (value[:at], flipped, value[at + 1 :])
        return pick((value[:at], value[at:], value + value, changed), random)
    return pick(edges.BYTES, random)


def _float(value: float, random: Random, words: Words) -> float:
    return -value if random.random() < 0.2 else pick(edges.FLOATS, random)


def _index(value: int, random: Random, words: Words) -> int:
    """Of the memo: mostly one that may be there."""
    chance = random.random()
    if chance < 0.8:
        return int(random.random() * (abs(value) + 4))
    if chance < 0.95:
        return value + 1
    return pick(edges.NUMBERS, random)


def name(value: Name, random: Random, words: Words) -> Name:
    """Another global, mostly one of the same kind."""
    chance = random.random()
    if chance < 0.7 and value in _KIN:
        return pick(_KIN[value], random)
    if chance < 0.8 and words.globals:
        return pick(words.globals, random)
    if chance < 0.93:
        return pick(edges.CALLABLE, random)
    if chance < 0.97:
        return pick(edges.GLOBALS, random)
    module, _, last = value[0].rpartition(".")
    return (module, f"{last}.{value[1]}") if module else (value[0], value[1] + "_")


_EDGES: Final[dict[str, Callable[[Any, Random, Words], Any]]] = {
    "int": number,
    "number": number,
    "text": _text,
    "line": _text,
    "bytes": _bytes,
    "float": _float,
    "get": _index,
    "put": _index,
    "global": name,
    "class": name,
}

#: What a new opcode's argument is made of, by its kind.
_START: Final[dict[str, Any]] = {
    "int": 0,
    "number": 0,
    "text": b"",
    "line": b"0",
    "bytes": b"",
    "float": 0.0,
    "get": 0,
    "put": 0,
    "global": ("torch", "Tensor"),
    "class": ("torch", "Tensor"),
}


def opcode(code: int, random: Random, words: Words) -> bytes:
    """The opcode with an argument of its kind."""
    spelling = BY_OPCODE.get(code)
    if spelling is None:
        return bytes((code,))
    kind = spelling.kind
    return write(spelling, edge(kind, _START[kind], random, words))


def lying(op: bytes, random: Random) -> bytes:
    """A counted argument whose count is wrong; any other opcode as it is."""
    row = BY_CODE.get(op[0])
    if row is None or not row.argument.counted:
        return op
    stop = 1 + row.argument.size
    count = int.from_bytes(op[1:stop], "little")
    claimed = count + 1 if random.random() < 0.3 else pick(edges.SIZES, random)
    mask = (1 << 8 * row.argument.size) - 1
    return op[:1] + (claimed & mask).to_bytes(stop - 1, "little") + op[stop:]

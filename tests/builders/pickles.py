"""An assembler for pickles: one name per opcode, taken from the opcode table.

    from tests.builders import pickles as p

    p.pickle(p.PROTO(2), p.GLOBAL("torch", "FloatStorage"), p.TUPLE1)

An opcode without an argument is bytes (`p.MARK`); with one it is a function
from plain values to bytes (`p.BININT1(7)`). `pickle` joins the pieces and adds
STOP. Nothing is checked beyond what fits into the argument's bytes, so that
wrong pickles are as easy to write as right ones. `value` writes plain values
and passes pieces that are already assembled (`Assembled`) through.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

from conformance.parser.opcodes import OPCODES, Argument

__all__ = ["NAMES", "Assembled", "args", "call", "pickle", "value"]

_FORMATS = {
    "uint1": "<B",
    "uint2": "<H",
    "int4": "<i",
    "uint4": "<I",
    "uint8": "<Q",
    "float8": ">d",
    "counted1": "<B",
    "counted4": "<I",
    "counted8": "<Q",
}


class Assembled(bytes):
    """Assembled opcodes that leave one value on the stack."""


def _as_bytes(part: str | bytes | float) -> bytes:
    if isinstance(part, (bytes, bytearray)):
        return bytes(part)
    return str(part).encode("utf-8", "surrogatepass")


def _with_argument(code: int, argument: Argument) -> Callable[..., bytes]:
    opcode = bytes([code])

    def lines(*parts: str | bytes | float) -> bytes:
        assert len(parts) == argument.lines
        return opcode + b"".join(_as_bytes(part) + b"\n" for part in parts)

    def counted(data: str | bytes, count: int | None = None) -> bytes:
        """`count` lies about the length."""
        body = _as_bytes(data)
        count = len(body) if count is None else count
        return opcode + struct.pack(_FORMATS[argument.name], count) + body

    def fixed(number: float) -> bytes:
        return opcode + struct.pack(_FORMATS[argument.name], number)

    if argument.lines:
        return lines
    return counted if argument.counted else fixed


#: Every opcode's name, with the piece or the function that writes it.
NAMES: dict[str, Any] = {
    row.name: bytes([row.code])
    if row.argument.name == "nothing"
    else _with_argument(row.code, row.argument)
    for row in OPCODES
}


def __getattr__(name: str) -> Any:
    if name in NAMES:
        return NAMES[name]
    raise AttributeError(f"no opcode is called {name}")


def pickle(*pieces: bytes) -> bytes:
    """The pieces in order, and STOP."""
    return bytes(b"".join(pieces) + NAMES["STOP"])


def value(plain: Any) -> Assembled:
    """Opcodes that leave this plain value on the stack."""
    if type(plain) is Assembled:
        return plain
    return Assembled(_WRITERS[type(plain)](plain))


def _int(number: int) -> bytes:
    size = (number.bit_length() + 8) // 8
    body = number.to_bytes(size, "little", signed=True)
    return bytes(NAMES["LONG1" if size < 256 else "LONG4"](body))


def _marked(begin: str, values: Iterable[Any], end: str) -> bytes:
    inner = b"".join(map(value, values))
    return bytes(NAMES[begin] + NAMES["MARK"] + inner + NAMES[end])


_WRITERS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: bytes(NAMES["NONE"]),
    bool: lambda flag: bytes(NAMES["NEWTRUE" if flag else "NEWFALSE"]),
    int: _int,
    float: NAMES["BINFLOAT"],
    str: NAMES["BINUNICODE"],
    bytes: NAMES["BINBYTES"],
    bytearray: NAMES["BYTEARRAY8"],
    tuple: lambda values: args(*values),
    list: lambda values: _marked("EMPTY_LIST", values, "APPENDS"),
    dict: lambda pairs: _marked(
        "EMPTY_DICT", (part for pair in pairs.items() for part in pair), "SETITEMS"
    ),
    set: lambda members: _marked("EMPTY_SET", members, "ADDITEMS"),
}


def args(*values: Any) -> Assembled:
    """A tuple of plain values and assembled pieces."""
    return Assembled(NAMES["MARK"] + b"".join(map(value, values)) + NAMES["TUPLE"])


def call(name: str, *values: Any) -> Assembled:
    """`module.name(*values)` by GLOBAL and REDUCE; the last dot divides."""
    module, _, attribute = name.rpartition(".")
    function: bytes = NAMES["GLOBAL"](module, attribute)
    return Assembled(function + args(*values) + NAMES["REDUCE"])

"""Pickles opcode by opcode, for cases about the machine itself."""

from __future__ import annotations

import pickle
import struct
from typing import Final

from ...handmade import Piece, Record, archive, call, value

#: How an opcode that counts the bytes behind it writes their number.
_COUNTS: Final = {
    pickle.LONG1: "<B",
    pickle.SHORT_BINSTRING: "<B",
    pickle.SHORT_BINBYTES: "<B",
    pickle.SHORT_BINUNICODE: "<B",
    pickle.LONG4: "<i",
    pickle.BINSTRING: "<i",
    pickle.BINBYTES: "<I",
    pickle.BINUNICODE: "<I",
    pickle.BINBYTES8: "<Q",
    pickle.BINUNICODE8: "<Q",
    pickle.BYTEARRAY8: "<Q",
}


def stream(*opcodes: bytes) -> bytes:
    """An archive whose pickle is these opcodes, between PROTO and STOP."""
    return whole(pickle.PROTO, b"\2", *opcodes, pickle.STOP)


def whole(*opcodes: bytes) -> bytes:
    """An archive whose pickle is these opcodes and nothing else."""
    return archive(Record(b"".join(opcodes)))


def counted(opcode: bytes, data: bytes, count: int | None = None) -> bytes:
    """An opcode that says how many bytes follow; `count` is what it says instead."""
    number = len(data) if count is None else count
    return opcode + struct.pack(_COUNTS[opcode], number) + data


def word(text: str) -> bytes:
    """A str of up to 255 bytes, as protocol 4 writes it."""
    return counted(pickle.SHORT_BINUNICODE, text.encode())


def stack_global(module: str, name: str) -> Piece:
    """STACK_GLOBAL, whose name may have dots in it."""
    return Piece(word(module) + word(name) + pickle.STACK_GLOBAL)


def reduce(callee: Piece, *args: object) -> Piece:
    """REDUCE of whatever the piece leaves on the stack."""
    return Piece(callee + value(args) + pickle.REDUCE)


#: What `torch.save` gives every tensor as its hooks.
HOOKS: Final = call("collections.OrderedDict")

"""Small files that cost much."""

from __future__ import annotations

import pickle
import struct

from ...handmade import (
    Piece,
    Record,
    archive,
    call,
    deflate,
    legacy,
    name,
    value,
)
from .registry import case


@case("opcode:TUPLE1")
def key_deep() -> bytes:
    """A dict with a key of 400,000 tuples, one in the other."""
    parts = ((b"\x80\x02})", 1), (pickle.TUPLE1, 400_000), (b"Ns.", 1))
    size = sum(len(text) * count for text, count in parts)
    return archive(Record(bytes(size), deflate(*parts)))


@case("opcode:TUPLE2")
def key_of_pairs() -> bytes:
    """A dict with a key of 64 pairs, each of them twice the one before."""
    key = pickle.EMPTY_TUPLE
    for index in range(64):
        slot = bytes([index])
        key += pickle.BINPUT + slot + pickle.BINGET + slot + pickle.TUPLE2
    return archive(Piece(pickle.EMPTY_DICT + key + pickle.NONE + pickle.SETITEM))


@case("opcode:TUPLE2")
def numel_of_pairs() -> bytes:
    """A storage whose size is 64 pairs, each of them twice the one before."""
    size = pickle.EMPTY_TUPLE
    for index in range(64):
        slot = bytes([index])
        size += pickle.BINPUT + slot + pickle.BINGET + slot + pickle.TUPLE2
    pid = ("storage", name("torch.FloatStorage"), "0", "cpu", Piece(size))
    return archive(Piece(value(pid) + pickle.BINPERSID), {"0": b""})


@case("opcode:SETITEMS")
def keys_colliding() -> bytes:
    """A dict with 120 integers as keys that all have one hash."""
    return archive({number * ((1 << 61) - 1): None for number in range(8, 128)})


@case("builtins.bytearray")
def bytearray_of_a_megabyte() -> bytes:
    """`bytearray(1048576)`: a megabyte of zeros from a few bytes."""
    return archive(call("builtins.bytearray", 1 << 20))


@case("opcode:BINGET")
def copies() -> bytes:
    """A list of 20,000 members, and 100 sets made of it."""
    again = b"h\x00h\x01\x85R" * 100
    parts = (
        (b"\x80\x02(c__builtin__\nset\nq\x00](", 1),
        (b"N", 20_000),
        (b"eq\x01" + again + b"t.", 1),
    )
    size = sum(len(text) * count for text, count in parts)
    return archive(Record(bytes(size), deflate(*parts)))


@case("container:zip")
def inflates() -> bytes:
    """Fifteen DEFLATEd storages of 240,000 zeros each, which share their bytes."""
    size = 240_000
    packed = deflate((b"\0", size))
    kind = Piece(name("torch.ByteStorage") + pickle.BINPUT + b"\0")
    records, root = {}, []
    for number in range(15):
        # Each is a byte longer than the one before, so that they are not one.
        longer = packed + bytes(number)
        records[str(number)] = Record(
            bytes(size), longer, like="data/0" if number else None
        )
        pid = ("storage", kind, str(number), "cpu", size)
        root.append(Piece(value(pid) + pickle.BINPERSID))
        kind = Piece(pickle.BINGET + b"\0")
    return archive(root, records)


@case("torch.storage._load_from_bytes")
def nested_deep() -> bytes:
    """A checkpoint in a checkpoint in a checkpoint, thirty of them."""
    inner = legacy(value(None))
    for _ in range(30):
        data = Piece(pickle.BINBYTES + struct.pack("<I", len(inner)) + inner)
        inner = legacy(call("torch.storage._load_from_bytes", data))
    return inner


@case("opcode:FLOAT")
def float_of_many_digits() -> bytes:
    """A float of 5,000 digits, by the FLOAT of protocol 0."""
    parts = ((b"F0.", 1), (b"1", 5_000), (b"\n.", 1))
    size = sum(len(text) * count for text, count in parts)
    return archive(Record(bytes(size), deflate(*parts)))


@case("collections.deque", undisclosed=True)
def deques_deep() -> bytes:
    """A chain of 600 deques, one in the other."""
    callee = b"\x80\x02ccollections\ndeque\nq\x00)R"
    # Each is made empty, and appended to the one before.
    parts = ((callee, 1), (b"h\x00)R", 600), (b"a", 600), (b".", 1))
    size = sum(len(text) * count for text, count in parts)
    return archive(Record(bytes(size), deflate(*parts)))


@case("ml_dtypes.float8_e5m2", undisclosed=True)
def ml_dtype_of_text() -> bytes:
    """A scalar of ml_dtypes from a text that is no number."""
    return archive(call("ml_dtypes.float8_e5m2", "x"))

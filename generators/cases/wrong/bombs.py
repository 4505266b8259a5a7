"""Small files that cost memory, time or depth out of proportion.

Torch's own answer to each is known; those that no reader should answer, and
those that crash or stall others, lie among the divergences.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any, Final

from ...handmade import (
    Piece,
    Record,
    archive,
    call,
    deflate,
    floats,
    legacy,
    name,
    storage,
    tensor,
    value,
)
from ..readers.threads import vulnerabilities
from ..registry import LEDGER, written
from .streams import HOOKS, counted, stream

BOMB: Final[dict[str, Any]] = {"label": "built", "flags": ("bomb",)}

#: More than CPython's limit on recursion, which is 1,000.
DEEP: Final = 1_100


def _packed(*runs: tuple[bytes, int]) -> bytes:
    """An archive whose pickle is these strings, each so many times, DEFLATEd."""
    size = sum(len(text) * count for text, count in runs)
    return archive(Record(bytes(size), deflate(*runs)))


# -------------------------------------------------------------------------- depth

DEPTHS = {
    "lists": ("EMPTY_LIST", ((b"]", DEEP), (b"a", DEEP - 1)), "lists"),
    "tuples": ("TUPLE1", ((b")", 1), (b"\x85", DEEP - 1)), "tuples"),
    "marks": ("TUPLE", ((b"(", DEEP), (b"t", DEEP)), "tuples, each after a mark"),
    "dicts": ("SETITEM", ((b"}N", DEEP - 1), (b"}", 1), (b"s", DEEP - 1)), "dicts"),
}


DEEPLY: Final[dict[str, Any]] = {"label": "built", "flags": ("bomb", "deep")}


@written("opcode:{opcode}", each=DEPTHS, **DEEPLY)
def deep(opcode: str, runs: tuple[tuple[bytes, int], ...], what: str) -> bytes:
    """1,100 {what}, one in the other."""
    return _packed((b"\x80\2", 1), *runs, (b".", 1))


@written("opcode:FROZENSET", **DEEPLY)
def frozensets_deep() -> bytes:
    """90 frozensets, each the only member of the next, which hashes it."""
    return stream(pickle.MARK * 90, pickle.FROZENSET * 90)


@written("opcode:MARK", **BOMB)
def marks_open() -> bytes:
    """20,000 marks, of which none is closed before the end."""
    return _packed((b"\x80\2", 1), (b"(", 20_000), (b"N.", 1))


@written("opcode:PROTO", **BOMB)
def protocols() -> bytes:
    """PROTO, 4,000 times, before anything else."""
    return stream(b"\x80\2" * 4_000, value(None))


@written("uuid.UUID", label="built", flags=("bomb", "deep", "weights-only-refuses"))
def objects_deep() -> bytes:
    """300 unknown objects, each the only argument of the next."""
    callee = name("uuid.UUID")
    again = (pickle.GLOBAL + b"uuid\nUUID\n") * 299
    return stream(callee, again, value(None), (pickle.TUPLE1 + pickle.REDUCE) * 300)


@written("uuid.UUID", label="built", flags=("bomb", "deep", "weights-only-refuses"))
def arguments_deep() -> bytes:
    """A call whose only argument is 1,100 tuples, one in the other."""
    callee = b"cuuid\nUUID\n"
    runs = ((callee, 1), (b")", 1), (b"\x85", DEEP), (b"R.", 1))
    return _packed((b"\x80\2", 1), *runs)


@written("torch._tensor._rebuild_from_type_v2", directory="bombs", **DEEPLY)
def types_deep() -> bytes:
    """A tensor by 200 calls of _rebuild_from_type_v2, one in the other."""
    rebuild = name("torch._tensor._rebuild_from_type_v2") + pickle.BINPUT + b"\0"
    kind = name("torch.Tensor") + pickle.BINPUT + b"\1"
    arguments = (storage("FloatStorage", 1), 0, (1,), (1,), False, HOOKS)
    first = pickle.MARK + pickle.BINGET + b"\0" + kind
    again = pickle.MARK + pickle.BINGET + b"\0" + pickle.BINGET + b"\1"
    inner: tuple[Any, ...] = (
        name("torch._utils._rebuild_tensor_v2"),
        name("torch.Tensor"),
        arguments,
        {},
    )
    end = pickle.EMPTY_DICT + pickle.TUPLE
    program = rebuild + first + again * 198 + value(inner) + end * 199 + pickle.REDUCE
    return archive(Piece(program), {"0": floats(1.0)})


# ----------------------------------------------------------------- what is shared

SHARED = {
    "tuples": ("TUPLE2", pickle.EMPTY_TUPLE, pickle.TUPLE2, "pairs"),
    "lists": ("LIST", pickle.EMPTY_LIST, pickle.LIST, "lists of two"),
    "dicts": ("DICT", pickle.EMPTY_DICT, pickle.DICT, "dicts of two"),
}


@written("opcode:{opcode}", each=SHARED, label="built", flags=("bomb", "doubling"))
def doubled(opcode: str, first: bytes, close: bytes, what: str) -> bytes:
    """64 {what}, each of them twice the one before: 2^64 leaves to whoever counts."""
    program = first
    for index in range(64):
        put, get = (pickle.BINPUT + bytes([index]), pickle.BINGET + bytes([index]))
        match close:
            case pickle.TUPLE2:
                program += put + get + close
            case pickle.LIST:
                program += put + b"0" + b"(" + get * 2 + close
            case _:
                program += put + b"0" + b"(K\0" + get + b"K\1" + get + close
    return stream(program)


@written("opcode:BINGET", **BOMB)
def text_shared() -> bytes:
    """A list of one text of 4,000 characters, 4,000 times."""
    text = counted(pickle.BINUNICODE, b"a" * 4_000) + pickle.BINPUT + b"\0"
    again = (pickle.BINGET + b"\0") * 3_999
    return stream(b"](", text, again, b"e")


@written("persistent-id:storage", **BOMB)
def storage_shared() -> bytes:
    """400 times the same storage, by its persistent id."""
    pid = value(("storage", name("torch.FloatStorage"), "0", "cpu", 1))
    first = pid + pickle.BINPUT + b"\0" + pickle.BINPERSID
    again = (pickle.BINGET + b"\0" + pickle.BINPERSID) * 399
    root = Piece(b"](" + first + again + b"e")
    return archive(root, {"0": floats(1.0)})


# -------------------------------------------------------------------------- size


@written("opcode:LONG_BINPUT", label="built", flags=("bomb", "cve"),
         links=vulnerabilities("CVE-2018-20406"))  # fmt: skip
def memo_index_of_a_million() -> bytes:
    """One value at index 1,000,000 of the memo: 8 MB for whoever makes it an array."""
    return stream(b"]r\x40\x42\x0f\0")


@written("opcode:INT", label="built", verdict="invalid", phase="pickle",
         flags=("bomb", "costly-text"))  # fmt: skip
def digits() -> bytes:
    """An integer of 20,000 decimal digits, which take time squared."""
    return _packed((b"\x80\2I", 1), (b"7", 20_000), (b"\n.", 1))


@written("opcode:LONG4", **BOMB)
def integer_of_a_kilobyte() -> bytes:
    """An integer of 1,024 bytes, which has 2,466 decimal digits."""
    return stream(counted(pickle.LONG4, b"\xff" * 1_023 + b"\x7f"))


@written(
    "builtins.bytes",
    **BOMB,
    verdict="either",
    reason=LEDGER,
)
def bytes_of_zeros() -> bytes:
    """`bytes(16384)`: zeros from a few bytes, as many as the file likes."""
    return archive(call("builtins.bytes", 1 << 14))


@written("builtins.range", **{**BOMB, "flags": ("bomb", "weights-only-refuses")})
def range_endless() -> bytes:
    """A range of 2^62 numbers, which must stay one."""
    return archive(call("builtins.range", 0, 1 << 62, 1))


@written("torch._utils._rebuild_tensor_v2", directory="bombs", **BOMB)
def tensor_expanded() -> bytes:
    """2^50 elements, all of them the same four bytes."""
    root = tensor(storage("FloatStorage", 1), (1 << 25, 1 << 25), (0, 0))
    return archive(root, {"0": floats(1.0)})


@written("torch._utils._rebuild_tensor_v2", directory="bombs", **BOMB)
def tensor_of_windows() -> bytes:
    """Windows over 1,024 elements, each one further: 2^18 elements of them."""
    root = tensor(storage("ByteStorage", 1_024), (512, 512), (1, 1))
    return archive(root, {"0": bytes(1_024)})


@written(
    "persistent-id:storage",
    label="repacked",
    flags=("bomb", "deflate"),
)
def storage_of_zeros() -> bytes:
    """A storage of a million zeros that DEFLATE makes a thousand times smaller."""
    size = 1 << 20
    record = Record(bytes(size), deflate((b"\0", size)))
    return archive(tensor(storage("ByteStorage", size), (size,)), {"0": record})


@written(
    "container:zip", label="built", verdict="invalid", phase="container",
    flags=("bomb", "deflate", "size-lies"),
)  # fmt: skip
def storage_of_lies() -> bytes:
    """A DEFLATEd storage whose record says 2^31 bytes, and holds four."""
    packed = deflate((floats(1.0), 1))
    record = Record(floats(1.0), packed)
    whole = archive(tensor(storage("FloatStorage", 1 << 29), (1 << 29,)), {"0": record})
    old, new = (
        struct.pack("<2I", len(packed), 4),
        struct.pack("<2I", len(packed), 1 << 31),
    )
    return whole.replace(old, new)


# -------------------------------------------------------- checkpoints in checkpoints

NESTED: Final[dict[str, Any]] = {**BOMB, "flags": ("bomb", "weights-only-refuses")}


@written("torch.storage._load_from_bytes", **NESTED)
def checkpoints_nested() -> bytes:
    """A checkpoint in a checkpoint, ten deep."""
    inner = legacy(value(None))
    for _ in range(10):
        data = Piece(counted(pickle.BINBYTES, inner))
        inner = legacy(call("torch.storage._load_from_bytes", data))
    return inner


@written("torch.storage._load_from_bytes", **NESTED)
def checkpoints_shared() -> bytes:
    """One checkpoint inside this one, which is asked for 40 times."""
    data = counted(pickle.BINBYTES, legacy(value([])))
    first = name("torch.storage._load_from_bytes") + b"q\0" + data + b"\x85q\1R"
    return stream(b"](", first, b"h\0h\1R" * 39, b"e")

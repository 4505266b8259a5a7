"""Checkpoints by hand: files that no `torch.save` of today would write.

A `Piece` is opcodes that leave one value on the pickle machine's stack; plain
values become pieces by themselves. `dump` makes a pickle of a piece, `archive`
and `legacy` put that, with the bytes of its storages, into a container. The
bytes are the same every time and everywhere.
"""

from __future__ import annotations

import pickle
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final


class Piece(bytes):
    """Opcodes that leave one value on the stack."""


def value(plain: Any) -> Piece:
    """A plain value as opcodes of protocol 2; a piece is passed through."""
    match plain:
        case Piece():
            return plain
        case tuple():
            return Piece(pickle.MARK + _joined(plain) + pickle.TUPLE)
        case list():
            items = pickle.MARK + _joined(plain) + pickle.APPENDS
            return Piece(pickle.EMPTY_LIST + items)
        case dict():
            pairs = (part for pair in plain.items() for part in pair)
            items = pickle.MARK + _joined(pairs) + pickle.SETITEMS
            return Piece(pickle.EMPTY_DICT + items)
        case str():
            text = plain.encode()
            return Piece(pickle.BINUNICODE + struct.pack("<I", len(text)) + text)
    # A number or None: Python's own pickle, without PROTO and STOP.
    return Piece(pickle.dumps(plain, 2)[2:-1])


def _joined(values: Iterable[Any]) -> bytes:
    return b"".join(map(value, values))


def name(full: str) -> Piece:
    """GLOBAL: the last dot divides the module from the name in it."""
    module, _, attribute = full.rpartition(".")
    return Piece(pickle.GLOBAL + f"{module}\n{attribute}\n".encode())


def call(callee: str, *args: Any) -> Piece:
    """REDUCE of a global with these arguments."""
    return Piece(name(callee) + value(args) + pickle.REDUCE)


def new(callee: str, *args: Any) -> Piece:
    """NEWOBJ of a global with these arguments."""
    return Piece(name(callee) + value(args) + pickle.NEWOBJ)


def build(target: Piece, state: Any) -> Piece:
    """BUILD: gives the target a state."""
    return Piece(target + value(state) + pickle.BUILD)


def storage(
    kind: str, numel: int, key: str = "0", location: str = "cpu", *view: Any
) -> Piece:
    """A storage by its persistent id; in a legacy stream `view` is its sixth part."""
    module = "torch.storage" if kind == "UntypedStorage" else "torch"
    pid = ("storage", name(f"{module}.{kind}"), key, location, numel, *view)
    return Piece(value(pid) + pickle.BINPERSID)


def stride_of(size: tuple[int, ...]) -> tuple[int, ...]:
    """The stride of elements in row-major order."""
    stride: tuple[int, ...] = ()
    step = 1
    for length in reversed(size):
        stride = (step, *stride)
        step *= length
    return stride


def tensor(
    storage: Piece,
    size: tuple[int, ...],
    stride: tuple[int, ...] | None = None,
    offset: int = 0,
) -> Piece:
    """A plain tensor, as `_rebuild_tensor_v2`."""
    stride = stride_of(size) if stride is None else stride
    hooks = call("collections.OrderedDict")
    return call(
        "torch._utils._rebuild_tensor_v2", storage, offset, size, stride, False, hooks
    )


def untyped_tensor(storage: Piece, size: tuple[int, ...], dtype: str) -> Piece:
    """A tensor whose dtype has no storage class, as `_rebuild_tensor_v3`."""
    hooks = call("collections.OrderedDict")
    return call(
        "torch._utils._rebuild_tensor_v3",
        *(storage, 0, size, stride_of(size), False, hooks, name(f"torch.{dtype}")),
    )


def dump(root: Any, protocol: int = 2) -> bytes:
    """The pickle of a value; the protocol is only what it says of itself."""
    return pickle.PROTO + bytes([protocol]) + value(root) + pickle.STOP


def floats(*numbers: float) -> bytes:
    """The bytes of float32 elements."""
    return struct.pack(f"<{len(numbers)}f", *numbers)


def longs(*numbers: int) -> bytes:
    """The bytes of int64 elements."""
    return struct.pack(f"<{len(numbers)}q", *numbers)


# ------------------------------------------------------------------ containers


@dataclass(frozen=True)
class Record:
    """The bytes of a record, and what is unusual about it.

    `packed` is a DEFLATE stream that stands in the file in place of `data`;
    `folder` sets the attribute of a directory; `like` names an earlier record
    whose bytes this one shares.
    """

    data: bytes = b""
    packed: bytes | None = None
    folder: bool = False
    like: str | None = None


def archive(
    root: Any,
    storages: Mapping[str, bytes | Record] | None = None,
    records: Mapping[str, bytes | Record] | None = None,
    *,
    byteorder: str = "little",
) -> bytes:
    """A zip archive: `root` as `data.pkl` and the storages, by their keys.

    `root` may also be a whole pickle, or a record; `records` come last, and win.
    """
    usual: dict[str, bytes | Record] = {
        "data.pkl": root if isinstance(root, Record) else _whole(root),
        "byteorder": byteorder.encode(),
        **{f"data/{key}": data for key, data in (storages or {}).items()},
        "version": b"3\n",
    }
    return _zip({**usual, **(records or {})})


def _whole(root: Any) -> bytes:
    is_pickle = type(root) is bytes and root.endswith(pickle.STOP)
    return root if is_pickle else dump(root)


def _zip(records: Mapping[str, bytes | Record]) -> bytes:
    out, directory = b"", b""
    places: dict[str, int] = {}
    for label, content in records.items():
        record = content if isinstance(content, Record) else Record(content)
        body = record.data if record.packed is None else record.packed
        path = f"archive/{label}".encode()
        method = 0 if record.packed is None else 8
        # Flags, method, time, date, checksum, sizes, length of the name.
        facts = struct.pack(
            "<4HIIIH", 0, method, 0, 33, zlib.crc32(record.data),
            len(body), len(record.data), len(path),
        )  # fmt: skip
        if record.like is None:
            places[label] = len(out)
            out += struct.pack("<4sH", b"PK\3\4", 20) + facts + bytes(2) + path + body
        place = places[record.like or label]
        attributes = 0x10 if record.folder else 0
        directory += struct.pack("<4sHH", b"PK\1\2", 20, 20) + facts
        directory += struct.pack("<4HII", 0, 0, 0, 0, attributes, place) + path
    count = len(records)
    return out + directory + struct.pack(
        "<4s4HIIH", b"PK\5\6", 0, 0, count, count, len(directory), len(out), 0
    )  # fmt: skip


def deflate(*runs: tuple[bytes, int]) -> bytes:
    """A DEFLATE stream of strings, each repeated so many times.

    Made here because zlibs differ in what they write. A single byte that
    repeats takes 13 bits for 258 of them.
    """
    bits = ["110"]  # the last block, with the codes that everybody knows
    for text, count in runs:
        copies = 0
        if len(text) == 1 and count > 258:
            copies, count = divmod(count - 1, 258)
            count += 1
        bits += [_literal(byte) for byte in text * count]
        # Length 258 (code 285), distance 1 (code 0).
        bits.append(("11000101" + "00000") * copies)
    bits.append("0000000")
    text_of_bits = "".join(bits)[::-1]
    return int(text_of_bits, 2).to_bytes(-(-len(text_of_bits) // 8), "little")


def _literal(byte: int) -> str:
    return f"{0x30 + byte:08b}" if byte < 144 else f"{0x190 + byte - 144:09b}"


#: What begins every legacy stream, before the object.
_HEAD: Final[tuple[Any, ...]] = (0x1950A86A20F9469CFC6C, 1001, {})


def legacy(root: Any, storages: Mapping[str, tuple[int, bytes]] | None = None) -> bytes:
    """A legacy stream: the object, the keys, and for each the numel and bytes."""
    out = b"".join(map(dump, _HEAD)) + _whole(root) + dump(list(storages or {}))
    for numel, data in (storages or {}).values():
        out += struct.pack("<q", numel) + data
    return out

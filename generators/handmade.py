"""Checkpoints by hand: files that no `torch.save` of today would write.

A `Piece` is opcodes that leave one value on the pickle machine's stack; plain
values become pieces by themselves. `dump` makes a pickle of a piece, `archive`
and `legacy` put that, with the bytes of its storages, into a container. The
bytes are the same every time and everywhere.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final

from .containers import Record, deflate, pack

__all__ = [
    "Piece",
    "Record",
    "archive",
    "build",
    "call",
    "deflate",
    "dump",
    "floats",
    "legacy",
    "longs",
    "name",
    "new",
    "pack",
    "storage",
    "stride_of",
    "tensor",
    "untyped_tensor",
    "value",
]


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
    kind: str, numel: int, key: Any = "0", location: str = "cpu", *view: Any
) -> Piece:
    """A storage by its persistent id; in a legacy stream `view` is its sixth part."""
    module = "torch.storage" if kind == "UntypedStorage" else "torch"
    pid = ("storage", name(f"{module}.{kind}"), key, location, numel, *view)
    return Piece(value(pid) + pickle.BINPERSID)


def layout(kind: str) -> Piece:
    """A layout, `sparse_coo` or the like, as torch itself writes it."""
    return call("torch.serialization._get_layout", f"torch.{kind}")


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


def archive(
    root: Any,
    storages: Mapping[str, bytes | Record] | None = None,
    records: Mapping[str, bytes | Record] | None = None,
    *,
    byteorder: str | None = "little",
    **options: Any,
) -> bytes:
    """A zip archive: `root` as `data.pkl` and the storages, by their keys.

    `root` may also be a whole pickle, or a record; `records` come last, and win.
    `options` are those of `containers.pack`.
    """
    usual: dict[str, bytes | Record] = {
        "data.pkl": root if isinstance(root, Record) else _whole(root),
        **({} if byteorder is None else {"byteorder": byteorder.encode()}),
        **{f"data/{key}": data for key, data in (storages or {}).items()},
        "version": b"3\n",
    }
    return pack({**usual, **(records or {})}, **options)


def _whole(root: Any, protocol: int = 2) -> bytes:
    is_pickle = type(root) is bytes and root.endswith(pickle.STOP)
    return root if is_pickle else dump(root, protocol)


#: What begins every legacy stream, before the facts about the machine.
_HEAD: Final = (0x1950A86A20F9469CFC6C, 1001)


def legacy(
    root: Any,
    storages: Mapping[str, tuple[int, bytes]] | None = None,
    *,
    about: Any = None,
    keys: Any = None,
    protocol: int = 2,
) -> bytes:
    """A legacy stream: the object, the keys, and for each the numel and bytes.

    `about` the machine is an empty dict if nothing else is said, `keys` those of
    the storages, whose order is that of the bytes.
    """
    about = {} if about is None else about
    keys = list(storages or {}) if keys is None else keys
    parts = (*_HEAD, about, root, keys)
    out = b"".join(_whole(part, protocol) for part in parts)
    for numel, data in (storages or {}).values():
        out += struct.pack("<q", numel) + data
    return out

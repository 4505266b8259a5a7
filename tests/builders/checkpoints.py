"""Checkpoints without torch: any tree, any call, around storages of any bytes.

A tree is made of Python's own values and of four things that stand for what
only torch has: `Name` (a GLOBAL), `Call` and `New` (REDUCE and NEWOBJ, with an
optional BUILD) and `Bytes` (a storage). `dump` turns it into a pickle the way
`torch.save` would, memo and all; `zipped` and `legacy` put that, with the
storages, into a container. Standard library only.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from tests.builders import zips

#: No BUILD: even `None` is a state that a file can have.
NOTHING: Final = object()


class Name:
    """A global by its full dotted name; equal names are one object in the memo."""

    def __init__(self, full: str) -> None:
        self.module, _, self.name = full.rpartition(".")


class Call:
    """What REDUCE makes of a callee and its arguments, then BUILD of `state`."""

    opcode: ClassVar[bytes] = pickle.REDUCE

    def __init__(self, callee: Any, *args: Any, state: Any = NOTHING) -> None:
        self.callee = Name(callee) if isinstance(callee, str) else callee
        self.args: Any = args
        self.state = state


class New(Call):
    """What NEWOBJ makes of them."""

    opcode = pickle.NEWOBJ


class Bytes:
    """A storage: its class (`FloatStorage`), its bytes, and how it is named.

    `numel` is what the persistent id says, if not the truth.
    """

    def __init__(
        self,
        kind: str,
        data: bytes = b"",
        *,
        key: str | None = None,
        location: str = "cpu",
        numel: int | None = None,
        module: str | None = None,
        view: Any = None,
    ) -> None:
        if module is None:
            module = "torch.storage" if kind == "UntypedStorage" else "torch"
        self.kind: Any = Name(f"{module}.{kind}")
        self.data = data
        self.key = key
        self.location = location
        self.numel = len(data) // ITEMSIZES.get(kind, 1) if numel is None else numel
        self.view = view


#: The storage classes whose elements are wider than a byte.
ITEMSIZES: Final = {
    **dict.fromkeys(("ShortStorage", "HalfStorage", "BFloat16Storage"), 2),
    **dict.fromkeys(("IntStorage", "FloatStorage", "QInt32Storage"), 4),
    **dict.fromkeys(("LongStorage", "DoubleStorage", "ComplexFloatStorage"), 8),
    "ComplexDoubleStorage": 16,
}


class _Writer(pickle._Pickler):
    """Python's own pickler, which also writes what nobody could import."""

    # What Python's pickler has, and its type stubs do not.
    get: Any
    memo: Any
    memoize: Any
    save: Any
    write: Any

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def __init__(self, file: io.BytesIO, protocol: int, *, legacy: bool) -> None:
        super().__init__(file, protocol)
        self.legacy = legacy
        self.storages: dict[str, Bytes] = {}
        self.names: dict[tuple[str, str], Name] = {}

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Bytes):
            return None
        key = obj.key
        if key is None:
            key = obj.key = str(len(self.storages))
        self.storages.setdefault(key, obj)
        tail = (obj.view,) if self.legacy else ()
        return ("storage", obj.kind, key, obj.location, obj.numel, *tail)

    def save_name(self, obj: Name) -> None:
        known = self.names.setdefault((obj.module, obj.name), obj)
        if known is not obj and id(known) in self.memo:
            self.write(self.get(self.memo[id(known)][0]))
            return
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        self.memoize(known)

    def save_call(self, obj: Call) -> None:
        self.save(obj.callee)
        self.save(obj.args)
        self.write(obj.opcode)
        self.memoize(obj)
        if obj.state is not NOTHING:
            self.save(obj.state)
            self.write(pickle.BUILD)

    dispatch[Name] = save_name
    dispatch[Call] = save_call
    dispatch[New] = save_call


def dump(tree: Any, *, protocol: int = 2) -> bytes:
    """The pickle of a tree."""
    return _dump(tree, protocol, legacy=False)[0]


def _dump(tree: Any, protocol: int, *, legacy: bool) -> tuple[bytes, dict[str, Bytes]]:
    file = io.BytesIO()
    writer = _Writer(file, protocol, legacy=legacy)
    writer.dump(tree)
    return file.getvalue(), writer.storages


def zipped(
    tree: Any,
    *,
    protocol: int = 2,
    records: Mapping[str, bytes] | None = None,
) -> bytes:
    """A zip archive that holds the tree and its storages; `records` win."""
    data, storages = _dump(tree, protocol, legacy=False)
    found = {f"data/{key}": storage.data for key, storage in storages.items()}
    entries = zips.checkpoint({"data.pkl": data, **found, **(records or {})})
    return zips.build(entries)


def legacy(tree: Any, *, protocol: int = 2, keys: list[str] | None = None) -> bytes:
    """A legacy stream: three small pickles, the tree, the keys, the storages."""
    data, storages = _dump(tree, protocol, legacy=True)
    about = {
        "protocol_version": 1001,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    listed = sorted(storages) if keys is None else keys
    head = (0x1950A86A20F9469CFC6C, 1001, about)
    out = b"".join(pickle.dumps(part, protocol) for part in head)
    out += data + pickle.dumps(listed, protocol)
    for key in listed:
        storage = storages[key]
        out += struct.pack("<q", storage.numel) + storage.data
    return out


# ------------------------------------------------------------- usual pieces


def floats(*numbers: float) -> Bytes:
    """A storage of float32."""
    return Bytes("FloatStorage", struct.pack(f"<{len(numbers)}f", *numbers))


def longs(*numbers: int) -> Bytes:
    """A storage of int64."""
    return Bytes("LongStorage", struct.pack(f"<{len(numbers)}q", *numbers))


def hooks() -> Call:
    """The empty OrderedDict that every tensor carries."""
    return Call("collections.OrderedDict")


def contiguous(size: tuple[int, ...]) -> tuple[int, ...]:
    """The stride of a tensor whose elements lie in row-major order."""
    stride: list[int] = []
    step = 1
    for length in reversed(size):
        stride.insert(0, step)
        step *= max(length, 1)
    return tuple(stride)


def tensor(
    storage: Any,
    size: Any,
    stride: Any = None,
    offset: Any = 0,
    requires_grad: Any = False,
    *metadata: Any,
) -> Call:
    """`_rebuild_tensor_v2`, as every plain tensor is written."""
    stride = contiguous(size) if stride is None else stride
    return Call(
        "torch._utils._rebuild_tensor_v2",
        *(storage, offset, size, stride, requires_grad, hooks(), *metadata),
    )


def untyped(
    dtype: str,
    data: bytes | Bytes,
    size: Any,
    stride: Any = None,
    offset: Any = 0,
    requires_grad: Any = False,
    *metadata: Any,
) -> Call:
    """`_rebuild_tensor_v3`: dtypes without a storage class of their own."""
    stride = contiguous(size) if stride is None else stride
    if isinstance(data, bytes):
        data = Bytes("UntypedStorage", data)
    return Call(
        "torch._utils._rebuild_tensor_v3",
        *(data, offset, size, stride, requires_grad, hooks()),
        *(Name(f"torch.{dtype}"), *metadata),
    )

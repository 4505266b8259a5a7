"""The tar of torch 0.1: three members, `storages`, `tensors` and `pickle`.

The headers are read here, 512 bytes at a time and never past the file;
`tarfile` believes sizes before it checks them. Source: `legacy_load` in
torch/serialization.py (2.13.0).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ..context import Context, ascii_text, record_key
from ..dtypes import DTYPES
from ..errors import (
    CheckpointError,
    Malformed,
    NotACheckpoint,
    Truncated,
    Unsupported,
)
from ..rebuild import tensor_of
from ..tensor import Storage, Tensor
from ..values import Global, TypedGlobal

BLOCK: Final = 512


def is_tar(view: memoryview) -> bool:
    """Whether a header with the right checksum stands at the beginning."""
    return len(view) >= BLOCK and _checksum_holds(bytes(view[:BLOCK]))


def _checksum_holds(header: bytes) -> bool:
    stated = _number(header[148:156])
    return stated is not None and stated == sum(header) - sum(header[148:156]) + 8 * 32


def _number(field: bytes) -> int | None:
    """Octal text, or base 256 with the top bit set."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0")[0].strip()
    if not digits or digits.strip(b"01234567"):
        return None if digits else 0
    return int(digits, 8)


def _pax(data: bytes) -> dict[bytes, bytes]:
    """The records `length key=value` of an extended header."""
    found: dict[bytes, bytes] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 20)
        digits = data[position:space] if space > 0 else b""
        if not digits.isdigit() or int(digits) <= len(digits) + 1:
            raise Malformed("an extended header of the tar is no list of records")
        end = position + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or not equals:
            raise Malformed("an extended header of the tar is no list of records")
        found[key] = value
        position = end
    return found


def _members(view: memoryview) -> Iterator[tuple[bytes, int, memoryview]]:
    """Name, offset and content of every regular member."""
    position = 0
    named: bytes | None = None
    sized: int | None = None
    while len(view) - position >= BLOCK:
        header = bytes(view[position : position + BLOCK])
        if not any(header):
            return
        if not _checksum_holds(header):
            raise Malformed("a tar header with a wrong checksum", offset=position)
        size = _number(header[124:136])
        start = position + BLOCK
        kind = header[156:157]
        if sized is not None and kind in b"0\0":
            size = sized
        if size is None or size > len(view) - start:
            raise Truncated(
                "a member of the tar is larger than the file", offset=position
            )
        position = start + -(-size // BLOCK) * BLOCK
        if position > len(view):
            raise Truncated(
                "a member of the tar is not filled up to a whole block",
                offset=start + size,
            )
        content = view[start : start + size]
        if kind == b"x":
            records = _pax(bytes(content))
            named = records.get(b"path", named)
            sized = _decimal(records.get(b"size"))
        elif kind == b"L":
            named = bytes(content).rstrip(b"\0")
        elif kind in (b"0", b"\0"):
            yield named or header[:100].split(b"\0")[0], start, content
            named = sized = None


def _decimal(text: bytes | None) -> int | None:
    if text is None:
        return None
    if not text.isdigit() or len(text) > 20:
        raise Malformed("a member of the tar without a size")
    return int(text)


def read(view: memoryview, context: Context) -> tuple[Any, int]:
    """The object in the tar that begins where `view` does."""
    context.trace.containers.append("tar")
    if context.weights_only:
        raise Unsupported(
            "a legacy tar, which torch refuses under weights_only=True; "
            "weights_only=False reads it and still runs nothing"
        )
    context.grant(len(view))
    protocols = context.trace.protocols
    first = len(protocols)
    members = {name: (content, start) for name, start, content in _members(view)}
    for name in (b"storages", b"tensors", b"pickle"):
        if name not in members:
            raise NotACheckpoint(f"a tar without a member called {name.decode()!r}")
    loaded = _Loaded(context)
    loaded.read_storages(_Member(context, *members[b"storages"]))
    loaded.read_tensors(_Member(context, *members[b"tensors"]))
    # Of the many pickles, the object's protocol is the one to tell.
    del protocols[first:]
    content, start = members[b"pickle"]
    machine = context.unpickler(content, loaded.persistent_load, base=start)
    tree = machine.load()
    machine.run_deferred()
    return tree, len(view)


class _Member:
    """A member of the tar, read from the front: small pickles and raw numbers."""

    def __init__(self, context: Context, content: memoryview, start: int) -> None:
        self.context = context
        self.content = content
        self.start = start
        self.position = 0

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return len(self.content) - self.position

    def unpickle(self) -> Any:
        value, self.position = self.context.unpickle(
            self.content, position=self.position, base=self.start
        )
        return value

    def take(self, size: int) -> memoryview:
        if not 0 <= size <= self.left:
            raise Truncated(
                f"a member of the tar has {self.left} bytes left where it says {size}"
            )
        self.position += size
        return self.content[self.position - size : self.position]

    def int64s(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}q", self.take(8 * count))

    def rows(self) -> Iterator[tuple[int, Any, Any]]:
        """As many triples as are announced, each of which costs some bytes."""
        count = self.unpickle()
        if type(count) is not int or count < 0:
            raise Malformed("a member of the tar without a count")
        for _ in range(count):
            row = self.unpickle()
            if type(row) is not tuple or len(row) != 3 or type(row[0]) is not int:
                raise Malformed("a row of the tar is no triple")
            yield row


@contextmanager
def _placed(member: _Member) -> Iterator[None]:
    """Errors say how far the member has been read."""
    try:
        yield
    except CheckpointError as error:
        if error.offset is None:
            error.offset = member.start + member.position
        raise


class _Loaded:
    """Storages and tensors by the number that stands for them."""

    def __init__(self, context: Context) -> None:
        self.trace = context.trace
        self.objects: dict[int, Storage | Tensor] = {}

    def persistent_load(self, pid: Any) -> Any:
        if type(pid) is tuple and pid and isinstance(pid[0], Global):
            # A module's class, with its source code beside it.
            self.trace.persistent_ids["module"] += 1
            return pid[0]
        self.trace.persistent_ids["number"] += 1
        pid = ascii_text(pid)
        if type(pid) is str and pid.isdecimal() and len(pid) < 40:
            pid = int(pid)
        return self.object(pid, (Storage, Tensor))

    def object(self, key: Any, kinds: tuple[type, ...]) -> Any:
        found = self.objects.get(key) if type(key) is int else None
        if not isinstance(found, kinds):
            raise Malformed("a number in the tar that stands for nothing")
        return found

    def read_storages(self, member: _Member) -> None:
        with _placed(member):
            for key, location, kind in member.rows():
                location = ascii_text(location)
                if type(kind) is not TypedGlobal or type(location) is not str:
                    raise Malformed("a storage of the tar without a class")
                (numel,) = member.int64s(1)
                data = member.take(numel * kind.info.itemsize)
                self.add_storage(key, kind.info.name, location, data)
                self.trace.storages += 1
                self.trace.storage_bytes += data.nbytes
            views = member.unpickle()
            if type(views) is not list:
                raise Malformed("the storage views of the tar must be a list")
            for view in views:
                self.read_view(view)

    def add_storage(
        self, key: int, dtype: str, location: str, data: memoryview
    ) -> None:
        name = record_key(key)
        self.objects[key] = Storage(dtype, data.nbytes, location, name, data)

    def read_view(self, view: Any) -> None:
        if type(view) is not tuple or len(view) != 4:
            raise Malformed("a storage view of the tar has four parts")
        key, root_key, offset, numel = view
        root: Storage = self.object(root_key, (Storage,))
        if not all(type(number) is int for number in (key, offset, numel)):
            raise Malformed("a storage view of the tar is cut by ints")
        itemsize = DTYPES[root.dtype].itemsize
        start = offset * itemsize
        # Python's rules for slices, as in torch.
        data = root.data[start : start + numel * itemsize]
        self.add_storage(key, root.dtype, root.location, data)

    def read_tensors(self, member: _Member) -> None:
        with _placed(member):
            for key, storage_key, _ in member.rows():
                storage: Storage = self.object(storage_key, (Storage,))
                if DTYPES[storage.dtype].kind == "quantized":
                    raise Malformed(f"a plain tensor of {storage.dtype}")
                (head,) = member.int64s(1)
                # Four bytes for the number of dimensions, and four of nothing.
                ndim = head & 0xFFFFFFFF
                numbers = member.int64s(2 * ndim + 1)
                self.objects[key] = tensor_of(
                    storage, numbers[-1], numbers[:ndim], numbers[ndim : 2 * ndim]
                )

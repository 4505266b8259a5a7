"""The legacy stream: how `torch.save` wrote until 1.6, and still can.

Five pickles in a row, each with a memo of its own (a magic number, a protocol
version, facts about the machine, the object, the keys of the storages), then
for each key an int64 count and the raw bytes, always little-endian. Nothing
says where it ends, so streams can follow each other in one file.

What begins like a pickle and not with the magic number is a plain pickle;
`torch.load` refuses those, `pickle.load` reads them, and so do we. Source:
`_legacy_save` and `_legacy_load` in torch/serialization.py (2.13.0, 0.3.1).
"""

from __future__ import annotations

import struct
from typing import Any, Final

from ..context import Context, is_id_of, record_key, storage_id, walked
from ..dtypes import DTYPES, DTypeInfo
from ..errors import (
    CheckpointError,
    Malformed,
    NotACheckpoint,
    Truncated,
    Uninitialised,
    Unsupported,
    quote,
)
from ..rebuild.checks import is_nothing
from ..tensor import Storage
from ..values import Inert

MAGIC: Final = 0x1950A86A20F9469CFC6C
PROTOCOL: Final = 1001


def read(view: memoryview, context: Context) -> tuple[Any, int]:
    """The object of the stream that begins where `view` does, and its length."""
    context.grant(len(view))
    protocols = context.trace.protocols
    first = len(protocols)
    try:
        magic, position = context.unpickle(view)
    except Malformed as error:
        if bytes(view[:1]) != b"\x80":
            raise NotACheckpoint(
                f"neither a zip archive, nor a tar, nor a pickle: {error.message}",
                offset=error.offset,
            ) from None
        raise
    if type(magic) is not int or magic != MAGIC:
        context.trace.containers.append("pickle")
        return magic, position
    context.trace.containers.append("legacy")
    version, position = context.unpickle(view, position=position)
    if type(version) is not int or version != PROTOCOL:
        raise Unsupported("a legacy stream of an unknown protocol version")
    _, position = context.unpickle(view, position=position)
    # Of the five pickles, the object's protocol is the one to tell.
    del protocols[first:]
    try:
        return _Stream(view, context).read(position)
    finally:
        del protocols[first + 1 :]


class _Stream:
    """The object, the keys, and the storages that the keys bring in."""

    def __init__(self, view: memoryview, context: Context) -> None:
        self.view = view
        self.context = context
        self.storages: dict[Any, Storage] = {}
        #: Storages that are a part of another one's bytes, and from where on.
        self.views: dict[Any, tuple[Storage, int]] = {}
        #: Keys of storages whose bytes have not come yet.
        self.missing: dict[Any, Storage] = {}

    def read(self, position: int) -> tuple[Any, int]:
        context = self.context
        machine = context.unpickler(self.view, self.persistent_load, position=position)
        tree = machine.load()
        keys, position = context.unpickle(self.view, position=machine.position)
        try:
            for key in walked(keys, "the keys of a legacy stream"):
                position = self.fill(key, position)
        except CheckpointError as error:
            if error.offset is None:
                error.offset = machine.position
            raise
        for storage in self.missing.values():
            raise Uninitialised(
                f"the storage {quote(storage.key)} is used, its bytes are not there",
            )
        machine.run_deferred()
        return tree, position

    def persistent_load(self, pid: Any) -> Any:
        if (
            is_id_of(pid, "module")
            and len(pid) > 1
            and isinstance(pid[1], Inert)
            # What torch does not look at may be of any number.
            and (len(pid) == 4 or any(map(is_nothing, pid[2:])))
        ):
            # A module's class, with its source code beside it.
            self.context.trace.persistent_ids["module"] += 1
            return pid[1]
        kind, key, location, numel, view = storage_id(pid, 6)
        name = record_key(key)
        ids = self.context.trace.persistent_ids
        ids["storage" if view is None else "view"] += 1
        storage = self.storages.get(key)
        if storage is None:
            nbytes = numel * kind.info.itemsize
            storage = Storage(kind.info.name, nbytes, location, name)
            self.storages[key] = storage
            self.context.trace.storages += 1
            self.context.trace.storage_bytes += nbytes
            if nbytes:
                self.missing[key] = storage
        elif storage.nbytes == 0:
            # torch 2.13 makes every empty storage anew.
            storage = Storage(kind.info.name, 0, location, name)
        if view is None:
            return storage
        root, start = self.views.get(key, (storage, 0))
        return self.part(storage, root, start, kind.info, view)

    def part(
        self, outer: Storage, root: Storage, start: int, info: DTypeInfo, view: Any
    ) -> Storage:
        """A part of `outer`, which itself begins at `start` of `root`.

        torch wrote storages that share memory like this before 0.4.
        """
        if type(view) is not tuple or len(view) != 3:
            raise Malformed(
                "a storage view is a key, an offset and a size", phase="pickle"
            )
        key, offset, size = view
        name = record_key(key)
        if type(offset) is not int or type(size) is not int:
            raise Malformed("a storage view is cut by ints", phase="pickle")
        known = self.storages.get(key)
        if known is not None:
            return known
        begin = offset * info.itemsize
        # Python's rules for slices, as in torch.
        cut = slice(begin, begin + size * info.itemsize)
        begin, end, _ = cut.indices(outer.nbytes)
        nbytes = max(end - begin, 0)
        begin += start
        storage = Storage(
            info.name,
            nbytes,
            outer.location,
            name,
            # The bytes of the root are yet to come.
            lambda: root.data[begin : begin + nbytes],
        )
        self.storages[key] = storage
        self.views[key] = root, begin
        return storage

    def fill(self, key: Any, position: int) -> int:
        """Takes the bytes of a storage; answers the position after them."""
        name = record_key(key)
        storage = self.storages.get(key)
        if storage is None or key in self.views:
            raise Malformed(
                f"bytes for the storage {quote(name)}, which nothing uses",
                offset=position,
            )
        if len(self.view) - position < 8:
            raise Truncated(
                "the file ends before the size of a storage", offset=position
            )
        (count,) = struct.unpack_from("<q", self.view, position)
        expected = storage.nbytes // DTYPES[storage.dtype].itemsize
        if count != expected:
            raise Malformed(
                f"a storage of {expected} elements whose bytes say {count}",
                offset=position,
            )
        position += 8
        if len(self.view) - position < storage.nbytes:
            raise Truncated(
                f"the file ends inside a storage: {storage.nbytes} bytes announced, "
                f"{len(self.view) - position} left",
                offset=position,
            )
        end = position + storage.nbytes
        if storage.location != "meta":
            storage.fill(self.view[position:end])
        self.missing.pop(key, None)
        return end

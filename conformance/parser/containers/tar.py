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

from ..context import Context, ascii_text, record_key, walked
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
    """Whether a right header stands at the beginning."""
    return len(view) >= BLOCK and _is_header(bytes(view[:BLOCK]))


#: Where a header has a number: mode, owner, group, size, time, device.
_NUMBERS: Final = tuple(
    slice(start, stop)
    for start, stop in (
        *((100, 108), (108, 116), (116, 124), (124, 136), (136, 148)),
        *((329, 337), (337, 345)),
    )
)
_CHECKSUM: Final = slice(148, 156)


def _is_header(header: bytes) -> bool:
    """As in tarfile: numbers that can be read, and a right checksum."""
    if any(_number(header[place]) is None for place in _NUMBERS):
        return False
    blank = header[: _CHECKSUM.start] + b" " * 8 + header[_CHECKSUM.stop :]
    # Some tars took the bytes for signed ones.
    signed = sum(blank) - 256 * sum(byte > 127 for byte in blank)
    return _number(header[_CHECKSUM]) in (sum(blank), signed)


def _number(field: bytes) -> int | None:
    """Octal text, in the spellings of Python's `int`, or base 256."""
    if field[0] in (0x80, 0xFF):
        # The first byte is the sign: all ones, or all zeros but the top bit.
        sign = b"\xff" if field[0] == 0xFF else b"\0"
        return int.from_bytes(sign + field[1:], "big", signed=True)
    try:
        return int(_text(field).decode("ascii").strip() or "0", 8)
    except ValueError:
        return None


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


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


#: Headers that are about the next member: GNU tar's long names and links, POSIX's
#: extended headers, also as Solaris spells them.
_LONG_NAME, _LONG_LINK, _EXTENDED = b"L", b"K", (b"x", b"X")
_GLOBAL: Final = b"g"
#: Links, devices, folders, pipes: a name and no content, whatever the size says.
_EMPTY: Final = (b"1", b"2", b"3", b"4", b"5", b"6")
_SPARSE: Final = b"S"


def _members(view: memoryview) -> Iterator[tuple[bytes, int, memoryview | None]]:
    """Name, offset and content of every member; no content if it is no file.

    As tarfile sees them: what is no header ends the archive, a kind that nobody
    knows is a file, and of several headers about a member the first one wins.
    """
    position = 0
    about: dict[bytes, bytes] = {}
    while len(view) - position >= BLOCK:
        header = bytes(view[position : position + BLOCK])
        if not _is_header(header):
            if about:
                raise Malformed("a tar header about no member", offset=position)
            return
        kind, name = _kind_and_name(header)
        size = 0 if kind in _EMPTY else _number(header[124:136])
        if b"size" in about and kind not in (*_EMPTY, _LONG_NAME, _LONG_LINK):
            size = _decimal(about[b"size"])
        start = position + BLOCK
        content = _content(view, start, size, position)
        position = start + -(-len(content) // BLOCK) * BLOCK
        if kind == _LONG_NAME:
            about.setdefault(b"path", _text(bytes(content)))
        elif kind in _EXTENDED:
            for key, value in _pax(bytes(content)).items():
                about.setdefault(key, value)
        elif kind == _GLOBAL:
            _check_global(_pax(bytes(content)))
        elif kind == _SPARSE or any(key.startswith(b"GNU.sparse") for key in about):
            raise _unusual("a sparse file")
        elif kind != _LONG_LINK:
            name = about.get(b"path", name).rstrip(b"/")
            yield name, start, None if kind in _EMPTY else content
            about = {}


def _kind_and_name(header: bytes) -> tuple[bytes, bytes]:
    kind, name, prefix = header[156:157], _text(header[:100]), _text(header[345:500])
    if kind == b"\0" and name.endswith(b"/"):
        kind = b"5"  # as in the tar of 1979
    return kind, prefix + b"/" + name if prefix else name


#: What a global header may say of all members and change nothing here.
_HARMLESS: Final = frozenset({b"atime", b"charset", b"comment", b"ctime", b"mtime"})


def _check_global(records: dict[bytes, bytes]) -> None:
    if not _HARMLESS.issuperset(records):
        raise _unusual("a global header")


def _content(
    view: memoryview, start: int, size: int | None, position: int
) -> memoryview:
    if size is None or not 0 <= size <= len(view) - start:
        raise Truncated("a member of the tar is larger than the file", offset=position)
    if -size % BLOCK > len(view) - start - size:
        raise Truncated(
            "a member of the tar is not filled up to a whole block",
            offset=start + size,
        )
    return view[start : start + size]


def _unusual(what: str) -> Unsupported:
    return Unsupported(f"{what} in a tar, which torch never wrote")


def _decimal(text: bytes) -> int:
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
    storages, tensors, objects = (
        _file(members, name) for name in ("storages", "tensors", "pickle")
    )
    loaded = _Loaded(context)
    loaded.read_storages(_Member(context, *storages))
    loaded.read_tensors(_Member(context, *tensors))
    # Of the many pickles, the object's protocol is the one to tell.
    del protocols[first:]
    content, start = objects
    machine = context.unpickler(content, loaded.persistent_load, base=start)
    tree = machine.load()
    machine.run_deferred()
    return tree, len(view)


def _file(
    members: dict[bytes, tuple[memoryview | None, int]], name: str
) -> tuple[memoryview, int]:
    """The last member of the name, which must be a file."""
    if name.encode() not in members:
        raise NotACheckpoint(f"a tar without a member called {name!r}")
    content, start = members[name.encode()]
    if content is None:
        raise _unusual(f"a link or folder called {name!r}")
    return content, start


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
        if type(count) not in (int, bool):
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
            for view in walked(member.unpickle(), "the storage views of the tar"):
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

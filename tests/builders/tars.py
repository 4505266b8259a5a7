"""The tar of torch 0.1: three members, and headers that may lie.

`storages` and `tensors` are made of rows; the member `pickle` refers to them by
number. Whatever is not said comes out right. Standard library only.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from tests.builders import pickles as p
from tests.builders.legacy import class_name, dump

BLOCK: Final = 512

#: Where in a header a field begins, and its length (POSIX ustar).
_FIELDS: Final = {
    "name": (0, 100),
    "size": (124, 12),
    "checksum": (148, 8),
    "kind": (156, 1),
    "mode": (100, 8),
    "link": (157, 100),
    "magic": (257, 8),
    "prefix": (345, 155),
}


def header(
    name: bytes,
    size: int | bytes,
    kind: bytes = b"0",
    checksum: bytes | None = None,
    **fields: bytes,
) -> bytes:
    """One header; a `size` or `checksum` of bytes is written as it stands."""
    values = {
        "name": name,
        "size": size if isinstance(size, bytes) else octal(size),
        "kind": kind,
        "magic": b"ustar\x0000",
        "checksum": b" " * 8,
        **fields,
    }
    block = bytearray(BLOCK)
    for field, value in values.items():
        start, length = _FIELDS[field]
        block[start : start + length] = value.ljust(length, b"\0")[:length]
    if checksum is None:
        checksum = b"%06o\0 " % sum(block)
    block[148:156] = checksum.ljust(8, b"\0")
    return bytes(block)


def octal(size: int) -> bytes:
    """A size in twelve bytes: digits, or base 256 where they do not suffice."""
    return b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")


def member(
    name: bytes,
    content: bytes,
    kind: bytes = b"0",
    *,
    size: bytes | None = None,
    **fields: bytes,
) -> bytes:
    """A header and its content, filled up to whole blocks."""
    head = header(name, len(content) if size is None else size, kind, **fields)
    return head + content + bytes(-len(content) % BLOCK)


def pax(**records: str) -> bytes:
    """An extended header: records for the member behind it."""
    content = b""
    for key, value in records.items():
        body = f" {key}={value}\n".encode()
        length = len(body) + len(str(len(body)))
        length = len(body) + len(str(length))
        content += b"%d" % length + body
    return member(b"PaxHeaders/x", content, b"x")


def gnu_name(name: bytes, kind: bytes = b"L") -> bytes:
    """GNU tar's way to give the member behind it a long name, or link (`K`)."""
    return member(b"././@LongLink", name + b"\0", kind)


def storages(
    *rows: tuple[Any, str, bytes], views: Any = (), count: Any = None
) -> bytes:
    """The member: `(key, class, raw)` of each storage, and the views of them.

    `raw` begins with its count, as `legacy.floats` has it.
    """
    out = dump(len(rows) if count is None else count)
    for key, kind, raw in rows:
        cls = class_name(kind if "." in kind else f"torch.{kind}")
        out += dump((key, "cpu", cls)) + raw
    return out + dump(list(views) if isinstance(views, tuple) else views)


def raw(contents: tuple[int, bytes]) -> bytes:
    """A count and bytes, as they stand behind a row."""
    count, data = contents
    return struct.pack("<q", count) + data


def tensors(*rows: tuple[Any, Any, bytes], count: Any = None) -> bytes:
    """The member: `(key, key of its storage, geometry)` of each tensor."""
    out = dump(len(rows) if count is None else count)
    for key, storage, geometry in rows:
        out += dump((key, storage, class_name("torch.FloatTensor"))) + geometry
    return out


def geometry(
    size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0, ndim: Any = None
) -> bytes:
    """The raw numbers of a tensor; `ndim` lies about the number of dimensions."""
    ndim = len(size) if ndim is None else ndim
    numbers = (*size, *stride, offset)
    return struct.pack(f"<iI{len(numbers)}q", ndim, 0xDEAD, *numbers)


def number(key: Any) -> p.Assembled:
    """What stands for a storage or tensor in the member `pickle`."""
    return p.Assembled(p.value(key) + p.BINPERSID)


def tar(*members: bytes) -> bytes:
    """The members and two empty blocks."""
    return b"".join(members) + bytes(2 * BLOCK)


def checkpoint(
    tree: Any, *, storages: bytes = storages(), tensors: bytes = tensors()
) -> bytes:
    """A whole tar."""
    contents = {b"storages": storages, b"tensors": tensors, b"pickle": dump(tree)}
    return tar(*(member(name, content) for name, content in contents.items()))

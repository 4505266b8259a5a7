"""From what the caller has, a path or an open file, to one run of bytes.

Files on disk are memory-mapped and never copied; whoever holds a tensor holds
the map. Changing or truncating a file while its tensors are in use is as
unsafe as with any memory map.
"""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Iterator
from typing import IO, Any, Final

#: What `load` takes.
File = str | os.PathLike[str] | IO[bytes]

#: How much is asked of a file that cannot be mapped, at a time.
_PIECE: Final = 1 << 20


def map_path(path: str | os.PathLike[str]) -> memoryview:
    """The whole file, read-only; an empty one cannot be mapped."""
    if os.path.exists(path) and not os.path.isfile(path):
        # To open a pipe would be to wait for somebody who writes into it.
        raise io.UnsupportedOperation(f"{os.fspath(path)!r} is no regular file")
    with open(path, "rb") as file:
        return _map(file.fileno())


def _map(descriptor: int) -> memoryview:
    if os.fstat(descriptor).st_size == 0:
        return memoryview(b"")
    return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))


def from_position(file: IO[bytes]) -> tuple[memoryview, int]:
    """The bytes from the file's position on, and that position.

    A file on disk is mapped, a `BytesIO` shown as it is, and anything else
    (a gzip file, a socket's buffer) read to its end.
    """
    position = file.tell()
    if _is_plain_file(file):
        return _map(file.fileno())[position:], position
    if isinstance(file, io.BytesIO):
        # getvalue() shares its bytes until somebody writes.
        return memoryview(file.getvalue())[position:], position
    return memoryview(b"".join(_pieces(file))), position


def _pieces(file: Any) -> Iterator[bytes]:
    """What is left of a file, which may give less than it is asked for."""
    while piece := file.read(_PIECE):
        if not isinstance(piece, bytes):
            raise TypeError(f"a file of bytes is needed, not of {type(piece).__name__}")
        yield piece


def _is_plain_file(file: Any) -> bool:
    """Whether the descriptor's bytes are the file's: not so for gzip."""
    if type(file) in (io.BufferedReader, io.BufferedRandom):
        file = file.raw
    return type(file) is io.FileIO and os.path.isfile(file.fileno())

"""From what the caller has, a path or an open file, to one run of bytes.

Files on disk are memory-mapped and never copied; whoever holds a tensor holds
the map. Changing or truncating a file while its tensors are in use is as
unsafe as with any memory map.
"""

from __future__ import annotations

import io
import mmap
import os
from typing import IO, Any

#: What `load` takes.
File = str | os.PathLike[str] | IO[bytes]


def map_path(path: str | os.PathLike[str]) -> memoryview:
    """The whole file, read-only; an empty one cannot be mapped."""
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
    return memoryview(file.read()), position


def _is_plain_file(file: Any) -> bool:
    """Whether the descriptor's bytes are the file's: not so for gzip."""
    if type(file) in (io.BufferedReader, io.BufferedRandom):
        file = file.raw
    return type(file) is io.FileIO and os.path.isfile(file.fileno())

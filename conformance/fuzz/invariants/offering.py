"""Every way in which a caller can hand bytes to `load`."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from conformance.parser import Limits, load

from ..target import Violation
from .guard import GUARD
from .reading import Mode, Read

#: `with offer(data) as (file, path)`: what `load` gets, and what it may open.
Offer = Callable[[bytes], AbstractContextManager[tuple[Any, str]]]


@contextmanager
def in_memory(data: bytes) -> Iterator[tuple[Any, str]]:
    """A `BytesIO`."""
    yield io.BytesIO(data), ""


@contextmanager
def at_an_offset(data: bytes) -> Iterator[tuple[Any, str]]:
    """A `BytesIO` that stands behind more than there is to read."""
    file = io.BytesIO(bytes(len(data) + 1) + data)
    file.seek(len(data) + 1)
    yield file, ""


class _Slow:
    """A file that gives a byte at a time, as a socket might."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(1 if size else 0)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


@contextmanager
def byte_by_byte(data: bytes) -> Iterator[tuple[Any, str]]:
    """A file object that is neither a file nor a `BytesIO`."""
    yield _Slow(data), ""


@contextmanager
def as_path(data: bytes) -> Iterator[tuple[Any, str]]:
    """The name of a file, which is gone before its tensors are used."""
    handle, path = tempfile.mkstemp(".pt", "torchproof-")
    try:
        with open(handle, "wb") as file:
            file.write(data)
        yield path, path
    finally:
        os.unlink(path)


@contextmanager
def as_open_file(data: bytes) -> Iterator[tuple[Any, str]]:
    """A file on disk that stands behind more than there is to read."""
    start = len(data) + 1
    with as_path(bytes(start) + data) as (path, _), open(path, "rb") as file:
        file.seek(start)
        yield file, path


@contextmanager
def in_folder(files: dict[str, bytes]) -> Iterator[str]:
    """The path of a new folder with these files, which goes afterwards."""
    folder = tempfile.mkdtemp(prefix="torchproof-")
    try:
        for name, data in files.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)
        yield folder
    finally:
        shutil.rmtree(folder)


#: All of them, by what they are to people.
OFFERS: Final[dict[str, Offer]] = {
    "in memory": in_memory,
    "at an offset": at_an_offset,
    "byte by byte": byte_by_byte,
    "as a path": as_path,
    "as an open file": as_open_file,
}


def reader(offer: Offer, limits: Limits) -> Read:
    """`load` of what is offered like this.

    The guard is up meanwhile, and a file object must be left behind what was read.
    """

    def read(data: bytes, mode: Mode) -> Any:
        with offer(data) as (file, path):
            start = _position(file)
            tree = guarded_load(file, mode, limits, path)
            if not start <= _position(file) <= start + len(data):
                told = f"{_position(file)}, from {start}, of {len(data)} bytes"
                raise Violation("position", f"the file is left at {told}")
            return tree

    return read


def _position(file: Any) -> int:
    return 0 if isinstance(file, str) else int(file.tell())


def guarded_load(file: Any, mode: Mode, limits: Limits, path: str = "") -> Any:
    """`load` that may read what is at `path` or below it, and do nothing else."""
    GUARD.up(path)
    try:
        return load(
            file,
            weights_only=mode.weights_only,
            encoding=mode.encoding,
            limits=limits,
        )
    finally:
        GUARD.down()

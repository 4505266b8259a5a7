"""The containers: find the pickle and the storages.

`read` is the one entry. Which container it is, the first bytes say: `PK\\3\\4` a
zip archive (torch looks at nothing else), a header with a right checksum a
tar, and anything else must be a pickle: a legacy stream or a plain one.
"""

from __future__ import annotations

from typing import Any, Final

from ..context import Context
from ..errors import NotACheckpoint
from . import archive, legacy, tar

#: Files that people take for checkpoints, by their first bytes.
_STRANGERS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x1f\x8b", "gzip data: open it with gzip.open() and pass that file"),
    (b"BZh", "bzip2 data: open it with bz2.open() and pass that file"),
    (b"\xfd7zXZ\x00", "xz data: open it with lzma.open() and pass that file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x93NUMPY", "a numpy file: use numpy.load()"),
    (b"\x89HDF", "an HDF5 file"),
    (b"GGUF", "a GGUF file"),
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file it stands for"),
    (b"<!DOCTYPE", "a web page: the download went wrong"),
    (b"<html", "a web page: the download went wrong"),
)


def read(view: memoryview, context: Context) -> tuple[Any, int]:
    """The tree of the checkpoint that begins where `view` does, and its length."""
    head = bytes(view[:16])
    if head[:4] == b"PK\x03\x04":
        return archive.read(view, context)
    if not len(view):
        raise NotACheckpoint("the file is empty", offset=0)
    for magic, what in _STRANGERS:
        if bytes(view[: len(magic)]) == magic:
            raise NotACheckpoint(f"this is {what}", offset=0)
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < len(view):
        raise NotACheckpoint(
            "this is a safetensors file, which has a format of its own", offset=0
        )
    if tar.is_tar(view):
        return tar.read(view, context)
    return legacy.read(view, context)

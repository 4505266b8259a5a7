"""The containers: find the pickle and the storages.

`read` is the one entry. Which container it is, the first bytes say: `PK\\3\\4` a
zip archive (torch looks at nothing else), a header with a right checksum a
tar, and anything else must be a pickle: a legacy stream or a plain one.
"""

from __future__ import annotations

from typing import Any, Final

from ..context import Context
from ..errors import CheckpointError, NotACheckpoint
from . import archive, legacy, tar

#: Files that people take for checkpoints: where, what stands there, what it is.
_STRANGERS: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\x1f\x8b", "gzip data: open it with gzip.open() and pass that file"),
    (0, b"BZh", "bzip2 data: open it with bz2.open() and pass that file"),
    (0, b"\xfd7zXZ\x00", "xz data: open it with lzma.open() and pass that file"),
    (0, b"\x28\xb5\x2f\xfd", "zstandard data: unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it first"),
    (0, b"Rar!", "a RAR archive: unpack it first"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"\x93NUMPY", "a numpy file: use numpy.load()"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"GGUF", "a GGUF file"),
    (0, b"version https://git-lfs", "a Git LFS pointer: fetch what it stands for"),
    (0, b"<!doctype", "a web page: the download went wrong"),
    (0, b"<html", "a web page: the download went wrong"),
    (4, b"PTMF", "a TorchScript module as a flatbuffer: torch.jit.load() reads it"),
    (8, b'{"', "a safetensors file, which has a format of its own"),
)


def read(view: memoryview, context: Context) -> tuple[Any, int]:
    """The tree of the checkpoint that begins where `view` does, and its length."""
    head = bytes(view[:32])
    if not head:
        raise NotACheckpoint("the file is empty", offset=0)
    if head.startswith(b"PK\x03\x04"):
        return archive.read(view, context)
    if tar.is_tar(view):
        return tar.read(view, context)
    try:
        return legacy.read(view, context)
    except CheckpointError:
        for place, magic, what in _STRANGERS:
            if head.startswith((magic, magic.upper()), place):
                raise NotACheckpoint(f"this is {what}", offset=0) from None
        raise

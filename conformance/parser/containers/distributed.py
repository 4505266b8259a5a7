"""Folders of `torch.distributed.checkpoint`: `.metadata` and `.distcp` files.

A `.distcp` file is many archives of `torch.save`, one behind the other, and
`torch.load` cannot read it. Where each begins and what it belongs to stands in
`.metadata`, a plain pickle of `torch.distributed.checkpoint.metadata.Metadata`.
A file without its folder can still be cut: an end record says where its own
directory, and so its archive, begins. Source: torch 2.13.0,
`distributed/checkpoint/{metadata,filesystem}.py`.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from ..context import Context
from ..errors import (
    CheckpointError,
    Malformed,
    NotACheckpoint,
    Truncated,
    Unsupported,
    quote,
)
from ..rebuild.checks import is_nothing
from ..source import map_path
from ..tensor import Tensor
from ..values import Global, Object, Size
from . import legacy

METADATA: Final = ".metadata"
SUFFIX: Final = ".distcp"

_MODULE: Final = "torch.distributed.checkpoint.metadata"
_WHOLE_OBJECT: Final = f"{_MODULE}.BytesStorageMetadata"
_END: Final = re.compile(rb"PK\x05\x06")


@contextmanager
def _placed(position: int, file: str | None = None) -> Iterator[None]:
    """Errors inside count from `position`, and name the file of a folder."""
    try:
        yield
    except CheckpointError as error:
        if error.offset is not None:
            error.offset += position
        if file is not None:
            error.message += f", in {quote(file)}"
        raise


# ------------------------------------------------------------------ one file


def read_file(view: memoryview, context: Context) -> list[Any]:
    """What every archive of a `.distcp` file holds, in the order of the file."""
    context.trace.containers.append("distcp")
    if not len(view):
        raise NotACheckpoint("the file is empty", offset=0)
    found = []
    position = 0
    while position < len(view):
        with _placed(position):
            size = _archive_size(view[position:])
            found.append(context.read(view[position : position + size], context)[0])
        position += size
    return found


def _archive_size(view: memoryview) -> int:
    """The length of the archive at the beginning of `view`.

    Its end record is the first whose directory lies just before it.
    """
    if bytes(view[:4]) != b"PK\x03\x04":
        raise Malformed("no archive where one must begin", offset=0)
    for match in _END.finditer(view):
        end = match.start()
        if len(view) - end < 22:
            break
        size, offset, comment = struct.unpack_from("<IIH", view, end + 12)
        directory_end = end
        if end >= 20 and bytes(view[end - 20 : end - 16]) == b"PK\x06\x07":
            (directory_end,) = struct.unpack_from("<Q", view, end - 12)
            if directory_end > end - 20 - 56:
                continue
            size, offset = struct.unpack_from("<QQ", view, directory_end + 40)
        if offset + size == directory_end:
            return int(end + 22 + comment)
    raise Truncated("an archive without an end", offset=0)


# ---------------------------------------------------------------- a whole folder


def read_folder(path: str, context: Context) -> dict[str, Any]:
    """The state dict that the folder's `.metadata` describes, by flat names.

    A tensor written in one piece comes back as that `Tensor`; one in several
    pieces as an inert `Object` named `...metadata.TensorStorageMetadata`, with
    `size` and `chunks` (pairs of offsets and `Tensor`) in its state.
    """
    with os.scandir(path) as entries:
        files = {entry.name: entry.path for entry in entries if entry.is_file()}
    if METADATA not in files:
        raise NotACheckpoint(
            "a folder without a .metadata file: give the file inside it"
        )
    context.trace.containers.append("distributed")
    plain = replace(context, weights_only=False)
    with _placed(0, METADATA):
        metadata, _ = legacy.read(map_path(files[METADATA]), plain)
        described = _field(metadata, "state_dict_metadata", dict)
        placed = _field(metadata, "storage_data", dict)
    pieces: dict[str, list[tuple[Any, Any]]] = {name: [] for name in described}
    opened: dict[str, _File] = {}
    for index, info in placed.items():
        name = _field(index, "fqn", str)
        if name not in pieces:
            raise Malformed(f"the .metadata places {quote(name)}, and knows it not")
        file = _field(info, "relative_path", str)
        if file not in files:
            # Only what the folder itself lists is ever opened.
            raise Malformed(
                f"the .metadata names a file {quote(file)} that is not there"
            )
        if file not in opened:
            opened[file] = _File(file, map_path(files[file]))
        # A whole object has no offset.
        offsets = index.state.get("offset")
        pieces[name].append((offsets, opened[file].piece(info, context)))
    return {
        name: _joined(name, description, pieces[name])
        for name, description in described.items()
    }


def _field(value: Any, name: str, kind: type) -> Any:
    """A field of a dataclass that the pickle describes."""
    if type(value) is not Object or type(value.state) is not dict:
        raise Malformed(f"the .metadata has a {type(value).__name__} without {name}")
    if type(value.state.get(name)) is not kind:
        raise Malformed(f"the .metadata has a {quote(value.name)} without {name}")
    return value.state[name]


class _File:
    """A file of the folder, and how much of it the pieces have taken."""

    def __init__(self, name: str, view: memoryview) -> None:
        self.name = name
        self.view = view
        self.left = len(view)

    def piece(self, info: Any, context: Context) -> Any:
        offset, length = _field(info, "offset", int), _field(info, "length", int)
        if offset < 0 or length < 0 or offset + length > len(self.view):
            raise Truncated(
                f"a piece reaches beyond the {len(self.view)} bytes of "
                f"{quote(self.name)}"
            )
        if not is_nothing(info.state.get("transform_descriptors")):
            raise Unsupported(f"the pieces in {quote(self.name)} are packed")
        self.left -= length
        if self.left < 0:
            # Else a few bytes of .metadata could ask for a large piece again.
            raise Malformed(f"pieces of {quote(self.name)} overlap")
        with _placed(offset, self.name):
            return context.read(self.view[offset : offset + length], context)[0]


def _joined(name: str, description: Any, pieces: list[tuple[Any, Any]]) -> Any:
    """What the pieces make: all that are announced, and no other."""
    if type(description) is Object and description.name == _WHOLE_OBJECT:
        if len(pieces) != 1:
            raise Malformed(f"{quote(name)} is placed {len(pieces)} times, not once")
        return pieces[0][1]
    size = _size(description, "size")
    chunks = _field(description, "chunks", list)
    announced = {_size(chunk, "offsets"): _size(chunk, "sizes") for chunk in chunks}
    found = {
        offsets: value.shape
        for offsets, value in pieces
        if type(offsets) is Size and type(value) is Tensor
    }
    if found != announced or len(pieces) != len(chunks):
        raise Malformed(f"the pieces of {quote(name)} are not those announced")
    for offsets, sizes in announced.items():
        ends = [start + part for start, part in zip(offsets, sizes, strict=False)]
        if not len(offsets) == len(sizes) == len(size) or any(
            end > whole for end, whole in zip(ends, size, strict=False)
        ):
            raise Malformed(f"a piece of {quote(name)} lies outside of it")
    if announced == {Size((0,) * len(size)): size}:
        return pieces[0][1]
    whole = Object(Global(_MODULE, "TensorStorageMetadata"))
    whole.state = {"size": size, "chunks": sorted(pieces, key=lambda pair: pair[0])}
    return whole


def _size(value: Any, name: str) -> Size:
    """A size or offset, which costs little to hash and to compare."""
    size: Size = _field(value, name, Size)
    if len(size) > 64 or not all(0 <= number < 1 << 63 for number in size):
        raise Malformed(f"the .metadata has {name} that no tensor has")
    return size

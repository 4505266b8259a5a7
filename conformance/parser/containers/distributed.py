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
import struct
from dataclasses import replace
from typing import Any, Final

from ..context import Context
from ..errors import Malformed, NotACheckpoint, Truncated, quote
from ..source import map_path
from ..tensor import Tensor
from ..values import Global, Object
from . import legacy

METADATA: Final = ".metadata"
_MODULE: Final = "torch.distributed.checkpoint.metadata"
_WHOLE_OBJECT: Final = f"{_MODULE}.BytesStorageMetadata"


# ------------------------------------------------------------------ one file


def read_file(view: memoryview, context: Context) -> list[Any]:
    """What every archive of a `.distcp` file holds, in the order of the file."""
    context.trace.containers.append("distcp")
    found = []
    position = 0
    while position < len(view):
        size = _archive_size(view[position:], position)
        inner = replace(context, base=context.base + position)
        tree, _ = context.read(view[position : position + size], inner)
        found.append(tree)
        position += size
    return found


def _archive_size(view: memoryview, position: int) -> int:
    """The length of the archive at the beginning of `view`.

    Its end record is the first whose directory lies just before it.
    """
    if bytes(view[:4]) != b"PK\x03\x04":
        raise Malformed("no archive where one must begin", offset=position)
    start = 0
    while True:
        end = _find(view, b"PK\x05\x06", start)
        if end < 0 or len(view) - end < 22:
            raise Truncated("an archive without an end", offset=position)
        size, offset, comment = struct.unpack_from("<IIH", view, end + 12)
        if end - 20 >= 0 and bytes(view[end - 20 : end - 16]) == b"PK\x06\x07":
            (record,) = struct.unpack_from("<Q", view, end - 12)
            if record + 56 <= end and bytes(view[record : record + 4]) == b"PK\x06\x06":
                size, offset = struct.unpack_from("<QQ", view, record + 40)
                if offset + size == record:
                    return int(end + 22 + comment)
        elif offset + size == end:
            return int(end + 22 + comment)
        start = end + 4


def _find(view: memoryview, needle: bytes, start: int) -> int:
    """`bytes.find` for a memoryview, without copying more than a piece."""
    step = 1 << 20
    while start < len(view):
        piece = bytes(view[start : start + step + len(needle) - 1])
        found = piece.find(needle)
        if found >= 0:
            return start + found
        start += step
    return -1


# ---------------------------------------------------------------- a whole folder


def read_folder(path: str | os.PathLike[str], context: Context) -> dict[str, Any]:
    """The state dict that the folder's `.metadata` describes, by flat names.

    A tensor written in one piece comes back as that `Tensor`; one in several
    pieces as an inert `Object` named `...metadata.TensorStorageMetadata`, with
    `size` and `chunks` (pairs of offsets and `Tensor`) in its state.
    """
    names = set(os.listdir(path))
    if METADATA not in names:
        raise NotACheckpoint(
            "a folder without a .metadata file: give the file inside it"
        )
    context.trace.containers.append("distributed")
    plain = replace(context, weights_only=False)
    metadata, _ = legacy.read(map_path(os.path.join(path, METADATA)), plain)
    described = _field(metadata, "state_dict_metadata")
    placed = _field(metadata, "storage_data")
    if type(described) is not dict or type(placed) is not dict:
        raise Malformed("the .metadata describes no state dict")
    maps: dict[str, memoryview] = {}
    pieces: dict[str, list[tuple[tuple[int, ...] | None, Any]]] = {}
    for index, info in placed.items():
        name = _field(index, "fqn")
        file = _field(info, "relative_path")
        if type(file) is not str or file not in names:
            # Only what the folder itself lists is ever opened.
            raise Malformed(
                f"the .metadata names a file {quote(file)} that is not there"
            )
        if file not in maps:
            maps[file] = map_path(os.path.join(path, file))
        value = _piece(maps[file], info, context)
        # A whole object has no offset.
        pieces.setdefault(name, []).append((index.state.get("offset"), value))
    tree: dict[str, Any] = {}
    for name, description in described.items():
        if name not in pieces:
            raise Malformed(f"no file holds {quote(name)}")
        tree[name] = _joined(description, pieces[name])
    return tree


def _field(value: Any, name: str) -> Any:
    """A field of a dataclass that the pickle describes."""
    if type(value) is not Object or type(value.state) is not dict:
        raise Malformed(f"the .metadata has a {type(value).__name__} without {name}")
    if name not in value.state:
        raise Malformed(f"the .metadata has a {quote(value.name)} without {name}")
    return value.state[name]


def _piece(view: memoryview, info: Any, context: Context) -> Any:
    offset, length = _field(info, "offset"), _field(info, "length")
    if type(offset) is not int or type(length) is not int:
        raise Malformed("the .metadata places a piece by something else than ints")
    if offset < 0 or length < 0 or offset + length > len(view):
        raise Truncated(
            f"a piece at {offset}, {length} bytes long, in a file of {len(view)} bytes",
            offset=offset,
        )
    inner = replace(context, base=offset)
    return context.read(view[offset : offset + length], inner)[0]


def _joined(description: Any, pieces: list[tuple[Any, Any]]) -> Any:
    if type(description) is Object and description.name.endswith(
        "BytesStorageMetadata"
    ):
        return pieces[0][1]
    size = _field(description, "size")
    if len(pieces) == 1 and type(pieces[0][1]) is Tensor and pieces[0][1].shape == size:
        return pieces[0][1]
    for offsets, piece in pieces:
        if not _inside(piece, offsets, size):
            raise Malformed("a piece that lies outside its tensor")
    whole = Object(Global(_MODULE, "TensorStorageMetadata"))
    whole.state = {"size": size, "chunks": sorted(pieces, key=lambda pair: pair[0])}
    return whole


def _inside(piece: Any, offsets: Any, size: Any) -> bool:
    return (
        type(piece) is Tensor
        and isinstance(offsets, tuple)
        and isinstance(size, tuple)
        and len(piece.shape) == len(offsets) == len(size)
        and all(
            offset >= 0 and offset + part <= whole
            for part, offset, whole in zip(piece.shape, offsets, size, strict=True)
        )
    )

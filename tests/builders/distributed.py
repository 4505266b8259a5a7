"""Folders of `torch.distributed.checkpoint`, made without torch.

`Piece` is one archive in one file; `folder` writes the files and the
`.metadata` that says where each piece lies and what it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.builders.checkpoints import Call, Name, New, dump, floats, tensor, zipped

_METADATA: Final = "torch.distributed.checkpoint.metadata"
_PLACED: Final = "torch.distributed.checkpoint.filesystem._StorageInfo"


def size(*numbers: Any) -> Call:
    """A `torch.Size`."""
    return Call("torch.Size", numbers)


def matrix(rows: int, columns: int, first: int = 0) -> bytes:
    """An archive of one matrix of ascending floats."""
    numbers = range(first, first + rows * columns)
    return zipped(tensor(floats(*numbers), (rows, columns)))


@dataclass
class Piece:
    """An archive, and what the `.metadata` says of it.

    `offsets` is `None` for an object that is no tensor. `placed` overrides
    fields of its place: `relative_path`, `offset`, `length`.
    """

    name: Any
    archive: bytes
    file: str = "__0_0.distcp"
    offsets: Any = None
    placed: dict[str, Any] = field(default_factory=dict)


def whole_object() -> New:
    """The description of something that is no tensor."""
    return New(f"{_METADATA}.BytesStorageMetadata")


def tensor_of(whole: Any, *chunks: tuple[Any, Any]) -> New:
    """The description of a tensor: its size; offsets and sizes of its chunks."""
    listed = [
        New(
            f"{_METADATA}.ChunkStorageMetadata",
            state={"offsets": offsets, "sizes": sizes},
        )
        for offsets, sizes in chunks
    ]
    properties = New(
        f"{_METADATA}.TensorProperties",
        state=(
            Name("torch.float32"),
            Call("torch.serialization._get_layout", "torch.strided"),
            False,
            Call(f"{_METADATA}._MEM_FORMAT_ENCODING", 0),
            False,
        ),
    )
    return New(
        f"{_METADATA}.TensorStorageMetadata",
        state={"properties": properties, "size": whole, "chunks": listed},
    )


def folder(
    path: Path, described: dict[Any, Any], *pieces: Piece, **metadata: Any
) -> Path:
    """Writes the files; `metadata` overrides fields of the `.metadata`."""
    path.mkdir(exist_ok=True)
    files: dict[str, bytes] = {}
    placed = {}
    for piece in pieces:
        before = files.get(piece.file, b"")
        files[piece.file] = before + piece.archive
        index = {"fqn": piece.name, "index": None}
        if piece.offsets is not None:
            index["offset"] = piece.offsets
        place = {
            "relative_path": piece.file,
            "offset": len(before),
            "length": len(piece.archive),
            **piece.placed,
        }
        key = New(f"{_METADATA}.MetadataIndex", state=index)
        placed[key] = New(_PLACED, state=place)
    for name, data in files.items():
        (path / name).write_bytes(data)
    state = {"state_dict_metadata": described, "storage_data": placed, **metadata}
    tree = New(f"{_METADATA}.Metadata", state=state)
    (path / ".metadata").write_bytes(dump(tree, protocol=4))
    return path

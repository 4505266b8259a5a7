"""Folders of `torch.distributed.checkpoint`, and their `.distcp` files alone.

An input is the files of a folder, one behind the other: the length of the name
in a byte, the name, the length of the content in four, the content. Where there
is only one, it is read by itself.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from generators import handmade
from generators.handmade import Piece, build, call, name, new

from ..invariants import offering
from ..invariants.checks import Subject, check
from ..invariants.reading import TIGHT, Mode
from ..mutation import archives, edits, pickles
from ..target import Target
from ..words import Words
from . import seeds

METADATA: Final = ".metadata"

#: More of them only cost more.
_FILES: Final = 8


def packed(files: dict[str, bytes]) -> bytes:
    """An input, of the files of a folder."""
    return b"".join(
        bytes((len(os.fsencode(name)),))
        + os.fsencode(name)
        + struct.pack("<I", len(data))
        + data
        for name, data in files.items()
    )


def unpacked(data: bytes) -> dict[str, bytes]:
    """The files in an input, whatever it is: what is cut short is short."""
    files: dict[str, bytes] = {}
    at = 0
    while at < len(data) and len(files) < _FILES:
        size_at = at + 1 + data[at]
        name = os.fsdecode(data[at + 1 : size_at])
        size = int.from_bytes(data[size_at : size_at + 4], "little")
        at = size_at + 4 + size
        if _is_name(name):
            files[name] = data[size_at + 4 : at]
    return files


def _is_name(name: str) -> bool:
    """Whether a file may have this name, below a folder and nowhere else."""
    return name not in ("", ".", "..") and not {"/", "\\", "\0", ":"} & {*name}


def read(data: bytes, mode: Mode) -> Any:
    """The state dict of the folder, or what is in its only file."""
    files = unpacked(data)
    with offering.in_folder(files) as folder:
        path = os.path.join(folder, *files) if len(files) == 1 else folder
        return offering.guarded_load(path, mode, TIGHT, path)


def run(data: bytes, thorough: bool) -> None:
    """A folder gives a state dict or a `CheckpointError`, and opens no other file."""
    check(Subject(data, read), thorough)


# ---------------------------------------------------------------------- mutants


def mutate(data: bytes, random: Random, words: Words) -> bytes:
    """One file of the folder changed as what it is; now and then the folder."""
    files = unpacked(data)
    if not files or random.random() < 0.1:
        return edits.damage(data, random)
    chosen = random.choice(list(files))
    if random.random() < 0.1:
        _move(files, chosen, random)
    elif chosen == METADATA:
        files[chosen] = pickles.mutate(files[chosen], random, words)
    else:
        files[chosen] = archives.mutate(files[chosen], random, words)
    return packed(files)


def _move(files: dict[str, bytes], chosen: str, random: Random) -> None:
    """A file goes, is doubled, or gets another's name or content."""
    content = files.pop(chosen)
    match random.randrange(4):
        case 0:
            files[f"{chosen[:200]}x"] = content
        case 1:
            files[chosen] = content + content
        case 2:
            files[chosen] = files.get(random.choice([*files, chosen]), b"")


# ------------------------------------------------------------------------ seeds

_MODULE: Final = "torch.distributed.checkpoint.metadata"
_PLACED: Final = "torch.distributed.checkpoint.filesystem._StorageInfo"

#: A tensor of one piece, one of two, and an object that is no tensor: name,
#: offsets (`None` of an object), size.
_PIECES: Final[tuple[tuple[str, tuple[int, ...] | None, tuple[int, ...]], ...]] = (
    ("whole", (0, 0), (2, 3)),
    ("cut", (0,), (2,)),
    ("cut", (2,), (1,)),
    ("object", None, ()),
)
_SIZES: Final = {"whole": (2, 3), "cut": (3,)}


def _size(numbers: tuple[int, ...]) -> Piece:
    return call("torch.Size", numbers)


def _object(kind: str, **state: Any) -> Piece:
    return build(new(f"{_MODULE}.{kind}"), state)


def _described(label: str) -> Piece:
    """What the `.metadata` says of a name."""
    if label not in _SIZES:
        return new(f"{_MODULE}.BytesStorageMetadata")
    chunks = [
        _object("ChunkStorageMetadata", offsets=_size(offsets), sizes=_size(size))
        for other, offsets, size in _PIECES
        if other == label and offsets is not None
    ]
    return _object(
        "TensorStorageMetadata",
        properties=name("torch.float32"),
        size=_size(_SIZES[label]),
        chunks=chunks,
    )


def _archive(offsets: tuple[int, ...] | None, size: tuple[int, ...]) -> bytes:
    if offsets is None:
        return handmade.archive({"step": 7})
    numel = len(offsets) and int(size[0] * (size[1] if len(size) > 1 else 1))
    tensor = handmade.tensor(handmade.storage("FloatStorage", numel), size)
    return handmade.archive(tensor, {"0": handmade.floats(*range(numel))})


def folder(*, file_of: tuple[int, ...]) -> dict[str, bytes]:
    """The files of a folder; `file_of` says in which of them each piece lies."""
    files: dict[str, bytes] = {}
    placed: dict[Piece, Piece] = {}
    for (label, offsets, size), number in zip(_PIECES, file_of, strict=True):
        file, archive = f"__{number}_0.distcp", _archive(offsets, size)
        before = files.get(file, b"")
        files[file] = before + archive
        index: dict[str, Any] = {"fqn": label, "index": None}
        if offsets is not None:
            index["offset"] = _size(offsets)
        where = {
            "relative_path": file,
            "offset": len(before),
            "length": len(archive),
        }
        placed[_object("MetadataIndex", **index)] = build(new(_PLACED), where)
    state = {
        "state_dict_metadata": {label: _described(label) for label, _, _ in _PIECES},
        "storage_data": placed,
    }
    return {METADATA: handmade.dump(_object("Metadata", **state)), **files}


def _seeds() -> Iterator[bytes]:
    for file_of in ((0, 0, 0, 0), (0, 0, 1, 1), (0, 1, 2, 3)):
        yield packed(folder(file_of=file_of))
    for file, data in seeds.files("distcp"):
        yield packed({file: data})


FOLDER: Final = Target("folder", run, mutate, _seeds)

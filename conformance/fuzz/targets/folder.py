"""Folders of `torch.distributed.checkpoint`, and their `.distcp` files alone.

An input is the files of a folder, one behind the other: the length of the name
in a byte, the name, the length of the content in four, the content. Where there
is only one that is no `.metadata`, it is read by itself.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from math import prod
from random import Random
from typing import Any, Final, NamedTuple

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
        alone = len(files) == 1 and METADATA not in files
        path = os.path.join(folder, *files) if alone else folder
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
    if METADATA in files and random.random() < 0.5:
        chosen = METADATA
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
_OBJECT: Final = f"{_MODULE}.BytesStorageMetadata"
_PLACED: Final = "torch.distributed.checkpoint.filesystem._StorageInfo"


class _Part(NamedTuple):
    """A piece of a tensor, or an object that is none, which has no `offsets`."""

    name: str
    offsets: tuple[int, ...] | None
    size: tuple[int, ...]


Parts = tuple[_Part, ...]

#: A tensor of one piece, one of two, and an object.
_PARTS: Final = (
    _Part("whole", (0, 0), (2, 3)),
    _Part("cut", (0,), (2,)),
    _Part("cut", (2,), (1,)),
    _Part("object", None, ()),
)
_SIZES: Final = {"whole": (2, 3), "cut": (3,)}


def _object(kind: str, **state: Any) -> Piece:
    return build(new(f"{_MODULE}.{kind}"), state)


def _offsets(part: _Part, number: int, *, again: bool = False) -> Piece:
    """In the memo at `number`: torch has one object for a chunk and its index."""
    if again:
        return Piece(b"h%c" % number)
    return Piece(call("torch.Size", part.offsets) + b"q%c" % number)


def _described(label: str, parts: Parts) -> Piece:
    """What the `.metadata` says of a name."""
    if label not in _SIZES:
        return new(_OBJECT)
    chunks = [
        _object(
            "ChunkStorageMetadata",
            offsets=_offsets(part, number),
            sizes=call("torch.Size", part.size),
        )
        for number, part in enumerate(parts)
        if part.name == label and part.offsets is not None
    ]
    return _object(
        "TensorStorageMetadata",
        properties=name("torch.float32"),
        size=call("torch.Size", _SIZES[label]),
        chunks=chunks,
    )


def _archive(part: _Part) -> bytes:
    if part.offsets is None:
        return handmade.archive({"step": 7})
    numel = prod(part.size)
    tensor = handmade.tensor(handmade.storage("FloatStorage", numel), part.size)
    return handmade.archive(tensor, {"0": handmade.floats(*range(numel))})


def folder(*, file_of: tuple[int, ...], parts: Parts = _PARTS) -> dict[str, bytes]:
    """The files of a folder; `file_of` says in which of them each part lies."""
    files: dict[str, bytes] = {}
    placed: dict[Piece, Piece] = {}
    for number, (part, at) in enumerate(zip(parts, file_of, strict=True)):
        file, archive = f"__{at}_0.distcp", _archive(part)
        before = files.get(file, b"")
        files[file] = before + archive
        index: dict[str, Any] = {"fqn": part.name, "index": number}
        if part.offsets is not None:
            index["offset"] = _offsets(part, number, again=True)
        placed[_object("MetadataIndex", **index)] = _placed(
            file, len(before), len(archive)
        )
    labels = dict.fromkeys(part.name for part in parts)
    described = {label: _described(label, parts) for label in labels}
    return {METADATA: _metadata(described, placed), **files}


def _placed(file: str, offset: int, length: int, **more: Any) -> Piece:
    """Where a part lies."""
    where = {"relative_path": file, "offset": offset, "length": length}
    return build(new(_PLACED), where | more)


def _metadata(described: dict[str, Piece], placed: dict[Piece, Piece]) -> bytes:
    state = {"state_dict_metadata": described, "storage_data": placed}
    return handmade.dump(_object("Metadata", **state))


def _of_objects(names: int, archive: bytes, **more: Any) -> dict[str, bytes]:
    """A folder in which all names ask for one archive, the whole file."""
    labels = [f"{number}" for number in range(names)]
    placed = {
        _object("MetadataIndex", fqn=label, index=None): _placed(
            "__0_0.distcp", 0, len(archive), **more
        )
        for label in labels
    }
    described = {label: new(_OBJECT) for label in labels}
    short = _remembering(_metadata(described, placed), _REPEATED)
    return {METADATA: short, "__0_0.distcp": archive}


def _remembering(pickle: bytes, pieces: Iterable[Piece]) -> bytes:
    """The pickle with each piece written once, and taken from the memo later."""
    for number, piece in enumerate(pieces):
        before, found, after = pickle.partition(piece)
        again = b"h%c" % number
        pickle = before + found + b"q%c" % number * bool(found)
        pickle += after.replace(piece, again)
    return pickle


_REPEATED: Final = (
    *map(name, (f"{_MODULE}.MetadataIndex", _PLACED, _OBJECT)),
    *map(handmade.value, ("fqn", "index", "offset", "length")),
    *map(handmade.value, ("relative_path", "__0_0.distcp")),
)


#: A name in a file that no folder has.
_NOWHERE: Final = {
    _object("MetadataIndex", fqn="a", index=None): _placed("__9_9.distcp", 0, 1)
}
_ONE: Final = handmade.archive({"step": 7})
#: An archive that takes long to read, for its size.
_LONG: Final = handmade.archive([{}] * 7_000)
_ARRAY: Final = build(
    call("numpy._core.multiarray._reconstruct", name("numpy.ndarray"), (0,), b"b"),
    (1, (2,), call("numpy.dtype", "i1"), False, b"\0\1"),
)

#: By what they are to people.
FOLDERS: Final[dict[str, dict[str, bytes]]] = {
    "one file": folder(file_of=(0, 0, 0, 0)),
    "two files": folder(file_of=(0, 0, 1, 1)),
    "a file for each": folder(file_of=(0, 1, 2, 3)),
    "fewer offsets than sizes": folder(
        file_of=(0,), parts=(_Part("whole", (0,), (2, 3)),)
    ),
    "more offsets than sizes": folder(
        file_of=(0,), parts=(_Part("whole", (0, 0, 0), (2, 3)),)
    ),
    "a part outside": folder(file_of=(0,), parts=(_Part("cut", (2,), (2,)),)),
    "a part that is not there": folder(file_of=(0,), parts=(_Part("cut", (0,), (2,)),)),
    "a part twice": folder(file_of=(0, 0), parts=(_Part("cut", (0,), (3,)),) * 2),
    "a part without offsets": folder(file_of=(0,), parts=(_Part("cut", None, ()),)),
    "an object twice": folder(file_of=(0, 0), parts=(_Part("object", None, ()),) * 2),
    "one archive for many names": _of_objects(200, _LONG),
    "packed parts": _of_objects(1, _ONE, transform_descriptors=["zstd"]),
    "parts packed by an array": _of_objects(1, _ONE, transform_descriptors=_ARRAY),
    "a part of no archive": _of_objects(1, b"no archive"),
    "nothing known of a name": {METADATA: _metadata({}, _NOWHERE)},
    "a file that is not there": {METADATA: _metadata({"a": new(_OBJECT)}, _NOWHERE)},
    "metadata that are none": {METADATA: handmade.dump({"state_dict_metadata": {}})},
    "fields of other types": {
        METADATA: handmade.dump(_object("Metadata", state_dict_metadata=[]))
    },
    "no metadata": {"one": b"", "other": b""},
}

#: Files of archives, alone.
FILES: Final[dict[str, bytes]] = {
    "nothing": b"",
    "no archive": b"something else",
    "an archive and more": _ONE + b"more",
    "an archive that is cut": _ONE + _ONE[:-30],
    "archives of 64 bits": handmade.archive([1], zip64=True) * 2,
    "an archive with another's end in it": handmade.archive([1], {"0": _ONE[-40:]})
    + _ONE,
    "an end record without its 64 bits": _ONE[:-22]
    + b"PK\6\7"
    + bytes(4)
    + b"\xff" * 8
    + bytes(4)
    + _ONE[-22:],
}


def _seeds() -> Iterator[bytes]:
    yield from map(packed, FOLDERS.values())
    for data in FILES.values():
        yield packed({"__0_0.distcp": data})
    for file, data in seeds.files("distcp"):
        yield packed({file: data})


FOLDER: Final = Target("folder", run, mutate, _seeds)

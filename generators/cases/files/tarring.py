"""Legacy tars by hand: three members, with numbers for storages and tensors."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...handmade import Piece, dump, name, stride_of, value


@dataclass(frozen=True)
class Shown:
    """A tensor of a tar: the key of its storage, and what of it is shown."""

    storage: int
    size: tuple[int, ...]
    stride: tuple[int, ...] | None = None
    offset: int = 0
    type: str = "FloatTensor"


def number(key: int) -> Piece:
    """What stands for a storage or tensor in the member `pickle`."""
    return Piece(value(str(key)) + pickle.BINPERSID)


def members(
    root: Any,
    storages: Mapping[int, tuple[str, int, bytes]],
    tensors: Mapping[int, Shown],
    views: Sequence[tuple[int, int, int, int]] = (),
) -> dict[str, bytes]:
    """The members of a tar, by name.

    `storages` have a class, a number of elements, and bytes; `views` are parts
    of storages: key, key of the storage, offset, number of elements.
    """
    first = dump(len(storages))
    for key, (kind, numel, data) in storages.items():
        first += dump((key, "cpu", name(f"torch.{kind}")))
        first += struct.pack("<q", numel) + data
    second = dump(len(tensors))
    for key, one in tensors.items():
        stride = stride_of(one.size) if one.stride is None else one.stride
        numbers = (*one.size, *stride, one.offset)
        second += dump((key, one.storage, name(f"torch.{one.type}")))
        second += struct.pack(f"<i4x{len(numbers)}q", len(one.size), *numbers)
    return {
        "storages": first + dump(list(views)),
        "tensors": second,
        "pickle": dump(root),
    }


def tar(contents: Mapping[str, bytes]) -> bytes:
    """The members in a tar, with two empty blocks behind."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for label, data in contents.items():
            member = tarfile.TarInfo(label)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()[: archive.offset]

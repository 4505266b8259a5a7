"""Archives that torch wrote, taken apart and put together in another way.

`unpack` gives an archive's records; `containers.pack` makes an archive of them
again. In between anything may be changed.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .containers import Record, deflate, pack


def unpack(file: bytes) -> dict[str, bytes]:
    """The records of an archive by their names below its root, in its order."""
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        return {
            name.partition("/")[2]: archive.read(name) for name in archive.namelist()
        }


def relaid(file: bytes, names: Iterable[str], **options: Any) -> bytes:
    """The same archive with these records alone, in this order.

    A name that ends with `*` stands for all that begin like that. `options`
    are those of `pack`.
    """
    records = unpack(file)
    chosen: dict[str, bytes] = {}
    for name in names:
        found = [record for record in records if _fits(record, name)]
        chosen |= {record: records[record] for record in found}
    return pack(chosen, **options)


def _fits(record: str, name: str) -> bool:
    if name.endswith("*"):
        return record.startswith(name[:-1])
    return record == name


def packed(data: bytes) -> Record:
    """A record that is DEFLATEd."""
    return Record(data, deflate((data, 1)))


def big_endian(file: bytes, units: Mapping[str, int]) -> bytes:
    """The archive as a big-endian machine writes it.

    `units` gives for each storage's key the bytes that are turned round
    together: those of an element, or of half a complex one.
    """
    records = unpack(file)
    for key, unit in units.items():
        words = np.frombuffer(records[f"data/{key}"], np.dtype(f"V{unit}"))
        raw = words.view(np.uint8).reshape(-1, unit)
        records[f"data/{key}"] = raw[:, ::-1].tobytes()
    return pack({**records, "byteorder": b"big"})

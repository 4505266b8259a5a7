"""Zip archives built byte by byte, right or wrong as a test wants them.

An archive is a list of `Entry`; `build` lays them out. Whatever is not said
comes out right; every header field can be overridden by its name in the
tables below, in the local and in the central header apart. Standard library
only.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

STORED: Final = 0
DEFLATED: Final = 8

#: A 32-bit field that says: look into the zip64 extra field.
FULL: Final = 0xFFFFFFFF

#: One row per field: its name, its struct code, its usual value.
Table = tuple[tuple[str, str, "int | bytes"], ...]

LOCAL: Final[Table] = (
    ("signature", "4s", b"PK\x03\x04"),
    ("needed", "H", 0),
    ("flags", "H", 0),
    ("method", "H", STORED),
    ("time", "H", 0),
    ("date", "H", 0),
    ("crc", "I", 0),
    ("csize", "I", 0),
    ("usize", "I", 0),
    ("name_length", "H", 0),
    ("extra_length", "H", 0),
)
CENTRAL: Final[Table] = (
    ("signature", "4s", b"PK\x01\x02"),
    ("made_by", "H", 0),
    ("needed", "H", 0),
    ("flags", "H", 0),
    ("method", "H", STORED),
    ("time", "H", 0),
    ("date", "H", 0),
    ("crc", "I", 0),
    ("csize", "I", 0),
    ("usize", "I", 0),
    ("name_length", "H", 0),
    ("extra_length", "H", 0),
    ("comment_length", "H", 0),
    ("disk", "H", 0),
    ("internal", "H", 0),
    ("external", "I", 0),
    ("offset", "I", 0),
)
END: Final[Table] = (
    ("signature", "4s", b"PK\x05\x06"),
    ("disk", "H", 0),
    ("directory_disk", "H", 0),
    ("on_disk", "H", 0),
    ("count", "H", 0),
    ("size", "I", 0),
    ("offset", "I", 0),
    ("comment_length", "H", 0),
)
END64: Final[Table] = (
    ("signature", "4s", b"PK\x06\x06"),
    ("record_size", "Q", 44),
    ("made_by", "H", 0),
    ("needed", "H", 45),
    ("disk", "I", 0),
    ("directory_disk", "I", 0),
    ("on_disk", "Q", 0),
    ("count", "Q", 0),
    ("size", "Q", 0),
    ("offset", "Q", 0),
)
LOCATOR: Final[Table] = (
    ("signature", "4s", b"PK\x06\x07"),
    ("disk", "I", 0),
    ("offset", "Q", 0),
    ("disks", "I", 1),
)

Fields = Mapping[str, "int | bytes"]


def pack(table: Table, *layers: Fields) -> bytes:
    """One header; a later layer wins over an earlier one and over the table."""
    values: dict[str, int | bytes] = {name: usual for name, _, usual in table}
    for layer in layers:
        unknown = layer.keys() - values.keys()
        if unknown:
            raise KeyError(f"no such header field: {sorted(unknown)}")
        values.update(layer)
    codes = "<" + "".join(code for _, code, _ in table)
    return struct.pack(codes, *values.values())


def extra(identifier: int, data: bytes) -> bytes:
    """One extra field, with its own length in front."""
    return struct.pack("<HH", identifier, len(data)) + data


def zip64(*values: int) -> bytes:
    """The zip64 extra field: uncompressed size, compressed size, offset."""
    return extra(1, struct.pack(f"<{len(values)}Q", *values))


def deflate(data: bytes, level: int = 9) -> bytes:
    """A raw DEFLATE stream."""
    squeezer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return squeezer.compress(data) + squeezer.flush()


@dataclass
class Entry:
    """A record of the archive, in the file, the directory, or both."""

    name: bytes
    data: bytes = b""
    method: int = STORED
    #: The bytes in the file, if not what the method makes of `data`.
    packed: bytes | None = None
    #: Header fields to override, by their names in `LOCAL` and `CENTRAL`.
    local: Fields = field(default_factory=dict)
    central: Fields = field(default_factory=dict)
    local_name: bytes | None = None
    local_extra: bytes = b""
    central_extra: bytes = b""
    comment: bytes = b""
    #: Bytes before the local header.
    junk: bytes = b""
    #: Fill the local extra field until the data begins at a multiple of this.
    alignment: int = 1
    #: Bytes in a size of the data descriptor, 4 or 8; 0 for none.
    descriptor: int = 0
    #: Sizes (and the offset) in zip64 extra fields, needed or not.
    zip64: bool = False
    in_file: bool = True
    in_directory: bool = True


@dataclass
class _Placed:
    """Where an entry came to lie, and what both headers say of it."""

    fields: dict[str, int | bytes]
    offset: int = 0


def _place(out: bytearray, entry: Entry) -> _Placed:
    packed = entry.packed
    if packed is None:
        packed = deflate(entry.data) if entry.method == DEFLATED else entry.data
    fields: dict[str, int | bytes] = {
        "flags": 8 if entry.descriptor else 0,
        "method": entry.method,
        "crc": zlib.crc32(entry.data),
        "csize": len(packed),
        "usize": len(entry.data),
    }
    if not entry.in_file:
        return _Placed(fields, len(out))
    out += entry.junk
    placed = _Placed(fields, len(out))
    name = entry.name if entry.local_name is None else entry.local_name
    more = entry.local_extra
    sizes: dict[str, int | bytes] = {}
    if entry.descriptor:
        # A writer that streams does not know them yet.
        sizes = {"crc": 0, "csize": 0, "usize": 0}
    elif entry.zip64:
        more += zip64(len(entry.data), len(packed))
        sizes = {"csize": FULL, "usize": FULL}
    begin = len(out) + 30 + len(name) + len(more) + 4
    if entry.alignment > 1:
        # torch's own padding: the field "FB", filled with Z.
        more += extra(0x4246, b"Z" * (-begin % entry.alignment))
    lengths = {"name_length": len(name), "extra_length": len(more)}
    out += pack(LOCAL, fields, sizes, lengths, entry.local) + name + more + packed
    if entry.descriptor:
        code = "<4sIQQ" if entry.descriptor == 8 else "<4sIII"
        out += struct.pack(
            code, b"PK\x07\x08", zlib.crc32(entry.data), len(packed), len(entry.data)
        )
    return placed


def _central(entry: Entry, placed: _Placed) -> bytes:
    more = entry.central_extra
    sizes: dict[str, int | bytes] = {"offset": placed.offset}
    if entry.zip64:
        usize, csize = placed.fields["usize"], placed.fields["csize"]
        assert isinstance(usize, int)
        assert isinstance(csize, int)
        more += zip64(usize, csize, placed.offset)
        sizes = {"csize": FULL, "usize": FULL, "offset": FULL}
    lengths = {
        "name_length": len(entry.name),
        "extra_length": len(more),
        "comment_length": len(entry.comment),
    }
    header = pack(CENTRAL, placed.fields, sizes, lengths, entry.central)
    return header + entry.name + more + entry.comment


def build(
    entries: Iterable[Entry],
    *,
    order: Sequence[int] | None = None,
    gap: bytes = b"",
    end: Fields | None = None,
    end64: Fields | None = None,
    locator: Fields | None = None,
    between: bytes = b"",
    comment: bytes = b"",
    tail: bytes = b"",
) -> bytes:
    """The archive: entries in file order, the directory in `order` of them.

    `gap` stands before the directory, `between` before the end record, `tail`
    after everything. `end`, `end64` and `locator` override fields of those
    records; giving `end64` or `locator` (even empty) writes the zip64 pair.
    """
    out = bytearray()
    listed = list(entries)
    placed = [_place(out, entry) for entry in listed]
    if order is None:
        order = [i for i, entry in enumerate(listed) if entry.in_directory]
    out += gap
    at = len(out)
    for i in order:
        out += _central(listed[i], placed[i])
    fields: dict[str, int | bytes] = {
        "on_disk": len(order),
        "count": len(order),
        "size": len(out) - at,
        "offset": at,
    }
    if end64 is not None or locator is not None:
        at64 = len(out)
        out += pack(END64, fields, end64 or {})
        out += pack(LOCATOR, {"offset": at64}, locator or {})
    out += between
    out += pack(END, fields, {"comment_length": len(comment)}, end or {})
    return bytes(out + comment + tail)


def entries(
    records: Mapping[str, bytes], *, root: str = "archive", method: int = STORED
) -> list[Entry]:
    """Records under a root folder, in their order."""
    return [
        Entry(f"{root}/{name}".encode(), data, method) for name, data in records.items()
    ]


#: `None` as a pickle of protocol 2: the smallest thing that loads.
NONE: Final = b"\x80\x02N."


def checkpoint(
    records: Mapping[str, bytes] | None = None, *, root: str = "archive"
) -> list[Entry]:
    """The entries of the smallest archive that torch loads, and `records` after."""
    usual = {"data.pkl": NONE, "byteorder": b"little", "version": b"3\n"}
    return entries({**usual, **(records or {})}, root=root)


# ------------------------------------------------------------ odd archives

#: Names that torch asks for, in several spellings, and some it does not.
NAMES: Final = (
    *("data.pkl", "DATA.PKL", "version", "Version", ".data/version", "byteorder"),
    *("data/0", "data/1", "Data/0", "data/10", "data", ".format_version"),
    *(".storage_alignment", ".data/serialization_id", "constants.pkl", "d\xe4ta"),
)

#: What a size, an offset or a count may be taken for.
NUMBERS: Final = (
    *(0, 1, 2, 21, 22, 30, 46, 76, 4095, 4096, 0xFFFE, 0xFFFF, 1 << 16),
    *(0x7FFFFFFF, 0xFFFFFFFE, FULL, 1 << 32, (1 << 63) - 1, 1 << 63),
    *((1 << 64) - 100, (1 << 64) - 30, (1 << 64) - 1),
)


def _damaged(random: Random, table: Table, usual: Mapping[str, int]) -> Fields:
    """One field of a header, changed by a little or to anything at all."""
    name, code, value = random.choice(table)
    if isinstance(value, bytes):
        return {name: random.choice([b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6"])}
    top = (1 << 8 * struct.calcsize("<" + code)) - 1
    near = usual.get(name, value) + random.choice([-2, -1, 1, 2, 30])
    bit = usual.get(name, value) ^ 1 << random.randrange(top.bit_length())
    return {name: random.choice([near, bit, random.choice(NUMBERS)]) & top}


def _oddities(random: Random, entry: Entry) -> list[dict[str, Any]]:
    """What may be unusual about a record, wrong or not: attributes to change."""
    size = len(entry.data)
    usual = {"csize": size, "usize": size, "name_length": len(entry.name)}
    some = random.choice
    full = random.sample(["usize", "csize", "offset"], random.randrange(4))
    numbers = random.choices((*NUMBERS, size), k=random.randrange(5))
    return [
        {"local": _damaged(random, LOCAL, usual)},
        {"central": _damaged(random, CENTRAL, usual)},
        {"local_name": some([b"", b"x", entry.name.upper()])},
        {"local_extra": extra(random.randrange(3), random.randbytes(9))},
        {"central_extra": some([extra(7, b"7"), b"abc", extra(1, b""), zip64(3)])},
        # Numbers in the zip64 field, whether or not the fixed ones call for them.
        {
            "central": dict.fromkeys(full, FULL),
            "central_extra": some([b"", extra(9, b"x")])
            + zip64(*numbers)
            + some([b"", extra(9, b"behind")]),
        },
        {"central": {"time": random.randrange(3), "usize": random.randrange(90)}},
        {"central": {"external": 0x10, "usize": 0, "csize": 0}},
        {"comment": random.randbytes(random.randrange(40))},
        {"descriptor": some([4, 8])},
        {"alignment": some([16, 64, 4096])},
        {"name": entry.name.swapcase()},
        {"name": entry.name + some([b"\0", b"\0x", b"/", b"\xff", b"n" * 520])},
        {"method": DEFLATED, "central": {"usize": random.randrange(size + 2)}},
        {"method": DEFLATED, "packed": deflate(entry.data)[: random.randrange(12)]},
        {"zip64": True},
        {"junk": some([b"PK\5\6" + bytes(18), random.randbytes(50)])},
    ]


def odd_archive(random: Random) -> tuple[bytes, int]:
    """An archive with a few oddities, and where it starts in the bytes.

    About half of them are archives that torch opens.
    """
    listed = checkpoint()
    for number in range(random.randrange(6)):
        name = random.choice(NAMES)
        data = b"%d\n" % number if "version" in name.lower() else random.randbytes(9)
        listed += entries({name: data}, method=random.choice([STORED, DEFLATED]))
    if random.random() < 0.3:
        # Copies that differ in their bytes only: which one does torch find?
        name = random.choice(["data/0", "data.pkl"])
        for number in range(random.randrange(2, 9)):
            spelled = random.choice([name, name.upper()])
            listed += entries({spelled: b"\x80\x02K%c." % number})
    random.shuffle(listed)
    for entry in random.choices(listed, k=random.choice([0, 0, 1, 1, 2])):
        for name, value in random.choice(_oddities(random, entry)).items():
            setattr(entry, name, value)
    wide = random.random() < 0.4
    about = {"count": len(listed), "on_disk": len(listed)}
    odd = random.choice([END, END64, LOCATOR, None, None, None, None, None])
    data = build(
        listed,
        order=random.sample(range(len(listed)), len(listed) - (random.random() < 0.1)),
        gap=bytes(random.choice([0, 0, 5])),
        end=_damaged(random, END, about) if odd is END else None,
        end64=_damaged(random, END64, about) if odd is END64 else {} if wide else None,
        locator=_damaged(random, LOCATOR, {}) if odd is LOCATOR else None,
        between=bytes(random.choice([0, 0, 0, 0, 20, 76])),
        comment=random.randbytes(random.choice([0, 0, 0, 9, 3000])),
        tail=bytes(random.choice([0, 0, 0, 3, 4000, 4080, 7000, 70_000])),
    )
    if random.random() < 0.1:
        data = data[: random.randrange(1, len(data))]
    if random.random() < 0.1:
        at = random.randrange(len(data))
        data = data[:at] + random.randbytes(1) + data[at + 1 :]
    before = random.choice([0, 0, 0, 1, 100, 5000, 80_000])
    prefix = (
        data[:before].ljust(before, b"\0") if random.random() < 0.5 else bytes(before)
    )
    return prefix + data, before

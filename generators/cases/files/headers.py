"""Zip headers: what may stand in them, and which of it counts."""

from __future__ import annotations

from typing import Any, Final

import torch

from ...containers import FULL, Record, pack
from ...handmade import archive, dump, floats, storage, tensor
from ...repacking import packed, unpack
from ...saving import Format, save
from ..registry import LEDGER, NO_CRC, saved, written
from .zips import records, state

ANY = "container:zip"


def every(**unusual: Any) -> dict[str, Record]:
    """All records of an archive, each with the same peculiarities."""
    return {name: Record(data, **unusual) for name, data in records().items()}


# ------------------------------------------------------------------- checksums


@saved(ANY, formats=(NO_CRC,), flags=("crc-zero",))
def checksums() -> object:
    """Two tensors in an archive without checksums: all of them are zero."""
    return state()


@written(ANY, label="repacked", each={"zero": (0,), "wrong": (0xDEADBEEF,)})
def crc(number: int) -> bytes:
    """Every record's checksum is {number:#x}."""
    return pack(every(crc=number))


@written(ANY, label="repacked")
def crc_zero_deflated() -> bytes:
    """A DEFLATEd pickle whose checksum is zero."""
    file = records()
    data = packed(file["data.pkl"])
    return pack({**file, "data.pkl": Record(data.data, data.packed, crc=0)})


# --------------------------------------------------------------------- deflate


@written(
    ANY,
    label="repacked",
    flags=("deflate",),
    each={
        "pickle": (("data.pkl",),),
        "version": (("version",),),
        "byteorder": (("byteorder",),),
        "all_but_storages": (
            ("data.pkl", "byteorder", "version", ".data/serialization_id"),
        ),
    },
)
def deflated(names: tuple[str, ...]) -> bytes:
    """DEFLATEd records: {names}."""
    file = records()
    return pack({**file, **{name: packed(file[name]) for name in names}})


@written(
    ANY,
    label="repacked",
    flags=("deflate",),
    verdict="either",
    reason=LEDGER,
    each={
        "first": (("data/0",),),
        "all": (("data/0", "data/1"),),
        "and_pickle": (("data.pkl", "data/0", "data/1"),),
    },
)
def deflated_storage(names: tuple[str, ...]) -> bytes:
    """DEFLATEd records, storages among them: {names}."""
    file = records()
    return pack({**file, **{name: packed(file[name]) for name in names}})


@written(ANY, label="repacked", flags=("deflate",), verdict="either", reason=LEDGER)
def deflated_in_stored_blocks() -> bytes:
    """A storage in a DEFLATE stream of two blocks that are stored as they are."""
    file = records()
    data = file["data/0"]
    stream = _stored(data[:10], last=False) + _stored(data[10:], last=True)
    return pack({**file, "data/0": Record(data, stream)})


def _stored(data: bytes, *, last: bool) -> bytes:
    length = len(data).to_bytes(2, "little")
    return bytes([last]) + length + bytes(byte ^ 0xFF for byte in length) + data


@written(ANY, label="repacked", flags=("deflate", "empty"))
def deflated_nothing() -> bytes:
    """A DEFLATEd record of no bytes, for a tensor without elements."""
    file: dict[str, Any] = unpack(save(torch.empty(0)))
    return pack({**file, "data/0": packed(b"")})


# ------------------------------------------------------- the directory's flags


@written(
    ANY,
    label="repacked",
    each={
        "utf8": (0x0800,),
        "deflate_level": (0x0006,),
        "enhanced": (0x0010,),
        "reserved": (0xD780,),
    },
)
def flag(bits: int) -> bytes:
    """Every record has the flags {bits:#06x}."""
    return pack(every(flags=bits))


@written(
    ANY,
    label="repacked",
    each={
        "file": (0o100644,),
        "folder": (0o040755,),
        "link": (0o120777,),
        "device": (0o020666,),
    },
)
def unix_mode(mode: int) -> bytes:
    """Made on Unix, where every record is a {key} (mode {mode:o})."""
    return pack(every(fields={"made_by": 0x031E, "attributes": mode << 16}))


@written(ANY, label="repacked")
def times() -> bytes:
    """Records of many times, and of one that no clock shows."""
    times = ((0, 0), (0xBF7D, 0xFF9F), (0xFFFF, 0xFFFF), (0x6000, 0x5321))
    return pack(
        {
            name: Record(
                data, fields=dict(zip(("time", "date"), times[n % 4], strict=True))
            )
            for n, (name, data) in enumerate(records().items())
        }
    )


@written(ANY, label="repacked")
def comments() -> bytes:
    """Every record has a comment, and so has the archive."""
    return pack(every(fields={"comment": b"best so far"}), comment=b"epoch 3")


@written(ANY, label="repacked")
def extra_fields() -> bytes:
    """Every record has extra fields that nobody knows, others in each header."""
    return pack(
        every(
            local={"extra": b"\x99\x99\x05\0local"},
            fields={"extra": b"\x98\x98\x07\0central\x97\x97\0\0"},
        )
    )


# --------------------------------------------------------------- local headers


@written(
    ANY,
    label="repacked",
    flags=("ambiguous-zip",),
    each={
        "name": ({"name": b"archive/something.else"},),
        "name_empty": ({"name": b""},),
        "method": ({"method": 99},),
        "flags_encrypted": ({"flags": 0x0041},),
        "crc": ({"crc": 1},),
        "sizes_zero": ({"packed": 0, "size": 0},),
        "sizes_small": ({"packed": 1, "size": 1},),
        "sizes_zip64": ({"packed": FULL, "size": FULL},),
    },
)
def local_header(fields: dict[str, Any]) -> bytes:
    """Local headers that say something else than the directory: {fields}."""
    return pack(every(local=fields))


@written(ANY, label="repacked", each={"signed": ("signed",), "bare": ("bare",)})
def sizes_follow(how: Any) -> bytes:
    """Checksums and sizes behind the bytes, {how}; zeros in the local headers."""
    return pack(every(follows=how))


@written(
    ANY,
    label="repacked",
    flags=("ambiguous-zip",),
)
def record_not_listed() -> bytes:
    """A `data.pkl` before the others, which the directory does not list."""
    old = Record(dump("replaced"), listed=False)
    return pack([("data.pkl", old), *records().items()])


# ----------------------------------------------------------------------- zip64


@written(
    ANY,
    label="repacked",
    each={
        "records": (True, False),
        "end": (False, True),
        "all": (True, True),
    },
)
def zip64(of_records: bool, end: bool) -> bytes:
    """A small archive with the structures for large ones: {key}."""
    return pack(every(zip64=of_records), zip64=end)


@written(ANY, label="repacked")
def zip64_sizes_follow() -> bytes:
    """Sizes of 64 bits in the extra fields, and once more behind the bytes."""
    return pack(every(zip64=True, follows="signed"), zip64=True)


@written(ANY, label="repacked")
def zip64_behind_other_fields() -> bytes:
    """A zip64 extra field that comes after one of another kind."""
    unknown = b"\x99\x99\x02\0ab"
    file = records()
    data = file["data/0"]
    sizes = b"\1\0\x08\0" + len(data).to_bytes(8, "little")
    late = Record(data, fields={"size": FULL, "extra": unknown + sizes})
    return pack({**file, "data/0": late})


# ---------------------------------------------------------------- end of file


@written(ANY, label="repacked")
def disk_one() -> bytes:
    """Records and end say that they are on disk 1, and not on disk 0."""
    return pack(every(fields={"disk": 1}), disk=1)


@written(
    ANY,
    label="repacked",
    each={
        "newline": (b"\n",),
        "text": (b"# saved by hand\n" * 20,),
        "zeros": (bytes(2_000),),
    },
)
def trailing(tail: bytes) -> bytes:
    """Bytes behind the archive: {key}."""
    return pack(records()) + tail


@written(ANY, label="repacked")
def gap_before_directory() -> bytes:
    """A thousand bytes of no use between the records and the directory."""
    return pack(records(), gap=b"\xaa" * 1_000)


# --------------------------------------------------------------------- padding


@written(
    ANY,
    label="native",
    each={"1": (1,), "3": (3,), "16": (16,), "100": (100,), "512": (512,)},
)
def alignment(number: int) -> bytes:
    """Records that begin at multiples of {number} bytes."""
    return save(state(), Format(alignment=number))


# ------------------------------------------------------------ records of a name

#: The elements that say which record was read.
_COPIES: Final = [floats(float(n)) for n in range(5)]


@written(
    ANY,
    label="built",
    flags=("duplicate-record", "ambiguous-zip"),
    each={str(count): (count,) for count in (2, 3, 4, 5)},
)
def pickles_of_one_name(count: int) -> bytes:
    """{count} records called `data.pkl`, each with another number in it."""
    copies = [("data.pkl", dump({"copy": n})) for n in range(count)]
    return pack([*copies, ("version", b"3\n")])


@written(
    ANY,
    label="built",
    flags=("duplicate-record", "ambiguous-zip"),
    each={str(count): (count,) for count in (2, 3, 4)},
)
def storages_of_one_name(count: int) -> bytes:
    """{count} records called `data/0`, each with another number in it."""
    tree = tensor(storage("FloatStorage", 1), (1,))
    copies = [("data/0", data) for data in _COPIES[:count]]
    return pack([("data.pkl", dump(tree)), *copies, ("version", b"3\n")])


@written(
    ANY,
    label="built",
    flags=("duplicate-record", "ambiguous-zip"),
    each={
        "lower_first": ("data.pkl", "DATA.PKL"),
        "upper_first": ("DATA.PKL", "data.pkl"),
    },
)
def pickles_in_two_cases(*names: str) -> bytes:
    """Records called {names}, each with another number in it."""
    copies = [(name, dump({"copy": n})) for n, name in enumerate(names)]
    return pack([*copies, ("byteorder", b"little"), ("version", b"3\n")])


@written(ANY, label="repacked", flags=("duplicate-record",))
def every_record_twice() -> bytes:
    """Every record twice, with the same bytes."""
    return pack([*records().items()] * 2)


@written(ANY, label="built")
def one_record_of_two_names() -> bytes:
    """Two storages whose records lie at the same place, under two names."""
    tree = [tensor(storage("FloatStorage", 1, key), (1,)) for key in "01"]
    return archive(tree, {"0": _COPIES[1], "1": Record(_COPIES[1], like="data/0")})


# -------------------------------------------------------------- other archivers


@written(ANY, label="repacked", flags=("deflate",))
def rezipped_by_info_zip() -> bytes:
    """As `zip -r` writes the unpacked archive: folders, times and owners."""
    when, owner = b"UT\5\0\3" + bytes(4), b"ux\x0b\0\1\4" + bytes(4) + b"\4" + bytes(4)
    made: dict[str, Any] = {"made_by": 0x031E, "time": 0x6000, "date": 0x5321}

    def entry(data: bytes, mode: int, stream: bytes | None = None) -> Record:
        return Record(
            data,
            stream,
            local={"extra": when + owner, "time": 0x6000, "date": 0x5321},
            fields={**made, "attributes": mode << 16, "extra": when + owner},
        )

    file = {
        name: entry(data, 0o100644, packed(data).packed if name == "data.pkl" else None)
        for name, data in sorted(records().items())
    }
    folder = entry(b"", 0o040755)
    return pack({"": folder, "data/": folder, ".data/": folder, **file})


@written(ANY, label="repacked", flags=("deflate",))
def rezipped_by_7_zip() -> bytes:
    """As 7-Zip writes the unpacked archive: no folders, times in NTFS's own field."""
    ntfs = b"\n\0\x20\0" + bytes(4) + b"\1\0\x18\0" + bytes(24)
    fields = {"made_by": 0x003F, "attributes": 0x20, "extra": ntfs}
    return pack(
        {
            name: Record(
                data, packed(data).packed if name == "data.pkl" else None, fields=fields
            )
            for name, data in records().items()
        }
    )

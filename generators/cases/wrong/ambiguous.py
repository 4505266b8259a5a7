"""Archives that two zip readers see differently.

The fourteen types are those of ZipDiff (https://github.com/ouuan/ZipDiff, "My
ZIP isn't your ZIP", USENIX Security 2025), with a constructor for each: `a`,
what the two headers of a record say; `b`, names; `c`, where things are. Where a
case has two pickles, they hold different numbers.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Any, Final

from ... import handmade
from ...containers import FULL, FULL16, UTF8, Record, deflate, pack
from ...handmade import floats, storage, tensor
from ..files import ziptools
from ..registry import LEDGER, written

ZIP: Final = "container:zip"
FLAGS: Final = ("ambiguous-zip",)

Records = dict[str, bytes | Record]

DATA: Final = floats(1.0, 2.0)
OTHER: Final = floats(8.0, 9.0)


def pickled(number: int) -> bytes:
    """A pickle of a dict with a tensor, and a number to know it by."""
    weight = tensor(storage("FloatStorage", 2), (2,))
    return handmade.dump({"number": number, "weight": weight})


def usual(number: int = 1, **changed: bytes | Record) -> Records:
    """The records of a small checkpoint; `pickle` and `storage` are two of them."""
    return {
        "data.pkl": changed.get("pickle", pickled(number)),
        "byteorder": b"little",
        "data/0": changed.get("storage", DATA),
        "version": b"3\n",
    }


def named(name: bytes, data: bytes = OTHER, **more: Any) -> Record:
    """A record whose name is not the one it goes by here."""
    return Record(data, local={"name": name}, fields={"name": name}, **more)


# ------------------------------------------- a: what the headers of a record say


@written(
    ZIP, label="built", flags=FLAGS,
    each={"deflated_locally": (0, 8), "stored_locally": (8, 0)},
)  # fmt: skip
def a1_method(central: int, local: int) -> bytes:
    """A pickle packed by method {central}; its local header says {local}."""
    data = pickled(1)
    packed = deflate((data, 1)) if central else None
    return pack(usual(pickle=Record(data, packed, local={"method": local})))


SIZES: Final[dict[str, dict[str, Any]]] = {
    "zero_locally": {"local": {"size": 0, "packed": 0}},
    "shorter_locally": {"local": {"size": 4, "packed": 4}},
    "longer_locally": {"local": {"size": 4096, "packed": 4096}},
    "of_64_bits_locally": {
        "local": {"size": FULL, "packed": FULL, "extra": ziptools.zip64(4, 4)}
    },
    "of_64_bits_that_nobody_asked_for": {"fields": {"extra": ziptools.zip64(4, 4)}},
    "of_64_bits_twice": {
        "fields": {
            "size": FULL,
            "packed": FULL,
            "extra": ziptools.zip64(8, 8) + ziptools.zip64(4, 4),
        }
    },
}


@written(
    ZIP, label="built", flags=FLAGS, each={key: (more,) for key, more in SIZES.items()}
)
def a2_size(more: dict[str, Any]) -> bytes:
    """A storage whose sizes differ between the directory and its bytes: {more}."""
    return pack(usual(storage=Record(DATA, **more)))


@written(ZIP, label="built", flags=FLAGS)
def a2_size_behind() -> bytes:
    """A storage whose data descriptor says that it has half as many bytes."""
    file = pack(usual(storage=Record(DATA, follows="signed")))
    at = file.index(b"PK\7\10") + 8
    return file[:at] + struct.pack("<II", 4, 4) + file[at + 8 :]


@written(ZIP, label="built", flags=FLAGS)
def a2_size_behind_of_64_bits() -> bytes:
    """A data descriptor of 64 bits, where nothing in the local header says so."""
    record = Record(DATA, follows="signed", zip64=True, local={"extra": b""})
    return pack(usual(storage=record))


def unicode_path(name: bytes, other: bytes, version: int = 1) -> bytes:
    """The extra field in which Info-ZIP keeps a name in UTF-8."""
    head = struct.pack("<BI", version, zlib.crc32(name))
    return ziptools.extra_field(0x7075, head + other)


@written(ZIP, label="built", flags=FLAGS)
def a3_name_locally() -> bytes:
    """Two storages, each with the other one's name in its local header."""
    first = Record(DATA, local={"name": b"archive/data/1"})
    second = Record(OTHER, local={"name": b"archive/data/0"})
    return pack({**usual(storage=first), "data/1": second})


@written(ZIP, label="built", flags=FLAGS)
def a3_unicode_path() -> bytes:
    """A pickle with another name in an extra field, which some readers prefer."""
    extra = unicode_path(b"archive/data.pkl", b"archive/other.pkl")
    record = Record(pickled(1), local={"extra": extra}, fields={"extra": extra})
    extra = unicode_path(b"archive/x", b"archive/data.pkl")
    other = Record(pickled(2), local={"extra": extra}, fields={"extra": extra})
    return pack({**usual(pickle=record), "x": other})


NAME: Final = b"archive/data.pkl"
AWAY: Final = unicode_path(NAME, b"archive/other.pkl")
BACK: Final = unicode_path(NAME, NAME)

UNICODE: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "locally": ("in its local header alone", {"local": {"extra": AWAY}}),
    "centrally": ("in the directory alone", {"fields": {"extra": AWAY}}),
    "twice": ("and then the old one again", {"fields": {"extra": AWAY + BACK}}),
    "of_version_2": (
        "in a field of version 2",
        {"fields": {"extra": unicode_path(NAME, b"archive/other.pkl", 2)}},
    ),
    "of_another_name": (
        "in a field that was made for another name",
        {"fields": {"extra": unicode_path(b"x", b"archive/other.pkl")}},
    ),
    "and_utf8": (
        "and the flag that the old one is UTF-8",
        {"flags": UTF8, "fields": {"extra": AWAY}},
    ),
}


@written(ZIP, label="built", flags=FLAGS, each=UNICODE)
def a3_unicode(where: str, more: dict[str, Any]) -> bytes:
    """A pickle that an extra field gives another name, {where}."""
    return pack(usual(pickle=Record(pickled(1), **more)))


@written(
    ZIP, label="built", flags=FLAGS,
    each={
        "unix_folder": ({"made_by": 3 << 8, "attributes": 0x4000 << 16},),
        "unix_link": ({"made_by": 3 << 8, "attributes": 0xA000 << 16},),
        "folder_of_macos": ({"made_by": 19 << 8, "attributes": 0x4000 << 16},),
    },
)  # fmt: skip
def a4_kind(fields: Mapping[str, int]) -> bytes:
    """A storage that Unix takes for a folder or a link: {fields}."""
    return pack(usual(storage=Record(DATA, fields=fields)))


@written(ZIP, label="built", verdict="either", reason=LEDGER, flags=FLAGS,
         undisclosed=True)  # fmt: skip
def a4_kind_dos_folder() -> bytes:
    """A storage with the attribute of a DOS folder, which has no bytes."""
    return pack(usual(storage=Record(DATA, folder=True)))


def keyed(key: str, data: bytes = DATA) -> bytes:
    """A checkpoint whose only storage has this key."""
    weight = tensor(storage("FloatStorage", len(data) // 4, key), (len(data) // 4,))
    return handmade.archive({"weight": weight}, {key: data})


@written(ZIP, label="built", flags=FLAGS)
def a4_kind_backslash() -> bytes:
    """A storage whose name ends in a backslash, as a folder's does on Windows."""
    return keyed("0\\")


@written(ZIP, label="built", flags=(*FLAGS, "empty"))
def a4_kind_slash_empty() -> bytes:
    """A storage without bytes whose name ends in a slash, as a folder's does."""
    return keyed("0/", b"")


@written(ZIP, label="built", verdict="either", reason=LEDGER, flags=FLAGS,
         undisclosed=True)  # fmt: skip
def a4_kind_slash() -> bytes:
    """A storage whose name ends in a slash, as a folder's does."""
    return keyed("0/")


@written(
    ZIP, label="built", flags=FLAGS,
    each={"pickle": ("data.pkl",), "storage": ("data/0",), "all": ("",)},
)  # fmt: skip
def a5_encrypted_locally(name: str) -> bytes:
    """Records that are encrypted by their local header alone ({key})."""
    records = usual()
    for key, data in usual().items():
        if name in ("", key) and isinstance(data, bytes):
            records[key] = Record(data, local={"flags": 1})
    return pack(records)


@written(
    ZIP, label="built", verdict="invalid", phase="container", flags=FLAGS
)  # fmt: skip
def a5_encrypted_centrally() -> bytes:
    """A pickle that is encrypted by the directory, and not by its local header."""
    record = Record(pickled(1), fields={"flags": 1})
    return pack(usual(pickle=record))


# --------------------------------------------------------------------- b: names


@written(ZIP, label="built", flags=FLAGS)
def b1_pickle_twice() -> bytes:
    """Two pickles of one name, with different numbers."""
    records = list(usual(1).items())
    return pack([*records, ("data.pkl", pickled(2))])


@written(ZIP, label="built", flags=FLAGS)
def b1_storage_twice() -> bytes:
    """Two storages of one name, with different elements."""
    return pack([*usual().items(), ("data/0", OTHER)])


SPECIAL: Final[dict[str, bytes]] = {
    "nul": b"archive/data/0\0x",
    "newline": b"archive/data/0\n",
    "space": b"archive/data/0 ",
    "dot": b"archive/data/0.",
    "star": b"archive/data/*",
    "colon": b"archive/data:0",
}


@written(
    ZIP,
    label="built",
    flags=FLAGS,
    each={key: (name,) for key, name in SPECIAL.items()},
)
def b2_special(name: bytes) -> bytes:
    """Two storages; the name of one, {name!r}, is the other's on some systems."""
    return pack({**usual(), "x": named(name)})


@written(
    ZIP, label="built", flags=FLAGS,
    each={"nul": (b"archive/data.pkl\0.txt",), "space": (b"archive/data.pkl ",)},
)  # fmt: skip
def b2_special_pickle(name: bytes) -> bytes:
    """Two pickles; the name of one, {name!r}, is the other's to some readers."""
    return pack({**usual(1), "x": named(name, pickled(2))})


SPELLED: Final[dict[str, bytes]] = {
    "dot": b"archive/./data/0",
    "dots": b"archive/data/../data/0",
    "two_slashes": b"archive//data/0",
    "backslash": b"archive/data\\0",
    "out_and_in": b"archive/../archive/data/0",
    "dot_behind": b"archive/data/0/.",
    "three_dots": b"archive/.../data/0",
}


@written(
    ZIP,
    label="built",
    flags=FLAGS,
    each={key: (name,) for key, name in SPELLED.items()},
)
def b3_spelled(name: bytes) -> bytes:
    """Two storages; the path of one, {name!r}, leads to the other."""
    return pack({**usual(), "x": named(name)})


@written(ZIP, label="built", flags=FLAGS)
def b3_spelled_first() -> bytes:
    """Two pickles; the path of the first, by a dot, leads to the second."""
    first = named(b"archive/./data.pkl", pickled(2))
    return pack([("x", first), *usual(1).items()])


@written(
    ZIP, label="built", flags=FLAGS,
    each={
        "composed": ("\u00e9", "e\u0301", "are one where Unicode is normalized"),
        "not_ascii": ("\u00e4", "\u00c4", "differ in the case of no ASCII letter"),
    },
)  # fmt: skip
def b4_key(first: str, second: str, what: str) -> bytes:
    """Two storages whose keys {what}."""
    tree = [tensor(storage("FloatStorage", 2, key), (2,)) for key in (first, second)]
    return handmade.archive(tree, {first: DATA, second: OTHER})


@written(
    ZIP, label="built", flags=FLAGS,
    each={"upper_first": ("DATA.PKL", "data.pkl"), "last": ("data.pkl", "DATA.PKL")},
)  # fmt: skip
def b4_case(first: str, last: str) -> bytes:
    """Two pickles whose names differ in case, {first} and {last}."""
    others = [(name, data) for name, data in usual().items() if name != "data.pkl"]
    return pack([(first, pickled(1)), *others, (last, pickled(2))])


# ------------------------------------------------------------ c: where things are


@written(ZIP, label="built", flags=FLAGS)
def c1_not_listed() -> bytes:
    """A pickle before the directory that it does not list; a stream has it last."""
    hidden = ziptools.parts(pack({"data.pkl": pickled(2)})).records
    return pack(usual(1), gap=hidden)


@written(ZIP, label="built", flags=FLAGS)
def c1_archive_in_record() -> bytes:
    """An archive inside a stored record, whose records a stream finds too."""
    return pack({"x": pack(usual(2)), **usual(1)})


@written(ZIP, label="built", flags=FLAGS)
def c1_ends_for_a_stream() -> bytes:
    """A directory and an end record between two records: there a stream stops."""
    first = ziptools.parts(pack(usual(2)))
    return ziptools.behind(b"".join(first), pack(usual(1)))


@written(ZIP, label="built", flags=FLAGS)
def c1_in_comment_of_entry() -> bytes:
    """A pickle, with its header, in the comment of an entry of the directory."""
    hidden = ziptools.parts(pack({"data.pkl": pickled(2)})).records
    return pack(usual(storage=Record(DATA, fields={"comment": hidden})))


@written(ZIP, label="built", flags=FLAGS)
def c1_overlapping() -> bytes:
    """A record that lies in the bytes of another one; the directory lists both."""
    inside = ziptools.parts(pack({"data.pkl": pickled(1)})).records
    others = usual()
    del others["data.pkl"]
    place = ziptools.SIZES["local"] + len(b"archive/x")
    listed = Record(pickled(1), like="x", fields={"place": place})
    return pack({"x": inside, "data.pkl": listed, **others})


@written(ZIP, label="built", flags=FLAGS)
def c1_descriptor_in_record() -> bytes:
    """A stored record that has a data descriptor, and the like of one among its bytes:
    a stream ends it there, and finds another pickle behind."""
    early = b"PK\7\10" + bytes(12)
    hidden = ziptools.parts(pack({"data.pkl": pickled(2)})).records
    return pack({"x": Record(early + hidden, follows="signed"), **usual(1)})


@written(
    ZIP, label="built", flags=FLAGS,
    each={"of_its_length": (0,), "one_shorter": (-1,), "one_longer": (1,)},
)  # fmt: skip
def c2_end_in_comment(off: int) -> bytes:
    """A whole archive in the comment of another, whose length is off by {off}."""
    first = pack(usual(1))
    second = ziptools.behind(first, pack(usual(2)))[len(first) :]
    return ziptools.patch(first, "end", comment=len(second) + off) + second


@written(ZIP, label="built", flags=FLAGS)
def c2_bytes_behind() -> bytes:
    """Bytes behind the end record, whose comment is empty."""
    return pack(usual(1)) + b"behind"


@written(ZIP, label="built", flags=FLAGS)
def c3_count() -> bytes:
    """A directory of five entries, two pickles among them; the end counts four."""
    file = pack([*usual(1).items(), ("data.pkl", pickled(2))])
    return ziptools.patch(file, "end", here=4, count=4)


@written(ZIP, label="built", verdict="invalid", phase="container", flags=FLAGS)
def c3_count_on_disk() -> bytes:
    """A directory of four entries, of which three are said to be on this disk."""
    return ziptools.patch(pack(usual(1)), "end", here=3)


FIVE: Final = pack([*usual(1).items(), ("data.pkl", pickled(2))])
#: The size of the first four entries.
*_, FOUR = ziptools.entries(ziptools.parts(FIVE).directory)


@written(
    ZIP, label="built", flags=FLAGS,
    each={"all": ({"here": 4, "count": 4, "size": FOUR},)},
)  # fmt: skip
@written(
    ZIP, label="built", verdict="invalid", phase="container", flags=FLAGS,
    each={"total": ({"count": 4},), "size": ({"size": FOUR},)},
)  # fmt: skip
def c3_counted(fields: dict[str, int]) -> bytes:
    """A directory of five entries, two pickles among them; the end says {fields}."""
    return ziptools.patch(FIVE, "end", **fields)


@written(ZIP, label="built", flags=FLAGS)
def c4_directory_elsewhere() -> bytes:
    """Two directories: one where the end record says, and one right before that."""
    first, second = (ziptools.parts(pack(usual(number))) for number in (1, 2))
    return b"".join((*first[:2], *second[:2], first.end))


@written(ZIP, label="built", verdict="invalid", phase="container", flags=FLAGS)
def c4_bytes_before() -> bytes:
    """An archive behind the first bytes of one, with offsets from its own start."""
    return b"PK\3\4" + pack(usual(1))


@written(ZIP, label="built", flags=FLAGS)
def c4_bytes_before_counted() -> bytes:
    """An archive behind the first bytes of one, with offsets from the file's start."""
    return ziptools.behind(b"PK\3\4", pack(usual(1)))


@written(
    ZIP, label="built", flags=FLAGS,
    each={
        "both": ({}, b""),
        "count_full": ({"here": 0xFFFF, "count": 0xFFFF}, b""),
        "place_full": ({"place": FULL}, b""),
        "gap": ({}, b"\0"),
        "size_full": ({"size": FULL}, b""),
    },
)  # fmt: skip
def c5_zip64(fields: Mapping[str, int], gap: bytes) -> bytes:
    """An end record for one directory, a zip64 end record for another ({key})."""
    first = ziptools.parts(pack(usual(1)))
    start = first.records + first.directory
    second = ziptools.parts(ziptools.behind(start, pack(usual(2))))
    size, place = len(second.directory), len(second.records)
    wide = ziptools.header("end64", rest=44, here=4, count=4, size=size, place=place)
    locator = ziptools.header("locator", place=place + size, disks=1)
    end = ziptools.patch(first.end, "end", **fields)
    return b"".join((*second[:2], wide, locator, gap, end))


@written(ZIP, label="built", flags=FLAGS)
def c5_zip64_count() -> bytes:
    """A directory of five entries; the zip64 end record counts four of them."""
    file = pack([*usual(1).items(), ("data.pkl", pickled(2))], zip64=True)
    return ziptools.patch(file, "end64", here=4, count=4)


@written(ZIP, label="built", flags=FLAGS)
def c5_zip64_adjacent() -> bytes:
    """Two zip64 end records: the locator leads to one, and stands behind another."""
    first = ziptools.parts(pack(usual(1)))
    start = first.records + first.directory
    second = ziptools.parts(ziptools.behind(start, pack(usual(2))))
    size = len(first.directory)
    counted = {"here": 4, "count": 4, "size": size}
    hidden = ziptools.header("end64", rest=44, place=len(second.records), **counted)
    # The other one is data of this one, of a kind that nobody knows.
    data = struct.pack("<HI", 0x1337, len(hidden)) + hidden
    place = len(first.records)
    wide = ziptools.header("end64", rest=44 + len(data), place=place, **counted)
    at = len(second.records) + len(second.directory)
    locator = ziptools.header("locator", place=at, disks=1)
    full = {"here": FULL16, "count": FULL16, "size": FULL, "place": FULL}
    end = ziptools.patch(first.end, "end", **full)
    return b"".join((*second[:2], wide, data, locator, end))

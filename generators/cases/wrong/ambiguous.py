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
from ...containers import FULL, Record, deflate, pack
from ...handmade import call, floats, storage, tensor
from ..files import ziptools
from ..readers.threads import vulnerabilities
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


def unicode_path(name: bytes, other: bytes) -> bytes:
    """The extra field in which Info-ZIP keeps a name in UTF-8."""
    return ziptools.extra_field(0x7075, struct.pack("<BI", 1, zlib.crc32(name)) + other)


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


SPELLED: Final[dict[str, bytes]] = {
    "dot": b"archive/./data/0",
    "dots": b"archive/data/../data/0",
    "two_slashes": b"archive//data/0",
    "backslash": b"archive/data\\0",
    "out_and_in": b"archive/../archive/data/0",
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


@written(ZIP, label="built", flags=FLAGS)
def c4_directory_elsewhere() -> bytes:
    """Two directories: one where the end record says, and one right before that."""
    first, second = (ziptools.parts(pack(usual(number))) for number in (1, 2))
    return b"".join((*first[:2], *second[:2], first.end))


@written(ZIP, label="built", verdict="invalid", phase="container", flags=FLAGS)
def c4_bytes_before() -> bytes:
    """An archive behind the first bytes of one, with offsets from its own start."""
    return b"PK\3\4" + pack(usual(1))


@written(
    ZIP, label="built", flags=FLAGS,
    each={
        "both": ({}, b""),
        "count_full": ({"here": 0xFFFF, "count": 0xFFFF}, b""),
        "place_full": ({"place": FULL}, b""),
        "gap": ({}, b"\0"),
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


# ------------------------------------------------------- what scanners did not see


SCANNER: Final = (*FLAGS, "forbidden-global", "weights-only-refuses")
INERT: Final = "weights_only=True refuses the name; others may keep the call inert"


def calling(callee: str) -> Records:
    """A checkpoint whose pickle calls a function that does no harm."""
    weight = tensor(storage("FloatStorage", 2), (2,))
    return usual(pickle=handmade.dump({"weight": weight, "extra": call(callee, "a")}))


def changed(**more: Any) -> bytes:
    """That checkpoint, with something unusual about its pickle."""
    records = calling("os.path.basename")
    data = records["data.pkl"]
    if isinstance(data, bytes):
        records["data.pkl"] = Record(data, **more)
    return pack(records)


@written(
    "os.path.basename", label="built", verdict="either", reason=INERT, flags=SCANNER,
    links=vulnerabilities("CVE-2025-1944"),
)  # fmt: skip
def scanner_name() -> bytes:
    """A pickle that calls a function, under another name in its local header."""
    return changed(local={"name": b"archive/notes.txt"})


@written(
    "os.path.basename", label="built", verdict="either", reason=INERT, flags=SCANNER,
    links=vulnerabilities("CVE-2025-1945"),
)  # fmt: skip
def scanner_flags() -> bytes:
    """A pickle that calls a function, encrypted by its local header alone."""
    return changed(local={"flags": 1})


@written(
    "os.path.basename", label="built", verdict="either", reason=INERT, flags=SCANNER,
    links=vulnerabilities("CVE-2025-10156"),
)  # fmt: skip
def scanner_checksum() -> bytes:
    """A pickle that calls a function, with a wrong checksum."""
    return changed(crc=0xBAD)


@written(
    "os.path.basename", label="built", suffix=".bin", verdict="either", reason=LEDGER,
    flags=("forbidden-global", "weights-only-refuses"),
    links=vulnerabilities("CVE-2025-1889", "CVE-2025-10155"),
)  # fmt: skip
def scanner_suffix() -> bytes:
    """A plain pickle that calls a function, in a file named as a checkpoint is."""
    return handmade.dump({"extra": call("os.path.basename", "a")})


@written(
    "asyncio.events.get_event_loop_policy", label="built", verdict="either",
    reason=INERT, flags=("forbidden-global", "weights-only-refuses"),
    links=vulnerabilities("CVE-2025-10157"),
)  # fmt: skip
def scanner_submodule() -> bytes:
    """A call of a function in a submodule of a module that scanners look for."""
    callee = call("asyncio.events.get_event_loop_policy")
    return handmade.archive({"extra": callee})

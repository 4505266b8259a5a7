"""Files that are no archives, and archives that lie about themselves."""

from __future__ import annotations

import struct
import zlib
from typing import Any, Final

from ... import handmade
from ...containers import FULL, Record, deflate, pack
from ...handmade import Piece, call, floats, storage, tensor, value
from ..files import tarring, ziptools
from ..readers.threads import pulls, vulnerabilities
from ..registry import LEDGER, written

ZIP: Final = "container:zip"

Records = dict[str, bytes | Record]

DATA: Final = floats(1.0, 2.0)
PICKLE: Final = handmade.dump({"weight": tensor(storage("FloatStorage", 2), (2,))})


def usual(**changed: bytes | Record) -> Records:
    """The records of a small checkpoint; `pickle` and `storage` are two of them."""
    return {
        "data.pkl": changed.get("pickle", PICKLE),
        "byteorder": b"little",
        "data/0": changed.get("storage", DATA),
        "version": b"3\n",
    }


GOOD: Final = pack(usual())
GOOD64: Final = pack(usual(), zip64=True)


# ---------------------------------------------------------------- other formats


def gzipped(data: bytes) -> bytes:
    """A gzip file, without a name or a time."""
    head = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    return head + deflate((data, 1)) + struct.pack("<II", zlib.crc32(data), len(data))


SAFETENSORS: Final = b'{"weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'

STRANGERS: Final[dict[str, tuple[str, bytes]]] = {
    "nothing": ("no bytes at all", b""),
    "zeros": ("zeros", bytes(512)),
    "text": ("a line of text", b"# These are not the weights.\n"),
    "json": ("a JSON document", b'{"weight": [1.0, 2.0]}\n'),
    "html": ("a web page", b"<!DOCTYPE html>\n<html><body>Not found</body></html>\n"),
    "git_lfs": (
        "a Git LFS pointer",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\n",
    ),
    "swapped": ("an archive whose first letters are swapped", b"KP" + GOOD[2:]),
    "lower_case": ("an archive whose first letters are small", b"pk" + GOOD[2:]),
    "byte_order_mark": ("an archive behind a byte order mark", b"\xef\xbb\xbf" + GOOD),
    "empty_archive": ("an archive of no records", b"PK\5\6" + bytes(18)),
    "spanned": ("an archive behind the mark of a split one", b"PK\7\10" + GOOD),
    "gzip": ("an archive in a gzip file", gzipped(GOOD)),
    "bzip2": ("the head of a bzip2 file", b"BZh91AY&SY" + bytes(8)),
    "xz": ("the head of an xz file", b"\xfd7zXZ\0\0\4" + bytes(8)),
    "zstandard": ("the head of a Zstandard file", b"\x28\xb5\x2f\xfd" + bytes(8)),
    "7_zip": ("the head of a 7-Zip archive", b"7z\xbc\xaf\x27\x1c\0\4" + bytes(24)),
    "rar": ("the head of a RAR archive", b"Rar!\x1a\7\0" + bytes(8)),
    "png": ("the head of a picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(17)),
    "elf": ("the head of a program", b"\x7fELF\2\1\1" + bytes(57)),
    "safetensors": (
        "a safetensors file",
        struct.pack("<Q", len(SAFETENSORS)) + SAFETENSORS + DATA,
    ),
    "gguf": ("the head of a GGUF file", b"GGUF" + struct.pack("<IQQ", 3, 0, 0)),
    "hdf5": ("the head of an HDF5 file", b"\x89HDF\r\n\x1a\n" + bytes(88)),
    "npy": (
        "an array of numpy",
        b"\x93NUMPY\1\0\x46\0{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"
        + b" " * 8 + b"\n" + DATA,
    ),
}  # fmt: skip


#: Those whose first byte is an opcode, so that they pass for a pickle.
PICKLES: Final[dict[str, tuple[str, bytes, str]]] = {
    "letter": ("one letter", b"P", "PERSID"),
    "signature": ("the signature of an archive, cut", b"PK\3", "PERSID"),
    "words": ("a line of text", b"These are not the weights.\n", "BINSTRING"),
}


@written(
    ZIP, label="built", verdict="invalid", phase="container", each=STRANGERS,
)  # fmt: skip
@written(
    "opcode:{opcode}", label="built", verdict="invalid", phase="pickle", each=PICKLES,
)  # fmt: skip
def stranger(what: str, data: bytes, opcode: str = "") -> bytes:
    """No checkpoint: {what}."""
    return data


@written(
    ZIP, label="built", verdict="invalid", phase="container", each={
        "npz": ("weight.npy",), "at_the_root": ("data.pkl",),
    },
)  # fmt: skip
def no_folder(name: str) -> bytes:
    """An archive whose first record, {name}, lies in no folder."""
    renamed = {"name": name.encode()}
    return pack({name: Record(b"\x93NUMPY", local=renamed, fields=renamed)})


# ------------------------------------------------------------------- end records

SIZE: Final = len(ziptools.parts(GOOD).directory)
PLACE: Final = len(ziptools.parts(GOOD).records)

ENDS: Final[dict[str, dict[str, int]]] = {
    "no_entries": {"here": 0, "count": 0},
    "entries_of_no_bytes": {"size": 0},
    "one_entry_more": {"here": 5, "count": 5},
    "many_entries": {"here": 0xFFFE, "count": 0xFFFE},
    "fewer_on_this_disk": {"here": 3},
    "more_on_this_disk": {"here": 5},
    "size_short": {"size": SIZE - 1},
    "size_long": {"size": SIZE + 23},
    "size_full": {"size": FULL},
    "place_before": {"place": PLACE - 1},
    "place_after": {"place": PLACE + 1},
    "place_at_start": {"place": 0},
    "place_outside": {"place": 1 << 20},
    "place_full": {"place": FULL},
    "disk_one": {"disk": 1},
    "directory_on_disk_one": {"first": 1},
    "last_disk": {"disk": 0xFFFF, "first": 0xFFFF},
}


@written(
    ZIP, label="built", verdict="invalid", phase="container",
    each={key: (fields,) for key, fields in ENDS.items()}, flags=("size-lies",),
)  # fmt: skip
def end(fields: dict[str, int]) -> bytes:
    """An archive whose end record lies: {fields}."""
    return ziptools.patch(GOOD, "end", **fields)


ENDS64: Final[dict[str, tuple[str, dict[str, int | bytes]]]] = {
    "end_rest_short": ("end64", {"rest": 43}),
    "end_count_short": ("end64", {"here": 0, "count": 0}),
    "end_count_long": ("end64", {"here": 5, "count": 5}),
    "end_count_huge": ("end64", {"here": 1 << 40, "count": 1 << 40}),
    "end_size_huge": ("end64", {"size": 1 << 40}),
    "end_place_outside": ("end64", {"place": 1 << 40}),
    "end_place_wraps": ("end64", {"place": (1 << 64) - 1}),
    "end_disk_one": ("end64", {"disk": 1}),
    "end_signature": ("end64", {"signature": b"PK\6\5"}),
    "locator_outside": ("locator", {"place": 1 << 40}),
    "locator_wraps": ("locator", {"place": (1 << 64) - 8}),
    "locator_elsewhere": ("locator", {"place": 0}),
    "locator_of_two_disks": ("locator", {"disks": 2}),
    "locator_signature": ("locator", {"signature": b"PK\6\5"}),
}


@written(
    ZIP, label="built", verdict="invalid", phase="container",
    each=ENDS64, flags=("size-lies",),
)  # fmt: skip
def zip64(kind: str, fields: dict[str, Any]) -> bytes:
    """An archive whose zip64 {kind} lies: {fields}."""
    return ziptools.patch(GOOD64, kind, **fields)


# ----------------------------------------------------------------- the directory

LIES: Final[dict[str, dict[str, Any]]] = {
    "place_outside": {"place": 1 << 20},
    "place_between": {"place": 1},
    "packed_outside": {"packed": 1 << 20, "size": 1 << 20},
    "size_differs": {"size": 9},
    "packed_differs": {"packed": 7},
    "packed_nothing": {"packed": 0},
    "method_deflate64": {"method": 9},
    "method_bzip2": {"method": 12},
    "method_lzma": {"method": 14},
    "method_zstandard": {"method": 93},
    "method_unknown": {"method": 99},
    "encrypted": {"flags": 0x01},
    "patch": {"flags": 0x20},
    "strongly_encrypted": {"flags": 0x40},
    "masked": {"flags": 0x2000},
    "disk_two": {"disk": 2},
    "zip64_short": {"size": FULL, "extra": ziptools.extra_field(1, bytes(4))},
    "zip64_outside": {"place": FULL, "extra": ziptools.zip64(1 << 40)},
    "zip64_wraps": {"place": FULL, "extra": ziptools.zip64((1 << 64) - 40)},
}


@written(
    ZIP, label="built", verdict="invalid", phase="container",
    each={key: (fields,) for key, fields in LIES.items()}, flags=("size-lies",),
)  # fmt: skip
def storage_entry(fields: dict[str, Any]) -> bytes:
    """An archive whose directory lies about a storage: {fields}."""
    return pack(usual(storage=Record(DATA, fields=fields)))


#: torch looks at these when it reads the record, which mmap=True does not.
UNREAD: Final[dict[str, dict[str, Any]]] = {
    "place_of_another": {"place": 0, "size": 4, "packed": 4},
    "size_short": {"size": 4, "packed": 4},
}


@written(
    ZIP, label="built", verdict="either", reason=LEDGER,
    each={key: (fields,) for key, fields in UNREAD.items()}, flags=("size-lies",),
)  # fmt: skip
def storage_entry_read(fields: dict[str, Any]) -> bytes:
    """An archive whose directory lies about a storage: {fields}."""
    return pack(usual(storage=Record(DATA, fields=fields)))


@written(
    ZIP, label="built", verdict="invalid", phase="container",
    each={key: ({**LIES, **UNREAD}[key],) for key in (
        "place_outside", "packed_outside", "size_differs", "packed_nothing",
        "method_unknown", "encrypted",
    )},
    flags=("size-lies",),
)  # fmt: skip
def pickle_entry(fields: dict[str, Any]) -> bytes:
    """An archive whose directory lies about its pickle: {fields}."""
    return pack(usual(pickle=Record(PICKLE, fields=fields)))


ENTRIES: Final[dict[str, dict[str, int | bytes]]] = {
    "signature": {"signature": b"PK\1\3"},
    "name_long": {"name": 0xFFFF},
    "extra_long": {"extra": 0xFFFF},
    "comment_long": {"comment": 0xFFFF},
    "name_short": {"name": 3},
    "name_of_nothing": {"name": 0},
}


@written(
    ZIP, label="built", verdict="invalid", phase="container",
    each={key: (fields,) for key, fields in ENTRIES.items()}, flags=("size-lies",),
)  # fmt: skip
def entry(fields: dict[str, Any]) -> bytes:
    """An archive whose second entry in the directory is broken: {fields}."""
    return ziptools.patch(GOOD, "central", 1, **fields)


LOCALS: Final[dict[str, dict[str, int | bytes]]] = {
    "signature": {"signature": b"PK\3\5"},
    "name_long": {"name": 0xFFFF},
    "extra_long": {"extra": 0xFFFF},
}


@written(
    ZIP, label="built", verdict="invalid", phase="container",
    each={key: (fields,) for key, fields in LOCALS.items()}, flags=("size-lies",),
)  # fmt: skip
def local(fields: dict[str, Any]) -> bytes:
    """An archive in which the local header of the pickle lies: {fields}."""
    return ziptools.patch(GOOD, "local", 0, **fields)


@written(ZIP, label="built", verdict="either", reason=LEDGER)
def local_signature_of_storage() -> bytes:
    """An archive in which the local header of a storage has no signature."""
    return ziptools.patch(GOOD, "local", 2, signature=b"PK\3\5")


# ------------------------------------------------------------------------- names


def added(name: bytes, data: bytes = b"") -> bytes:
    """The usual archive, and a record with a name of any kind."""
    named = {"name": name}
    return pack({**usual(), "x": Record(data, local=named, fields=named)})


NAMES: Final[dict[str, tuple[str, bytes]]] = {
    "folder_of_macos": ("in the folder of macOS", b"__MACOSX/archive/._data.pkl"),
    "another_folder": ("in another folder", b"other/x"),
    "no_folder": ("in no folder", b"x"),
    "folder_in_upper_case": ("in a folder that differs in case", b"ARCHIVE/x"),
    "backslash": ("behind a backslash", b"archive\\x"),
    "above": ("above the folder", b"../archive/x"),
    "absolute": ("by an absolute path", b"/archive/x"),
    "not_utf8": ("whose name is not UTF-8", b"archive/\xff"),
    "no_name": ("without a name", b""),
}


@written(
    ZIP, label="built", verdict="invalid", phase="container", each=NAMES,
)  # fmt: skip
def record(what: str, name: bytes) -> bytes:
    """An archive with one record more, {what}."""
    return added(name)


# ------------------------------------------- records about the archive, and others

ABOUT: Final[dict[str, tuple[str, bytes]]] = {
    "version_empty": ("version", b""),
    "version_zero": ("version", b"0\n"),
    "version_eleven": ("version", b"11\n"),
    "version_negative": ("version", b"-1\n"),
    "version_word": ("version", b"three\n"),
    "version_huge": ("version", b"18446744073709551619"),
    "byteorder_empty": ("byteorder", b""),
    "byteorder_middle": ("byteorder", b"middle"),
    "byteorder_with_newline": ("byteorder", b"little\n"),
    "byteorder_in_upper_case": ("byteorder", b"LITTLE"),
    "byteorder_not_utf8": ("byteorder", b"\xff\xfe"),
    "alignment_word": (".storage_alignment", b"page"),
    "alignment_empty": (".storage_alignment", b""),
    "alignment_fraction": (".storage_alignment", b"64.0"),
    "serialization_id_not_utf8": (".data/serialization_id", b"\xff\xfe"),
}


@written(
    ZIP, label="built", verdict="invalid", phase="container", each=ABOUT,
)  # fmt: skip
def about(name: str, data: bytes) -> bytes:
    """An archive whose `{name}` is {data!r}."""
    return pack({**usual(), name: data})


@written(
    ZIP, label="built", verdict="invalid", phase="container",
    each={"pickle": ("data.pkl",), "version": ("version",)},
)  # fmt: skip
@written(
    ZIP, label="built", verdict="invalid", phase="container", flags=("unfilled",),
    each={"storage": ("data/0",)},
)  # fmt: skip
def missing(name: str) -> bytes:
    """An archive without the record `{name}`."""
    return pack({key: data for key, data in usual().items() if key != name})


@written(
    ZIP, label="built", verdict="either", reason=LEDGER, flags=("size-lies", "cve"),
    links=vulnerabilities("CVE-2026-24747"),
    each={
        "longer": ("one byte longer than", DATA + b"x"),
        "shorter": ("one byte shorter than", DATA[:-1]),
        "twice": ("twice as long as", DATA * 2),
        "empty": ("empty, unlike", b""),
    },
)  # fmt: skip
def storage_record(what: str, data: bytes) -> bytes:
    """A storage whose record is {what} its two elements."""
    return pack(usual(storage=data))


@written(
    "global:torch.FloatStorage", label="built", verdict="either", reason=LEDGER,
    flags=("size-lies", "overflow"), links=pulls("pytorch/pytorch", 181310),
)  # fmt: skip
def numel_beyond_64_bits() -> bytes:
    """A storage of 2^62 + 2 elements, whose bytes would be 8 if they wrapped."""
    root = tensor(storage("FloatStorage", (1 << 62) + 2), (2,))
    return handmade.archive(root, {"0": DATA})


@written(
    ZIP, label="built", verdict="invalid", phase="container", flags=("size-lies",),
    each={
        "size_long": (deflate((DATA, 1)), 4096),
        "size_huge": (deflate((DATA, 1)), 1 << 24),
        "nothing": (deflate((b"", 1)), 4096),
    },
)  # fmt: skip
@written(
    ZIP, label="built", verdict="either", reason=LEDGER, flags=("size-lies",),
    each={"garbage": (b"\xff" * 8, 4096)}, undisclosed=True,
)  # fmt: skip
def deflated(stream: bytes, size: int) -> bytes:
    """A storage whose DEFLATE stream does not hold the {size} bytes it should."""
    root = {"weight": tensor(storage("FloatStorage", size // 4), (size // 4,))}
    record = Record(DATA, stream, fields={"size": size}, local={"size": size})
    return pack({**usual(pickle=handmade.dump(root)), "data/0": record})


@written(
    ZIP, label="built", verdict="either", reason=LEDGER, flags=("size-lies",),
)  # fmt: skip
def deflated_size_short() -> bytes:
    """A DEFLATEd storage whose size in the directory is less than it inflates to."""
    record = Record(DATA, deflate((DATA * 2, 1)), fields={"size": 4})
    return pack(usual(storage=record))


# ---------------------------------------------------------- archives of other kinds


@written(
    "container:torchscript", label="built", verdict="invalid", phase="container",
    each={"state_dict": (PICKLE,), "nothing": (b"\x80\x02N.",)},
)  # fmt: skip
def constants_beside(pickled: bytes) -> bytes:
    """A record `constants.pkl`, which makes TorchScript of what is none ({key})."""
    return pack({**usual(pickle=pickled), "constants.pkl": handmade.dump(())})


@written(
    ZIP, label="built", verdict="invalid", phase="container",
    each={
        "package": (".data/extern_modules", b"torch\n"),
        "export": ("archive_format", b"pt2"),
        "old_script": ("model.json", b"{}"),
    },
)  # fmt: skip
def relative(name: str, data: bytes) -> bytes:
    """An archive of torch that is no checkpoint: it has `{name}` and no pickle."""
    return pack({name: data, "version": b"3\n"})


@written(
    "container:pickle", label="built", suffix=".pkl", verdict="either", reason=LEDGER,
)  # fmt: skip
def plain_pickle_of_text() -> bytes:
    """A plain pickle of protocol 0, which is text."""
    return b"(dp0\nVepoch\np1\nI3\ns."


# ------------------------------------------- what once passed weights_only=True

REFUSED: Final = vulnerabilities("CVE-2025-32434")
INERT: Final = "weights_only=True refuses it; a reader may keep the call inert"


@written(
    "container:torchscript", label="built", verdict="either", links=REFUSED,
    reason="weights_only=True refuses TorchScript",
    flags=("cve", "weights-only-refuses"),
)  # fmt: skip
def script_for_weights_only() -> bytes:
    """A TorchScript archive, which torch 2.5 loaded under weights_only=True."""
    state = {"training": True, "weight": tensor(storage("FloatStorage", 2), (2,))}
    root = handmade.build(handmade.new("__torch__.Module"), state)
    code = b"class Module(Module):\n  training : bool\n  weight : Tensor\n"
    records = usual(pickle=handmade.dump(root))
    records |= {"code/__torch__.py": code, "constants.pkl": handmade.dump(())}
    return pack(records)


@written(
    "os.getcwd", label="built", verdict="either", links=REFUSED, reason=INERT,
    flags=("cve", "forbidden-global", "weights-only-refuses"),
)  # fmt: skip
def tar_for_weights_only() -> bytes:
    """A legacy tar whose pickle calls a function, which torch 2.5 let it do."""
    storages = {1: ("FloatStorage", 2, DATA)}
    root = {"weight": tarring.number(2), "path": call("os.getcwd")}
    return tarring.tar(tarring.members(root, storages, {2: tarring.Shown(1, (2,))}))


@written(
    "opcode:SETITEM", label="built", verdict="either", reason=LEDGER,
    links=vulnerabilities("CVE-2026-24747"), flags=("stack", "cve", "wrong-target"),
)  # fmt: skip
def setitem_on_tensor() -> bytes:
    """SETITEM on a tensor, which torch 2.9 let write into its storage."""
    weight = tensor(storage("FloatStorage", 2), (2,))
    root = Piece(weight + value(0) + value(3.0) + b"s")
    return pack(usual(pickle=handmade.dump(root)))

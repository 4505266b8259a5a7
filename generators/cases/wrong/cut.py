"""Files that end too soon, at each boundary of their structure.

A file is taken apart into parts that follow each other without a gap; a case
ends `before` a part, or `inside` it, in its middle.
"""

from __future__ import annotations

import io
import pickletools
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

import torch

from ... import containers, handmade
from ...handmade import Record, floats
from ...saving import save
from ..files import tarring, ziptools
from ..registry import LEDGER, LEGACY, ZIP, written

#: Where each part of a file begins, in order.
Parts = Mapping[str, int]

FLAGS: Final = ("truncated",)


def rows(where: str, *parts: str) -> dict[str, tuple[str, str]]:
    """A table of cases: one for each part."""
    found = {}
    for part in parts:
        words = part.removeprefix("the ").replace(" the ", " ")
        key = "".join(letter if letter.isalnum() else "_" for letter in words)
        found[f"{where}_{key}"] = (where, part)
    return found


def cut(file: bytes, parts: Parts, where: str, part: str) -> bytes:
    """The file as far as that."""
    starts = [*parts.values(), len(file)]
    begin, end = starts[list(parts).index(part) :][:2]
    return file[: begin if where == "before" else (begin + end) // 2]


def tree() -> dict[str, torch.Tensor]:
    """What all these files once held."""
    return {"weight": torch.tensor([1.0, 2.0, 3.0]), "bias": torch.tensor([4])}


# ---------------------------------------------------------------- zip archives


def parts_of_archive(file: bytes) -> Iterator[tuple[str, int]]:
    """The parts of an archive that torch or C++ wrote."""
    directory = ziptools.parts(file).directory
    middle = file.index(directory)
    for name, entry in ziptools.listed(file).items():
        record = name.decode().partition("/")[2]
        at = entry["place"]
        local = ziptools.fields(file, "local", at)
        yield f"the local header of {record}", at
        at += ziptools.SIZES["local"]
        yield f"the name of {record}", at
        at += local["name"]
        yield f"the extra field of {record}", at
        at += local["extra"]
        yield f"the bytes of {record}", at
        yield f"the descriptor of {record}", at + entry["packed"]
    for number, at in enumerate(ziptools.entries(directory), 1):
        yield f"entry {number} of the directory", middle + at
        at += ziptools.SIZES["central"]
        yield f"the name in entry {number} of the directory", middle + at
    yield "the zip64 end record", ziptools.place(file, "end64")
    yield "the zip64 locator", ziptools.place(file, "locator")
    yield "the end record", ziptools.place(file, "end")


ARCHIVE: Final = {
    **rows(
        "before",
        "the name of data.pkl",
        "the extra field of data.pkl",
        "the bytes of data.pkl",
        "the descriptor of data.pkl",
        "the local header of .format_version",
        "the local header of data/0",
        "the bytes of data/0",
        "the descriptor of data/0",
        "the local header of version",
        "entry 1 of the directory",
        "entry 5 of the directory",
        "the zip64 end record",
        "the zip64 locator",
        "the end record",
    ),
    **rows(
        "inside",
        "the local header of data.pkl",
        "the name of data.pkl",
        "the extra field of data.pkl",
        "the bytes of data.pkl",
        "the descriptor of data.pkl",
        "the local header of data/0",
        "the bytes of data/0",
        "entry 1 of the directory",
        "the name in entry 1 of the directory",
        "entry 5 of the directory",
        "the zip64 end record",
        "the zip64 locator",
        "the end record",
    ),
}


@written(
    "container:zip", label="repacked", verdict="invalid", phase="container",
    each=ARCHIVE, flags=FLAGS,
)  # fmt: skip
def archive(where: str, part: str) -> bytes:
    """An archive that ends {where} {part}."""
    file = save(tree(), ZIP)
    return cut(file, dict(parts_of_archive(file)), where, part)


SCRIPT: Final = {
    "data.pkl": handmade.dump(
        handmade.build(handmade.new("__torch__.Module"), {"training": True})
    ),
    "code/__torch__.py": b"class Module(Module):\n  training : bool\n",
    "constants.pkl": handmade.dump(()),
}


@written(
    "container:torchscript", label="built", verdict="invalid", phase="pickle",
    each={"pickle": ("data.pkl",), "constants": ("constants.pkl",)}, flags=FLAGS,
)  # fmt: skip
def script(record: str) -> bytes:
    """A TorchScript archive whose {record} ends before its STOP."""
    return containers.pack({**SCRIPT, record: SCRIPT[record][:-1], "version": b"3\n"})


@written(
    "container:zip", label="built", verdict="either", undisclosed=True, flags=FLAGS,
    each={"data_0": ("data/0",)}, reason=LEDGER,
)  # fmt: skip
def deflate(record: str) -> bytes:
    """An archive in which the DEFLATE stream of {record} ends too soon."""
    data = floats(*map(float, range(256)))
    root = {"weight": handmade.tensor(handmade.storage("FloatStorage", 256), (256,))}
    records = {"data.pkl": handmade.dump(root), "data/0": data}
    stream = handmade.deflate((records[record], 1))
    cut_short = Record(records[record], stream[:100])
    return handmade.archive(root, {"0": data}, {record: cut_short})


# -------------------------------------------------------------- legacy streams

PICKLES: Final = (
    "the magic number",
    "the protocol version",
    "the sizes of types",
    "the object",
    "the list of keys",
)


def parts_of_stream(file: bytes) -> Iterator[tuple[str, int]]:
    """The parts of a legacy stream: five pickles, and two storages."""
    stream = io.BytesIO(file)
    for part in PICKLES:
        yield part, stream.tell()
        deque(pickletools.genops(stream), maxlen=0)
    at = stream.tell()
    for storage, size in (("the first storage", 8), ("the second storage", 12)):
        yield f"the count of {storage}", at
        yield f"the bytes of {storage}", at + 8
        at += 8 + size


@written(
    "container:legacy", label="repacked", verdict="invalid", phase="pickle",
    each={**rows("before", *PICKLES[1:]), **rows("inside", *PICKLES[1:])}, flags=FLAGS,
)  # fmt: skip
@written(
    "opcode:LONG1", label="repacked", verdict="invalid", phase="pickle",
    each=rows("inside", PICKLES[0]), flags=FLAGS,
)  # fmt: skip
@written(
    "container:legacy", label="repacked", verdict="invalid", phase="container",
    each={
        **rows(
            "before",
            "the count of the first storage",
            "the bytes of the first storage",
            "the count of the second storage",
            "the bytes of the second storage",
        ),
        **rows(
            "inside",
            "the count of the first storage",
            "the bytes of the first storage",
            "the count of the second storage",
            "the bytes of the second storage",
        ),
    },
    flags=FLAGS,
)  # fmt: skip
def legacy(where: str, part: str) -> bytes:
    """A legacy stream that ends {where} {part}."""
    file = save(tree(), LEGACY)
    return cut(file, dict(parts_of_stream(file)), where, part)


# ------------------------------------------------------------------------ tars


def tar_file() -> bytes:
    """A tar with a storage, and a tensor that shows it."""
    storages = {1: ("FloatStorage", 3, floats(1.0, 2.0, 3.0))}
    tensors = {2: tarring.Shown(1, (3,))}
    root = {"weight": tarring.number(2)}
    return tarring.tar(tarring.members(root, storages, tensors))


def parts_of_tar(file: bytes) -> Iterator[tuple[str, int]]:
    """The parts of a tar: three members, and what marks the end."""
    at = 0
    for member in ("storages", "tensors", "pickle"):
        yield f"the header of {member}", at
        size = int(file[at + 124 : at + 135], 8)
        yield f"the bytes of {member}", at + 512
        yield f"the padding of {member}", at + 512 + size
        at += 1024
    yield "the blocks at the end", at


@written(
    "container:tar", label="built", verdict="invalid", phase="container",
    each={
        **rows(
            "before",
            "the bytes of storages",
            "the header of tensors",
            "the bytes of tensors",
            "the header of pickle",
            "the bytes of pickle",
            "the padding of pickle",
        ),
        **rows(
            "inside",
            "the header of storages",
            "the bytes of storages",
            "the padding of storages",
            "the header of tensors",
            "the bytes of tensors",
            "the header of pickle",
            "the bytes of pickle",
            "the padding of pickle",
        ),
    },
    flags=FLAGS,
)  # fmt: skip
@written(
    "container:tar", label="built",
    each={
        **rows("before", "the blocks at the end"),
        **rows("inside", "the blocks at the end"),
    },
)  # fmt: skip
def tar(where: str, part: str) -> bytes:
    """A legacy tar that ends {where} {part}."""
    file = tar_file()
    return cut(file, dict(parts_of_tar(file)), where, part)


# --------------------------------------------------------------------- pickles

#: The opcode at which a pickle ends, and the pickle, which ends where the key says.
PICKLED: Final[dict[str, tuple[str, bytes]]] = {
    "inside_proto": ("PROTO", b"\x80"),
    "before_stop": ("EMPTY_DICT", b"\x80\x02}"),
    "with_an_open_mark": ("MARK", b"\x80\x02(K\x01K\x02"),
    "inside_binint": ("BININT", b"\x80\x02J\x01\x00"),
    "inside_binint1": ("BININT1", b"\x80\x02K"),
    "inside_binint2": ("BININT2", b"\x80\x02M\x01"),
    "inside_int": ("INT", b"I12"),
    "inside_long": ("LONG", b"L12"),
    "inside_count_of_long1": ("LONG1", b"\x80\x02\x8a"),
    "inside_long1": ("LONG1", b"\x80\x02\x8a\x04\x01\x02"),
    "inside_count_of_long4": ("LONG4", b"\x80\x02\x8b\x04\x00"),
    "inside_long4": ("LONG4", b"\x80\x02\x8b\x04\x00\x00\x00\x01"),
    "inside_binfloat": ("BINFLOAT", b"\x80\x02G?\xf0\x00"),
    "inside_float": ("FLOAT", b"F1.5"),
    "inside_string": ("STRING", b"S'weig"),
    "inside_count_of_short_binstring": ("SHORT_BINSTRING", b"\x80\x02U"),
    "inside_short_binstring": ("SHORT_BINSTRING", b"\x80\x02U\x06wei"),
    "inside_count_of_binstring": ("BINSTRING", b"\x80\x02T\x06\x00"),
    "inside_binstring": ("BINSTRING", b"\x80\x02T\x06\x00\x00\x00wei"),
    "inside_unicode": ("UNICODE", b"Vweig"),
    "inside_count_of_binunicode": ("BINUNICODE", b"\x80\x02X\x06\x00"),
    "inside_binunicode": ("BINUNICODE", b"\x80\x02X\x06\x00\x00\x00wei"),
    "inside_count_of_short_binunicode": ("SHORT_BINUNICODE", b"\x80\x04\x8c"),
    "inside_short_binunicode": ("SHORT_BINUNICODE", b"\x80\x04\x8c\x06wei"),
    "inside_count_of_binunicode8": ("BINUNICODE8", b"\x80\x04\x8d\x06\x00\x00"),
    "inside_binunicode8": ("BINUNICODE8", b"\x80\x04\x8d\x06" + bytes(7) + b"wei"),
    "inside_count_of_binbytes": ("BINBYTES", b"\x80\x03B\x06\x00"),
    "inside_binbytes": ("BINBYTES", b"\x80\x03B\x06\x00\x00\x00wei"),
    "inside_short_binbytes": ("SHORT_BINBYTES", b"\x80\x03C\x06wei"),
    "inside_binbytes8": ("BINBYTES8", b"\x80\x04\x8e\x06" + bytes(7) + b"wei"),
    "inside_bytearray8": ("BYTEARRAY8", b"\x80\x05\x96\x06" + bytes(7) + b"wei"),
    "inside_count_of_frame": ("FRAME", b"\x80\x04\x95\x05\x00\x00\x00"),
    "inside_frame": ("FRAME", b"\x80\x04\x95\x09" + bytes(7) + b"K\x01"),
    "inside_module_of_global": ("GLOBAL", b"\x80\x02ccollec"),
    "inside_name_of_global": ("GLOBAL", b"\x80\x02ccollections\nOrdere"),
    "inside_inst": ("INST", b"(icollections\nOrdere"),
    "inside_put": ("PUT", b"\x80\x02}p1"),
    "inside_binput": ("BINPUT", b"\x80\x02}q"),
    "inside_long_binput": ("LONG_BINPUT", b"\x80\x02}r\x01\x00"),
    "inside_binget": ("BINGET", b"\x80\x02}q\x00h"),
    "inside_long_binget": ("LONG_BINGET", b"\x80\x02}q\x00j\x00\x00"),
    "inside_persid": ("PERSID", b"Pstor"),
    "before_reduce": ("EMPTY_TUPLE", b"\x80\x02ccollections\nOrderedDict\n)"),
    "inside_ext2": ("EXT2", b"\x80\x02\x83\x01"),
}


def pickles(*keys: str) -> dict[str, tuple[str, str, bytes]]:
    """A table of cases: where the pickle ends, the opcode, the pickle."""
    return {key: (key.replace("_", " "), *PICKLED[key]) for key in keys}


@written(
    "opcode:{opcode}", label="built", verdict="invalid", phase="pickle",
    each=pickles(*PICKLED), flags=FLAGS,
)  # fmt: skip
def record(where: str, opcode: str, data: bytes) -> bytes:
    """An archive whose pickle ends {where}."""
    return handmade.archive(Record(data))


@written("container:zip", label="built", verdict="invalid", phase="pickle", flags=FLAGS)
def record_before_anything() -> bytes:
    """An archive whose pickle has no bytes."""
    return handmade.archive(Record(b""))


@written(
    "opcode:{opcode}", label="built", suffix=".pkl", verdict="invalid",
    phase="pickle", flags=FLAGS,
    each=pickles(
        "inside_proto", "before_stop", "inside_binunicode", "inside_name_of_global"
    ),
)  # fmt: skip
def plain(where: str, opcode: str, data: bytes) -> bytes:
    """A plain pickle that ends {where}."""
    return data

"""Zip archives: layouts of all releases, names, versions and byte orders."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

import torch

from ...containers import Record, pack
from ...handmade import archive, floats, storage, tensor
from ...repacking import big_endian, relaid, unpack
from ...saving import Format, save
from ..registry import LEDGER, written

ANY: Final = "container:zip"


def state() -> object:
    """Two tensors of different dtypes, and something that is none."""
    return OrderedDict(
        weight=torch.arange(6.0).reshape(2, 3), steps=torch.tensor([7, -1]), epoch=3
    )


def records() -> dict[str, Any]:
    """The records in which torch keeps `state`."""
    return unpack(save(state()))


# --------------------------------------------------------------------- layouts


@written(
    ANY,
    label="repacked",
    each={
        "1_6": ("archive", ("data.pkl", "data/*", "version")),
        "1_13": ("model", ("data.pkl", "data/*", "version")),
        "2_1": (
            "model",
            ("data.pkl", "byteorder", "data/*", "version", ".data/serialization_id"),
        ),
        "without_format_version": (
            "model",
            (
                *("data.pkl", ".storage_alignment", "byteorder", "data/*"),
                *("version", ".data/serialization_id"),
            ),
        ),
        "without_serialization_id": (
            "model",
            ("data.pkl", ".format_version", "byteorder", "data/*", "version"),
        ),
    },
)
def layout(root: str, names: tuple[str, ...]) -> bytes:
    """The records {names} below {root!r} ({key})."""
    return relaid(save(state()), names, root=root, alignment=64)


@written(ANY, label="repacked", flags=("byteorder-missing",))
def byteorder_missing() -> bytes:
    """Everything that torch writes today but `byteorder`: little-endian."""
    file = records()
    del file["byteorder"]
    return pack(file, alignment=64)


@written(
    ANY,
    label="repacked",
    each={
        "data_first": (("data/*", "data.pkl", "byteorder", "version"),),
        "pickle_last": (("byteorder", "version", "data/*", "data.pkl"),),
        "version_first": (("version", "data.pkl", "byteorder", "data/*"),),
        "byteorder_last": (("data.pkl", "data/*", "version", "byteorder"),),
        "storages_reversed": (
            ("data.pkl", "byteorder", "data/1", "data/0", "version"),
        ),
    },
)
def order(names: tuple[str, ...]) -> bytes:
    """The records in the order {names}."""
    return relaid(save(state()), names)


@written(ANY, label="built")
def keys_of_1_4_to_1_8() -> bytes:
    """Storages whose keys are addresses, as torch 1.4 to 1.8 wrote them."""
    first, second = "94071216378176", "140512938476544"
    tree = {
        "b": tensor(storage("FloatStorage", 2, second), (2,)),
        "a": tensor(storage("FloatStorage", 1, first), (1,)),
    }
    return archive(tree, {first: floats(1.0), second: floats(2.0, 3.0)}, byteorder=None)


# ----------------------------------------------------------------------- roots


@written(
    ANY,
    label="repacked",
    each={
        "with_dots": ("my.model.v2",),
        "with_spaces": ("my model (1)",),
        "not_ascii": ("modèle-重み",),
        "called_data": ("data",),
        "called_version": ("version",),
        "dot": (".",),
        "two_dots": ("..",),
        "with_backslash": ("runs\\best",),
        "with_colon": ("C:",),
        "empty": ("",),
        "of_200_characters": ("x" * 200,),
    },
)
def root(name: str) -> bytes:
    """An archive whose root folder is called {name!r}."""
    return pack(records(), root=name)


# ----------------------------------------------------------- names of records


@written(
    ANY,
    label="repacked",
    each={
        "pickle": ({"data.pkl": "DATA.PKL"},),
        "storage": ({"data/0": "Data/0"},),
        "version": ({"version": "VERSION"},),
        "byteorder": ({"byteorder": "ByteOrder"},),
    },
)
def upper_case(names: dict[str, str]) -> bytes:
    """A record's name in other letters, {names}: torch ignores case."""
    return pack({names.get(name, name): data for name, data in records().items()})


@written(
    ANY,
    label="repacked",
    each={
        "text": ("notes.txt",),
        "ds_store": (".DS_Store",),
        "storage": ("data/99",),
        "deep": ("a/b/c/data.pkl",),
        "like_pickle": ("data.pkl.bak",),
        "not_ascii": ("日本語",),
        "backslash": ("data\\0",),
        "newline": ("data\n0",),
        "double_slash": ("/data/0",),
        "upwards": ("../../escaped.txt",),
        "code": ("code/__torch__.py",),
        "constants_upper_case": ("CONSTANTS.PKL",),
        "tensors_folder": ("tensors/0",),
    },
)
def unknown_record(name: str) -> bytes:
    """A record {name!r} that nothing refers to, before all others."""
    return pack({name: b"not read", **records()})


@written(ANY, label="repacked", flags=("ambiguous-zip",))
def folder_records() -> bytes:
    """Records for the folders themselves, as archivers write them."""
    folder = Record(folder=True)
    return pack({"": folder, "data/": folder, **records()})


@written(ANY, label="built", flags=("duplicate-record",))
def storage_keys_in_two_cases() -> bytes:
    """Storages `a` and `A`: to torch they are one record, which its search chooses."""
    tree = [tensor(storage("FloatStorage", 1, key), (1,)) for key in "aA"]
    return archive(tree, {"a": floats(1.0), "A": floats(2.0)})


# -------------------------------------------------------------------- versions


@written(
    ANY,
    label="repacked",
    each={
        **{number: (number + "\n",) for number in "1 2 4 5 6 7 8 9 10".split()},
        "without_newline": ("3",),
        "with_zeros": ("0003\n",),
        "with_junk": ("3junk",),
        "with_space": (" 3",),
        "with_sign": ("+3",),
        "with_fraction": ("3.9",),
    },
)
def version(text: str) -> bytes:
    """The record `version` is {text!r}."""
    return pack({**records(), "version": text.encode()})


@written(ANY, label="repacked")
def version_in_dot_data() -> bytes:
    """`.data/version` in place of `version`, as C++ writes it from version 6 on."""
    file = records()
    file[".data/version"] = file.pop("version")
    return pack(file)


@written(ANY, label="repacked")
def version_twice() -> bytes:
    """`.data/version` says 3 and `version` says 99: the first of them counts."""
    return pack({**records(), "version": b"99\n", ".data/version": b"3\n"})


@written(
    ANY,
    label="repacked",
    each={
        "format_version_junk": (".format_version", b"zzz"),
        "storage_alignment_spaces": (".storage_alignment", b" 64\n"),
        "storage_alignment_zero": (".storage_alignment", b"0"),
        "storage_alignment_underscore": (".storage_alignment", b"1_000"),
        "serialization_id_junk": (".data/serialization_id", b"none"),
        "serialization_id_empty": (".data/serialization_id", b""),
    },
)
def about(name: str, data: bytes) -> bytes:
    """The record `{name}` is {data!r}."""
    return pack({**records(), name: data})


@written(ANY, label="repacked")
def pickle_with_tail() -> bytes:
    """`data.pkl` goes on behind the STOP of its pickle."""
    file = records()
    return pack({**file, "data.pkl": file["data.pkl"] + b"tail of no use"})


# ----------------------------------------------------------------- byte orders

#: By dtype: three numbers, and how many bytes are turned round together.
_WIDTHS: Final[dict[str, tuple[list[Any], int]]] = {
    "float64": ([1.5, -2.0, 3.25], 8),
    "float32": ([1.5, -2.0, 3.25], 4),
    "float16": ([1.5, -2.0, 3.25], 2),
    "bfloat16": ([1.5, -2.0, 3.25], 2),
    "complex128": ([1 + 2j, -3j, 0.5], 8),
    "complex64": ([1 + 2j, -3j, 0.5], 4),
    "int64": ([1, -2, 1 << 40], 8),
    "int32": ([1, -2, 1 << 20], 4),
    "int16": ([1, -2, 1 << 10], 2),
    "int8": ([1, -2, 100], 1),
    "uint8": ([1, 2, 200], 1),
    "bool": ([True, False, True], 1),
}


def _big_endian(tree: object, *units: int) -> bytes:
    file = save(tree, Format(byteorder="big"))
    return big_endian(file, {str(key): unit for key, unit in enumerate(units)})


@written(
    ANY,
    label="repacked",
    flags=("big-endian",),
    each={name: (name, *row) for name, row in _WIDTHS.items()},
)
def big_endian_of(dtype: str, numbers: list[Any], unit: int) -> bytes:
    """A big-endian {dtype}: {numbers}, turned round by {unit} bytes."""
    return _big_endian(torch.tensor(numbers, dtype=getattr(torch, dtype)), unit)


@written(
    ANY,
    label="repacked",
    flags=("big-endian",),
    each={
        "float8_e5m2": (torch.float8_e5m2, [1.5, -2.0, 3.0], 1),
        "float8_e4m3fn": (torch.float8_e4m3fn, [1.5, -2.0, 3.0], 1),
    },
)
def big_endian_untyped(dtype: torch.dtype, numbers: list[Any], unit: int) -> bytes:
    """A big-endian tensor of {dtype}, whose elements are single bytes."""
    return _big_endian(torch.tensor(numbers).to(dtype), unit)


@written(
    ANY,
    label="repacked",
    flags=("big-endian",),
    verdict="either",
    reason=LEDGER,
    each={
        "uint16": (torch.uint16, [1, 2, 60_000], 2),
        "uint32": (torch.uint32, [1, 2, 1 << 31], 4),
        "uint64": (torch.uint64, [1, 2, 1 << 63], 8),
        "complex32": (torch.complex32, [1 + 2j, -3j, 0.5], 2),
    },
)
def big_endian_wide(dtype: torch.dtype, numbers: list[Any], unit: int) -> bytes:
    """A big-endian tensor of {dtype}: its storage has no dtype, its bytes an order."""
    return _big_endian(torch.tensor(numbers, dtype=dtype), unit)


@written(ANY, label="repacked", flags=("big-endian",))
def big_endian_tree() -> bytes:
    """A big-endian archive of several dtypes."""
    return _big_endian(state(), 4, 8)


@written(ANY, label="repacked", flags=("big-endian", "shared-storage", "offset"))
def big_endian_views() -> bytes:
    """Two views of one big-endian storage: it is turned round once."""
    base = torch.arange(6, dtype=torch.int32)
    return _big_endian([base[1:3], base[::2]], 4)


@written(ANY, label="repacked", flags=("big-endian", "empty"))
def big_endian_empty() -> bytes:
    """A big-endian archive of a tensor without elements."""
    return _big_endian(torch.empty(0, dtype=torch.float64))

"""Storages by themselves, shared ones, and empty ones."""

from __future__ import annotations

import pickle
import struct
from typing import Any

import torch
from torch.storage import TypedStorage

from ...handmade import (
    Piece,
    archive,
    call,
    floats,
    legacy,
    longs,
    name,
    storage,
    tensor,
    untyped_tensor,
    value,
)
from ..registry import LEGACY, PROTOCOL_4, ZIP, saved, written
from .dtypes import OWN, of_patterns

STORAGE = "persistent-id:storage"
VIEW = "persistent-id:view"

BOTH = (ZIP, LEGACY)


def typed(untyped: torch.UntypedStorage, dtype: torch.dtype) -> TypedStorage:
    """The storage with a dtype, without torch's word on that class."""
    return TypedStorage(wrap_storage=untyped, dtype=dtype, _internal=True)


def of_floats(*numbers: float) -> TypedStorage:
    return typed(torch.tensor(numbers).untyped_storage(), torch.float32)


# ------------------------------------------------------------- storages as values


@saved(STORAGE, each={key: (key,) for key in OWN})
def typed_storage(dtype: str) -> object:
    """A storage of {dtype} by itself."""
    values = of_patterns(dtype, OWN[dtype][:4])
    return typed(values.untyped_storage(), values.dtype)


@saved(
    STORAGE,
    each={
        key: (getattr(torch, key),)
        for key in ("qint8", "quint8", "qint32", "quint4x2", "quint2x4")
    },
)
def quantized_storage(dtype: torch.dtype) -> object:
    """A storage of {dtype} by itself: integers without a scale."""
    data = torch.arange(8, dtype=torch.uint8)
    return typed(data.untyped_storage(), dtype)


@saved(STORAGE)
def untyped_storage() -> object:
    """A storage without a dtype by itself: it comes back as one of uint8."""
    return torch.arange(6, dtype=torch.uint8).untyped_storage()


@saved(
    STORAGE,
    formats=(LEGACY,),
    directory="storages",
    verdict="either",
    reason="torch 2.13 saves it and cannot load it: UntypedStorage has no dtype there.",
    links=("https://github.com/pytorch/pytorch/issues/169763",),
)
def untyped_storage_of_stream() -> object:
    """A storage without a dtype, in a legacy stream."""
    return torch.arange(6, dtype=torch.uint8).untyped_storage()


@saved(STORAGE, formats=(ZIP, LEGACY, PROTOCOL_4), flags=("empty",))
def empty_storage() -> object:
    """A storage of no elements."""
    return of_floats()


@saved(STORAGE, flags=("empty",))
def empty_untyped_storage() -> object:
    """A storage of no bytes and without a dtype."""
    return torch.empty(0).untyped_storage()


@saved(STORAGE, formats=BOTH)
def storages_in_dict() -> object:
    """A dict of storages of two dtypes."""
    ints = torch.tensor([1, 2]).untyped_storage()
    return {"floats": of_floats(1.0, 2.0, 3.0), "ints": typed(ints, torch.int64)}


# ---------------------------------------------------------------------- shared


@saved(STORAGE, formats=BOTH, flags=("shared-storage",))
def storage_then_tensor() -> object:
    """A storage by itself, and a tensor on it."""
    weight = torch.arange(3.0)
    storage = typed(weight.untyped_storage(), torch.float32)
    return {"storage": storage, "tensor": weight}


@saved(STORAGE, formats=BOTH, flags=("shared-storage", "offset"))
def tensor_then_storage() -> object:
    """A view of a storage, and then the storage by itself."""
    weight = torch.arange(4.0)
    storage = typed(weight.untyped_storage(), torch.float32)
    return {"tensor": weight[1:3], "storage": storage}


@saved(STORAGE, flags=("shared-storage",))
def untyped_storage_of_uint16() -> object:
    """A tensor of uint16 and the storage that it is on."""
    weight = of_patterns("uint16", (1, 2, 3))
    return [weight, weight.untyped_storage()]


@saved(STORAGE, flags=("shared-storage",))
def untyped_storage_of_uint8() -> object:
    """A storage without a dtype, and a tensor of uint8 that names it as bytes."""
    weight = torch.arange(4, dtype=torch.uint8)
    return [weight.untyped_storage(), weight]


@saved(STORAGE, formats=BOTH, flags=("alias",))
def same_storage_twice() -> object:
    """Two keys lead to one storage."""
    storage = of_floats(1.0, 2.0)
    return {"a": storage, "b": storage}


@saved(STORAGE, flags=("shared-storage",))
def two_objects_of_one_storage() -> object:
    """Two typed storages on the same bytes."""
    untyped = torch.arange(2.0).untyped_storage()
    return [typed(untyped, torch.float32), typed(untyped, torch.float32)]


@saved(STORAGE, flags=("empty",))
def two_empty_storages() -> object:
    """One storage of no elements in two places, and another one."""
    empty = of_floats()
    return [empty, empty, of_floats()]


@saved(STORAGE)
def slice_of_storage() -> object:
    """A storage and a slice of it, which is saved as a storage of its own."""
    storage = torch.arange(6, dtype=torch.uint8).untyped_storage()
    return {"whole": storage, "slice": storage[2:4]}


@saved(STORAGE, formats=BOTH)
def storage_with_odd_size() -> object:
    """Storages of 1, 2, 3, 5 and 7 bytes, each followed by another."""
    return [torch.ones(n, dtype=torch.int8) for n in (1, 2, 3, 5, 7)]


# --------------------------------------------------------------------- classes

#: Every storage class that torch 2.13 has.
_CLASSES = (
    "FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage", "LongStorage",
    "IntStorage", "ShortStorage", "CharStorage", "ByteStorage", "BoolStorage",
    "ComplexDoubleStorage", "ComplexFloatStorage", "QInt8Storage", "QUInt8Storage",
    "QInt32Storage", "QUInt4x2Storage", "QUInt2x4Storage",
)  # fmt: skip


@saved("global:torch.FloatStorage", formats=(ZIP, LEGACY, PROTOCOL_4))
def storage_classes() -> object:
    """The storage classes themselves, as values."""
    return [getattr(torch, kind) for kind in _CLASSES]


@saved("global:torch.storage.UntypedStorage")
def storage_classes_without_dtype() -> object:
    """The classes UntypedStorage and TypedStorage, as values."""
    return [torch.UntypedStorage, TypedStorage]


@written("global:torch.cuda.FloatStorage", label="built")
def storage_classes_of_cuda() -> bytes:
    """The storage classes of CUDA, as values: their dtype is all that matters."""
    kinds = ("FloatStorage", "HalfStorage", "LongStorage", "BFloat16Storage")
    return archive([name(f"torch.cuda.{kind}") for kind in kinds])


# -------------------------------------------------------------- persistent ids


def identified(
    key: Any, *, kind: str = "torch.FloatStorage", tag: Any = "storage",
    location: Any = "cpu",
) -> Piece:  # fmt: skip
    """A storage of two elements whose persistent id is of these parts."""
    pid = (tag, name(kind), key, location, 2)
    return Piece(value(pid) + pickle.BINPERSID)


def octets(text: str) -> Piece:
    """Bytes, as protocol 2 spells them."""
    return call("_codecs.encode", text, "latin1")


@written(
    STORAGE,
    label="built",
    each={
        "letters": ("weights",),
        "slash": ("layer/0",),
        "space": ("a b",),
        "dot": ("0.bin",),
        "zeros": ("000",),
        "address": ("140234866210624",),
        "umlaut": ("größe",),
        "long": ("k" * 100,),
    },
)
def key(text: str) -> bytes:
    """A storage whose key is no number counted from 0: {key}."""
    return archive(tensor(identified(text), (2,)), {text: floats(1.0, 2.0)})


@written(STORAGE, label="built")
def key_of_int() -> bytes:
    """A storage whose key is the number 0, as torch.package writes it."""
    return archive(tensor(identified(0), (2,)), {"0": floats(1.0, 2.0)})


@written(STORAGE, label="built")
def keys_of_int_and_text() -> bytes:
    """The keys 0 and "0": two storages that one record fills."""
    root = [tensor(identified(key), (2,)) for key in (0, "0")]
    return archive(root, {"0": floats(1.0, 2.0)})


@written(STORAGE, label="built", flags=("python-2",))
def tag_of_bytes() -> bytes:
    """A persistent id that begins with the bytes b'storage', as of Python 2."""
    root = tensor(identified("0", tag=octets("storage")), (2,))
    return archive(root, {"0": floats(1.0, 2.0)})


@written(STORAGE, label="built", flags=("python-2",))
def location_of_bytes() -> bytes:
    """A storage whose location is the bytes b'cpu', as of Python 2."""
    root = tensor(identified("0", location=octets("cpu")), (2,))
    return archive(root, {"0": floats(1.0, 2.0)})


@written(STORAGE, label="built")
def class_of_tensors() -> bytes:
    """A storage whose class is `torch.FloatTensor`, which knows the same dtype."""
    root = tensor(identified("0", kind="torch.FloatTensor"), (2,))
    return archive(root, {"0": floats(1.0, 2.0)})


@written(STORAGE, label="built")
def class_of_cuda() -> bytes:
    """A storage of the class `torch.cuda.HalfStorage` whose location is the CPU."""
    root = tensor(identified("0", kind="torch.cuda.HalfStorage"), (2,))
    return archive(root, {"0": bytes.fromhex("003c0040")})


@written(STORAGE, label="built", flags=("weights-only-refuses",))
def class_by_public_name() -> bytes:
    """A storage of `torch.UntypedStorage`, the name that torch does not write."""
    return archive(identified("0", kind="torch.UntypedStorage"), {"0": b"\1\2"})


@written(STORAGE, label="built")
def untyped_under_float32() -> bytes:
    """A float32 tensor by `_rebuild_tensor_v3`, which may have any dtype."""
    root = untyped_tensor(storage("UntypedStorage", 8), (2,), "float32")
    return archive(root, {"0": floats(1.0, 2.0)})


@written(
    STORAGE,
    label="built",
    verdict="either",
    reason="torch 2.13 believes the first reference; 2.15 makes a storage of each.",
    flags=("shared-storage", "size-lies"),
)
def one_key_of_two_sizes() -> bytes:
    """A storage that is named with three elements first, and then with two."""
    root = [
        tensor(storage("FloatStorage", 3), (3,)),
        tensor(storage("FloatStorage", 2), (2,)),
    ]
    return archive(root, {"0": floats(1.0, 2.0, 3.0)})


@written(STORAGE, label="built", flags=("silent-failure",))
def record_that_nothing_uses() -> bytes:
    """An archive with the record of a storage that the pickle does not name."""
    root = tensor(storage("FloatStorage", 1, "1"), (1,))
    return archive(root, {"0": floats(7.0), "1": floats(1.0)})


# ---------------------------------------------------------------- legacy streams


def stored(key: Any, numel: int, *view: Any, kind: str = "FloatStorage") -> Piece:
    """A storage of a legacy stream; `view` is its own key, an offset and a size."""
    return storage(kind, numel, key, "cpu", view or None)


def old(storage: Piece, numel: int, offset: int = 0) -> Piece:
    """A vector by `_rebuild_tensor`, as it went with storage views."""
    return call("torch._utils._rebuild_tensor", storage, offset, (numel,), (1,))


FOUR = (4, floats(1.0, 2.0, 3.0, 4.0))


@written(
    VIEW,
    label="built",
    flags=("shared-storage", "user-report"),
    links=("https://github.com/tracel-ai/burn/pull/5593",),
)
def view() -> bytes:
    """A storage and a view of its middle, as torch before 0.4 wrote slices."""
    root = [old(stored("10", 4), 4), old(stored("10", 4, "11", 1, 2), 2)]
    return legacy(root, {"10": FOUR})


@written(VIEW, label="built", flags=("shared-storage",))
def view_before_root() -> bytes:
    """A view of a storage that is itself named only afterwards."""
    root = [old(stored("10", 4, "11", 2, 2), 2), old(stored("10", 4), 4)]
    return legacy(root, {"10": FOUR})


@written(VIEW, label="built")
def view_alone() -> bytes:
    """A view of a storage that nothing else names."""
    return legacy(old(stored("10", 4, "11", 3, 1), 1), {"10": FOUR})


@written(VIEW, label="built", flags=("alias", "shared-storage", "offset"))
def view_twice() -> bytes:
    """One view in two places, and another one that overlaps it."""
    first = stored("10", 4, "11", 0, 3)
    root = [old(first, 3), old(first, 2, 1), old(stored("10", 4, "12", 1, 3), 3)]
    return legacy(root, {"10": FOUR})


@written(VIEW, label="built", flags=("offset",))
def view_with_offset() -> bytes:
    """A tensor that begins inside a view, which begins inside its storage."""
    return legacy(old(stored("10", 4, "11", 1, 3), 2, 1), {"10": FOUR})


@written(VIEW, label="built")
def view_as_value() -> bytes:
    """A view of a storage by itself, beside the storage."""
    root = [stored("10", 4), stored("10", 4, "11", 1, 2)]
    return legacy(root, {"10": FOUR})


@written(VIEW, label="built")
def view_of_longs() -> bytes:
    """A view of int64, whose offset and size count elements of eight bytes."""
    root = old(stored("10", 3, "11", 1, 2, kind="LongStorage"), 2)
    return legacy(root, {"10": (3, longs(1, 2, 3))})


@written(VIEW, label="built", flags=("empty",))
def view_of_nothing() -> bytes:
    """A view of no elements."""
    root = [old(stored("10", 4), 4), old(stored("10", 4, "11", 4, 0), 0)]
    return legacy(root, {"10": FOUR})


@written(STORAGE, label="built")
def keys_of_ints() -> bytes:
    """A legacy stream whose keys are ints."""
    root = [old(stored(5, 2), 2), old(stored(7, 1), 1)]
    keys: dict[Any, tuple[int, bytes]] = {5: (2, floats(1, 2)), 7: (1, floats(3))}
    return legacy(root, keys)


@written(STORAGE, label="built", flags=("silent-failure",))
def bytes_in_another_order() -> bytes:
    """A legacy stream that has the bytes in another order than the tree."""
    root = [old(stored("a", 2), 2), old(stored("b", 1), 1), old(stored("c", 3), 3)]
    return legacy(
        root, {"c": (3, floats(4, 5, 6)), "a": (2, floats(1, 2)), "b": (1, floats(3))}
    )


# ------------------------------------------------ a checkpoint in a checkpoint


def octets_of(data: bytes) -> Piece:
    """Bytes, as protocol 3 spells them."""
    return Piece(pickle.BINBYTES + struct.pack("<I", len(data)) + data)


@written(
    "torch.storage._load_from_bytes",
    label="built",
    each={
        "stream": (legacy(stored("0", 2), {"0": (2, floats(1.0, 2.0))}),),
        "archive": (archive(storage("FloatStorage", 2), {"0": floats(1.0, 2.0)}),),
    },
    flags=("weights-only-refuses",),
)
def storage_in(data: bytes) -> bytes:
    """A tensor as `pickle.dumps` writes it: its storage is a whole {key}."""
    inner = call("torch.storage._load_from_bytes", octets_of(data))
    return archive(tensor(inner, (2,)))

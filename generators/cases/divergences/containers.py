"""Containers: zip archives, legacy streams, and what is neither to torch."""

from __future__ import annotations

import pickle
import struct

from ...handmade import (
    Piece,
    Record,
    archive,
    call,
    deflate,
    dump,
    floats,
    layout,
    legacy,
    name,
    storage,
    tensor,
    value,
)
from ..files.tarring import Shown, members, number, tar
from ..wrong.tar_headers import header
from .registry import case

DATA = floats(1.0, 2.0, 3.0, 4.0)


def four(key: str = "0", numel: int = 4, location: str = "cpu") -> Piece:
    return tensor(storage("FloatStorage", numel, key, location), (numel,))


def pickled_tensor() -> Piece:
    """A tensor as `pickle.dump` writes it: its storage is a legacy stream."""
    one = storage("FloatStorage", 1, "0", "cpu", None)
    inner = legacy(one, {"0": (1, floats(1.0))})
    data = Piece(pickle.BINBYTES + struct.pack("<I", len(inner)) + inner)
    return tensor(call("torch.storage._load_from_bytes", data), (1,))


@case("container:pickle", suffix=".pkl")
def plain_pickle() -> bytes:
    """A plain pickle of a dict, which `pickle.dump` wrote."""
    return pickle.dumps({"epoch": 3}, 2)


@case("torch.storage._load_from_bytes", suffix=".pkl")
def plain_pickle_of_tensor() -> bytes:
    """A plain pickle of a tensor: `_load_from_bytes` of a legacy stream."""
    return dump({"weight": pickled_tensor()}, 3)


@case("torch.storage._load_from_bytes", suffix=".pkl")
def plain_pickle_of_bare_tensor() -> bytes:
    """A plain pickle of a tensor alone."""
    return dump(pickled_tensor(), 3)


@case("container:distcp", suffix=".distcp")
def two_archives() -> bytes:
    """Two archives in a row, as `torch.distributed.checkpoint` writes them."""
    return archive({"epoch": 3}) + archive(four(), {"0": DATA})


@case("container:zip")
def storages_of_1_4() -> bytes:
    """An archive of torch 1.4, which keeps its storages under `tensors/`."""
    return archive(four("94071"), records={"tensors/94071": DATA})


@case("container:zip", suffix=".safetensors")
def named_safetensors() -> bytes:
    """A zip archive whose file name ends with `.safetensors`."""
    return archive(four(), {"0": DATA})


@case("container:zip")
def deflated() -> bytes:
    """An archive whose storage is DEFLATEd, as a repacked one has it."""
    return archive(four(), {"0": Record(DATA, deflate((DATA, 1)))})


@case("container:zip")
def deflated_zeros() -> bytes:
    """An archive whose only storage is DEFLATEd, and much smaller for it."""
    data = bytes(16_384)
    packed = deflate((b"\0", len(data)))
    return archive(four("0", len(data) // 4), {"0": Record(data, packed)})


@case("container:zip", undisclosed=True)
def deflated_broken() -> bytes:
    """An archive with a DEFLATEd storage whose stream breaks off."""
    data = DATA * 64
    return archive(four("0", 256), {"0": Record(data, deflate((data, 1))[:100])})


@case("container:zip")
def record_longer() -> bytes:
    """A storage of 4 elements whose record has the bytes of 5."""
    return archive(four(), {"0": DATA + DATA[:4]})


@case("container:zip")
def record_shorter() -> bytes:
    """A storage of 4 elements whose record has the bytes of 3."""
    return archive(four(), {"0": DATA[:12]})


@case("container:zip")
def record_odd() -> bytes:
    """A storage of 18 bytes under a tensor of float32, as torch itself saves it."""
    return archive(four(), {"0": DATA + b"ab"})


@case("container:zip", undisclosed=True)
def record_is_folder() -> bytes:
    """A storage whose record has the attribute of a directory."""
    return archive(four(), {"0": Record(DATA, folder=True)})


@case("container:legacy", undisclosed=True)
def legacy_storage_missing() -> bytes:
    """A legacy stream whose list of keys does not name a storage that it uses."""
    return legacy(tensor(storage("FloatStorage", 4, "0", "cpu", None), (4,)))


@case("container:legacy")
def legacy_storage_grows() -> bytes:
    """A legacy stream with a tensor of 4 elements in a storage of 2."""
    root = tensor(storage("FloatStorage", 2, "0", "cpu", None), (4,))
    return legacy(root, {"0": (4, DATA)})


@case("container:legacy")
def legacy_storage_of_a_size() -> bytes:
    """A legacy stream in which the size of a storage is a `torch.Size`."""
    size = call("torch.Size", (2, 2))
    kind = name("torch.FloatStorage")
    one = Piece(value(("storage", kind, "0", "cpu", size, None)) + pickle.BINPERSID)
    return legacy(tensor(one, (2,)), {"0": (2, floats(1.0, 2.0))})


@case("container:legacy", undisclosed=True)
def legacy_indices_converted() -> bytes:
    """A sparse tensor whose indices are floats, in a legacy stream."""
    indices = tensor(storage("FloatStorage", 2, "0", "cpu", None), (2, 1))
    values = tensor(storage("FloatStorage", 1, "1", "cpu", None), (1,))
    parts = (indices, values, call("torch.Size", (4, 3)))
    root = call(
        "torch._utils._rebuild_sparse_tensor", layout("sparse_coo"), value(parts)
    )
    return legacy(root, {"0": (2, floats(1.0, 2.0)), "1": (1, floats(5.0))})


@case("container:tar", undisclosed=True)
def tar_storage_grows() -> bytes:
    """A tar with a tensor of 6 elements in a storage of 4."""
    return tar(members(number(2), {1: ("FloatStorage", 4, DATA)}, {2: Shown(1, (6,))}))


@case("container:zip")
def big_endian_twice() -> bytes:
    """A big-endian archive with two storages whose records share their bytes."""
    root = [four("0"), four("1")]
    data = struct.pack(">4f", 1.0, 2.0, 3.0, 4.0)
    return archive(root, {"0": data, "1": Record(data, like="data/0")}, byteorder="big")


@case("container:legacy")
def legacy_count_wraps() -> bytes:
    """A legacy stream with an empty storage whose bytes say 2^62 elements."""
    root = tensor(storage("FloatStorage", 0, "0", "cpu", None), (0,))
    return legacy(root, {"0": (1 << 62, b"")})


@case("container:legacy")
def legacy_with_record() -> bytes:
    """A legacy stream in which the first bytes of a zip archive stand at byte 512."""
    text = "x" * 512
    at = legacy(text).index(b"x")
    return legacy("x" * (512 - at) + "PK\3\4")


@case("persistent-id:module")
def module_of_storage_class() -> bytes:
    """A legacy stream with `('module', torch.FloatStorage, 'a.py', 'class ...')`."""
    pid = ("module", name("torch.FloatStorage"), "a.py", "class A: pass")
    return legacy(Piece(value(pid) + pickle.BINPERSID))


@case("torch.FloatTensor")
def storage_class_of_tensor() -> bytes:
    """A storage whose class is a tensor, which has a dtype too."""
    pid = ("storage", call("torch.FloatTensor"), "0", "cpu", 4)
    return archive(tensor(Piece(value(pid) + pickle.BINPERSID), (4,)), {"0": DATA})


@case("container:tar", undisclosed=True)
def tar_pipe() -> bytes:
    """A tar in which `storages` is a named pipe."""
    good = tar(members(value(None), {}, {}))
    # In front of the two empty blocks: the last member of a name is the one.
    return good[:-1024] + header(b"storages", 0, b"6") + good[-1024:]

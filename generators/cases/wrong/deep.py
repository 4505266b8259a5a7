"""Values that are deep, or that share their parts, wherever a file may put them.

Both are small in a file and cheap to build. They cost whoever hashes them (a
key), or shows them (in an error). Keys of dicts are among the cases of the ledger
(`divergences/hostile.py`), what nobody hashes or shows among the bombs.
"""

from __future__ import annotations

import pickle
from typing import Any, Final

from ...handmade import (
    Piece,
    Record,
    archive,
    call,
    deflate,
    floats,
    name,
    storage,
    value,
)
from ..registry import LEDGER, written

PLAIN: Final[dict[str, Any]] = {"label": "built", "directory": "bombs"}
COSTS: Final[dict[str, Any]] = {**PLAIN, "verdict": "either", "reason": LEDGER}

#: CPython's hash of tuples needs this many levels to run out of a stack of 8 MB.
LEVELS: Final = 400_000
#: Enough for a loop that is exponential to be seen, and to come to an end.
PAIRS: Final = 20

#: Stands for the value in a program.
HOLE: Final = Piece(b"?")


def deep(program: bytes, levels: int) -> bytes:
    """An archive in which tuples of one, so many in each other, fill the hole."""
    before, behind = program.split(HOLE)
    runs = ((b"\x80\2" + before + b")", 1), (b"\x85", levels), (behind + b".", 1))
    size = sum(len(text) * count for text, count in runs)
    return archive(Record(bytes(size), deflate(*runs)), {"0": floats(1.0)})


def doubled(program: bytes) -> bytes:
    """An archive in which pairs, each of the one before, twice, fill the hole."""
    pairs = pickle.EMPTY_TUPLE
    for index in range(PAIRS):
        slot = bytes([index])
        pairs += pickle.BINPUT + slot + pickle.BINGET + slot + pickle.TUPLE2
    before, behind = program.split(HOLE)
    return archive(Piece(before + pairs + behind), {"0": floats(1.0)})


# -------------------------------------------------------------------- what is hashed

SET: Final = call("builtins.set", [HOLE])
COUNTER: Final = Piece(name("collections.Counter") + b"}" + HOLE + b"K\1s\x85R")
KEY: Final = storage("FloatStorage", 1, HOLE)

HASHED: Final = {
    "member": (SET, "a member of a set"),
    "counted": (COUNTER, "counted by a Counter"),
    "key_of_storage": (KEY, "the key of a storage"),
}


@written("opcode:TUPLE1", each=HASHED, flags=("bomb", "deep"), **COSTS)
def deep_hashed(program: bytes, what: str) -> bytes:
    """400,000 tuples in each other, {what}."""
    return deep(program, LEVELS)


SHARED: Final = {
    "member": HASHED["member"],
    "counted": HASHED["counted"],
    "frozen": (b"(" + HOLE + b"\x91", "a member of a frozenset"),
    "ordered": (
        call("collections.OrderedDict", [(HOLE, 1)]), "a key of an OrderedDict",
    ),
}  # fmt: skip


@written("opcode:TUPLE2", each=SHARED, flags=("bomb", "doubling"), **COSTS)
def doubled_hashed(program: bytes, what: str) -> bytes:
    """20 pairs, each of the one before, twice, {what}."""
    return doubled(program)


# --------------------------------------------------------------------- what is shown

VIEW: Final[dict[str, Any]] = {
    "storage": storage("FloatStorage", 1),
    "offset": 0,
    "size": (1,),
    "stride": (1,),
    "requires_grad": False,
    "hooks": {},
}


def view(**changes: Any) -> Piece:
    """A tensor of one element, with something else among its arguments."""
    return call("torch._utils._rebuild_tensor_v2", *{**VIEW, **changes}.values())


def kept(kind: Any, location: Any, numel: Any) -> Piece:
    """A storage, by whatever parts of its persistent id."""
    pid = ("storage", kind, "0", location, numel)
    return Piece(value(pid) + pickle.BINPERSID)


FLOATS: Final = name("torch.FloatStorage")

REBUILT: Final = {
    "size": (view(size=HOLE), "the size of a tensor"),
    "metadata": (view(metadata=HOLE), "the metadata of a tensor"),
    "device": (call("torch.device", HOLE), "the name of a device"),
}  # fmt: skip

PICKLED: Final = {
    "numel": (kept(FLOATS, "cpu", HOLE), "the size of a storage"),
    "callee": (Piece(HOLE + b")R"), "what REDUCE calls"),
    "name": (Piece(value("os") + HOLE + b"\x93"), "the name of a global"),
}

INVALID: Final[dict[str, Any]] = {**PLAIN, "verdict": "invalid"}
DEEP: Final[dict[str, Any]] = {**INVALID, "flags": ("bomb", "deep")}
DOUBLED: Final[dict[str, Any]] = {**INVALID, "flags": ("bomb", "doubling")}


@written("opcode:TUPLE1", each=REBUILT, phase="rebuild", **DEEP)
@written("opcode:TUPLE1", each=PICKLED, phase="pickle", **DEEP)
def deep_for(program: bytes, what: str) -> bytes:
    """20,000 tuples in each other for {what}."""
    return deep(program, 20_000)


@written(
    "opcode:TUPLE2",
    each={"size": REBUILT["size"]},
    phase="rebuild",
    **DOUBLED,
)
@written(
    "opcode:TUPLE2",
    each={"numel": PICKLED["numel"], "key": HASHED["key_of_storage"]},
    phase="pickle",
    **DOUBLED,
)
def doubled_for(program: bytes, what: str) -> bytes:
    """20 pairs, each of the one before, twice, for {what}."""
    return doubled(program)

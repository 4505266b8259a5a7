"""Files of vulnerabilities and defects that are public, where no other family has them.

The links lead to the entry, or to the thread.
"""

from __future__ import annotations

from typing import Any, Final

from ...containers import pack
from ...handmade import (
    Piece,
    archive,
    build,
    call,
    dump,
    floats,
    layout,
    longs,
    name,
    new,
    storage,
    tensor,
)
from ..readers.threads import issues, pulls, vulnerabilities
from ..registry import LEDGER, written
from .streams import HOOKS

TORCH: Final = "pytorch/pytorch"

# ----------------------------------------- an item, a bit or a state for what has none

WRITTEN: Final = vulnerabilities("CVE-2026-24747")
MACHINE: Final[dict[str, Any]] = {
    "label": "built",
    "directory": "machine",
    "links": WRITTEN,
    "flags": ("cve", "wrong-target"),
}
INVALID: Final[dict[str, Any]] = {**MACHINE, "verdict": "invalid", "phase": "pickle"}
EITHER: Final[dict[str, Any]] = {**MACHINE, "verdict": "either", "reason": LEDGER}

STORAGE: Final = storage("FloatStorage", 2)
TENSOR: Final = tensor(STORAGE, (2,))
PARAMETER: Final = call("torch._utils._rebuild_parameter", TENSOR, True, HOOKS)
ITEMS: Final = b"(K\0G\x40\x08" + bytes(6) + b"K\1K\0u"

SET: Final = {
    "tensor": ("SETITEMS", TENSOR + ITEMS, "two elements of a tensor"),
    "storage": ("SETITEMS", STORAGE + ITEMS, "two elements of a storage"),
    "set": ("ADDITEMS", TENSOR + b"(K\1\x90", "what is added to a tensor"),
}
REFUSED: Final = {
    "parameter": ("SETITEMS", PARAMETER + ITEMS, "elements of a Parameter"),
    "appended": ("APPEND", TENSOR + b"K\1a", "what is appended to a tensor"),
}


@written("opcode:{opcode}", each=SET, **EITHER)
@written("opcode:{opcode}", each=REFUSED, **INVALID)
def sets(opcode: str, program: bytes, what: str) -> bytes:
    """{opcode} that sets {what}."""
    return archive([Piece(program)], {"0": floats(1.0, 2.0)})


STATES: Final = {
    "dtype": (name("torch.float32"), {}, "a dtype"),
    "size": (call("torch.Size", (2,)), {"a": 1}, "a Size"),
}
TARGET: Final[dict[str, Any]] = {"label": "built", "flags": ("wrong-target",)}


@written(
    "opcode:BUILD",
    each=STATES,
    directory="machine",
    verdict="invalid",
    phase="pickle",
    **TARGET,
)
@written(
    "opcode:BUILD",
    each={"storage": (STORAGE, {"a": 1}, "a storage")},
    directory="machine",
    verdict="either",
    reason=LEDGER,
    **TARGET,
)
@written(
    "opcode:BUILD",
    each={"tensor": (TENSOR, {"a": 1}, "a tensor")},
    directory="machine",
    verdict="invalid",
    phase="rebuild",
    **TARGET,
)
def state_for(target: Piece, state: Any, what: str) -> bytes:
    """BUILD gives attributes to {what}."""
    return archive([build(target, state)], {"0": floats(1.0, 2.0)})


V2: Final = "torch._utils._rebuild_tensor_v2"


def with_bit(kind: str, size: int, bit: str) -> bytes:
    """A tensor of two elements with this bit set."""
    part = storage(f"{kind}Storage", 2)
    root = call(V2, part, 0, (2,), (1,), False, HOOKS, {bit: True})
    return archive(root, {"0": bytes(range(2 * size))})


KINDS: Final = {"int64": ("Long", 8), "bool": ("Bool", 1), "bfloat16": ("BFloat16", 2)}


@written(V2, each=KINDS, verdict="invalid", phase="rebuild", **TARGET)
def conj_of(kind: str, size: int) -> bytes:
    """A conj bit on a tensor of {key}, which is not complex."""
    return with_bit(kind, size, "conj")


@written(V2, each={"bool": ("Bool", 1)}, **TARGET)
def neg_of(kind: str, size: int) -> bytes:
    """A neg bit on a tensor of {key}, whose elements have no sign."""
    return with_bit(kind, size, "neg")


@written(V2, verdict="either", reason=LEDGER, undisclosed=True, **TARGET)
def neg_of_quantized() -> bytes:
    """A neg bit on a quantized tensor without a scale."""
    return with_bit("QInt8", 1, "neg")


# -------------------------------------------------------------- state of the process


@written(
    "torch._utils._rebuild_sparse_tensor",
    label="built",
    directory="machine",
    verdict="invalid",
    phase="pickle",
    links=issues(TORCH, 194750),
    flags=("sparse-indices",),
)
def refused_after_sparse() -> bytes:
    """A sparse tensor with an index outside, and then a byte that is no opcode: what
    one load leaves behind must not meet the next."""
    parts = (
        tensor(storage("LongStorage", 1, "0"), (1, 1)),
        tensor(storage("FloatStorage", 1, "1"), (1,)),
        (2,),
        False,
    )
    root = call("torch._utils._rebuild_sparse_tensor", layout("sparse_coo"), parts)
    return archive(Piece(root + b"\xff"), {"0": longs(1000), "1": floats(1.0)})


# --------------------------------------------------------------------- TorchScript

CODE: Final = b"class Module(Module):\n  training : bool\n  weight : Tensor\n"
SCRIPT: Final[dict[str, Any]] = {
    "label": "built",
    "directory": "archives",
    "verdict": "invalid",
}


def script(weight: Any, constants: Any = ()) -> bytes:
    """A TorchScript archive of a module with one tensor."""
    state = {"training": True, "weight": weight}
    records = {
        "data.pkl": dump(build(new("__torch__.Module"), state)),
        "byteorder": b"little",
        "data/0": floats(1.0, 2.0),
        "version": b"3\n",
        "code/__torch__.py": CODE,
        "constants.pkl": dump(constants),
    }
    return pack(records)


@written(
    "container:torchscript",
    phase="pickle",
    links=pulls(TORCH, 181310),
    flags=("size-lies", "overflow"),
    **SCRIPT,
)
def script_numel_wraps() -> bytes:
    """A TorchScript archive with a storage of 2^62 + 1 elements: 4 bytes, if they
    are counted in 64 bits."""
    return script(tensor(storage("FloatStorage", (1 << 62) + 1), (2,)))


FROM_TYPE: Final = "torch._tensor._rebuild_from_type_v2"


@written(
    "container:torchscript",
    each={
        "of_one": ((name(V2),), "a function alone"),
        "of_nothing": ((name(V2), name("torch.Tensor"), (), {}), "no arguments for it"),
    },
    phase="rebuild",
    links=pulls(TORCH, 169570),
    flags=("stack",),
    **SCRIPT,
)
def script_constant(args: Any, what: str) -> bytes:
    """A TorchScript archive with a constant by _rebuild_from_type_v2 of {what}."""
    return script(TENSOR, (call(FROM_TYPE, *args),))

"""Tensors that nothing in the file fills.

A reader that makes one shows whatever lay in its memory. What torch shows here is
in no folder of the corpus; what every reader refuses is.
"""

from __future__ import annotations

from typing import Any, Final

from ...handmade import (
    Piece,
    archive,
    build,
    call,
    floats,
    legacy,
    name,
    new,
    storage,
    tensor,
)
from ..readers.threads import pulls
from ..registry import LEDGER, written
from .streams import HOOKS

FLAGS: Final = ("unfilled",)
SHOWN: Final[dict[str, Any]] = {
    "label": "built",
    "directory": "bounds",
    "verdict": "either",
    "reason": LEDGER,
    "undisclosed": True,
    "flags": FLAGS,
}
REFUSED: Final[dict[str, Any]] = {
    "label": "built",
    "directory": "bounds",
    "verdict": "invalid",
    "phase": "rebuild",
    "flags": FLAGS,
}

UNTYPED: Final = "torch.storage.UntypedStorage"
PARAMETER: Final = "torch.nn.parameter.Parameter"
V3: Final = "torch._utils._rebuild_tensor_v3"

NEW: Final = {
    "tensor": ("torch.Tensor", new("torch.Tensor", 2, 3), "NEWOBJ of a size"),
    "typed_tensor": (
        "torch.HalfTensor", new("torch.HalfTensor", 3), "NEWOBJ of a length",
    ),
    "storage": (UNTYPED, new(UNTYPED, 16), "NEWOBJ of a length"),
    "parameter": (PARAMETER, new(PARAMETER, call("torch.Tensor", 3)), "a new tensor"),
    "storage_that_grows": (
        UNTYPED,
        build(call("torch.FloatTensor"), (call(UNTYPED, 4), 0, (4,), (1,))),
        "a state that makes it grow",
    ),
}  # fmt: skip


@written("{path}", each=NEW, **SHOWN)
def new_of(path: str, root: Piece, what: str) -> bytes:
    """{path} by {what}: it has elements that nothing fills."""
    return archive(root)


@written("numpy.ndarray", **SHOWN)
def new_of_array() -> bytes:
    """`numpy.ndarray` by NEWOBJ: elements that nothing fills."""
    return archive(new("numpy.ndarray", (4,)))


PLACEMENTS: Final = "torch.distributed.tensor.placement_types"


@written(
    "{path}",
    each={
        "shard": (f"{PLACEMENTS}.Shard",),
        "strided_shard": (f"{PLACEMENTS}._StridedShard",),
    },
    links=pulls("pytorch/pytorch", 194647),
    **SHOWN,
)
def new_without_state(path: str) -> bytes:
    """{path} by NEWOBJ, and no BUILD after it."""
    return archive(new(path))


TYPED: Final = "torch.storage.TypedStorage"
NOTHING: Final = {
    "typed_storage": (TYPED, new(TYPED), "by NEWOBJ"),
    "typed_storage_of_size": (TYPED, new(TYPED, 4), "by NEWOBJ with a size"),
    "under_tensor": (
        UNTYPED, tensor(call(UNTYPED, 16), (4,)), "under a tensor",
    ),
    "under_untyped_tensor": (
        UNTYPED,
        call(V3, call(UNTYPED, 16), 0, (4,), (1,), False, HOOKS, name("torch.float32")),
        "of a storage made on the spot",
    ),
    "device": ("torch.device", new("torch.device"), "by NEWOBJ, of no name"),
}  # fmt: skip


@written("{path}", each=NOTHING, **REFUSED)
def nothing_fills(path: str, root: Piece, what: str) -> bytes:
    """{path} {what}, and nothing that fills it."""
    return archive([root])


@written("container:legacy", label="built", directory="machine", verdict="either",
         reason=LEDGER, flags=("size-lies", "bomb", *FLAGS))  # fmt: skip
def legacy_storage_huge() -> bytes:
    """A legacy stream whose only storage has 2^36 elements, and bytes of two."""
    root = storage("FloatStorage", 1 << 36, "0", "cpu", None)
    return legacy(root, {"0": (2, floats(1.0, 2.0))})

"""Integers of fewer than eight bits, which torch reads and never writes."""

from __future__ import annotations

from typing import Final

from ...handmade import archive, storage, untyped_tensor
from ..registry import written

NARROW: Final = {
    f"{sign}int{bits}": (f"{sign}int{bits}",)
    for sign in ("", "u")
    for bits in range(1, 8)
}


@written("torch._utils._rebuild_tensor_v3", label="built", each=NARROW)
def narrow(dtype: str) -> bytes:
    """A tensor of {dtype}, a byte for each element.

    `torch.save` refuses to write it, and `torch.load` reads it.
    """
    elements = bytes([0, 1, 1, 0])
    tensor = untyped_tensor(storage("UntypedStorage", len(elements)), (2, 2), dtype)
    return archive(tensor, {"0": elements})

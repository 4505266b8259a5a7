"""torch's rebuild functions, under torch's own names.

Each takes what the pickle would have given torch and answers with a `Tensor`,
`Storage` or small value, after checking in exact integers that every element
lies inside its storage. What a file may call and torch no longer has is here
too: sparse CSR tensors of 1.11 to 1.13, quantized tensors of 1.2, the tensors
of the days before 1.0. Source: `torch/_utils.py`, `torch/_tensor.py` of 2.13.0
and of the releases named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..errors import Malformed, quote
from ..registry import Call
from ..values import TypedGlobal
from . import devices, nested, quantized, small, sparse, strided, subclasses
from .small import LAYOUTS, new_storage
from .sparse import legacy_sparse
from .strided import legacy_tensor, set_state
from .views import tensor_of

if TYPE_CHECKING:
    from ..unpickler import Unpickler

__all__ = ["CALLS", "LAYOUTS", "set_state", "tensor_of", "typed_call"]

#: Every rebuild function by its full dotted name.
CALLS: Final[dict[str, Call]] = {
    **strided.CALLS,
    **subclasses.CALLS,
    **sparse.CALLS,
    **nested.CALLS,
    **quantized.CALLS,
    **devices.CALLS,
    **small.CALLS,
}


def typed_call(machine: Unpickler, callee: TypedGlobal, args: tuple[Any, ...]) -> Any:
    """REDUCE or NEWOBJ of one of the classes that name a dtype."""
    if callee.role == "tensor":
        return legacy_tensor(callee.info, args)
    if callee.role == "sparse":
        return legacy_sparse(machine, args)
    if callee.role == "untyped":
        return new_storage()
    raise Malformed(
        f"{quote(callee.name)} is called, which only names a dtype", phase="rebuild"
    )

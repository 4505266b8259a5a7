"""Nested tensors, strided and jagged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .. import invariants
from ..dtypes import DTYPES
from ..errors import Malformed
from ..keys import items_of
from ..registry import Table
from ..tensor import Tensor
from .checks import NESTED_TENSOR, as_grad, as_int, as_tensor, wrong
from .views import part_of

if TYPE_CHECKING:
    from ..unpickler import Unpickler

CALLS: Final = Table()


@CALLS.named("torch._utils._rebuild_nested_tensor")
def _rebuild_nested_tensor(
    machine: Unpickler, values: Any, sizes: Any, strides: Any, offsets: Any
) -> Tensor:
    grad = as_tensor(values, "the buffer of a nested tensor").requires_grad
    parts = {
        "values": part_of(values, "the buffer of a nested tensor"),
        "sizes": part_of(sizes, "the sizes of a nested tensor"),
        "strides": part_of(strides, "the strides of a nested tensor"),
        "storage_offsets": part_of(offsets, "the offsets of a nested tensor"),
    }
    count, dims = invariants.nested_shapes(**parts)
    machine.spend(dims)
    machine.defer(lambda: invariants.nested(**parts, limits=machine.limits))
    return Tensor(
        values.dtype,
        # The sizes inside differ from component to component.
        (count, *(-1,) * dims),
        None,
        layout="nested",
        device=values.device,
        requires_grad=grad,
        parts=parts,
    )


#: What the constructor of a jagged tensor takes, and what it does without.
_JAGGED: Final[dict[str, Any]] = {
    "values": None,
    "offsets": None,
    "lengths": None,
    "_ragged_idx": 1,
    "_metadata_cache": None,
    "requires_grad": False,
}


@CALLS.named("torch.nested._internal.nested_tensor._rebuild_njt")
def _rebuild_njt(machine: Unpickler, kwargs: Any) -> Tensor:
    given = dict(items_of(kwargs)) if isinstance(kwargs, dict) else {None: kwargs}
    if not given.keys() <= _JAGGED.keys():
        raise Malformed("a jagged tensor is not made of these", phase="rebuild")
    values, offsets, lengths, ragged, cache, grad = (_JAGGED | given).values()
    if cache is not None and type(cache) is not dict:
        raise wrong("the cache of a jagged tensor must be a dict", cache)
    ragged = as_int(ragged, "the ragged dimension")
    checked = (
        part_of(values, "the values of a jagged tensor", bits=True),
        part_of(offsets, "the offsets of a jagged tensor"),
        None if lengths is None else part_of(lengths, "the lengths of a jagged tensor"),
        ragged,
    )
    invariants.jagged_shapes(*checked)
    machine.defer(lambda: invariants.jagged(*checked, machine.limits))
    shape = list(values.shape)
    shape[ragged - 1] = -1  # as ragged as the offsets say
    return Tensor(
        values.dtype,
        (offsets.shape[0] - 1, *shape),
        None,
        layout="jagged",
        device=values.device,
        requires_grad=as_grad(grad, DTYPES[values.dtype]),
        type=NESTED_TENSOR,
        parts={
            "values": values,
            "offsets": offsets,
            "lengths": lengths,
            "ragged_idx": ragged,
            "metadata_cache": {} if cache is None else cache,
        },
    )


@CALLS.named(NESTED_TENSOR)
def _nested_tensor(machine: Unpickler, *args: Any) -> Tensor:
    """The class itself, which was called until torch 2.4."""
    return jagged_of_2_4(machine, args, None)


def jagged_of_2_4(machine: Unpickler, args: Any, state: Any) -> Tensor:
    """`NestedTensor(values, offsets)`; all else comes with its attributes."""
    if not isinstance(args, (tuple, list)) or len(args) != 2:
        raise Malformed(
            "a jagged tensor is made of values and offsets", phase="rebuild"
        )
    kwargs = dict(zip(("values", "offsets"), args, strict=True))
    attributes = machine.attributes(state) or {}
    for name in ("values", "offsets", "lengths", "_ragged_idx", "_metadata_cache"):
        attribute = f"_{name.removeprefix('_')}"
        if attribute in attributes:
            kwargs[name] = attributes[attribute]
    return _rebuild_njt(machine, kwargs)

"""Nested tensors, strided and jagged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .. import invariants
from ..dtypes import DTYPES
from ..errors import Malformed
from ..registry import Table
from ..tensor import Tensor
from .checks import as_grad, as_tensor

if TYPE_CHECKING:
    from ..unpickler import Unpickler

CALLS: Final = Table()


@CALLS.named("torch._utils._rebuild_nested_tensor")
def _rebuild_nested_tensor(
    machine: Unpickler, values: Any, sizes: Any, strides: Any, offsets: Any
) -> Tensor:
    values = as_tensor(values, "the buffer of a nested tensor")
    parts = {
        "values": values,
        "sizes": as_tensor(sizes, "the sizes of a nested tensor"),
        "strides": as_tensor(strides, "the strides of a nested tensor"),
        "storage_offsets": as_tensor(offsets, "the offsets of a nested tensor"),
    }
    count, dims = invariants.nested_shapes(**parts)
    machine.defer(lambda: invariants.nested(**parts))
    return Tensor(
        values.dtype,
        # The sizes inside differ from component to component.
        (count, *(-1,) * dims),
        None,
        layout="nested",
        device=values.device,
        requires_grad=values.requires_grad,
        parts=parts,
    )


@CALLS.named("torch.nested._internal.nested_tensor._rebuild_njt")
def _rebuild_njt(machine: Unpickler, kwargs: Any) -> Tensor:
    if type(kwargs) is not dict or not {"values", "offsets"} <= kwargs.keys():
        raise Malformed("a jagged tensor needs values and offsets", phase="rebuild")
    values = as_tensor(kwargs["values"], "the values of a jagged tensor")
    offsets = as_tensor(kwargs["offsets"], "the offsets of a jagged tensor")
    lengths = kwargs.get("lengths")
    if lengths is not None:
        lengths = as_tensor(lengths, "the lengths of a jagged tensor")
    ragged = kwargs.get("_ragged_idx", 1)
    invariants.jagged_shapes(values, offsets, lengths, ragged)
    machine.defer(lambda: invariants.jagged(values, offsets, lengths, ragged))
    parts: dict[str, Any] = {"values": values, "offsets": offsets, "lengths": lengths}
    parts["ragged_idx"] = ragged
    parts["metadata_cache"] = kwargs.get("_metadata_cache")
    shape = list(values.shape)
    shape[ragged - 1] = -1  # as ragged as the offsets say
    info = DTYPES[values.dtype]
    return Tensor(
        values.dtype,
        (offsets.shape[0] - 1, *shape),
        None,
        layout="jagged",
        device=values.device,
        requires_grad=as_grad(kwargs.get("requires_grad", False), info),
        type="torch.nested._internal.nested_tensor.NestedTensor",
        parts=parts,
    )

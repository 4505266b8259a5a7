"""Sparse tensors: COO, and the four compressed layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .. import invariants
from ..dtypes import DTypeInfo
from ..errors import Malformed, Unsupported
from ..registry import Table
from ..tensor import Tensor
from ..values import Layout
from .checks import as_flag, as_ints, as_tensor, wrong

if TYPE_CHECKING:
    from ..unpickler import Unpickler

CALLS: Final = Table()


COMPRESSED: Final = {
    "sparse_csr": ("crow_indices", "col_indices"),
    "sparse_csc": ("ccol_indices", "row_indices"),
    "sparse_bsr": ("crow_indices", "col_indices"),
    "sparse_bsc": ("ccol_indices", "row_indices"),
}


@CALLS.named("torch._utils._rebuild_sparse_tensor")
def _rebuild_sparse_tensor(machine: Unpickler, layout: Any, data: Any) -> Tensor:
    if type(layout) is not Layout:
        raise wrong("a layout is expected", layout)
    if type(data) not in (tuple, list):
        raise wrong("a sparse tensor is made of a tuple", data)
    if layout.name == "sparse_coo" and len(data) in (3, 4):
        return _coo(machine, *data)
    if layout.name in COMPRESSED and len(data) == 4:
        return _compressed(machine, layout.name, *data)
    raise Malformed(
        f"a tensor of layout {layout} made of {len(data)} parts", phase="rebuild"
    )


@CALLS.named("torch._utils._rebuild_sparse_csr_tensor")
def _rebuild_sparse_csr_tensor(machine: Unpickler, layout: Any, data: Any) -> Tensor:
    """torch 1.11 to 1.13; no later torch can load it."""
    if type(layout) is not Layout or layout.name not in COMPRESSED:
        raise wrong("a compressed sparse layout is expected", layout)
    return _rebuild_sparse_tensor(machine, layout, data)


def _coo(
    machine: Unpickler, indices: Any, values: Any, size: Any, is_coalesced: Any = None
) -> Tensor:
    indices = as_tensor(indices, "the indices of a sparse tensor")
    values = as_tensor(values, "the values of a sparse tensor")
    shape = as_ints(machine, size, "the size")
    coalesced = is_coalesced is not None and as_flag(is_coalesced, "is_coalesced")
    invariants.coo_shapes(indices, values, shape)
    machine.defer(lambda: invariants.coo(indices, values, shape, coalesced))
    return Tensor(
        values.dtype,
        shape,
        None,
        layout="sparse_coo",
        device=values.device,
        requires_grad=values.requires_grad,
        parts={"indices": indices, "values": values, "is_coalesced": coalesced},
    )


def _compressed(
    machine: Unpickler, layout: str, compressed: Any, plain: Any, values: Any, size: Any
) -> Tensor:
    names = COMPRESSED[layout]
    compressed = as_tensor(compressed, f"{names[0]} of a sparse tensor")
    plain = as_tensor(plain, f"{names[1]} of a sparse tensor")
    values = as_tensor(values, "the values of a sparse tensor")
    shape = as_ints(machine, size, "the size")
    invariants.compressed_shapes(layout, compressed, plain, values, shape)
    machine.defer(
        lambda: invariants.compressed(layout, compressed, plain, values, shape)
    )
    return Tensor(
        values.dtype,
        shape,
        None,
        layout=layout,
        device=values.device,
        requires_grad=values.requires_grad,
        parts={names[0]: compressed, names[1]: plain, "values": values},
    )


def legacy_sparse(machine: Unpickler, info: DTypeInfo, args: tuple[Any, ...]) -> Tensor:
    """`torch.sparse.FloatTensor(indices, values, size)`."""
    if len(args) != 3:
        raise Unsupported(
            f"a legacy sparse tensor made from {len(args)} arguments", phase="rebuild"
        )
    tensor = _coo(machine, *args)
    if tensor.dtype != info.name:
        raise Malformed(
            f"values of {tensor.dtype} in a sparse tensor of {info.name}",
            phase="rebuild",
        )
    return tensor

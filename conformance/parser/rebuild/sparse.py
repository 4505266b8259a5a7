"""Sparse tensors: COO, and the four compressed layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .. import invariants
from ..dtypes import DTYPES
from ..errors import Malformed, Unsupported
from ..registry import Table
from ..tensor import Tensor
from ..values import Layout
from .checks import as_flag, as_grad, as_ints, as_tensor, check_count, wrong
from .views import part_of

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
def _rebuild_sparse_tensor(
    machine: Unpickler, layout: Any, data: Any, *more: Any
) -> Tensor:
    if more:
        return _from_cpp(machine, layout, data, *more)
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


#: The layouts that C++ can write, as the numbers of `c10::Layout`.
_CPP_LAYOUTS: Final = {1: "sparse_coo", 2: "sparse_csr"}


def _from_cpp(machine: Unpickler, layout: Any, size: Any, *more: Any) -> Tensor:
    """`(layout, size, requires_grad, *parts, hooks)`: TorchScript and
    `torch::pickle_save` write this, and only C++ reads it
    (torch/csrc/jit/serialization/pickler.cpp).
    """
    name = _CPP_LAYOUTS.get(layout) if type(layout) is int else None
    requires_grad, parts = more[0], more[1:-1]
    if name == "sparse_coo" and len(parts) == 2:
        tensor = _coo(machine, *parts, size)
    elif name == "sparse_csr" and len(parts) == 3:
        tensor = _compressed(machine, name, *parts, size)
    else:
        raise Malformed(
            f"a sparse tensor of C++ made of {len(parts)} parts", phase="rebuild"
        )
    tensor._requires_grad = as_grad(requires_grad, DTYPES[tensor.dtype])
    return tensor


def _coo(
    machine: Unpickler, indices: Any, values: Any, size: Any, is_coalesced: Any = None
) -> Tensor:
    grad = as_tensor(values, "the values of a sparse tensor").requires_grad
    indices = part_of(indices, "the indices of a sparse tensor")
    values = part_of(values, "the values of a sparse tensor")
    shape = as_ints(machine, size, "the size")
    check_count(shape)
    invariants.coo_shapes(indices, values, shape)
    if is_coalesced is None:
        coalesced = values.shape[0] < 2
    else:
        coalesced = as_flag(is_coalesced, "is_coalesced")
    machine.defer(lambda: invariants.coo(indices, shape, coalesced, machine.limits))
    return Tensor(
        values.dtype,
        shape,
        None,
        layout="sparse_coo",
        device=values.device,
        requires_grad=grad,
        parts={"indices": indices, "values": values, "is_coalesced": coalesced},
    )


def _compressed(
    machine: Unpickler, layout: str, compressed: Any, plain: Any, values: Any, size: Any
) -> Tensor:
    names = COMPRESSED[layout]
    grad = as_tensor(values, "the values of a sparse tensor").requires_grad
    compressed = part_of(compressed, f"{names[0]} of a sparse tensor")
    plain = part_of(plain, f"{names[1]} of a sparse tensor")
    values = part_of(values, "the values of a sparse tensor")
    shape = as_ints(machine, size, "the size")
    parts = (layout, compressed, plain, values, shape)
    check_count(shape)
    invariants.compressed_shapes(*parts)
    machine.defer(lambda: invariants.compressed(*parts, machine.limits))
    return Tensor(
        values.dtype,
        shape,
        None,
        layout=layout,
        device=values.device,
        requires_grad=grad,
        parts={names[0]: compressed, names[1]: plain, "values": values},
    )


def legacy_sparse(machine: Unpickler, args: tuple[Any, ...]) -> Tensor:
    """`torch.sparse.FloatTensor(indices, values, size)`; the values' dtype counts."""
    if len(args) != 3:
        raise Unsupported(
            f"a legacy sparse tensor made from {len(args)} arguments", phase="rebuild"
        )
    return _coo(machine, *args)

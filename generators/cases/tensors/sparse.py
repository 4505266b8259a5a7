"""Sparse tensors: COO, CSR, CSC, BSR and BSC."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import torch

from ...handmade import (
    Piece,
    archive,
    call,
    floats,
    legacy,
    longs,
    name,
    storage,
    tensor,
)
from ..registry import LEGACY, LEGACY_4, PROTOCOL_4, ZIP, saved, written

SPARSE: Final = "torch._utils._rebuild_sparse_tensor"

COMPRESSED: Final = {
    "csr": (torch.sparse_csr,),
    "csc": (torch.sparse_csc,),
    "bsr": (torch.sparse_bsr,),
    "bsc": (torch.sparse_bsc,),
}

#: dtypes of values, by their storages: each its own class, or `UntypedStorage`.
DTYPES: Final = {
    "float64": (torch.float64,),
    "float16": (torch.float16,),
    "bfloat16": (torch.bfloat16,),
    "complex64": (torch.complex64,),
    "int64": (torch.int64,),
    "int8": (torch.int8,),
    "bool": (torch.bool,),
    "float8_e5m2": (torch.float8_e5m2,),
    "uint16": (torch.uint16,),
}


def coo(*values: float, size: tuple[int, ...] = (2, 3)) -> torch.Tensor:
    """A value at (0, 2), at (1, 0), and at (1, 2)."""
    indices = torch.tensor([[0, 1, 1], [2, 0, 2]])
    numbers = torch.tensor(values or (3.0, 4.0, 5.0))
    return torch.sparse_coo_tensor(indices, numbers, size, check_invariants=True)


def compressed(
    layout: torch.layout,
    dtype: torch.dtype = torch.float32,
    integers: torch.dtype = torch.int64,
) -> torch.Tensor:
    """Two values of size 1x1, or two blocks of 2x3, in a tensor of 2x2 of them."""
    block = [2, 3] if layout in (torch.sparse_bsr, torch.sparse_bsc) else []
    rows, columns = block or (1, 1)
    values = torch.arange(2.0 * rows * columns).reshape(2, *block).to(dtype)
    return torch.sparse_compressed_tensor(
        torch.tensor([0, 1, 2], dtype=integers),
        torch.tensor([1, 0], dtype=integers),
        values,
        (2 * rows, 2 * columns),
        layout=layout,
        check_invariants=True,
    )


# -------------------------------------------------------------------------- COO


@saved(SPARSE, formats=(ZIP, LEGACY))
def coo_uncoalesced() -> object:
    """A COO tensor that repeats an index: its values there are to be added."""
    indices = torch.tensor([[0, 1, 1], [2, 0, 0]])
    values = torch.tensor([3.0, 4.0, 5.0])
    return torch.sparse_coo_tensor(indices, values, (2, 3), check_invariants=True)


@saved(SPARSE, formats=(ZIP, LEGACY, PROTOCOL_4), flags=("silent-failure",))
def coo_coalesced() -> object:
    """A COO tensor that is coalesced: its indices are sorted and do not repeat."""
    return coo().coalesce()


@saved(SPARSE)
def coo_of_dense() -> object:
    """A COO tensor made by `to_sparse`."""
    return torch.tensor([[0.0, 1.0, 0.0], [2.0, 0.0, 3.0]]).to_sparse()


@saved(SPARSE, flags=("non-contiguous",))
def coo_indices_transposed() -> object:
    """A COO tensor whose indices are transposed: they came as a list of pairs."""
    indices = torch.tensor([[0, 2], [1, 0], [1, 2]]).t()
    values = torch.tensor([3.0, 4.0, 5.0])
    return torch.sparse_coo_tensor(indices, values, (2, 3), check_invariants=True)


@saved(SPARSE)
def coo_1d() -> object:
    """A COO tensor of one dimension."""
    return torch.tensor([0.0, 1.0, 0.0, 2.0]).to_sparse()


@saved(SPARSE)
def coo_3d() -> object:
    """A COO tensor of three dimensions."""
    return torch.arange(8.0).reshape(2, 2, 2).to_sparse()


@saved(SPARSE, each={"one": (1,), "two": (2,)})
def coo_hybrid(dense: int) -> object:
    """A hybrid COO tensor: one dimension is sparse, and {key} dense."""
    return torch.arange(24.0).reshape((2, 12) if dense == 1 else (2, 3, 4)).to_sparse(1)


@saved(SPARSE, flags=("empty",))
def coo_no_values() -> object:
    """A COO tensor of size (2, 3) without a value."""
    return torch.zeros(2, 3).to_sparse()


@saved(SPARSE, flags=("empty",))
def coo_zero_size() -> object:
    """A COO tensor of size (0, 3), which has room for no value."""
    return torch.zeros(0, 3).to_sparse()


@saved(SPARSE, flags=("empty",))
def coo_hybrid_zero_size() -> object:
    """A hybrid COO tensor with one value, which is of size (0,)."""
    indices = torch.tensor([[1]])
    return torch.sparse_coo_tensor(
        indices, torch.ones(1, 0), (2, 0), check_invariants=True
    )


@saved(SPARSE)
def coo_scalar() -> object:
    """A COO tensor without dimensions, and two values that are to be added."""
    indices = torch.empty(0, 2, dtype=torch.int64)
    values = torch.tensor([1.0, 2.0])
    return torch.sparse_coo_tensor(indices, values, (), check_invariants=True)


@saved(SPARSE)
def coo_huge_size() -> object:
    """A COO tensor of 2**61 elements, of which three have a value."""
    return coo(size=(1 << 31, 1 << 30))


@saved(SPARSE, each=DTYPES)
def coo_of(dtype: torch.dtype) -> object:
    """A COO tensor of {key}."""
    values = torch.tensor([0, 1, 2]).to(dtype)
    indices = torch.tensor([[0, 1, 1], [2, 0, 2]])
    return torch.sparse_coo_tensor(indices, values, (2, 3), check_invariants=True)


@saved(SPARSE, flags=("requires-grad",))
def coo_requires_grad() -> object:
    """A COO tensor that required gradients: the file does not say so."""
    return coo().requires_grad_()


@saved("torch._utils._rebuild_parameter", flags=("requires-grad",))
def parameter_of_coo() -> object:
    """A COO tensor as a Parameter, which does keep that it requires gradients."""
    return torch.nn.Parameter(coo())


@saved(SPARSE, flags=("shared-storage",))
def coo_shares_with_dense() -> object:
    """A COO tensor whose values are the dense tensor beside it."""
    values = torch.tensor([3.0, 4.0, 5.0])
    indices = torch.tensor([[0, 1, 1], [2, 0, 2]])
    sparse = torch.sparse_coo_tensor(indices, values, (2, 3), check_invariants=True)
    return {"sparse": sparse, "dense": values}


@saved(SPARSE, flags=("shared-storage", "offset"))
def coo_of_views() -> object:
    """Two COO tensors of the same indices, their values halves of one storage."""
    indices = torch.tensor([[0, 1]])
    return [
        torch.sparse_coo_tensor(indices, values, (2,), check_invariants=True)
        for values in torch.arange(4.0).split(2)
    ]


@saved(SPARSE, flags=("non-contiguous",))
def coo_values_transposed() -> object:
    """A hybrid COO tensor whose values are transposed in storage."""
    indices = torch.tensor([[0, 1]])
    values = torch.arange(6.0).reshape(3, 2).t()
    return torch.sparse_coo_tensor(indices, values, (2, 3), check_invariants=True)


@saved(SPARSE, flags=("alias",))
def coo_twice() -> object:
    """One COO tensor, twice in a list."""
    sparse = coo()
    return [sparse, sparse]


@saved("torch._tensor._rebuild_from_type_v2", flags=("attributes",))
def coo_with_attribute() -> object:
    """A COO tensor with an attribute of its own."""
    sparse = coo()
    sparse.note = "mask"  # type: ignore[attr-defined]
    return sparse


@saved(SPARSE)
def coo_in_state_dict() -> object:
    """The state dict of a Linear with a sparse mask, a COO buffer, beside it."""
    module = torch.nn.Linear(3, 2)
    module.register_buffer("mask", coo())
    return module.state_dict()


@written(
    SPARSE, label="built", each={"one": (1, "one value"), "two": (2, "two values")}
)
def coo_of_three_parts(count: int, shown: str) -> bytes:
    """A COO tensor with {shown}, made of indices, values and size alone, as
    older torch wrote it: it is coalesced if it has fewer than two."""
    return archive(call(SPARSE, coo_layout(), _coo_parts(count)), _coo_storages(count))


def coo_layout() -> Piece:
    return call("torch.serialization._get_layout", "torch.sparse_coo")


def _coo_parts(count: int) -> tuple[Piece, Piece, tuple[int]]:
    indices = tensor(storage("LongStorage", count, "0"), (1, count))
    return indices, tensor(storage("FloatStorage", count, "1"), (count,)), (3,)


def _coo_storages(count: int) -> dict[str, bytes]:
    return {"0": longs(*range(count)), "1": floats(*map(float, range(count)))}


# ------------------------------------------------------------------- compressed


@saved(SPARSE, formats=(ZIP, LEGACY), each=COMPRESSED, flags=("silent-failure",))
def compressed_int64(layout: torch.layout) -> object:
    """A {layout} tensor with indices of int64."""
    return compressed(layout)


@saved(SPARSE, each=COMPRESSED)
def compressed_int32(layout: torch.layout) -> object:
    """A {layout} tensor with indices of int32."""
    return compressed(layout, integers=torch.int32)


@saved(SPARSE, each=COMPRESSED)
def compressed_batched(layout: torch.layout) -> object:
    """Two {layout} tensors in a batch: their parts have one dimension more."""
    blocks = layout in (torch.sparse_bsr, torch.sparse_bsc)
    eye = torch.eye(4).reshape(1, 4, 4).expand(2, 4, 4)
    return _to_layout(eye * torch.tensor([1.0, 2.0]).reshape(2, 1, 1), layout, blocks)


@saved(SPARSE, each=COMPRESSED)
def compressed_hybrid(layout: torch.layout) -> object:
    """A hybrid {layout} tensor: behind the sparse dimensions is a dense one."""
    blocks = layout in (torch.sparse_bsr, torch.sparse_bsc)
    dense = torch.eye(2).reshape(2, 2, 1) * torch.tensor([1.0, 2.0, 3.0])
    return _to_layout(dense.repeat(2, 2, 1) if blocks else dense, layout, blocks, 1)


def _to_layout(
    dense: torch.Tensor, layout: torch.layout, blocks: bool, dims: int = 0
) -> torch.Tensor:
    size = (2, 2) if blocks else None
    return dense.to_sparse(layout=layout, blocksize=size, dense_dim=dims or None)


@saved(SPARSE, each=COMPRESSED, flags=("empty",))
def compressed_no_values(layout: torch.layout) -> object:
    """A {layout} tensor of size (4, 4) without a value."""
    blocks = layout in (torch.sparse_bsr, torch.sparse_bsc)
    return _to_layout(torch.zeros(4, 4), layout, blocks)


@saved(SPARSE, flags=("empty",))
def csr_zero_rows() -> object:
    """A CSR tensor of size (0, 3), whose compressed indices are one zero."""
    return torch.zeros(0, 3).to_sparse_csr()


@saved(
    SPARSE,
    each={
        "bfloat16": (torch.bfloat16,),
        "complex64": (torch.complex64,),
        "bool": (torch.bool,),
        "float8_e5m2": (torch.float8_e5m2,),
    },
)
def csr_of(dtype: torch.dtype) -> object:
    """A CSR tensor of {key}."""
    return compressed(torch.sparse_csr, dtype)


@saved(SPARSE, flags=("requires-grad",))
def csr_requires_grad() -> object:
    """A CSR tensor that requires gradients: the file says so of its values."""
    return compressed(torch.sparse_csr).requires_grad_()


@saved("torch._utils._rebuild_parameter", flags=("requires-grad",))
def parameter_of_csr() -> object:
    """A CSR tensor as a Parameter."""
    return torch.nn.Parameter(compressed(torch.sparse_csr))


@saved(SPARSE, flags=("shared-storage",))
def csr_shares_with_dense() -> object:
    """A CSR tensor whose values are the dense tensor beside it."""
    sparse = compressed(torch.sparse_csr)
    return OrderedDict(sparse=sparse, dense=sparse.values())


@saved(SPARSE, flags=("non-contiguous",))
def csr_expanded() -> object:
    """A batch of three CSR tensors that are all the same: their stride is 0."""
    one = compressed(torch.sparse_csr)
    parts = (one.crow_indices(), one.col_indices(), one.values())
    crow, column, values = (part.expand(3, -1) for part in parts)
    return torch.sparse_csr_tensor(
        crow, column, values, (3, 2, 2), check_invariants=True
    )


@saved(SPARSE, flags=("non-contiguous", "offset"))
def bsr_blocks_transposed() -> object:
    """A BSR tensor whose blocks are transposed, and begin inside their storage."""
    blocks = torch.arange(18.0).reshape(3, 3, 2)[1:].transpose(1, 2)
    return torch.sparse_bsr_tensor(
        torch.tensor([0, 1, 2]), torch.tensor([1, 0]), blocks, check_invariants=True
    )


@saved(SPARSE, formats=(ZIP, LEGACY_4))
def all_layouts() -> object:
    """The same matrix in every sparse layout, and strided."""
    dense = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    return {
        "strided": dense,
        "sparse_coo": dense.to_sparse(),
        "sparse_csr": dense.to_sparse_csr(),
        "sparse_csc": dense.to_sparse_csc(),
        "sparse_bsr": dense.to_sparse_bsr((1, 2)),
        "sparse_bsc": dense.to_sparse_bsc((1, 2)),
    }


# ----------------------------------------------------------------- layouts alone


@saved(
    "torch.serialization._get_layout",
    each={
        "strided": (torch.strided,),
        "sparse_coo": (torch.sparse_coo,),
        "sparse_csr": (torch.sparse_csr,),
        "sparse_csc": (torch.sparse_csc,),
        "sparse_bsr": (torch.sparse_bsr,),
        "sparse_bsc": (torch.sparse_bsc,),
        "jagged": (torch.jagged,),
        "mkldnn": (torch._mkldnn,),  # type: ignore[attr-defined]
    },
)
def layout(layout: torch.layout) -> object:
    """The value `{layout}`, which is pickled as a call of `_get_layout`."""
    return layout


@written("global:torch.sparse_coo", label="built", flags=("weights-only-refuses",))
def coo_of_global_layout() -> bytes:
    """A COO tensor whose layout is named, instead of made by `_get_layout`."""
    root = call(SPARSE, name("torch.sparse_coo"), (*_coo_parts(2), False))
    return archive(root, _coo_storages(2))


# -------------------------------------------------------------- old constructors

_VALUES: Final = {
    "DoubleTensor": ("DoubleTensor", torch.float64),
    "FloatTensor": ("FloatTensor", torch.float32),
    "HalfTensor": ("HalfTensor", torch.float16),
    "BFloat16Tensor": ("BFloat16Tensor", torch.bfloat16),
    "LongTensor": ("LongTensor", torch.int64),
    "IntTensor": ("IntTensor", torch.int32),
    "ShortTensor": ("ShortTensor", torch.int16),
    "CharTensor": ("CharTensor", torch.int8),
    "ByteTensor": ("ByteTensor", torch.uint8),
}


@written("torch.sparse.{key}", label="built", each=_VALUES)
def constructor(kind: str, dtype: torch.dtype) -> bytes:
    """`torch.sparse.{key}(indices, values, size)`: how COO tensors were once made."""
    values = torch.tensor([1, 2]).to(dtype).view(torch.uint8).numpy().tobytes()
    indices = tensor(storage("LongStorage", 4, "0"), (2, 2))
    numbers = tensor(storage(kind.replace("Tensor", "Storage"), 2, "1"), (2,))
    size = call("torch.Size", (2, 3))
    root = call(f"torch.sparse.{kind}", indices, numbers, size)
    return archive(root, {"0": longs(0, 1, 2, 0), "1": values})


@written("torch.sparse.FloatTensor", label="built")
def constructor_in_legacy() -> bytes:
    """`torch.sparse.FloatTensor(indices, values, size)` in a legacy stream."""
    indices = tensor(storage("LongStorage", 2, "0", "cpu", None), (1, 2))
    numbers = tensor(storage("FloatStorage", 2, "1", "cpu", None), (2,))
    root = call("torch.sparse.FloatTensor", indices, numbers, call("torch.Size", (3,)))
    return legacy(root, {"0": (2, longs(0, 2)), "1": (2, floats(1.0, 2.0))})


@written("torch.sparse.FloatTensor", label="built")
def constructor_of_longs() -> bytes:
    """`torch.sparse.FloatTensor` of values that are int64, which the tensor is too."""
    indices = tensor(storage("LongStorage", 2, "0"), (1, 2))
    numbers = tensor(storage("LongStorage", 2, "0"), (2,))
    root = call("torch.sparse.FloatTensor", indices, numbers, call("torch.Size", (3,)))
    return archive(root, {"0": longs(0, 2)})

"""Sparse tensors made of the wrong things.

Each starts from arguments that make a tensor, and changes one of them. Indices
that point outside are among the cases of the ledger (`divergences/rebuild.py`).
"""

from __future__ import annotations

from typing import Any, Final

from ...handmade import call, layout
from ..readers.threads import pulls
from ..registry import written
from ..tensors.sparse import SPARSE
from .layouts_wrong import WRONG, file, view

#: What compressed tensors claim whose parts do not fit each other.
UNCHECKED: Final[dict[str, Any]] = {
    "label": "built",
    "verdict": "either",
    "reason": "torch does not look at the parts of sparse tensors unless asked to",
    "links": pulls("pytorch/pytorch", 184750),
    "flags": ("sparse-indices",),
}


def _coo(**changes: Any) -> bytes:
    parts = {
        "indices": view("counts", 1, 2),
        "values": view("floats", 2),
        "size": (3,),
        "is_coalesced": False,
        **changes,
    }
    return file(call(SPARSE, layout("sparse_coo"), tuple(parts.values())))


@written(
    SPARSE,
    **WRONG,
    each={
        "indices_none": ("indices that are None", {"indices": None}),
        "indices_1d": ("indices of one dimension", {"indices": view("counts", 2)}),
        "values_none": ("values that are None", {"values": None}),
        "values_scalar": ("values without dimensions", {"values": view("floats")}),
        "values_more": ("two indices, three values", {"values": view("floats", 3)}),
        "values_2d": ("values of a dense size", {"values": view("floats", 2, 2)}),
        "size_2d": ("a dimension too many in its size", {"size": (3, 3)}),
        "size_negative": ("a negative size", {"size": (-3,)}),
        "size_float": ("a size of 3.5", {"size": (3.5,)}),
        "coalesced_int": ("0 for is_coalesced", {"is_coalesced": 0}),
        "five_parts": ("a fifth part", {"more": None}),
        "two_devices": (
            "values on the meta device",
            {"values": view("floats", 2, location="meta")},
        ),
    },
)
def coo_with(what: str, changes: dict[str, Any]) -> bytes:
    """A COO tensor with {what}."""
    return _coo(**changes)


@written(SPARSE, **WRONG, flags=("overflow",))
def coo_overflow() -> bytes:
    """A COO tensor of 2**90 elements."""
    return _coo(indices=view("zeros", 3, 2), size=(1 << 30, 1 << 30, 1 << 30))


@written(
    SPARSE,
    **WRONG,
    each={
        "strided": (layout("strided"), "strided"),
        "jagged": (layout("jagged"), "jagged"),
        "text": ("torch.sparse_coo", "no layout but its name"),
        "none": (None, "None"),
    },
)
def layout_is(layout: Any, shown: str) -> bytes:
    """A sparse tensor whose layout is {shown}."""
    parts = (view("counts", 1, 2), view("floats", 2), (3,), False)
    return file(call(SPARSE, layout, parts))


@written(SPARSE, **WRONG)
def sparse_without_parts() -> bytes:
    """A sparse tensor made of a layout alone."""
    return file(call(SPARSE, layout("sparse_coo")))


@written("torch.serialization._get_layout", **WRONG, directory="sparse")
def layout_unknown() -> bytes:
    """A layout that does not exist."""
    return file(layout("sparse_none"))


@written(
    SPARSE,
    label="built",
    verdict="either",
    reason="torch converts indices of other dtypes; it never writes them",
    each={"int32": ("ints",), "float32": ("floats",)},
)
def coo_indices(key_of_storage: str) -> bytes:
    """A COO tensor whose indices are {key}."""
    return _coo(indices=view(key_of_storage, 1, 2))


@written(
    SPARSE,
    label="built",
    verdict="either",
    reason="torch makes tensors of lists here; it never writes them",
)
def coo_of_lists() -> bytes:
    """A COO tensor whose indices and values are lists of numbers."""
    return _coo(indices=[[0, 1]], values=[1.0, 2.0])


def _compressed(kind: str, **changes: Any) -> bytes:
    block = (1, 1) if "bs" in kind else ()
    parts = {
        "compressed": view("counts", 3),
        "plain": view("zeros", 2),
        "values": view("floats", 2, *block),
        "size": (2, 2),
        **changes,
    }
    return file(call(SPARSE, layout(kind), tuple(parts.values())))


@written(
    SPARSE,
    **WRONG,
    each={
        "crow_none": ("crow_indices of None", {"compressed": None}),
        "size_negative": ("a negative size", {"size": (2, -2)}),
        "five_parts": ("a fifth part", {"more": None}),
    },
)
def csr_with(what: str, changes: dict[str, Any]) -> bytes:
    """A CSR tensor with {what}."""
    return _compressed("sparse_csr", **changes)


@written(SPARSE, **WRONG, flags=("overflow",))
def csr_overflow() -> bytes:
    """A CSR tensor of 2**63 elements."""
    return _compressed("sparse_csr", size=(2, 1 << 62))


@written(
    SPARSE,
    **UNCHECKED,
    each={
        "crow_short": ("crow_indices for one row", {"compressed": view("counts", 2)}),
        "crow_scalar": (
            "a scalar for crow_indices",
            {"compressed": view("counts")},
        ),
        "crow_2d": ("crow_indices of a batch", {"compressed": view("counts", 1, 3)}),
        "col_2d": ("col_indices of a batch", {"plain": view("zeros", 1, 2)}),
        "col_more": ("a column too many", {"plain": view("zeros", 3)}),
        "col_int32": ("col_indices alone int32", {"plain": view("ints", 2)}),
        "values_2d": ("values of a dense size", {"values": view("floats", 2, 2)}),
        "values_scalar": ("values without dimensions", {"values": view("floats")}),
        "size_1d": ("a size of one dimension", {"size": (2,)}),
        "float_indices": (
            "indices of float32",
            {"compressed": view("floats", 3), "plain": view("floats", 2)},
        ),
    },
)
def csr_parts(what: str, changes: dict[str, Any]) -> bytes:
    """A CSR tensor with parts that do not fit each other: {what}."""
    return _compressed("sparse_csr", **changes)


@written(
    SPARSE,
    **UNCHECKED,
    each={
        "uneven": ("blocks of 2x1, and three rows", (3, 2), (2, 1)),
        "1d": ("blocks of one dimension", (2, 2), (1,)),
        "large": ("blocks larger than all of it", (2, 2), (1, 3)),
    },
)
def bsr_blocks(what: str, size: tuple[int, ...], block: tuple[int, ...]) -> bytes:
    """A BSR tensor with {what}."""
    values = view("floats", 2, *block)
    return _compressed("sparse_bsr", size=size, values=values)


@written("torch.sparse.FloatTensor", **WRONG, directory="sparse")
def constructor_sizes_differ() -> bytes:
    """`torch.sparse.FloatTensor` of two indices and three values."""
    size = call("torch.Size", (3,))
    args = (view("counts", 1, 2), view("floats", 3), size)
    return file(call("torch.sparse.FloatTensor", *args))

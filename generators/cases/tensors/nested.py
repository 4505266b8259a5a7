"""Nested tensors: strided and jagged.

A strided one in a legacy stream, which torch itself cannot read back, is among
the cases of the ledger (`divergences/rebuild.py`).
"""

from __future__ import annotations

import pickle
from typing import Any, Final

import torch
from torch.nested import nested_tensor, nested_tensor_from_jagged

from ...handmade import Piece, archive, call, floats, longs, name, storage, tensor
from ..registry import LEGACY, PROTOCOL_3, ZIP, saved, written

NESTED: Final = "torch._utils._rebuild_nested_tensor"
JAGGED: Final = "torch.nested._internal.nested_tensor._rebuild_njt"
NESTED_TENSOR: Final = "torch.nested._internal.nested_tensor.NestedTensor"

#: dtypes that both kinds can have.
DTYPES: Final = {
    "float64": (torch.float64,),
    "float16": (torch.float16,),
    "bfloat16": (torch.bfloat16,),
    "complex64": (torch.complex64,),
    "int64": (torch.int64,),
    "bool": (torch.bool,),
}


def components() -> list[torch.Tensor]:
    """Of size (2, 2) and (1, 2)."""
    return list(torch.arange(6.0).reshape(3, 2).split([2, 1]))


# ---------------------------------------------------------------------- strided


@saved(NESTED, formats=(ZIP, PROTOCOL_3), flags=("silent-failure",))
def strided_matrices() -> object:
    """A nested tensor of two matrices, one of two rows and one of a single row."""
    return nested_tensor(components())


@saved(NESTED, each=DTYPES)
def strided_of(dtype: torch.dtype) -> object:
    """A nested tensor of {key}."""
    return nested_tensor([component.to(dtype) for component in components()])


@saved(NESTED)
def strided_vectors() -> object:
    """A nested tensor of three vectors."""
    return nested_tensor(list(torch.arange(6.0).split([3, 1, 2])))


@saved(NESTED)
def strided_scalars() -> object:
    """A nested tensor of two tensors without dimensions: its sizes have none."""
    return nested_tensor([torch.tensor(1.0), torch.tensor(2.0)])


@saved(NESTED)
def strided_two_ragged() -> object:
    """A nested tensor whose components differ in two dimensions."""
    return nested_tensor([torch.arange(6.0).reshape(2, 1, 3), torch.ones(1, 2, 3)])


@saved(NESTED, flags=("empty",))
def strided_empty_component() -> object:
    """A nested tensor whose first component has no elements."""
    return nested_tensor([torch.zeros(0, 2), torch.ones(1, 2)])


@saved(NESTED, flags=("empty",))
def strided_no_elements() -> object:
    """A nested tensor of one vector, which has no elements."""
    return nested_tensor([torch.zeros(0)])


@saved(NESTED, flags=("non-contiguous",))
def strided_transposed() -> object:
    """A nested tensor transposed: its strides say so, its buffer is the same."""
    return nested_tensor(components()).transpose(1, 2)


@saved(NESTED, flags=("shared-storage", "non-contiguous", "offset"))
def strided_chunks() -> object:
    """A nested tensor in two halves, which lie in one buffer and have gaps there."""
    return list(nested_tensor(components()).chunk(2, dim=-1))


@saved(NESTED)
def strided_overlapping() -> object:
    """A nested tensor of two vectors that overlap, the later one before the other."""
    return torch._nested_view_from_buffer(
        torch.arange(4.0),
        torch.tensor([[3], [2]]),
        torch.tensor([[1], [2]]),
        torch.tensor([1, 0]),
    )


@saved(NESTED, flags=("requires-grad",))
def strided_requires_grad() -> object:
    """A nested tensor that requires gradients: the file says so of its buffer."""
    return nested_tensor(components(), requires_grad=True)


@saved("torch._utils._rebuild_parameter", flags=("requires-grad",))
def parameter_of_strided_nested() -> object:
    """A nested tensor as a Parameter."""
    return torch.nn.Parameter(nested_tensor(components()))


@saved(NESTED, flags=("alias",))
def strided_twice() -> object:
    """One nested tensor, twice in a list."""
    nested = nested_tensor(components())
    return [nested, nested]


# ----------------------------------------------------------------------- jagged


def jagged(dtype: torch.dtype = torch.float32, **more: Any) -> torch.Tensor:
    """Two components, of two rows and of one, from values and offsets."""
    values = torch.arange(6.0).reshape(3, 2).to(dtype)
    return nested_tensor_from_jagged(values, torch.tensor([0, 2, 3]), **more)


@saved(JAGGED, formats=(ZIP, LEGACY))
def jagged_offsets() -> object:
    """A jagged tensor of two components in one tensor of values, cut by offsets."""
    return jagged()


@saved(
    JAGGED,
    each={**DTYPES, "uint16": (torch.uint16,), "float8_e5m2": (torch.float8_e5m2,)},
)
def jagged_of(dtype: torch.dtype) -> object:
    """A jagged tensor of {key}."""
    return jagged(dtype)


@saved(JAGGED)
def jagged_offsets_int32() -> object:
    """A jagged tensor whose offsets are int32."""
    offsets = torch.tensor([0, 2, 3], dtype=torch.int32)
    return nested_tensor_from_jagged(torch.arange(6.0).reshape(3, 2), offsets)


@saved(JAGGED)
def jagged_lengths() -> object:
    """A jagged tensor with lengths too: there are holes between its components."""
    return jagged(lengths=torch.tensor([1, 1]))


@saved(JAGGED, formats=(ZIP, LEGACY))
def jagged_seqlens() -> object:
    """A jagged tensor that knows its shortest and longest component, kept as the
    sizes of two empty tensors."""
    return jagged(min_seqlen=1, max_seqlen=2)


@saved(JAGGED)
def jagged_of_list() -> object:
    """A jagged tensor made of a list of tensors."""
    return nested_tensor(components(), layout=torch.jagged)


@saved(JAGGED, flags=("non-contiguous",))
def jagged_narrowed() -> object:
    """A jagged tensor made by `torch.nested.narrow`, a view of a dense tensor."""
    starts, lengths = torch.tensor([0, 1]), torch.tensor([2, 3])
    dense = torch.arange(8.0).reshape(2, 4)
    return torch.nested.narrow(dense, 1, starts, lengths, layout=torch.jagged)


@saved(JAGGED)
def jagged_dim_2() -> object:
    """A jagged tensor whose ragged dimension is the last of three."""
    values = torch.arange(9.0).reshape(3, 3)
    return nested_tensor_from_jagged(values, torch.tensor([0, 2, 3]), jagged_dim=2)


@saved(JAGGED, flags=("non-contiguous",))
def jagged_transposed() -> object:
    """A jagged tensor transposed: its values are, and dimension 2 is the ragged one."""
    return jagged().transpose(1, 2)


@saved(JAGGED)
def jagged_vectors() -> object:
    """A jagged tensor of vectors: its values have one dimension."""
    return nested_tensor_from_jagged(torch.arange(3.0), torch.tensor([0, 2, 3]))


@saved(JAGGED, flags=("empty",))
def jagged_empty_component() -> object:
    """A jagged tensor whose first component has no rows."""
    values = torch.arange(4.0).reshape(2, 2)
    return nested_tensor_from_jagged(values, torch.tensor([0, 0, 2]))


@saved(JAGGED, flags=("empty",))
def jagged_no_components() -> object:
    """A jagged tensor of no components, whose offsets are one zero."""
    return nested_tensor_from_jagged(torch.zeros(0, 2), torch.tensor([0]))


@saved(JAGGED, flags=("requires-grad",))
def jagged_requires_grad() -> object:
    """A jagged tensor that requires gradients."""
    return nested_tensor(components(), layout=torch.jagged, requires_grad=True)


@saved(JAGGED, flags=("requires-grad", "attributes"))
def jagged_parameter() -> object:
    """A jagged tensor as a Parameter, of which only an attribute is left."""
    return torch.nn.Parameter(jagged())


@saved(JAGGED, flags=("alias",))
def jagged_same_offsets() -> object:
    """Two jagged tensors of the same offsets, so that they can be added."""
    one = jagged()
    return {"one": one, "double": one * 2}


@saved(JAGGED, flags=("attributes",))
def jagged_with_attribute() -> object:
    """A jagged tensor with an attribute of its own."""
    nested = jagged()
    nested.note = "batch"  # type: ignore[attr-defined]
    return nested


@written(
    f"global:{NESTED_TENSOR}",
    label="built",
    directory="rebuild_njt",
    verdict="either",
    reason="torch marks the ragged dimension for its compiler while it loads: an "
    "attribute that is not in the file",
)
def jagged_by_class() -> bytes:
    """A jagged tensor as torch 2.4 wrote it: its class is called with values and
    offsets, and all else is among the attributes."""
    values = tensor(storage("FloatStorage", 6, "0"), (3, 2)) + pickle.BINPUT + b"\0"
    offsets = tensor(storage("LongStorage", 3, "1"), (3,)) + pickle.BINPUT + b"\1"
    state = {
        "_ragged_idx": 1,
        "_values": Piece(pickle.BINGET + b"\0"),
        "_offsets": Piece(pickle.BINGET + b"\1"),
        "_lengths": None,
        "_metadata_cache": Piece(pickle.EMPTY_DICT),
    }
    kind = name(NESTED_TENSOR)
    args = (Piece(values), Piece(offsets))
    root = call("torch._tensor._rebuild_from_type_v2", kind, kind, args, state)
    return archive(root, {"0": floats(0, 1, 2, 3, 4, 5), "1": longs(0, 2, 3)})

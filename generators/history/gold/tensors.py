"""Tensors, Parameters and storages."""

from __future__ import print_function

import torch
from torch import nn

import models
from cases import case, count

REBUILD = "torch._utils._rebuild_tensor_v2"
FROM_TYPE = [
    ((0, 0), "torch._utils._rebuild_tensor_v2"),
    ((1, 8), "torch.tensor._rebuild_from_type"),
    ((1, 9), "torch._tensor._rebuild_from_type"),
    ((1, 10), "torch._tensor._rebuild_from_type_v2"),
]
JAGGED = [
    ((0, 0), "torch._tensor._rebuild_from_type_v2"),
    ((2, 5), "torch.nested._internal.nested_tensor._rebuild_njt"),
]
WITH_STATE = [((0, 0), REBUILD), ((2, 0), "torch._tensor._rebuild_from_type_v2")]


@case(REBUILD, legacy=True, flags=["non-contiguous", "offset", "shared-storage"])
def views():
    """Views of one tensor: transposed, sliced, one element, expanded, overlapping."""
    base = count(4, 6)
    return {
        "base": base,
        "transposed": base.t(),
        "slice": base[1:3, ::2],
        "element": base[3, 4],
        "expanded": base[:, :1].expand(4, 5),
        "overlapping": torch.as_strided(base, (2, 2), (1, 1), 3),
        "permuted": count(2, 3, 4).permute(2, 0, 1),
        "again": base,
        "detached": base.detach(),
    }


@case(REBUILD, flags=["empty"])
def empty():
    """Tensors of no dimension, and tensors without elements."""
    return [
        torch.tensor(1.5),
        torch.tensor(7),
        torch.empty(0),
        torch.empty(2, 0, 5),
        torch.zeros(3)[3:],
        torch.empty(0).long(),
    ]


@case(REBUILD, flags=["special-values"])
def special_values():
    """NaN, infinities, negative zero, and numbers at the edge of float32."""
    return torch.tensor(
        [float("nan"), float("inf"), -float("inf"), -0.0, 1e-45, 3.4e38]
    )


@case(REBUILD, legacy=True)
def dtypes():
    """A tensor of every dtype of numbers that the release can fill."""
    names = (
        "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64"
        " complex64 complex128"
    )
    result = []
    for name in names.split():
        try:
            dtype = getattr(torch, name)
            result.append(torch.tensor([1.0, 0.0, 3.0, -2.0]).to(dtype))
        except (AttributeError, RuntimeError):
            continue  # not in this release, or only in name
    return result


RARE = [((0, 0), REBUILD), ((2, 1), "torch._utils._rebuild_tensor_v3")]


def of_bytes(names):
    """A tensor of each of these dtypes that the release has, from the same bytes."""
    data = torch.arange(16).to(torch.uint8)
    result = []
    for name in names.split():
        if hasattr(torch, name):
            made = torch.empty(0, dtype=getattr(torch, name))
            storage = data.clone().untyped_storage()
            made.set_(storage, 0, (16 // made.element_size(),), (1,))
            result.append(made)
    if not result:
        raise TypeError("torch has no " + names.partition(" ")[0])
    return result


@case(RARE)
def rare_dtypes():
    """A tensor of every float of 8 bits or fewer, and of raw bits."""
    return of_bytes(
        "float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu"
        " float4_e2m1fn_x2 bits1x8 bits2x4 bits4x2 bits8 bits16"
    )


@case(RARE)
def unsigned_dtypes():
    """Tensors of unsigned integers of 16, 32 and 64 bits."""
    return of_bytes("uint16 uint32 uint64")


@case(RARE)
def complex_half():
    """A tensor of complex numbers that are two half floats."""
    return of_bytes("complex32")


@case(RARE)
def complex_bfloat16():
    """A tensor of complex numbers that are two bfloat16."""
    return of_bytes("bcomplex32")


@case(REBUILD, flags=["requires-grad"])
def requires_grad():
    """A tensor that requires gradients beside one that does not."""
    return [count(3).requires_grad_(), count(2)]


@case("torch._utils._rebuild_parameter", legacy=True, flags=["alias", "requires-grad"])
def parameter():
    """A Parameter twice, its data, and one that requires no gradients."""
    made = nn.Parameter(count(2, 2))
    frozen = nn.Parameter(count(2), requires_grad=False)
    return {"p": made, "same": made, "data": made.data, "frozen": frozen}


@case(
    [
        ((0, 0), "torch._utils._rebuild_parameter"),
        ((2, 0), "torch._utils._rebuild_parameter_with_state"),
    ],
    flags=["attributes"],
)
def parameter_attributes():
    """A Parameter with an attribute of its own."""
    made = nn.Parameter(count(2))
    made.tag = "x"
    return [made, made]


@case(WITH_STATE, flags=["attributes"])
def tensor_attributes():
    """A tensor with attributes of its own, one of them a tensor."""
    made = count(2)
    made.tag = "x"
    made.other = [count(1)]
    return [made, count(2)]


@case(FROM_TYPE, flags=["weights-only-refuses"])
def subclass():
    """A tensor of a class of one's own, with attributes."""
    if hasattr(torch.Tensor, "as_subclass"):
        made = count(2).as_subclass(models.Tagged)
    else:
        made = torch.Tensor._make_subclass(models.Tagged, count(2), False)
    made.tag = "x"
    return {"tagged": made, "same": made}


@case(FROM_TYPE)
def buffer():
    """An `nn.Buffer` by itself."""
    return nn.Buffer(count(2))


@case("persistent-id:storage", legacy=True, flags=["alias", "shared-storage"])
def storages():
    """A storage twice, two tensors on it, and storages of other types."""
    shared = torch.FloatStorage([1, 2, 3, 4, 5])
    tensor = torch.FloatTensor(shared)
    return {
        "float": shared,
        "again": shared,
        "tensor": tensor,
        "part": tensor[1:3],
        "long": torch.LongStorage([5]),
        "byte": torch.ByteStorage([1, 2]),
        "double": torch.DoubleStorage([0.5]),
        "half": torch.HalfStorage([]),
    }


@case("persistent-id:storage", flags=["alias"])
def untyped_storage():
    """A storage without a dtype, twice."""
    tensor = count(4)
    if hasattr(tensor, "untyped_storage"):
        made = tensor.untyped_storage()
    else:
        storage = tensor.storage()
        made = (getattr(storage, "_untyped", None) or storage.untyped)()
    return [made, made]


@case(REBUILD, flags=["conj"])
def conj():
    """A conjugated view of a complex tensor, and the tensor."""
    made = torch.tensor([1 + 2j, 3 - 4j])
    return [made, made.conj(), made.conj()[1:]]


@case(REBUILD, flags=["offset"])
def complex_parts():
    """The real and the imaginary part of a complex tensor, as views of it."""
    made = torch.tensor([1 + 2j, 3 - 4j])
    return [made, made.real, made.imag]


@case(REBUILD, flags=["neg"])
def neg():
    """A tensor that is marked as negated, and one that is not."""
    return [torch._neg_view(count(3)), count(3)]


@case("torch._utils._rebuild_meta_tensor_no_storage")
def meta():
    """Tensors on the `meta` device, which has no bytes."""
    half = torch.empty(3, device="meta", dtype=torch.half)
    return {"m": torch.empty(2, 3, device="meta"), "view": half[1:]}


# ----------------------------------------------------------------------- sparse

SPARSE = "torch._utils._rebuild_sparse_tensor"
CSR = [((0, 0), "torch._utils._rebuild_sparse_csr_tensor"), ((2, 0), SPARSE)]


def coo(**options):
    indices, values = (
        torch.tensor([[0, 1, 1], [2, 0, 2]]),
        torch.tensor([3.0, 4.0, 5.0]),
    )
    return torch.sparse_coo_tensor(indices, values, (2, 3), **options)


@case(SPARSE, legacy=True)
def sparse_coo():
    """Two sparse tensors in coordinates: one not coalesced, one that is."""
    return {"loose": coo(), "coalesced": coo().coalesce()}


@case(SPARSE, legacy=True)
def sparse_hybrid():
    """A sparse tensor whose values have a dimension more."""
    return torch.sparse_coo_tensor(torch.tensor([[0, 2]]), count(2, 3), (4, 3))


@case(SPARSE, flags=["requires-grad"])
def sparse_requires_grad():
    """A sparse tensor that requires gradients."""
    return coo(requires_grad=True)


@case(CSR, legacy=True)
def sparse_csr():
    """A sparse tensor with compressed rows."""
    rows, columns = torch.tensor([0, 2, 3]), torch.tensor([0, 1, 2])
    return torch.sparse_csr_tensor(rows, columns, torch.tensor([1.0, 2.0, 3.0]), (2, 3))


@case(CSR)
def sparse_csc():
    """A sparse tensor with compressed columns."""
    columns, rows = torch.tensor([0, 2, 3, 3]), torch.tensor([0, 1, 1])
    return torch.sparse_csc_tensor(columns, rows, torch.tensor([1.0, 2.0, 3.0]), (2, 3))


@case(CSR)
def sparse_bsr():
    """A sparse tensor in blocks, with compressed rows."""
    rows, columns = torch.tensor([0, 1, 2]), torch.tensor([0, 1])
    return torch.sparse_bsr_tensor(rows, columns, count(2, 2, 2), (4, 4))


@case(CSR)
def sparse_bsc():
    """A sparse tensor in blocks, with compressed columns."""
    columns, rows = torch.tensor([0, 1, 2]), torch.tensor([0, 1])
    return torch.sparse_bsc_tensor(columns, rows, count(2, 2, 2), (4, 4))


# ------------------------------------------------------------ quantized, nested

QUANTIZED = "torch._utils._rebuild_qtensor"


def per_tensor(tensor, scale, zero_point, dtype):
    if hasattr(torch, "quantize_per_tensor"):
        return torch.quantize_per_tensor(tensor, scale, zero_point, dtype)
    return torch.quantize_linear(tensor, scale, zero_point, dtype)


def per_channel(tensor, scales, zero_points, axis, dtype):
    if hasattr(torch, "quantize_per_channel"):
        return torch.quantize_per_channel(tensor, scales, zero_points, axis, dtype)
    return torch.quantize_linear_per_channel(tensor, scales, zero_points, [axis], dtype)


@case(QUANTIZED, legacy=True)
def quantized_per_tensor():
    """Tensors quantized with one scale: qint8, quint8, qint32, and a view."""
    made = per_tensor(count(2, 3), 0.1, 3, torch.qint8)
    return {
        "qint8": made,
        "quint8": per_tensor(count(2, 3), 0.25, 10, torch.quint8),
        "qint32": per_tensor(count(2, 3), 1e-3, 0, torch.qint32),
        "row": made[1],
    }


@case(QUANTIZED, legacy=True)
def quantized_per_channel():
    """A tensor quantized with a scale for each row."""
    scales = torch.tensor([0.1, 0.2], dtype=torch.double)
    return per_channel(count(2, 3), scales, torch.tensor([0, 1]), 0, torch.qint8)


@case(QUANTIZED)
def quantized_float_zero_points():
    """A tensor quantized per channel whose zero points are floats."""
    scales, zeros = torch.tensor([0.1, 0.2]), torch.tensor([0.0, 1.5])
    return per_channel(count(2, 4), scales, zeros, 0, torch.quint8)


@case(QUANTIZED)
def quantized_4_bit():
    """A tensor of quint4x2: two elements to a byte."""
    scales, zeros = torch.tensor([0.5, 0.6]), torch.tensor([0.0, 1.5])
    return per_channel(count(2, 4), scales, zeros, 0, torch.quint4x2)


@case("torch._utils._rebuild_nested_tensor")
def nested():
    """A nested tensor with two rows of different length."""
    make = getattr(getattr(torch, "nested", torch), "nested_tensor", None)
    return (make or torch.nested_tensor)([count(2, 3), count(4, 3)])


@case(JAGGED)
def nested_jagged():
    """A nested tensor in the jagged layout."""
    rows = [count(2, 3), count(4, 3)]
    return torch.nested.nested_tensor(rows, layout=torch.jagged)

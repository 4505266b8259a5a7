"""Views and strides: what of a storage a tensor shows."""

from __future__ import annotations

import torch

from ...handmade import archive, floats, storage, tensor
from ..registry import LEGACY, PROTOCOL_4, ZIP, saved, written
from .dtypes import V3, view
from .tensors import V2

BOTH = (ZIP, LEGACY)


def block() -> torch.Tensor:
    """Of size (2, 3, 4); each element is its own place in the storage."""
    return torch.arange(24.0).reshape(2, 3, 4)


# ---------------------------------------------------------------- permutations


@saved(
    V2,
    formats=(ZIP, LEGACY, PROTOCOL_4),
    flags=("non-contiguous", "silent-failure", "user-report"),
    links=("https://github.com/Jittor/jittor/issues/400",),
)
def transposed() -> object:
    """A weight of two dimensions, transposed: size (3, 2), stride (1, 3)."""
    return {"fc.weight": torch.arange(6.0).reshape(2, 3).t()}


@saved(
    V2,
    each={"".join(map(str, order)): (order,) for order in
          ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))},
    formats=BOTH,
    flags=("non-contiguous", "silent-failure"),
)  # fmt: skip
def permuted(order: tuple[int, ...]) -> object:
    """A tensor of size (2, 3, 4) permuted to {order}."""
    return block().permute(order)


@saved(
    V2,
    each={"0321": ((0, 3, 2, 1),), "3210": ((3, 2, 1, 0),), "2301": ((2, 3, 0, 1),)},
    flags=("non-contiguous", "silent-failure"),
)
def permuted_4d(order: tuple[int, ...]) -> object:
    """A tensor of size (2, 3, 2, 2) permuted to {order}."""
    return torch.arange(24.0).reshape(2, 3, 2, 2).permute(order)


@saved(
    V2,
    formats=BOTH,
    flags=("non-contiguous", "silent-failure", "user-report"),
    links=("https://github.com/tracel-ai/burn/issues/5383",),
)
def channels_last() -> object:
    """A convolution's weight of size (2, 3, 2, 2) in channels_last."""
    weight = torch.arange(24.0).reshape(2, 3, 2, 2)
    return {"conv.weight": weight.contiguous(memory_format=torch.channels_last)}


@saved(V2, flags=("non-contiguous", "silent-failure"))
def channels_last_half() -> object:
    """A float16 tensor of size (2, 3, 2, 2) in channels_last."""
    tensor = torch.arange(24, dtype=torch.float16).reshape(2, 3, 2, 2)
    return tensor.contiguous(memory_format=torch.channels_last)


@saved(V2, flags=("non-contiguous", "silent-failure"))
def channels_last_3d() -> object:
    """A tensor of size (1, 2, 2, 2, 3) in channels_last_3d."""
    tensor = torch.arange(24.0).reshape(1, 2, 2, 2, 3)
    return tensor.contiguous(memory_format=torch.channels_last_3d)


@saved(V2, flags=("silent-failure",))
def channels_last_of_one_channel() -> object:
    """A tensor of size (2, 1, 2, 2), contiguous and channels_last at once."""
    tensor = torch.arange(8.0).reshape(2, 1, 2, 2)
    return tensor.contiguous(memory_format=torch.channels_last)


# ---------------------------------------------------------------------- slices


@saved(
    V2,
    each={"0": (0,), "1": (1,), "2": (2,)},
    flags=("non-contiguous", "silent-failure"),
)
def step(dim: int) -> object:
    """Every second element along dimension {dim} of size (3, 3, 4)."""
    whole = torch.arange(36.0).reshape(3, 3, 4)
    cuts = [slice(None)] * 3
    cuts[dim] = slice(None, None, 2)
    return whole[tuple(cuts)]


@saved(V2, formats=BOTH, flags=("non-contiguous", "silent-failure"))
def every_second() -> object:
    """Every second element of a vector, to the end of its storage."""
    return torch.arange(7.0)[::2]


@saved(V2, formats=BOTH, flags=("offset", "non-contiguous", "silent-failure"))
def columns() -> object:
    """The two middle columns of four."""
    return torch.arange(12.0).reshape(3, 4)[:, 1:3]


@saved(V2, flags=("offset", "non-contiguous", "silent-failure"))
def one_column() -> object:
    """The third column of four, as a vector of stride 4."""
    return torch.arange(12.0).reshape(3, 4)[:, 2]


@saved(V2, formats=BOTH, flags=("offset",))
def rows() -> object:
    """The last two rows of four: contiguous, from the middle of the storage on."""
    return torch.arange(12.0).reshape(4, 3)[2:]


@saved(V2, flags=("offset", "non-contiguous", "silent-failure"))
def step_in_each_dimension() -> object:
    """Steps, offsets and a permutation at once."""
    return torch.arange(120.0).reshape(4, 5, 6)[1::2, ::3, 2::2].permute(2, 0, 1)


@saved(V2, flags=("offset",))
def last_element() -> object:
    """A vector of one element, the last of its storage."""
    return torch.arange(4.0)[3:]


@saved(V2, flags=("offset", "empty"))
def nothing_at_the_end() -> object:
    """A slice without elements whose offset is the end of its storage."""
    return torch.arange(4.0)[4:]


@saved(V2, flags=("offset", "non-contiguous", "silent-failure"))
def of_other_item_sizes() -> object:
    """The same columns of int8, float16, int64 and complex128 storages."""
    kinds = (torch.int8, torch.float16, torch.int64, torch.complex128)
    return [torch.arange(6).to(kind).reshape(2, 3)[:, 1:] for kind in kinds]


# -------------------------------------------------------------- any stride goes


@saved(V2, formats=BOTH, flags=("non-contiguous", "silent-failure"))
def diagonal() -> object:
    """The diagonal of a matrix: stride 4 where the rows have 3."""
    return torch.arange(9.0).reshape(3, 3).diagonal()


@saved(
    V2,
    each={"0": ((3, 1, 2), 0), "1": ((2, 3, 2), 1), "2": ((2, 1, 3), 2)},
    flags=("non-contiguous", "silent-failure"),
)
def expanded(size: tuple[int, ...], dim: int) -> object:
    """A tensor of size {size} whose stride is 0 along dimension {dim}."""
    base = list(size)
    base[dim] = 1
    numel = torch.Size(base).numel()
    return torch.arange(float(numel)).reshape(base).expand(size)


@saved(V2, formats=BOTH, flags=("non-contiguous", "silent-failure"))
def expanded_scalar() -> object:
    """One element shown six times: size (2, 3), stride (0, 0)."""
    return torch.tensor(1.5).expand(2, 3)


@saved(V2, flags=("non-contiguous",))
def expanded_to_65536() -> object:
    """One byte shown 65,536 times: the size needs more than two bytes."""
    return torch.tensor(7, dtype=torch.uint8).expand(65536)


@saved(V2, formats=BOTH, flags=("non-contiguous", "silent-failure"))
def windows() -> object:
    """Windows of three elements that overlap by two: size (4, 3), stride (1, 1)."""
    return torch.arange(6.0).unfold(0, 3, 1)


@saved(V2, flags=("non-contiguous", "silent-failure"))
def strides_not_sorted() -> object:
    """Size (2, 2, 2), stride (1, 8, 2): dense in no order of the dimensions."""
    return torch.arange(12.0).as_strided((2, 2, 2), (1, 8, 2))


@saved(V2, flags=("non-contiguous", "offset", "silent-failure"))
def strides_of_overlap() -> object:
    """Size (2, 3), stride (2, 2) from the second element on: two elements twice."""
    return torch.arange(8.0).as_strided((2, 3), (2, 2), 1)


@saved(V2, formats=BOTH, flags=("silent-failure",))
def stride_of_size_1() -> object:
    """Size (1, 3, 1), stride (100, 1, 77): the odd strides are never used."""
    return torch.arange(3.0).as_strided((1, 3, 1), (100, 1, 77))


@saved(V2)
def stride_0_of_size_1() -> object:
    """Size (1, 3), stride (0, 1): the 0 is never used."""
    return torch.arange(3.0).as_strided((1, 3), (0, 1))


@saved(V2, formats=BOTH, flags=("empty",))
def stride_of_size_0() -> object:
    """Size (0, 3), stride (5, 7): there is nothing to step over."""
    return torch.arange(3.0).as_strided((0, 3), (5, 7))


@saved(V2, flags=("empty", "offset"))
def stride_and_offset_of_size_0() -> object:
    """Size (2, 0), stride (9, 9) and an offset of 3, on a storage of three."""
    return torch.arange(3.0).as_strided((2, 0), (9, 9), 3)


@written(V2, label="built", flags=("empty", "offset"))
def offset_beyond_storage_of_size_0() -> bytes:
    """A tensor without elements whose offset lies past the end of its storage."""
    root = tensor(storage("FloatStorage", 2), (0,), (1,), 1000)
    return archive(root, {"0": floats(1.0, 2.0)})


# -------------------------------------------------------------- shared storages


@saved(
    V2,
    formats=BOTH,
    flags=("shared-storage", "offset", "user-report"),
    links=("https://github.com/tinygrad/tinygrad/pull/14771",),
)
def base_then_view() -> object:
    """A vector, and then its elements from the sixth on, in one storage."""
    base = torch.arange(10.0)
    return {"base": base, "view": base[5:]}


@saved(V2, formats=BOTH, flags=("shared-storage", "offset"))
def view_then_base() -> object:
    """A view comes first: the storage that it names is the whole one."""
    base = torch.arange(10.0)
    return {"view": base[5:], "base": base}


@saved(V2, formats=BOTH, flags=("shared-storage", "offset"))
def two_that_overlap() -> object:
    """Two views of one storage that have two elements in common."""
    base = torch.arange(6.0)
    return {"head": base[:4], "tail": base[2:]}


@saved(V2, flags=("shared-storage", "offset"))
def parts_of_one_storage() -> object:
    """Query, key and value weights cut from one storage, and nothing else of it."""
    query, key, value = torch.arange(12.0).reshape(6, 2).chunk(3)
    return {"q.weight": query, "k.weight": key, "v.weight": value}


@saved(V2, flags=("shared-storage", "non-contiguous"))
def matrix_and_its_transpose() -> object:
    """A matrix and its transpose on one storage: encoder and decoder tied."""
    weight = torch.arange(6.0).reshape(2, 3)
    return {"encode": weight, "decode": weight.t()}


@saved(V2, flags=("shared-storage",))
def two_shapes_of_one_storage() -> object:
    """One storage as (2, 6), (3, 4) and (12,)."""
    base = torch.arange(12.0)
    return [base.view(2, 6), base.view(3, 4), base]


@saved(V2, formats=BOTH, flags=("offset", "silent-failure"))
def small_view_of_large_storage() -> object:
    """Two elements of a storage of 1,000, all of which is in the file."""
    return torch.arange(1000, dtype=torch.int16)[500:502]


# --------------------------------------------------------- conj, neg, and parts


@saved(V2, formats=(ZIP, LEGACY, PROTOCOL_4), flags=("conj", "silent-failure"))
def conj() -> object:
    """A complex tensor with the conj bit."""
    return torch.tensor([1 + 2j, 3 - 4j]).conj()


@saved(V2, formats=BOTH, flags=("neg", "silent-failure", "non-contiguous", "offset"))
def neg() -> object:
    """The imaginary parts of a conjugated tensor: floats with the neg bit."""
    return torch.tensor([1 + 2j, 3 - 4j]).conj().imag


@saved(V2, flags=("conj", "neg", "silent-failure"))
def conj_and_neg() -> object:
    """A complex tensor with both bits."""
    return torch._neg_view(torch.tensor([1 + 2j, 3 - 4j])).conj()


@saved(V2, flags=("neg", "silent-failure"))
def neg_of_ints() -> object:
    """An int64 tensor with the neg bit."""
    return torch._neg_view(torch.tensor([1, -2, 3]))


@saved(V2, flags=("conj", "non-contiguous", "offset", "silent-failure"))
def conj_of_view() -> object:
    """Columns of a complex matrix, transposed and conjugated."""
    whole = torch.arange(6).reshape(2, 3) * (1 + 2j)
    return whole[:, 1:].mH


@saved(V2, flags=("conj", "shared-storage", "silent-failure"))
def conj_beside_plain() -> object:
    """A complex tensor and its conjugate on one storage."""
    plain = torch.tensor([1 + 2j, 3 - 4j])
    return {"plain": plain, "conj": plain.conj()}


@saved(V2, flags=("conj", "requires-grad"))
def conj_that_requires_grad() -> object:
    """A complex tensor with the conj bit that requires gradients."""
    return torch.tensor([1 + 2j]).conj().requires_grad_()


@saved(V3, flags=("conj", "silent-failure"))
def conj_of_complex32() -> object:
    """A complex32 tensor with the conj bit, by `_rebuild_tensor_v3`."""
    storage = torch.tensor([1, 2, 3, 4], dtype=torch.float16).untyped_storage()
    return view(storage, torch.complex32, 0, (2,), (1,)).conj()


@saved(V2, formats=BOTH, flags=("non-contiguous", "shared-storage", "offset"))
def real_and_imag() -> object:
    """The real and the imaginary parts of one complex storage, as floats."""
    whole = torch.tensor([1 + 2j, 3 - 4j])
    return {"real": whole.real, "imag": whole.imag}


@saved(V2)
def view_as_real() -> object:
    """A complex tensor shown as pairs of floats."""
    return torch.view_as_real(torch.tensor([1 + 2j, 3 - 4j]))


@saved(V2)
def view_as_complex() -> object:
    """Pairs of floats shown as a complex tensor."""
    return torch.view_as_complex(torch.arange(4.0).reshape(2, 2))


@saved(V2, flags=("offset",))
def view_of_another_dtype() -> object:
    """The bytes of floats shown as int32, from the second on."""
    return torch.arange(4.0).view(torch.int32)[1:]


@written(V2, label="built")
def stride_left_out() -> bytes:
    """A tensor of size (3, 2) whose stride is empty: row-major order."""
    root = tensor(storage("FloatStorage", 6), (3, 2), ())
    return archive({"weight": root}, {"0": floats(*range(6))})


# A key that two storage classes name is made by hand: torch refuses to save it.


@written(
    V2,
    label="built",
    verdict="either",
    reason="torch 2.13 gives both the first dtype; 2.15 each its own.",
    flags=("shared-storage",),
)
def one_key_of_two_dtypes() -> bytes:
    """A storage that is named as floats first, and then as ints."""
    root = [
        tensor(storage("FloatStorage", 2), (2,)),
        tensor(storage("IntStorage", 2), (2,)),
    ]
    return archive(root, {"0": floats(1.0, 2.0)})

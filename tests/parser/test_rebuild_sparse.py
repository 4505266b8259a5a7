"""Sparse tensors in five layouts, and that no index of theirs points outside.

torch 2.13 takes most of the wrong ones, for it checks them only when asked.
"""

from __future__ import annotations

import struct
from typing import Any

import pytest

from conformance.parser import Limits, Tensor
from tests.builders.checkpoints import Bytes, Call, Name, floats, legacy, longs, tensor
from tests.builders.rebuilt import rebuilt, refused

REBUILD = "torch._utils._rebuild_sparse_tensor"
OLD_CSR = "torch._utils._rebuild_sparse_csr_tensor"


def layout(name: str) -> Call:
    return Call("torch.serialization._get_layout", f"torch.{name}")


def size(*numbers: int) -> Call:
    return Call("torch.Size", numbers)


def table(rows: int, columns: int, *numbers: int) -> Call:
    return tensor(longs(*numbers), (rows, columns))


def row(*numbers: int) -> Call:
    return tensor(longs(*numbers), (len(numbers),))


def narrow(*numbers: int) -> Call:
    data = struct.pack(f"<{len(numbers)}i", *numbers)
    return tensor(Bytes("IntStorage", data), (len(numbers),))


def values(count: int, *dense: int) -> Call:
    shape = (count, *dense)
    total = count
    for length in dense:
        total *= length
    return tensor(floats(*range(total)), shape)


def meta(dtype: str, *shape: int) -> Call:
    stride = (1,) if len(shape) == 1 else (shape[1], 1)
    return Call(
        "torch._utils._rebuild_meta_tensor_no_storage",
        *(Name(f"torch.{dtype}"), shape, stride, False),
    )


def coo(indices: Any, elements: Any, shape: Any, *coalesced: Any) -> Call:
    return Call(REBUILD, layout("sparse_coo"), (indices, elements, shape, *coalesced))


def compressed(name: str, starts: Any, index: Any, elements: Any, shape: Any) -> Call:
    return Call(REBUILD, layout(name), (starts, index, elements, shape))


#: Two elements of a matrix.
PAIR = (table(2, 2, 0, 1, 1, 0), values(2), size(2, 2))


# -------------------------------------------------------------------------- COO


@pytest.mark.parametrize("container", [None, legacy])
def test_coo(container: Any) -> None:
    options = {} if container is None else {"container": container}
    read = rebuilt(coo(*PAIR, False), **options)
    assert (read.layout, read.shape, read.stride) == ("sparse_coo", (2, 2), None)
    assert (read.dtype, read.device, read.storage) == ("float32", "cpu", None)
    assert list(read.parts) == ["indices", "values", "is_coalesced"]
    assert read.parts["indices"].numpy().tolist() == [[0, 1], [1, 0]]
    assert read.parts["values"].numpy().tolist() == [0, 1]
    assert read.parts["is_coalesced"] is False
    assert read.numel == 4
    with refused("Unsupported", "sparse_coo tensor has no array of its own"):
        read.numpy()


@pytest.mark.parametrize(
    ("count", "flag", "coalesced"),
    [
        (2, (True,), True),
        (2, (False,), False),
        # Files of before 1.13 do not say; a single element needs no order.
        (2, (), False),
        (2, (None,), False),
        (1, (), True),
        (1, (False,), False),
        (0, (), True),
    ],
)
def test_coalesced(count: int, flag: Any, coalesced: bool) -> None:
    indices = table(2, count, *([0, 1, 1, 0] if count == 2 else [0, 1][: 2 * count]))
    read = rebuilt(coo(indices, values(count), size(2, 2), *flag))
    assert read.parts["is_coalesced"] is coalesced
    with refused("Malformed", "is_coalesced must be a bool, not int"):
        rebuilt(coo(indices, values(count), size(2, 2), 1))


@pytest.mark.parametrize(
    ("indices", "elements", "shape"),
    [
        (table(1, 2, 0, 3), values(2, 3), (4, 3)),
        (table(0, 1), values(1, 2), (2,)),
        (table(0, 2), values(2), ()),
        (table(2, 0), values(0), (0, 0)),
        (table(1, 2, 1, 1), values(2), [2]),
        # The same indices for both dimensions, and for each of the elements.
        (tensor(longs(0, 1), (2, 2), (0, 1)), values(2), (2, 2)),
        (tensor(longs(1), (2, 1000), (0, 0)), values(1000), (2, 2)),
        (tensor(longs(0, 1, 1, 0), (2, 2), (1, 2)), values(2), (2, 2)),
        (meta("int64", 2, 3), meta("float32", 3), (5, 5)),
    ],
)
def test_coo_of_many_shapes(indices: Any, elements: Any, shape: Any) -> None:
    assert rebuilt(coo(indices, elements, shape, False)).shape == tuple(shape)


def test_the_parts_are_plain() -> None:
    """torch keeps of them what a sparse tensor is made of, and no class."""
    elements = tensor(floats(1, 2), (2,), (1,), 0, True)
    made = Call("torch._utils._rebuild_parameter", elements, True, None)
    for given in (elements, made):
        read = rebuilt(coo(PAIR[0], given, PAIR[2], False))
        assert read.requires_grad
        inner = read.parts["values"]
        assert (inner.type, inner.requires_grad) == ("torch.Tensor", False)


def test_the_parts_are_still_shared() -> None:
    indices, elements, shape = PAIR
    alone, read = rebuilt([elements, coo(indices, elements, shape, False)])
    assert alone.storage is read.parts["values"].storage


def test_a_parameter_of_a_sparse_tensor() -> None:
    made = Call("torch._utils._rebuild_parameter", coo(*PAIR, True), True, None)
    read = rebuilt(made)
    assert (read.type, read.layout) == ("torch.nn.parameter.Parameter", "sparse_coo")
    assert read.requires_grad
    assert read.parts["is_coalesced"] is True


@pytest.mark.parametrize(
    ("indices", "elements", "shape", "kind", "match"),
    [
        (table(2, 2, 0, 1, 1, 2), values(2), (2, 2), "Malformed", "lies outside"),
        (table(2, 2, 0, 1, 1, -1), values(2), (2, 2), "Malformed", "lies outside"),
        (table(2, 2, 0, 1, 1, 0), values(2), (0, 2), "Malformed", "lies outside"),
        (table(2, 2, 0, 1, 1, 0), values(3), (2, 2), "Malformed", "no sparse tensor"),
        (
            table(2, 2, 0, 1, 1, 0),
            values(2),
            (2, 2, 2),
            "Malformed",
            "no sparse tensor",
        ),
        (table(1, 2, 0, 1), values(2, 3), (2, 4), "Malformed", "no sparse tensor"),
        (table(2, 0), values(0), (-2, 2), "Malformed", "no sparse tensor"),
        (row(0, 1), values(2), (2,), "Malformed", "no sparse tensor"),
        (table(0, 0), tensor(floats(1), ()), (), "Malformed", "no sparse tensor"),
        (7, values(2), (2, 2), "Malformed", "the indices .* must be a tensor, not int"),
        (table(2, 2, 0, 1, 1, 0), 7, (2, 2), "Malformed", "values .* must be a tensor"),
        (coo(*PAIR), values(2), (2, 2), "Malformed", "indices .* must be strided"),
        (table(2, 2, 0, 1, 1, 0), coo(*PAIR), (2, 2), "Malformed", "must be strided"),
        (
            table(2, 2, 0, 1, 1, 0),
            values(2),
            2,
            "Malformed",
            "the size must be a tuple",
        ),
        # torch makes int64 of any of these.
        (
            tensor(floats(0, 1, 1, 0), (2, 2)),
            *(values(2), (2, 2), "Malformed", "must be a tensor of int64, not float32"),
        ),
        (
            *(meta("int64", 2, 2), values(2), (2, 2)),
            *("Malformed", "parts on several devices"),
        ),
        # torch makes other tensors of these.
        (
            tensor(longs(0, 1, 1, 0), (2, 2), (2, 1), 0, False, {"neg": True}),
            *(values(2), (2, 2), "Unsupported", "indices .* with a conj or neg bit"),
        ),
        (
            *(table(2, 1, 0, 0), values(1), (2**62, 2)),
            *("Malformed", "more elements than 64 bits can count"),
        ),
        (
            *(tensor(longs(*[0] * 99), (50, 50), (1, 1)), values(50), (1,) * 50),
            *("LimitExceeded", "the same indices are looked at too often"),
        ),
        (
            *(tensor(longs(0), (2, 2, 1), (0, 0, 0)), values(2), (2, 2)),
            *("Malformed", "no sparse tensor"),
        ),
    ],
)
def test_wrong_coo(
    indices: Any, elements: Any, shape: Any, kind: str, match: str
) -> None:
    options: dict[str, Any] = {}
    if kind == "LimitExceeded":
        options["limits"] = Limits(copies_ratio=2)
    with refused(kind, match):
        rebuilt(coo(indices, elements, shape, False), **options)


@pytest.mark.parametrize(
    ("indices", "match"),
    [
        (table(2, 2, 1, 0, 0, 1), "are not sorted"),
        (table(2, 2, 0, 0, 1, 0), "are not sorted"),
        (table(2, 2, 0, 0, 1, 1), "repeat"),
        (table(1, 3, 0, 1, 1), "repeat"),
        (tensor(longs(1), (2, 2), (0, 0)), "repeat"),
    ],
)
def test_coalesced_means_sorted_and_unique(indices: Call, match: str) -> None:
    dims, count = indices.args[2]
    shape = (2,) * dims
    assert rebuilt(coo(indices, values(count), shape, False)).shape == shape
    with refused("Malformed", f"the indices of a coalesced tensor {match}"):
        rebuilt(coo(indices, values(count), shape, True))


@pytest.mark.parametrize(
    "numbers", [(0, 0, 1, 0, 1, 0), (0, 0, 0, 0, 1, 2), (0, 1, 1, 1, 0, 1)]
)
def test_coalesced_and_right(numbers: tuple[int, ...]) -> None:
    read = rebuilt(coo(table(2, 3, *numbers), values(3), (2, 3), True))
    assert read.parts["is_coalesced"] is True


def test_quantized_values() -> None:
    scheme = (Name("torch.per_tensor_affine"), 1.0, 0)
    made = Call(
        "torch._utils._rebuild_qtensor",
        *(Bytes("QInt8Storage", b"\1\2"), 0, (2,), (1,), scheme, False, None),
    )
    with refused("Malformed", "the values of a sparse tensor cannot be qint8"):
        rebuilt(coo(PAIR[0], made, PAIR[2], False))


def test_the_same_indices_again_and_again() -> None:
    """Each look costs; a file cannot buy them for a few bytes each."""
    indices, elements = table(1, 1000, *range(1000)), values(1000)
    many = [coo(indices, elements, (1000,), False) for _ in range(33)]
    assert len(rebuilt(many[:32])) == 32
    with refused("LimitExceeded", "looked at too often"):
        rebuilt(many)


def test_the_indices_are_those_that_were_checked() -> None:
    """BUILD of a tensor that has become a part changes that tensor alone."""
    indices = table(2, 2, 0, 1, 1, 0)
    made = coo(indices, values(2), (2, 2), False)
    late = Call("torch._utils._rebuild_tensor", longs(9, 9), 0, (2,), (1,))
    again = Call("torch.LongTensor", state=(longs(9, 9), 0, (2,), (1,)))
    read, _, _ = rebuilt([made, late, again])
    assert read.parts["indices"].numpy().tolist() == [[0, 1], [1, 0]]


# ------------------------------------------------------------------- compressed

#: Layout, compressed and plain indices, values, size.
RIGHT: list[tuple[str, Any, Any, Any, Any]] = [
    ("sparse_csr", row(0, 1, 2), row(0, 1), values(2), (2, 2)),
    ("sparse_csr", narrow(0, 1, 2), narrow(0, 1), values(2), (2, 2)),
    ("sparse_csr", row(0, 2, 2, 3), row(0, 2, 1), values(3), (3, 3)),
    ("sparse_csr", row(0, 1, 2), row(0, 1), values(2, 3), (2, 2, 3)),
    ("sparse_csr", row(0, 0, 0), row(), values(0), (2, 2)),
    ("sparse_csr", row(0), row(), values(0), (0, 2)),
    ("sparse_csr", row(0, 0, 0), row(), values(0), (2, 0)),
    ("sparse_csr", row(0, 1, 1), row(1), values(1), (2, 2)),
    (
        *("sparse_csr", table(2, 3, 0, 1, 2, 0, 2, 2), table(2, 2, 0, 1, 0, 1)),
        *(values(2, 2), (2, 2, 2)),
    ),
    # Every batch with the same pattern.
    (
        *("sparse_csr", tensor(longs(0, 1, 2), (3, 3), (0, 1))),
        *(tensor(longs(0, 1), (3, 2), (0, 1)), values(3, 2), (3, 2, 2)),
    ),
    (
        *("sparse_csr", table(2, 3, 0, 1, 2, 0, 1, 2)),
        *(tensor(longs(0, 1), (2, 2), (0, 1)), values(2, 2), (2, 2, 2)),
    ),
    ("sparse_csr", table(0, 3), table(0, 2), values(0, 2), (0, 2, 2)),
    ("sparse_csc", row(0, 1, 2), row(0, 2), values(2), (3, 2)),
    ("sparse_bsr", row(0, 1), row(0), values(1, 2, 2), (2, 2)),
    ("sparse_bsr", row(0, 1, 2), row(0, 1), values(2, 1, 2), (2, 4)),
    ("sparse_bsc", row(0, 1, 2), row(0, 1), values(2, 1, 2), (2, 4)),
    ("sparse_bsc", row(0, 2), row(0, 1), values(2, 1, 4), (2, 4)),
    ("sparse_csr", meta("int64", 3), meta("int64", 2), meta("float32", 2), (2, 2)),
]

NAMES = {
    "sparse_csr": ["crow_indices", "col_indices"],
    "sparse_csc": ["ccol_indices", "row_indices"],
    "sparse_bsr": ["crow_indices", "col_indices"],
    "sparse_bsc": ["ccol_indices", "row_indices"],
}


@pytest.mark.parametrize(("name", "starts", "index", "elements", "shape"), RIGHT)
def test_compressed(
    name: str, starts: Any, index: Any, elements: Any, shape: Any
) -> None:
    for container in (rebuilt, in_a_legacy_stream):
        read = container(compressed(name, starts, index, elements, shape))
        assert (read.layout, read.shape, read.stride) == (name, shape, None)
        assert list(read.parts) == [*NAMES[name], "values"]
        assert [type(part) for part in read.parts.values()] == [Tensor] * 3


def in_a_legacy_stream(tree: Any) -> Any:
    return rebuilt(tree, container=legacy)


#: What is wrong with them, and how it is said.
WRONG: list[tuple[str, Any, Any, Any, Any, str]] = [
    ("sparse_csr", row(0, 1, 2), row(0, 2), values(2), (2, 2), "plain index"),
    ("sparse_csr", row(0, 1, 2), row(0, -1), values(2), (2, 2), "plain index"),
    ("sparse_csr", row(0, 3, 2), row(0, 1), values(2), (2, 2), "do not run from 0"),
    ("sparse_csr", row(1, 1, 2), row(0, 1), values(2), (2, 2), "do not run from 0"),
    ("sparse_csr", row(0, 1, 1), row(0, 1), values(2), (2, 2), "do not run from 0"),
    ("sparse_csr", row(0, -1, 2), row(0, 1), values(2), (2, 2), "do not run from 0"),
    ("sparse_csr", row(0, 2, 1, 3), row(0, 1, 0), values(3), (3, 2), "do not run"),
    ("sparse_csr", row(0, 3), row(0, 1, 1), values(3), (1, 2), "do not run from 0"),
    ("sparse_csr", row(0, 2), row(1, 0), values(2), (1, 2), "not sorted"),
    ("sparse_csr", row(0, 2), row(1, 1), values(2), (1, 2), "not sorted"),
    ("sparse_csc", row(0, 1, 2), row(0, 3), values(2), (3, 2), "plain index"),
    ("sparse_bsr", row(0, 1), row(1), values(1, 2, 2), (2, 2), "plain index"),
    (
        *("sparse_csr", table(2, 2, 0, 2, 0, 2), table(2, 2, 0, 1, 1, 0)),
        *(values(2, 2), (2, 1, 2), "not sorted"),
    ),
    ("sparse_csr", row(0, 1), row(0, 1), values(2), (2, 2), "make no sparse_csr"),
    ("sparse_csr", row(0, 1, 2), row(0, 1), values(1), (2, 2), "make no"),
    ("sparse_csr", row(0, 1, 2), row(0, 1), values(2), (2, 2, 2), "make no"),
    ("sparse_csr", row(0, 1, 2), row(0, 1), values(2), (2,), "make no"),
    ("sparse_csr", row(0), row(), values(0), (0, -2), "make no"),
    ("sparse_csr", tensor(longs(0), ()), row(0), values(1), (1, 1), "make no"),
    ("sparse_csr", row(0, 1), table(1, 1, 0), values(1), (1, 1), "make no"),
    ("sparse_bsr", row(0, 1), row(0), values(1, 2, 2), (3, 2), "make no"),
    ("sparse_bsr", row(0), row(), values(0, 0, 0), (0, 0), "make no"),
    ("sparse_csr", narrow(0, 1, 2), row(0, 1), values(2), (2, 2), "two dtypes"),
    ("sparse_csr", values(3), row(0, 1), values(2), (2, 2), "compressed .* of int64"),
    ("sparse_csr", row(0, 1, 2), values(2), values(2), (2, 2), "plain .* of int64"),
    (
        "sparse_csr",
        row(0, 1, 2),
        meta("int64", 2),
        values(2),
        (2, 2),
        "several devices",
    ),
    ("sparse_csr", 7, row(0, 1), values(2), (2, 2), "crow_indices .* must be a tensor"),
    ("sparse_csc", row(0, 1, 2), 7, values(2), (2, 2), "row_indices .* must be a"),
    ("sparse_csr", row(0, 1, 2), row(0, 1), 7, (2, 2), "values .* must be a tensor"),
    ("sparse_csr", row(0, 1, 2), row(0, 1), values(2), 7, "the size must be a tuple"),
]


@pytest.mark.parametrize(
    ("name", "starts", "index", "elements", "shape", "match"), WRONG
)
def test_wrong_compressed(
    name: str, starts: Any, index: Any, elements: Any, shape: Any, match: str
) -> None:
    tree = compressed(name, starts, index, elements, shape)
    for container in (rebuilt, in_a_legacy_stream):
        with refused("Malformed", match):
            container(tree)


def test_one_pattern_for_more_batches_than_it_weighs() -> None:
    """Shown once, the indices are small; looked at batch by batch, they are not."""
    batches, count = 300, 300
    starts = table(batches, 2, *[0, count] * batches)
    index = tensor(longs(*range(count)), (batches, count), (0, 1))
    elements = tensor(floats(0), (batches, count), (0, 0))
    made = compressed("sparse_csr", starts, index, elements, (batches, 1, count))
    with refused("LimitExceeded", "looked at too often"):
        rebuilt(made)


@pytest.mark.parametrize("name", [REBUILD, OLD_CSR])
def test_csr_of_1_11_to_1_13(name: str) -> None:
    """torch has forgotten the second name; the rest is the same."""
    parts = (row(0, 1, 2), row(0, 1), values(2), size(2, 2))
    read = rebuilt(Call(name, layout("sparse_csr"), parts), weights_only=False)
    assert (read.layout, read.shape) == ("sparse_csr", (2, 2))


@pytest.mark.parametrize(
    ("tree", "match"),
    [
        (Call(OLD_CSR, layout("sparse_coo"), PAIR), "a compressed sparse layout"),
        (Call(OLD_CSR, 7, PAIR), "a compressed sparse layout"),
        (Call(REBUILD, "torch.sparse_coo", PAIR), "a layout is expected, not str"),
        (Call(REBUILD, layout("sparse_coo"), {}), "made of a tuple, not dict"),
        (Call(REBUILD, layout("sparse_coo"), PAIR[:2]), "made of 2 parts"),
        (Call(REBUILD, layout("sparse_coo"), (*PAIR, False, 1)), "made of 5 parts"),
        (Call(REBUILD, layout("sparse_csr"), PAIR), "sparse_csr made of 3 parts"),
        (Call(REBUILD, layout("strided"), PAIR), "strided made of 3 parts"),
    ],
)
def test_wrong_layouts(tree: Call, match: str) -> None:
    with refused("Malformed", match):
        rebuilt(tree, weights_only=False)


# ------------------------------------------------------------------ written by C++


def test_the_form_of_cpp() -> None:
    """`(layout, size, requires_grad, *parts, hooks)`, the layout as a number."""
    hooks = Call("collections.OrderedDict")
    coo_parts = (table(2, 2, 0, 1, 1, 0), values(2))
    read = rebuilt(Call(REBUILD, 1, (2, 2), True, *coo_parts, hooks))
    assert (read.layout, read.shape, read.requires_grad) == ("sparse_coo", (2, 2), True)
    csr_parts = (row(0, 1, 2), row(0, 1), values(2))
    read = rebuilt(Call(REBUILD, 2, (2, 2), False, *csr_parts, hooks))
    assert (read.layout, read.requires_grad) == ("sparse_csr", False)


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ((1, (2, 2), True, None), "of C\\+\\+ made of 0 parts"),
        ((2, (2, 2), True, row(0), row(0), None), "made of 2 parts"),
        ((7, (2, 2), True, row(0), row(0), None), "made of 2 parts"),
        (("x", (2, 2), True), "made of 0 parts"),
        ((layout("sparse_coo"), PAIR, True, row(0), row(0), 1), "made of 2 parts"),
        ((1, (2, 2), 7, *PAIR[:2], None), "requires_grad must be a bool"),
        ((1, (1, 1), False, *PAIR[:2], None), "lies outside its size"),
    ],
)
def test_wrong_forms_of_cpp(args: Any, match: str) -> None:
    with refused("Malformed", match):
        rebuilt(Call(REBUILD, *args))


# ------------------------------------------------------------------- before 1.0


@pytest.mark.parametrize("module", ["torch.sparse", "torch.cuda.sparse"])
@pytest.mark.parametrize("container", [rebuilt, in_a_legacy_stream])
def test_the_legacy_constructor(module: str, container: Any) -> None:
    read = container(Call(f"{module}.FloatTensor", *PAIR))
    assert (read.layout, read.dtype) == ("sparse_coo", "float32")
    assert read.parts["is_coalesced"] is False


def test_the_values_decide_about_the_dtype() -> None:
    """Not the class: torch, too, makes a tensor of float32 of this."""
    assert rebuilt(Call("torch.sparse.DoubleTensor", *PAIR)).dtype == "float32"


def test_the_legacy_constructor_with_less() -> None:
    for args in ((), PAIR[:2], (size(2, 2),)):
        with refused("Unsupported", f"made from {len(args)} arguments"):
            rebuilt(Call("torch.sparse.FloatTensor", *args))


def test_the_legacy_constructor_checks_its_indices() -> None:
    with refused("Malformed", "lies outside its size"):
        rebuilt(Call("torch.sparse.FloatTensor", *PAIR[:2], size(2, 1)))

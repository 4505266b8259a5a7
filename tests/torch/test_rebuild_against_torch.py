"""Every way in which torch writes a tensor, read by torch and by us: the same.

And every dtype's numbers, to the bit: what `numpy()` and `tobytes()` give is what
lies in torch's memory, or what torch's own functions make of it.
"""

from __future__ import annotations

import ctypes
import io
import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.parameter import Buffer, UninitializedBuffer, UninitializedParameter
from torch.testing._internal.two_tensor import TwoTensor

from conformance.compare import compare
from conformance.loaders import oracle, ours
from conformance.parser import CheckpointError, Tensor, load
from conformance.parser.dtypes import DTYPES
from conformance.parser.rebuild.views import PROPERTIES
from tests.builders.checkpoints import Bytes, Call, Name, dump, hooks, tensor, zipped

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Sub(torch.Tensor):
    """A subclass with attributes and slots."""

    __slots__ = ("slot",)


def parameter(data: torch.Tensor, **attributes: Any) -> torch.nn.Parameter:
    made = torch.nn.Parameter(data, data.is_floating_point())
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def attributed(**attributes: Any) -> torch.Tensor:
    made = torch.arange(3.0)
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def subclass() -> Any:
    made = torch.arange(3.0).as_subclass(Sub)
    made.plain = [1]  # type: ignore[attr-defined]
    made.slot = "s"  # type: ignore[attr-defined]
    return made


def views() -> Any:
    whole = torch.arange(24.0).reshape(2, 3, 4)
    return [
        *(whole, whole[1], whole.T, whole[:, 1:, ::2], whole[0, 0, 0], whole[:0]),
        *(torch.ones(1).expand(3, 4), whole.as_strided((2, 2), (1, 1), 5)),
        *(whole.permute(2, 0, 1), torch.empty(0, 3), torch.zeros((1,) * 65)),
    ]


def compressed(layout: torch.layout) -> torch.Tensor:
    dense = torch.tensor([[0.0, 1, 2, 0], [3, 0, 0, 4]])
    block = (1, 2) if layout in (torch.sparse_bsr, torch.sparse_bsc) else None
    return dense.to_sparse(layout=layout, blocksize=block)


def channels(dtype: torch.dtype, zero: Any = (0, 1)) -> torch.Tensor:
    scales = torch.tensor([0.5, 0.25])
    return torch.quantize_per_channel(
        torch.arange(6.0).reshape(2, 3), scales, torch.tensor(zero), 0, dtype
    )


def jagged(**options: Any) -> torch.Tensor:
    rows = [torch.arange(6.0).reshape(3, 2), torch.ones(1, 2)]
    return torch.nested.nested_tensor(rows, layout=torch.jagged, **options)


#: One function is one file; what it gives is written by `torch.save`.
FILES: dict[str, Callable[[], Any]] = {
    "views": views,
    "requires_grad": lambda: torch.ones(2, requires_grad=True),
    "conj": lambda: torch.tensor([1 + 2j, 3]).conj(),
    "neg": lambda: torch.tensor([1 + 2j, 3]).conj().imag,
    "conj and neg": lambda: torch._neg_view(torch.tensor([1 + 2j]).conj()),
    "half conj": lambda: torch.tensor([1 + 2j], dtype=torch.complex32).conj(),
    "parameter": lambda: parameter(torch.ones(2)),
    "parameter of ints": lambda: parameter(torch.arange(2)),
    "parameter of float8": lambda: parameter(torch.ones(2).to(torch.float8_e5m2)),
    "parameter with attributes": lambda: parameter(torch.ones(2), a=[1]),
    "parameter and its data": lambda: [made := parameter(torch.ones(2)), made.data],
    "buffer": lambda: Buffer(torch.ones(2)),
    "attributes": lambda: attributed(a=1, b=[torch.ones(1)]),
    "coo": lambda: torch.eye(3).to_sparse(),
    "coo not coalesced": lambda: torch.sparse_coo_tensor(
        torch.tensor([[1, 1]]), torch.ones(2, 2), (3, 2)
    ),
    "coo of one": lambda: torch.sparse_coo_tensor(
        torch.tensor([[1]]), torch.ones(1), (3,)
    ),
    "coo of nothing": lambda: torch.zeros(0, 3).to_sparse(),
    "coo with expanded indices": lambda: torch.sparse_coo_tensor(
        torch.arange(3).expand(2, 3), torch.ones(3), (3, 3)
    ),
    "coo of float8": lambda: torch.sparse_coo_tensor(
        torch.tensor([[1]]), torch.ones(1).to(torch.float8_e5m2), (3,)
    ),
    "coo with gradients": lambda: torch.eye(3).to_sparse().requires_grad_(),
    "coo parameter": lambda: parameter(torch.eye(3).to_sparse()),
    "csr": lambda: compressed(torch.sparse_csr),
    "csc": lambda: compressed(torch.sparse_csc),
    "bsr": lambda: compressed(torch.sparse_bsr),
    "bsc": lambda: compressed(torch.sparse_bsc),
    "csr of nothing": lambda: torch.zeros(2, 3).to_sparse_csr(),
    "csr of no rows": lambda: torch.zeros(0, 3).to_sparse_csr(),
    "csr in batches": lambda: torch.eye(3).expand(2, 3, 3).to_sparse_csr(),
    "csr with dense": lambda: torch.ones(2, 3, 4).to_sparse_csr(dense_dim=1),
    "csr with gradients": lambda: compressed(torch.sparse_csr).requires_grad_(),
    "csr parameter": lambda: parameter(compressed(torch.sparse_csr)),
    "csr of int32": lambda: torch.sparse_csr_tensor(
        torch.tensor([0, 1], dtype=torch.int32),
        torch.tensor([2], dtype=torch.int32),
        *(torch.ones(1), (1, 3)),
    ),
    "qint8": lambda: torch.quantize_per_tensor(torch.ones(3), 0.5, 1, torch.qint8),
    "quint8": lambda: torch.quantize_per_tensor(torch.ones(3), 0.5, 1, torch.quint8),
    "qint32": lambda: torch.quantize_per_tensor(torch.ones(3), 0.5, 1, torch.qint32),
    "per channel": lambda: channels(torch.qint8),
    "per channel, float": lambda: channels(torch.quint8, (0.5, 1.5)),
    "quint4x2": lambda: channels(torch.quint4x2, (0.0, 1.0)),
    "quantized views": lambda: [
        whole := torch.quantize_per_tensor(torch.ones(2, 3), 0.5, 1, torch.qint8),
        *(whole.T, whole[1], whole[:, ::2]),
    ],
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2, 2), torch.ones(2, 3)]),
    "nested of scalars": lambda: torch.nested.nested_tensor([torch.ones(())] * 2),
    "nested with gradients": lambda: torch.nested.nested_tensor(
        [torch.ones(2), torch.ones(3)], requires_grad=True
    ),
    "jagged": jagged,
    "jagged with gradients": lambda: jagged(requires_grad=True),
    "jagged with lengths": lambda: torch.nested.nested_tensor_from_jagged(
        torch.ones(5, 2), torch.tensor([0, 2, 4]), torch.tensor([1, 1])
    ),
    "jagged along another": lambda: jagged().transpose(1, 2),
    "meta": lambda: torch.ones(2, 3, device="meta").T,
    "meta parameter": lambda: parameter(torch.ones(2, device="meta")),
    "storages": lambda: [
        torch.ones(2)._typed_storage(),
        torch.arange(3).untyped_storage(),
    ],
    "small values": lambda: [
        *(torch.Size([2, 3]), torch.device("cuda:1"), torch.device("cpu")),
        *(torch.float8_e5m2, torch.uint16, torch.sparse_csr, torch.strided),
        *(torch.per_channel_affine, torch.Size([])),
    ],
}

#: Those of which `weights_only=True` does not allow the class.
UNSAFE: dict[str, Callable[[], Any]] = {
    "subclass": subclass,
    "parameter of a subclass": lambda: parameter(subclass()),
    "two tensors": lambda: TwoTensor(torch.ones(2), torch.zeros(2)),
    "lazy": lambda: [UninitializedParameter(), UninitializedBuffer()],
}

#: What torch cannot load from a legacy stream.
NOT_LEGACY = ("float8", "complex32", "half", "nested", "storages", "small")


def saved(path: Path, value: Any, **options: Any) -> str:
    torch.save(value, path, **options)
    return str(path)


def same(path: str, **options: Any) -> None:
    found = compare(ours.load(path, **options), oracle.load(path, **options))
    assert found.equal, "\n".join(map(str, found.differences))


@pytest.mark.parametrize("name", FILES)
def test_what_torch_writes(name: str, tmp_path: Path) -> None:
    value = FILES[name]()
    same(saved(tmp_path / "zip.pt", value))
    same(saved(tmp_path / "zip.pt", value), weights_only=False)
    if not any(word in name for word in NOT_LEGACY):
        path = tmp_path / "legacy.pt"
        same(saved(path, value, _use_new_zipfile_serialization=False))


@pytest.mark.parametrize("name", UNSAFE)
def test_what_torch_writes_of_other_classes(name: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "zip.pt", UNSAFE[name]())
    same(path, weights_only=False)


# ------------------------------------------------------------------ every number

#: Dtypes of which there can be tensors.
HELD = [
    name
    for name, info in DTYPES.items()
    if hasattr(torch, name) and info.kind != "quantized"
    if not (name.startswith(("int", "uint")) and name.strip("uint") in "1234567")
]


def patterns(count: int) -> bytes:
    """Bytes among which are zeros, infinities and NaNs of every dtype."""
    random = np.random.default_rng(7).bytes(count * 64)
    sixteen = np.arange(1 << 16, dtype="<u2")
    wide = [(sixteen.astype(f"<u{n}") << (8 * n - 16)).tobytes() for n in (2, 4, 8)]
    return bytes(range(256)) + random + b"".join(wide)


def raw(name: str) -> torch.Tensor:
    """A tensor of these bytes, whatever numbers they are."""
    data = bytearray(patterns(16))
    if name == "bool":
        data = bytearray(byte & 1 for byte in data)
    size = DTYPES[name].itemsize
    count = len(data) // size
    storage = torch.frombuffer(data, dtype=torch.uint8).untyped_storage()
    empty = torch.empty(0, dtype=getattr(torch, name))
    return empty.set_(storage, 0, (count,), (1,))


def parsed(value: Any) -> Any:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return load(file)


def memory(value: torch.Tensor) -> bytes:
    """The elements of a contiguous tensor as they lie there."""
    nbytes = value.numel() * value.element_size()
    return bytes((ctypes.c_ubyte * nbytes).from_address(value.data_ptr()))


@pytest.mark.parametrize("name", HELD)
def test_the_bytes_of_every_dtype(name: str) -> None:
    value = raw(name)
    read = parsed(value)
    assert read.dtype == name
    assert read.tobytes() == memory(value) == read.numpy().tobytes()
    if name.startswith(("bits", "float4")):
        return  # of which torch can do nothing but keep them
    pieces = [value[: 6 * 40].reshape(6, 40).T, value[::7], value[:3].expand(2, 3)]
    for piece, seen in zip(pieces, parsed(pieces), strict=True):
        assert seen.tobytes() == memory(piece.contiguous())


@pytest.mark.parametrize("name", ["float64", "float32", "float16", "int64", "bool"])
def test_the_array_is_that_of_torch(name: str) -> None:
    value = raw(name)[:50]
    theirs, array = value.numpy(), parsed(value).numpy()
    assert theirs.dtype == array.dtype
    assert theirs.tobytes() == array.tobytes()


@pytest.mark.parametrize("name", [name for name in HELD if name.startswith("float8")])
def test_the_numbers_of_ml_dtypes_are_those_of_torch(name: str) -> None:
    value = raw(name)[:256]
    array = parsed(value).numpy().astype(np.float32)
    assert np.array_equal(array, value.float().numpy(), equal_nan=True)


NEGATED = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16"]


@pytest.mark.parametrize("name", [*NEGATED, "int8", "uint8"])
def test_negative_numbers(name: str) -> None:
    value = torch._neg_view(raw(name))
    assert parsed(value).tobytes() == memory(value.resolve_neg())


@pytest.mark.parametrize("name", ["complex128", "complex64", "complex32"])
def test_conjugate_numbers(name: str) -> None:
    """All but NaNs of half precision, which torch makes quiet on its way."""
    value = raw(name).conj()
    unit = f"<u{DTYPES[name].swap}"
    got = np.frombuffer(parsed(value).tobytes(), unit)
    expected = np.frombuffer(memory(value.resolve_conj()), unit)
    if name == "complex32":
        number = np.frombuffer(got.tobytes(), "<f2")
        got, expected = got[~np.isnan(number)], expected[~np.isnan(number)]
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("name", ["complex128", "complex64"])
def test_negative_complex_numbers(name: str) -> None:
    """torch subtracts from 0 here, which loses the sign of zeros and of NaNs."""
    value = torch._neg_view(raw(name))
    got = parsed(value).numpy()
    expected = value.resolve_neg().numpy()
    for one, other in ((got.real, expected.real), (got.imag, expected.imag)):
        sure = ~np.isnan(one) & (one != 0)
        assert sure.sum() > 1000
        assert one[sure].tobytes() == other[sure].tobytes()


def test_what_torch_cannot_negate() -> None:
    for name in sorted(set(HELD) - {*NEGATED, "int8", "uint8"}):
        if DTYPES[name].kind == "complex":
            continue
        value = raw(name)[:3] if not name.startswith(("bits", "float4")) else raw(name)
        torch._utils.set_tensor_metadata(value, {"neg": True})
        with pytest.raises((RuntimeError, NotImplementedError)):
            value.resolve_neg()
        with pytest.raises(CheckpointError, match=f"a neg bit on {name}"):
            parsed(value).numpy()


@pytest.mark.parametrize(
    ("name", "bits"), [("quint4x2", 4), ("quint2x4", 2), ("qint8", 8), ("quint8", 8)]
)
def test_quantized_numbers(name: str, bits: int) -> None:
    """`dequantize` shows what each element is; `int_repr` leaves it packed."""
    kind = getattr(torch, name)
    numbers = torch.arange(15.0).reshape(3, 5) % (1 << min(bits, 4))
    if bits == 8:
        value = torch.quantize_per_tensor(numbers, 1.0, 0, kind)
        assert parsed(value).tobytes() == memory(value.int_repr())
    else:
        ones, zeros = torch.ones(3), torch.zeros(3)
        value = torch.quantize_per_channel(numbers, ones, zeros, 0, kind)
        assert memory(value.int_repr()) == memory(value)[: -(-15 * bits // 8)]
    assert parsed(value).numpy().tolist() == numbers.int().tolist()


# ------------------------------------------------------------------ what torch takes


def outcome(tree: Any) -> Any:
    """The tensor that torch makes of a tree, or that it refuses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.load(io.BytesIO(zipped(tree)))
        except Exception as error:  # noqa: BLE001 - torch has many ways to say no
            return error


def test_every_small_view() -> None:
    """The same sizes, strides and offsets fit into a storage, and no others."""
    counted = {True: 0, False: 0}
    data = bytes(4 * 4)
    sizes = ((0, 1, 2, 3), (0, 1, 2))
    strides = ((0, 1, 2, 5), (0, 1, 3))
    for rank in (0, 1, 2):
        for size in itertools.product(*sizes[:rank]):
            for stride in itertools.product(*strides[:rank]):
                for offset in (0, 1, 3, 4, 9):
                    tree = tensor(Bytes("FloatStorage", data), size, stride, offset)
                    theirs = outcome(tree)
                    fine = isinstance(theirs, torch.Tensor)
                    counted[fine] += 1
                    if fine:
                        read = load(io.BytesIO(zipped(tree)))
                        assert read.shape == tuple(theirs.shape)
                        assert read.stride == theirs.stride()
                        assert read.storage_offset == theirs.storage_offset()
                    else:
                        with pytest.raises(CheckpointError, match="need"):
                            load(io.BytesIO(zipped(tree)))
    assert min(counted.values()) > 100


MOST = (1 << 63) - 1


@pytest.mark.parametrize(
    ("size", "stride", "offset", "metadata"),
    [
        ((0, 1 << 62, 1 << 62), (1, 1, 1), 0, None),
        ((1 << 62, 1 << 62, 0), (1, 1, 1), 0, None),
        ((1 << 62,), (0,), 0, None),
        ((1 << 62, 2), (0, 0), 0, None),
        ((MOST,), (0,), 0, None),
        ((MOST + 1,), (0,), 0, None),
        ((1,), (MOST,), 0, None),
        ((1,), (MOST + 1,), 0, None),
        ((0,), (1,), MOST, None),
        ((0,), (1,), MOST + 1, None),
        ((2,), (1,), 0, {"neg": True}),
        ((2,), (1,), 0, {"neg": False}),
        ((2,), (1,), 0, {"conj": True}),
        ((2,), (1,), 0, {"conj": False}),
        ((2,), (1,), 0, [1]),
        ((2,), (1,), 0, []),
        ((2,), (1,), True, None),
        ((True,), (1,), 0, None),
        ((2.0,), (1,), 0, None),
        ((2,), (1, 1), 0, None),
        ([2], [1], 0, None),
    ],
)
def test_the_edges_of_what_fits(
    size: Any, stride: Any, offset: Any, metadata: Any
) -> None:
    storage = Bytes("FloatStorage", bytes(16))
    tree = tensor(storage, size, stride, offset, False, metadata)
    theirs = outcome(tree)
    if isinstance(theirs, torch.Tensor):
        read = load(io.BytesIO(zipped(tree)))
        assert read.shape == tuple(theirs.shape)
        assert read.is_neg is theirs.is_neg()
    else:
        with pytest.raises(CheckpointError):
            load(io.BytesIO(zipped(tree)))


def test_gradients_of_v3() -> None:
    """torch writes what it cannot load: a row of the ledger."""
    value = torch.ones(2).to(torch.float8_e5m2).requires_grad_()
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        torch.load(file)
    assert parsed(value).requires_grad


def test_a_byte_offset_in_a_packed_tensor() -> None:
    """torch checks an offset in elements and reads at one in bytes; we do not."""
    storage = Bytes("QUInt4x2Storage", bytes([0x21, 0x43, 0x65, 0x87]))
    tree = Call(
        "torch._utils._rebuild_qtensor",
        *(storage, 2, (2,), (1,), (Name("torch.per_tensor_affine"), 1.0, 0)),
        *(False, hooks()),
    )
    theirs = outcome(tree)
    assert theirs.int_repr().tolist() == [0x65]
    assert load(io.BytesIO(zipped(tree))).numpy().tolist() == [3, 4]


def test_attributes_that_torch_has_names_for() -> None:
    """Every descriptor of `torch.Tensor` that setting an attribute would meet."""
    found = {
        name
        for kind in torch.nn.Parameter.__mro__
        for name, value in vars(kind).items()
        if hasattr(type(value), "__set__")
    }
    # Hooks are set as they are, and kept as an attribute.
    assert found - PROPERTIES == {"_backward_hooks"}


# --------------------------------------------------------------- sparse invariants


def validated(value: torch.Tensor) -> bool:
    """Whether torch, when asked, finds nothing wrong with it."""
    try:
        if value.layout is torch.sparse_coo:
            torch._validate_sparse_coo_tensor_args(
                *(
                    value._indices(),
                    value._values(),
                    value.size(),
                    value.is_coalesced(),
                ),
            )
        else:
            by_rows = value.layout in (torch.sparse_csr, torch.sparse_bsr)
            torch._validate_sparse_compressed_tensor_args(
                value.crow_indices() if by_rows else value.ccol_indices(),
                value.col_indices() if by_rows else value.row_indices(),
                *(value.values(), value.size(), value.layout),
            )
    except RuntimeError:
        return False
    return True


def accepted(tree: Any) -> bool:
    try:
        return type(load(io.BytesIO(zipped(tree)))) is Tensor
    except CheckpointError:
        return False


def row(*numbers: int) -> Call:
    data = np.array(numbers, "<i8").tobytes()
    return tensor(Bytes("LongStorage", data), (len(numbers),))


def test_invariants_of_coo_are_those_of_torch() -> None:
    counted = {True: 0, False: 0}
    layout = Call("torch.serialization._get_layout", "torch.sparse_coo")
    values = tensor(Bytes("FloatStorage", bytes(8)), (2,))
    for numbers in itertools.product((0, 1, 2), repeat=4):
        data = np.array(numbers, "<i8").tobytes()
        indices = tensor(Bytes("LongStorage", data), (2, 2))
        for coalesced in (True, False):
            tree = Call(
                "torch._utils._rebuild_sparse_tensor",
                *(layout, (indices, values, (2, 2), coalesced)),
            )
            fine = validated(outcome(tree))
            assert accepted(tree) is fine, (numbers, coalesced)
            counted[fine] += 1
    assert min(counted.values()) > 20


@pytest.mark.parametrize("name", ["sparse_csr", "sparse_csc"])
def test_invariants_of_compressed_are_those_of_torch(name: str) -> None:
    counted = {True: 0, False: 0}
    layout = Call("torch.serialization._get_layout", f"torch.{name}")
    values = tensor(Bytes("FloatStorage", bytes(8)), (2,))
    for starts in itertools.product((0, 1, 2), repeat=3):
        for index in itertools.product((-1, 0, 1, 2), repeat=2):
            parts = (row(*starts), row(*index), values, (2, 2))
            tree = Call("torch._utils._rebuild_sparse_tensor", layout, parts)
            fine = validated(outcome(tree))
            assert accepted(tree) is fine, (starts, index)
            counted[fine] += 1
    assert min(counted.values()) > 5


@pytest.mark.parametrize("name", ["sparse_bsr", "sparse_bsc"])
def test_invariants_of_blocks_are_those_of_torch(name: str) -> None:
    counted = {True: 0, False: 0}
    layout = Call("torch.serialization._get_layout", f"torch.{name}")
    for size, block in itertools.product(
        ((2, 4), (4, 2), (3, 4)), ((1, 1), (1, 2), (2, 1), (2, 2))
    ):
        values = tensor(Bytes("FloatStorage", bytes(64)), (1, *block))
        for starts in ((0, 1), (0, 0, 1), (0, 1, 1), (0, 1, 1, 1, 1), (0,)):
            for index in (0, 1, 2):
                parts = (row(*starts), row(index), values, size)
                tree = Call("torch._utils._rebuild_sparse_tensor", layout, parts)
                theirs = outcome(tree)
                fine = isinstance(theirs, torch.Tensor) and validated(theirs)
                assert accepted(tree) is fine, (size, block, starts, index)
                counted[fine] += 1
    assert min(counted.values()) > 5


def test_the_builder_writes_what_torch_writes() -> None:
    """The trees of these tests are pickles as `torch.save` would have them."""
    value = torch.arange(6.0).reshape(2, 3)
    file = io.BytesIO()
    torch.save([value, value], file)
    file.seek(0)
    reader = torch._C.PyTorchFileReader(file)
    made = tensor(Bytes("FloatStorage", bytes(24)), (2, 3))
    ours_too = dump([made, made])
    assert reader.get_record("data.pkl")[2:] == ours_too[2:]

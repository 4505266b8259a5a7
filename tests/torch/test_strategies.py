"""Arbitrary checkpoints: the parser reads in each just what torch reads.

The strategies themselves are held to what they promise too: that torch loads
what they draw, and that they do reach what they are there for.
"""

from __future__ import annotations

import io
from collections import Counter, OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.compare import compare
from conformance.loaders import oracle, ours
from generators.strategies import (
    Format,
    checkpoints,
    formats,
    keys,
    meta_tensors,
    nested_tensors,
    quantized_tensors,
    save,
    saves,
    scalars,
    sparse_tensors,
    state_dicts,
    storages,
    strided_tensors,
    tensors,
)

# torch calls complex32, nested and some sparse tensors experimental, as it loads.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

#: The same examples in every run; the search for others is not a test's work.
many = settings(
    max_examples=400,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all examples: torch maps paths only."""
    return tmp_path_factory.mktemp("strategies") / "checkpoint.pt"


def agree(path: Path, file: bytes, *, weights_only: bool) -> None:
    """Ours is equal to torch in each mode that torch has for such a file."""
    path.write_bytes(file)
    mmaps = (False, True) if file.startswith(b"PK\3\4") else (False,)
    for asked in (True, False) if weights_only else (False,):
        mine = ours.load(path, weights_only=asked)
        for mmap in mmaps:
            for trust in (False,) if asked else (False, True):
                theirs = oracle.load(
                    str(path), weights_only=asked, mmap=mmap, trust=trust
                )
                found = compare(mine, theirs)
                mode = f"weights_only={asked}, mmap={mmap}, trust={trust}"
                assert found.equal, (mode, *map(str, found.differences))


@many
@given(file=saves(weights_only=True))
def test_weights(path: Path, file: bytes) -> None:
    agree(path, file, weights_only=True)


@many
@given(file=saves(weights_only=False))
def test_whole_objects(path: Path, file: bytes) -> None:
    agree(path, file, weights_only=False)


# ---------------------------------------------------------- the strategies alone


def loaded(tree: Any) -> Any:
    return torch.load(io.BytesIO(save(tree)), weights_only=True)


def octets(storage: torch.UntypedStorage) -> bytes:
    return torch.empty(0, dtype=torch.uint8).set_(storage).numpy().tobytes()


@many
@given(strided_tensors())
def test_a_strided_tensor_survives_whole(tensor: torch.Tensor) -> None:
    again = loaded(tensor)
    for fact in ("dtype", "shape", "requires_grad"):
        assert getattr(again, fact) == getattr(tensor, fact)
    for fact in ("stride", "storage_offset", "is_conj", "is_neg"):
        assert getattr(again, fact)() == getattr(tensor, fact)()
    assert octets(again.untyped_storage()) == octets(tensor.untyped_storage())


@many
@given(
    sparse_tensors()
    | quantized_tensors()
    | nested_tensors()
    | meta_tensors()
    | tensors(format=Format(container="legacy"))
)
def test_every_kind_of_tensor_loads(tensor: torch.Tensor) -> None:
    again = loaded(tensor)
    assert type(again) is type(tensor)
    assert again.dtype == tensor.dtype
    assert again.layout == tensor.layout or tensor.is_meta
    assert again.is_nested or again.shape == tensor.shape


@many
@given(storages())
def test_a_storage_survives_whole(storage: torch.UntypedStorage) -> None:
    assert octets(loaded(storage)._untyped_storage) == octets(storage)


@many
@given(state_dicts())
def test_a_state_dict_keeps_its_metadata(tree: OrderedDict[str, torch.Tensor]) -> None:
    again = loaded(tree)
    assert list(again) == list(tree)
    assert vars(again)["_metadata"] == vars(tree)["_metadata"]


@many
@given(st.data(), st.booleans())
def test_keys_and_scalars_survive(data: st.DataObject, weights_only: bool) -> None:
    key = data.draw(keys(weights_only=weights_only))
    value = data.draw(scalars(weights_only=weights_only))
    file = io.BytesIO(save({key: value}))
    again = torch.load(file, weights_only=weights_only)
    # NaN is not equal to itself, and a set with one has no order to rely on.
    assert compare(oracle.describe(again), oracle.describe({key: value})).equal


@many
@given(checkpoints(), formats(container="zip"))
def test_a_zip_file_has_the_same_bytes_each_time(tree: Any, format: Format) -> None:
    native = Format(alignment=format.alignment, crc32=format.crc32)
    assert save(tree, native) == save(tree, native)


def test_arguments_are_checked_before_anything_is_drawn() -> None:
    with pytest.raises(TypeError, match="weights_only is a bool"):
        checkpoints(weights_only=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="format is a Format"):
        tensors(format="zip")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="container is 'zip' or 'legacy'"):
        formats(container="tar")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="can be saved"):
        storages(dtype=torch.qint8)
    with pytest.raises(ValueError, match="can be loaded"):
        strided_tensors(dtypes=[torch.uint16], format=Format(container="legacy"))


def test_what_the_legacy_stream_leaves_out() -> None:
    """The reason still holds: else the strategies could draw more."""
    file = io.BytesIO(save(torch.zeros(1, dtype=torch.uint16), Format("legacy")))
    with pytest.raises(AttributeError, match="has no attribute 'dtype'"):
        torch.load(file, weights_only=True)


def test_what_no_format_can_load() -> None:
    """A tensor of a newer dtype that requires gradients: saved, never loaded."""
    tensor = torch.zeros(1, dtype=torch.float8_e5m2).requires_grad_()
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        loaded(tensor)


# ------------------------------------------------------------------------- reach


def inside(tree: Any) -> Iterator[tuple[Any, bool]]:
    """Every object of a tree once, and whether it was met again."""
    met: Counter[int] = Counter()
    kept = []
    todo = [tree]
    while todo:
        value = todo.pop()
        met[id(value)] += 1
        if met[id(value)] > 1:
            continue
        kept.append(value)
        match value:
            case dict():
                todo += [*value.keys(), *value.values(), *vars_of(value).values()]
            case list() | tuple() | set() | frozenset():
                todo += value
            case torch.Tensor():
                todo += vars_of(value).values()
    for value in kept:
        yield value, met[id(value)] > 1


def vars_of(value: object) -> dict[str, Any]:
    return getattr(value, "__dict__", {})


#: Tensors that raise at the first question.
LAZY = (torch.nn.UninitializedParameter, torch.nn.UninitializedBuffer)


def features(tree: Any) -> Iterator[str]:
    """What a reader could get wrong, by name."""
    viewed: dict[int, list[torch.Tensor]] = {}
    for value, again in inside(tree):
        yield f"{type(value).__name__}{' shared' if again else ''}"
        if isinstance(value, LAZY):
            continue
        if not isinstance(value, torch.Tensor):
            yield from _of_value(value)
            continue
        yield from _of_tensor(value)
        if value.layout == torch.strided and not value.is_nested:
            yield from _of_view(value)
            viewed.setdefault(value.untyped_storage()._cdata, []).append(value)
    for views in viewed.values():
        if len(views) > 1:
            yield "storage shared"
            if len({view.dtype for view in views}) > 1:
                yield "storage under two dtypes"


def _of_value(value: Any) -> Iterator[str]:
    match value:
        case float() if value != value:
            yield "nan"
        case str() if any("\ud800" <= char <= "\udfff" for char in value):
            yield "surrogate"
        case int() if abs(value) >= 1 << 64:
            yield "long"
        case list() | dict() if _leads_to(value, value):
            yield f"cyclic {type(value).__name__}"


def _of_tensor(tensor: torch.Tensor) -> Iterator[str]:
    yield str(tensor.dtype)
    yield str(tensor.layout)
    yield f"rank {tensor.dim()}"
    for fact in ("is_quantized", "is_nested", "is_meta", "requires_grad"):
        if getattr(tensor, fact):
            yield fact
    if vars_of(tensor):
        yield "attributes"
    if isinstance(tensor, torch.nn.Parameter):
        yield f"Parameter of {tensor.layout}"


def _of_view(tensor: torch.Tensor) -> Iterator[str]:
    if tensor.is_conj():
        yield "conj"
    if tensor.is_neg():
        yield "neg"
    if tensor.numel() == 0:
        yield "no elements"
    else:
        if 0 in tensor.stride():
            yield "stride 0"
        if not tensor.is_contiguous():
            yield "steps"
        seen = tensor.numel() * tensor.element_size()
        if seen < tensor.untyped_storage().nbytes():
            yield "part of a storage"
    if tensor.storage_offset():
        yield "offset"


def _leads_to(value: Any, target: Any) -> bool:
    below = value.values() if isinstance(value, dict) else value
    return any(child is target for outer in below for child, _ in inside(outer))


PLAIN = """
    NoneType bool int float str bytes bytearray complex dtype device Size layout
    dict list tuple set OrderedDict Counter UntypedStorage TypedStorage Tensor
    Parameter nan surrogate long
    list#shared dict#shared OrderedDict#shared tuple#shared Tensor#shared
    Parameter#shared cyclic#list cyclic#dict storage#shared storage#under#two#dtypes
    torch.sparse_coo torch.sparse_csr torch.sparse_csc torch.sparse_bsr
    torch.sparse_bsc is_quantized is_nested is_meta requires_grad attributes
    Parameter#of#torch.strided Parameter#of#torch.sparse_coo conj neg no#elements
    stride#0 steps part#of#a#storage offset rank#0 rank#1 rank#2 rank#5 rank#6
    torch.qint8 torch.quint8 torch.qint32 torch.quint4x2 torch.quint2x4
"""
DTYPES = """
    float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex128
    complex64 complex32 uint16 uint32 uint64 float8_e4m3fn float8_e5m2
    float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2 bits8 bits16
    bits1x8 bits2x4 bits4x2
"""
OBJECTS = """
    ndarray datetime timedelta PurePosixPath
    frozenset range Decimal Fraction defaultdict
    deque Namespace SimpleNamespace Linear BatchNorm1d Sequential SGD Generator
    UninitializedParameter max type
"""


def names(text: str) -> set[str]:
    return {name.replace("#", " ") for name in text.split()}


@pytest.mark.parametrize(
    ("weights_only", "expected"),
    [
        (True, names(PLAIN) | {f"torch.{name}" for name in DTYPES.split()}),
        (False, names(OBJECTS)),
    ],
    ids=["weights_only", "objects"],
)
def test_the_strategies_reach_all_they_are_there_for(
    weights_only: bool, expected: set[str]
) -> None:
    reached: Counter[str] = Counter()

    @settings(many, max_examples=1500)
    @given(checkpoints(weights_only=weights_only))
    def collect(tree: Any) -> None:
        reached.update(set(features(tree)))

    collect()
    assert expected - reached.keys() == set()


def test_the_features_are_told_apart() -> None:
    """The judge of the reach, on trees whose features are plain to see."""
    knot: list[Any] = []
    knot.append({"k": knot})
    assert "cyclic list" in set(features(knot))
    assert not {"cyclic list", "list shared"} & set(features([[], []]))
    base = torch.zeros(4, 2)
    assert {"storage shared", "steps"} <= set(features([base, base.t()]))
    assert "storage shared" not in set(features([base, base.clone()]))

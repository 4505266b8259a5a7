"""Containers against torch: the same streams, tars, archives and folders."""

from __future__ import annotations

import io
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.state_dict_loader import load as load_distributed
from torch.distributed.checkpoint.state_dict_saver import save as save_distributed
from torch.package.package_exporter import PackageExporter

from conformance.compare import compare
from conformance.loaders import oracle, ours
from conformance.parser import NotACheckpoint, Object, Tensor, load
from tests.builders import distributed, streams, tar_cases
from tests.builders.plain import plain


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """torch warns of what it deprecates, and we come to see it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pt"


def differences(
    path: Path, *, weights_only: bool = False, encoding: str = "utf-8"
) -> list[str]:
    """Between what we and what torch read in a file, as a person reads them."""
    mode: dict[str, Any] = {"weights_only": weights_only, "encoding": encoding}
    theirs = oracle.load(str(path), trust=True, **mode)
    return [
        str(found) for found in compare(ours.load(path, **mode), theirs).differences
    ]


def same(mine: Any, theirs: Any) -> bool:
    """Whether two descriptions are equal, bit for bit."""
    return not compare(mine, theirs).differences


def same_tensor(mine: Any, theirs: torch.Tensor) -> bool:
    return (
        type(mine) is Tensor
        and mine.shape == tuple(theirs.shape)
        and f"torch.{mine.dtype}" == str(theirs.dtype)
        and mine.tobytes() == bytes(theirs.flatten().view(torch.uint8))
    )


# ------------------------------------------------------------ streams and tars


@pytest.mark.parametrize("case", streams.CASES, ids=str)
def test_torch_reads_the_same_stream(case: streams.Case, path: Path) -> None:
    path.write_bytes(case.data)
    for weights_only in {False, not case.unsafe}:
        mode: dict[str, Any] = {"weights_only": weights_only, "encoding": case.encoding}
        assert differences(path, **mode) == []


@pytest.mark.parametrize("case", tar_cases.CASES, ids=str)
def test_torch_reads_the_same_tar(case: tar_cases.Case, path: Path) -> None:
    path.write_bytes(case.data)
    assert differences(path, encoding=case.encoding) == []


NESTED = [torch.ones(2), torch.zeros(3)]


def _shared() -> Any:
    base = torch.arange(12.0)
    return {
        "whole": base.view(3, 4),
        "part": base[2:7:2],
        "again": base,
        "half": base.to(torch.float16),
        "nothing": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(base[:3]),
        "storage": base.storage(),
    }


def _odd() -> Any:
    return {
        "coo": torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.0, 0.0]]).to_sparse(),
        "csr": torch.eye(3).to_sparse_csr(),
        "bsc": torch.ones(4, 4).to_sparse_bsc((2, 2)),
        "jagged": torch.nested.nested_tensor(NESTED, layout=torch.jagged),
        "conj": torch.tensor([1 + 2j]).conj(),
        "quantized": torch.quantize_per_tensor(torch.ones(3), 0.5, 1, torch.qint8),
        "meta": torch.empty(2, 3, device="meta"),
        "attribute": _with_attribute(),
    }


def _with_attribute() -> torch.Tensor:
    tensor = torch.ones(2)
    tensor.note = "kept"  # type: ignore[attr-defined]
    return tensor


TREES: dict[str, Callable[[], Any]] = {
    "shared storages": _shared,
    "sparse, jagged, quantized": _odd,
    "a module": lambda: torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.GRU(1, 2)),
    "an optimizer": lambda: torch.optim.Adam(torch.nn.Linear(1, 1).parameters()),
    "a state dict": lambda: torch.nn.BatchNorm1d(3).state_dict(),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", TREES)
def test_what_torch_saves(name: str, zipped: bool, protocol: int, path: Path) -> None:
    torch.save(
        TREES[name](),
        path,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=zipped,
    )
    assert differences(path) == []


def test_what_torch_builds_before_its_bytes_are_there(path: Path) -> None:
    """In a legacy stream the bytes come last, and torch does not wait for them.

    It takes a generator's state, and sizes and strides, from whatever lies in
    memory. What it says then is a matter of luck, so it is not asked.
    """
    torch.save(torch.Generator(), path, _use_new_zipfile_serialization=False)
    assert load(path, weights_only=False).name == "torch._C.Generator"
    nested = torch.nested.nested_tensor(NESTED)
    torch.save(nested, path, _use_new_zipfile_serialization=False)
    found = load(path)
    assert plain(found.parts["values"]) == [1, 1, 0, 0, 0]
    assert plain(found.parts["sizes"]) == [[2], [3]]


def test_streams_in_a_row(path: Path) -> None:
    trees = [_shared()["whole"], {"a": torch.ones(2)}, torch.zeros(0)]
    with path.open("wb") as file:
        file.write(b"head")
        for tree in trees:
            torch.save(tree, file, _use_new_zipfile_serialization=False)
        file.write(b"tail")
    with path.open("rb") as mine, path.open("rb") as theirs:
        mine.seek(4)
        theirs.seek(4)
        for _ in trees:
            found = ours.describe(load(mine))
            read = oracle.describe(torch.load(theirs))
            assert same(found, read)
            assert mine.tell() == theirs.tell()
        assert mine.read() == b"tail"


# --------------------------------------------------------------- plain pickles


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.arange(6.0).view(2, 3),
        lambda: torch.ones(2, dtype=torch.bfloat16),
        lambda: torch.nn.Parameter(torch.ones(2)),
        torch.arange(4)[1:].storage,
        lambda: OrderedDict(torch.nn.Linear(2, 1).state_dict()),
        lambda: [torch.ones(1), {"a": torch.zeros(2, 0)}],
    ],
    ids=["tensor", "bfloat16", "parameter", "storage", "state dict", "several"],
)
def test_plain_pickles(make: Callable[[], Any], protocol: int) -> None:
    data = pickle.dumps(make(), protocol)
    found = ours.load(io.BytesIO(data), weights_only=False)
    assert same(found, oracle.describe(pickle.loads(data)))


def test_a_plain_pickle_of_what_torch_cannot_read_back() -> None:
    """uint16 goes through a legacy stream with an untyped storage."""
    tensor = torch.tensor([1, 60000], dtype=torch.uint16)
    data = pickle.dumps(tensor)
    with pytest.raises(AttributeError, match="UntypedStorage"):
        pickle.loads(data)
    assert same_tensor(load(io.BytesIO(data), weights_only=False), tensor)


# ------------------------------------------------------------------ TorchScript


class Inner(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.linear(x)
        return found + torch.tensor([1.0, 2.0])


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.ModuleList([Inner(), Inner()])
        self.register_buffer("whole", torch.arange(4.0))
        self.register_buffer("part", self.get_buffer("whole")[1:3])
        self.numbers = [1, 2]
        self.names = {"a": 1.5}
        self.pair = (1, "x")
        self.tensors = [torch.ones(1), torch.zeros(2)]
        self.nothing = None
        self.device = torch.device("cpu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.inner:
            x = layer(x)
        return x


def _script() -> Any:
    return torch.jit.script(Net())


SCRIPTS: dict[str, Callable[[Path], Any]] = {
    "scripted": lambda path: torch.jit.save(_script(), path),
    "with extra files": lambda path: torch.jit.save(
        _script(), path, _extra_files={"notes.txt": "hello"}
    ),
    "for the lite interpreter": lambda path: _script()._save_for_lite_interpreter(
        str(path)
    ),
}


class Odd(torch.nn.Module):
    """What torch.load itself knows nothing of, and torch.jit.load does."""

    def __init__(self) -> None:
        super().__init__()
        self.meta = torch.empty(2, 3, device="meta")
        self.coo = torch.eye(3).to_sparse()
        self.csr = torch.eye(3).to_sparse_csr()
        self.wide = torch.tensor([1, 9], dtype=torch.uint16)
        self.small = torch.ones(2).to(torch.float8_e5m2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


SCRIPTS["what only C++ reads"] = lambda path: torch.jit.save(
    torch.jit.script(Odd()), path
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_torchscript(name: str, path: Path) -> None:
    SCRIPTS[name](path)
    assert differences(path) == []


def test_quantized_torchscript(path: Path) -> None:
    """Packed weights are objects of a class that only C++ has."""
    engine = torch.backends.quantized.supported_engines[-1]
    torch.backends.quantized.engine = engine
    linear = torch.nn.Sequential(
        torch.ao.quantization.QuantStub(),
        torch.nn.Linear(4, 3),
        torch.ao.quantization.DeQuantStub(),
    ).eval()
    linear.qconfig = torch.ao.quantization.get_default_qconfig(engine)
    torch.ao.quantization.prepare(linear, inplace=True)
    linear(torch.ones(1, 4))
    torch.ao.quantization.convert(linear, inplace=True)
    torch.jit.save(torch.jit.trace(linear, torch.ones(1, 4)), path)
    assert differences(path) == []
    layer = load(path, weights_only=False).state["1"].state["_packed_params"]
    packed = layer.state["_packed_params"]
    assert packed.name == "__torch__.torch.classes.quantized.LinearPackedParamsBase"


def test_constants_of_a_trace(path: Path) -> None:
    """The code's own tensors; those of a frozen module are all there is."""
    module = torch.jit.trace(Inner().eval(), torch.ones(1, 2))
    torch.jit.save(module, path)
    found = load(path, weights_only=False)
    weight = found.state["linear"].state["weight"]
    assert same_tensor(weight, module.linear.weight.detach())
    assert same_tensor(found.kwargs["constants"][0], torch.tensor([1.0, 2.0]))
    torch.jit.save(torch.jit.freeze(module), path)
    found = load(path, weights_only=False)
    assert found.state == {}
    assert [tensor.shape for tensor in found.kwargs["constants"]] == [
        (2, 2),
        (2,),
        (2,),
    ]


def test_dtypes_and_layouts_that_only_cpp_writes(path: Path) -> None:
    class Odd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("a", torch.ones(2).to(torch.float8_e5m2))
            self.register_buffer("b", torch.tensor([1, 9], dtype=torch.uint16))
            self.coo = torch.eye(3).to_sparse()
            self.csr = torch.eye(3).to_sparse_csr()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    torch.jit.save(torch.jit.script(Odd()), path)
    theirs: Any = torch.jit.load(path)
    mine = load(path, weights_only=False).state
    assert same_tensor(mine["a"], theirs.a)
    assert same_tensor(mine["b"], theirs.b)
    assert mine["coo"].parts["is_coalesced"] == theirs.coo.is_coalesced()
    assert same_tensor(mine["coo"].parts["indices"], theirs.coo._indices())
    assert same_tensor(mine["coo"].parts["values"], theirs.coo._values())
    for name in ("crow_indices", "col_indices", "values"):
        assert same_tensor(mine["csr"].parts[name], getattr(theirs.csr, name)())


STORAGE_NAMES = [
    *("uint16", "uint32", "uint64", "complex32", "bits8", "bits1x8", "bits2x4"),
    *("bits4x2", "bits16", "float8_e5m2", "float8_e4m3fn", "float8_e5m2fnuz"),
    *("float8_e4m3fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2", "int4", "uint4"),
    *("float32", "bfloat16", "bool", "complex64", "int64"),
]


@pytest.mark.parametrize("name", STORAGE_NAMES)
def test_every_dtype_as_cpp_saves_it(name: str) -> None:
    dtype = getattr(torch, name)
    raw = torch.arange(16, dtype=torch.uint8).untyped_storage()
    tensor = torch.empty(0, dtype=dtype).set_(raw, 0, (2,), (1,))
    data = torch._C._pickle_save(tensor)
    found = load(io.BytesIO(data), weights_only=False)
    theirs = torch._C._pickle_load_obj(data)
    assert (found.dtype, f"torch.{name}") == (name, str(theirs.dtype))
    assert found.storage is not None
    assert bytes(found.storage.data) == bytes(theirs.untyped_storage().tolist())


@pytest.mark.parametrize(
    "tree",
    [
        {1: 2, 3: 4},
        {"d": {"e": [{"f": 1}]}},
        [torch.ones(2), torch.zeros(3)],
        ([1.5], [1], ["x"], None, True, "s", 1 + 2j),
        torch.tensor([1 + 2j]).conj(),
    ],
    ids=["ints", "nested", "tensors", "lists", "conj"],
)
def test_what_cpp_saves(tree: Any, path: Path) -> None:
    path.write_bytes(torch._C._pickle_save(tree))
    assert differences(path) == []


# ---------------------------------------------------- files that are none of ours


def test_flatbuffers_packages_and_programs_are_called_by_name(path: Path) -> None:
    _script()._save_for_lite_interpreter(str(path), _use_flatbuffer=True)
    with pytest.raises(NotACheckpoint, match="as a flatbuffer"):
        load(path)
    with PackageExporter(path) as exporter:
        exporter.save_pickle("model", "model.pkl", torch.ones(2))
    with pytest.raises(NotACheckpoint, match=r"torch\.package"):
        load(path)
    program = torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),))
    torch.export.save(program, path.with_suffix(".pt2"))
    with pytest.raises(NotACheckpoint, match=r"torch\.export"):
        load(path.with_suffix(".pt2"))


# ------------------------------------------------------- distributed checkpoints

STATE = {
    "w": torch.arange(12.0).reshape(3, 4),
    "b": torch.ones(3, dtype=torch.bfloat16),
    "scalar": torch.tensor(5),
    "nothing": torch.zeros(0, 3),
    "step": 5,
    "nested": {"x": torch.zeros(2), "l": [torch.ones(1), "name"]},
}


@pytest.mark.parametrize("single", [True, False], ids=["a file", "several files"])
def test_distributed_checkpoints(single: bool, tmp_path: Path) -> None:
    writer = FileSystemWriter(tmp_path, single_file_per_rank=single)
    save_distributed(STATE, storage_writer=writer)
    found = load(tmp_path)
    assert list(found) == [
        *("w", "b", "scalar", "nothing", "step"),
        *("nested.x", "nested.l.0", "nested.l.1"),
    ]
    for name in ("w", "b", "scalar", "nothing"):
        assert same_tensor(found[name], STATE[name])  # type: ignore[arg-type]
    assert (found["step"], found["nested.l.1"]) == (5, "name")
    files = sorted(tmp_path.glob("*.distcp"))
    assert len(files) == (1 if single else 8)
    held = [value for file in files for value in load(file)]
    assert sorted(map(repr, held)) == sorted(map(repr, found.values()))


def test_torch_reads_our_distributed_checkpoints(tmp_path: Path) -> None:
    """Pieces on two ranks: what the builder writes is what torch means."""
    size = distributed.size
    described = {
        "w": distributed.tensor_of(
            size(3, 2), (size(0, 0), size(2, 2)), (size(2, 0), size(1, 2))
        )
    }
    pieces = [
        distributed.Piece("w", distributed.matrix(2, 2), offsets=size(0, 0)),
        distributed.Piece(
            "w", distributed.matrix(1, 2, 4), "__1_0.distcp", offsets=size(2, 0)
        ),
    ]
    distributed.folder(
        tmp_path, described, *pieces, planner_data=None, storage_meta=None, version=None
    )
    state = {"w": torch.full((3, 2), -1.0)}
    load_distributed(state, checkpoint_id=tmp_path)
    assert state["w"].tolist() == [[0, 1], [2, 3], [4, 5]]
    found = load(tmp_path)["w"]
    assert isinstance(found, Object)
    assert plain(found.state["chunks"]) == [
        ((0, 0), [[0, 1], [2, 3]]),
        ((2, 0), [[4, 5]]),
    ]

"""torch as a loader: in each mode, inert unless trusted, and in a process."""

from __future__ import annotations

import collections
import io
import json
import pickle
import time
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing._internal.two_tensor import TwoTensor

from conformance import walk
from conformance.compare import compare
from conformance.description import (
    Description,
    Mapping,
    Object,
    Scalar,
    Sequence,
    StorageValue,
    Tensor,
    from_json,
    to_json,
)
from conformance.loaders import oracle, ours
from conformance.loaders.reference import MODES, Mode, Reference
from conformance.loaders.worker import (
    Answer,
    Crash,
    Hang,
    Nondeterministic,
    OutOfMemory,
    Rejected,
)

Save = Callable[..., str]


class Marked(torch.Tensor):
    """A subclass without a state of its own."""


class Stateful(torch.Tensor):
    """A subclass whose state only it understands."""

    def __getstate__(self) -> Any:
        return ["a", 1]

    def __setstate__(self, state: Any) -> None:
        self.given = state


class Bag(dict[Any, Any]):
    """A dict that is not just one."""


class Custom:
    def __init__(self) -> None:
        self.weight = torch.ones(2)


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def saver(value: object, name: str = "file.pt", **options: Any) -> str:
        path = tmp_path / name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.save(value, path, **options)
        return str(path)

    return saver


@pytest.fixture
def pickled(tmp_path: Path) -> Callable[..., str]:
    """A zip archive around a pickle written by hand."""

    def writer(*opcodes: bytes, **records: bytes) -> str:
        path = tmp_path / "hand.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", b"\x80\x02" + b"".join(opcodes) + b".")
            archive.writestr("a/version", "3\n")
            for name, data in records.items():
                archive.writestr(f"a/{name}", data)
        return str(path)

    return writer


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    with Reference(timeout=60, memory=1 << 31) as reference:
        yield reference


def tensor(description: Description, index: int = 0) -> Tensor:
    node = description.nodes[index]
    assert isinstance(node, Tensor)
    return node


def items(description: Description) -> list[Tensor]:
    """The tensors of a list, in order."""
    root = description.nodes[0]
    assert isinstance(root, Sequence)
    return [tensor(description, item) for item in root.items]


def value(description: Description, index: int) -> str:
    node = description.nodes[index]
    assert isinstance(node, Scalar)
    return node.value


def agree(path: str, **options: Any) -> None:
    """All modes of torch and of ours say the same."""
    expected = oracle.load(path, weights_only=False)
    for mode in MODES:
        found = oracle.load(path, weights_only=mode.weights_only, mmap=mode.mmap)
        assert compare(found, expected).differences == ()
        mine = ours.load(path, weights_only=mode.weights_only)
        assert compare(mine, expected).differences == ()
        assert to_json(from_json(to_json(found))) == to_json(found)


# --------------------------------------------------------------- what torch says


def test_the_facts_of_a_tensor(save: Save) -> None:
    whole = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    path = save([whole, whole.t()[1:, 1:], torch.nn.Parameter(whole)])
    agree(path)
    description = oracle.load(path)
    first, view, parameter = items(description)
    assert first == Tensor(
        type="torch.Tensor", dtype="float32", shape=(3, 4), stride=(4, 1), storage=0
    )
    assert (view.shape, view.stride, view.storage_offset) == ((3, 2), (1, 4), 5)
    assert parameter.type == "torch.nn.parameter.Parameter"
    assert parameter.requires_grad
    assert {first.storage, view.storage, parameter.storage} == {0}
    (storage,) = description.storages
    assert storage.data is not None
    assert storage.data.read(0, 48) == whole.numpy().tobytes()
    hashes = [tensor.sha256 for tensor in walk.flat(description)]
    assert hashes == [tensor.sha256 for tensor in walk.flat(ours.load(path))]
    assert None not in hashes


def quantized() -> list[Any]:
    values = torch.linspace(-1, 1, 8).reshape(4, 2)
    scales, zeros = torch.rand(4), torch.zeros(4)
    return [
        torch.quantize_per_tensor(values, 0.1, 3, torch.qint8),
        torch.quantize_per_tensor(values, 0.1, 0, torch.qint32),
        torch.quantize_per_channel(
            values, scales.double(), zeros.long(), 0, torch.quint8
        ),
    ]


def sparse() -> list[Any]:
    dense = torch.tensor([[1.0, 0], [0, 2]])
    return [
        dense.to_sparse(),
        dense.to_sparse_csr(),
        dense.to_sparse_csc(),
        dense.to_sparse_bsr((1, 1)),
        dense.to_sparse_bsc((1, 1)),
    ]


def dtypes() -> list[Any]:
    values = torch.tensor([0.0, 1, 2, 3])
    return [
        values.to(getattr(torch, name))
        for name in (
            *("float64", "float16", "bfloat16", "int64", "int32", "int16", "int8"),
            *("uint8", "bool", "uint16", "uint32", "uint64", "complex128"),
            *("complex64", "complex32", "float8_e5m2", "float8_e4m3fn"),
            *("float8_e5m2fnuz", "float8_e4m3fnuz", "float8_e8m0fnu"),
        )
    ]


def nested() -> Any:
    return torch.nested.nested_tensor([torch.rand(2, 3), torch.rand(4, 3)])


def attributed() -> Any:
    result: Any = torch.ones(2)
    result.note = ["a", torch.ones(1)]
    return result


def state() -> Any:
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.rand(4, 2)).sum().backward()
    optimizer.step()
    return {
        "model": network.state_dict(),
        "parameters": network.state_dict(keep_vars=True),
        "optimizer": optimizer.state_dict(),
    }


def cycle() -> Any:
    result: list[Any] = [torch.ones(1)]
    result.append({"self": result})
    return result


CASES: dict[str, Callable[[], Any]] = {
    "quantized": quantized,
    "sparse": sparse,
    "dtypes": dtypes,
    "nested": nested,
    "attributes": attributed,
    "state dicts": state,
    "a cycle": cycle,
    "conj": lambda: [torch.tensor([1j, 2]).conj(), torch.tensor([1j]).conj().imag],
    "meta": lambda: [torch.empty(2, 3, device="meta")] * 2,
    "empty": lambda: [torch.empty(0), torch.empty(0, 3)],
    "buffer": lambda: torch.nn.Buffer(torch.ones(2)),
    "torch's own": lambda: [
        *(torch.Size([1]), torch.float32, torch.per_tensor_affine, torch.strided),
        *(torch.device("cuda", 1), torch.device("cpu")),
    ],
    "untyped storage": lambda: torch.ones(2).untyped_storage(),
    "typed storage": lambda: torch.ones(2)._typed_storage(),
    "containers": lambda: OrderedDict(
        a=collections.Counter("aab"), b={(1, "x"): -0.0}, c={1, 2}, d=[1j, b"x"]
    ),
    "not a number": lambda: float("nan"),
}


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("case", CASES)
def test_both_readers_agree(case: str, protocol: int, save: Save) -> None:
    with warnings.catch_warnings():
        # Quantized and nested tensors are deprecated, or prototypes.
        warnings.simplefilter("ignore")
        made = CASES[case]()
    path = save(made, pickle_protocol=protocol)
    if protocol == 3 and case == "containers":
        # Bytes have opcodes of their own, which weights_only=True lacks.
        with pytest.raises(pickle.UnpicklingError, match="Unsupported operand"):
            oracle.load(path)
    else:
        agree(path)


def test_parts_go_by_the_names_of_their_accessors(save: Save) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = [*sparse(), *quantized()[1:], nested()]
    found = items(oracle.load(save(made)))
    assert [(node.layout, list(node.parts)) for node in found] == [
        ("sparse_coo", ["indices", "values", "is_coalesced"]),
        ("sparse_csr", ["crow_indices", "col_indices", "values"]),
        ("sparse_csc", ["ccol_indices", "row_indices", "values"]),
        ("sparse_bsr", ["crow_indices", "col_indices", "values"]),
        ("sparse_bsc", ["ccol_indices", "row_indices", "values"]),
        ("strided", ["qscheme", "scale", "zero_point"]),
        ("strided", ["qscheme", "scales", "zero_points", "axis"]),
        ("nested", ["values", "sizes", "strides", "storage_offsets"]),
    ]
    assert found[-1].shape == (2, -1, -1)
    assert [node.stride is None for node in found] == [True] * 5 + [False] * 2 + [True]


def test_a_jagged_tensor(save: Save, reference: Reference) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.nested.nested_tensor(
            [torch.rand(2, 3), torch.rand(4, 3)], layout=torch.jagged
        )
    path = save(made)
    agree(path)
    found = tensor(oracle.load(path))
    assert (found.layout, found.shape, found.stride) == ("jagged", (2, -1, 3), None)
    assert list(found.parts)[:4] == ["values", "offsets", "lengths", "ragged_idx"]
    # A process that has imported no more than torch.
    assert isinstance(reference.load(path), Answer)


def test_sharing_and_identity(save: Save) -> None:
    values = torch.ones(3)
    tied = torch.nn.Parameter(values)
    path = save({"a": tied, "b": tied, "c": torch.nn.Parameter(values), "v": values})
    agree(path)
    description = oracle.load(path)
    root = description.nodes[0]
    assert isinstance(root, Mapping)
    a, b, c, v = (index for _, index in root.pairs)
    assert a == b
    assert len({a, c, v}) == 3
    assert len(description.storages) == 1


def test_a_typed_storage(save: Save) -> None:
    node = oracle.load(save(torch.ones(2)._typed_storage())).nodes[0]
    assert node == StorageValue(
        type="torch.storage.TypedStorage", dtype="float32", storage=0
    )


# ------------------------------------------------------------------------- inert

GLOBAL = b"c%b\n%b\n"


def test_nothing_runs(pickled: Callable[..., str], tmp_path: Path) -> None:
    target = tmp_path / "ran"
    text = str(target).encode()
    path = pickled(
        GLOBAL % (b"os", b"mkdir"),
        b"X" + len(text).to_bytes(4, "little") + text + b"\x85R",
    )
    description = oracle.load(path, weights_only=False)
    assert not target.exists()
    node = description.nodes[0]
    assert isinstance(node, Object)
    assert node.type == "os.mkdir"
    assert value(description, node.args[0]) == str(target)
    assert compare(ours.load(path, weights_only=False), description).equal
    oracle.load(path, weights_only=False, trust=True)
    assert target.exists()


def test_nothing_runs_in_a_checkpoint_inside(
    pickled: Callable[..., str], tmp_path: Path
) -> None:
    target = tmp_path / "ran"
    text = str(target).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        command = b"cos\nmkdir\nX" + len(text).to_bytes(4, "little") + text
        archive.writestr("a/data.pkl", b"\x80\x02" + command + b"\x85R.")
        archive.writestr("a/version", "3\n")
    inner = buffer.getvalue()
    path = pickled(
        GLOBAL % (b"torch.storage", b"_load_from_bytes"),
        b"B" + len(inner).to_bytes(4, "little") + inner + b"\x85R",
    )
    node = oracle.load(path, weights_only=False).nodes[0]
    assert node.type == "os.mkdir"
    assert not target.exists()


def test_functions_cannot_be_changed_for_the_next_file(
    pickled: Callable[..., str], save: Save
) -> None:
    changed = pickled(
        GLOBAL % (b"torch._utils", b"_rebuild_tensor_v2"),
        b"N}X\x0c\0\0\0__defaults__)s\x86b",
    )
    with pytest.raises(Exception, match="BUILD of the function"):
        oracle.load(changed, weights_only=False)
    oracle.load(save(torch.ones(2)), weights_only=False)


OBJECTS: dict[str, Callable[[], Any]] = {
    "modules": lambda: torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LSTM(3, 2)),
    "optimizer": lambda: torch.optim.SGD(
        torch.nn.Linear(2, 3).parameters(), 0.1, momentum=0.5
    ),
    "wrapper": lambda: TwoTensor(torch.ones(2, 3), torch.zeros(2, 3)),
    "subclass": lambda: torch.ones(3).as_subclass(Marked),
    "object": Custom,
    "numpy": lambda: [np.arange(6.0).reshape(2, 3).T, np.float32(1), np.dtype(">i4")],
    "numpy objects": lambda: np.array(["a", None], dtype=object),
    "plain": lambda: [
        Path("/a"),
        range(3),
        slice(1),
        ...,
        frozenset("a"),
        bytearray(2),
    ],
    "defaultdict": lambda: collections.defaultdict(list, {1: [2]}),
    "generator": torch.Generator,
    "uninitialized": torch.nn.parameter.UninitializedParameter,
    "functions": lambda: [torch.nn.functional.relu, torch.nn.Linear, len],
}


@pytest.mark.parametrize("case", OBJECTS)
def test_inert_live_and_ours_are_one(case: str, save: Save) -> None:
    path = save(OBJECTS[case]())
    inert = oracle.load(path, weights_only=False)
    live = oracle.load(path, weights_only=False, trust=True)
    assert compare(inert, ours.load(path, weights_only=False)).differences == ()
    assert compare(inert, live).differences == ()


def test_a_state_that_only_the_class_understands(save: Save) -> None:
    path = save(torch.ones(2).as_subclass(Stateful))
    description = oracle.load(path, weights_only=False)
    found = tensor(description)
    assert found.type == f"{__name__}.Stateful"
    assert found.state is not None
    assert description.nodes[found.state].type == "list"
    assert compare(ours.load(path, weights_only=False), description).equal


def test_a_dict_of_its_own_class(save: Save) -> None:
    path = save(Bag(a=torch.ones(2)))
    description = oracle.load(path, weights_only=False)
    node = description.nodes[0]
    assert isinstance(node, Object)
    assert node.type == f"{__name__}.Bag"
    assert [value(description, key) for key, _ in node.dictitems] == ["a"]
    live = oracle.load(path, weights_only=False, trust=True)
    assert compare(description, live).equal


def test_legacy_streams(save: Save) -> None:
    network = torch.nn.Linear(2, 3)
    whole = {"net": network, "weight": network.weight}
    path = save(whole, _use_new_zipfile_serialization=False)
    inert = oracle.load(path, weights_only=False)
    assert compare(inert, ours.load(path, weights_only=False)).differences == ()
    assert compare(
        inert, oracle.load(path, weights_only=False, trust=True)
    ).differences == ()  # fmt: skip
    path = save(network.state_dict(), _use_new_zipfile_serialization=False)
    for weights_only in (True, False):
        found = oracle.load(path, weights_only=weights_only)
        assert compare(found, ours.load(path, weights_only=weights_only)).equal


class Scripted(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(2, 3)
        self.register_buffer("counts", torch.zeros(2, dtype=torch.int64))
        self.numbers = [1, 2]
        self.tables = {"a": torch.ones(1)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.inner(x))


def test_torchscript(tmp_path: Path) -> None:
    path = str(tmp_path / "script.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Scripted()), path)
    inert = oracle.load(path, weights_only=False)
    node = inert.nodes[0]
    assert isinstance(node, Object)
    assert node.type.startswith("__torch__.")
    live = oracle.load(path, weights_only=False, trust=True)
    assert compare(inert, live).differences == ()
    assert compare(ours.load(path, weights_only=False), inert).differences == ()
    with pytest.raises(RuntimeError, match="TorchScript"):
        oracle.load(path)


# ------------------------------------------------------------------ the machinery


@pytest.mark.parametrize(
    "location", ["cuda:3", "cuda", "mps", "xpu:0", "hpu", "mtia:1"]
)
@pytest.mark.parametrize("mmap", [False, True])
def test_accelerators_are_moved(
    location: str, mmap: bool, save: Save, tmp_path: Path
) -> None:
    path = relocated(save([torch.ones(2), torch.ones(3).double()]), location, tmp_path)
    for weights_only in (True, False):
        found = oracle.load(path, weights_only=weights_only, mmap=mmap)
        assert {storage.location for storage in found.storages} == {"cpu"}
        assert compare(found, ours.load(path, weights_only=weights_only)).equal


def test_meta_and_unknown_places_stay(save: Save, tmp_path: Path) -> None:
    source = save(torch.ones(2))
    found = oracle.load(relocated(source, "meta", tmp_path))
    assert (tensor(found).device, found.storages[0].sha256) == ("meta", None)
    with pytest.raises(RuntimeError, match="tagged with nowhere"):
        oracle.load(relocated(source, "nowhere", tmp_path))


def relocated(source: str, location: str, tmp_path: Path) -> str:
    """The same archive with another device tag."""
    path = tmp_path / "relocated.pt"
    tag = b"X" + len(location).to_bytes(4, "little") + location.encode()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("/data.pkl"):
                assert b"X\3\0\0\0cpu" in data
                data = data.replace(b"X\3\0\0\0cpu", tag)
            new.writestr(name, data)
    return str(path)


def test_a_wrapper_of_an_accelerator(save: Save, tmp_path: Path) -> None:
    made = TwoTensor(torch.ones(2), torch.ones(2))
    path = relocated(save(made), "cuda:0", tmp_path)
    node = tensor(oracle.load(path, weights_only=False))
    assert (node.device, node.storage) == ("cpu", None)


def test_a_failed_load_leaves_nothing_behind(
    pickled: Callable[..., str], save: Save
) -> None:
    path = pickled(GLOBAL % (b"torch._utils", b"_rebuild_sparse_tensor"), b")R")
    torch._utils._sparse_tensors_to_validate.append(torch.ones(1))
    with pytest.raises(TypeError):
        oracle.load(path)
    assert torch._utils._sparse_tensors_to_validate == []
    assert torch.serialization._serialization_tls.map_location is None


def test_the_same_json_every_time(save: Save, reference: Reference) -> None:
    path = save({"state": state(), "set": {"a", "b", "c", 1, 2}})
    first = to_json(oracle.load(path))
    for _ in range(2):
        assert to_json(oracle.load(path)) == first
        answer = reference.load(path, twice=True)
        assert isinstance(answer, Answer)
        assert to_json(answer.payload) == first


def test_twenty_thousand_tensors(save: Save) -> None:
    path = save({f"layer{n}.weight": torch.ones(2, 2) for n in range(20_000)})
    loaded = torch.load(path)
    begin = time.perf_counter()
    description = oracle.describe(loaded)
    text = to_json(description)
    assert compare(from_json(text), description).equal
    assert len(description.storages) == 20_000
    # About a second; a busy machine is given time.
    assert time.perf_counter() - begin < 30


# --------------------------------------------------------------- in its process


def test_about(reference: Reference) -> None:
    assert reference.about() == {"name": "torch", "version": str(torch.__version__)}


def test_every_mode_answers(reference: Reference, save: Save) -> None:
    path = save({"w": torch.ones(2)})
    for mode in MODES:
        answer = reference.load(path, mode)
        assert isinstance(answer, Answer)
        assert compare(answer.payload, ours.load(path)).equal
    assert [str(mode) for mode in MODES] == [
        "weights_only=True",
        "weights_only=False",
        "weights_only=True, mmap=True",
        "weights_only=False, mmap=True",
    ]


def test_bytes_are_fetched_until_the_next_load(
    reference: Reference, save: Save
) -> None:
    values = torch.zeros(50_000)
    path = save(values)
    answer = reference.load(path)
    assert isinstance(answer, Answer)
    values[40_000] = 1
    other = oracle.load(save(values, "other.pt"))
    found = compare(other, answer.payload).differences
    expected = "storage byte 160002 80 3f 00 00 00 00 00 00 != 00 00 00 00 00 00 00 00"
    assert [str(difference) for difference in found] == [f"{expected} at the root"]
    assert isinstance(reference.load(path), Answer)
    (gone,) = compare(other, answer.payload).differences
    assert gone.fact == "storage sha256"


def test_trust_is_asked_for(save: Save) -> None:
    path = save(torch.nn.Linear(2, 3))
    with Reference(trust=True) as trusting:
        answer = trusting.load(path, Mode(weights_only=False))
        assert isinstance(answer, Answer)
        assert compare(answer.payload, ours.load(path, weights_only=False)).equal
        assert isinstance(trusting.load(path, Mode(weights_only=True)), Rejected)


def test_memory_that_nothing_fills(
    reference: Reference, pickled: Callable[..., str]
) -> None:
    path = pickled(GLOBAL % (b"torch", b"FloatTensor"), b"M\x00\x10\x85R")
    assert isinstance(reference.load(path), Answer)
    result = reference.load(path, twice=True)
    assert isinstance(result, Nondeterministic)
    assert "storage byte 0" in str(result)


def test_a_crash(reference: Reference, pickled: Callable[..., str], save: Save) -> None:
    # CPython hashes a tuple by recursion: 300,000 of them are too many.
    path = pickled(b"})", b"\x85" * 300_000, b"K\x01s")
    for mode in MODES[:2]:
        result = reference.load(path, mode)
        assert isinstance(result, Crash)
        assert str(result) == "SIGSEGV"
    assert isinstance(reference.load(save(torch.ones(1))), Answer)


def test_a_hang(pickled: Callable[..., str], save: Save) -> None:
    # A small DAG of tuples takes 2**70 steps to hash.
    path = pickled(b")q\x00", b"h\x00h\x00\x86q\x00" * 70, b"}h\x00K\x01s")
    with Reference(timeout=3) as hasty:
        assert isinstance(hasty.load(save(torch.ones(1))), Answer)
        assert isinstance(hasty.load(path), Hang)
        assert isinstance(hasty.load(save(torch.ones(1))), Answer)


@pytest.mark.parametrize(
    "opcodes",
    [
        GLOBAL % (b"torch", b"FloatTensor") + b"\x8a\x05\0\0\0\0\x40\x85R",
        GLOBAL % (b"__builtin__", b"bytearray") + b"\x8a\x05\0\0\0\0\x40\x85R",
    ],
)
def test_too_much_memory(
    opcodes: bytes, reference: Reference, pickled: Callable[..., str]
) -> None:
    for mode in MODES[:2]:
        assert isinstance(reference.load(pickled(opcodes), mode), OutOfMemory)


def test_a_refusal(reference: Reference, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("no checkpoint")
    result = reference.load(path)
    assert isinstance(result, Rejected)
    assert json.dumps([result.type, result.message])
    assert reference.load(tmp_path / "missing") == Rejected(
        "FileNotFoundError",
        f"[Errno 2] No such file or directory: '{tmp_path}/missing'",
    )

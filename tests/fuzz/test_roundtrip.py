"""The round trip builds all that it can, and notices what a reader gets wrong."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.fuzz.invariants.trees import found
from conformance.fuzz.roundtrip.choices import Choices
from conformance.fuzz.roundtrip.specs import Expected
from conformance.fuzz.target import Violation
from conformance.fuzz.targets import TARGETS
from conformance.fuzz.targets.roundtrip import built
from conformance.parser import (
    CheckpointError,
    Storage,
    Tensor,
    Trace,
    context,
    load,
    unpickler,
)
from conformance.parser import globals as known
from conformance.parser.containers import archive
from conformance.parser.execute import DISPATCH
from conformance.parser.opcodes import OPCODES
from conformance.parser.registry import Call

TARGET = TARGETS["roundtrip"]
SEEDS = list(TARGET.seeds())

# ------------------------------------------------------------------------ choices


def test_choices() -> None:
    choices = Choices(b"\1\2\3\4\5")
    assert choices.below(10) == 1
    assert choices.pick("abc") == "c"
    assert choices.take(2) == b"\3\4"
    assert choices.often(2)
    assert choices.over
    assert choices.take(3) == b"\0\0\0"
    assert not choices.often(2)
    assert choices.pick("abc") == "a"


def test_what_is_expected_is_shared_alike() -> None:
    inner: list[Any] = []
    outer = {"a": inner, "b": (inner, [inner])}
    inner.append(outer)
    made = Expected()(outer)
    assert made is not outer
    assert made["a"] is made["b"][0] is made["b"][1][0]
    assert made["a"][0] is made


# -------------------------------------------------------------------- what it builds


def traces() -> Iterator[Trace]:
    for seed in SEEDS:
        trace = Trace(pickles=[])
        load(io.BytesIO(built(seed)[0]), weights_only=False, trace=trace)
        yield trace


def test_all_that_it_can_build() -> None:
    containers: Counter[str] = Counter()
    protocols: set[int] = set()
    calls: set[str] = set()
    orders: set[str | None] = set()
    ids: set[str] = set()
    for trace in traces():
        containers.update(trace.containers)
        protocols.update(trace.protocols)
        calls.update(trace.calls)
        orders.add(trace.byteorder)
        ids.update(trace.persistent_ids)
    assert {"zip", "legacy"} <= containers.keys()
    assert {0, 2, 3, 4, 5} <= protocols
    assert orders == {"little", "big", None}
    assert ids == {"storage", "view"}
    assert calls >= {
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
        "torch._utils._rebuild_qtensor",
        "torch._utils._rebuild_sparse_tensor",
        "torch._utils._rebuild_nested_tensor",
        "collections.deque",
        "collections.defaultdict",
        "datetime.datetime",
    }


def test_what_its_tensors_are() -> None:
    trees = [found(built(seed)[1]) for seed in SEEDS]
    tensors = [tensor for tree in trees for tensor in tree.tensors]
    storages = [tensor.storage for tensor in tensors if tensor.storage is not None]
    assert len({tensor.dtype for tensor in tensors}) > 20
    assert {tensor.layout for tensor in tensors} == {
        *("strided", "sparse_coo", "sparse_csr", "nested")
    }
    assert any(tensor.is_conj for tensor in tensors)
    assert any(tensor.is_neg for tensor in tensors)
    assert any(tensor.requires_grad for tensor in tensors)
    assert any(tensor.attributes for tensor in tensors)
    assert any(tensor.storage_offset for tensor in tensors)
    assert len({id(storage) for storage in storages}) < len(storages)
    assert {storage.location for storage in storages} == {"cpu", "cuda:0"}


@given(data=st.binary(max_size=400))
def test_whatever_it_builds_is_a_file(data: bytes) -> None:
    file, tree = built(data)
    assert type(load(io.BytesIO(file), weights_only=False)) is type(tree)


# --------------------------------------------------------------- what it would notice


CODES = {row.name: row.code for row in OPCODES}

#: Opcodes that leave another value than they should.
OPCODES_WRONG: dict[str, Callable[[Any], Any]] = {
    "BININT": lambda number: number & 0xFFFF_FFFF,
    "BININT1": lambda number: number + 1,
    "BININT2": lambda number: number >> 8 | (number & 0xFF) << 8,
    "LONG1": lambda number: -number,
    "LONG": lambda number: number + 1,
    "BINFLOAT": lambda number: 0.0,
    "BINUNICODE": lambda text: text[:-1],
    "SHORT_BINBYTES": lambda data: data + b"0",
    "NEWTRUE": lambda value: 1,
    "TUPLE1": lambda row: (*row, None),
    "TUPLE2": lambda row: row[::-1],
    "TUPLE3": lambda row: (row[0], row[2], row[1]),
    "BINGET": lambda value: list(value) if type(value) is list else value,
    "FROZENSET": lambda members: frozenset(),
}


@pytest.mark.parametrize("opcode", OPCODES_WRONG)
def test_a_wrong_opcode(opcode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = DISPATCH[CODES[opcode]]

    def wrong(machine: Any, position: int) -> int:
        after = right(machine, position)
        machine.stack[-1] = OPCODES_WRONG[opcode](machine.stack[-1])
        return after

    dispatch = list(DISPATCH)
    dispatch[CODES[opcode]] = wrong
    monkeypatch.setattr(unpickler, "DISPATCH", dispatch)
    assert noticed()


def _without(*names: str, **values: Any) -> Callable[[Tensor], None]:
    def change(tensor: Tensor) -> None:
        for name, value in {**dict.fromkeys(names), **values}.items():
            setattr(tensor, f"_{name}", value)

    return change


def _forget_stride(tensor: Tensor) -> None:
    tensor._stride = tensor.stride and tensor.stride[::-1]


def _forget_sharing(tensor: Tensor) -> None:
    storage = tensor.storage
    if storage is not None:
        data = bytes(storage.data) if storage.has_data else b""
        tensor._storage = Storage(
            storage.dtype, storage.nbytes, storage.location, source=memoryview(data)
        )


def _forget_bytes(tensor: Tensor) -> None:
    if tensor.storage is not None:
        tensor.storage.fill(memoryview(bytes(tensor.storage.nbytes)))


#: Facts that a rebuild function may lose.
LOST: dict[str, tuple[str, Callable[[Tensor], None]]] = {
    "the gradient": ("_rebuild_tensor_v2", _without(requires_grad=False)),
    "the gradient in v3": ("_rebuild_tensor_v3", _without(requires_grad=False)),
    "the conj bit": ("_rebuild_tensor_v2", _without(is_conj=False)),
    "the neg bit": ("_rebuild_parameter", _without(is_neg=False)),
    "the offset": ("_rebuild_tensor", _without(storage_offset=0)),
    "the stride": ("_rebuild_tensor", _forget_stride),
    "the sharing": ("_rebuild_tensor_v2", _forget_sharing),
    "the bytes": ("_rebuild_tensor_v3", _forget_bytes),
    "the class": ("_rebuild_parameter", _without(type="torch.Tensor")),
    "the attributes": ("_rebuild_parameter_with_state", _without("attributes")),
    "the scale": ("_rebuild_qtensor", _without("parts")),
    "the indices": ("_rebuild_sparse_tensor", _without("parts")),
    "the device": ("_rebuild_tensor_v2", _without(device="cpu")),
}


@pytest.mark.parametrize("what", LOST)
def test_a_lost_fact(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, change = LOST[what]
    right = known.CALLS[f"torch._utils.{name}"]

    def wrong(machine: Any, *args: Any) -> Any:
        made = right.function(machine, *args)
        change(made)
        return made

    call = Call(wrong, right.least, right.most)
    monkeypatch.setitem(known.CALLS, f"torch._utils.{name}", call)
    assert noticed()


def test_an_alias_lost_in_an_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    right = archive._persistent_load

    def forgetful(*arguments: Any) -> Callable[[Any], Storage]:
        def load(pid: Any) -> Storage:
            # With no storages from before.
            return right(*arguments)(pid)

        return load

    monkeypatch.setattr(archive, "_persistent_load", forgetful)
    assert noticed()


def test_a_number_taken_for_its_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    def spelled(pid: Any, length: int) -> Any:
        kind, key, *rest = context.storage_id(pid, length)
        return kind, str(key), *rest

    monkeypatch.setattr(f"{archive.__name__}.storage_id", spelled)
    assert noticed()


def noticed() -> bool:
    """Whether some seed shows that something is wrong."""
    for seed in SEEDS:
        try:
            TARGET.run(seed, False)
        except (Violation, CheckpointError, TypeError):
            return True
    return False


def test_nothing_is_noticed_where_nothing_is_wrong() -> None:
    assert not noticed()

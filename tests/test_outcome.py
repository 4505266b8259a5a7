"""A reader's outcome: equal digests are equal descriptions, and nearly the reverse."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.compare import compare
from conformance.description import (
    Description,
    InMemory,
    Scalar,
    Sequence,
    Storage,
    StorageValue,
    Tensor,
)
from conformance.loaders import outcome
from conformance.loaders.outcome import Outcome, digest


def tensor(**facts: Any) -> Tensor:
    known = {"dtype": "float32", "shape": (2,), "stride": (1,), "storage": 0}
    return Tensor(type="torch.Tensor", **{**known, **facts})


def storage(data: bytes, location: str = "cpu") -> Storage:
    return Storage(len(data), data=InMemory(memoryview(data)), location=location)


def of(*tensors: Tensor, storages: list[Storage] | None = None) -> Description:
    """A list of tensors on one storage, or on those given."""
    root = Sequence(type="list", items=list(range(1, len(tensors) + 1)))
    return Description([root, *tensors], storages or [storage(bytes(8))])


USUAL = of(tensor())
META = Storage(8, location="meta")

SAME = {
    "anew": of(tensor()),
    # A default and a value that is equal to it.
    "spelled": of(tensor(layout=str(b"strided", "ascii"))),
    "device": of(tensor(device="cuda:1")),
    "location": of(tensor(), storages=[storage(bytes(8), "cuda:1")]),
}


@pytest.mark.parametrize("name", SAME)
def test_what_is_the_same(name: str) -> None:
    assert compare(USUAL, SAME[name]).equal
    assert digest(USUAL) == digest(SAME[name])


def test_sharing_of_what_is_empty() -> None:
    for empty in (storage(b""), META):
        one = of(tensor(), tensor(), storages=[empty])
        two = of(tensor(), tensor(storage=1), storages=[empty, empty])
        assert compare(one, two).equal
        assert digest(one) == digest(two)


DIFFERENT = {
    "dtype": of(tensor(dtype="int32")),
    "shape": of(tensor(shape=(1,))),
    "stride": of(tensor(stride=(2,))),
    "offset": of(tensor(storage_offset=1)),
    "conj": of(tensor(is_conj=True)),
    "neg": of(tensor(is_neg=True)),
    "gradients": of(tensor(requires_grad=True)),
    "layout": of(tensor(layout="jagged")),
    "class": Description([Scalar(type="str", value="x")], []),
    "no storage": of(tensor(storage=None)),
    "bytes": of(tensor(), storages=[storage(b"\0\0\0\0\0\0\0\1")]),
    "size": of(tensor(), storages=[storage(bytes(9))]),
    "without bytes": of(tensor(), storages=[META]),
    "length": of(tensor(), tensor()),
    "kind": Description(
        [Sequence(type="list", items=[1]), StorageValue(type="x", storage=0)],
        [storage(bytes(8))],
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_different(name: str) -> None:
    assert not compare(USUAL, DIFFERENT[name]).equal
    assert digest(USUAL) != digest(DIFFERENT[name])


def test_sharing() -> None:
    shared = of(tensor(), tensor())
    apart = of(tensor(), tensor(storage=1), storages=[storage(bytes(8))] * 2)
    assert not compare(shared, apart).equal
    assert digest(shared) != digest(apart)


def test_an_outcome() -> None:
    assert outcome.outcome(lambda: USUAL, "tests") == Outcome(digest(USUAL))
    assert outcome.outcome(lambda: USUAL, "tests").loaded


def test_an_error_and_where_it_came_from() -> None:
    def load() -> Description:
        return _inner()

    found = outcome.outcome(load, "tests.test_outcome")
    assert found == Outcome("", "ValueError", "_inner", "no")
    assert str(found) == "ValueError @ _inner"
    assert not found.loaded
    assert outcome.outcome(load, "tests.test").where == ""


def _inner() -> Description:
    raise ValueError("no")


def test_memory_says_more_of_the_process() -> None:
    def load() -> Description:
        raise MemoryError

    with pytest.raises(MemoryError):
        outcome.outcome(load, "tests")


def test_an_error_without_words() -> None:
    class Wordless(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def load() -> Description:
        raise Wordless

    assert outcome.outcome(load, "tests").error == "Wordless"

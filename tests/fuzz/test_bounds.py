"""No view outside: broken tensors of every layout, wherever they hide in a tree."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conformance.fuzz.invariants import bounds
from conformance.fuzz.invariants.checks import CHAINED, Subject, check
from conformance.fuzz.invariants.trees import found, longest_chain
from conformance.fuzz.target import Violation
from conformance.parser import Object, Storage, Tensor, Unsupported
from conformance.parser.dtypes import DTYPES
from conformance.parser.values import Global


def strided(
    shape: Any, stride: Any, offset: int = 0, *, dtype: str = "float32"
) -> Tensor:
    """A tensor over a storage of 16 zeros."""
    return Tensor(dtype, shape, stride, offset, zeros(dtype, 16))


def zeros(dtype: str, nbytes: int) -> Storage:
    return Storage(dtype, nbytes, source=memoryview(bytes(nbytes)))


def longs(*rows: Any) -> Tensor:
    """A tensor of int64 that holds these."""
    array = np.array(rows, np.int64)
    storage = Storage("int64", array.nbytes, source=memoryview(array.tobytes()))
    stride = tuple(step // 8 for step in array.strides)
    return Tensor("int64", array.shape, stride, 0, storage)


def made_of(layout: str, shape: tuple[int, ...], **parts: Any) -> Tensor:
    return Tensor("float32", shape, None, layout=layout, parts=parts)


def coo(*indices: list[int], values: int = 2, coalesced: bool = False) -> Tensor:
    return made_of(
        "sparse_coo",
        (3, 4),
        indices=longs(*indices),
        values=strided((values,), (1,)),
        is_coalesced=coalesced,
    )


def csr(starts: list[int], index: list[int]) -> Tensor:
    return made_of(
        "sparse_csr",
        (2, 4),
        crow_indices=longs(*starts),
        col_indices=longs(*index),
        values=strided((2,), (1,)),
    )


def bsc(starts: list[int], index: list[int]) -> Tensor:
    return made_of(
        "sparse_bsc",
        (4, 4),
        ccol_indices=longs(*starts),
        row_indices=longs(*index),
        values=strided((2, 2, 2), (1, 1, 1)),
    )


def nested(sizes: list[int], strides: list[int], offset: int) -> Tensor:
    return made_of(
        "nested",
        (1, -1, -1),
        values=strided((4,), (1,)),
        sizes=longs(sizes),
        strides=longs(strides),
        storage_offsets=longs(offset),
    )


def jagged(offsets: list[int], lengths: list[int] | None = None) -> Tensor:
    return made_of(
        "jagged",
        (2, -1),
        values=strided((4,), (1,)),
        offsets=longs(*offsets),
        lengths=None if lengths is None else longs(*lengths),
        ragged_idx=1,
    )


def channels(count: int) -> Tensor:
    tensor = strided((2, 2), (2, 1), dtype="qint8")
    tensor._parts = {
        "scales": longs(*range(count)),
        "zero_points": longs(*range(count)),
        "axis": 0,
    }
    return tensor


RIGHT: dict[str, Any] = {
    "the last element": strided((2, 2), (2, 1)),
    "an offset": strided((1,), (9,), 3),
    "nothing, far outside": strided((0, 1 << 62), (1, 1), 1 << 62),
    "a scalar": strided((), ()),
    "repeated for ever": strided((1 << 62,), (0,)),
    "quarters of bytes": strided((64,), (1,), dtype="quint2x4"),
    "no storage": Tensor("float32", (9,), (1,)),
    "no bytes": Tensor("float32", (4,), (1,), storage=Storage("float32", 16, "meta")),
    "sparse": coo([0, 2], [3, 0], coalesced=True),
    "empty sparse": coo([], [], values=0),
    "compressed": csr([0, 1, 2], [3, 0]),
    "blocks": bsc([0, 1, 2], [1, 0]),
    "nested": nested([2, 2], [2, 1], 0),
    "nested, empty": nested([0, 2], [2, 1], 9),
    "jagged": jagged([0, 1, 4]),
    "jagged with holes": jagged([0, 2, 4], [1, 0]),
    "channels": channels(2),
    "a wrapper": Tensor("float32", (3,), (1,), layout="sparse_coo", type="some.Class"),
}

OUTSIDE: dict[str, Any] = {
    "one too many": strided((5,), (1,)),
    "one too far": strided((2, 2), (3, 1)),
    "behind an offset": strided((1,), (1,), 4),
    "of a larger dtype": Tensor("int64", (4,), (1,), storage=zeros("float32", 16)),
    "eighths of bytes": strided((65,), (1,), dtype="quint2x4"),
    "a negative size": strided((-1,), (1,)),
    "a negative stride": strided((2,), (-1,)),
    "a negative offset": strided((1,), (1,), -1),
    "two strides": strided((1,), (1, 1)),
    "no stride": strided((1,), None),
    "a size that is a bool": strided((True,), (1,)),
    "a row": coo([0, 3], [0, 0]),
    "a column": coo([0, 1], [0, 4]),
    "a negative row": coo([-1, 1], [0, 0]),
    "too many rows": coo([0, 1], [0, 1], [0, 1]),
    "too few values": coo([0, 1], [0, 1], values=1),
    "unsorted": coo([1, 0], [0, 0], coalesced=True),
    "twice the same": coo([1, 1], [0, 0], coalesced=True),
    "an index of a row": csr([0, 1, 2], [4, 0]),
    "a negative index": csr([0, 1, 2], [-1, 0]),
    "a begin": csr([1, 1, 2], [3, 0]),
    "an end": csr([0, 1, 1], [3, 0]),
    "a way back": csr([0, 3, 2], [3, 0]),
    "too few runs": csr([0, 2], [3, 0]),
    "a block": bsc([0, 1, 2], [2, 0]),
    "a component": nested([2, 2], [2, 1], 1),
    "a negative component": nested([2, 2], [2, 1], -1),
    "a piece": jagged([0, 1, 5]),
    "a piece backwards": jagged([0, 3, 2]),
    "a length": jagged([0, 2, 4], [1, 3]),
    "a channel too few": channels(1),
}


def reading(tree: Any) -> Subject:
    """Any bytes, which a reader takes for this tree."""
    return Subject(b"12345678", lambda data, mode: tree)


@pytest.mark.parametrize("name", RIGHT)
def test_views_inside(name: str) -> None:
    check(reading({"here": [RIGHT[name]]}), True)


@pytest.mark.parametrize("name", OUTSIDE)
def test_views_outside(name: str) -> None:
    with pytest.raises(Violation) as raised:
        check(reading({"here": [OUTSIDE[name]]}), False)
    assert raised.value.invariant == "view outside"


def _with_attribute(tensor: Tensor) -> OrderedDict[Any, Any]:
    made: OrderedDict[Any, Any] = OrderedDict()
    made.items = tensor  # type: ignore[assignment, method-assign]
    return made


#: Wherever in a tree a tensor may hide.
PLACES: dict[str, Callable[[Tensor], Any]] = {
    "tuple": lambda tensor: ((tensor,),),
    "dict": lambda tensor: {1: {"a": tensor}},
    "attribute": lambda tensor: Tensor("int8", (), (), attributes={"a": tensor}),
    "state": lambda tensor: Tensor("int8", (), (), state=[tensor]),
    "part": lambda tensor: Tensor("int8", (), (), type="a.b", parts={"a": tensor}),
    "argument": lambda tensor: Object(Global("a", "b"), (tensor,)),
    "keyword": lambda tensor: Object(Global("a", "b"), (), {"a": tensor}),
    "array": lambda tensor: np.array([tensor, None], dtype=object),
    "slice": slice,
    "attribute of a dict": _with_attribute,
}


@pytest.mark.parametrize("place", PLACES)
def test_a_view_outside_is_found_anywhere(place: str) -> None:
    with pytest.raises(Violation, match="elements of float32"):
        check(reading(PLACES[place](OUTSIDE["one too many"])), False)


# -------------------------------------------------------------------- chains


def chain(links: int) -> Any:
    inner: Any = deque([1])
    for number in range(links - 1):
        inner = (
            deque([inner])
            if number % 3
            else defaultdict(None, a=inner)
            if number % 2
            else _array_of(inner)
        )
    return [inner]


def _array_of(value: Any) -> Any:
    array = np.empty(1, object)
    array[0] = value
    return array


def test_deques_in_each_other() -> None:
    assert longest_chain(found(chain(7)).links) == 7
    check(reading(chain(CHAINED)), False)
    with pytest.raises(Violation) as refused:
        check(reading(chain(CHAINED + 1)), False)
    assert refused.value.invariant == "chain"


def test_deques_beside_each_other_and_in_loops() -> None:
    loop: deque[Any] = deque()
    loop.append(loop)
    many: list[Any] = [deque([deque()]) for _ in range(CHAINED)]
    assert longest_chain(found([loop, many]).links) == 2
    check(reading([loop, many]), False)


# -------------------------------------------------------------------- elements


def seen(dtype: str, data: bytes, *, conj: bool = False, neg: bool = False) -> Tensor:
    """A tensor of all that is in these bytes, which it shows in a way of its own."""
    info = DTYPES[dtype]
    storage = Storage(dtype, len(data), source=memoryview(data))
    size = len(data) * info.per_byte // info.itemsize
    return Tensor(
        dtype, (size,), (1,), 0, storage, is_conj=conj, is_neg=neg, device="cpu"
    )


_BYTES = bytes(range(1, 17))


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [
        ("complex64", {"conj": True}),
        ("complex64", {"neg": True}),
        ("complex64", {"conj": True, "neg": True}),
        ("bfloat16", {"neg": True}),
        ("int32", {"neg": True}),
        ("uint8", {"neg": True}),
        ("quint4x2", {}),
        ("quint2x4", {}),
    ],
)
def test_elements_that_are_not_as_they_are_stored(
    dtype: str, bits: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    tensor = seen(dtype, _BYTES, **bits)
    bounds.elements(tensor)
    stored = np.frombuffer(_BYTES, tensor.numpy().dtype)
    monkeypatch.setattr(Tensor, "numpy", lambda self: stored)
    with pytest.raises(Violation) as raised:
        bounds.elements(tensor)
    assert raised.value.invariant == "elements"


def test_elements_that_should_be_there_and_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: Tensor) -> Any:
        raise Unsupported("not today")

    monkeypatch.setattr(Tensor, "numpy", refuse)
    with pytest.raises(Violation, match="not today"):
        bounds.elements(strided((2,), (1,)))
    # Nobody can have an array of these.
    bounds.elements(made_of("sparse_coo", (2,)))


def test_memory_that_an_array_has_given_back() -> None:
    array = np.zeros(500)
    shown = array.reshape(-1).view(np.uint8)
    storage = Storage("float64", 4000, source=memoryview(shown.data).toreadonly())
    bounds.memory(storage)
    # By what a pickle's BUILD calls.
    array.__setstate__((1, (2000,), np.dtype("f8"), False, bytes(16_000)))  # type: ignore[arg-type]
    with pytest.raises(Violation) as raised:
        bounds.memory(storage)
    assert raised.value.detail == "memory of an array"

"""Differences: each kind is found, named and placed; equal is equal."""

from __future__ import annotations

import hashlib
import struct
import time
from collections import OrderedDict, deque
from typing import Any

import numpy as np
import pytest

from conformance.compare import Comparison, compare
from conformance.description import (
    AnyNode,
    Builder,
    Description,
    InMemory,
    Object,
    Scalar,
    Storage,
    StorageValue,
    Tensor,
    from_json,
    to_json,
)
from conformance.loaders import values


class View:
    """A tensor of floats, as the tests' own reader knows it."""

    def __init__(self, data: bytes | Bytes = bytes(16), **facts: Any) -> None:
        self.data = data if isinstance(data, Bytes) else Bytes(data)
        self.facts: dict[str, Any] = {"shape": (4,), "stride": (1,), **facts}


class Bytes:
    """A storage that views share."""

    def __init__(self, data: bytes | None, nbytes: int = 0) -> None:
        self.data = data
        self.nbytes = nbytes if data is None else len(data)


class Thing:
    """An object, as its parts."""

    def __init__(self, **parts: Any) -> None:
        self.parts: dict[str, Any] = parts


def reader(value: Any, builder: Builder) -> AnyNode:
    match value:
        case View():
            facts = dict(value.facts)
            parts = {
                name: builder.ref(part) for name, part in facts.pop("parts", {}).items()
            }
            attributes = builder.pairs(facts.pop("attributes", {}).items())
            state = facts.pop("state", None)
            return Tensor(
                **{"type": "torch.Tensor", "dtype": "float32", **facts},
                storage=storage(value.data, builder),
                parts=parts,
                attributes=attributes,
                state=None if state is None else builder.ref(state),
            )
        case Bytes():
            return StorageValue(
                type="torch.storage.TypedStorage",
                dtype="float32",
                storage=storage(value, builder),
            )
        case Thing():
            given = value.parts
            callee, state = given.get("callee"), given.get("state")
            return Object(
                type=given.get("name", "m.C"),
                callee=None if callee is None else builder.ref(callee),
                args=builder.refs(given.get("args", ())),
                kwargs=builder.pairs(given.get("kwargs", {}).items()),
                state=None if state is None else builder.ref(state),
                listitems=builder.refs(given.get("listitems", ())),
                dictitems=builder.pairs(given.get("dictitems", ())),
            )
    node = values.describe(value, builder)
    assert node is not None
    return node


def storage(value: Bytes, builder: Builder) -> int:
    data = None if value.data is None else InMemory(memoryview(value.data))
    return builder.storage(id(value), lambda: Storage(value.nbytes, data=data))


def describe(value: object) -> Description:
    return Builder(reader).build(value)


def differences(left: object, right: object, **options: Any) -> list[str]:
    """Compared directly, and after JSON, which forgets only the bytes."""
    one, other = describe(left), describe(right)
    found = compare(one, other, **options)
    kept = compare(from_json(to_json(one)), from_json(to_json(other)), **options)
    assert kept.total == found.total
    assert found.equal == (not found.differences)
    back = compare(other, one, **options)
    assert back.equal == found.equal
    return [str(difference) for difference in found.differences]


NAN, OTHER_NAN = struct.unpack(">2d", bytes.fromhex("7ff8000000000001fff8000000000000"))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1, True, "type int != bool at the root"),
        (1, 1.0, "type int != float at the root"),
        (1, 2, "int 1 != 2 at the root"),
        (0.0, -0.0, "float 0.0 != -0.0 at the root"),
        (
            NAN,
            OTHER_NAN,
            "float nan (7ff8000000000001) != nan (fff8000000000000) at the root",
        ),
        (1j, complex(-0.0, 1), "complex 1j != (-0+1j) at the root"),
        ("a", "b", "str 'a' != 'b' at the root"),
        ("\ud800", "\\ud800", "str '\\ud800' != '\\\\ud800' at the root"),
        (b"a", bytearray(b"a"), "type bytes != bytearray at the root"),
        (
            b"a" * 200 + b"b",
            b"a" * 200 + b"c",
            "bytes 402 characters, from 401 on '2' != 402 characters, from 401 on '3'",
        ),
        ([1], (1,), "type list != tuple at the root"),
        ([1, 2], [1], "length 2 != 1 at the root"),
        ([1, [2]], [1, [3]], "int 2 != 3 at [1][0]"),
        ({"m": {"w": 1}}, {"m": {"w": 2}}, "int 1 != 2 at ['m']['w']"),
        ({"a": 1}, {}, "key 'a' != nothing at the root"),
        ({}, {"a": 1}, "key nothing != 'a' at the root"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "key number 0 'a' != 'b' at the root"),
        ({(1, 2): 0}, {(1, 2): 1}, "int 0 != 1 at [(1, 2)]"),
        ({}, OrderedDict(), "type dict != collections.OrderedDict at the root"),
        ({1, 2}, {1}, "member 2 != nothing at the root"),
        ({1}, frozenset({1}), "type set != frozenset at the root"),
        (deque([1], 2), deque([1], 3), "int 2 != 3 at .maxlen"),
        (slice(1), slice(2), "int 1 != 2 at [1]"),
        (np.float32(1), np.float32(2), "numpy.float32 numpy.float32 <f4 0000803f != "),
        (np.zeros(2), np.zeros(2, "<i8"), "dtype <f8 != <i8 at the root"),
        (np.ones((2, 1)), np.ones(2), "shape (2, 1) != (2,) at the root"),
        (
            np.array([None, 1], dtype=object),
            np.array([None, 2], dtype=object),
            "int 1 != 2 at [1]",
        ),
        (View(), View(stride=(2,)), "stride (1,) != (2,) at the root"),
        (View(), View(shape=(2, 2)), "shape (4,) != (2, 2) at the root"),
        (View(), View(dtype="int32"), "dtype float32 != int32 at the root"),
        (View(), View(layout="jagged"), "layout strided != jagged at the root"),
        (View(), View(storage_offset=1), "storage_offset 0 != 1 at the root"),
        (View(), View(requires_grad=True), "requires_grad False != True at the root"),
        (View(), View(is_conj=True), "is_conj False != True at the root"),
        (View(), View(is_neg=True), "is_neg False != True at the root"),
        (View(), View(type="torch.Sub"), "type torch.Tensor != torch.Sub at the root"),
        (View(), View(parts={"scale": 1.0}), "parts none != scale at the root"),
        (
            View(parts={"values": View()}),
            View(parts={"values": View(shape=(1,))}),
            "shape (4,) != (1,) at .values",
        ),
        (
            View(attributes={"a": 1}),
            View(attributes={"a": 2}),
            "int 1 != 2 at .a",
        ),
        (View(), View(attributes={"a b": 2}), "attribute nothing != 'a b' at the root"),
        (View(state=[1]), View(state=[2]), "int 1 != 2 at .state[0]"),
        (View(), View(state=5), "value nothing != 5 at .state"),
        (
            View(bytes(16)),
            View(bytes(9) + b"abc" + bytes(4)),
            "storage byte 9 00 00 00 00 00 00 00 != 61 62 63 00 00 00 00 at the root",
        ),
        (View(bytes(16)), View(bytes(20)), "storage nbytes 16 != 20 at the root"),
        (
            View(Bytes(None, 16)),
            View(bytes(16)),
            "storage without bytes != with bytes at the root",
        ),
        (
            Thing(name="m.C"),
            Thing(name="m.D"),
            "type m.C (an object) != m.D (an object)",
        ),
        (Thing(args=[1]), Thing(args=[2]), "int 1 != 2 at .args[0]"),
        (Thing(args=[1]), Thing(), "length 1 != 0 at .args"),
        (Thing(kwargs={"a": 1}), Thing(), "key 'a' != nothing at .kwargs"),
        (Thing(state={"a": 1}), Thing(state={"a": 2}), "int 1 != 2 at .state['a']"),
        (Thing(listitems=[1]), Thing(listitems=[2]), "int 1 != 2 at .listitems[0]"),
        (
            Thing(dictitems=[("a", 1)]),
            Thing(dictitems=[("a", 2)]),
            "int 1 != 2 at .dictitems['a']",
        ),
        (
            Thing(callee=Thing(args=[1])),
            Thing(callee=Thing(args=[2])),
            "int 1 != 2 at .callee.args[0]",
        ),
        (Thing(), [], "type m.C (an object) != list at the root"),
    ],
)
def test_each_difference(left: object, right: object, expected: str) -> None:
    (found,) = differences(left, right)
    assert found.startswith(expected)
    assert differences(left, left) == []
    assert differences(right, right) == []


def test_keys_are_compared_by_value() -> None:
    assert differences({1: 0}, {True: 0}) == [
        "key 1 != nothing at the root",
        "key nothing != True at the root",
    ]
    assert differences({(1, "a"): 0}, {(1, "b"): 0}) == [
        "key (1, 'a') != nothing at the root",
        "key nothing != (1, 'b') at the root",
    ]
    assert differences({NAN: 0}, {NAN: 0}) == []
    assert len(differences({NAN: 0}, {OTHER_NAN: 0})) == 2


def test_every_place_is_told() -> None:
    assert differences([1, [1, 1]], [2, [2, 2]]) == [
        "int 1 != 2 at [0]",
        "int 1 != 2 at [1][0]",
        "int 1 != 2 at [1][1]",
    ]


def test_attributes_of_a_state_dict() -> None:
    one, other = OrderedDict(w=1), OrderedDict(w=1)
    one._metadata = {"version": 1}  # type: ignore[attr-defined]
    other._metadata = {"version": 2}  # type: ignore[attr-defined]
    assert differences([one], [other]) == ["int 1 != 2 at [0]._metadata['version']"]
    assert differences([one], [OrderedDict(w=1)]) == [
        "attribute '_metadata' != nothing at [0]"
    ]


def test_who_is_the_same_object() -> None:
    a: list[int] = []
    assert differences({"a": a, "b": a}, {"a": [], "b": []}) == [
        "object shared with ['a'] != its own at ['b']"
    ]
    b: list[int] = []
    assert differences([a, b, a], [a, b, b]) == [
        "object shared with [0] != shared with [1] at [2]"
    ]
    assert differences([a, b, a], [b, a, b]) == []


def test_immutable_values_have_no_identity() -> None:
    pair = (1, "a")
    copy = tuple(iter(pair))
    assert differences([pair, pair], [pair, copy]) == []
    assert differences([b"x" * 9, b"y"], [bytes([120] * 9), b"y"]) == []


def test_who_shares_a_storage() -> None:
    data = Bytes(bytes(16))
    shared = {"a": View(data), "b": View(data, shape=(2,))}
    apart = {"a": View(), "b": View(shape=(2,))}
    assert differences(shared, apart) == [
        "storage shared with ['a'] != its own at ['b']"
    ]
    assert differences([data, View(data)], [data, View(Bytes(bytes(16)))]) == [
        "storage shared with [0] != its own at [1]"
    ]


@pytest.mark.parametrize("data", [Bytes(b""), Bytes(None, 16)])
def test_nobody_shares_nothing(data: Bytes) -> None:
    again = Bytes(data.data, data.nbytes)
    assert differences([View(data), View(data)], [View(data), View(again)]) == []


def test_parts_have_no_identity() -> None:
    values = View()
    other = View(values.data.data or b"")
    other.data = values.data
    left = [values, View(parts={"values": values})]
    right = [values, View(parts={"values": other})]
    left[1].data = right[1].data
    assert differences(left, right) == []


def test_devices_only_when_asked() -> None:
    left, right = View(device="cpu"), View(device="cuda:0")
    assert differences(left, right) == []
    assert differences(left, right, devices=True) == [
        "device cpu != cuda:0 at the root"
    ]


def test_one_storage_is_compared_once() -> None:
    left, right = Bytes(bytes(16)), Bytes(b"\1" + bytes(15))
    found = differences([View(left), View(left)], [View(right), View(right)])
    zeros, one = "00 00 00 00 00 00 00 00", "01 00 00 00 00 00 00 00"
    assert found == [f"storage byte 0 {zeros} != {one} at [0]"]


@pytest.mark.parametrize("size", [1, 2, 1_000, 1_025, 100_000])
def test_the_first_different_byte_is_found(size: int) -> None:
    for at in {0, 1 % size, size // 2, size - 1}:
        other = bytearray(size)
        other[at] = 255
        other[-1] = 254
        (found,) = differences(View(bytes(size)), View(bytes(other)))
        assert found.startswith(f"storage byte {at} ")


def test_bytes_that_are_gone_still_have_a_hash() -> None:
    class Gone(InMemory):
        def read(self, start: int, stop: int) -> bytes:
            raise LookupError

    left, right = describe(View(b"a" * 8)), describe(View(b"b" * 8))
    left.storages[0].data = Gone(memoryview(b"a" * 8))
    (found,) = compare(left, right).differences
    assert found.fact == "storage sha256"
    assert found.left == hashlib.sha256(b"a" * 8).hexdigest()


def test_the_limit_counts_on() -> None:
    found = compare(describe(list(range(50))), describe([-1] * 50), limit=7)
    assert [str(difference.path) for difference in found.differences] == [
        f"[{number}]" for number in range(7)
    ]
    assert found.total == 50
    assert found == Comparison(found.differences, 50)


def test_differences_come_in_reading_order() -> None:
    left = {"a": [1, {"x": 2}], "b": [3], "c": 4}
    right = {"a": [0, {"x": 0}], "b": [0], "c": 0}
    paths = [line.rpartition(" at ")[2] for line in differences(left, right)]
    assert paths == ["['a'][0]", "['a'][1]['x']", "['b'][0]", "['c']"]


def test_keys_that_nothing_tells_apart() -> None:
    one, other = Thing(), Thing()
    left, right = {one: 1, other: 2}, {one: 1, other: 3}
    assert differences(left, right) == ["int 2 != 3 at [<m.C>]"]


def test_cycles_of_different_length_end() -> None:
    def ring(size: int) -> list[Any]:
        first: list[Any] = []
        here = first
        for _ in range(size - 1):
            here.append([])
            here = here[0]
        here.append(first)
        return first

    begin = time.perf_counter()
    found = differences(ring(499), ring(500))
    assert found[0].startswith("object ")
    assert len(found) <= 3
    assert time.perf_counter() - begin < 2


def test_deep_and_shared_trees() -> None:
    def tree(leaf: int) -> Any:
        deep: Any = (leaf,)
        for _ in range(20_000):
            deep = (deep,)
        dag: Any = (leaf,)
        for _ in range(100):
            dag = (dag, dag)
        return [deep, dag]

    begin = time.perf_counter()
    assert differences(tree(1), tree(1)) == []
    found = differences(tree(1), tree(2))
    # Once at the bottom of each: a pair of nodes is compared once.
    assert len(found) == 2
    assert found[0].endswith("[0]" * 20)
    # Seconds even on a busy machine; 2**100 steps would take longer.
    assert time.perf_counter() - begin < 60


def test_a_scalar_is_its_type_and_text() -> None:
    assert Scalar(type="int", value="1") != Scalar(type="bool", value="1")

"""Descriptions: JSON both ways, plain values, walks."""

from __future__ import annotations

import datetime
import gc
import hashlib
import json
import pathlib
import struct
import time
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from conformance import walk
from conformance.description import (
    AnyNode,
    Array,
    Builder,
    Description,
    InMemory,
    Mapping,
    Object,
    Scalar,
    Sequence,
    Set,
    Storage,
    StorageValue,
    Tensor,
    escape,
    from_json,
    to_json,
    unescape,
)
from conformance.loaders import values


def plain(value: Any, builder: Builder) -> AnyNode:
    node = values.describe(value, builder)
    if node is None:
        raise TypeError(type(value))
    return node


def describe(value: object) -> Description:
    return Builder(plain).build(value)


def scalar(value: object) -> tuple[str, str]:
    node = describe(value).nodes[0]
    assert isinstance(node, Scalar)
    return node.type, node.value


NAN = struct.unpack(">d", bytes.fromhex("7ff8000000000123"))[0]


@pytest.mark.parametrize(
    ("value", "type", "text"),
    [
        (None, "NoneType", ""),
        (True, "bool", "True"),
        (-(2**70), "int", str(-(2**70))),
        (2**3000, "int", hex(2**3000)),
        (-0.0, "float", "8000000000000000"),
        (NAN, "float", "7ff8000000000123"),
        (complex(1, -0.0), "complex", "3ff0000000000000 8000000000000000"),
        ("a\\b", "str", "a\\\\b"),
        ("\ud800é", "str", "\\ud800é"),
        (b"\0x", "bytes", "0078"),
        (bytearray(b"x"), "bytearray", "78"),
        (..., "ellipsis", ""),
        (pathlib.PurePosixPath("/a/b"), "pathlib.PurePosixPath", "/a/b"),
        (np.float32(1), "numpy.float32", "<f4 0000803f"),
        (np.dtype(">i4"), "numpy.dtype", ">i4"),
        (np.dtype(ml_dtypes.bfloat16), "numpy.dtype", "bfloat16"),
        (np.dtype([("a", "<i4")]), "numpy.dtype", "[('a', '<i4')]"),
    ],
)
def test_scalars_are_exact_text(value: object, type: str, text: str) -> None:
    assert scalar(value) == (type, text)


@pytest.mark.parametrize("text", ["", "\\", "\\\\ud800", "\ud800", "a\\\udfffb", "é\0"])
def test_escaped_text_survives_json(text: str) -> None:
    escaped = escape(text)
    assert json.loads(json.dumps(escaped).encode()) == escaped
    assert unescape(escaped) == text


def test_different_text_stays_different() -> None:
    # What the escape makes of a surrogate, and the same characters as text.
    assert escape("\ud800") != escape("\\ud800")


def everything() -> list[Any]:
    state = OrderedDict(a=1)
    state._metadata = OrderedDict(version=2)  # type: ignore[attr-defined]
    noon = datetime.datetime(2024, 1, 2, 3, 4, 5, 6, datetime.timezone.utc, fold=1)
    return [
        *(None, True, 1, 1.5, 1j, "text\ud800", b"bytes", bytearray(b"b"), ...),
        (1, (2, ())),
        {1, "a", (1, 2)},
        frozenset({b"x"}),
        slice(1, None, "x"),
        range(1, 5, 2),
        {"a": [1], (1, 2): {}},
        state,
        defaultdict(None, {1: 2}),
        Counter("aab"),
        deque([1, 2], maxlen=3),
        noon,
        noon.date(),
        noon.timetz(),
        datetime.timedelta(1, 2, 3),
        datetime.timezone(datetime.timedelta(hours=1), "name"),
        np.arange(6.0).reshape(2, 3).T,
        np.array(["a", [1], None], dtype=object),
        np.array([], dtype="<U0"),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.ones(2, dtype=ml_dtypes.bfloat16),
        np.datetime64("2024-01-01"),
    ]


def test_json_both_ways() -> None:
    description = describe(everything())
    text = to_json(description)
    again = from_json(text)
    assert again.nodes == description.nodes
    assert to_json(again) == text
    assert all(storage.data is None for storage in again.storages)


def test_same_value_same_json() -> None:
    assert to_json(describe(everything())) == to_json(describe(everything()))


def test_attributes_of_an_ordered_dict() -> None:
    state = OrderedDict(w=1)
    state._metadata = {"": 1}  # type: ignore[attr-defined]
    state.items = "shadowed"  # type: ignore[assignment, method-assign]
    description = describe(state)
    node = description.nodes[0]
    assert isinstance(node, Mapping)
    assert node.type == "collections.OrderedDict"
    assert [description.nodes[key] for key, _ in node.pairs] == [
        Scalar(type="str", value="w")
    ]
    assert [description.nodes[name] for name, _ in node.attributes] == [
        Scalar(type="str", value="_metadata"),
        Scalar(type="str", value="items"),
    ]


def test_one_object_is_one_node() -> None:
    shared: list[int] = []
    description = describe([shared, shared, []])
    root = description.nodes[0]
    assert isinstance(root, Sequence)
    first, second, third = root.items
    assert first == second != third


def test_cycles_and_depth() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    root = describe(cycle).nodes[0]
    assert isinstance(root, Sequence)
    assert root.items == [0]
    deep: Any = ()
    for _ in range(100_000):
        deep = (deep,)
    description = describe([deep, {"key": deep}])
    assert from_json(to_json(description)).nodes == description.nodes
    assert len(description.digest(1)) == 32
    path = str(list(walk.walk(description))[90_000][0])
    assert path == "[0]" * 20 + "<89960 more>" + "[0]" * 20
    # Not to be torn down by a recursion in somebody's assertion.
    del deep
    gc.collect()


def test_a_shared_dag_costs_what_it_weighs() -> None:
    dag: Any = ()
    for _ in range(200):
        dag = (dag, dag)
    begin = time.perf_counter()
    description = describe(dag)
    description.digest(0)
    assert len(list(walk.walk(description))) == 401
    assert time.perf_counter() - begin < 1
    assert len(description.nodes) == 201


def test_members_of_a_set_have_one_order() -> None:
    members = [3, 20, 100, "b", "a", (2, 1), (1, 2), None]
    backwards = members[::-1]
    one, other = describe(set(members)), describe(set(backwards))
    spelled = [
        [walk.spell(side, member) for member in node.members]
        for side in (one, other)
        for node in side.nodes
        if isinstance(node, Set)
    ]
    assert spelled[0] == spelled[1]
    assert sorted(spelled[0]) == sorted(map(repr, members))


def test_arrays_are_row_major() -> None:
    array = np.arange(6, dtype="<i2").reshape(2, 3)
    for layout in (array, np.asfortranarray(array), array[::-1][::-1]):
        description = describe(layout)
        node = description.nodes[0]
        assert isinstance(node, Array)
        assert (node.dtype, node.shape, node.storage) == ("<i2", (2, 3), 0)
        (storage,) = description.storages
        assert storage.sha256 == hashlib.sha256(array.tobytes()).hexdigest()


def test_object_arrays_hold_nodes() -> None:
    shared: list[int] = []
    description = describe([shared, np.array([shared, None], dtype=object)])
    root, array = description.nodes[0], description.nodes[2]
    assert isinstance(root, Sequence)
    assert isinstance(array, Array)
    assert array.items[0] == root.items[0]
    assert array.storage is None


def test_storages_hash_when_asked() -> None:
    class Asked(InMemory):
        times = 0

        def digest(self, start: int, stop: int) -> str:
            Asked.times += 1
            return super().digest(start, stop)

    storage = Storage(3, data=Asked(memoryview(b"abc")))
    assert Asked.times == 0
    assert storage.sha256 == storage.sha256 == hashlib.sha256(b"abc").hexdigest()
    assert Asked.times == 1


def test_storages_without_bytes_have_no_identity() -> None:
    assert not Storage(0, data=InMemory(memoryview(b""))).identity
    assert not Storage(12).identity
    assert Storage(12, sha256="0" * 64).identity


@pytest.mark.parametrize(
    ("version", "node"),
    [
        (1, None),
        (2, b'{"kind":"scalar","type":"int"}'),
        (1, b'{"kind":"sequence","type":"list","items":[1]}'),
        (1, b'{"kind":"sequence","type":"list","items":[-1]}'),
        (1, b'{"kind":"tensor","type":"x","dtype":"int8","attributes":[[0,7]]}'),
        (1, b'{"kind":"storage","type":"x","storage":0}'),
        (1, b'{"kind":"scalar"}'),
        (1, b'{"kind":"what","type":"x"}'),
    ],
)
def test_what_is_no_description(version: int, node: bytes | None) -> None:
    text = b'{"version":%d,"nodes":[%b],"storages":[]}' % (version, node or b"")
    with pytest.raises(ValueError):  # noqa: PT011 (each in its own words)
        from_json(text)


# ------------------------------------------------------------------------ walks


def tree() -> Description:
    """Two names of one tensor, an object, and a tensor that is sparse."""
    nodes: list[AnyNode] = [
        Mapping(type="dict", pairs=[(1, 2), (3, 2), (4, 5), (6, 7)]),
        Scalar(type="str", value="a"),
        Tensor(type="torch.Tensor", dtype="float32", shape=(2,), storage=0),
        Scalar(type="str", value="b'\n"),
        Scalar(type="int", value="7"),
        Tensor(
            type="torch.Tensor",
            dtype="float32",
            shape=(3,),
            layout="sparse_coo",
            parts={"values": 2},
            attributes=[(1, 8)],
        ),
        Sequence(type="tuple", items=[4, 1]),
        Object(type="m.Net", args=[4], kwargs=[(1, 4)], state=8, dictitems=[(1, 2)]),
        Sequence(type="list", items=[2, 9]),
        StorageValue(type="torch.storage.UntypedStorage", storage=0),
    ]
    data = InMemory(memoryview(struct.pack("<2f", 1, 2)))
    storages = [Storage(8, data=data)]
    elements = {2: lambda: struct.pack("<2f", 1, 2)}
    return Description(nodes, storages, {**elements})


def test_paths_read_like_python() -> None:
    assert [(str(path), index) for path, index in walk.walk(tree())] == [
        ("the root", 0),
        ("['a']", 2),
        ('["b\'\\n"]', 2),
        ("[7]", 5),
        ("[7].values", 2),
        ("[7].a", 8),
        ("[7].a[0]", 2),
        ("[7].a[1]", 9),
        (".key((7, 'a'))", 6),
        (".key((7, 'a'))[0]", 4),
        (".key((7, 'a'))[1]", 1),
        ("[(7, 'a')]", 7),
        ("[(7, 'a')].args[0]", 4),
        ("[(7, 'a')].kwargs['a']", 4),
        ("[(7, 'a')].state", 8),
        ("[(7, 'a')].dictitems['a']", 2),
    ]


def test_the_flat_view_hashes_the_elements() -> None:
    flat = walk.flat(from_json(to_json(tree())))
    assert [tensor.path for tensor in flat][:3] == ["['a']", '["b\'\\\\n"]', "[7]"]
    assert {tensor.sha256 for tensor in flat} == {None}
    expected = hashlib.sha256(struct.pack("<2f", 1, 2)).hexdigest()
    assert walk.flat(tree())[0] == walk.FlatTensor("['a']", "float32", (2,), expected)
    assert walk.flat(tree())[2].sha256 is None


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ("w", "'w'"),
        ("\ud800\n", "'\\ud800\\n'"),
        ("é", "'é'"),
        ("x" * 300, "'" + "x" * 196 + "...'"),
        (1.5, "1.5"),
        (1 - 2j, "(1-2j)"),
        (None, "None"),
        (..., "Ellipsis"),
        (b"ab", "bytes 6162"),
        ((1,), "(1,)"),
        ((1, 2, 3, 4, 5), "(1, 2, 3, 4, ...)"),
        (([],), "(<list>,)"),
        ([], "<list>"),
        (np.float32(1), "numpy.float32 <f4 0000803f"),
    ],
)
def test_values_in_few_words(value: object, spelled: str) -> None:
    assert walk.spell(describe(value), 0) == spelled

"""Tensors by dotted names, from descriptions, from flat lists, from the corpus."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import pytest

from conformance.corpus.format import cases, corpus_folder
from conformance.description import (
    AnyNode,
    Array,
    Description,
    Mapping,
    Object,
    Scalar,
    Sequence,
    Set,
    Storage,
    StorageValue,
    Tensor,
    unescape,
)
from conformance.loaders.protocol import FlatTensor
from conformance.matrix import normal
from conformance.matrix.normal import answered, dotted, expected, flat

EMPTY = hashlib.sha256().hexdigest()
BYTES = bytes(range(24))
DIGEST = hashlib.sha256(BYTES).hexdigest()


def text(value: str) -> Scalar:
    return Scalar(type="str", value=value)


def number(value: int) -> Scalar:
    return Scalar(type="int", value=str(value))


def tensor(**fields: Any) -> Tensor:
    usual = {"dtype": "float32", "shape": (2, 3), "stride": (3, 1), "storage": 0}
    return Tensor(**{"type": "torch.Tensor", **usual, **fields})


def listed(*items: int, type: str = "list") -> Sequence:
    return Sequence(type=type, items=list(items))


def described(*nodes: AnyNode) -> Description:
    storages = [Storage(24, sha256=DIGEST), Storage(24, sha256=DIGEST)]
    return Description(list(nodes), storages)


def names(*nodes: AnyNode) -> list[str]:
    return [one.name for one in expected(described(*nodes))]


# -------------------------------------------------------------------------- names


def test_the_root_has_no_name() -> None:
    assert names(tensor()) == [""]


def test_keys_and_indices_are_joined_by_dots() -> None:
    tree = Mapping(type="dict", pairs=[(1, 2), (6, 4)])
    found = names(
        tree, text("a"), listed(3, 4), number(1), tensor(), text("x"), text("b.c")
    )
    assert found == ["a.1", "b.c"]


@pytest.mark.parametrize(
    ("key", "step"),
    [
        (text("w"), "w"),
        (text(""), ""),
        (text(r"a\\b"), r"a\b"),
        (text(r"\udc80"), r"\udc80"),
        (number(-3), "-3"),
        (Scalar(type="bool", value="True"), "*"),
        (Scalar(type="NoneType"), "*"),
        (Scalar(type="float", value="0" * 16), "*"),
        (Scalar(type="bytes", value="77"), "*"),
        (listed(type="tuple"), "*"),
    ],
)
def test_a_key(key: AnyNode, step: str) -> None:
    assert names(Mapping(type="dict", pairs=[(1, 2)]), key, tensor()) == [step]


def test_members_of_a_set_have_one_name() -> None:
    tree = Set(type="set", members=[1, 2])
    assert names(tree, tensor(), tensor(storage=1)) == ["*", "*"]


def test_what_an_object_is_made_of() -> None:
    thing = Object(
        type="m.Thing",
        args=[1],
        kwargs=[(2, 1)],
        state=3,
        listitems=[1],
        dictitems=[(2, 1)],
    )
    state = Mapping(type="dict", pairs=[(4, 1)])
    assert names(thing, tensor(), text("x"), state, text("weight")) == [
        "args.0",
        "kwargs.x",
        "0",
        "x",
        "weight",
    ]


def test_a_state_of_a_dict_and_slots_is_both() -> None:
    thing = Object(type="m.Slots", state=1)
    nodes = (
        listed(2, 3, type="tuple"),
        Scalar(type="NoneType"),
        Mapping(type="dict", pairs=[(4, 5)]),
        text("left"),
        tensor(),
    )
    assert names(thing, *nodes) == ["left"]


def test_another_state_is_a_step() -> None:
    assert names(Object(type="m.T", state=1), listed(2), tensor()) == ["state.0"]


def test_attributes_of_a_dict_and_an_object_as_callee() -> None:
    tree = Mapping(type="collections.OrderedDict", attributes=[(1, 2)])
    assert names(tree, text("scale"), tensor()) == ["scale"]
    assert names(Object(type="", callee=1), Object(type="a", args=[2]), tensor()) == [
        "callee.args.0"
    ]


def test_what_is_there_twice_is_found_twice_with_all_below() -> None:
    tree = Mapping(type="dict", pairs=[(1, 3), (2, 3)])
    nodes = (text("a"), text("b"), listed(4), tensor())
    assert names(tree, *nodes) == ["a.0", "b.0"]


def test_what_contains_itself_is_not_entered_again() -> None:
    assert names(listed(0, 1, 2), tensor(), listed(0)) == ["1"]


def test_sharing_without_end_is_entered_once() -> None:
    """Each list twice the one before: 2^60 names."""
    doubling = [listed(index + 1, index + 1) for index in range(60)]
    found = names(*doubling, tensor())
    assert set(found) == {".".join("0" * 59 + one) for one in "01"}
    # Without a tensor, nothing is walked at all.
    assert names(*doubling, text("end")) == []


def test_depth_costs_nothing_dear() -> None:
    deep = [listed(index + 1) for index in range(20_000)]
    (found,) = expected(described(*deep, tensor()))
    assert found.name == ".".join(["0"] * 20_000)


# -------------------------------------------------------------------------- facts


def test_behind_a_tensor_all_is_optional() -> None:
    wrapper = tensor(
        storage=None,
        stride=None,
        layout="sparse_coo",
        parts={"indices": 1},
        attributes=[(2, 3)],
    )
    found = expected(described(wrapper, tensor(), text("tag"), tensor()))
    assert [(one.name, one.optional) for one in found] == [
        ("", False),
        ("indices", True),
        ("tag", True),
    ]
    assert found[0].traits == ("sparse_coo",)
    told = (found[0].data, found[0].stride, found[0].offset)
    assert told == (None, None, None)


def test_arrays_and_storages_are_vague() -> None:
    array = Array(type="numpy.ndarray", dtype="<f4", shape=(2,), storage=0)
    storage = StorageValue(type="torch.UntypedStorage", storage=0)
    found = expected(described(listed(1, 2), array, storage))
    assert [(one.name, one.vague, one.optional) for one in found] == [
        ("0", True, True),
        ("1", True, True),
    ]


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ({}, DIGEST),
        ({"shape": (6,), "stride": (1,)}, DIGEST),
        ({"shape": (1, 6), "stride": (99, 1)}, DIGEST),
        ({"shape": (0, 3)}, EMPTY),
        ({"stride": (1, 2)}, None),
        ({"shape": (3,), "stride": (1,)}, None),
        ({"shape": (5,), "stride": (1,), "storage_offset": 1}, None),
        ({"is_neg": True}, None),
        ({"dtype": "complex64", "shape": (3,), "stride": (1,), "is_conj": True}, None),
        ({"dtype": "quint4x2", "shape": (24,), "stride": (1,)}, None),
        ({"dtype": "no_such"}, None),
        ({"storage": None}, None),
    ],
)
def test_what_a_description_alone_tells_of_the_elements(
    fields: dict[str, Any], data: str | None
) -> None:
    (found,) = expected(described(tensor(**fields)))
    assert found.data == data


def test_traits() -> None:
    odd = tensor(stride=(1, 2), is_conj=True, is_neg=True, device="meta")
    (found,) = expected(described(odd))
    assert found.traits == ("conj", "neg", "not contiguous", "meta")


def test_tensors_share_a_storage_that_has_bytes() -> None:
    one, other, third = expected(
        described(listed(1, 2, 3), tensor(), tensor(), tensor(storage=1))
    )
    assert one.storage == other.storage != third.storage
    nothing = Description([tensor(shape=(0,), stride=(1,))], [Storage(0)])
    assert expected(nothing)[0].storage is None


def test_a_flat_list() -> None:
    told = FlatTensor("a", "int8", ("2", "3"), DIGEST, ("3", "1"), "4", "s")
    (found,) = flat([told])
    assert found.shape == (2, 3)
    assert found.stride == (3, 1)
    assert (found.name, found.dtype, found.data) == ("a", "int8", DIGEST)
    assert (found.offset, found.storage) == (4, "s")
    assert flat([FlatTensor("b")]) == (normal.Tensor("b"),)


# -------------------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("the root", ""),
        ("['a']['b.c'][0]", "a.b.c.0"),
        ('["it\'s"]', "it's"),
        (r"['\udc80']", r"\udc80"),
        ("[-1]", "-1"),
        (".state['_modules']['fc'].state['weight']", "_modules.fc.weight"),
        (".weight.scales", "weight.scales"),
        (".args[0]", "args.0"),
    ],
)
def test_a_path_of_the_corpus(path: str, name: str) -> None:
    assert dotted(path) == name


@pytest.mark.parametrize("path", ["[(1, 2)]", "{<torch.Tensor>}", "['a']<3 more>"])
def test_a_path_without_a_name(path: str) -> None:
    with pytest.raises(ValueError, match="cannot name"):
        dotted(path)


def test_the_corpus_in_names() -> None:
    """Each case by its tree and by its flat list, which agree as far as both go."""
    without_tree = unrolled = 0
    for _, case in cases(corpus_folder()):
        for answer in (case.expected, *case.alternatives):
            if answer is None:
                continue
            found = [one for one in answered(answer) if not one.vague]
            if answer.value is None:
                without_tree += bool(answer.tensors)
                assert len(found) == len(answer.tensors), case.id
                continue
            # A tensor that is there twice, or is a key, is not in both.
            unrolled += len(found) > len(answer.tensors)
            by_name = Counter(one.name for one in found)
            for told in answer.tensors:
                path = unescape(told.path)
                if ".state[" in path or "items[" in path or "{" in path:
                    continue
                try:
                    assert by_name[dotted(path)], (case.id, path)
                except ValueError:
                    assert "[" in path or ".key(" in path
            hashes = {told.sha256 for told in answer.tensors} - {None}
            assert hashes <= {one.data for one in found} | _keys(answer), case.id
    assert without_tree
    assert unrolled


def _keys(answer: Any) -> set[str | None]:
    """The hashes of tensors in keys, which have no name."""
    return {told.sha256 for told in answer.tensors if ".key(" in told.path}

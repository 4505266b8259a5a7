"""Where in the tree something went wrong, spelled as Python would reach it."""

from __future__ import annotations

import pickle
from collections import OrderedDict, deque
from typing import Any

import pytest

from conformance.parser.errors import CheckpointError, GlobalNotAllowed
from tests.builders import pickles as p
from tests.builders.machine import machine, unpickle

#: A value that cannot be read.
BAD = p.Assembled(p.SHORT_BINUNICODE(b"\xff"))

#: As torch writes a tensor, up to the place where it goes wrong.
TENSOR = p.GLOBAL("torch._utils", "_rebuild_tensor_v2") + p.MARK
PARAMETER = p.GLOBAL("torch._utils", "_rebuild_parameter") + TENSOR


def path(*pieces: bytes) -> str:
    with pytest.raises(CheckpointError) as refused:
        unpickle(b"".join(pieces))
    assert refused.value.path is not None
    assert "\n" not in str(refused.value)
    return refused.value.path


PATHS: dict[str, tuple[bytes, ...]] = {
    "": (BAD,),
    "['w']": (p.EMPTY_DICT, p.value("w"), BAD),
    "['model']['w']": (p.EMPTY_DICT, p.value("model"), p.EMPTY_DICT, p.value("w"), BAD),
    "['b']": (p.EMPTY_DICT, p.MARK, p.value("a"), p.NONE, p.value("b"), BAD),
    "['a']['b']": (
        *(p.EMPTY_DICT, p.MARK, p.value("a"), p.EMPTY_DICT),
        *(p.MARK, p.value("x"), p.NONE, p.value("b"), BAD),
    ),
    "[0]": (p.EMPTY_LIST, p.MARK, BAD),
    "[2]": (p.EMPTY_LIST, p.MARK, p.NONE, p.NONE, BAD),
    "['l'][1]['k']": (
        *(p.EMPTY_DICT, p.value("l"), p.EMPTY_LIST, p.MARK, p.NONE),
        *(p.EMPTY_DICT, p.MARK, p.value("k"), BAD),
    ),
    "[0][0][0]": (p.EMPTY_LIST * 3, p.NONE, BAD),
    # What comes after the first batch of a long list.
    "[3]": (p.value([1, 2]), p.MARK, p.NONE, BAD),
    "[5]": (p.value([1, 2, 3, 4, 5]), BAD),
    # A tensor's arguments belong to the tensor.
    "['a']": (p.EMPTY_DICT, p.value("a"), TENSOR, p.value("storage"), BAD),
    "['c']": (p.EMPTY_DICT, p.MARK, p.value("c"), TENSOR, p.MARK, p.value("x"), BAD),
    "['d']": (p.EMPTY_DICT, p.MARK, p.value("d"), PARAMETER, p.NONE, p.value([]), BAD),
    "[1]": (p.EMPTY_LIST, p.MARK, p.NONE, PARAMETER, BAD),
    # Inside an object: what BUILD will give it.
    "['_parameters']['weight']": (
        *(p.call("a.Module"), p.EMPTY_DICT, p.MARK, p.value("training"), p.NEWTRUE),
        *(p.value("_parameters"), p.call("collections.OrderedDict"), p.MARK),
        *(p.value("weight"), TENSOR, BAD),
    ),
    "['k']": (p.call("a.Mapping"), p.MARK, p.value("k"), BAD),
    "['one']": (p.call("a.Mapping"), p.value("one"), BAD),
    "[4]": (p.call("collections.deque", [1, 2, 3]), p.MARK, p.NONE, BAD),
    # Where a key should come, the dict is as far as the path goes.
    "['x']": (
        *(p.EMPTY_DICT, p.value("x"), p.value({1: 2})),
        *(p.MARK, p.NONE, p.NONE, BAD),
    ),
    # Keys of other types.
    "[7]": (p.EMPTY_DICT, p.value(7), BAD),
    "[None]": (p.EMPTY_DICT, p.NONE, BAD),
    "[True]": (p.EMPTY_DICT, p.NEWTRUE, BAD),
    "[-0.0]": (p.EMPTY_DICT, p.value(-0.0), BAD),
    "[b'x']": (p.EMPTY_DICT, p.value(b"x"), BAD),
    "[<tuple>]": (p.EMPTY_DICT, p.value((1, 2)), BAD),
    "[<Global>]": (p.EMPTY_DICT, p.MARK, p.GLOBAL("a", "b"), BAD),
    "[<int>]": (p.EMPTY_DICT, p.value(-(1 << 100_000)), BAD),
}


@pytest.mark.parametrize("expected", PATHS)
def test_path(expected: str) -> None:
    assert path(*PATHS[expected]) == expected


def test_what_pickle_writes() -> None:
    """The same places in pickles of every protocol, told by what is there."""
    tree: Any = {
        "model": OrderedDict(
            [("a.weight", 1.5), ("b.weight", [1, {"x": (2, "bad")}]), ("c", 3)]
        ),
        "only": {"one": {"more": deque([0, "worse"])}},
    }
    places = {
        b"bad": "['model']['b.weight'][1]['x']",
        b"worse": "['only']['one']['more'][1]",
    }
    for protocol in range(6):
        data = pickle.dumps(tree, protocol)
        for word, place in places.items():
            broken = data.replace(word, b"\xff" * len(word))
            if protocol == 0:
                broken = data.replace(b"V" + word, b"V\\u" + word)
            if protocol > 0:
                # Dicts of one item, between marks: see `tree_path`.
                place = place.replace("['only']['one']", "")
            assert path(broken) == place, protocol


def test_a_path_is_short() -> None:
    deep = path((p.EMPTY_DICT + p.MARK + p.value("k")) * 1000, BAD)
    assert deep == "['k']" * 20 + "..."
    assert path((p.EMPTY_DICT + p.value("k")) * 1000, BAD) == deep
    assert path(p.EMPTY_LIST * 1000, p.NONE, BAD) == "[0]" * 20 + "..."
    long = path(p.EMPTY_DICT, p.value("k" * 1_000_000), BAD)
    assert long == f"['{'k' * 80}...']"
    long = path(p.EMPTY_DICT, p.value(b"k" * 1_000_000), BAD)
    assert long == f"[b'{'k' * 80}...']"


def test_a_path_is_one_line() -> None:
    for key in ("a\nb", "\x1b[2J", "\u2028", "\ud800", "\x00", b"\xff\n"):
        text = path(p.EMPTY_DICT, p.value(key), BAD)
        assert text.isascii()
        assert text.isprintable()


def test_marks_without_containers_are_not_searched_for_ever() -> None:
    assert path(p.MARK * 1_000_000, p.EMPTY_LIST, p.MARK, BAD) == ""


def test_of_a_global() -> None:
    state = p.EMPTY_DICT + p.MARK + p.value("ok") + p.NONE + p.value("evil")
    with pytest.raises(GlobalNotAllowed) as refused:
        unpickle(state + p.GLOBAL("os", "system"), weights_only=True)
    assert str(refused.value) == (
        "the pickle names 'os.system', which weights_only=True does not allow; "
        f"weights_only=False reads it and still runs nothing "
        f"(pickle, byte {len(state)}, at ['evil'])"
    )


def test_the_machine_knows_it_at_any_time() -> None:
    reader = machine(b"")
    assert reader.path() == ""
    reader.stack = [{}, "w"]
    assert reader.path() == "['w']"
    reader.metastack, reader.stack = [[{}]], []
    assert reader.path() == ""

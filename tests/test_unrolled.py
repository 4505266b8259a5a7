"""How often a value has its parts."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from conformance.corpus.unrolled import MOST, unrolled


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("tree", "parts"),
    [
        (None, 1),
        ((), 1),
        ([1, 2, 3], 4),
        ((1, 2, 3, 4), 5),
        ({"a": 1, "b": (2,)}, 6),
        ([[[[]]]], 4),
    ],
)
def test_each_part_counts(tree: Any, parts: int, protocol: int) -> None:
    assert unrolled(pickle.dumps(tree, protocol)) == parts


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", [list, tuple])
def test_each_time_that_it_is_used(kind: Any, protocol: int) -> None:
    """By way of the memo, in each spelling; lists are filled behind it."""
    tree: Any = kind()
    for _ in range(10):
        tree = kind((tree, tree))
    assert unrolled(pickle.dumps(tree, protocol)) == 2**11 - 1
    for _ in range(60):
        tree = kind((tree, tree))
    assert unrolled(pickle.dumps(tree, protocol)) == MOST


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"N2\x86.", 3),
        (b"(NN1N.", 1),
        (b"}NNs.", 3),
        (b"(NNNt0N.", 4),
        (b"", 0),
        (b"\xff", 0),
        # What is not there is not missed.
        (b"0es\x86R.", 3),
        (b"h\5.", 1),
        (b"q\5.", 0),
        (b"2t.", 1),
        (b"I" + b"1" * 5000 + b"\n.", 1),
    ],
)
def test_opcodes(data: bytes, parts: int) -> None:
    assert unrolled(data) == parts

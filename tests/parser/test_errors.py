"""What an error says, and what of a file may appear in it."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from conformance.parser import errors
from conformance.parser.errors import CheckpointError, LimitExceeded, Malformed, quote
from conformance.parser.limits import Budget, Limits

KINDS = [
    errors.NotACheckpoint,
    errors.Truncated,
    errors.Malformed,
    errors.Unsupported,
    errors.Uninitialised,
    errors.GlobalNotAllowed,
    errors.LimitExceeded,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_kinds(kind: type[CheckpointError]) -> None:
    error = kind("no good")
    assert isinstance(error, CheckpointError)
    assert error.kind == kind.__name__
    assert (error.phase, error.offset, error.path) == ("container", None, None)
    assert str(error) == "no good (container)"


def test_where_it_went_wrong() -> None:
    error = Malformed("no good", phase="rebuild", offset=0, path="['w']")
    assert str(error) == "no good (rebuild, byte 0, at ['w'])"
    error.path = ""
    assert str(error) == "no good (rebuild, byte 0)"
    error.offset, error.path = None, "[0]"
    assert str(error) == "no good (rebuild, at [0])"


QUOTED = {
    "plain": "'plain'",
    "it's": "'it's'",
    "a\nb\t\r\x00": r"'a\nb\t\r\x00'",
    "caf\xe9 \u2028 \U0001f600": r"'caf\xe9 \u2028 \U0001f600'",
    "\ud800": r"'\ud800'",
    "back\\slash": r"'back\\slash'",
    "x" * 80: "'" + "x" * 80 + "'",
    "x" * 81: "'" + "x" * 80 + "...'",
    b"bytes\xff\n": r"'bytes\xff\n'",
    b"x" * 81: "'" + "x" * 80 + "...'",
}


@pytest.mark.parametrize("text", QUOTED, ids=ascii)
def test_quote(text: str | bytes) -> None:
    assert quote(text) == QUOTED[text]
    assert quote(text).isascii()
    assert quote(text).isprintable()


def test_quote_does_not_show_what_a_file_built() -> None:
    class Evil:
        def __repr__(self) -> str:
            raise AssertionError

    assert quote(Evil()) == "<Evil>"
    assert quote([Evil()]) == "<list>"
    assert quote(1 << 100_000) == "<int>"
    assert quote("\n" * 10_000_000) == "'" + r"\n" * 80 + "...'"


def test_budget() -> None:
    budget = Budget.of(Limits(copies_base=10, copies_ratio=3))
    budget.spend(10)
    with pytest.raises(LimitExceeded, match=r"Limits\.copies_ratio") as refused:
        budget.spend(1)
    assert refused.value.phase == "pickle"
    budget = Budget.of(Limits(copies_base=0, copies_ratio=3))
    budget.grant(2)
    budget.spend(6)
    with pytest.raises(LimitExceeded):
        budget.spend(1)


def test_limits_cannot_be_changed_by_the_way() -> None:
    limits = Limits()
    with pytest.raises(dataclasses.FrozenInstanceError):
        limits.nesting = 5  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(limits)) == limits

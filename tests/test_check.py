"""The verdicts, with a torch that says what the test wants."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance import check as checking
from conformance.check import FileResult, Verdict, check
from conformance.loaders import ours
from conformance.loaders.reference import MODES, Mode, Reference
from conformance.loaders.worker import (
    Answer,
    Crash,
    Hang,
    Nondeterministic,
    OutOfMemory,
    Rejected,
    Result,
    Unavailable,
)
from tests.builders import checkpoints

WEIGHTS, FULL, WEIGHTS_MMAP, FULL_MMAP = MODES
REFUSED = Rejected("UnpicklingError", "no")


class Torch(Reference):
    """Answers each load with the next of its results."""

    def __init__(self, *results: Result) -> None:
        self.results = list(results)
        self.asked: list[tuple[Mode, bool]] = []

    def load(
        self,
        path: str | os.PathLike[str],
        mode: Mode = WEIGHTS,
        *,
        encoding: str = "utf-8",
        twice: bool = False,
    ) -> Result:
        self.asked.append((mode, twice))
        return self.results.pop(0)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def writer(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return writer


@pytest.fixture
def good(write: Callable[..., Path]) -> Path:
    return write("good.pt", checkpoints.zipped({"w": tensor(1.0, 2.0)}))


@pytest.fixture
def bad(write: Callable[..., Path]) -> Path:
    return write("bad.pt", checkpoints.zipped({"w": tensor(1.0, 2.0)})[:-1])


def tensor(*numbers: float) -> checkpoints.Call:
    return checkpoints.tensor(checkpoints.floats(*numbers), (len(numbers),))


def answer(path: Path) -> Answer:
    return Answer(ours.load(path))


def verdicts(found: FileResult) -> list[Verdict]:
    return [result.verdict for result in found.modes]


def test_equal(good: Path) -> None:
    torch = Torch(*[answer(good)] * 4)
    found = check(good, torch, MODES)
    assert verdicts(found) == [Verdict.EQUAL] * 4
    assert found.agrees
    assert [mode for mode, _ in torch.asked] == list(MODES)
    assert (found.size, found.tensors) == (good.stat().st_size, 1)
    assert (found.parameters, found.storage_nbytes) == (0, 8)


def test_differ_says_where(good: Path, write: Callable[..., Path]) -> None:
    other = write("other.pt", checkpoints.zipped({"w": tensor(1.0, 3.0)}))
    torch = Torch(answer(other), answer(other))
    found = check(good, torch, [WEIGHTS])
    [result] = found.modes
    assert result.verdict is Verdict.DIFFER
    assert not found.agrees
    assert [str(difference) for difference in result.differences] == [
        "storage byte 6 00 40 != 40 40 at ['w']"
    ]
    # It was asked again, to see whether torch says it twice.
    assert torch.asked == [(WEIGHTS, False), (WEIGHTS, True)]


def test_limit_keeps_the_first_differences(write: Callable[..., Path]) -> None:
    one = write("one.pt", checkpoints.zipped([1, 2, 3]))
    two = write("two.pt", checkpoints.zipped([4, 5, 6]))
    [result] = check(one, Torch(answer(two), answer(two)), [FULL], limit=1).modes
    assert (len(result.differences), result.total) == (1, 3)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (REFUSED, Verdict.ONLY_OURS),
        (Crash(11, 0, ""), Verdict.CRASHED),
        (Hang(1.0), Verdict.HUNG),
        (OutOfMemory("no"), Verdict.OUT_OF_MEMORY),
        (Unavailable("no"), Verdict.UNAVAILABLE),
    ],
)
def test_torch_does_not_load(good: Path, said: Result, expected: Verdict) -> None:
    found = check(good, Torch(said), [WEIGHTS])
    [result] = found.modes
    assert result.verdict is expected
    assert result.torch == str(said)
    assert not found.agrees


def test_both_refuse(bad: Path) -> None:
    found = check(bad, Torch(REFUSED), [WEIGHTS])
    [result] = found.modes
    assert result.verdict is Verdict.BOTH_REFUSE
    assert result.ours is not None
    assert result.ours.endswith(f"(container, byte {bad.stat().st_size})")
    assert found.agrees


def test_only_torch_loads(good: Path, bad: Path) -> None:
    [result] = check(bad, Torch(answer(good), answer(good)), [WEIGHTS]).modes
    assert result.verdict is Verdict.ONLY_TORCH
    assert result.ours is not None


def test_memory_that_nothing_fills(good: Path, write: Callable[..., Path]) -> None:
    """A difference that torch itself does not repeat is no difference."""
    other = write("other.pt", checkpoints.zipped({"w": tensor(1.0, 3.0)}))
    torch = Torch(answer(other), Nondeterministic("storage byte 6"))
    [result] = check(good, torch, [WEIGHTS]).modes
    assert result.verdict is Verdict.NONDETERMINISTIC


def test_torch_maps_zip_archives_only(write: Callable[..., Path]) -> None:
    legacy = write("legacy.pt", checkpoints.legacy({"w": tensor(1.0)}))
    torch = Torch(answer(legacy), answer(legacy))
    found = check(legacy, torch, MODES)
    assert verdicts(found) == [Verdict.EQUAL] * 2 + [Verdict.NO_MMAP] * 2
    assert found.agrees
    assert len(torch.asked) == 2


def test_weights_only_is_read_apart(write: Callable[..., Path]) -> None:
    call = checkpoints.Call("posix.system", "true")
    path = write("evil.pt", checkpoints.zipped([call]))
    full = Answer(ours.load(path, weights_only=False))
    found = check(path, Torch(REFUSED, full), [WEIGHTS, FULL])
    assert verdicts(found) == [Verdict.BOTH_REFUSE, Verdict.EQUAL]
    assert found.agrees


def test_the_ledger_explains_a_divergence(good: Path) -> None:
    def explain(file: str, result: checking.ModeResult) -> str | None:
        assert file == str(good)
        return "a-row" if result.verdict is Verdict.ONLY_OURS else None

    found = check(good, Torch(REFUSED), [WEIGHTS], explain=explain)
    [result] = found.modes
    assert (result.verdict, result.row) == (Verdict.KNOWN, "a-row")
    assert result.torch == str(REFUSED)
    assert found.agrees
    # What agrees needs no explanation.
    assert (
        check(good, Torch(answer(good)), [FULL], explain=explain).modes[0].row is None
    )


def test_a_bug_of_ours_is_shown_and_is_no_agreement(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(ours, "load", broken)
    found = check(good, Torch(), MODES)
    assert set(verdicts(found)) == {Verdict.BUG}
    assert not found.agrees
    assert found.modes[0].ours is not None
    assert "ZeroDivisionError: oh" in found.modes[0].ours


def test_a_file_that_cannot_be_opened_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check(tmp_path / "nothing.pt", Torch(), MODES)

"""The planted bugs: their patches fit, and a few of them are found at once.

All of them are `tox -e planted`: `python -m tests.fuzz.plant`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.fuzz.targets import TARGETS
from conformance.fuzz.words import Words
from tests.fuzz import bugs, hunt, plant
from tests.fuzz.bugs import Bug
from tests.fuzz.plant import Failure, Result

BUGS = {bug.id: bug for bug in bugs.bugs()}

#: Found by the first seeds, without torch.
QUICK = ("legacy_cut_accepted", "sparse_unchecked", "tar_take_unchecked")


def test_every_patch_is_in_the_table_and_every_row_has_one() -> None:
    assert len(BUGS) == len(bugs.bugs()) >= 25
    assert {path.stem for path in bugs.PLANTED.glob("*.patch")} == BUGS.keys()


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_the_row_says_what_is_broken_and_who_should_find_it(bug: Bug) -> None:
    assert bug.broken
    assert bug.targets
    assert TARGETS.keys() >= set(bug.targets)


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_the_patch_applies_and_changes_the_parser_alone(bug: Bug) -> None:
    changed = [
        line.removeprefix("+++ b/")
        for line in bug.patch.read_text().splitlines()
        if line.startswith("+++ ")
    ]
    assert changed
    with bugs.planted(bug) as tree:
        for name in changed:
            assert name.startswith("conformance/parser/")
            source = (tree / name).read_text()
            assert source != (bugs.ROOT / name).read_text()
            compile(source, name, "exec")


def test_a_patch_that_does_not_fit_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("something else\n")
    patch = tmp_path / "old.patch"
    patch.write_text("--- a/file\n+++ b/file\n@@ -1 +1 @@\n-before\n+after\n")
    with pytest.raises(bugs.Stale, match=r"old\.patch does not apply"):
        bugs.apply(patch, tmp_path)
    assert (tmp_path / "file").read_text() == "something else\n"


@pytest.mark.parametrize("name", QUICK)
def test_a_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Seeds need no words, and to gather those takes seconds.
    monkeypatch.setattr(hunt, "default_words", Words)
    result = plant.search(BUGS[name], 60)
    assert result.found
    assert not result.strangers


# ------------------------------------------------- what counts as found, and not

BUG = Bug("some_bug", "something", ("machine",))


def hunted(
    monkeypatch: pytest.MonkeyPatch,
    *,
    planted: list[tuple[Failure | None, int]],
    clean: list[tuple[Failure | None, int]],
) -> tuple[Result, list[tuple[Path, int, int | None, list[str]]]]:
    """What becomes of a bug with these failures, and what was asked for."""
    asked = []

    def fake(
        tree: Path,
        target: str,
        seconds: float,
        *,
        start: int = 0,
        stop: int | None = None,
        ignore: list[str],
    ) -> tuple[Failure | None, int]:
        asked.append((tree, start, stop, list(ignore)))
        return (clean if tree == bugs.ROOT else planted).pop(0)

    monkeypatch.setattr(plant, "hunt", fake)
    result = Result(BUG)
    plant.look("machine", Path("planted"), 60, result)
    return result, asked


def test_what_only_the_bug_raises_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    result, asked = hunted(
        monkeypatch, planted=[(Failure(7, "escaped | KeyError"), 7)], clean=[(None, 7)]
    )
    assert result.target == "machine"
    assert result.signature == "escaped | KeyError"
    assert result.inputs == 8
    assert not result.strangers
    # The same inputs, in the tree as it is.
    assert asked == [(Path("planted"), 0, None, []), (bugs.ROOT, 0, 8, [])]


def test_what_is_raised_without_the_bug_is_not_its_doing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stranger = Failure(5, "escaped | TypeError")
    result, asked = hunted(
        monkeypatch,
        planted=[(stranger, 5), (None, 90)],
        clean=[(stranger, 5)],
    )
    assert not result.found
    assert result.strangers == ["escaped | TypeError"]
    assert asked[-1] == (Path("planted"), 6, None, ["escaped | TypeError"])
    assert result.inputs == 91


def test_what_could_not_be_compared_is_not_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The tree as it is did not come to the input in its time."""
    result, _ = hunted(
        monkeypatch,
        planted=[(Failure(7, "escaped | KeyError"), 7), (None, 90)],
        clean=[(None, 6)],
    )
    assert not result.found
    assert result.strangers == ["not confirmed in time"]


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (Result(BUG, target="machine"), 0),
        (Result(BUG), 1),
        (Result(BUG, untried="no torch"), 0),
        (Result(BUG, target="machine", strangers=["something else"]), 0),
        (Result(BUG, stale="some_bug.patch does not apply"), 1),
        (Result(Bug("b", "c", ("machine",), survives="nobody looks there")), 0),
        (
            Result(
                Bug("b", "c", ("machine",), survives="not any more"), target="machine"
            ),
            1,
        ),
    ],
)
def test_exit_status(
    result: Result, status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(plant, "bugs", lambda: [result.bug])
    monkeypatch.setattr(plant, "search", lambda bug, seconds: result)
    written = tmp_path / "results.json"
    assert plant.main(["--json", str(written)]) == status
    assert result.bug.id in written.read_text()

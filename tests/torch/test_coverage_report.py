"""The committed report is what the corpus and torch give, and nothing is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.corpus.format import corpus_folder
from conformance.coverage import Coverage, cover
from conformance.coverage.denominators import uncoverable
from conformance.report import coverage_markdown

pytestmark = pytest.mark.slow

COMMITTED = Path(__file__).parents[2] / "docs" / "coverage.md"


@pytest.fixture(scope="module")
def found() -> Coverage:
    return cover(corpus_folder())


def test_all_is_covered_that_can_be(found: Coverage) -> None:
    holes = {part.title: [entry.name for entry in part.missing] for part in found.parts}
    assert {title: names for title, names in holes.items() if names} == {}


def test_no_row_of_the_table_of_exceptions_is_needless(found: Coverage) -> None:
    """Each speaks of entries that are there, and of none that is covered."""
    parts = {part.title: part.entries for part in found.parts}
    for row in uncoverable():
        meant = [
            entry
            for entry in parts[row.denominator]
            if row.matches(row.denominator, entry.name)
        ]
        assert meant, f"there is no {row.entry} among {row.denominator}"
        covered = [entry.name for entry in meant if entry.standing == "covered"]
        assert covered == [], row.entry


def test_every_rebuild_path_agrees_with_the_corpus(found: Coverage) -> None:
    assert found.rows
    for row in found.rows:
        assert row.agree == len(row.cases), row.path


def test_torchs_own_functions_are_measured(found: Coverage) -> None:
    rebuilt = [row for row in found.rows if row.group == "rebuild functions"]
    measured = [row for row in rebuilt if row.torch is not None and row.cases]
    assert len(measured) > 12
    assert all(row.torch and row.torch.lines[0] for row in measured)


def test_the_committed_report_is_current(found: Coverage) -> None:
    """`torchproof coverage --markdown docs/coverage.md` writes it."""
    committed = COMMITTED.read_text("utf-8")
    line = coverage_markdown.versions(found)
    if line not in committed:
        pytest.skip(f"it was not written like this: {line}")
    assert coverage_markdown.render(found) == committed

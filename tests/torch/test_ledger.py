"""The ledger against torch: each row diverges, and nothing diverges without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance import ledger
from conformance.check import FileResult, check
from conformance.corpus.format import cases, corpus_folder
from conformance.loaders.reference import MODES, Reference
from generators.cases import CASES as REGISTERED
from generators.cases import write

pytestmark = pytest.mark.slow

#: The cases that rows name, kept or not.
NAMED = [id for row in ledger.rows().values() for id in row.cases]
#: Those that can be written here ...
MADE = {id: REGISTERED[id] for id in NAMED if id in REGISTERED}
#: ... and those that only an old release could write.
KEPT = {case.id: path for path, case in cases(corpus_folder()) if case.id in NAMED}
CASES = sorted({*MADE, *KEPT})

#: Enough for any malformed file, and no danger to the machine.
MEMORY = 8 << 30
#: Seconds for a file that makes torch hang, which nobody wants to wait for.
HASTE = 3.0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every case, those too that are not kept."""
    folder = tmp_path_factory.mktemp("divergences")
    write(folder, MADE.values(), undisclosed=True)
    return {**KEPT, **{id: folder / case.file for id, case in MADE.items()}}


@pytest.fixture(scope="module")
def results(files: dict[str, Path]) -> dict[str, FileResult]:
    """Every case in every mode, read once."""
    hangs = {id for row in ledger.rows().values() for id in row.cases
             if "torch hung" in row.verdicts}  # fmt: skip
    found = {}
    with (
        Reference(memory=MEMORY) as patient,
        Reference(memory=MEMORY, timeout=HASTE) as hasty,
    ):
        for id in CASES:
            reference = hasty if id in hangs else patient
            found[id] = check(files[id], reference, MODES, limit=100)
    return found


@pytest.mark.parametrize("id", CASES)
def test_each_divergence_has_one_row_that_names_the_case(
    results: dict[str, FileResult], files: dict[str, Path], id: str
) -> None:
    diverging = [mode for mode in results[id].modes if not mode.verdict.agrees]
    assert diverging, "torch and we agree on this file in every mode"
    for mode in diverging:
        rows = ledger.explaining(str(files[id]), mode)
        assert len(rows) == 1, (rows, mode)
        assert id in ledger.rows()[rows[0]].cases


@pytest.mark.parametrize("name", ledger.rows())
def test_a_row_diverges_in_each_of_its_modes_and_verdicts(
    results: dict[str, FileResult], name: str
) -> None:
    row = ledger.rows()[name]
    found: set[str] = set()
    modes: set[str] = set()
    for id in row.cases:
        for mode in results[id].modes:
            if row.matches(mode):
                found.add(id)
                modes.add(mode.mode)
    assert found == set(row.cases)
    assert modes == set(row.modes)


def test_what_is_not_disclosed_is_said_in_both_lists() -> None:
    rows = ledger.rows().values()
    named = {id for row in rows if row.undisclosed for id in row.cases}
    assert named == {id for id, case in REGISTERED.items() if case.undisclosed}

"""docs/hostile.md: every case that it names is there, and does what it says."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

from conformance import ledger
from conformance.corpus.format import Case, cases, corpus_folder, read_index

PAGE = Path(__file__).parents[1] / "docs" / "hostile.md"
TEXT = PAGE.read_text("utf-8")
CASES = {case.id: case for _, case in cases(corpus_folder())}
FLAGS = read_index(corpus_folder()).flags

#: What torch may do, and how a case says that it did.
WORDS = {
    "crashes": r"^crash \(",
    "hangs": r"^no answer within ",
    "runs out of memory": r"^out of memory$",
    "refuses": r"",
}
#: The modes of `torch.load`.
MODES = {"full", "weights", "full-mmap", "weights-mmap"}
UNDISCLOSED = {name for name, row in ledger.rows().items() if row.undisclosed}


class Row(NamedTuple):
    """A line of one of the tables."""

    section: str
    cells: list[str]

    @property
    def named(self) -> list[str]:
        """Ids of cases, or globs of them; and rows of the ledger."""
        return re.findall(r"`([^`]+)`", self.cells[-2])

    @property
    def patterns(self) -> list[str]:
        return [name for name in self.named if "/" in name]

    @property
    def rows(self) -> list[str]:
        return [name for name in self.named if "/" not in name]

    @property
    def cases(self) -> list[Case]:
        return [
            case
            for id, case in CASES.items()
            if any(fnmatch(id, pattern) for pattern in self.patterns)
        ]

    @property
    def words(self) -> list[str]:
        return self.cells[-1].split(", ")


def rows() -> list[Row]:
    found, section = [], ""
    for line in TEXT.splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        if line.startswith("| ") and not re.match(r"\| (---|.* torch 2\.13 \|$)", line):
            found.append(Row(section, [cell.strip() for cell in line.split("|")[1:-1]]))
    return found


ROWS = rows()
NAMES = [f"{row.section}: {row.cells[0] or row.cells[1]}"[:70] for row in ROWS]


def answers(case: Case) -> set[str]:
    """What torch did with a case, in words of the page."""
    given = filter(None, (case.expected, *case.alternatives))
    said = {"loads" for answer in given if MODES & set(answer.by)}
    for mode in MODES & case.refused_by.keys():
        error = case.refused_by[mode]
        said.add(next(word for word, how in WORDS.items() if re.search(how, error)))
    return said


def test_the_page_has_its_tables() -> None:
    sections = {row.section for row in ROWS}
    assert len(sections) == 6
    assert len(ROWS) >= 80


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_every_case_that_is_named_is_in_the_corpus(row: Row) -> None:
    assert row.named
    for pattern in row.patterns:
        assert any(fnmatch(id, pattern) for id in CASES), pattern


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_what_is_not_disclosed_is_a_class_and_nothing_more(row: Row) -> None:
    assert set(row.rows) <= UNDISCLOSED
    said = any("(undisclosed)" in word for word in row.words)
    assert said == bool(row.rows)


def test_every_undisclosed_row_of_the_ledger_has_its_class() -> None:
    assert {name for row in ROWS for name in row.rows} == UNDISCLOSED
    for name in UNDISCLOSED:
        for id in ledger.rows()[name].cases:
            assert f"`{id}`" not in TEXT


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_torch_does_what_the_row_says(row: Row) -> None:
    said = [word for word in row.words if "(undisclosed)" not in word]
    done = set().union(*(answers(case) for case in row.cases))
    assert set(said) == done


def test_every_class_has_a_flag_that_its_cases_have() -> None:
    classes = [row for row in ROWS if row.section == "Classes"]
    assert len(classes) >= 10
    for row in classes:
        for flag in re.findall(r"`([^`]+)`", row.cells[1]):
            assert flag in FLAGS
            # The cases of the ledger have no flags of this kind.
            marked = [case for case in row.cases if flag in case.flags]
            assert marked or not row.patterns, flag


def test_every_type_of_ambiguity_has_its_cases() -> None:
    groups = (("a", 5), ("b", 4), ("c", 5))
    types = [f"{group}{n + 1}" for group, count in groups for n in range(count)]
    tables = [row for row in ROWS if re.fullmatch(r"[abc]\d", row.cells[0])]
    assert [row.cells[0] for row in tables] == types
    shown = {case.id for row in tables for case in row.cases}
    named = {id for id in CASES if re.match(r"ambiguous/[abc]\d_", id)}
    assert shown == named
    for id in shown:
        assert "ambiguous-zip" in CASES[id].flags


def entries(text: str) -> set[str]:
    """The vulnerabilities that a text or a link names."""
    return set(re.findall(r"CVE-\d+-\d+", text))


def test_every_vulnerability_has_a_row_with_its_cases() -> None:
    marked = [case for case in CASES.values() if "cve" in case.flags]
    assert len(marked) >= 20
    for case in marked:
        published = entries(" ".join(case.links))
        assert published, case.id
        for entry in published:
            here = [row for row in ROWS if entry in row.cells[0]]
            assert len(here) == 1, entry
            assert case in here[0].cases, (entry, case.id)


def test_every_row_of_a_vulnerability_names_cases_that_lead_to_it() -> None:
    for row in ROWS:
        for entry in entries(row.cells[0]):
            links = " ".join(link for case in row.cases for link in case.links)
            assert entry in entries(links), entry

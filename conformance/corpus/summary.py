"""The corpus in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .format import cases, read_index


@dataclass
class Summary:
    """Counts of cases: by verdict, and of each label and directory by verdict.

    `families` counts the cases of each file of generators; `nbytes` is the size
    of everything in the corpus.
    """

    cases: int = 0
    nbytes: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    labels: dict[str, Counter[str]] = field(default_factory=dict)
    directories: dict[str, Counter[str]] = field(default_factory=dict)
    families: dict[str, int] = field(default_factory=dict)


def summary(corpus: Path) -> Summary:
    """Raises `FileNotFoundError` if there is no corpus."""
    found = Summary(families=read_index(corpus).families)
    for _, case in cases(corpus):
        found.cases += 1
        found.verdicts[case.verdict] += 1
        directory = case.id.rpartition("/")[0]
        for rows, name in (
            (found.labels, case.label),
            (found.directories, directory),
        ):
            rows.setdefault(name, Counter())[case.verdict] += 1
    files = (path for path in corpus.rglob("*") if path.is_file())
    found.nbytes = sum(path.stat().st_size for path in files)
    return found

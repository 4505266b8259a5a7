"""Adapters that go wrong, each in its own way; `fake.py` is the program."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from conformance.corpus.format import Case, corpus_folder, decode

PROGRAM = Path(__file__).with_name("fake.py")

#: A handful of cases: four valid ones, two to refuse.
CASES = (
    "cut/archive_before_end_record",
    "cut/legacy_before_object",
    "rebuild_parameter/frozen",
    "rebuild_parameter/parameters_in_list",
    "rebuild_tensor_v2/base_then_view",
    "rebuild_tensor_v2/conj_beside_plain",
)


def fake(how: str, where: str = "") -> tuple[str, ...]:
    """The command of a fake; `-I` and `-S`, since it starts many times."""
    return sys.executable, "-I", "-S", str(PROGRAM), how, where


def cases(*ids: str) -> list[tuple[Path, Case]]:
    """These cases of the corpus, or the handful."""
    found = []
    for id in ids or CASES:
        found += [one for one in _folder(id.partition("/")[0]) if one[1].id == id]
    return found


@functools.cache
def _folder(name: str) -> list[tuple[Path, Case]]:
    folder = corpus_folder() / name
    directory = decode((folder / "cases.json").read_bytes())
    return [(folder / case.file, case) for case in directory.cases]

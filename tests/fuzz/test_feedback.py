"""Outcomes as edges: each its own, and none where nobody looks."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.fuzz import feedback

#: A fuzzer that walks the outcome which its input names.
PROGRAM = """
import sys
import atheris
from conformance.fuzz import feedback

if sys.argv[1] == "with":
    feedback.install(atheris.instrument_func)

@atheris.instrument_func
def one(data):
    if data:
        feedback.walk(str(data[0]))

atheris.Setup(["fuzz", "-runs=20000", "-max_len=2", "-seed=1"], one)
atheris.Fuzz()
"""


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    yield
    feedback._functions.clear()


def test_without_a_fuzzer_nothing_happens() -> None:
    feedback.walk("anything")
    assert feedback._functions == []


def test_each_outcome_has_one_function() -> None:
    walked = []

    def instrument(function: Callable[[], None]) -> Callable[[], None]:
        return lambda: walked.append(function)

    feedback.install(instrument)
    assert len(feedback._functions) == feedback.SIZE
    names = ["both refuse", "equal", "differ", "\ud800"]
    for name in names * 2:
        feedback.walk(name)
    assert walked[:4] == walked[4:]
    assert len(set(walked)) == 4
    # Counters go into the code, so each has its own.
    codes = {id(function.__code__) for function in set(walked)}
    assert len(codes) == 4


def edges(*arguments: str) -> int:
    """How many edges a fuzzer sees in the end."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    found: Any = re.search(r"DONE +cov: (\d+)", done.stderr)
    return int(found[1])


def test_atheris_counts_each() -> None:
    pytest.importorskip("atheris")
    few, many = edges("without"), edges("with")
    assert few < 10
    # 256 names have about 160 hashes.
    assert many > few + 100

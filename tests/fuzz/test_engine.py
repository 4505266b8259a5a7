"""One process: what is instrumented, how it mutates, what it says and files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

pytest.importorskip("atheris")

from conformance.fuzz.campaign import engine
from conformance.fuzz.campaign.job import Broken, Job, Process, Report, environment
from conformance.fuzz.findings import Findings
from conformance.fuzz.target import Target
from conformance.fuzz.words import Words
from tests.fuzz import fakes


def test_only_the_parser_is_instrumented() -> None:
    """Neither the mutators nor anything else of ours counts as coverage."""
    program = """
import json, sys
from conformance.fuzz.campaign.engine import instrumented
from conformance.fuzz.lookup import find
with instrumented(("conformance.parser",)):
    import conformance.parser, conformance.compare, conformance.fuzz.mutation
loaders = {name: type(module.__spec__.loader).__name__
           for name, module in sys.modules.items() if getattr(module, '__spec__', None)}
print(json.dumps([name for name in loaders if "Atheris" in loaders[name]]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    found = json.loads(done.stdout)
    assert "conformance.parser.unpickler" in found
    assert {name for name in found if not name.startswith("conformance.parser")} == (
        set()
    )


def test_what_is_imported_already_cannot_be_instrumented() -> None:
    with (
        pytest.raises(RuntimeError, match="too early"),
        engine.instrumented(("conformance.fuzz",)),
    ):
        pass


# --------------------------------------------------------------------- mutation


def mutants(monkeypatch: pytest.MonkeyPatch, mutant: bytes) -> list[bytes]:
    """A hundred of what the engine makes when the target's mutator makes `mutant`."""
    monkeypatch.setattr("atheris.Mutate", lambda _data, _size: b"raw")

    def mutate(data: bytes, random: Random, words: Words) -> bytes:
        return mutant

    target = Target("one", fakes.run_empty, mutate, fakes.seeds)
    custom = engine.mutator(target, Words(), 1)
    return [custom(b"data", 8, seed) for seed in range(100)]


def test_most_mutants_are_the_targets_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made = mutants(monkeypatch, b"own")
    assert set(made) == {b"own", b"raw"}
    assert 70 < made.count(b"own") < 98


@pytest.mark.parametrize("mutant", [b"", b"nine byte"])
def test_mutants_that_do_not_fit_are_replaced(
    monkeypatch: pytest.MonkeyPatch, mutant: bytes
) -> None:
    assert set(mutants(monkeypatch, mutant)) == {b"raw"}


# -------------------------------------------------------------------- execution


def run(target: Target, folder: Path, inputs: list[bytes]) -> list[Report]:
    """The reports of an engine that is given these inputs."""
    read, write = os.pipe()
    one = engine.Engine(target, Findings(folder), write)
    for data in inputs:
        one.one(data)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        return [Report(**json.loads(line)) for line in pipe]


def test_what_a_target_raises_is_filed_once_and_does_not_stop_it(
    tmp_path: Path,
) -> None:
    inputs = [b"PK\3\4 longer", b"fine", b"PK\3\4", b"PK\3\4 again"]
    reports = run(fakes.violation, tmp_path, inputs)
    signature = "violation | magic | the first four bytes"
    assert [list(report.findings) for report in reports] == [[signature]] * 2
    [(finding, data)] = Findings(tmp_path)
    assert (finding.signature, data) == (signature, b"PK\3\4")
    assert finding.message == "Violation: b'PK\\x03\\x04' is magic"


def test_nothing_that_a_target_raises_ends_the_process(tmp_path: Path) -> None:
    reports = run(fakes.escape, tmp_path, [b"PK\3\4"])
    assert "SystemExit" in reports[-1].findings[0]


def test_the_input_decides_whether_it_is_run_thoroughly(tmp_path: Path) -> None:
    inputs = [bytes([n]) for n in range(256)]
    thorough = []

    def note(data: bytes, thoroughly: bool) -> None:
        if thoroughly:
            thorough.append(data)

    target = Target("note", note, fakes.mutate, fakes.seeds)
    run(target, tmp_path, inputs)
    assert 0 < len(thorough) < 64
    first = list(thorough)
    run(target, tmp_path, inputs)
    assert thorough == first * 2


def test_an_engine_whose_campaign_is_gone_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(status: int) -> Any:
        raise InterruptedError(status)

    monkeypatch.setattr("os._exit", leave)
    read, write = os.pipe()
    os.close(read)
    one = engine.Engine(fakes.empty, Findings(tmp_path), write)
    with pytest.raises(InterruptedError):
        one.one(b"")
    os.close(write)


def test_memory_is_limited_beyond_what_there_is() -> None:
    program = """
from conformance.fuzz.campaign.engine import limit_memory
limit_memory(1 << 28)
bytearray(1 << 27)
try:
    bytearray(1 << 29)
except MemoryError:
    print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "refused\n"


def test_a_job_of_nobody_is_broken_not_a_finding(tmp_path: Path) -> None:
    job = Job("tests.fuzz.fakes:nobody", (), "words", str(tmp_path), 1 << 30, 1)
    process = Process(job, ["-runs=1"], tmp_path)
    try:
        for number, pipe in process.pipes.items():
            process.feed(number, pipe.read())
        with pytest.raises(Broken, match="there is no target 'nobody'"):
            process.end()
    finally:
        process.close()

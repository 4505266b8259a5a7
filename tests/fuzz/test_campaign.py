"""Campaigns of fakes: what they find, how they end, and what is left of them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.fuzz.campaign import campaign as campaigns
from conformance.fuzz.campaign import statistics
from conformance.fuzz.campaign.campaign import Campaign, Limits, Unavailable
from conformance.fuzz.campaign.job import Broken, environment
from conformance.fuzz.campaign.statistics import Log, Progress, Started
from conformance.fuzz.campaign.summary import Summary, summaries
from conformance.fuzz.findings import Findings
from tests.fuzz import fakes

FAKES = "tests.fuzz.fakes"


def campaign(name: str, folder: Path, **options: Any) -> Campaign:
    limits = Limits(
        runs=options.pop("runs", None), seconds=options.pop("seconds", None), timeout=1
    )
    options.setdefault("seed", 1)
    return Campaign(
        f"{FAKES}:{name}",
        getattr(fakes, name),
        fakes.WORDS,
        folder,
        limits=limits,
        **options,
    )


def finish(one: Campaign) -> Progress:
    """The last that a campaign says."""
    *_, last = one.run()
    return last


def summary(folder: Path) -> Summary:
    [one] = summaries(folder)
    return one


# ------------------------------------------------------------------- statistics


def started(run: str) -> Started:
    from datetime import datetime, timezone

    when = datetime.now(timezone.utc)
    return Started(run, when, "fake", "0", "3", "3", 1, 1, 1, 1)


def test_runs_are_read_back(tmp_path: Path) -> None:
    log = Log(tmp_path)
    for run, executions in (("a", 5), ("b", 7)):
        log.start(started(run))
        log.progress(Progress(run, seconds=2, executions=executions, ended="runs"))
    found = list(statistics.read(tmp_path))
    assert [(one.started.run, one.progress.executions) for one in found] == [
        ("a", 5),
        ("b", 7),
    ]


def test_a_run_that_never_reported_has_done_nothing(tmp_path: Path) -> None:
    Log(tmp_path).start(started("a"))
    [run] = statistics.read(tmp_path)
    assert (run.progress.executions, run.progress.ended) == (0, None)


def test_a_line_that_was_cut_is_left_out_and_then_removed(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.start(started("a"))
    log.progress(Progress("a", seconds=2, executions=5))
    with open(log.path, "ab") as stream:
        stream.write(b'{"kind":"progress","run":"a","execu')
    assert [run.progress.executions for run in statistics.read(tmp_path)] == [5]
    Log(tmp_path).start(started("b"))
    assert [run.started.run for run in statistics.read(tmp_path)] == ["a", "b"]


def test_long_runs_write_fewer_lines(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.start(started("a"))
    for second in range(10_000):
        log.progress(Progress("a", seconds=float(second)))
    lines = log.path.read_bytes().splitlines()
    assert 400 < len(lines) < 700


def test_a_finding_is_kept_once_and_small(tmp_path: Path) -> None:
    findings = Findings(tmp_path)
    assert findings.add("fake", "cause", "first", b"12345")
    assert not findings.add("fake", "cause", "longer", b"123456")
    assert findings.add("fake", "cause", "shorter", b"123")
    assert findings.add("fake", "other", "", b"")
    found = {one.signature: (one.message, data) for one, data in findings}
    assert found == {"cause": ("shorter", b"123"), "other": ("", b"")}
    # The bytes that were replaced are gone.
    assert len(list(tmp_path.rglob("*.bin"))) == 2


# ---------------------------------------------------------------- with atheris

atheris = pytest.mark.skipif(
    not campaigns.available(), reason="atheris is not installed"
)


def test_seeds_that_cannot_be_made_are_the_targets_fault(tmp_path: Path) -> None:
    def seeds() -> Iterator[bytes]:
        yield b"one"
        raise ValueError("no second one")

    target = replace(fakes.empty, seeds=seeds)
    one = Campaign("some.module:TARGET", target, fakes.WORDS, tmp_path)
    told = r"some\.module:TARGET fails to make its seeds: ValueError: no second one"
    with pytest.raises(Unavailable, match=told):
        next(one.run())
    # Whoever mends it can begin again.
    assert not list((tmp_path / target.name / "corpus").iterdir())


@atheris
@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("violation", "violation | magic | the first four bytes"),
        ("escape", "escaped | SystemExit | fakes.py:run_escape"),
        ("hungry", "escaped | MemoryError | fakes.py:run_hungry"),
    ],
)
def test_coverage_finds_what_luck_would_not(
    name: str, signature: str, tmp_path: Path
) -> None:
    last = finish(campaign(name, tmp_path, runs=60_000))
    assert (last.executions, last.restarts, last.ended) == (60_000, 0, "runs")
    [(finding, data)] = Findings(tmp_path / "findings")
    assert finding.signature.startswith(signature)
    assert last.findings == (finding.signature,)
    assert data.startswith(b"PK\3\4")


@atheris
@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("crash", "died | Segmentation fault | fakes.py:_die"),
        ("hang", "died | timeout | fakes.py:run_hang"),
    ],
)
def test_an_input_that_ends_a_job_is_found_and_the_job_replaced(
    name: str, signature: str, tmp_path: Path
) -> None:
    one = campaign(name, tmp_path, seconds=60)
    before = 0
    for progress in one.run():
        before = before or (progress.restarts and progress.executions)
        if before and progress.executions > before:
            one.stop()
    assert progress.ended == "interrupted"
    assert progress.findings == (signature,)
    [(finding, data)] = Findings(tmp_path / "findings")
    assert (finding.signature, data[:4]) == (signature, b"PK\3\4")
    assert "fakes.py" in finding.message
    assert not list((tmp_path / name / "artifacts").iterdir())


@atheris
def test_what_a_target_counts_is_told(tmp_path: Path) -> None:
    """But for what came after its last report, a second ago at most."""
    counted = 0
    for jobs in (1, 2):
        last = finish(campaign("empty", tmp_path, seconds=4, jobs=jobs))
        assert 0 < sum(last.tally.values()) <= last.executions
        assert last.tally["magic"] < last.tally["not magic"]
        counted += last.tally["magic"]
    assert summary(tmp_path).tally["magic"] == counted


@atheris
def test_a_seed_that_kills_is_not_given_again(tmp_path: Path) -> None:
    last = finish(campaign("deadly", tmp_path, runs=2_000))
    assert (last.executions, last.restarts) == (2_000, 1)
    [(_, data)] = Findings(tmp_path / "findings")
    assert data == fakes.DEADLY


@atheris
def test_a_job_that_always_dies_is_given_up(tmp_path: Path) -> None:
    last = finish(campaign("fatal", tmp_path, runs=1_000))
    assert last.ended == "deaths"
    assert last.restarts < 10
    assert len(last.findings) == 1


@atheris
@pytest.mark.parametrize(
    ("name", "message"),
    [("unmutable", "a mutator must not raise"), ("blind", "nothing was instrumented")],
)
def test_a_job_that_fails_by_itself_is_no_finding(
    name: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(Broken, match=message):
        finish(campaign(name, tmp_path, runs=1_000))
    [run] = statistics.read(tmp_path / name)
    assert run.progress.ended == "broken"
    assert not list(Findings(tmp_path / "findings"))


@atheris
def test_the_same_seed_makes_the_same_corpus(tmp_path: Path) -> None:
    corpora = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        finish(campaign("empty", folder, runs=20_000))
        corpora.append({path.name for path in (folder / "empty/corpus").iterdir()})
    assert corpora[0] == corpora[1] != set()


@atheris
def test_the_next_run_goes_on_and_adds_up(tmp_path: Path) -> None:
    first = finish(campaign("empty", tmp_path, runs=30_000, jobs=2))
    before = {path.name for path in (tmp_path / "empty/corpus").iterdir()}
    second = finish(campaign("empty", tmp_path, runs=101, seed=2))
    after = summary(tmp_path)
    assert (after.runs, after.executions) == (2, 30_101)
    assert (first.executions, second.executions) == (30_000, 101)
    assert before
    # Nothing to learn anew.
    assert second.edges >= first.edges


@atheris
def test_jobs_are_given_what_others_find(tmp_path: Path) -> None:
    """A file that appears in the corpus is read by a job that is at work."""
    one = campaign("secret", tmp_path, seconds=20)
    corpus = tmp_path / "secret/corpus"
    for progress in one.run():
        if progress.executions:
            # libFuzzer looks for files of another second than its last look.
            (corpus / f"told{progress.seconds:.0f}").write_bytes(fakes.SECRET)
        if progress.findings:
            one.stop()
    assert progress.findings == ("violation | secret",)
    assert progress.ended == "interrupted"


@atheris
def test_one_campaign_at_a_time(tmp_path: Path) -> None:
    one = campaign("empty", tmp_path, runs=10)
    one.folder.mkdir()
    with open(one.folder / "lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="another campaign"):
            finish(one)
    finish(one)


@atheris
def test_a_merge_keeps_what_coverage_needs(tmp_path: Path) -> None:
    one = campaign("empty", tmp_path, runs=20_000)
    reached = finish(one).features
    corpus = one.folder / "corpus"
    for number in range(50):
        (corpus / f"useless{number}").write_bytes(b"x%d" % number)
    before, after = one.merge()
    assert before > 50 > after > 0
    files = list(corpus.iterdir())
    assert len(files) == after
    for path in files:
        # libFuzzer's own names.
        assert path.name == hashlib.sha1(path.read_bytes()).hexdigest()  # noqa: S324
    assert finish(campaign("empty", tmp_path, runs=0)).features >= reached - 1


@atheris
def test_whoever_takes_no_more_leaves_no_process(tmp_path: Path) -> None:
    one = campaign("empty", tmp_path, jobs=2)
    runs = one.run()
    next(runs)
    assert len(jobs_of(tmp_path)) == 2
    runs.close()  # type: ignore[attr-defined]
    assert jobs_of(tmp_path) == []
    [run] = statistics.read(one.folder)
    assert run.progress.ended == "left"


# ----------------------------------------------------------------- from outside


def jobs_of(folder: Path) -> list[int]:
    """The processes that were told of this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes()
        except OSError:
            continue  # it ended meanwhile
        if b"campaign.engine" in arguments and os.fsencode(folder) in arguments:
            found.append(int(path.parent.name))
    return found


@pytest.fixture
def command(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`torchproof fuzz run` without end, that has done something already."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.fuzz.fakes", "fuzz", "run"),
            *(f"{FAKES}:empty", "--jobs", "2", "--json", "--folder", str(tmp_path)),
        ],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        wait(lambda: list(summaries(tmp_path)) and summary(tmp_path).executions)
        assert len(jobs_of(tmp_path)) == 2
        yield process
    finally:
        process.kill()
        process.communicate()


def wait(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this takes too long"
        time.sleep(0.05)


@atheris
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(
    command: subprocess.Popen[str], number: int, tmp_path: Path
) -> None:
    command.send_signal(number)
    out, _ = command.communicate(timeout=10)
    assert command.returncode == 0
    assert jobs_of(tmp_path) == []
    [target] = json.loads(out)["targets"]
    assert target["progress"]["ended"] == "interrupted"
    # What libFuzzer counted up to the last execution is there.
    assert target["progress"]["executions"] == summary(tmp_path).executions > 0


@atheris
def test_statistics_survive_a_kill_and_jobs_do_not(
    command: subprocess.Popen[str], tmp_path: Path
) -> None:
    executions = summary(tmp_path).executions
    command.kill()
    command.wait()
    wait(lambda: not jobs_of(tmp_path))
    assert summary(tmp_path).executions >= executions > 0
    for line in (tmp_path / "empty" / statistics.NAME).read_bytes().splitlines():
        json.loads(line)
    # And it can be gone on with.
    finish(campaign("empty", tmp_path, runs=100))
    assert summary(tmp_path).runs == 2


@atheris
def test_a_job_that_is_killed_is_replaced(tmp_path: Path) -> None:
    one = campaign("empty", tmp_path, seconds=20)
    killed = False
    for progress in one.run():
        if progress.executions and not killed:
            [job] = jobs_of(tmp_path)
            os.kill(job, signal.SIGKILL)
            killed = True
        if progress.restarts:
            one.stop()
    assert progress.restarts == 1
    assert progress.findings == ("died | SIGKILL",)

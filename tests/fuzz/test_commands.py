"""`torchproof fuzz`: what it prints and exits with, with and without atheris."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from conformance import cli
from conformance.fuzz import lookup
from conformance.fuzz.campaign import campaign
from conformance.fuzz.campaign.campaign import Limits
from conformance.fuzz.campaign.statistics import Log, Progress, Started
from conformance.fuzz.findings import Findings
from conformance.report import fuzz as view
from tests.builders import checkpoints
from tests.fuzz import fakes

FAKES = "tests.fuzz.fakes"

needs_atheris = pytest.mark.skipif(
    not campaign.available(), reason="atheris is not installed"
)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that is wide enough, and words that need not be gathered."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(lookup, "default_words", lambda _kept=None: fakes.WORDS)


def fuzz(*arguments: str | Path) -> Result:
    done = CliRunner().invoke(cli.app, ["fuzz", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


def ran(folder: Path, target: str, *numbers: int) -> None:
    """As if campaigns had run, with so many executions each."""
    log = Log(folder / target)
    (folder / target / "corpus").mkdir(parents=True)
    (folder / target / "seeds").mkdir()
    for number in numbers:
        name, when = str(number), datetime(2026, 1, 2, tzinfo=timezone.utc)
        began = Started(
            name, when, f"{FAKES}:{target}", "0", "3.11.0", "3.0.0", 1, 1, 10, 1
        )
        log.start(began)
        log.progress(
            Progress(name, 10.0, number, edges=number // 10, ended="interrupted")
        )


# ------------------------------------------------------------------------- run


@needs_atheris
def test_nothing_found(tmp_path: Path) -> None:
    done = fuzz("run", f"{FAKES}:empty", "--runs", "100", "--folder", tmp_path)
    assert done.exit_code == 0
    assert done.stdout.startswith("empty  100 executions, ")
    assert "0 findings" in done.stdout


@needs_atheris
def test_something_found_and_how_to_replay_it(tmp_path: Path) -> None:
    done = fuzz(
        *("run", f"{FAKES}:violation", f"{FAKES}:empty", "--runs", "60000"),
        *("--seed", "1", "--folder", tmp_path),
    )
    assert done.exit_code == 1
    assert "finding  violation | magic | the first four bytes" in done.stderr
    assert "seed 1\n    violation | magic" in done.stdout
    [command] = [line for line in done.stdout.splitlines() if " fuzz replay " in line]
    again = fuzz(*command.split()[2:])
    assert again.exit_code == 1
    assert "Violation: b'PK\\x03\\x04' is magic" in again.stdout
    # The second target was fuzzed too.
    assert "\nempty  60,000 executions" in done.stdout


@needs_atheris
def test_one_document(tmp_path: Path) -> None:
    done = fuzz(
        *("run", f"{FAKES}:deadly", "--runs", "500", "--jobs", "2", "--merge"),
        *("--json", "--folder", tmp_path),
    )
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["good"] is False
    [target] = document["targets"]
    assert target["started"]["jobs"] == 2
    assert target["started"]["atheris"] == "3.0.0"
    assert target["progress"]["executions"] == 500
    assert target["progress"]["restarts"] == 1
    [finding] = target["findings"]
    assert Path(finding["file"]).read_bytes() == fakes.DEADLY
    before, after = target["merged"]
    assert before >= after > 0


@needs_atheris
def test_a_job_that_fails_by_itself(tmp_path: Path) -> None:
    done = fuzz("run", f"{FAKES}:unmutable", "--runs", "500", "--folder", tmp_path)
    assert done.exit_code == 2
    assert "a mutator must not raise" in done.stderr


def test_without_atheris(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "atheris", None)
    done = fuzz("run", f"{FAKES}:empty", "--folder", tmp_path)
    assert done.exit_code == 2
    assert done.stderr.startswith("torchproof: atheris is not installed; pip install")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say what to fuzz: machine"),
        (("nothing",), "there is no target 'nothing'; choose from machine"),
        (("machine", "--all"), "name targets, or say --all"),
        ((f"{FAKES}:nothing",), f"there is no target 'nothing' in {FAKES}"),
        (("no.such:one",), "no.such cannot be imported"),
    ],
)
def test_nothing_to_run(
    arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign, "available", lambda: True)
    done = fuzz("run", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_all_targets_that_can_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "torch", lambda: False)
    without = lookup.runnable()
    assert "machine" in without
    assert not any(target.needs_torch for target in without.values())
    monkeypatch.setattr(lookup, "torch", lambda: True)
    assert "differential" in lookup.runnable().keys() - without.keys()


def test_a_target_that_needs_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "torch", lambda: False)
    done = fuzz("replay", "differential", __file__)
    assert done.exit_code == 2
    assert "needs torch" in done.stderr


def test_the_line_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One every few seconds, and one for each finding."""
    limits = Limits(seconds=60, runs=None)
    with view.live("fake", limits) as show:
        for second in range(12):
            show(Progress("a", float(second), second * 1_000, 12, 34, 5, 6_700))
        show(Progress("a", 12.0, 12_000, findings=("one | cause",), restarts=1))
        show(Progress("a", 12.5, 12_500, findings=("one | cause",), restarts=1))
    figures = "1,000/s, 12 edges, corpus 5 (6.7 kB), 0 findings"
    assert capsys.readouterr().err.splitlines() == [
        f"fake  5,000 executions, {figures}, 0:55 left",
        f"fake  10,000 executions, {figures}, 0:50 left",
        "finding  one | cause",
    ]


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        (Limits(), ""),
        (Limits(seconds=3_700), ", 1:01:30 left"),
        (Limits(seconds=3_700, runs=2_000), ", 0:10 left"),
        (Limits(runs=10), ", 0:00 left"),
    ],
)
def test_how_long_it_will_take(
    limits: Limits, left: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with view.live("fake", limits) as show:
        show(Progress("a", 10.0, 1_000))
    assert capsys.readouterr().err.rstrip().endswith(f"0 findings{left}")


# ---------------------------------------------------------------------- report


def test_runs_add_up(tmp_path: Path) -> None:
    ran(tmp_path, "empty", 1_000, 2_000)
    ran(tmp_path, "violation", 50)
    (tmp_path / "empty/corpus/one").write_bytes(b"12345")
    done = fuzz("report", "--folder", tmp_path)
    assert done.exit_code == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[1][:2] == ["empty", "2"]
    assert rows[1][2:] == ["3,000", "0:20", "150", "200", "1", "5", "B", "0"]
    assert rows[2][:3] == ["violation", "1", "50"]
    assert len(rows) == 3


def test_findings_are_shown_with_a_command(tmp_path: Path) -> None:
    ran(tmp_path, "violation", 50)
    Findings(tmp_path / "findings").add("violation", "cause \x1b[31m", "!", b"PK")
    done = fuzz("report", "violation", "--folder", tmp_path)
    assert done.exit_code == 1
    assert "cause \\x1b[31m  2 B" in done.stdout
    assert f"torchproof fuzz replay {FAKES}:violation {tmp_path}" in done.stdout


def test_the_report_as_a_document(tmp_path: Path) -> None:
    ran(tmp_path, "empty", 1_000)
    Findings(tmp_path / "findings").add("empty", "cause", "what was said", b"PK")
    done = fuzz("report", "--json", "--folder", tmp_path)
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    [target] = document["targets"]
    assert (target["executions"], target["rate"]) == (1_000, 100.0)
    assert target["findings"][0]["message"] == "what was said"
    assert document["coverage"] is None


def test_no_campaigns(tmp_path: Path) -> None:
    done = fuzz("report", "--folder", tmp_path)
    assert done.exit_code == 2
    assert "there are no campaigns" in done.stderr


def covered(folder: Path) -> dict[str, Any]:
    done = fuzz("report", "--coverage", "--json", "--folder", folder)
    assert done.exit_code == 0, done.stderr
    reached: dict[str, Any] = json.loads(done.stdout)["coverage"]
    return reached


def test_what_a_corpus_reaches(tmp_path: Path) -> None:
    """More with a checkpoint in it than without; every file of the parser is there."""
    pytest.importorskip("coverage")
    ran(tmp_path, "parse", 1)
    without = covered(tmp_path)
    corpus = tmp_path / "parse/corpus"
    tree = {"w": checkpoints.tensor(checkpoints.floats(1, 2), (2,))}
    (corpus / "file").write_bytes(checkpoints.zipped(tree))
    # What a target raises is no matter here.
    (corpus / "rubbish").write_bytes(b"rubbish")
    reached = covered(tmp_path)
    [row, together] = reached["rows"]
    assert row["name"] == f"{FAKES}:parse"
    assert row["lines"] == together["lines"]
    assert row["lines"][1] == without["rows"][0]["lines"][1]
    assert row["lines"][0] > without["rows"][0]["lines"][0]
    assert row["branches"][0] > without["rows"][0]["branches"][0]
    files = {one["file"]: one for one in reached["files"]}
    assert "conformance/parser/containers/tar.py" in files
    machine = files["conformance/parser/unpickler.py"]
    assert machine["lines"][1] - machine["lines"][0] == len(machine["missing"]) > 0


def test_coverage_for_people(tmp_path: Path) -> None:
    pytest.importorskip("coverage")
    ran(tmp_path, "parse", 1)
    done = fuzz("report", "--missing", "--folder", tmp_path)
    assert done.exit_code == 0
    assert "conformance/parser/unpickler.py" in done.stdout
    assert "together: " in done.stdout


def test_coverage_is_optional(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran(tmp_path, "parse", 1)
    monkeypatch.setitem(sys.modules, "coverage", None)
    monkeypatch.delitem(sys.modules, "conformance.fuzz.campaign.reach", raising=False)
    done = fuzz("report", "--coverage", "--folder", tmp_path)
    assert done.exit_code == 2
    assert "coverage is missing; install it with pip install" in done.stderr


# ---------------------------------------------------------------------- replay


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """One that is fine, and one that is magic."""
    fine, magic = tmp_path / "fine", tmp_path / "magic"
    fine.write_bytes(b"fine")
    magic.write_bytes(b"PK\3\4")
    return fine, magic


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("violation", "violation | magic | the first four bytes"),
        ("escape", "escaped | SystemExit"),
        ("crash", "died | Segmentation fault | fakes.py:_die"),
        ("hang", "died | timeout"),
    ],
)
def test_what_a_file_raises(
    name: str, signature: str, files: tuple[Path, Path]
) -> None:
    """As a campaign would say it, and whatever becomes of the process."""
    done = fuzz("replay", f"{FAKES}:{name}", *files, "--timeout", "1", "--json")
    assert done.exit_code == 1
    fine, magic = json.loads(done.stdout)["files"]
    assert (fine["size"], fine["raised"]) == (4, None)
    assert magic["raised"]["signature"].startswith(signature)


def test_replays_are_thorough(files: tuple[Path, Path]) -> None:
    done = fuzz("replay", f"{FAKES}:thorough", files[0])
    assert done.exit_code == 1
    assert "violation | thorough" in done.stdout


def test_files_that_hold(files: tuple[Path, Path]) -> None:
    done = fuzz("replay", f"{FAKES}:empty", *files)
    assert done.exit_code == 0
    assert done.stdout.count("holds  ") == 2


def test_no_such_file(tmp_path: Path) -> None:
    done = fuzz("replay", f"{FAKES}:empty", tmp_path / "nothing")
    assert done.exit_code == 2
    assert "nothing: No such file" in done.stderr

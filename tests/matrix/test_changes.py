"""`torchproof diff`: what got better, what got worse, and what is only different."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from conformance.commands.diff import diff
from conformance.matrix.changes import Kind, changes
from conformance.matrix.results import Result, Run, Verdict, lines

from . import runs


def result(
    case: str, verdict: Verdict = Verdict.PASS, cause: str = "", loader: str = "one"
) -> Result:
    return Result(loader, case, verdict, 0.1, cause=cause)


def run(*results: Result, version: str = "1.0", corpus: str = "") -> Run:
    """Of the loaders that have results."""
    ids = sorted({one.loader for one in results})
    loaders = [msgspec.structs.replace(runs.loader(id), version=version) for id in ids]
    made = runs.run(loaders, results)
    header = msgspec.structs.replace(made.header, corpus=corpus)
    return msgspec.structs.replace(made, header=header)


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("pass", "wrong", "regressed"),
        ("pass", "rejects", "regressed"),
        ("pass", "skip", "regressed"),
        ("rejects", "crash", "regressed"),
        ("rejects", "wrong", "regressed"),
        ("error", "missing", "regressed"),
        ("wrong", "pass", "improved"),
        ("wrong", "rejects", "improved"),
        ("timeout", "rejects", "improved"),
        ("skip", "pass", "improved"),
        ("skip", "wrong", "changed"),
        ("rejects", "skip", "changed"),
    ],
)
def test_what_is_worse(old: str, new: str, kind: Kind) -> None:
    found = changes(run(result("a", Verdict(old))), run(result("a", Verdict(new))))
    (loader,) = found.loaders
    (change,) = loader.changes
    assert change.kind == kind
    assert found.regressed == (kind == "regressed")
    assert loader.same == 0


def test_another_cause_is_a_change() -> None:
    old = run(result("a", Verdict.WRONG, "data"), result("b"))
    new = run(result("a", Verdict.WRONG, "shape"), result("b"))
    found = changes(old, new)
    (loader,) = found.loaders
    assert [(one.kind, one.case) for one in loader.changes] == [("changed", "a")]
    assert loader.same == 1
    assert not found.regressed


def test_equal_runs_have_no_changes() -> None:
    found = changes(runs.small(), runs.small())
    assert [one.id for one in found.loaders] == ["good", "gaps", "no"]
    assert all(one.changes == () for one in found.loaders)
    assert all(one.same == len(runs.CASES) for one in found.loaders)
    assert found.same_corpus


def test_cases_and_loaders_in_one_run_only() -> None:
    old = run(result("a"), result("b"), result("a", loader="old"), corpus="1")
    new = run(result("b"), result("c"), result("a", loader="the_new"), corpus="2")
    found = changes(old, new)
    assert not found.same_corpus
    assert not found.regressed
    told = {
        one.id: (one.old, one.new, [(c.kind, c.case) for c in one.changes])
        for one in found.loaders
    }
    assert told == {
        "one": ("1.0", "1.0", [("gone", "a"), ("new", "c")]),
        "old": ("1.0", None, [("gone", "a")]),
        "the_new": (None, "1.0", [("new", "a")]),
    }


# ---------------------------------------------------------------------- command

app = typer.Typer()
app.command()(diff)


def written(path: Path, run: Run) -> str:
    path.write_bytes(b"".join(lines(run)))
    return str(path)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_the_command_tells_the_worst_first(tmp_path: Path) -> None:
    many = [result(f"many/{n:02}", Verdict.CRASH, "SIGSEGV") for n in range(25)]
    old = written(
        tmp_path / "old",
        run(
            result("a", Verdict.WRONG, "data"),
            *(result(one.case) for one in many),
            result("z"),
        ),
    )
    new = written(tmp_path / "new", run(result("a"), *many, result("z"), version="1.1"))
    done = CliRunner().invoke(app, [old, new])
    assert done.exit_code == 1
    shown = done.stdout.splitlines()
    assert shown[0] == "one  1.0 -> 1.1  25 regressed, 1 improved, 1 the same"
    assert shown[1] == "    regressed  many/00: pass -> crash (SIGSEGV)"
    assert shown[21] == "    ... and 5 more (--json)"
    assert shown[22] == "    improved  a: wrong (data) -> pass"
    assert len(shown) == 23


def test_the_command_on_loaders_that_came_and_went(tmp_path: Path) -> None:
    old = written(tmp_path / "old", run(result("a", loader="old"), corpus="1"))
    new = written(tmp_path / "new", run(result("a", loader="new"), corpus="2"))
    done = CliRunner().invoke(app, [old, new])
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "The two runs had different cases or files.",
        "old  1.0, only in the first run  1 gone, 0 the same",
        "new  1.0, only in the second run  1 new, 0 the same",
    ]


def test_the_command_in_json(tmp_path: Path) -> None:
    old = written(tmp_path / "old", run(result("a"), result("b")))
    new = written(tmp_path / "new", run(result("a", Verdict.SKIP, "no"), result("b")))
    done = CliRunner().invoke(app, [old, new, "--json"])
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["good"] is False
    (loader,) = document["changes"]["loaders"]
    assert loader["same"] == 1
    assert loader["changes"] == [
        {
            "kind": "regressed",
            "case": "a",
            "old": {"verdict": "pass"},
            "new": {"verdict": "skip", "cause": "no"},
        }
    ]


def test_the_command_hides_no_control_characters(tmp_path: Path) -> None:
    """A cause can hold whatever a file holds."""
    cause = "\x1b[31mred\u202e"
    old = written(tmp_path / "old", run(result("a")))
    new = written(tmp_path / "new", run(result("a", Verdict.WRONG, cause)))
    done = CliRunner().invoke(app, [old, new])
    assert "\x1b" not in done.stdout
    assert "wrong (\\x1b[31mred\\u202e)" in done.stdout


@pytest.mark.parametrize("text", [b"", b"{}\n", b'{"kind": "result"}\n'])
def test_what_is_no_result_file(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "none"
    path.write_bytes(text)
    good = written(tmp_path / "good", run(result("a")))
    for order in ([str(path), good], [good, str(path)], [good, str(tmp_path / "no")]):
        done = CliRunner().invoke(app, order)
        assert done.exit_code == 2
        assert done.stderr.startswith("torchproof: ")

"""`torchproof run`: what it prints, writes and exits with."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import typer
from typer.testing import CliRunner, Result

from conformance.commands.run import run
from conformance.corpus import format
from conformance.corpus.format import corpus_folder
from conformance.loaders import adapters
from conformance.matrix import expectations, results
from conformance.matrix.results import Verdict

from .fakes import CASES, fake

app = typer.Typer()
app.command()(run)


@pytest.fixture(scope="module", autouse=True)
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A small part of the corpus, which is quicker to read."""
    folder = tmp_path_factory.mktemp("corpus")
    shutil.copy(corpus_folder() / "corpus.json", folder)
    for name in {case.partition("/")[0] for case in CASES}:
        shutil.copytree(corpus_folder() / name, folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(format, "corpus_folder", lambda: folder)
        yield


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A terminal that is wide enough, and a folder for what is written."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


def torchproof_run(*arguments: str | Path, cases: tuple[str, ...] = CASES) -> Result:
    patterns = [part for case in cases for part in ("--case", case)]
    done = CliRunner().invoke(app, [*map(str, arguments), *patterns])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


def mine(how: str, where: str = "") -> tuple[str, str]:
    return "--command", shlex.join(fake(how, where))


def test_all_as_expected() -> None:
    done = torchproof_run(*mine("well"), "--name", "fake")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "all as expected"
    found = results.read(Path("build/results.jsonl"))
    assert {one.verdict for one in found.results} == {Verdict.PASS}
    assert [one.case for one in found.results] == sorted(CASES)
    assert [one.id for one in found.header.loaders] == ["fake"]
    assert found.header.judged_by.startswith("torch 2.")


def test_whatever_fails_is_told() -> None:
    done = torchproof_run(*mine("drops", "frozen"), "--output", "elsewhere/r.jsonl")
    assert done.exit_code == 1
    *_, line, last = done.stdout.splitlines()
    assert line.startswith("mine  rebuild_parameter/frozen: missing (")
    assert line.endswith("), unexpectedly")
    assert last == "1 surprise; --update-expectations takes them as given"
    assert len(results.read(Path("elsewhere/r.jsonl")).results) == len(CASES)


def test_expectations_are_written_and_held() -> None:
    """Until the loader is better, or worse."""
    file = Path("deep/mine.toml")
    where = ("--expectations", file)
    assert torchproof_run(*mine("drops", "frozen"), *where).exit_code == 2
    done = torchproof_run(*mine("drops", "frozen"), *where, "--update-expectations")
    assert done.exit_code == 0
    (group,) = expectations.read(file).expected
    assert (group.verdict, group.cases) == (Verdict.MISSING, (CASES[2],))
    assert torchproof_run(*mine("drops", "frozen"), *where).exit_code == 0
    better = torchproof_run(*mine("well"), *where)
    assert better.exit_code == 1
    assert "mine  rebuild_parameter/frozen: pass, where missing (" in better.stdout
    assert torchproof_run(*mine("drops", "n"), *where).exit_code == 1
    others = tuple(case for case in CASES if case not in group.cases)
    assert torchproof_run(*mine("well"), *where, cases=others).exit_code == 0


def test_many_surprises_are_cut_short() -> None:
    done = torchproof_run(*mine("accepts"), "--output", "r.jsonl", cases=("cut/*",))
    assert done.exit_code == 1
    count = len(results.read(Path("r.jsonl")).results)
    assert count > 50
    lines = done.stdout.splitlines()
    assert sum(line.startswith("mine  cut/") for line in lines) == 40
    assert f"... and {count - 40:,} more (--json)" in lines


def test_json() -> None:
    done = torchproof_run(*mine("refuses", "frozen"), "--json")
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["good"] is False
    assert document["header"]["loaders"][0]["name"] == "fake"
    counts = document["counts"]["mine"]
    assert (counts["pass"], counts["rejects"], counts["wrong"]) == (5, 1, 0)
    assert document["footer"]["complete"] is True
    (surprise,) = document["surprises"]
    assert (surprise["loader"], surprise["case"]) == ("mine", CASES[2])


def test_views_are_written() -> None:
    pytest.importorskip("jinja2")
    done = torchproof_run(
        *mine("drops", "frozen"),
        *("--html", "p.html", "--markdown", "p.md"),
        *("--junit", "p.xml", "--badge", "p.svg"),
    )
    assert done.exit_code == 1
    assert "<!doctype html>" in Path("p.html").read_text("utf-8").lower()
    assert "mine" in Path("p.md").read_text("utf-8")
    assert 'failures="1"' in Path("p.xml").read_text("utf-8")
    assert "(1 silent)" in Path("p.svg").read_text("utf-8")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_writes_what_there_is(number: signal.Signals) -> None:
    """And leaves nobody behind; nor does it change what is expected."""
    threading.Timer(1.0, lambda: os.kill(os.getpid(), number)).start()
    done = torchproof_run(
        *mine("hangs", "frozen"),
        *("--jobs", "1", "--expectations", "mine.toml", "--update-expectations"),
    )
    assert done.exit_code == 2
    assert done.stderr.startswith("torchproof: the run was interrupted; ")
    found = results.read(Path("build/results.jsonl"))
    assert not found.footer.complete
    assert 0 < len(found.results) < len(CASES)
    assert not Path("mine.toml").exists()
    assert psutil.Process().children(recursive=True) == []


def test_an_interrupted_run_is_no_good_one() -> None:
    threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    done = torchproof_run(*mine("hangs", "frozen"), "--jobs", "1")
    assert done.exit_code == 2
    assert "the run was cut off" in done.stdout
    assert "all as expected" not in done.stdout


# ------------------------------------------------------------------- who is asked


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two loaders that are known here, one of them not installed."""
    for id, how in (("good", "well"), ("gaps", "drops")):
        script = tmp_path / f"{id}.py"
        command = [*fake(how, "frozen")]
        script.write_text(f"import os; os.execv({command[0]!r}, {command})", "utf-8")
    rows = {
        id: adapters.Known(id, (f"{id}.py",), modules, (), f"pip install {id}")
        for id, modules in (("good", ()), ("far", ("far_away",)), ("gaps", ()))
    }
    monkeypatch.setattr(adapters, "LOADERS", rows)
    monkeypatch.setattr(adapters, "FOLDER", tmp_path)
    return tmp_path / "expectations"


def test_all_that_are_known_are_asked(known: Path) -> None:
    done = torchproof_run()
    assert done.exit_code == 1
    assert "gaps  rebuild_parameter/frozen: missing (" in done.stdout
    found = results.read(Path("build/results.jsonl"))
    assert [one.id for one in found.header.loaders] == ["good", "gaps"]
    assert found.header.absent == {"far": "there is no far_away; pip install far"}
    assert "there is no far_away; pip install far" in done.stdout


def test_each_has_expectations_of_its_own(known: Path) -> None:
    assert torchproof_run("--update-expectations").exit_code == 0
    assert sorted(path.name for path in known.iterdir()) == ["gaps.toml", "good.toml"]
    assert torchproof_run().exit_code == 0
    assert torchproof_run("gaps", *mine("well")).exit_code == 0
    (known / "gaps.toml").unlink()
    assert torchproof_run("gaps").exit_code == 1
    assert torchproof_run("good").exit_code == 0


def test_who_does_not_start_could_not_be_tried(known: Path) -> None:
    """It is here, and should; so this is no skip."""
    done = torchproof_run("good", *mine("no_start"))
    assert done.exit_code == 2
    assert "it does not start: exit status 1" in done.stdout


def test_nobody_is_here(known: Path) -> None:
    done = torchproof_run("far")
    assert done.exit_code == 2
    assert done.stderr == "torchproof: far: there is no far_away; pip install far\n"
    assert not Path("build").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nobody",), "there is no loader 'nobody'; choose from good, far, gaps"),
        (("--command", ""), "--command is empty"),
        (("--command", "'"), "--command is no command line: No closing quotation"),
        ((*mine("well"), "--name", "good"), "good is a loader that is known here"),
        (
            (*mine("well"), "--update-expectations"),
            "say where to write what to expect of mine: --expectations FILE",
        ),
        (
            ("--expectations", "x.toml"),
            "--expectations is about one loader, and these are 3",
        ),
        (
            (*mine("well"), "--expectations", "x.toml"),
            "there is no x.toml; --update-expectations writes it",
        ),
        (("--badge", "b.svg"), "a badge is of one loader, and these are 2"),
        (("good", "--corpus", "."), ". is no corpus"),
    ],
)
def test_usage(known: Path, arguments: tuple[str, ...], message: str) -> None:
    done = torchproof_run(*arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"torchproof: {message}")


def test_no_such_case() -> None:
    done = torchproof_run(*mine("well"), cases=("no/such", "thing"))
    assert done.exit_code == 2
    assert done.stderr == "torchproof: there is no such case: no/such, thing\n"


def test_damaged_expectations() -> None:
    Path("x.toml").write_text("loader = 3\n", "utf-8")
    done = torchproof_run(*mine("well"), "--expectations", "x.toml")
    assert done.exit_code == 2
    assert done.stderr.startswith("torchproof: x.toml: ")


def test_what_loaders_say_does_not_reach_the_terminal_raw() -> None:
    done = torchproof_run(*mine("colours"))
    assert done.exit_code == 1
    assert "\x1b" not in done.stdout
    assert "red alert" in done.stdout

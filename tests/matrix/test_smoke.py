"""`torchproof smoke`: each slip is found, in the right step, with a hint that helps."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from conformance.commands.smoke import smoke as command
from conformance.corpus.format import corpus_folder
from conformance.matrix.smoke import FILES, Mark, Step, smoke

from .smokes import slip, write_known

ROOT = Path(__file__).parents[2]

app = typer.Typer()
app.command()(command)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("smoke") / "known.json"
    write_known(path)
    return path


def smoked(how: str, known: Path) -> list[Step]:
    argv = slip(how, known)
    return list(smoke(argv, corpus_folder(), timeout=2, start=2))


@pytest.mark.parametrize("how", ["well", "everything", "names only"])
def test_an_adapter_without_a_slip(how: str, known: Path) -> None:
    steps = smoked(how, known)
    assert {step.mark for step in steps} == {Mark.OK}
    names = [step.name for step in steps]
    assert names[0] == "starts"
    assert names[-1] == "stops"
    for shows in FILES.values():
        assert f"{shows}: names" in names
        assert (f"{shows}: data" in names) is (how != "names only")
        assert (f"{shows}: sharing" in names) is (how == "everything")


#: The slip, the first step that is not ok, and words of its hint.
SLIPS = [
    ("greets", "starts", "standard error"),
    ("silent", "starts", "flush"),
    ("exits", "starts", "standard error"),
    ("protocol 2", "starts", "`protocol` in the answer"),
    ("no name", "starts", "tell its name"),
    ("refuses all", "a tensor", "no file is plainer"),
    ("skips", "a tensor", "no file is plainer"),
    ("other ids", "a tensor", "with the `id` of its command"),
    ("none", "a tensor: names", "no tensors at all"),
    ("prefixed", "a tensor: names", "joined by dots, and nothing else"),
    ("slashes", "dicts and lists in a dict: names", "joined by dots"),
    ("last step", "dicts and lists in a dict: names", "keys on the way"),
    ("upper case", "a tensor: names", "one entry for each tensor"),
    ("dtype of numpy", "a tensor: dtype", "`float32`"),
    ("shape reversed", "two views of one storage: shape", "outermost"),
    ("big-endian", "a tensor: data", "little-endian"),
    ("widened", "a tensor: data", "not widened"),
    ("storage", "two views of one storage: data", "strides count"),
    ("column-major", "two views of one storage: data", "row"),
    ("digits", "a tensor: data", "not of their digits"),
    ("nothing", "a tensor: data", "hash of nothing"),
    ("something", "a tensor: data", "SHA-256 of the elements"),
    ("stride not told", "a tensor: stride", "do not announce"),
    ("strides in bytes", "a tensor: stride", "not in bytes"),
    ("storage not told", "a tensor: sharing", "same memory"),
    ("storage of each", "two views of one storage: sharing", "all views"),
    ("scalars in a list", "a tensor: scalars", "`description`"),
    ("takes all", "a file cut short", "`rejected`"),
    ("dies", "a file cut short", "`rejected`"),
    ("only once", "10 files in a row", "what one file leaves"),
    ("encoding", "a command with an encoding", "passes it by"),
    ("status", "stops", "exit status 0"),
    ("says goodbye", "stops", "no answer"),
    ("never stops", "stops", "exit status 0"),
]


@pytest.mark.parametrize(("how", "name", "hint"), SLIPS)
def test_a_slip(how: str, name: str, hint: str, known: Path) -> None:
    slips = [step for step in smoked(how, known) if step.mark is Mark.SLIP]
    assert slips[0].name == name, slips
    assert hint in slips[0].hint
    assert slips[0].told


def test_what_a_loader_refuses_is_no_slip(known: Path) -> None:
    steps = smoked("refuses views", known)
    assert [step.name for step in steps if step.mark is Mark.PASSED_BY] == [
        "two views of one storage"
    ]
    assert not any(step.mark is Mark.SLIP for step in steps)


def test_a_command_that_is_not_there() -> None:
    (step,) = smoke(["no-such-loader-anywhere"], corpus_folder())
    assert step.mark is Mark.SLIP
    assert "No such file" in step.told
    assert "without a shell" in step.hint


def test_our_own_adapter_reports_everything_and_is_ok() -> None:
    adapter = ROOT / "conformance/loaders/adapters/torchproof_adapter.py"
    steps = list(smoke([sys.executable, str(adapter)], corpus_folder()))
    assert {step.mark for step in steps} == {Mark.OK}
    assert "a tensor: description" in [step.name for step in steps]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_the_example_of_the_docs() -> None:
    example = ROOT / "docs/adapters/example.mjs"
    steps = list(smoke(["node", str(example)], corpus_folder()))
    assert [step for step in steps if step.mark is not Mark.OK] == []
    assert len(example.read_text().splitlines()) <= 65


# ----------------------------------------------------------------------- the command


def test_the_command_prints_the_steps(known: Path) -> None:
    done = CliRunner().invoke(app, ["--command", shlex.join(slip("well", known))])
    assert done.exit_code == 0, done.output
    assert "ok         starts" in done.output
    assert "steps, no slip" in done.output


def test_the_command_says_what_to_do(known: Path) -> None:
    argv = shlex.join(slip("dtype of numpy", known))
    done = CliRunner().invoke(app, ["--command", argv])
    assert done.exit_code == 1
    assert "not ok     a tensor: dtype" in done.output
    assert "without the prefix" in done.output


def test_the_command_in_json(known: Path) -> None:
    argv = shlex.join(slip("refuses views", known))
    done = CliRunner().invoke(app, ["--command", argv, "--json"])
    assert done.exit_code == 0
    document = json.loads(done.output)
    assert document["ok"] is True
    assert {step["mark"] for step in document["steps"]} == {"ok", "passed by"}


@pytest.mark.parametrize("argv", ["", "'"])
def test_a_command_line_that_is_none(argv: str) -> None:
    assert CliRunner().invoke(app, ["--command", argv]).exit_code == 2

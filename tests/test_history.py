"""The recipes for other releases of torch, and what their files hold."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.compare import compare
from conformance.corpus.format import Case, Directory, corpus_folder, read
from conformance.loaders import ours
from generators.history import RELEASES, Release, environment
from generators.history.claims import claims
from generators.history.writing import GOLD, manifest, spelled


def test_recipes_are_exact() -> None:
    for name, release in RELEASES.items():
        assert release.name == name
        assert release.python.partition(".")[0] in {"2", "3"}
        assert release.requirements[0].startswith(f"torch=={name.partition('-')[0]}")
        for requirement in release.requirements:
            assert requirement.count("==") == 1, requirement


def test_a_release_under_python_2_says_so_in_its_name() -> None:
    for release in RELEASES.values():
        old = release.python.startswith("2")
        assert release.name.endswith(f"-python{release.python}") == old


def test_python_2_can_read_the_gold_scripts() -> None:
    try:
        python = environment.interpreter("2.7")
    except environment.Missing as error:
        pytest.skip(str(error))
    program = "import sys; [compile(open(f).read(), f, 'exec') for f in sys.argv[1:]]"
    scripts = [str(path) for path in sorted(GOLD.glob("*.py"))]
    assert scripts
    subprocess.run([python, "-c", program, *scripts], check=True)


def test_an_interpreter_that_is_not_there_is_named() -> None:
    with pytest.raises(environment.Missing, match=r"no Python 2\.3: .*pyenv install"):
        environment.interpreter("2.3")


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where environments are made."""
    folder = tmp_path / "rooms"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def pretend(path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A stand-in for the interpreter: a shell script."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    monkeypatch.setattr(environment, "interpreter", lambda _: str(path))


RELEASE = Release("0.0", "3.0", ("torch==0.0",))


def test_a_failed_installation_says_why_and_leaves_nothing(
    tmp_path: Path, rooms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(tmp_path / "python", monkeypatch, "echo no such wheel >&2; exit 1")
    with (
        pytest.raises(environment.Missing, match=r"torch 0\.0:\nno such wheel"),
        environment.installed(RELEASE),
    ):
        pytest.fail("nothing was installed")
    assert list(rooms.iterdir()) == []


def test_an_interrupt_leaves_nothing(
    tmp_path: Path, rooms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(tmp_path / "python", monkeypatch, "exit 0")

    def interrupted() -> None:
        with environment.installed(RELEASE) as (_, variables):
            assert [*rooms.iterdir()] == [Path(variables["PYTHONPATH"]).parent]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(rooms.iterdir()) == []


def test_an_unknown_release_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "generators.history", "9.9", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no recipe for 9.9" in done.stderr


def test_claims() -> None:
    assert claims("2.4.1/views") == {"verdict": "valid", "phase": None, "reason": ""}
    either = claims("1.4.0/views")
    assert either["verdict"] == "either"
    assert "tensors/" in either["reason"]
    assert claims("1.4.0/views.legacy")["verdict"] == "valid"
    assert claims("1.6.0/complex_parts")["phase"] == "rebuild"


def test_the_manifest_says_what_the_gold_script_said(tmp_path: Path) -> None:
    case = {
        "name": "views",
        "path": "a.b",
        "shows": "x",
        "flags": [],
        "answer": {"é": 1},
    }
    gold = {
        "provenance": {"torch": "0"},
        "cases": [case],
        "skipped": {"b": "", "a": ""},
    }
    (tmp_path / "gold.json").write_text(json.dumps(gold), "ascii")
    (tmp_path / "views.pt").write_bytes(b"data")
    found = manifest("1.4.0", tmp_path)
    assert json.loads(spelled(found)) == found
    (made,) = found["cases"]
    assert made["id"] == "history/1.4.0/views"
    assert made["sha256"] == hashlib.sha256(b"data").hexdigest()
    assert made["answer"] == {"é": 1}
    assert list(found["skipped"]) == ["a", "b"]
    assert not (tmp_path / "gold.json").exists()


# ------------------------------------------------------------------- the files

HISTORY = [
    (folder, directory)
    for folder, directory in read(corpus_folder())
    if directory.directory.startswith("history/")
]


def test_every_release_has_its_files() -> None:
    assert {folder.name for folder, _ in HISTORY} == RELEASES.keys()


@pytest.mark.parametrize(
    ("folder", "directory"), HISTORY, ids=[folder.name for folder, _ in HISTORY]
)
def test_our_reader_sees_what_the_release_saw(
    folder: Path, directory: Directory
) -> None:
    """Every file, with the description that its own release gave of it."""
    by = "torch " + directory.provenance["torch"].partition("+")[0]
    compared = sum(seen(folder, case, by) for case in directory.cases)
    assert compared > len(directory.cases) * 0.7


def seen(folder: Path, case: Case, by: str) -> bool:
    """Whether there was an answer to compare with."""
    for claim, value in claims(case.id.partition("/")[2]).items():
        assert getattr(case, claim) == value, case.id
    answers = [case.expected, *case.alternatives]
    answer = next((one for one in answers if one is not None and by in one.by), None)
    if answer is None:
        assert by in case.refused_by, case.id
        return False
    assert answer.description is not None
    if case.verdict == "invalid":
        return False
    mine = ours.load(folder / case.file, weights_only=False, encoding=case.encoding)
    comparison = compare(answer.description, mine)
    assert comparison.equal, (case.id, *map(str, comparison.differences))
    return True

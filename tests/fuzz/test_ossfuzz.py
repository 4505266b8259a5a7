"""What is written for OSS-Fuzz, and that it runs."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

from conformance.fuzz.campaign import campaign, ossfuzz
from conformance.fuzz.campaign.job import environment
from conformance.fuzz.words import Words
from tests.fuzz import fakes

#: As `fuzz_<target>.py` does, with words that lie elsewhere and a target of ours.
PROGRAM = """
import sys
from conformance.fuzz.campaign import engine

def find(name):
    import conformance.parser
    from tests.fuzz import fakes
    return getattr(fakes, name)

engine.__file__, engine.find = sys.argv.pop(1), find
engine.alone(sys.argv.pop(1))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ossfuzz, "default_words", lambda: fakes.WORDS)
    ossfuzz.write(tmp_path, [fakes.parse])
    return tmp_path


def test_what_the_build_wants(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "fuzz_parse.dict",
        "fuzz_parse.options",
        "fuzz_parse.py",
        "fuzz_parse_seed_corpus.zip",
        "words.json",
    ]
    program = ast.parse((folder / "fuzz_parse.py").read_bytes())
    assert ast.get_docstring(program) == fakes.parse.invariant
    assert "max_len = 64" in (folder / "fuzz_parse.options").read_text()
    words = (folder / "words.json").read_bytes()
    assert msgspec.json.decode(words, type=Words) == fakes.WORDS


def test_seeds_are_an_archive_that_is_always_the_same(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with zipfile.ZipFile(folder / "fuzz_parse_seed_corpus.zip") as archive:
        found = {archive.read(name) for name in archive.namelist()}
        assert found == set(fakes.seeds())
    again = tmp_path_factory.mktemp("again")
    ossfuzz.write(again, [fakes.parse])
    for path in folder.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def alone(folder: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder / "engine.py"), name, *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
    )


@pytest.mark.skipif(not campaign.available(), reason="atheris is not installed")
def test_a_program_fuzzes_and_stops_at_what_is_raised(folder: Path) -> None:
    done = alone(folder, "parse", "-runs=200")
    assert done.returncode == 0, done.stdout
    assert "INFO: Instrumenting conformance.parser.loading" in done.stdout
    assert "Done 200 runs" in done.stdout
    (folder / "magic").write_bytes(b"PK\3\4")
    done = alone(folder, "violation", "magic")
    assert done.returncode == 77
    assert "Violation: b'PK\\x03\\x04' is magic" in done.stdout

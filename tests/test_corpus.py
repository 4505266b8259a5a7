"""The corpus without torch: all of it is good, and whatever is not is noticed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from conformance import cli
from conformance.corpus.export import ExportError, export
from conformance.corpus.format import (
    CASES,
    INDEX,
    SCHEMA,
    Case,
    cases,
    corpus_folder,
    decode,
    encode,
    read,
    read_index,
    schema,
)
from conformance.corpus.paths import exercised, traced
from conformance.corpus.swapping import swap
from conformance.corpus.verify import verify

CORPUS = corpus_folder()
ALL = {case.id: (path, case) for path, case in cases(CORPUS)}

VALID = "rebuild_tensor_v2/matrix"
INVALID = "machine"
EITHER = "divergences/big_endian_uint16"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of a few cases of each verdict."""
    folder = tmp_path_factory.mktemp("small") / "corpus"
    export(
        CORPUS,
        folder,
        lambda case: (
            case.id == VALID
            or case.id == EITHER
            or case.id.startswith(f"{INVALID}/below_the_mark_bin")
        ),
    )
    return folder


@pytest.fixture
def copied(small: Path, tmp_path: Path) -> Path:
    """That corpus once more, for a test that spoils it."""
    return Path(shutil.copytree(small, tmp_path / "corpus"))


# ------------------------------------------------------------------- all of it


def test_the_corpus_is_good() -> None:
    found = verify(CORPUS)
    assert found.problems == {}
    assert found.cases == len(ALL)
    assert set(found.verdicts) == {"valid", "invalid", "either"}


def test_the_corpus_is_large_in_cases_and_small_in_bytes() -> None:
    assert len(ALL) >= 600
    assert verify_size(CORPUS) < 10_000_000


def verify_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_every_cases_json_fits_the_schema() -> None:
    """As somebody checks it who has never heard of this package."""
    document = json.loads((CORPUS / SCHEMA).read_bytes())
    check = jsonschema.Draft202012Validator(document)
    for path in CORPUS.rglob(CASES):
        errors = list(check.iter_errors(json.loads(path.read_bytes())))
        assert errors == [], path


def test_the_schema_is_made_from_the_format() -> None:
    assert (CORPUS / SCHEMA).read_bytes() == schema() + b"\n"


def test_a_cases_json_comes_back_as_it_was() -> None:
    for folder, directory in read(CORPUS):
        text = (folder / CASES).read_bytes()
        assert encode(directory) == text
        assert decode(text) == directory


def test_no_case_is_undisclosed_or_a_secret() -> None:
    """Nothing of a build machine, and no name of a file outside the corpus."""
    for path in CORPUS.rglob(CASES):
        text = path.read_text("utf-8")
        assert "/tmp/" not in text, path  # noqa: S108
        assert "/home/" not in text, path


def test_every_flag_is_used_and_every_directory_is_named() -> None:
    index = read_index(CORPUS)
    assert {flag for _, case in ALL.values() for flag in case.flags} == set(index.flags)
    assert sum(index.directories.values()) == len(ALL)
    text = (CORPUS / "README.md").read_text("utf-8")
    for name in index.directories:
        top = name.partition("/")[0]
        assert f"`{top}`" in text, f"README.md does not say what {top} is"


def test_a_reader_has_something_to_read_in_every_case() -> None:
    for path, case in ALL.values():
        assert path.stat().st_size or case.verdict == "invalid", case.id
        assert case.shows.endswith("."), case.id
        assert case.shows == case.shows.strip(), case.id


# ------------------------------------------------------- what is wrong is noticed


def edited(folder: Path, id: str, **fields: Any) -> None:
    """Changes fields of a case in its cases.json."""
    path = folder / id.rpartition("/")[0] / CASES
    document = json.loads(path.read_bytes())
    for case in document["cases"]:
        if case["id"] == id:
            case.update(fields)
    path.write_text(json.dumps(document), "utf-8")


def invalid_case(folder: Path) -> Case:
    return next(case for _, case in cases(folder) if case.verdict == "invalid")


def test_a_small_corpus_is_good_too(small: Path) -> None:
    found = verify(small)
    assert found.problems == {}
    assert found.good


def wrong_bytes(folder: Path) -> str:
    (folder / f"{VALID}.pt").write_bytes(b"PK")
    return "sha256"


def no_file(folder: Path) -> str:
    (folder / f"{VALID}.pt").unlink()
    return "there is no matrix.pt"


def stray_file(folder: Path) -> str:
    (folder / "rebuild_tensor_v2" / "stray.pt").write_bytes(b"")
    return "belongs to no case"


def stray_paper(folder: Path) -> str:
    (folder / "notes.txt").write_bytes(b"")
    return "belongs to nothing"


def other_path(folder: Path) -> str:
    edited(folder, VALID, path="torch._utils._rebuild_qtensor")
    return "does not exercise torch._utils._rebuild_qtensor"


def other_calls(folder: Path) -> str:
    edited(folder, VALID, calls={})
    return "calls something else"


def unknown_flag(folder: Path) -> str:
    edited(folder, VALID, flags=["no-such-flag"])
    return "nobody explains the flag"


def unknown_field(folder: Path) -> str:
    edited(folder, VALID, colour="blue")
    return "colour"


def unknown_verdict(folder: Path) -> str:
    edited(folder, VALID, verdict="perhaps")
    return "perhaps"


def loads_though_invalid(folder: Path) -> str:
    edited(folder, VALID, verdict="invalid", phase="pickle")
    return "we load it"


def refused_though_valid(folder: Path) -> str:
    case = invalid_case(folder)
    edited(folder, case.id, verdict="valid", phase=None)
    return "valid, and we refuse it"


def other_phase(folder: Path) -> str:
    edited(folder, invalid_case(folder).id, phase="rebuild")
    return "should fail in phase rebuild"


def other_value(folder: Path) -> str:
    path = folder / "rebuild_tensor_v2" / CASES
    text = path.read_text("utf-8")
    assert '"stride":[3,1]' in text
    path.write_text(text.replace('"stride":[3,1]', '"stride":[1,2]'), "utf-8")
    return "we read something else: stride (3, 1) != (1, 2)"


def other_hash(folder: Path) -> str:
    path = folder / "rebuild_tensor_v2" / CASES
    document = json.loads(path.read_bytes())
    document["cases"][0]["expected"]["tensors"][0]["sha256"] = "0" * 64
    path.write_text(json.dumps(document), "utf-8")
    return "the flat list of tensors"


def no_answer(folder: Path) -> str:
    edited(folder, VALID, expected=None)
    return "a valid case without anything expected"


def no_reason(folder: Path) -> str:
    edited(folder, EITHER, reason="")
    return "a reason is what an `either` has"


def retired_id(folder: Path) -> str:
    index = json.loads((folder / INDEX).read_bytes())
    index["retired"] = [VALID]
    (folder / INDEX).write_text(json.dumps(index), "utf-8")
    return "the id is retired"


def other_count(folder: Path) -> str:
    index = json.loads((folder / INDEX).read_bytes())
    index["directories"]["rebuild_tensor_v2"] = 2
    (folder / INDEX).write_text(json.dumps(index), "utf-8")
    return "the index has another number"


def no_directory(folder: Path) -> str:
    shutil.rmtree(folder / "rebuild_tensor_v2")
    return "there are none"


def no_json(folder: Path) -> str:
    (folder / "rebuild_tensor_v2" / CASES).write_text("{", "utf-8")
    return CASES


def other_flag(folder: Path) -> str:
    edited(folder, VALID, flags=["weights-only-refuses"])
    return "the flag weights-only-refuses disagree"


def no_schema(folder: Path) -> str:
    (folder / SCHEMA).unlink()
    return "is not that of this version"


def other_schema(folder: Path) -> str:
    (folder / SCHEMA).write_text("{}", "utf-8")
    return "is not that of this version"


SPOILS: list[Callable[[Path], str]] = [
    wrong_bytes, no_file, stray_file, stray_paper, other_path, other_calls,
    unknown_flag, unknown_field, unknown_verdict, loads_though_invalid,
    refused_though_valid, other_phase, other_value, other_hash, no_answer,
    no_reason, retired_id, other_count, no_directory, no_json, other_schema,
    no_schema, other_flag,
]  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILS, ids=[spoil.__name__ for spoil in SPOILS])
def test_verify_notices(copied: Path, spoil: Callable[[Path], str]) -> None:
    words = spoil(copied)
    found = verify(copied)
    assert not found.good
    said = [problem for problems in found.problems.values() for problem in problems]
    assert any(words in problem for problem in said), said


# ---------------------------------------------------------------------- export


def test_an_export_brings_its_papers(small: Path) -> None:
    names = {path.name for path in small.iterdir() if path.is_file()}
    assert names == {INDEX, SCHEMA, "README.md", "LICENSE", "VERSION"}
    assert "Apache License" in (small / "LICENSE").read_text("utf-8")
    lines = (small / "VERSION").read_text("utf-8").splitlines()
    assert lines[0].startswith("torchproof ")
    assert "torch 2.13.0" in lines[1]


def test_an_export_replaces_an_export_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "copy"
    export(CORPUS, target, lambda case: case.id == VALID)
    export(CORPUS, target, lambda case: case.id == EITHER)
    assert {case.id for _, case in cases(target)} == {EITHER}
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "work.txt").write_text("mine", "utf-8")
    with pytest.raises(ExportError, match="not empty"):
        export(CORPUS, mine)
    assert [path.name for path in mine.iterdir()] == ["work.txt"]


def test_an_export_deletes_nothing_that_is_not_its_own(tmp_path: Path) -> None:
    """A VERSION is a common name, and people put files beside their copies."""
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "src" / "main.rs").write_text("fn main() {}", "utf-8")
    for version in ("1.0\n", "torchproof 0.1.0\n"):
        (project / "VERSION").write_text(version, "utf-8")
        with pytest.raises(ExportError, match="no part of an export"):
            export(CORPUS, project)
    target = tmp_path / "copy"
    export(CORPUS, target, lambda case: case.id == VALID)
    (target / "skipped.txt").write_text("mine", "utf-8")
    with pytest.raises(ExportError, match=r"skipped.txt"):
        export(CORPUS, target)
    assert (project / "src" / "main.rs").exists()
    assert (target / "skipped.txt").exists()
    with pytest.raises(ExportError, match="is a file"):
        export(CORPUS, target / "skipped.txt")


def test_a_swap_that_fails_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        (folder / folder.name).touch()
    rename = os.rename

    def failing(source: Path, target: Path) -> None:
        if source == new:
            raise OSError("the disk is full")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="full"):
        swap(new, old)
    assert (old / "old").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]
    monkeypatch.undo()
    swap(new, old)
    assert (old / "new").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no case"):
        export(CORPUS, tmp_path / "copy", lambda _: False)
    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------- command


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(cli.app, ["corpus", *map(str, arguments)])


def test_list_by_id_verdict_flag_and_path() -> None:
    assert run("list", VALID).exit_code == 0
    assert VALID in run("list", VALID).output
    found = json.loads(run("list", "--verdict", "either", "--json").output)
    assert {case["verdict"] for case in found} == {"either"}
    found = json.loads(run("list", "--flag", "conj", "--json").output)
    assert found
    assert all("conj" in case["flags"] for case in found)
    path = "torch._utils._rebuild_qtensor"
    found = json.loads(run("list", "--path", path, "--json").output)
    assert found
    assert all(path in case["calls"] or path == case["path"] for case in found)


def test_a_summary_counts_every_case() -> None:
    found = json.loads(run("summary", "--json").output)
    assert found["cases"] == len(ALL)
    assert found["nbytes"] == verify_size(CORPUS)
    for counts in (found["labels"], found["directories"]):
        assert sum(sum(row.values()) for row in counts.values()) == len(ALL)
    assert sum(found["families"].values()) == len(ALL)
    shown = run("summary").output
    assert "native" in shown
    assert f"{len(ALL):,} cases" in shown


def test_list_of_nothing_and_wrong_usage() -> None:
    assert run("list", "no/such").exit_code == 1
    done = run("list", "--flag", "conjugated")
    assert done.exit_code == 2
    assert "there is no flag 'conjugated'" in done.output
    done = run("list", "--verdict", "perhaps")
    assert done.exit_code == 2
    assert "there is no verdict 'perhaps'" in done.output


def test_verify_says_what_is_wrong(copied: Path) -> None:
    done = run("verify", "--corpus", copied)
    assert done.exit_code == 0, done.output
    assert "good" in done.output
    wrong_bytes(copied)
    done = run("verify", "--corpus", copied)
    assert done.exit_code == 1
    assert VALID in done.output
    assert "sha256" in done.output
    document = json.loads(run("verify", "--corpus", copied, "--json").output)
    assert document["good"] is False
    assert VALID in document["problems"]


def test_verify_of_no_corpus(tmp_path: Path) -> None:
    done = run("verify", "--corpus", tmp_path)
    assert done.exit_code == 2
    assert "is no corpus" in done.output


def test_a_damaged_corpus_is_said_in_one_line(copied: Path) -> None:
    (copied / "rebuild_tensor_v2" / CASES).write_text("{", "utf-8")
    assert run("list", "--corpus", copied).exit_code == 2
    for text in ("{", json.dumps({"format": 99})):
        (copied / INDEX).write_text(text, "utf-8")
        for command in ("verify", "list", "summary"):
            done = run(command, "--corpus", copied)
            assert done.exit_code == 2, done.output
            assert "is damaged" in done.output


def test_export_by_command(tmp_path: Path) -> None:
    done = run("export", tmp_path / "copy", "--id", "rebuild_qtensor/*")
    assert done.exit_code == 0, done.output
    assert {case.path for _, case in cases(tmp_path / "copy")}
    assert run("verify", "--corpus", tmp_path / "copy").exit_code == 0
    assert run("export", tmp_path).exit_code == 2


# ----------------------------------------------------------------------- paths


def test_paths_are_read_from_the_file() -> None:
    path, case = ALL[VALID]
    found = exercised(traced(path))
    assert {
        "torch._utils._rebuild_tensor_v2",
        "global:torch.FloatStorage",
        "persistent-id:storage",
        "container:zip",
        "opcode:BINPERSID",
    } <= found
    assert "torch._utils._rebuild_parameter" not in found
    assert case.calls == {
        "collections.OrderedDict": 1,
        "torch._utils._rebuild_tensor_v2": 1,
    }

"""The corpus with torch: built again it is the same, and false claims are found."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy
import pytest
import torch

from conformance.corpus.build import MANIFEST, BuildError, Built, build
from conformance.corpus.format import CASES, corpus_folder, read
from conformance.corpus.judging import Claim, judge
from conformance.loaders.reference import Reference
from generators.cases import CASES as REGISTERED
from generators.cases import registry, write
from generators.cases.registry import saved, written

pytestmark = pytest.mark.slow

CORPUS = corpus_folder()
VALID = "rebuild_tensor_v2/matrix"
V2 = "torch._utils._rebuild_tensor_v2"


# ------------------------------------------------------------------ all of it


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Built]:
    folder = tmp_path_factory.mktemp("built") / "corpus"
    return folder, build(folder, kept=CORPUS)


def same_versions() -> bool:
    """Whether this is what the committed corpus was built with."""
    provenance = next(
        directory.provenance
        for _, directory in read(CORPUS)
        if not directory.directory.startswith("history/")
    )
    here = {
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }
    return all(
        here[name].split("+")[0].split(".")[:2] == value.split("+")[0].split(".")[:2]
        for name, value in provenance.items()
    )


def test_every_case_holds_to_its_claims(built: tuple[Path, Built]) -> None:
    _, found = built
    assert found.problems == {}
    assert found.good


def test_building_again_gives_the_same_bytes(built: tuple[Path, Built]) -> None:
    if not same_versions():
        pytest.skip("built with another torch, numpy or Python")
    folder, _ = built
    fresh = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    kept = {path.relative_to(CORPUS) for path in CORPUS.rglob("*") if path.is_file()}
    assert fresh == kept - {Path("README.md")}
    for path in sorted(fresh):
        new, old = (folder / path).read_bytes(), (CORPUS / path).read_bytes()
        assert plain(path, new) == plain(path, old), path


def plain(path: Path, data: bytes) -> object:
    """Versions may differ in their last number; a difference is shown by case."""
    if path.name != CASES:
        return data
    document = json.loads(data)
    del document["provenance"]
    return document


# --------------------------------------------------------------- false claims


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    with Reference() as reference:
        yield reference


def claim_of(tmp_path: Path, id: str) -> tuple[Claim, Path]:
    write(tmp_path, [REGISTERED[id]])
    manifest = json.loads((tmp_path / MANIFEST).read_bytes())
    claim = msgspec.convert(manifest["cases"][0], Claim)
    return claim, tmp_path / REGISTERED[id].file


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"path": "torch._utils._rebuild_qtensor"}, "does not exercise"),
        ({"verdict": "invalid", "phase": "pickle"}, "claimed invalid"),
    ],
)
def test_a_false_claim_is_found(
    tmp_path: Path, reference: Reference, changes: dict[str, str], words: str
) -> None:
    claim, file = claim_of(tmp_path, VALID)
    assert judge(claim, file, reference).problems == ()
    false = msgspec.structs.replace(claim, **changes)
    problems = judge(false, file, reference).problems
    assert any(words in problem for problem in problems)


def test_a_file_that_nobody_loads_is_not_valid(
    tmp_path: Path, reference: Reference
) -> None:
    claim, file = claim_of(tmp_path, VALID)
    file.write_bytes(file.read_bytes()[:500])
    problems = judge(claim, file, reference).problems
    assert any("claimed valid" in problem for problem in problems)


def test_a_wrong_phase_is_found(tmp_path: Path, reference: Reference) -> None:
    id = next(id for id, case in REGISTERED.items() if case.phase == "rebuild")
    claim, file = claim_of(tmp_path, id)
    false = msgspec.structs.replace(claim, phase="pickle")
    problems = judge(false, file, reference).problems
    assert any("in phase pickle" in problem for problem in problems)


def test_expected_comes_from_torch(tmp_path: Path, reference: Reference) -> None:
    claim, file = claim_of(tmp_path, VALID)
    case = judge(claim, file, reference).case
    assert case.expected is not None
    assert case.expected.by == ("full", "weights", "weights-mmap", "full-mmap")
    assert case.alternatives == ()
    assert case.refused_by == {}


# -------------------------------------------------------------------- registry


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> dict[str, registry.Case]:
    cases: dict[str, registry.Case] = {}
    monkeypatch.setattr(registry, "CASES", cases)
    monkeypatch.setattr(registry, "_LOWER", set())
    return cases


def test_a_case_for_each_format_and_row(empty: dict[str, registry.Case]) -> None:
    @saved(
        V2, formats=(registry.ZIP, registry.LEGACY), each={"two": (2,), "three": (3,)}
    )
    def ones(count: int) -> object:
        """A tensor of {count} ones."""
        return torch.ones(count)

    assert {id: case.shows for id, case in empty.items()} == {
        "rebuild_tensor_v2/ones_two": "A tensor of 2 ones.",
        "rebuild_tensor_v2/ones_two.legacy": "A tensor of 2 ones.",
        "rebuild_tensor_v2/ones_three": "A tensor of 3 ones.",
        "rebuild_tensor_v2/ones_three.legacy": "A tensor of 3 ones.",
    }
    assert torch.equal(ones(2), torch.ones(2))  # type: ignore[arg-type]


def test_what_a_case_must_not_be(empty: dict[str, registry.Case]) -> None:
    def nothing() -> bytes:
        """Nothing."""
        return b""

    written(V2, label="built")(nothing)
    with pytest.raises(ValueError, match="two cases are called"):
        written(V2, label="built")(nothing)
    nothing.__name__ = "Nothing"
    with pytest.raises(ValueError, match="but for capitals"):
        written(V2, label="built")(nothing)

    def silent() -> bytes:
        return b""

    with pytest.raises(ValueError, match="does not say what it shows"):
        written(V2, label="built")(silent)

    def other() -> bytes:
        """Other."""
        return b""

    for claims, words in (
        ({"verdict": "invalid"}, "a phase"),
        ({"phase": "pickle"}, "a phase"),
        ({"verdict": "either"}, "a reason"),
        ({"reason": "because"}, "a reason"),
        ({"flags": ("no-such",)}, "does not explain"),
    ):
        with pytest.raises(ValueError, match=words):
            written(V2, label="built", **claims)(other)
    assert list(empty) == ["rebuild_tensor_v2/nothing"]


def test_legacy_keys_are_stable(tmp_path: Path) -> None:
    case = REGISTERED[f"{VALID}.legacy"]
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        write(folder, [case])
    assert (tmp_path / "a" / case.file).read_bytes() == (
        tmp_path / "b" / case.file
    ).read_bytes()


# ------------------------------------------------------------------------- ids


def one_case_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, id: str = VALID
) -> None:
    """Lets the generators write one case alone."""
    from conformance.corpus import build as module

    def generated(folder: Path) -> object:
        write(folder, [dataclasses.replace(REGISTERED[VALID], id=id)])
        return module._Source(folder, module._manifest(folder / MANIFEST))

    monkeypatch.setattr(module, "_generated", generated)


def test_an_id_does_not_vanish_and_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "corpus"
    one_case_corpus(tmp_path, monkeypatch)
    assert build(corpus).good
    before = (corpus / "corpus.json").read_bytes()

    one_case_corpus(tmp_path, monkeypatch, "rebuild_tensor_v2/other")
    found = build(corpus)
    assert found.gone == (VALID,)
    assert (corpus / "corpus.json").read_bytes() == before
    assert build(corpus, retire=[VALID]).good
    assert not (corpus / f"{VALID}.pt").exists()

    one_case_corpus(tmp_path, monkeypatch)
    found = build(corpus, retire=["rebuild_tensor_v2/other"])
    assert found.reused == (VALID,)


def test_a_build_without_torch_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_case_corpus(tmp_path, monkeypatch)
    monkeypatch.setattr(
        Reference, "about", lambda _: Reference.load.__name__, raising=True
    )
    with pytest.raises(BuildError, match="torch is"):
        build(tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()

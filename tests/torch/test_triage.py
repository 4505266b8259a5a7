"""Triage with torch: what the two readers say, and pairs that become cases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conformance import ledger
from conformance.corpus.format import corpus_folder
from conformance.corpus.judging import Claim, judge
from conformance.fuzz import differential
from conformance.fuzz.triage import cases, child, facts, levels, run
from conformance.fuzz.triage.cases import Case
from conformance.fuzz.triage.facts import Facts
from conformance.fuzz.triage.judges import Judges
from conformance.fuzz.triage.search import minimise
from conformance.loaders.reference import Reference
from conformance.loaders.worker import Answer
from generators.cases import registry, write
from generators.cases.wrong import found

CORPUS = corpus_folder()

#: Larger in each way than it has to be: what we refuse and torch does not.
DIVERGES = CORPUS / "divergences" / "setitem_on_list.pt"
EQUAL = CORPUS / "rebuild_tensor_v2" / "matrix.pt"


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    """That of the target: importing torch once is enough."""
    with differential.reference() as reference:
        yield reference


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> dict[str, registry.Case]:
    registered: dict[str, registry.Case] = {}
    monkeypatch.setattr(registry, "CASES", registered)
    monkeypatch.setattr(registry, "_LOWER", set())
    return registered


def proposed(data: bytes, known: Facts) -> Case:
    return Case(
        "differential", "some signature", 1, len(data), data, 0, True, known, "check"
    )


# ---------------------------------------------------------------- the judgements


class Here:
    """In the place of a worker: answers in this process, where torch is at hand."""

    def ask(self, request: dict[str, Any]) -> Answer:
        return Answer(child.answer(json.loads(json.dumps(request))))


def test_what_agrees_and_what_is_known(tmp_path: Path, reference: Reference) -> None:
    inputs = [("differential", path.read_bytes()) for path in (EQUAL, DIVERGES)]
    judges = Judges()
    judges._torch = Here()  # type: ignore[assignment]
    triaged = run.triage(inputs, judges, tmp_path)
    assert triaged.cases == []
    assert triaged.clean == 1
    assert triaged.known == {"items-of-others": 1}
    known = judges.facts(DIVERGES)
    rows = {mode.name: mode.row for mode in known.modes}
    assert rows["full"] == "items-of-others"
    assert rows["weights"] is None


def test_a_new_divergence_becomes_small(
    monkeypatch: pytest.MonkeyPatch, reference: Reference
) -> None:
    monkeypatch.setattr(ledger, "explaining", lambda *_: [])

    def signature(data: bytes) -> str | None:
        judged = differential.judge(data)
        assert judged.row is None
        return judged.signature

    data = DIVERGES.read_bytes()
    name = signature(data)
    assert name is not None
    small = minimise(data, name, signature, levels.STAGES)
    assert small.complete
    assert signature(small.data) == name
    # An archive of two records, whose pickle has no opcode too many.
    assert len(small.data) < 230 < len(data)


# ------------------------------------------------------------------- the proposals


@pytest.mark.parametrize(
    ("id", "verdict", "phase", "path"),
    [
        ("rebuild_tensor_v2/matrix", "valid", None, "torch._utils._rebuild_tensor_v2"),
        ("machine/stack_too_short_for_append", "invalid", "pickle", "opcode:APPEND"),
        ("divergences/setitem_on_list", "either", None, "opcode:SETITEM"),
    ],
)
def test_a_pair_becomes_a_case_that_holds(
    id: str, verdict: str, phase: str | None, path: str, tmp_path: Path,
    reference: Reference, empty: dict[str, registry.Case],
) -> None:  # fmt: skip
    """A file of the corpus, once more: the build has nothing to say against it."""
    data = (CORPUS / f"{id}.pt").read_bytes()
    case = proposed(data, facts.facts(CORPUS / f"{id}.pt", reference))
    cases.write(case, tmp_path)
    found.register(tmp_path)
    (new,) = empty.values()
    assert new.id == f"found/{case.name}"
    assert (new.family, new.label) == ("found", "built")
    assert (new.verdict, new.phase) == (verdict, phase)
    assert new.make() == data
    # More than one path may be as telling.
    if not path.startswith("opcode:"):
        assert new.path == path
    write(tmp_path / "written", [new])
    manifest = json.loads((tmp_path / "written" / "manifest.json").read_bytes())
    claim = msgspec.convert(manifest["cases"][0], Claim)
    judged = judge(claim, tmp_path / "written" / new.file, reference)
    assert judged.problems == ()


def test_what_breaks_torch_is_marked_and_not_taken(
    tmp_path: Path, reference: Reference, monkeypatch: pytest.MonkeyPatch,
    empty: dict[str, registry.Case],
) -> None:  # fmt: skip
    monkeypatch.setattr(facts, "explain", lambda *_: None)
    path = CORPUS / "divergences" / "key_deep.pt"
    case = proposed(path.read_bytes(), facts.facts(path, reference))
    assert case.facts.torch == "crashes"
    assert case.undisclosed
    cases.write(case, tmp_path)
    with pytest.raises(ValueError, match=r"undisclosed.*SECURITY\.md"):
        found.register(tmp_path)
    assert empty == {}


def test_torch_is_asked_where_we_have_a_bug(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr("conformance.loaders.ours.load", wrong)
    known = facts.facts(EQUAL, reference)
    assert {mode.verdict for mode in known.modes} == {"our reader crashed"}
    assert (known.torch, known.ours) == ("loads", "bug: KeyError: 'lost'")
    assert proposed(b"", known).verdict == "valid"
    assert facts.torch_alone(EQUAL, reference).torch == "loads"
    path = CORPUS / "divergences" / "key_deep.pt"
    assert facts.torch_alone(path, reference).defects == ("crashes",)


# -------------------------------------------------------------------- the registry


def pair(folder: Path, *lines: str) -> None:
    (folder / "name.pt").write_bytes(b"K\1.")
    claims = ('shows = "A number."', 'path = "opcode:BININT1"', *lines)
    (folder / "name.toml").write_text("\n".join(claims), encoding="utf-8")


def test_claims_of_a_pair(tmp_path: Path, empty: dict[str, registry.Case]) -> None:
    pair(tmp_path, 'flags = ["stack"]', 'links = ["there"]', "[found]", 'any = "thing"')
    found.register(tmp_path)
    case = empty["found/name"]
    assert (case.shows, case.path, case.suffix) == (
        "A number.",
        "opcode:BININT1",
        ".pt",
    )
    assert (case.flags, case.links, case.verdict) == (("stack",), ("there",), "valid")
    assert case.make() == b"K\1."


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('colour = "red"', "claims.*colour"),
        ("undisclosed = true", "undisclosed"),
        ('verdict = "invalid"', "a phase"),
        ('flags = ["no such flag"]', "does not explain"),
    ],
)
def test_claims_that_no_pair_makes(
    line: str, words: str, tmp_path: Path, empty: dict[str, registry.Case]
) -> None:
    pair(tmp_path, line)
    with pytest.raises(ValueError, match=words):
        found.register(tmp_path)
    assert empty == {}


def test_the_folder_holds_pairs_and_nothing_else() -> None:
    names = {path.name for path in found.FOLDER.iterdir()} - {"README.md"}
    stems = {path.stem for path in found.FOLDER.glob("*.toml")}
    assert names == {f"{stem}{suffix}" for stem in stems for suffix in (".pt", ".toml")}

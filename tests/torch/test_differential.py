"""Ours and torch held against each other, input by input."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import msgspec
import pytest

from conformance import ledger
from conformance.check import ModeResult, Verdict, check
from conformance.corpus.format import cases, corpus_folder
from conformance.description import Description, Tensor
from conformance.fuzz import differential
from conformance.fuzz.differential import ASKED, Pair, examine, judge
from conformance.fuzz.target import Violation, signature
from conformance.fuzz.targets.differential import DIFFERENTIAL, run
from conformance.fuzz.words import Words
from conformance.loaders import ours
from conformance.loaders.outcome import Outcome
from generators.cases import CASES
from generators.cases.writing import bytes_of

CORPUS = {case.id: path for path, case in cases(corpus_folder())}


def made(id: str) -> bytes:
    """A case, whether it is kept or not."""
    return bytes_of(CASES[id])


def verdicts(data: bytes) -> list[str]:
    return [mode.verdict.value for mode in judge(data).result.modes]


@pytest.mark.parametrize("seed", [b"", b"\x80", b"PK\3\4", b"no file"])
def test_both_refuse(seed: bytes) -> None:
    found = judge(seed)
    assert found.signature is None
    assert found.row is None


def test_the_corpus_holds_no_surprise() -> None:
    """A sample: the readers agree, or the ledger knows why they do not."""
    seeds = list(DIFFERENTIAL.seeds())[::60]
    assert len(seeds) > 40
    for seed in seeds:
        run(seed, True)


def test_the_quick_answer_is_the_slow_one(tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    for seed in list(DIFFERENTIAL.seeds())[7::200]:
        path.write_bytes(seed)
        slow = check(path, differential.reference(), ASKED).modes
        for quick, one in zip(judge(seed).result.modes, slow, strict=True):
            assert quick.verdict is one.verdict
            if not one.verdict.agrees:
                assert (quick.torch, quick.ours) == (one.torch, one.ours)


def test_a_known_divergence_is_no_finding() -> None:
    before = differential.counts["opcode-not-in-weights-only"]
    data = made("divergences/protocol_4")
    found = judge(data)
    assert found.signature is not None
    assert "only we load" in found.signature
    assert found.row == "opcode-not-in-weights-only"
    assert differential.counts[found.row] == before + 1
    run(data, True)


# -------------------------------------------------------------- planted differences


Change = Callable[[Description], object]


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    """Changes every description of ours."""
    load = ours.load

    def planter(change: Change) -> None:
        def changed(*args: Any, **options: Any) -> Description:
            description = load(*args, **options)
            change(description)
            return description

        monkeypatch.setattr(ours, "load", changed)

    return planter


def _gradients(description: Description) -> None:
    for index, node in enumerate(description.nodes):
        if isinstance(node, Tensor):
            description.nodes[index] = msgspec.structs.replace(node, requires_grad=True)


def test_a_planted_difference_has_one_signature(plant: Callable[..., None]) -> None:
    plant(_gradients)
    found = set()
    for id in ("rebuild_tensor_v2/columns", "rebuild_tensor_v2/conj"):
        data = CORPUS[id].read_bytes()
        with pytest.raises(Violation, match="requires_grad") as caught:
            run(data, True)
        assert caught.value.detail == judge(data).signature
        found.add(signature(caught.value))
        assert judge(data).row is None
    assert found == {"violation | divergence | differ | requires_grad at the root"}


def test_one_mode_at_a_time_finds_it_too(plant: Callable[..., None]) -> None:
    data = CORPUS["rebuild_tensor_v2/columns"].read_bytes()
    assert len(examine(data, thorough=False).pairs) == 1
    plant(_gradients)
    assert examine(data, thorough=False).signature


def test_a_bug_of_ours_is_one(plant: Callable[..., None]) -> None:
    def fail(_: Description) -> None:
        raise IndexError

    plant(fail)
    data = CORPUS["rebuild_tensor_v2/columns"].read_bytes()
    with pytest.raises(IndexError):
        run(data, True)
    found = judge(data)
    assert found.signature is not None
    assert found.signature.startswith("escaped | IndexError")
    assert found.row is None


def test_without_the_ledger_a_divergence_is_a_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = made("divergences/protocol_4")
    monkeypatch.setattr(ledger, "explaining", lambda *_: [])
    with pytest.raises(Violation) as caught:
        run(data, True)
    assert "UnpicklingError @ load" in caught.value.detail
    monkeypatch.setattr(ledger, "explaining", lambda *_: ["one", "two"])
    with pytest.raises(Violation, match="only we load") as caught:
        run(data, True)
    assert caught.value.detail.endswith("2 rows: one, two")


# ------------------------------------------------------------- deaths of the oracle


@pytest.mark.parametrize(
    ("id", "verdict"),
    [
        ("divergences/key_deep", "torch crashed"),
        ("divergences/key_of_pairs", "torch hung"),
        ("divergences/memo_index_huge", "torch out of memory"),
        ("divergences/legacy_storage_missing", "torch nondeterministic"),
    ],
)
def test_a_death_costs_one_input(id: str, verdict: str) -> None:
    good = CORPUS["rebuild_tensor_v2/columns"].read_bytes()
    assert verdicts(good) == ["equal", "equal"]
    found = judge(made(id))
    assert verdict in [mode.verdict.value for mode in found.result.modes]
    assert found.row is not None
    begin = time.perf_counter()
    assert verdicts(good) == ["equal", "equal"]
    # Far less than importing torch takes, on a machine with much else to do.
    assert time.perf_counter() - begin < 1


def test_signatures_say_nothing_of_one_file() -> None:
    template = differential._template
    assert template("the record 'a/b' has 12 bytes, not 8") == (
        template("the record 'c'd' has 0x1f bytes, not -1")
    )
    assert template("7 is wrong (at 9 of the packed pickle)") == template("8 is wrong")
    assert template("size (2, 3), offset 0") == template("size (1,), offset 17")
    place = differential._place
    assert place("['model']['w']") == place("[0]") == "[...]"
    assert place("['a'].scales") == ".scales"
    assert place("{(1, 2)}") == "[...}"
    assert place("the root") == "the root"


def test_a_signature_says_why_where_we_load() -> None:
    """Our error is the cause, if there is one; else it is what torch says."""
    pair = Pair(ASKED[0], Outcome("a digest"), Outcome("another"))
    said = "two answers to one question: int 1 != 0 at the root"
    result = ModeResult(str(ASKED[0]), Verdict.NONDETERMINISTIC, torch=said)
    assert differential._cause(pair, result) == (
        "we load: two answers to one question: int N != N at the root"
    )


# ---------------------------------------------------------------------- a short run


def test_mutants_are_all_explained() -> None:
    """Some three hundred, the same ones as long as the mutator is the same."""
    seeds = set(DIFFERENTIAL.seeds())
    unexplained = []
    for id, path in CORPUS.items():
        # What one case gives does not hang on which others there are.
        number = crc32(id.encode())
        data = path.read_bytes()
        if number % 12 == 0 and data in seeds:
            random = Random(number)  # noqa: S311
            mutant = DIFFERENTIAL.mutate(data, random, Words())
            found = judge(mutant)
            if found.signature is not None and found.row is None:
                unexplained.append((id, found.signature))
    assert unexplained == []

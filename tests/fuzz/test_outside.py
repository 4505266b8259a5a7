"""Somebody else's loader fuzzed: the hunt by itself, and all of it with a fake."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from conformance.fuzz.findings import Findings
from conformance.fuzz.outside.asking import Heard
from conformance.fuzz.outside.hunt import Hunt
from conformance.matrix.results import Difference, Verdict
from tests.fuzz.fakes import WORDS

SEED = b"\x80\x02]q\x00(K\x01K\x02e."
OTHER = b"\x80\x02}q\x00."

Hear = Callable[[bytes], Heard]


def fine(data: bytes) -> Heard:
    return Heard(Verdict.PASS, "", "", True)


def wrong(data: bytes) -> Heard:
    """Wrong wherever there is a three."""
    if b"K\x03" not in data:
        return fine(data)
    difference = Difference("a", "shape", "(1)", "(3)")
    return Heard(Verdict.WRONG, "shape", "", True, (difference,))


def hunted(hear: Hear, folder: Path, number: int = 3_000) -> Hunt:
    hunt = Hunt("fake", hear, WORDS, folder, 1)
    for _ in islice(hunt.run(iter((SEED, OTHER))), number):
        pass
    return hunt


def test_a_mutant_that_is_read_wrong_is_found(tmp_path: Path) -> None:
    hunt = hunted(wrong, tmp_path)
    [finding] = Findings(tmp_path / "findings").of("fake")
    assert finding.signature == "wrong | shape"
    assert finding.message == "shape of 'a': (3), not (1)"
    assert hunt.progress.findings["wrong | shape"] > 1
    assert hunt.progress.asked == 3_000
    assert sum(hunt.progress.verdicts.values()) == 3_000


def test_what_the_seeds_show_is_left_out(tmp_path: Path) -> None:
    def hear(data: bytes) -> Heard:
        if data == SEED or b"K\x03" in data:
            return Heard(Verdict.WRONG, "shape", "", True)
        return fine(data)

    hunt = hunted(hear, tmp_path)
    assert hunt.known == {"wrong | shape"}
    assert not hunt.progress.findings
    assert not list(Findings(tmp_path / "findings").of("fake"))
    # Only what is read well is mutated.
    assert SEED not in hunt._corpus


@pytest.mark.parametrize("verdict", [Verdict.REJECTS, Verdict.ACCEPTS, Verdict.SKIP])
def test_what_is_no_finding(verdict: Verdict, tmp_path: Path) -> None:
    def hear(data: bytes) -> Heard:
        return fine(data) if data in (SEED, OTHER) else Heard(verdict, "no", "no", None)

    hunt = hunted(hear, tmp_path, 100)
    assert hunt.progress.verdicts[verdict] > 50
    assert not hunt.progress.findings


@pytest.mark.parametrize("verdict", [Verdict.CRASH, Verdict.TIMEOUT, Verdict.ERROR])
def test_deaths_are_found(verdict: Verdict, tmp_path: Path) -> None:
    def hear(data: bytes) -> Heard:
        return fine(data) if data in (SEED, OTHER) else Heard(verdict, "x", "y", None)

    assert hunted(hear, tmp_path, 100).progress.findings


def test_a_new_kind_of_answer_is_kept(tmp_path: Path) -> None:
    """And only the first of its kind."""

    def hear(data: bytes) -> Heard:
        return Heard(Verdict.REJECTS, f"of {min(len(data), 40) // 8}", "", True)

    hunt = Hunt("fake", hear, WORDS, tmp_path, 1)
    hunt._corpus = [SEED]
    for _ in islice(hunt.run(iter(())), 500):
        pass
    assert hunt.progress.kinds > 2
    assert hunt.progress.corpus == 1 + hunt.progress.kinds


def test_the_same_seed_makes_the_same_mutants(tmp_path: Path) -> None:
    asked: list[list[bytes]] = []

    def hear(data: bytes) -> Heard:
        asked[-1].append(data)
        return fine(data)

    for number in range(2):
        asked.append([])
        hunted(hear, tmp_path / str(number), 200)
    assert asked[0] == asked[1]


def test_a_loader_that_reads_nothing_is_not_fuzzed(tmp_path: Path) -> None:
    def hear(data: bytes) -> Heard:
        return Heard(Verdict.REJECTS, "never", "never", True)

    assert hunted(hear, tmp_path).progress.asked == 2

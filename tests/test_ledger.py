"""The ledger without torch: its form, its cases, and our half of each row."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from conformance import ledger
from conformance.check import AGREEMENT, ModeResult, Verdict
from conformance.compare import Difference
from conformance.corpus.format import cases, corpus_folder
from conformance.ledger import Row
from conformance.loaders import ours
from conformance.loaders.reference import MODES
from conformance.parser import CheckpointError

CASES = {case.id: path for path, case in cases(corpus_folder())}
ROWS = list(ledger.rows().values())

#: What our reader must have done for each of these verdicts.
WE_LOAD = {Verdict.ONLY_OURS, Verdict.DIFFER}
WE_REFUSE = {Verdict.ONLY_TORCH}

every_row = pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])


@every_row
def test_a_row_says_everything(row: Row) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row.id)
    for text in (row.torch, row.ours, row.why, row.versions):
        assert text.strip() == text != ""
    assert "\n" not in row.why
    # As long as a terminal shows in one line, with the id before it.
    assert len(row.why) < 100
    assert row.link == "" or row.link.startswith("https://")


@every_row
def test_a_row_names_modes_verdicts_and_cases(row: Row) -> None:
    assert row.modes
    assert set(row.modes) <= {str(mode) for mode in MODES}
    assert row.verdicts
    assert {Verdict(verdict) for verdict in row.verdicts}.isdisjoint(AGREEMENT)
    assert row.cases
    for values in (row.modes, row.verdicts, row.cases, row.when):
        assert len(set(values)) == len(values)


@every_row
def test_a_row_knows_its_divergence_by_words(row: Row) -> None:
    """Without them it would hide whatever else goes wrong."""
    for pattern in (row.torch_says, row.ours_says, row.differs):
        re.compile(pattern)
    if Verdict.ONLY_OURS in row.verdicts:
        assert row.torch_says
    if Verdict.DIFFER in row.verdicts:
        assert row.differs
    if not WE_LOAD.intersection(row.verdicts):
        assert row.ours_says


def test_every_case_is_there_and_every_file_is_a_case() -> None:
    named = {case for row in ROWS for case in row.cases if not row.undisclosed}
    assert named <= CASES.keys()
    assert {id for id in CASES if id.startswith("divergences/")} <= named
    assert all(CASES[id].stat().st_size < 4096 for id in named)


KEPT = [(row, case) for row in ROWS for case in row.cases if not row.undisclosed]


@pytest.mark.parametrize(
    ("row", "case"), KEPT, ids=[f"{row.id}-{case}" for row, case in KEPT]
)
def test_our_reader_does_what_the_row_says(row: Row, case: str) -> None:
    """Not in all modes: in some of them another row may have the case."""
    allowed = {mode.weights_only for mode in MODES if str(mode) in row.modes}
    assert any(_does(row, case, weights_only) for weights_only in allowed)


def _does(row: Row, case: str, weights_only: bool) -> bool:
    verdicts = {Verdict(verdict) for verdict in row.verdicts}
    try:
        ours.load(CASES[case], weights_only=weights_only)
    except CheckpointError as error:
        refused = bool(verdicts - WE_LOAD)
        return refused and bool(re.search(row.ours_says, str(error)))
    return bool(verdicts - WE_REFUSE) and bool(re.search(row.ours_says, ""))


# ------------------------------------------------------------- how rows are found

LOAD, MAPPED = str(MODES[0]), str(MODES[2])


def test_a_row_explains_only_its_own_mode_verdict_and_words() -> None:
    file = str(CASES["divergences/qtensor_of_1_2"])
    says = "TypeError: _rebuild_qtensor() takes 7 positional arguments but 8 were given"

    def explained(
        verdict: Verdict = Verdict.ONLY_OURS, torch: str = says
    ) -> str | None:
        return ledger.explain(file, ModeResult(LOAD, verdict, torch=torch))

    assert explained() == "qtensor-of-1-2"
    assert explained(verdict=Verdict.CRASHED) is None
    assert explained(torch="TypeError: something else") is None


def test_every_difference_must_be_explained() -> None:
    file = str(CASES["divergences/deflated"])
    known = Difference("the root", "storage byte 0", "00", "01")
    other = Difference("the root", "stride", "(1,)", "(2,)")

    def explained(*found: Difference, mode: str = MAPPED) -> str | None:
        return ledger.explain(file, ModeResult(mode, Verdict.DIFFER, differences=found))

    assert explained(known) == "mmap-deflated"
    assert explained(known, other) is None
    assert explained(known, mode=LOAD) is None


def test_wrong_bytes_are_explained_only_in_the_files_of_a_row() -> None:
    """Else a row about corruption would hide any corruption."""
    found = (Difference("the root", "storage byte 0", "00", "01"),)
    result = ModeResult(MAPPED, Verdict.DIFFER, differences=found)
    assert ledger.explain(str(CASES["divergences/record_longer"]), result) is None
    assert ledger.explain(str(CASES["divergences/legacy_uint16"]), result) is None
    swapped = ledger.explain(str(CASES["divergences/big_endian_uint16"]), result)
    assert swapped == "big-endian-v3"


def test_facts_of_files() -> None:
    def facts(case: str) -> set[str]:
        return ledger.facts(str(CASES[f"divergences/{case}"]))

    assert {"zip", "little-endian", "deflated"} <= facts("deflated")
    assert {"zip", "big-endian", "shared record"} <= facts("big_endian_twice")
    assert {"legacy", "torch._utils._rebuild_tensor_v2"} <= facts(
        "legacy_storage_grows"
    )
    assert "distcp" in facts("two_archives")
    assert facts("plain_pickle").isdisjoint({"zip", "deflated", "shared record"})


def test_facts_of_files_that_nobody_reads(tmp_path: Path) -> None:
    """What stands behind the error counts too: torch may have come to it."""
    pairs = b"\x80\2)" + b"2\x86" * 64 + b"."
    deep = b"\x80\2)" + b"\x85" * 64 + b"."
    path = tmp_path / "file.pt"
    for data, found in ((b"\x80\2J", False), (b"\x80\2\xff." + pairs, False),
                        (b"\x80\2(0." + pairs, True), (pairs, True), (deep, False),
                        (b"\x80\2N." + pairs + b"cut", True)):  # fmt: skip
        path.write_bytes(data)
        assert ("repeating" in ledger.facts(str(path))) is found
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/version", b"\xff" * 1000)
        archive.writestr("a/data.pkl", pairs)
    assert "repeating" in ledger.facts(str(path))


def test_facts_of_calls(tmp_path: Path) -> None:
    def facts(pickle: bytes) -> set[str]:
        path = tmp_path / "file.pkl"
        path.write_bytes(b"\x80\2" + pickle + b".")
        return ledger.facts(str(path))

    assert "class of torch" in facts(b"ctorch._dynamo.decorators\n_DimRange\n)\x81")
    text = b"X\1\0\0\0x\x85R"
    assert {"kept call", "kept builtins"} <= facts(b"c__builtin__\nint\n" + text)
    assert not facts(b"ctorch\ndevice\n" + text) & {"kept call", "class of torch"}


@pytest.mark.parametrize("put", [b"p9999999\n", b"r\xff\xff\xff\0"])
def test_facts_of_memos(put: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.pkl"
    for data, found in ((b"N" + put + b".", True), (b"Np7\nr\1\0\0\0.", False)):
        path.write_bytes(b"\x80\2" + data)
        assert ("far memo" in ledger.facts(str(path))) is found


def test_rows_that_yield(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Row("a", "t", "o", "w", "v", modes=(LOAD,), verdicts=("differ",), cases=())
    result = ModeResult(LOAD, Verdict.DIFFER)

    def explaining(*rows: Row) -> list[str]:
        monkeypatch.setattr(ledger, "rows", lambda: {row.id: row for row in rows})
        return ledger.explaining("no file is opened", result)

    b, c = replace(row, id="b", yields=1), replace(row, id="c", yields=2)
    assert explaining(row, b, c) == ["a"]
    assert explaining(c, b) == ["b"]
    assert explaining(b, replace(c, yields=1)) == ["b", "c"]
    assert explaining() == []


def test_a_reason_can_be_shown() -> None:
    row = ROWS[0]
    assert ledger.reason(row.id) == row.why
    assert ledger.reason("no-such-row") == ""

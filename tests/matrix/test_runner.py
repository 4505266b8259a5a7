"""Cases x loaders: the same results whoever asked, and whatever dies on the way."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from conformance.corpus.format import Case
from conformance.matrix import runner
from conformance.matrix.results import Run, Verdict, lines, read
from conformance.matrix.runner import digest, run

from .fakes import CASES, PROGRAM, cases, fake

#: What a perfect loader gets.
PERFECT = dict.fromkeys(CASES, Verdict.PASS)


def ran(
    loaders: dict[str, tuple[str, ...]], *, jobs: int = 1, timeout: float = 10.0
) -> Run:
    return run(
        loaders,
        cases(),
        judged_by="torch 0",
        jobs=jobs,
        timeout=timeout,
        memory=100_000_000,
    )


def verdicts(found: Run, id: str = "one") -> dict[str, Verdict]:
    return {one.case: one.verdict for one in found.results if one.loader == id}


def test_a_perfect_loader() -> None:
    found = ran({"one": fake("well")})
    assert verdicts(found) == PERFECT
    assert [one.compared for one in found.results if one.compared] == [
        ("dtype", "shape", "data")
    ] * 4
    header = found.header
    assert (header.cases, header.judged_by) == (len(CASES), "torch 0")
    assert header.corpus == digest(cases())
    (loader,) = header.loaders
    assert (loader.id, loader.name, loader.version) == ("one", "fake", "1.0")
    assert found.footer.complete
    assert found.footer.results == len(CASES)


def test_the_digest_is_that_of_ids_and_files() -> None:
    every = cases()
    assert digest(every) == digest(every[::-1])
    path, case = every[0]
    for change in ({"id": "cut/another"}, {"sha256": "0" * 64}):
        other = [(path, msgspec.structs.replace(case, **change)), *every[1:]]
        assert digest(other) != digest(every)


FROZEN, CUT = "rebuild_parameter/frozen", "cut/archive_before_end_record"


@pytest.mark.parametrize(
    ("how", "case", "verdict", "message"),
    [
        ("refuses", FROZEN, Verdict.REJECTS, "NotYet: no such thing here"),
        ("skips", FROZEN, Verdict.SKIP, "not my kind"),
        ("skips", CUT, Verdict.SKIP, "not my kind"),
        ("accepts", CUT, Verdict.ACCEPTS, ""),
        ("accepts", FROZEN, Verdict.MISSING, ""),
        ("one_bit", FROZEN, Verdict.WRONG, ""),
        ("drops", FROZEN, Verdict.MISSING, ""),
        ("dies", FROZEN, Verdict.CRASH, "SIGSEGV"),
        ("dies", CUT, Verdict.CRASH, "SIGSEGV"),
        ("leaves", FROZEN, Verdict.CRASH, "exit status 3"),
        ("eats", FROZEN, Verdict.CRASH, "out of memory: more than 100 MB"),
        ("garbage", FROZEN, Verdict.ERROR, "not the protocol: "),
        ("garbage", CUT, Verdict.ERROR, "not the protocol: "),
        ("twice", FROZEN, Verdict.ERROR, "it answered twice: "),
    ],
)
def test_one_file_goes_wrong_and_the_others_do_not(
    how: str, case: str, verdict: Verdict, message: str
) -> None:
    found = ran({"one": fake(how, case.rpartition("/")[2])})
    assert verdicts(found) == {**PERFECT, case: verdict}
    (result,) = [one for one in found.results if one.case == case]
    assert result.message.startswith(message)
    assert bool(result.cause) == (verdict is not Verdict.SKIP)


def test_no_answer_in_time() -> None:
    found = ran({"one": fake("hangs", "frozen")}, timeout=0.7)
    assert verdicts(found) == {**PERFECT, FROZEN: Verdict.TIMEOUT}
    (result,) = [one for one in found.results if one.case == FROZEN]
    assert result.message == "no answer within 0.7 s"
    assert result.seconds >= 0.7


def test_what_is_wrong_is_told() -> None:
    found = ran({"one": fake("one_bit", "frozen")})
    (result,) = [one for one in found.results if one.verdict is Verdict.WRONG]
    (difference,) = result.differences
    assert (difference.name, difference.fact) == ("trained", "data")
    assert difference.expected != difference.found


def test_results_do_not_depend_on_who_asked() -> None:
    loaders = {how: fake(how, "e") for how in ("well", "refuses", "drops", "leaves")}

    def told(found: Run) -> list[bytes]:
        """All but the times."""
        results = [
            msgspec.json.encode(msgspec.structs.replace(one, seconds=0.0))
            for one in found.results
        ]
        return [*results, msgspec.json.encode(found.header.loaders)]

    alone = told(ran(loaders))
    assert len(alone) == len(CASES) * len(loaders) + 1
    assert told(ran(loaders, jobs=5)) == alone


def test_results_can_be_written_and_read(tmp_path: Path) -> None:
    found = ran({"one": fake("well"), "two": fake("drops")}, jobs=2)
    path = tmp_path / "results.jsonl"
    path.write_bytes(b"".join(lines(found)))
    assert read(path) == found


def test_who_does_not_start_is_absent() -> None:
    found = ran(
        {"one": fake("well"), "two": fake("no_start"), "three": ("no-program",)}, jobs=2
    )
    assert [one.id for one in found.header.loaders] == ["one"]
    assert found.header.absent == {
        "two": "it does not start: exit status 1; the library is not installed",
        "three": "no-program: No such file or directory",
    }
    assert verdicts(found) == PERFECT
    assert found.footer.complete


def test_who_is_absent_already_stays_so() -> None:
    found = run(
        {"one": fake("no_start")},
        cases(FROZEN),
        judged_by="",
        absent={"two": "not here"},
    )
    assert list(found.header.absent) == ["two", "one"]
    assert found.results == ()


def test_another_version_after_a_death_is_no_answer() -> None:
    """From the file on at which it died: who answers now was never announced."""
    found = ran({"one": fake("lies", "frozen")})
    (died,) = [one for one in found.results if one.verdict is Verdict.CRASH]
    assert died.case == FROZEN
    counts = Counter(verdicts(found).values())
    assert counts[Verdict.ERROR] == len(CASES) - 3
    wrong = [one.message for one in found.results if one.verdict is Verdict.ERROR]
    assert all(" and says now it is fake " in message for message in wrong)


def test_a_death_of_old_age_is_asked_again(tmp_path: Path) -> None:
    """A process that was asked before may have died of that."""
    program = tmp_path / "tired.py"
    text = PROGRAM.read_text("utf-8")
    line = "        file = Path("
    dies = "        if command['id'] == '3':\n            os._exit(7)\n"
    tired = text.replace(line, dies + line)
    assert tired != text
    program.write_text(tired, "utf-8")
    found = ran({"one": (sys.executable, str(program), "well")})
    assert verdicts(found) == PERFECT
    notes = {
        one.case: one.message for one in found.results if "as the first" in one.message
    }
    assert notes == {FROZEN: "after 2 files, but not as the first: exit status 7"}


def test_nothing_is_said_of_what_is_expected(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = tmp_path / "tee.sh"
    program.write_text(f'tee {log} | "$@"\n', "utf-8")
    ran({"one": ("sh", str(program), *fake("well"))})
    told = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    files = [message.pop("file") for message in told if message["command"] == "load"]
    assert files == [str(path) for path, _ in cases()]
    assert all(Path(file).is_absolute() for file in files)
    assert told == [
        {"command": "start", "protocol": 1},
        *({"command": "load", "id": str(n)} for n in range(1, len(CASES) + 1)),
        {"command": "stop"},
    ]


def test_progress_is_told() -> None:
    steps: list[tuple[int, int, str]] = []
    run(
        {"one": fake("well"), "two": fake("no_start")},
        cases(),
        judged_by="",
        step=lambda *step: steps.append(step),
    )
    done, total, name = steps[-1]
    assert done == total == len(CASES)
    assert name.startswith("one  ")


def test_an_interrupted_run_gives_what_there_is() -> None:
    """And leaves nobody behind."""
    timer = threading.Timer(1.0, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    found = run(
        {"one": fake("well"), "two": fake("hangs")},
        cases(),
        judged_by="",
        jobs=2,
        timeout=60,
    )
    assert verdicts(found, "one") == PERFECT
    assert verdicts(found, "two") == {}
    assert not found.footer.complete
    assert found.footer.results == len(CASES)
    assert psutil.Process().children(recursive=True) == []


def test_a_bug_of_ours_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(case: Case, *_: Any) -> None:
        raise ZeroDivisionError(case.id)

    monkeypatch.setattr(runner, "judge", bug)
    with pytest.raises(ZeroDivisionError):
        run({"one": fake("well"), "two": fake("hangs")}, cases(), judged_by="", jobs=2)
    assert psutil.Process().children(recursive=True) == []

"""Triage, from findings to cases of the corpus, and the command that does it."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from typer.testing import CliRunner, Result

from conformance.commands.triage import triage as command
from conformance.fuzz.findings import Findings
from conformance.fuzz.mutation.pickles.stack import split
from conformance.fuzz.target import Target, Violation, signature
from conformance.fuzz.triage import cases, run
from conformance.fuzz.triage.cases import Case
from conformance.fuzz.triage.facts import Facts, Mode
from conformance.fuzz.triage.judges import CannotJudge, Judgement, Judges
from conformance.fuzz.triage.search import Judge
from conformance.loaders.worker import Answer, Crash
from conformance.parser import CheckpointError, globals, load
from tests.builders import checkpoints

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Among other things, a call that goes wrong where a test says so.
FILE = {
    "w": checkpoints.tensor(checkpoints.floats(1, 2, 3, 4), (2, 2)),
    "v": [checkpoints.longs(1, 2), checkpoints.Call("datetime.date", b"\7\xe4\1\2")],
    "text": "words " * 20,
}

# ----------------------------------------------------- bugs that are planted here


class Here(Judges):
    """Judges in this process, with facts that are given."""

    def __init__(self, judge: Callable[[bytes], Judgement], facts: Facts) -> None:
        super().__init__()
        self._judge = judge
        self._facts = facts

    def judge(self, target: str, data: bytes) -> Judgement:
        return self._judge(data)

    def of(self, target: str) -> Judge:
        return lambda data: self._judge(data).signature

    def facts(self, path: Path) -> Facts:
        assert path.read_bytes()
        return self._facts


def reading(data: bytes) -> Judgement:
    """Nothing but a `CheckpointError` escapes."""
    try:
        load(io.BytesIO(data), weights_only=False)
    except CheckpointError:
        pass
    except Exception as error:  # noqa: BLE001 (that is the question)
        return Judgement(signature(error))
    return Judgement(None)


REFUSES = Facts(
    modes=(
        Mode("weights", "both refuse", "UnpicklingError", "refuses: a global"),
        Mode("full", "both refuse", "TypeError", "refuses: no such date"),
    ),
    paths=("container:zip", "datetime.date", "global:datetime.date", "opcode:REDUCE"),
    phase="pickle",
)


def test_a_planted_bug_is_found_and_made_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object) -> object:
        raise KeyError("lost")

    monkeypatch.setitem(globals.CALLS, "datetime.date", wrong)
    inputs = [
        ("file", checkpoints.zipped(FILE)),
        ("file", checkpoints.legacy(FILE)),
        ("file", checkpoints.legacy(FILE, protocol=4)),
        ("file", checkpoints.zipped({"nothing": "wrong"})),
    ]
    judges: Any = Here(reading, REFUSES)
    found = run.triage(inputs, judges, tmp_path)
    assert found.clean == 1
    assert found.known == {}
    (case,) = found.cases
    assert case.signature.startswith("escaped | KeyError | ")
    assert (case.count, case.complete) == (3, True)
    assert len(split(case.data)) <= 6
    assert reading(case.data).signature == case.signature
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"README.md", case.file, f"{case.name}.toml"}
    assert (tmp_path / case.file).read_bytes() == case.data


def test_what_the_ledger_explains_is_left_out(tmp_path: Path) -> None:
    def judge(data: bytes) -> Judgement:
        return Judgement(None, data.decode()) if data else Judgement(None)

    judges: Any = Here(judge, REFUSES)
    inputs = [("differential", name) for name in (b"row", b"other", b"row", b"")]
    found = run.triage(inputs, judges, tmp_path / "out")
    assert found.known == {"row": 2, "other": 1}
    assert (found.clean, found.cases) == (1, [])
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------- cases


def case(facts: Facts, target: str = "differential") -> Case:
    return Case(
        target,
        'weights_only=True: differ "x" \x7f \u00e9\U0001f600',
        2,
        9,
        b"PK",
        3,
        True,
        facts,
        command_of(target),
    )


def command_of(target: str) -> str:
    with Judges() as judges:
        return judges.command(target)


SECRET = Facts((Mode("full", "torch crashed", "crashes", "refuses: no"),))


def claims(one: Case) -> dict[str, Any]:
    found = tomllib.loads(cases.toml(one))
    assert found["shows"].endswith(".")
    assert found["found"]["replay"] == one.replay
    assert found["found"]["signature"] == one.signature
    return found


def mode(
    name: str, verdict: str, torch: str, ours: str, row: str | None = None
) -> Mode:
    return Mode(name, verdict, torch, ours, row)


def test_claims_of_what_torch_refuses() -> None:
    found = claims(case(REFUSES))
    assert (found["verdict"], found["phase"]) == ("invalid", "pickle")
    assert found["path"] == "datetime.date"
    assert found["found"]["torch"] == "weights: UnpicklingError, full: TypeError"
    assert "undisclosed" not in found


def test_claims_of_what_torch_loads() -> None:
    facts = Facts(
        (
            mode("weights", "both refuse", "UnpicklingError", "refuses: no"),
            mode("full", "only torch loads", "loads", "refuses: no"),
            mode("full-mmap", "only torch loads", "loads", "refuses: no"),
        ),
        ("collections.OrderedDict", "container:zip", "torch._utils._rebuild_tensor_v2"),
        "rebuild",
    )
    found = claims(case(facts))
    assert found["verdict"] == "valid"
    assert "phase" not in found
    assert found["path"] == "torch._utils._rebuild_tensor_v2"


@pytest.mark.parametrize(
    ("verdict", "torch", "secret"),
    [
        ("torch crashed", "crashes", True),
        ("torch hung", "hangs", True),
        ("torch nondeterministic", "shows memory", True),
        ("our reader crashed", "shows memory", True),
        ("torch out of memory", "runs out of memory", False),
    ],
)
def test_what_must_not_be_told_is_marked(
    verdict: str, torch: str, secret: bool
) -> None:
    facts = Facts((mode("full", verdict, torch, "refuses: no"),), (), "container")
    one = case(facts)
    found = claims(one)
    assert (found["verdict"], found["reason"]) == ("either", "ledger")
    assert torch in found["shows"]
    assert found.get("undisclosed", False) is one.undisclosed is secret
    assert ("UNDISCLOSED" in cases.toml(one)) is secret


def test_claims_of_what_the_ledger_explains() -> None:
    explained = mode("full", "known divergence", "loads", "refuses: no", "row")
    found = claims(case(Facts((explained,))))
    assert (found["verdict"], found["reason"]) == ("either", "ledger")


def test_claims_where_torch_is_not_asked() -> None:
    for ours, verdict in (("loads", "valid"), ("refuses: no", "invalid")):
        unknown = mode("full", "torch not available", "not asked", ours)
        found = claims(case(Facts((unknown,), phase="pickle")))
        assert found["verdict"] == verdict
        assert "torch" not in found["shows"]


def test_torch_is_asked_even_if_we_die() -> None:
    """Then the file is shown to torch alone."""
    requests = []
    alone = Facts((mode("full", "our reader crashed", "loads", "not asked"),))

    class Dying:
        def ask(self, request: dict[str, Any]) -> Crash | Answer:
            requests.append(request["ours"])
            if request["ours"]:
                return Crash(signal.SIGSEGV, 0, "")
            return Answer(msgspec.json.encode(alone))

    judges = Judges()
    judges._torch = Dying()  # type: ignore[assignment]
    facts = judges.facts(Path("file.pt"))
    assert requests == [True, False]
    assert (facts.torch, facts.ours) == ("loads", "died | SIGSEGV")
    assert case(facts).verdict == "valid"


def test_names_and_commands() -> None:
    one = case(REFUSES)
    assert one.name.startswith("differential_true_differ_x_")
    assert one.name.isascii()
    assert one.name == one.name.lower()
    assert one.replay == f"torchproof check {one.name}.pt"
    other = case(REFUSES, target="roundtrip")
    assert other.name != one.name
    assert other.replay == f"torchproof fuzz replay roundtrip {other.name}.bin"


def test_what_is_no_file_is_no_case(tmp_path: Path) -> None:
    one = case(Facts(), target="folder")
    cases.write(one, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [one.file]


# ------------------------------------------------- the command, and its processes


def planted(data: bytes, thorough: bool) -> None:
    """Nothing is wrong but what is planted."""
    assert thorough
    if b"Killed" in data:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"Escape" in data:
        raise KeyError(data)
    if b"Broken" in data:
        raise Violation("order", "said of this input", "where it is")


TARGET = Target("planted", planted, lambda data, _random, _words: data, list)
NAME = f"{__name__}:TARGET"


def invoke(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_judges_survive_what_they_judge() -> None:
    with Judges() as judges:
        assert judges.judge(NAME, b"fine") == Judgement(None)
        assert judges.judge(NAME, b"Killed").signature == "died | SIGSEGV"
        assert (
            judges.judge(NAME, b"Escape").signature
            == "escaped | KeyError | test_triage_cases.py:planted"
        )
        broken = "violation | order | where it is"
        assert judges.of(NAME)(b"Broken") == broken
        assert judges.of(NAME)(b"fine") is None
        with pytest.raises(CannotJudge, match="no target"):
            judges.judge("tests.fuzz.test_triage_cases:NONE", b"")


def test_the_command_from_findings_to_files(tmp_path: Path) -> None:
    kept = Findings(tmp_path / "fuzz" / "findings")
    for number, data in enumerate((b"has Broken in it", b"so Broken", b"Killed by it")):
        kept.add(NAME, str(number), "message", data)
    kept.add(NAME, "old", "message", b"mended")
    kept.add("another", "other", "message", b"left alone")
    out = tmp_path / "out"
    arguments = ("--folder", tmp_path / "fuzz", "--out", out, "--target", NAME)
    done = invoke(*arguments, "--json")
    assert done.exit_code == 1, done.output
    document = json.loads(done.stdout)
    assert document["good"] is False
    assert document["clean"] == 1
    found = {one["signature"]: one for one in document["new"]}
    assert set(found) == {"died | SIGSEGV", "violation | order | where it is"}
    broken = found["violation | order | where it is"]
    assert (broken["count"], broken["size"]) == (2, {"before": 9, "after": 6})
    assert Path(broken["file"]).read_bytes() == b"Broken"
    assert (
        broken["replay"] == f"torchproof fuzz replay {NAME} {Path(broken['file']).name}"
    )
    assert Path(found["died | SIGSEGV"]["file"]).read_bytes() == b"Killed"
    assert len(list(out.glob("*.toml"))) == 2


def test_the_command_for_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(Judges, "facts", lambda *_: SECRET)
    file = tmp_path / "input"
    file.write_bytes(b"has Broken in it")
    out = tmp_path / "out"
    done = invoke(file, "--target", NAME, "--out", out, "--budget", "1")
    assert done.exit_code == 1, done.output
    assert "violation | order" in done.output
    assert "16 B -> " in done.output
    assert "1 new kind of finding" in done.output
    assert "(--budget)" in done.output
    assert "Do not publish it" in done.output
    file.write_bytes(b"fine")
    done = invoke(file, "--target", NAME, "--out", out)
    assert (done.exit_code, done.output) == (0, "nothing new, 1 with nothing wrong\n")


def test_a_campaign_that_found_nothing(tmp_path: Path) -> None:
    done = invoke("--folder", tmp_path, "--out", tmp_path / "out")
    assert (done.exit_code, done.output) == (0, "nothing new\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("no such file",), "cannot read"),
        (("--folder", "no such folder"), "there are no campaigns"),
        ((__file__, "--target", "conformance.fuzz.target:NONE"), "no target"),
        ((__file__, "--budget", "0"), "greater than"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], words: str) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert words in done.output

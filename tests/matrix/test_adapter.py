"""One adapter's process: what it says, and what it dies of."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from conformance.loaders.protocol import Loaded, Rejected, Skipped
from conformance.loaders.worker import Crash, Hang, OutOfMemory
from conformance.matrix import process
from conformance.matrix.adapter import Adapter, NoStart
from conformance.matrix.process import Broken, Interrupted

from .fakes import cases, fake

BAD, OTHER, FROZEN = (path for path, _ in cases()[:3])


def asked(how: str, *files: Path, **limits: Any) -> list[Any]:
    """What a fake that goes wrong on the bad file says of these, one by one."""
    with Adapter(fake(how, BAD.name), **{"timeout": 10.0, **limits}) as adapter:
        return [adapter.load(file) for file in files]


@pytest.fixture(autouse=True)
def nobody_left() -> Iterator[None]:
    """Every process that a test starts has ended when it ends."""
    yield
    assert psutil.Process().children(recursive=True) == []


# ---------------------------------------------------------------------- answers


def test_a_file_is_loaded() -> None:
    (answer,) = asked("well", FROZEN)
    assert isinstance(answer, Loaded)
    assert answer.tensors is not None
    assert [one.name for one in answer.tensors] == ["frozen", "trained"]
    assert answer.tensors[0].dtype == "float32"


def test_a_file_is_refused_in_the_loaders_words() -> None:
    (answer,) = asked("well", BAD)
    assert isinstance(answer, Rejected)
    assert answer.message == f"{BAD.name} is bad"


def test_a_file_is_skipped() -> None:
    (answer,) = asked("skips", BAD)
    assert isinstance(answer, Skipped)
    assert answer.reason == "not my kind"


def test_one_process_is_asked_about_all_files() -> None:
    with Adapter(fake("well")) as adapter:
        assert adapter.asked == 0
        for number, file in enumerate((FROZEN, BAD, OTHER), 1):
            adapter.load(file)
            assert adapter.asked == number


def test_it_says_who_it_is() -> None:
    with Adapter(fake("well")) as adapter:
        assert (adapter.started.name, adapter.started.version) == ("fake", "1.0")
        assert adapter.started.facts == ("dtype", "shape", "data")


def test_the_encoding_is_passed_on(tmp_path: Path) -> None:
    """And nothing is said of it for other files; nor of what is expected."""
    log = tmp_path / "log"
    program = tmp_path / "tee.sh"
    program.write_text(f'tee {log} | "$@"\n', "utf-8")
    with Adapter(("sh", str(program), *fake("well"))) as adapter:
        adapter.load(FROZEN, "latin1")
        adapter.load(FROZEN)
    assert log.read_text("utf-8").splitlines() == [
        '{"command":"start","protocol":1}',
        f'{{"command":"load","id":"1","file":"{FROZEN}","encoding":"latin1"}}',
        f'{{"command":"load","id":"2","file":"{FROZEN}"}}',
        '{"command":"stop"}',
    ]


# ------------------------------------------------------------------------ deaths


def test_a_signal_is_told_and_the_next_file_goes_on() -> None:
    death, next_ = asked("dies", BAD, FROZEN)
    assert death == Crash(signal.SIGSEGV, 0, "about to die")
    assert isinstance(next_, Loaded)


def test_an_exit_is_told_with_the_last_words() -> None:
    death, next_ = asked("leaves", BAD, FROZEN)
    assert death == Crash(0, 3, "I have had enough")
    assert isinstance(next_, Loaded)


def test_who_does_not_answer_is_ended() -> None:
    began = time.monotonic()
    hang, next_ = asked("hangs", BAD, FROZEN, timeout=0.5)
    assert hang == Hang(0.5)
    assert isinstance(next_, Loaded)
    assert time.monotonic() - began < 5


def test_memory_is_limited() -> None:
    death, next_ = asked("eats", BAD, FROZEN, memory=100_000_000)
    assert death == OutOfMemory("more than 100 MB")
    assert isinstance(next_, Loaded)


def test_what_it_starts_counts_and_ends_with_it() -> None:
    death, next_ = asked("feeds", BAD, FROZEN, memory=100_000_000)
    assert death == OutOfMemory("more than 100 MB")
    assert isinstance(next_, Loaded)
    assert running("eats") == []


def running(how: str) -> list[psutil.Process]:
    return [
        one
        for one in psutil.process_iter(["cmdline"])
        if one.info["cmdline"] and one.info["cmdline"][1:][-1:] == [how]
    ]


def gone(pid: int) -> bool:
    """Whether it has ended; who should bury it may take their time."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_closed_output_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE", 0.2)
    broken, next_ = asked("closes", BAD, FROZEN)
    assert broken == Broken("it closed its standard output, and went on")
    assert isinstance(next_, Loaded)


def test_pipes_held_by_an_orphan_do_not_hide_a_death() -> None:
    began = time.monotonic()
    death, next_ = asked("orphans", BAD, FROZEN)
    assert isinstance(death, Crash)
    assert death.status == 4
    assert isinstance(next_, Loaded)
    assert time.monotonic() - began < 5
    assert gone(int(death.output))


def test_a_death_between_two_files_is_seen_at_the_second() -> None:
    with Adapter(fake("well")) as adapter:
        adapter.load(FROZEN)
        (child,) = psutil.Process().children()
        os.kill(child.pid, signal.SIGKILL)
        assert adapter.load(FROZEN) == Crash(signal.SIGKILL, 0, "")
        assert isinstance(adapter.load(FROZEN), Loaded)


def test_only_the_end_of_what_it_prints_is_kept() -> None:
    (death,) = asked("shouts", BAD)
    assert isinstance(death, Crash)
    assert len(death.output) < 5_000
    assert death.output.endswith("x last words")


def test_what_it_prints_is_of_this_file() -> None:
    with Adapter(fake("mutters", BAD.name)) as adapter:
        adapter.load(BAD)
        adapter.load(FROZEN)
        (child,) = psutil.Process().children()
        os.kill(child.pid, signal.SIGKILL)
        assert adapter.load(FROZEN) == Crash(signal.SIGKILL, 0, "")


# ------------------------------------------------------------- not the protocol


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("garbage", "not the protocol: "),
        ("twice", "it answered twice: "),
        ("other_id", "it answered 'another' when it was asked '1'"),
        ("starts_again", "it answered `load` with `started`"),
        ("both", "`loaded` takes one of `tensors` and `description`"),
        ("neither", "`loaded` takes one of `tensors` and `description`"),
    ],
)
def test_whatever_is_not_the_protocol_is_told(how: str, message: str) -> None:
    broken, next_ = asked(how, BAD, FROZEN)
    assert isinstance(broken, Broken)
    assert str(broken).startswith(message)
    assert isinstance(next_, Loaded)


def test_a_line_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LARGEST", 2 << 20)
    broken, next_ = asked("huge", BAD, FROZEN)
    assert broken == Broken("a line of more than 2 MB")
    assert isinstance(next_, Loaded)


def test_a_late_second_answer_is_told_at_the_next_file() -> None:
    with Adapter(fake("twice_later", BAD.name)) as adapter:
        assert isinstance(adapter.load(BAD), Rejected)
        time.sleep(0.3)
        broken = adapter.load(FROZEN)
        assert isinstance(broken, Broken)
        assert str(broken).startswith("it said more than it was asked for: ")
        assert isinstance(adapter.load(FROZEN), Loaded)


def test_who_does_not_read_is_told() -> None:
    text = (
        '{"answer": "started", "protocol": 1, "name": "a", "version": "1",'
        ' "language": "sh", "facts": []}'
    )
    with Adapter(
        ("sh", "-c", f"read x; echo '{text}'; sleep 60"), timeout=5
    ) as adapter:
        assert adapter.started.name == "a"
        answer = adapter.load("/" + "x" * 100_000)
        assert answer == Broken("it does not read its standard input")


# ------------------------------------------------------------------------ start


def test_a_slow_start_has_time_of_its_own() -> None:
    with Adapter(fake("slow_start"), timeout=0.5, start=10) as adapter:
        assert isinstance(adapter.load(FROZEN), Loaded)
        assert 0 < adapter.seconds < 0.5


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("no-such-program",), "no-such-program: No such file or directory"),
        (
            fake("no_start"),
            "it does not start: exit status 1; the library is not installed",
        ),
        (fake("mute_start"), "it does not start: no answer within 0.5 s"),
        (fake("other_protocol"), "it speaks protocol 2, and not 1"),
        (("sh", "-c", "read command; echo hello"), "it does not say who it is: "),
        (
            ("sh", "-c", """read x; echo '{"answer": "rejected", "id": "1"}'"""),
            "it does not say who it is: ",
        ),
    ],
)
def test_who_does_not_start_is_an_error(command: tuple[str, ...], message: str) -> None:
    with Adapter(command, start=0.5) as adapter:
        with pytest.raises(NoStart) as raised:
            _ = adapter.started
        assert str(raised.value).startswith(message)
        with pytest.raises(NoStart):
            adapter.load(FROZEN)


def test_another_version_after_a_restart_is_told() -> None:
    with Adapter(fake("lies", BAD.name)) as adapter:
        version = adapter.started.version
        assert isinstance(adapter.load(FROZEN), Loaded)
        assert isinstance(adapter.load(BAD), Crash)
        broken = adapter.load(FROZEN)
        assert isinstance(broken, Broken)
        assert str(broken).startswith(f"it was fake {version} (Python; dtype, ")
        assert adapter.started.version == version


def test_who_does_not_start_again_is_given_up(tmp_path: Path) -> None:
    """Else each file could cost the time of a start."""
    log = tmp_path / "log"
    with Adapter(fake("leaves")) as adapter:
        assert isinstance(adapter.load(BAD), Crash)
        adapter.command = ("sh", "-c", f"echo started >> {log}; exit 5")
        answers = {str(adapter.load(BAD)) for _ in range(10)}
    assert answers == {"it does not start: exit status 5"}
    assert log.read_text("utf-8").splitlines() == ["started"] * 3


# ------------------------------------------------------------------------- end


def test_nobody_waits_any_more() -> None:
    stop = threading.Event()
    with Adapter(fake("hangs"), stop=stop) as adapter:
        assert adapter.started.name == "fake"
        threading.Timer(0.3, stop.set).start()
        began = time.monotonic()
        with pytest.raises(Interrupted):
            adapter.load(BAD)
        assert time.monotonic() - began < 5


def test_an_adapter_that_does_not_stop_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "GRACE", 0.2)
    program = (
        'import time; input(); print(\'{"answer": "started", "protocol": 1,'
        ' "name": "a", "version": "1", "language": "P", "facts": []}\','
        " flush=True); time.sleep(60)"
    )
    with Adapter(("python3", "-c", program)) as adapter:
        assert adapter.started.name == "a"

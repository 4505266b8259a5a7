"""Disposable processes: whatever happens in the child is an answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conformance.description import Builder, Description, from_json
from conformance.loaders import values
from conformance.loaders.outcome import Outcome, digest
from conformance.loaders.served import READ, Served
from conformance.loaders.worker import (
    Answer,
    Crash,
    Hang,
    OutOfMemory,
    Rejected,
    Unavailable,
    Worker,
)

#: A module for the child. What it is asked to do is the test's affair.
CHILD = """
import ctypes, os, resource, signal, subprocess, sys, time

print("printed while importing")
count = 0

def answer(request):
    global count
    count += 1
    match request["do"]:
        case "echo":
            return request["text"].encode("utf-8", "surrogatepass")
        case "count":
            return str(count).encode()
        case "pid":
            return str(os.getpid()).encode()
        case "print":
            print("x" * 100_000)
            os.write(1, b"\\n[\\"answer\\", 3]\\nno\\n")
            return b"yes"
        case "raise":
            raise ValueError("\\ud800 no such thing")
        case "wordless":
            class Wordless(Exception):
                def __str__(self):
                    raise RuntimeError
            raise Wordless
        case "leave":
            sys.exit(3)
        case "exit":
            os._exit(3)
        case "kill":
            print("last words", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        case "segfault":
            ctypes.string_at(1)
        case "sleep":
            time.sleep(60)
        case "nap":
            time.sleep(request["seconds"])
            return b""
        case "sleep without":
            os.close(1)
            time.sleep(60)
        case "eat":
            return str(len(bytearray(request["size"]))).encode()
        case "big":
            return bytes(request["size"])
        case "babble":
            for fd in range(3, 20):
                try:
                    os.write(fd, b"hello\\n")
                except OSError:
                    pass
            time.sleep(60)
        case "environment":
            return os.environ[request["name"]].encode()
        case "imported":
            return str(request["name"] in sys.modules).encode()
        case "limit":
            return str(resource.getrlimit(resource.RLIMIT_AS)).encode()
        case "start":
            return str(subprocess.Popen(["sleep", "60"]).pid).encode()
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("child")
    (folder / "strange_child.py").write_text(CHILD)
    (folder / "needy_child.py").write_text("import no_such_module_here\n")
    (folder / "dying_child.py").write_text("import os; os._exit(7)\n")
    (folder / "slow_child.py").write_text(
        "import os, time\ntime.sleep(1)\nprint('once', flush=True)\n"
        "def answer(request):\n    os.kill(os.getpid(), 9)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield "strange_child"


@pytest.fixture(scope="module")
def worker(module: str) -> Iterator[Worker]:
    with Worker(module, timeout=20, memory=1 << 28) as worker:
        yield worker


def ask(worker: Worker, do: str, **more: Any) -> Any:
    return worker.ask({"do": do, **more})


def test_an_answer_is_bytes(worker: Worker) -> None:
    assert ask(worker, "echo", text="a\n\ud800") == Answer(
        "a\n\ud800".encode("utf-8", "surrogatepass")
    )
    assert ask(worker, "echo", text="") == Answer(b"")
    assert ask(worker, "big", size=10_000_000) == Answer(bytes(10_000_000))


def test_the_child_stays(worker: Worker) -> None:
    assert ask(worker, "pid") == ask(worker, "pid")


def test_what_is_printed_is_no_answer(worker: Worker) -> None:
    assert ask(worker, "print") == Answer(b"yes")
    assert ask(worker, "echo", text="still here") == Answer(b"still here")


def test_an_exception_is_a_rejection(worker: Worker) -> None:
    pid = ask(worker, "pid")
    assert ask(worker, "raise") == Rejected("ValueError", "\ud800 no such thing")
    assert ask(worker, "wordless").type == "Wordless"
    assert ask(worker, "leave").type == "SystemExit"
    assert ask(worker, "pid") == pid


def test_deaths(worker: Worker) -> None:
    for do, number, words in (
        ("kill", signal.SIGKILL, "last words"),
        ("segfault", signal.SIGSEGV, ""),
    ):
        result = ask(worker, do)
        assert isinstance(result, Crash)
        assert result.signal == number
        assert str(result) == number.name
        assert words in result.output
        # Not what it printed for an earlier request.
        assert "printed while importing" not in result.output
        assert ask(worker, "echo", text="reborn") == Answer(b"reborn")
    assert str(ask(worker, "exit")) == "exit status 3"


@pytest.mark.parametrize("do", ["sleep", "sleep without"])
def test_a_hang_is_cut_short(module: str, do: str) -> None:
    with Worker(module, timeout=0.5) as worker:
        assert ask(worker, "echo", text="warm") == Answer(b"warm")
        begin = time.perf_counter()
        assert ask(worker, do) == Hang(0.5)
        assert time.perf_counter() - begin < 5
        assert ask(worker, "echo", text="again") == Answer(b"again")


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is Linux's")
def test_memory_has_a_limit(worker: Worker) -> None:
    pid = ask(worker, "pid")
    assert ask(worker, "eat", size=1 << 20) == Answer(str(1 << 20).encode())
    assert isinstance(ask(worker, "eat", size=1 << 29), OutOfMemory)
    # What is left of a process without memory is not trusted.
    assert ask(worker, "pid") != pid


def test_nonsense_is_a_crash(module: str) -> None:
    with Worker(module, timeout=20) as worker:
        result = ask(worker, "babble")
        assert isinstance(result, Crash)
        assert "language" in result.output
        assert ask(worker, "count") == Answer(b"1")


def test_children_are_recycled(module: str) -> None:
    with Worker(module, recycle=2) as worker:
        counts = [ask(worker, "count").payload for _ in range(5)]
    assert counts == [b"1", b"2", b"1", b"2", b"1"]


def test_a_question_about_an_answer_starts_nobody(module: str) -> None:
    with Worker(module, recycle=1) as worker:
        assert isinstance(worker.ask({"do": "count"}, fresh=False), Unavailable)
        assert worker.ask({"do": "count"}).payload == b"1"  # type: ignore[union-attr]
        assert worker.ask({"do": "count"}, fresh=False) == Answer(b"2")
        assert worker.ask({"do": "count"}) == Answer(b"1")


def test_the_environment(module: str) -> None:
    with Worker(module, environment={"MY_SETTING": "1"}) as worker:
        assert ask(worker, "environment", name="MY_SETTING") == Answer(b"1")


def test_what_cannot_run(module: str) -> None:
    with Worker("needy_child") as worker:
        result = worker.ask({"do": "echo"})
        assert isinstance(result, Unavailable)
        assert "no_such_module_here" in str(result)
    with Worker("dying_child") as worker:
        assert worker.ask({"do": "echo"}) == Crash(0, 7, "")


def test_a_death_costs_no_import(module: str) -> None:
    with Worker("slow_child") as worker:
        assert isinstance(worker.ask({}), Crash)
        begin = time.perf_counter()
        for _ in range(10):
            # Each a child of its own; what the import printed is not its words.
            assert worker.ask({}) == Crash(signal.SIGKILL, 0, "")
        assert time.perf_counter() - begin < 10


def test_something_to_do_meanwhile(worker: Worker) -> None:
    done: list[int] = []
    pid = ask(worker, "pid")
    assert worker.ask({"do": "pid"}, meanwhile=lambda: done.append(1)) == pid
    assert done == [1]
    # It answers later than asked, and is not asked again.
    begin = time.perf_counter()
    nap = 0.2
    assert worker.ask(
        {"do": "nap", "seconds": nap}, meanwhile=lambda: time.sleep(nap)
    ) == Answer(b"")
    assert time.perf_counter() - begin < 2 * nap

    def fail() -> None:
        raise EOFError

    with pytest.raises(EOFError):
        worker.ask({"do": "echo", "text": "not taken"}, meanwhile=fail)
    assert ask(worker, "echo", text="mine") == Answer(b"mine")
    assert ask(worker, "pid") == pid


def test_what_is_imported_beside(module: str) -> None:
    for preload, expected in ((["wave"], b"True"), ([], b"False")):
        with Worker(module, preload=preload) as worker:
            assert ask(worker, "imported", name="wave") == Answer(expected)


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is Linux's")
def test_a_limit_of_ours_is_no_limit_of_the_child(module: str) -> None:
    program = (
        "import resource; from conformance.loaders.worker import Worker\n"
        "hard = resource.getrlimit(resource.RLIMIT_AS)[1]\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 31, hard))\n"
        f"with Worker({module!r}) as worker:\n"
        "    print(worker.ask({'do': 'limit'}).payload.decode(), (hard, hard))"
    )
    words = printed(program)
    assert words[: len(words) // 2] == words[len(words) // 2 :]


def test_nobody_outlives_who_asked(module: str) -> None:
    """Not even after an end without any cleaning up."""
    program = (
        "import os; from conformance.loaders.worker import Worker\n"
        f"worker = Worker({module!r})\n"
        "child = worker.ask({'do': 'pid'}).payload.decode()\n"
        "server = worker._server._process.pid\n"
        "print(child, server, flush=True); os._exit(0)"
    )
    pids = [int(word) for word in printed(program)]
    assert len(pids) == 2
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_a_child_starts_ends_with_it(module: str) -> None:
    with Worker(module) as worker:
        pid = int(ask(worker, "start").payload)
        assert alive(pid)
    deadline = time.monotonic() + 20
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def printed(program: str) -> list[str]:
    """The words that another process prints."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    return done.stdout.split()


def alive(pid: int) -> bool:
    """Whether it runs; what is dead may wait for its burial."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_several_threads(worker: Worker) -> None:
    wrong = []

    def run(number: int) -> None:
        for turn in range(50):
            text = f"{number} {turn}"
            if ask(worker, "echo", text=text) != Answer(text.encode()):
                wrong.append(text)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_closing_twice(module: str) -> None:
    worker = Worker(module)
    ask(worker, "echo", text="")
    worker.close()
    worker.close()


# ----------------------------------------------------------------------- served


@pytest.fixture
def loader() -> Callable[[dict[str, Any]], bytes]:
    def load(path: str) -> Description:
        import numpy as np

        def plain(value: Any, builder: Builder) -> Any:
            return values.describe(value, builder)

        array = np.frombuffer(Path(path).read_bytes(), np.uint8)
        return Builder(plain).build([array, array[:0]])

    return Served("bytes", "1.0", load).answer


def test_a_served_loader(
    loader: Callable[[dict[str, Any]], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * READ)
    about = json.loads(loader({"do": "about"}))
    assert about == {"name": "bytes", "version": "1.0"}
    description = from_json(loader({"do": "load", "ticket": 5, "path": str(path)}))
    (storage,) = description.storages
    here = {"ticket": 5, "storage": 0, "start": 3}
    assert loader({"do": "read", **here, "stop": 6}) == b"345"
    assert len(loader({"do": "read", **here, "stop": storage.nbytes})) == READ
    whole = {**here, "start": 0, "stop": storage.nbytes}
    assert loader({"do": "digest", **whole}).decode() == storage.sha256
    found = msgspec.json.decode(loader({"do": "outcome", "path": str(path)}))
    assert Outcome(*found) == Outcome(digest(description))
    # That kept nothing.
    with pytest.raises(LookupError):
        loader({"do": "read", **here, "stop": 6})
    loader({"do": "load", "ticket": 5, "path": str(path)})
    with pytest.raises(LookupError):
        loader({"do": "read", **here, "ticket": 4, "stop": 6})
    with pytest.raises(ValueError, match="no such request"):
        loader({"do": "sing"})
    error = msgspec.json.decode(loader({"do": "outcome", "path": "/missing"}))
    assert error[1] == "FileNotFoundError"
    with pytest.raises(OSError, match="missing"):
        loader({"do": "load", "ticket": 6, "path": str(tmp_path / "missing")})
    with pytest.raises(LookupError):
        loader({"do": "digest", **whole})

"""A disposable process with limits, for whatever may crash, hang or eat memory.

The parent writes requests to the child's standard input, a JSON object on a
line each. The child answers each with a line of JSON, which says what kind of
answer it is and how many bytes of it follow. It answers on a copy of its
standard output and sends everything else that is printed there to standard
error, so that no library's chatter can be taken for an answer.

A module is fit to run here when it has a function `answer(request) -> bytes`;
it is imported in the child only. POSIX only; the limit on memory is
`RLIMIT_AS`, and Linux's.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, Final

# --------------------------------------------------------------------- results


@dataclass(frozen=True, slots=True)
class Answer:
    """The child did what it was asked for; `payload` is what it says."""

    payload: Any


@dataclass(frozen=True, slots=True)
class Rejected:
    """The child refused, in its own words: the exception's type and message."""

    type: str
    message: str

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"


@dataclass(frozen=True, slots=True)
class Crash:
    """The child died of a signal, or left with an exit status of its own.

    `signal` is the number, or 0; `output` the end of what it printed.
    """

    signal: int
    status: int
    output: str

    def __str__(self) -> str:
        if not self.signal:
            return f"exit status {self.status}"
        try:
            return signal.Signals(self.signal).name
        except ValueError:
            return f"signal {self.signal}"


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer within so many seconds; the child was killed."""

    seconds: float

    def __str__(self) -> str:
        return f"no answer within {self.seconds:g} s"


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """The child was refused the memory that it asked for."""

    message: str

    def __str__(self) -> str:
        return f"out of memory: {self.message}"


@dataclass(frozen=True, slots=True)
class Nondeterministic:
    """Asked twice, it answered differently; `message` says where."""

    message: str

    def __str__(self) -> str:
        return f"two answers to one question: {self.message}"


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The child cannot run here at all: something is not installed."""

    message: str

    def __str__(self) -> str:
        return f"not available: {self.message}"


Failure = Rejected | Crash | Hang | OutOfMemory | Nondeterministic | Unavailable
Result = Answer | Failure

# ---------------------------------------------------------------------- parent

#: How many bytes of what a child printed are kept when it dies.
OUTPUT: Final = 4096
#: Seconds for a child to start; importing torch takes two on a good day.
START: Final = 120.0
#: An orphaned child ends itself so many seconds after its time is up.
GRACE: Final = 10


class Worker:
    """One child at a time, started when first needed and replaced when it dies.

    `module` is what the child runs, `timeout` the seconds for one request,
    `memory` how many bytes the child may map beyond what it has when it is
    ready, `recycle` after how many requests it is replaced, `environment` what
    to add to its environment. Safe to use from several threads, one request at
    a time; for more at once, have more workers.
    """

    def __init__(
        self,
        module: str,
        *,
        timeout: float = 60.0,
        memory: int | None = None,
        recycle: int = 1_000,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.module = module
        self.timeout = timeout
        self.memory = memory
        self.recycle = recycle
        self.environment = dict(environment or {})
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._requests = 0

    def __enter__(self) -> Worker:  # noqa: PYI034 (Self is 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the child, if there is one."""
        with self._lock:
            self._end()

    def ask(self, request: Mapping[str, Any], *, fresh: bool = True) -> Result:
        """The child's answer, with `bytes` as its payload.

        Never raises because of the child. Without `fresh` it is a question
        about an earlier answer, which no other child can answer.
        """
        with self._lock:
            if fresh and self._requests >= self.recycle:
                self._end()
            if self._child is None:
                failure = self._start() if fresh else Unavailable("the child is gone")
                if failure is not None:
                    return failure
            self._requests += fresh
            return self._exchange(request, self.timeout)

    def _start(self) -> Failure | None:
        self._requests = 0
        self._child = _Child(self.module, self.memory or 0, self.environment)
        ready = self._exchange(None, START)
        if isinstance(ready, Answer):
            return None
        self._end()
        return Unavailable(ready.message) if isinstance(ready, Rejected) else ready

    def _exchange(self, request: Mapping[str, Any] | None, timeout: float) -> Result:
        child = self._child
        if child is None:  # never: `ask` starts one
            return Unavailable("the child is gone")
        try:
            if request is not None:
                child.write({**request, "timeout": timeout})
            kind, payload = child.read(time.monotonic() + timeout)
        except TimeoutError:
            self._end()
            return Hang(timeout)
        except EOFError:
            crash = child.post_mortem()
            self._end()
            return crash
        except ValueError:
            self._end()
            return Crash(0, 0, "it answered in another language")
        if kind == "answer":
            return Answer(payload)
        if kind == "rejected":
            return Rejected(*json.loads(payload))
        self._end()
        return OutOfMemory(payload.decode("utf-8", "replace"))

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class _Child:
    """A running process, its pipes, and what it prints."""

    def __init__(self, module: str, memory: int, environment: dict[str, str]) -> None:
        # The child must find this very package, wherever it was started.
        here = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
        path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
        self.output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (see `end`)
        self.printed = 0
        self.buffer = bytearray()
        requests, self.requests = os.pipe()
        self.replies, replies = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, module, str(memory)],
            stdin=requests,
            stdout=replies,
            stderr=self.output,
            # Sets of strings come in one order, whoever asks.
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"} | environment,
            # Whatever it starts ends with it.
            start_new_session=True,
        )
        os.close(requests)
        os.close(replies)

    def write(self, request: Mapping[str, Any]) -> None:
        self.printed = os.fstat(self.output.fileno()).st_size
        line = json.dumps(request).encode() + b"\n"
        # A child that is gone says so when its answer is read.
        with contextlib.suppress(BrokenPipeError):
            os.write(self.requests, line)

    def read(self, deadline: float) -> tuple[str, bytes]:
        """The kind of an answer and its payload.

        Raises `TimeoutError`, `EOFError` when the child is gone, and
        `ValueError` for what is no answer.
        """
        while (end := self.buffer.find(b"\n")) < 0:
            self._fill(deadline)
        kind, size = json.loads(self.buffer[:end])
        while len(self.buffer) < end + 1 + size:
            self._fill(deadline)
        payload = bytes(self.buffer[end + 1 : end + 1 + size])
        del self.buffer[: end + 1 + size]
        return kind, payload

    def _fill(self, deadline: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.replies, selectors.EVENT_READ)
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
        data = os.read(self.replies, 1 << 20)
        if not data:
            raise EOFError
        self.buffer += data

    def post_mortem(self) -> Crash:
        """How it died, and the end of what it printed."""
        try:
            status = self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            status = 0  # it closed its output and lives on
        size = os.fstat(self.output.fileno()).st_size
        self.output.seek(max(self.printed, size - OUTPUT))
        text = self.output.read().decode("utf-8", "replace").strip()
        return Crash(max(0, -status), max(0, status), text)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.requests)
        os.close(self.replies)
        self.output.close()


# ----------------------------------------------------------------------- child


def main(module: str, memory: int) -> None:
    """The child's whole life: import, limit, answer until nobody asks."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def reply(kind: str, payload: bytes) -> None:
        replies.write(json.dumps([kind, len(payload)]).encode() + b"\n")
        replies.write(payload)
        replies.flush()

    try:
        answer = importlib.import_module(module).answer
    except ImportError as error:
        reply("rejected", _error(error))
        return
    if memory and sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as statm:
            mapped = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + memory,) * 2)
    modules = _freeze()
    reply("answer", b"")
    for line in sys.stdin.buffer:
        request = json.loads(line)
        # SIGALRM kills, unless the parent did so long before.
        signal.alarm(int(request.pop("timeout")) + GRACE)
        kind, payload = "answer", b""
        try:
            payload = answer(request)
        except MemoryError as error:
            kind, payload = "oom", str(error).encode("utf-8", "replace")
        except BaseException as error:  # noqa: BLE001 (a file may raise anything)
            kind, payload = "rejected", _error(error)
        signal.alarm(0)
        gc.collect()
        if len(sys.modules) > modules:
            modules = _freeze()
        reply(kind, payload)


def _freeze() -> int:
    """What is imported stays: no collection need look at it again."""
    gc.collect()
    gc.freeze()
    return len(sys.modules)


def _error(error: BaseException) -> bytes:
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 (its class is the file's own)
        message = "(an exception that has no words)"
    return json.dumps([type(error).__name__, message[:OUTPUT]]).encode()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

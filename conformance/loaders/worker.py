"""A disposable process with limits, for whatever may crash, hang or eat memory.

What becomes of one request is a value: an answer, a refusal, or how the process
that should have answered ended. The processes themselves are `prefork`'s.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .prefork import START, Channel, Server

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

# --------------------------------------------------------------------- worker


class Worker:
    """One child at a time, forked when first needed and replaced when it dies.

    `module` is what the child runs, `timeout` the seconds for one request,
    `memory` how many bytes the child may map beyond what it has when it is
    ready, `recycle` after how many requests it is replaced, `environment` what
    to add to its environment, `preload` names modules that it would import late,
    and each child again. Safe to use from several threads, one request at a time;
    for more at once, have more workers.
    """

    def __init__(
        self,
        module: str,
        *,
        timeout: float = 60.0,
        memory: int | None = None,
        recycle: int = 1_000,
        environment: Mapping[str, str] | None = None,
        preload: Sequence[str] = (),
    ) -> None:
        self.module = module
        self.timeout = timeout
        self.memory = memory
        self.recycle = recycle
        self.environment = dict(environment or {})
        self.preload = tuple(preload)
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._child: Channel | None = None
        self._requests = 0

    def __enter__(self) -> Worker:  # noqa: PYI034 (Self is 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all processes, if there are any."""
        with self._lock:
            self._end()

    def ask(
        self,
        request: Mapping[str, Any],
        *,
        fresh: bool = True,
        meanwhile: Callable[[], object] | None = None,
    ) -> Result:
        """The child's answer, with `bytes` as its payload.

        Never raises because of the child. Without `fresh` it is a question
        about an earlier answer, which no other child can answer. `meanwhile` is
        called once the child is at work; what it raises comes out here.
        """
        raised: list[BaseException] = []

        def work() -> None:
            try:
                if meanwhile is not None:
                    meanwhile()
            except BaseException as error:  # noqa: BLE001 (for later)
                # The answer must be taken first: it is no answer to the next one.
                raised.append(error)

        with self._lock:
            try:
                result = self._ask(request, fresh, work)
            except (EOFError, TimeoutError):
                # Not the child, but the server that forks it.
                result = self._crash()
        if raised:
            raise raised[0]
        return result

    def _ask(
        self,
        request: Mapping[str, Any],
        fresh: bool,
        meanwhile: Callable[[], object],
    ) -> Result:
        if not fresh and self._child is None:
            return Unavailable("the child is gone")
        if self._server is None:
            self._server = Server([*self.preload, self.module], self.environment)
            missing = self._server.ready()
            if missing:
                self._end()
                return Unavailable(missing)
        if fresh and self._requests >= self.recycle:
            self._bury()
        if self._child is None:
            self._requests = 0
            self._child = self._server.fork(self.memory or 0)
            self._child.read(START)
        self._requests += fresh
        return self._exchange(self._server, self._child, request, meanwhile)

    def _exchange(
        self,
        server: Server,
        child: Channel,
        request: Mapping[str, Any],
        meanwhile: Callable[[], object],
    ) -> Result:
        server.mark()
        child.send({**request, "timeout": self.timeout})
        meanwhile()
        try:
            kind, payload = child.read(self.timeout)
        except TimeoutError:
            self._bury()
            return Hang(self.timeout)
        except EOFError:
            return _died(self._bury(kill=False), server.printed())
        except ValueError:
            self._bury()
            return Crash(0, 0, "it answered in another language")
        if kind == "answer":
            return Answer(payload)
        if kind == "rejected":
            return Rejected(*json.loads(payload))
        # What is left of a process without memory is not trusted.
        self._bury()
        return OutOfMemory(payload.decode("utf-8", "replace"))

    def _bury(self, *, kill: bool = True) -> int:
        child, self._child = self._child, None
        if child is None or self._server is None:
            return 0
        child.close()
        return self._server.bury(kill=kill)

    def _crash(self) -> Crash:
        server = self._server
        crash = Crash(0, 0, "")
        if server is not None:
            crash = _died(server.status(), server.printed())
        self._end()
        return crash

    def _end(self) -> None:
        child, self._child = self._child, None
        server, self._server = self._server, None
        if child is not None:
            child.close()
        if server is not None:
            server.end()


def _died(status: int, output: str) -> Crash:
    return Crash(max(0, -status), max(0, status), output)

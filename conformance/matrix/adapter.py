"""An adapter at work: it is asked about files, and replaced when it dies.

What becomes of a file is a value: one of the protocol's answers, or how the
process ended that should have given one. See `process` for its limits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from threading import Event
from typing import Final

from conformance.loaders.protocol import (
    VERSION,
    Load,
    Loaded,
    NotTheProtocol,
    Rejected,
    Skipped,
    Start,
    Started,
    Stop,
    answer,
    encode,
)

from .process import Broken, Failure, Process

#: Seconds for an answer, and for the first one; importing a loader takes some.
TIMEOUT: Final = 20.0
START: Final = 120.0
#: Bytes.
MEMORY: Final = 4_000_000_000

#: A start that fails so often in a row is not tried again.
STRIKES: Final = 3

Outcome = Loaded | Rejected | Skipped | Failure


class NoStart(Exception):
    """An adapter does not start, or does not say who it is; the message says why."""


class Adapter:
    """One process at a time, started when it is first needed.

    `timeout` is in seconds for each file, `start` for the start; `memory` in
    bytes, see `Process`. `known` is what it has said of itself, or may be set to
    what another one with this command has: each process has to say the same.
    After the event `stop`, every method may raise `Interrupted`. Not for
    several threads.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        timeout: float = TIMEOUT,
        memory: int = MEMORY,
        start: float = START,
        stop: Event | None = None,
    ) -> None:
        self.command = tuple(command)
        self.timeout = timeout
        self.memory = memory
        self.start = start
        #: How many files the process at work has been asked about.
        self.asked = 0
        #: How long the last answer took, or what came instead; without a start.
        self.seconds = 0.0
        self.known: Started | None = None
        self._stop = Event() if stop is None else stop
        self._process: Process | None = None
        self._number = 0
        self._failed: list[str] = []

    def __enter__(self) -> Adapter:  # noqa: PYI034 (Self is 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leaves no process behind."""
        process, self._process = self._process, None
        self.asked = 0
        if process is not None:
            if self._stop.is_set():
                process.kill()
            else:
                process.end(encode(Stop()))

    @property
    def started(self) -> Started:
        """Who it says it is. Raises `NoStart`, if it has never started."""
        if self.known is None:
            self._ready()
        assert self.known is not None  # noqa: S101 (for the type checker)
        return self.known

    def load(
        self, file: str | os.PathLike[str], encoding: str | None = None
    ) -> Outcome:
        """What it says of a file, given as an absolute path.

        Raises `NoStart` if it has never started.
        """
        self.seconds = 0.0
        try:
            process = self._ready()
        except NoStart as error:
            if self.known is None:
                raise
            return Broken(str(error))
        self._number += 1
        self.asked += 1
        load = Load(str(self._number), os.fspath(file), encoding)
        began = time.monotonic()
        line = process.ask(encode(load), self.timeout)
        self.seconds = time.monotonic() - began
        outcome = _outcome(line, load.id)
        if process.extra and not isinstance(outcome, Failure):
            outcome = Broken(f"it answered twice: {process.extra[:200]!r}")
        if isinstance(outcome, Failure):
            self._bury()
        return outcome

    def _ready(self) -> Process:
        """The process at work. Raises `NoStart`."""
        if self._process is not None:
            return self._process
        if len(self._failed) >= STRIKES:
            raise NoStart(self._failed[-1])
        try:
            self._process = self._begin()
        except NoStart as error:
            self._failed.append(str(error))
            raise
        self._failed.clear()
        return self._process

    def _begin(self) -> Process:
        try:
            process = Process(self.command, self.memory, self._stop)
        except OSError as error:
            raise NoStart(f"{self.command[0]}: {error.strerror}") from error
        try:
            self._greet(process)
        except BaseException:
            process.kill()
            raise
        return process

    def _greet(self, process: Process) -> None:
        line = process.ask(encode(Start(VERSION)), self.start)
        if isinstance(line, Failure):
            last = process.output.rpartition("\n")[2]
            raise NoStart(f"it does not start: {line}{last and f'; {last}'}")
        try:
            started = answer(line)
        except NotTheProtocol as error:
            raise NoStart(f"it does not say who it is: {error}") from error
        if not isinstance(started, Started):
            raise NoStart(f"it does not say who it is: {line[:200]!r}")
        if started.protocol != VERSION:
            raise NoStart(f"it speaks protocol {started.protocol}, and not {VERSION}")
        known, self.known = self.known, self.known or started
        if known not in (None, started):
            raise NoStart(f"it was {_who(known)}, and says now it is {_who(started)}")

    def _bury(self) -> None:
        process, self._process = self._process, None
        self.asked = 0
        if process is not None:
            process.kill()


def _outcome(line: bytes | Failure, id: str) -> Outcome:
    """What a line says of the file that was asked for by this id."""
    if isinstance(line, Failure):
        return line
    try:
        said = answer(line)
    except NotTheProtocol as error:
        return Broken(f"not the protocol: {error}")
    if isinstance(said, Started):
        return Broken("it answered `load` with `started`")
    if said.id != id:
        return Broken(f"it answered {said.id!r} when it was asked {id!r}")
    if isinstance(said, Loaded) and (said.tensors is None) is (
        said.description is None
    ):
        return Broken("`loaded` takes one of `tensors` and `description`")
    return said


def _who(started: Started) -> str:
    facts = ", ".join(started.facts)
    return f"{started.name} {started.version} ({started.language}; {facts})"

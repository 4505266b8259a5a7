"""What campaigns did, as lines of JSON that are only ever added to.

A run is a `Started` and any number of `Progress`, of which the last counts:
whatever kills a campaign, what it did until a moment before is there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

#: The file, beside a target's corpus.
NAME: Final = "runs.jsonl"

#: A second, or this part of a run, lies between two lines of one run: long
#: runs write a few hundred.
PART: Final = 0.01


class Started(msgspec.Struct, frozen=True, tag="started", tag_field="kind"):
    """A run begins: of what, with what.

    `timeout` is in seconds for one execution, `memory` in bytes for a process.
    """

    run: str
    when: datetime
    target: str
    torchproof: str
    python: str
    atheris: str
    seed: int
    jobs: int
    timeout: int
    memory: int


class Progress(msgspec.Struct, frozen=True, tag="progress", tag_field="kind"):
    """How far a run is, over all of its jobs and their restarts.

    `edges` and `features` are libFuzzer's, of the job that reached most;
    `corpus` and `nbytes` are the inputs it keeps. `findings` are signatures.
    `restarts` counts the jobs that died and were replaced; `tally` is what the
    target counted; `ended` says why the run is over, once it is.
    """

    run: str
    seconds: float = 0.0
    executions: int = 0
    edges: int = 0
    features: int = 0
    corpus: int = 0
    nbytes: int = 0
    findings: tuple[str, ...] = ()
    restarts: int = 0
    tally: dict[str, int] = {}
    ended: str | None = None

    @property
    def rate(self) -> float:
        """Executions per second."""
        return self.executions / self.seconds if self.seconds else 0.0


class Run(msgspec.Struct, frozen=True):
    """One run: how it began, and how far it came."""

    started: Started
    progress: Progress


class Log:
    """The file of one target, for the one campaign that writes to it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._written = 0.0

    def start(self, started: Started) -> None:
        """The first line of a run, after what an earlier run left half-written."""
        if self.path.exists():
            os.truncate(self.path, _whole(self.path.read_bytes()))
        self._written = 0.0
        self._append(started)

    def progress(self, progress: Progress) -> None:
        """A line, if it is time for one, or if the run has ended."""
        pause = max(1.0, progress.seconds * PART)
        if progress.ended or progress.seconds - self._written >= pause:
            self._written = progress.seconds
            self._append(progress)

    def _append(self, line: Started | Progress) -> None:
        # One write: a line is there, or it is not.
        with open(self.path, "ab", buffering=0) as stream:
            stream.write(msgspec.json.encode(line) + b"\n")


def read(folder: Path) -> Iterator[Run]:
    """All runs of a target, in the order in which they began."""
    path = folder / NAME
    data = path.read_bytes() if path.exists() else b""
    started: dict[str, Started] = {}
    progress: dict[str, Progress] = {}
    for line in data[: _whole(data)].splitlines():
        one = msgspec.json.decode(line, type=Started | Progress)
        if isinstance(one, Started):
            started[one.run] = one
        else:
            progress[one.run] = one
    for name, one in started.items():
        yield Run(one, progress.get(name, Progress(name)))


def _whole(data: bytes) -> int:
    """How much of it is whole lines."""
    return data.rfind(b"\n") + 1

"""A process of a campaign, seen from outside: its order, its reports, its end.

The process is `engine`. What it says of itself comes on standard output, a
`Report` a line; what libFuzzer says comes on standard error, among all else.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

#: Lines of what a job printed that are kept, to say how it ended.
OUTPUT: Final = 300


class Job(msgspec.Struct, frozen=True):
    """What a job is told.

    `words` is a file, `findings` a folder; `memory` is in bytes, beyond what the
    job has at the start.
    """

    target: str
    modules: tuple[str, ...]
    words: str
    findings: str
    memory: int
    seed: int


class Report(msgspec.Struct, frozen=True):
    """What a job says of itself, since it began: how often, what was raised, and
    what the target has counted.
    """

    executions: int
    findings: tuple[str, ...]
    tally: dict[str, int] = {}


class Broken(Exception):
    """A job ended of its own fault: no input is to blame.

    The message says how, `output` is the end of what it printed.
    """

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output


@dataclass(frozen=True, slots=True)
class Death:
    """A job was ended by an input: `signature` and `message` as of a finding.

    `artifact` is the input, if libFuzzer could write it.
    """

    signature: str
    message: str
    artifact: Path | None


#: `#1234 NEW    cov: 56 ft: 78 corp: 9/10b ...`
_STATUS: Final = re.compile(rb"#\d+\t\w+ +cov: (\d+) ft: (\d+) corp: (\d+)/(\d+)(\w*)")
_UNITS: Final = {b"b": 1, b"Kb": 1 << 10, b"Mb": 1 << 20, b"Gb": 1 << 30}
_EXECUTED: Final = re.compile(rb"stat::number_of_executed_units: (\d+)")
_ARTIFACT: Final = re.compile(rb"Test unit written to (.+)$")
_FRAME: Final = re.compile(rb' +File "(.+)", line \d+ in (.+)$')
_FATAL: Final = re.compile(rb"Fatal Python error: (.+)$")
_UNCAUGHT: Final = re.compile(rb" === Uncaught Python exception: ===")

#: The module that is started.
ENGINE: Final = f"{__package__}.engine"

#: What is ours, in a traceback, and who calls the targets.
_HERE: Final = str(Path(__file__).parents[2]) + os.sep
_CALLERS: Final = {
    str(Path(__file__).with_name(name)) for name in ("engine.py", "replaying.py")
}

#: What a libFuzzer process that is sent `SIGUSR1` ends with, or one that did all.
_DONE: Final = (0, -signal.SIGUSR1)
_TIMEOUT: Final = b"ERROR: libFuzzer: timeout"

#: How the report of an end begins: Python's, or else libFuzzer's.
_MARKS: Final = ("Fatal Python error:", " === Timeout:", "ERROR: libFuzzer:")


class Process:
    """One process, and what it has said so far.

    Runs in `folder`, where the names in its arguments are.
    """

    def __init__(self, job: Job, options: list[str], folder: Path) -> None:
        self.job = job
        self.folder = folder
        self.executions = 0
        self.findings: tuple[str, ...] = ()
        self.tally: Mapping[str, int] = {}
        self.edges = self.features = self.corpus = self.nbytes = 0
        self._lines: deque[bytes] = deque(maxlen=OUTPUT)
        self._left = {1: b"", 2: b""}
        document = msgspec.json.encode(job).decode()
        self._popen = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "conformance.fuzz.campaign.engine",
                document,
                *options,
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            # Ctrl-C is for the campaign, which ends its jobs in order.
            start_new_session=True,
        )
        found = {1: self._popen.stdout, 2: self._popen.stderr}
        #: Its standard output and standard error, as long as they are open.
        self.pipes = {number: pipe for number, pipe in found.items() if pipe}

    @property
    def exited(self) -> bool:
        """Whether it is gone."""
        return self._popen.poll() is not None

    def feed(self, number: int, data: bytes) -> None:
        """Takes in what came from one of its pipes."""
        *lines, self._left[number] = (self._left[number] + data).split(b"\n")
        for line in lines:
            if number == 1:
                report = msgspec.json.decode(line, type=Report)
                self.executions = max(self.executions, report.executions)
                self.findings = report.findings
                self.tally = report.tally
            else:
                self._lines.append(line)
                self._look(line)

    def _look(self, line: bytes) -> None:
        status = _STATUS.match(line)
        if status:
            edges, features, corpus, size = (int(status[i]) for i in range(1, 5))
            self.edges = max(self.edges, edges)
            self.features = max(self.features, features)
            self.corpus = corpus
            self.nbytes = size * _UNITS.get(status[5], 1)
        executed = _EXECUTED.match(line)
        if executed:
            self.executions = max(self.executions, int(executed[1]))

    def ask_to_stop(self) -> None:
        """libFuzzer finishes the execution under way, and ends in order."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        """At once, with whatever it has started."""
        if self._popen.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)

    def close(self) -> None:
        """It is gone after this, however it was."""
        self.kill()
        self._popen.wait()
        for pipe in self.pipes.values():
            pipe.close()

    def end(self, *, killed: bool = False) -> Death | None:
        """How it ended, once its pipes are closed; `None` if all is well.

        Raises `Broken` if no input is to blame. With `killed`, that is well too.
        """
        status = self._popen.wait()
        artifact = self._last(_ARTIFACT)
        if status in _DONE or (killed and artifact is None):
            return None
        known = artifact is not None or status == -signal.SIGKILL
        if self._last(_UNCAUGHT) or not known:
            last = self.output.rpartition("\n")[2]
            raise Broken(f"a job ended with status {status}: {last}", self.output)
        killed_by = "died | SIGKILL" if status == -signal.SIGKILL else None
        return Death(
            signature=killed_by or death(self._lines),
            message=self._said(),
            artifact=self.folder / os.fsdecode(artifact) if artifact else None,
        )

    @property
    def output(self) -> str:
        """The end of what it printed."""
        return b"\n".join(self._lines).decode("utf-8", "replace").strip()

    def _said(self) -> str:
        """What it printed of its end, without what came before and after."""
        text = self.output
        begin = min((at for mark in _MARKS if (at := text.find(mark)) >= 0), default=0)
        end = text.find("SUMMARY: libFuzzer", begin)
        return text[begin : None if end < 0 else end].strip()

    def _last(self, pattern: re.Pattern[bytes]) -> bytes | None:
        found = [match for match in map(pattern.search, self._lines) if match]
        return found[-1][found[-1].re.groups] if found else None


def death(lines: Iterable[bytes]) -> str:
    """The signature of what a process printed when an input ended it."""
    lines = list(lines)
    fatal = [match[1].decode() for match in map(_FATAL.match, lines) if match]
    if any(_TIMEOUT in line for line in lines):
        fatal = ["timeout"]
    return " | ".join(filter(None, ("died", *(fatal or ["crash"]), _frame(lines))))


def _frame(lines: list[bytes]) -> str:
    """The innermost of our functions; if there is none, the innermost of all.

    Python prints them like that: innermost first.
    """
    frames = [match.groups() for match in map(_FRAME.match, lines) if match]
    names = [tuple(map(os.fsdecode, frame)) for frame in frames]
    names = list(itertools.takewhile(lambda frame: frame[0] not in _CALLERS, names))
    here = [frame for frame in names if frame[0].startswith(_HERE)]
    for file, name in (here or names)[:1]:
        return f"{os.path.basename(file)}:{name}"
    return ""


def environment() -> dict[str, str]:
    """A child finds the same modules as this process, and one order of sets."""
    path = os.pathsep.join(os.path.abspath(folder) for folder in sys.path)
    return {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}

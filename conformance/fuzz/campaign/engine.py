"""One process of a campaign: atheris, a target, a mutator.

    python -m conformance.fuzz.campaign.engine JOB [libFuzzer's options and folders]

JOB is a `Job` as JSON. What the target raises is filed and the process goes on:
only a signal or libFuzzer's time limit ends it early, and leaves an artifact.
libFuzzer ends a process without `finally` and `atexit`, so a `Report` goes to
standard output every second; everything else that is printed goes to standard
error.

The parser must be imported under atheris' eyes: whatever imports it is imported
after that, inside `instrumented`.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import resource
import shlex
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any, Final
from zlib import crc32

import atheris
import msgspec
from atheris.import_hook import AtherisMetaPathFinder

from .. import feedback
from ..findings import Findings, described
from ..lookup import find
from ..target import Target, signature
from ..words import Words
from .job import Job, Report

#: One execution in so many is thorough; which, the input decides.
THOROUGH: Final = 128

#: The part of the mutants that libFuzzer makes, of bytes that mean nothing.
RAW: Final = 0.15

#: Seconds between two reports.
PAUSE: Final = 1.0


# ------------------------------------------------------------- instrumentation


class _Finder(AtherisMetaPathFinder):  # type: ignore[misc]
    """Instruments some modules; atheris' own instruments whole distributions."""

    def __init__(self, modules: Sequence[str], comparisons: bool) -> None:
        super().__init__(set(), set(), True, comparisons)
        self._modules = modules
        self.found = False

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if any(f"{fullname}.".startswith(f"{name}.") for name in self._modules):
            self.found = True
            spec: ModuleSpec | None = super().find_spec(fullname, path, target)
            return spec
        return None


@contextmanager
def instrumented(
    modules: Sequence[str], *, comparisons: bool = False
) -> Iterator[None]:
    """What is imported inside of these modules, and below them, is instrumented.

    `comparisons` are traced too if wanted, as atheris does by itself: they are for
    libFuzzer's own mutator, and cost one execution in ten.
    """
    early = [name for name in modules if name in sys.modules]
    if early:
        raise RuntimeError(f"{early[0]} was imported too early to be instrumented")
    finder = _Finder(modules, comparisons)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
    if not finder.found:
        raise RuntimeError("nothing was instrumented: there is no coverage to see")


def load(name: str, modules: Sequence[str]) -> Target:
    """The target, with everything instrumented that is to be."""
    with instrumented(modules):
        target = find(name)
    feedback.install(atheris.instrument_func)
    return target


# --------------------------------------------------------------------- mutation


def mutator(target: Target, words: Words, seed: int) -> Any:
    """The target's own, in the shape that atheris wants, and some raw bytes."""
    random = Random(seed)  # noqa: S311
    mutate = target.mutate

    # A generator that libFuzzer's seed sets anew costs more than some mutants.
    def custom(data: bytes, max_size: int, seed: int) -> bytes:
        if random.random() >= RAW:
            mutant = mutate(data, random, words)
            if 0 < len(mutant) <= max_size:
                return mutant
        raw: bytes = atheris.Mutate(data, max_size)
        return raw

    return custom


# -------------------------------------------------------------------- execution


class Engine:
    """Runs the target, files what it raises, and reports."""

    def __init__(self, target: Target, findings: Findings, reports: int) -> None:
        self.target = target
        self.findings = findings
        self.executions = 0
        self._run = target.run
        self._smallest: dict[str, int] = {}
        self._reports = reports
        self._due = 1
        self._step = 1
        self._reported = self._looked = time.monotonic()

    def one(self, data: bytes) -> None:
        """One execution; raises nothing that the target does."""
        self.executions += 1
        try:
            self._run(data, not crc32(data) % THOROUGH)
        except BaseException as error:  # noqa: BLE001 (what escapes is the point)
            self._caught(error, data)
        if self.executions >= self._due:
            self._tick()

    def _caught(self, error: BaseException, data: bytes) -> None:
        name = signature(error)
        smallest = self._smallest.get(name)
        if smallest is None or len(data) < smallest:
            self._smallest[name] = len(data)
            self.findings.add(self.target.name, name, described(error), data)
            if smallest is None:
                self._report()

    def _tick(self) -> None:
        """A look at the clock, some ten times for each report."""
        if self.executions == 1:
            # Only now libFuzzer's handlers of signals are there, and this one
            # comes before them: it knows where Python is.
            faulthandler.enable(all_threads=False)
        now = time.monotonic()
        if now - self._reported >= PAUSE or self.executions == 1:
            self._report()
        elapsed, self._looked = now - self._looked, now
        if elapsed < PAUSE / 20:
            self._step *= 2
        elif elapsed > PAUSE / 5:
            self._step = max(1, self._step // 2)
        self._due = self.executions + self._step

    def _report(self) -> None:
        self._reported = time.monotonic()
        tally = dict(self.target.tally())
        report = Report(self.executions, tuple(self._smallest), tally)
        line = msgspec.json.encode(report)
        try:
            os.write(self._reports, line + b"\n")
        except BrokenPipeError:
            # The campaign is gone; nobody else would end this process.
            os._exit(1)


def limit_memory(beyond: int) -> None:
    """So many bytes more than there are now, then `MemoryError`."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        mapped = int(statm.read().split()[0]) * resource.getpagesize()
    # The soft limit alone: a child may need more, and may take it.
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + beyond, hard))


def main(arguments: Sequence[str]) -> None:
    """A job's whole life; returns only if libFuzzer does."""
    document, *options = arguments
    job = msgspec.json.decode(document, type=Job)
    reports = os.dup(1)
    os.dup2(2, 1)
    target = load(job.target, job.modules)
    words = msgspec.json.decode(Path(job.words).read_bytes(), type=Words)
    gc.collect()
    gc.freeze()
    limit_memory(job.memory)
    engine = Engine(target, Findings(Path(job.findings)), reports)
    # libFuzzer's merge starts its first argument again, through a shell.
    again = shlex.join(
        [sys.executable, "-m", "conformance.fuzz.campaign.engine", document]
    )
    atheris.Setup(
        [again, *options],
        engine.one,
        custom_mutator=mutator(target, words, job.seed),
    )
    try:
        atheris.Fuzz()
    except BaseException:  # noqa: BLE001 (it ends here, whatever it is)
        # The mutator's fault, or ours. Left alone, libFuzzer's alarm ends it.
        traceback.print_exc()
        os._exit(1)


def alone(name: str) -> None:
    """A target as libFuzzer's own program, for OSS-Fuzz: what it raises ends it.

    Memory is whoever starts it to limit: a sanitizer maps more than there is.
    """
    target = load(name, ("conformance.parser",))
    # Beside this module, where `ossfuzz` has it put.
    kept = Path(__file__).with_name("words.json")
    words = msgspec.json.decode(kept.read_bytes(), type=Words)

    def one(data: bytes) -> None:
        target.run(data, not crc32(data) % THOROUGH)

    seed = int.from_bytes(os.urandom(4), "big")
    atheris.Setup(sys.argv, one, custom_mutator=mutator(target, words, seed))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])

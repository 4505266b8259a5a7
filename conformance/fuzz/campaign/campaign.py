"""A campaign: several jobs on one corpus, and what became of them.

    <folder>/<target>/corpus/      what libFuzzer keeps; the next run begins with it
    <folder>/<target>/seeds/       what the target says to begin with
    <folder>/<target>/runs.jsonl   `statistics`
    <folder>/findings/<target>/    `findings`
    <folder>/words.json            the dictionary

Jobs share what they find through the corpus folder, which libFuzzer reads anew
every second. A job that an input ends becomes a finding, and is replaced.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from conformance import __version__

from ..findings import Findings
from ..target import Target
from ..words import Words, dictionary
from .crew import Crew
from .job import Broken, Death, Job, Process
from .statistics import Log, Progress, Run, Started
from .summary import Outcome, found

#: Where campaigns are, unless another folder is named.
FOLDER: Final = Path("build/fuzz")

#: Bytes that a job may use; torch in a child of it maps several GB.
MEMORY: Final = 2 << 30
MEMORY_WITH_TORCH: Final = 8 << 30

#: Seconds for one execution. Whoever asks torch limits its time, and may have to
#: start it first.
TIMEOUT: Final = 10
TIMEOUT_WITH_TORCH: Final = 120

#: Seconds between two looks at how far a campaign is.
TICK: Final = 0.25
#: Seconds that a job has to end in order.
GRACE: Final = 5.0


def available() -> bool:
    """Whether there is an atheris here, which every job needs."""
    return importlib.util.find_spec("atheris") is not None


class Unavailable(Exception):
    """A campaign cannot begin here; the message says why."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a campaign is over, and what an execution may cost.

    `seconds` and `runs` (executions, over all jobs) are without end if `None`;
    `timeout` is in seconds, `memory` in bytes; `None`: by the target.
    """

    seconds: float | None = None
    runs: int | None = None
    timeout: int | None = None
    memory: int | None = None


class Campaign:
    """Jobs of one target; `run` does it.

    `name` is what the engine finds the target by. `seed` settles what a single
    job does, as long as its target is deterministic.
    """

    def __init__(
        self,
        name: str,
        target: Target,
        words: Words,
        folder: Path = FOLDER,
        *,
        limits: Limits | None = None,
        jobs: int = 1,
        seed: int | None = None,
    ) -> None:
        self.name = name
        self.target = target
        self.words = words
        self.folder = folder.resolve() / target.name
        self.findings = Findings(folder.resolve() / "findings")
        self.limits = limits or Limits()
        self.jobs = jobs
        self.seed = int.from_bytes(os.urandom(4), "big") >> 1 if seed is None else seed
        #: How it went, once it is over.
        self.last: Run | None = None
        self.interrupted = False
        self._ended: str | None = None
        self._asked: float | None = None
        self._patience = GRACE

    def stop(self) -> None:
        """Ends it in order; asked for a second time, at once. For signal handlers."""
        if self.interrupted:
            self._patience = 0.0
        self.interrupted = True

    def run(self) -> Iterator[Progress]:
        """Fuzzes, and says a few times a second how far it is; the last is the end.

        Raises `Unavailable` if it cannot begin, `Broken` if a job fails by itself.
        """
        with self._alone():
            self._write_seeds()
            self._write_words()
            started = self._started()
            log = Log(self.folder)
            log.start(started)
            begin = time.monotonic()
            shares = _shares(self.limits.runs, self.jobs)
            crew = Crew(self._spawn, shares, self.seed, self._died)
            try:
                while crew.work(TICK):
                    self._mind(crew, time.monotonic() - begin)
                    progress = _progress(started.run, begin, crew)
                    log.progress(progress)
                    yield progress
                self._ended = self._ended or ("deaths" if crew.given_up else "runs")
            except Broken:
                self._ended = "broken"
                raise
            finally:
                crew.close()
                # Whoever takes no more of this ends it, too.
                progress = _progress(started.run, begin, crew, self._ended or "left")
                log.progress(progress)
                self.last = Run(started, progress)
            yield progress

    def merge(self) -> tuple[int, int]:
        """Keeps of the corpus what its coverage needs: how many there were, and are.

        All of it, if it is stopped. Raises `Unavailable` and `Broken`, as `run` does.
        """
        with self._alone():
            corpus, merged = self.folder / "corpus", self.folder / "merged"
            shutil.rmtree(merged, ignore_errors=True)
            merged.mkdir()
            before = len(list(corpus.iterdir()))
            options = ["-merge=1", *self._options(self.seed), "merged", "corpus"]
            crew = Crew(
                lambda _seed, _runs: Process(self._job(0), options, self.folder),
                [None],
                self.seed,
                self._died,
            )
            with contextlib.closing(crew):
                while crew.work(TICK):
                    if self.interrupted:
                        return before, before
            kept = {path.name for path in merged.iterdir()}
            # Whatever ends this half-way, the corpus is never less than it must be.
            for name in kept:
                os.replace(merged / name, corpus / name)
            merged.rmdir()
            if not kept:
                return before, before
            for path in list(corpus.iterdir()):
                if path.name not in kept:
                    path.unlink()
            return before, len(kept)

    def outcome(self, merged: tuple[int, int] | None = None) -> Outcome:
        """How the run went that is over."""
        if self.last is None:
            raise RuntimeError("there was no run")
        started, progress = self.last.started, self.last.progress
        files = found(self.findings, self.target.name, progress.findings)
        return Outcome(self.target.name, started, progress, files, merged)

    def _mind(self, crew: Crew, seconds: float) -> None:
        """Ends the jobs when it is time."""
        if self.interrupted:
            self._ended = self._ended or "interrupted"
        if self.limits.seconds is not None and seconds >= self.limits.seconds:
            self._ended = self._ended or "seconds"
        if self._ended is None:
            return
        if self._asked is None:
            self._asked = seconds
            crew.ask_to_stop()
        elif seconds - self._asked > self._patience:
            crew.kill()

    # ------------------------------------------------------------------ folders

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """The folders, for nobody else meanwhile."""
        for name in ("artifacts", "corpus", "seeds"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lock", "wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                message = f"another campaign is at work in {self.folder}"
                raise Unavailable(message) from None
            yield

    def _write_seeds(self) -> None:
        """The target's seeds as files, named as libFuzzer names its own.

        Raises `Unavailable` if the target cannot make them.
        """
        folder = self.folder / "seeds"
        stale = {path.name for path in folder.iterdir()}
        try:
            seeds = list(self.target.seeds())
        except Exception as error:
            raise Unavailable(
                f"{self.name} fails to make its seeds: {type(error).__name__}: {error}"
            ) from error
        for data in seeds:
            # libFuzzer would cut a longer one.
            if len(data) <= self.target.max_size:
                name = _name(data)
                if name not in stale:
                    (folder / name).write_bytes(data)
                stale.discard(name)
        for name in stale:
            (folder / name).unlink()

    def _write_words(self) -> None:
        """For the mutator, and for libFuzzer's own."""
        (self.folder / "words.json").write_bytes(msgspec.json.encode(self.words))
        (self.folder / "dictionary").write_text(dictionary(self.words))

    # --------------------------------------------------------------------- jobs

    def _started(self) -> Started:
        return Started(
            run=os.urandom(8).hex(),
            when=datetime.now(timezone.utc),
            target=self.name,
            torchproof=__version__,
            python=platform.python_version(),
            atheris=metadata.version("atheris"),
            seed=self.seed,
            jobs=self.jobs,
            timeout=self._timeout,
            memory=self._memory,
        )

    @property
    def _memory(self) -> int:
        if self.limits.memory is not None:
            return self.limits.memory
        return MEMORY_WITH_TORCH if self.target.needs_torch else MEMORY

    @property
    def _timeout(self) -> int:
        if self.limits.timeout is not None:
            return self.limits.timeout
        return TIMEOUT_WITH_TORCH if self.target.needs_torch else TIMEOUT

    def _job(self, seed: int) -> Job:
        return Job(
            target=self.name,
            modules=self.target.modules,
            words="words.json",
            findings=str(self.findings.folder),
            memory=self._memory,
            seed=seed,
        )

    def _spawn(self, seed: int, runs: int | None) -> Process:
        options = [*self._options(seed), "-dict=dictionary", "-reload=1"]
        if runs is not None:
            options.append(f"-runs={runs}")
        return Process(self._job(seed), [*options, "corpus", "seeds"], self.folder)

    def _options(self, seed: int) -> list[str]:
        return [
            f"-seed={seed}",
            f"-timeout={self._timeout}",
            f"-max_len={self.target.max_size}",
            "-artifact_prefix=artifacts/",
            "-print_final_stats=1",
            # Memory is limited by the engine: libFuzzer blames the wrong input.
            "-rss_limit_mb=0",
            # There is a limit for what is slow already.
            "-report_slow_units=86400",
        ]

    def _died(self, death: Death) -> None:
        """Files the input, which no job is given again."""
        if death.artifact is None:
            return
        data = death.artifact.read_bytes()
        self.findings.add(self.target.name, death.signature, death.message, data)
        for folder in ("corpus", "seeds"):
            (self.folder / folder / _name(data)).unlink(missing_ok=True)
        death.artifact.unlink()


def _progress(run: str, begin: float, crew: Crew, ended: str | None = None) -> Progress:
    return Progress(
        run=run,
        seconds=round(time.monotonic() - begin, 3),
        executions=crew.executions,
        edges=crew.edges,
        features=crew.features,
        corpus=crew.corpus,
        nbytes=crew.nbytes,
        findings=tuple(sorted(crew.findings)),
        restarts=crew.restarts,
        tally=crew.tally,
        ended=ended,
    )


def _shares(runs: int | None, jobs: int) -> list[int | None]:
    """The executions of each job."""
    if runs is None:
        return [None] * jobs
    return [runs // jobs + (job < runs % jobs) for job in range(jobs)]


def _name(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()

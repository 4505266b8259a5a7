"""Cases x loaders -> results, several processes at a time.

Each worker is a thread with one adapter: it takes cases of one loader until none
are left, and then goes to another. Which worker asked about which case makes no
difference to the results, as far as the loader makes none.
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from datetime import datetime, timezone
from pathlib import Path
from threading import Event, Lock
from typing import Final

from conformance import __version__
from conformance.corpus.format import Case
from conformance.loaders.protocol import Started
from conformance.loaders.worker import Crash, Hang, OutOfMemory

from .adapter import MEMORY, START, TIMEOUT, Adapter, NoStart
from .judging import judge
from .process import Broken, Interrupted
from .results import FORMAT, Footer, Header, Loader, Result, Run

#: Called with how many results there are, of how many, and the last one's name.
Step = Callable[[int, int, str], object]

#: Seconds between two steps.
PAUSE: Final = 0.1

Cases = Sequence[tuple[Path, Case]]


class _Queue:
    """The cases that are left for one loader."""

    def __init__(self, id: str, command: Sequence[str], cases: Cases) -> None:
        self.id = id
        self.command = command
        self.left = deque(cases)
        self.workers = 0
        #: Held by who finds out whether it starts at all.
        self.starting = Lock()
        self.started: Started | None = None
        self.absent: str | None = None

    @property
    def loader(self) -> Loader | None:
        started = self.started
        if started is None:
            return None
        return Loader(
            self.id,
            started.name,
            started.version,
            started.language,
            started.facts,
            started.homepage,
            started.issues,
        )


class _Work:
    """What the workers share."""

    def __init__(
        self, queues: Sequence[_Queue], timeout: float, memory: int, start: float
    ) -> None:
        self.queues = queues
        self.results: list[Result] = []
        self.stop = Event()
        self._limits = timeout, memory, start
        self._lock = Lock()

    def work(self) -> None:
        """One worker's day."""
        while (queue := self._choose()) is not None:
            try:
                self._work_at(queue)
            except Interrupted:
                return
            finally:
                with self._lock:
                    queue.workers -= 1

    def _choose(self) -> _Queue | None:
        """A loader at which few are at work; of these the one with most to do."""
        with self._lock:
            left = [queue for queue in self.queues if queue.left]
            if not left or self.stop.is_set():
                return None
            queue = min(left, key=lambda one: (one.workers, -len(one.left)))
            queue.workers += 1
            return queue

    def _work_at(self, queue: _Queue) -> None:
        timeout, memory, start = self._limits
        with Adapter(
            queue.command, timeout=timeout, memory=memory, start=start, stop=self.stop
        ) as adapter:
            started = _started(queue, adapter)
            while started is not None and not self.stop.is_set():
                try:
                    path, case = queue.left.popleft()
                except IndexError:
                    return
                self.results.append(_result(queue.id, adapter, path, case))


def _started(queue: _Queue, adapter: Adapter) -> Started | None:
    """Who the loader is, the same for each worker; `None` if it does not start."""
    with queue.starting:
        if queue.absent is None and queue.started is None:
            try:
                queue.started = adapter.started
            except NoStart as error:
                queue.absent = str(error)
                queue.left.clear()
    adapter.known = queue.started
    return queue.started


def run(
    loaders: Mapping[str, Sequence[str]],
    cases: Cases,
    *,
    judged_by: str,
    jobs: int = 1,
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
    start: float = START,
    step: Step = lambda _done, _all, _name: None,
    absent: Mapping[str, str] | None = None,
) -> Run:
    """Every loader (id -> command) asked about every case.

    `judged_by` is the torch that the corpus was judged by. `timeout`, `memory`
    and `start` are limits of an `Adapter`. `absent` are loaders that are not
    asked, and why; one that does not start joins them. Ctrl-C gives what there
    is, as not complete.
    """
    began, when = time.monotonic(), datetime.now(timezone.utc)
    queues = [_Queue(id, command, cases) for id, command in loaders.items()]
    work = _Work(queues, timeout, memory, start)
    with ThreadPoolExecutor(jobs) as pool:
        busy = {pool.submit(work.work) for _ in range(jobs)}
        try:
            while busy:
                done, busy = wait(busy, PAUSE, FIRST_EXCEPTION)
                for future in done:
                    future.result()
                if work.results:
                    last = work.results[-1]
                    name = f"{last.loader}  {last.case}"
                    step(len(work.results), _wanted(queues, cases), name)
        except KeyboardInterrupt:
            pass
        finally:
            work.stop.set()
    silent = {one.id: one.absent for one in queues if one.absent is not None}
    header = Header(
        FORMAT,
        __version__,
        digest(cases),
        judged_by,
        len(cases),
        when,
        f"{platform.system()} {platform.machine()}",
        tuple(one.loader for one in queues if one.loader is not None),
        {**(absent or {}), **silent},
    )
    order = {queue.id: number for number, queue in enumerate(queues)}
    results = sorted(work.results, key=lambda one: (order[one.loader], one.case))
    footer = Footer(
        len(results),
        round(time.monotonic() - began, 3),
        complete=len(results) == _wanted(queues, cases),
    )
    return Run(header, tuple(results), footer)


def _wanted(queues: Sequence[_Queue], cases: Cases) -> int:
    """How many results there will be."""
    return len(cases) * sum(queue.absent is None for queue in queues)


def digest(cases: Cases) -> str:
    """The SHA-256 of the ids of cases, and of their files'."""
    rows = sorted(f"{case.id} {case.sha256}\n" for _, case in cases)
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def _result(id: str, adapter: Adapter, path: Path, case: Case) -> Result:
    path = path.resolve()
    encoding = None if case.encoding == "utf-8" else case.encoding
    before, note = adapter.asked, ""
    answer = adapter.load(path, encoding)
    if before and isinstance(answer, Crash | Hang | OutOfMemory):
        # A process with a past may have run out of memory, or of time.
        again = adapter.load(path, encoding)
        if not isinstance(again, type(answer) | Broken):
            note = f"after {before} files, but not as the first: {answer}"
        if not isinstance(again, Broken):
            answer = again
    found = judge(case, answer, adapter.started.facts)
    return Result(
        id,
        case.id,
        found.verdict,
        round(adapter.seconds, 4),
        found.compared,
        "; ".join(filter(None, (found.message, note))),
        found.differences,
        found.total,
        found.cause,
    )

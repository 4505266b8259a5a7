"""Several jobs at work, each replaced when an input ends it."""

from __future__ import annotations

import os
import selectors
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final

from .job import Death, Process

#: Starts a job with this seed, for so many executions (`None`: without end).
Spawn = Callable[[int, int | None], Process]

#: A job that is ended by so many inputs, each within a minute, is given up.
STRIKES: Final = 10
MINUTE: Final = 60.0


class _Place:
    """One job after the other, for a share of the executions."""

    def __init__(self, process: Process, share: int | None) -> None:
        self.process = process
        self.share = share
        self.before = 0
        self.tally: Counter[str] = Counter()
        self.strikes = 0
        self.began = time.monotonic()
        self.over = False

    @property
    def executions(self) -> int:
        return self.before + self.process.executions

    @property
    def left(self) -> int | None:
        return None if self.share is None else max(0, self.share - self.executions)


class Crew:
    """`work` is called until nobody is left; `close` in any case.

    `shares` says for each job how many executions are its own. `died` is told
    of every input that ended one.
    """

    def __init__(
        self,
        spawn: Spawn,
        shares: list[int | None],
        seed: int,
        died: Callable[[Death], None],
    ) -> None:
        self.edges = self.features = self.corpus = self.nbytes = 0
        self.findings: set[str] = set()
        self.restarts = 0
        self.given_up = 0
        self._spawn = spawn
        self._died = died
        self._random = Random(seed)  # noqa: S311
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._places: list[_Place] = []
        try:
            for share in shares:
                place = _Place(spawn(self._seed(), share), share)
                self._places.append(place)
                self._listen(place)
        except BaseException:
            self.close()
            raise

    @property
    def executions(self) -> int:
        """Of all jobs, and of those before them."""
        return sum(place.executions for place in self._places)

    @property
    def tally(self) -> dict[str, int]:
        """What the target counted, in all of them."""
        counted: Counter[str] = Counter()
        for place in self._places:
            counted.update(place.tally)
            counted.update(place.process.tally)
        return dict(counted)

    def work(self, seconds: float) -> bool:
        """Takes in what the jobs say meanwhile; whether any is left.

        Raises `Broken` if one fails by itself.
        """
        end = time.monotonic() + seconds
        while left := [place for place in self._places if not place.over]:
            pause = end - time.monotonic()
            if pause <= 0:
                break
            for key, _ in self._selector.select(pause):
                self._read(*key.data)
            for place in left:
                # A job is gone when its pipes are closed, or before that, if
                # a child of it holds them.
                if not place.process.pipes or place.process.exited:
                    self._finish(place)
        return bool(left)

    def ask_to_stop(self) -> None:
        """In order: every job finishes what it is at."""
        self._stopping = True
        for place in self._places:
            place.process.ask_to_stop()

    def kill(self) -> None:
        """At once."""
        self._stopping = True
        for place in self._places:
            place.process.kill()

    def close(self) -> None:
        """Leaves no process behind."""
        for place in self._places:
            place.process.close()
        self._selector.close()

    def _seed(self) -> int:
        return self._random.randrange(1, 1 << 31)

    def _listen(self, place: _Place) -> None:
        for number, pipe in place.process.pipes.items():
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, (place, number))

    def _read(self, place: _Place, number: int) -> bool:
        """Takes in what there is in a pipe now; whether there was any."""
        pipe = place.process.pipes[number]
        try:
            data = os.read(pipe.fileno(), 1 << 16)
        except BlockingIOError:
            return False
        if data:
            place.process.feed(number, data)
            self._note(place.process)
        else:
            self._hang_up(place, number)
        return bool(data)

    def _hang_up(self, place: _Place, number: int) -> None:
        pipe = place.process.pipes.pop(number)
        self._selector.unregister(pipe)
        pipe.close()

    def _note(self, process: Process) -> None:
        self.edges = max(self.edges, process.edges)
        self.features = max(self.features, process.features)
        if process.corpus:
            self.corpus, self.nbytes = process.corpus, process.nbytes
        self.findings.update(process.findings)

    def _finish(self, place: _Place) -> None:
        """A job is gone: another takes its place, unless all is done."""
        process = place.process
        for number in list(process.pipes):
            while self._read(place, number):
                pass
        for number in list(process.pipes):
            self._hang_up(place, number)
        place.over = True
        death = process.end(killed=self._stopping)
        if death is None:
            return
        self.findings.add(death.signature)
        self._died(death)
        quick = time.monotonic() - place.began < MINUTE
        place.strikes = place.strikes + 1 if quick else 1
        if self._stopping or place.left == 0:
            return
        if place.strikes >= STRIKES:
            self.given_up += 1
            return
        self.restarts += 1
        process.close()
        left, place.before = place.left, place.executions
        place.tally.update(process.tally)
        place.process = self._spawn(self._seed(), left)
        place.began = time.monotonic()
        place.over = False
        self._listen(place)

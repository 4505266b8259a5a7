"""One input made smaller, as long as it is judged the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

#: What is wrong with an input, in words that are the same for the same cause;
#: `None` if nothing is.
Judge = Callable[[bytes], str | None]

#: Told how often the judge was asked, how often it may be, and the size so far.
Step = Callable[[int, int, int], None]

#: How often a judge is asked about one input, unless somebody says otherwise.
BUDGET: Final = 5_000


class Spent(Exception):
    """The judge may not be asked again."""


class Search:
    """The simplest input so far, and whether another one is still the same."""

    def __init__(
        self, data: bytes, signature: str, judge: Judge, budget: int, step: Step
    ) -> None:
        self.best = data
        self.signature = signature
        self.asked = 0
        self._judge = judge
        self._budget = budget
        self._step = step
        self._seen = {_name(data)}

    def better(self, candidate: bytes) -> bool:
        """Whether it is no longer than the best and judged the same.

        Then it is the best now: whoever asks has made something simpler. Nothing
        is judged twice, and what was the best once will not be it again. Raises
        `Spent` when the budget is.
        """
        if len(candidate) > len(self.best):
            return False
        name = _name(candidate)
        if name in self._seen:
            return False
        if self.asked >= self._budget:
            raise Spent
        self._seen.add(name)
        self.asked += 1
        self._step(self.asked, self._budget, len(self.best))
        if self._judge(candidate) != self.signature:
            return False
        self.best = candidate
        return True


def _name(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


#: One way to make `search.best` simpler. Every level goes the same way (shorter,
#: fewer, less, nearer to what is usual), so that none undoes what another did.
Level = Callable[[Search], None]


@dataclass(frozen=True, slots=True)
class Minimal:
    """The simplest input that was found, and how often the judge was asked.

    `complete` if no level could do more; otherwise the budget was spent.
    """

    data: bytes
    signature: str
    asked: int
    complete: bool


def minimise(
    data: bytes,
    signature: str,
    judge: Judge,
    stages: Iterable[Iterable[Level]],
    *,
    budget: int = BUDGET,
    step: Step = lambda _asked, _budget, _size: None,
) -> Minimal:
    """A small input of the same signature.

    The levels of a stage are tried until none helps, then those of the next; and
    all stages again until nothing changes. Never larger than `data`, the same
    for the same arguments, and, if complete, no smaller by another call.
    """
    search = Search(data, signature, judge, budget, step)
    chosen = [tuple(levels) for levels in stages]
    complete = False
    try:
        while not complete:
            before = search.best
            for levels in chosen:
                _settle(search, levels)
            complete = search.best == before
    except Spent:
        pass
    return Minimal(search.best, signature, search.asked, complete)


def _settle(search: Search, levels: Iterable[Level]) -> None:
    before = None
    while before != search.best:
        before = search.best
        for level in levels:
            level(search)

"""What a target is, and what it raises when an invariant is broken."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from .words import Words

#: `run(data, thorough)`: returns if every invariant holds. The costly invariants
#: are looked at only if `thorough`.
Run = Callable[[bytes, bool], None]

#: `mutate(data, random, words)`: another input, made of this one.
Mutate = Callable[[bytes, Random, Words], bytes]


@dataclass(frozen=True, slots=True)
class Target:
    """One way to feed bytes to the parser, and what must hold whatever they are.

    `run`'s docstring begins with its invariant. `seeds` gives the inputs to begin
    with, `mutate` makes more of them; no input is longer than `max_size` bytes.
    `modules` are instrumented for coverage, by the beginnings of their names.
    `needs_torch` if `run` asks torch too. `tally` says what it has counted since
    the process began: how often it was right, for which reason.
    """

    name: str
    run: Run
    mutate: Mutate
    seeds: Callable[[], Iterable[bytes]]
    max_size: int = 1 << 16
    modules: tuple[str, ...] = ("conformance.parser",)
    needs_torch: bool = False
    tally: Callable[[], Mapping[str, int]] = dict

    @property
    def invariant(self) -> str:
        """In one sentence, what `run` holds its input to."""
        return (self.run.__doc__ or "").partition("\n")[0]


class Violation(AssertionError):
    """An invariant is broken; `invariant` is its name, in a word or two.

    `detail` says where, in words that are the same for every input with the
    same cause: findings are told apart by both.
    """

    def __init__(self, invariant: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.invariant = invariant
        self.detail = detail


#: What is ours, in a traceback.
_HERE: Final = f"{os.sep}conformance{os.sep}"


def signature(error: BaseException) -> str:
    """What findings are told apart by: the cause, not the input.

    A violation's own words; for anything else that escaped, its type and the
    innermost of our functions that it passed; where a target that lives elsewhere
    called none of ours, the innermost one in the target's own file.

    For whoever called the target and caught the error: that frame does not count.
    """
    if isinstance(error, Violation):
        return " | ".join(filter(None, ("violation", error.invariant, error.detail)))
    frames = traceback.extract_tb(error.__traceback__)[1:]
    ours = [frame for frame in frames if _HERE in frame.filename]
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    names = [
        f"{os.path.basename(frame.filename)}:{frame.name}" for frame in ours or own
    ]
    return " | ".join(("escaped", type(error).__name__, *names[-1:]))

"""What must hold for every input: one small function each, and tables of them.

`check` is what targets call. It reads the input once, and holds that reading to
`ALWAYS`; if it is to be thorough, it reads it in every mode, and then again and
again for what is `COSTLY`. That nothing but a `CheckpointError` escapes needs no
function: whatever else there is escapes from here, too.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Final

from conformance.parser import CheckpointError, Limits, Storage, Uninitialised

from ..target import Violation
from . import bounds, cost
from .reading import FULL, MODES, TIGHT, Answer, Read, answer, mode_of
from .state import GLANCED, State
from .trees import Found, found, longest_chain


@dataclass
class Subject:
    """An input, the usual way to read it, and others that must give the same."""

    data: bytes
    read: Read
    ways: Mapping[str, Read] = field(default_factory=dict)

    def usual(self) -> Any:
        """The tree, in the mode that goes farthest."""
        return self.read(self.data, FULL)

    @cached_property
    def answer(self) -> Answer:
        """What the usual way gives."""
        return answer(self.usual)


#: What became of one reading: the tree's contents, or the error.
Outcome = Found | CheckpointError

Always = Callable[[Subject, Outcome], None]
Costly = Callable[[Subject], None]

STATE: Final = State()


# ----------------------------------------------------------- of every reading


def errors_know_their_place(subject: Subject, outcome: Outcome) -> None:
    """An error has a phase, an offset inside the file, and a message of one line."""
    if not isinstance(outcome, CheckpointError):
        return
    offset, text = outcome.offset, str(outcome)
    if outcome.phase not in ("container", "pickle", "rebuild"):
        raise Violation("error", f"of the phase {outcome.phase!r}", "phase")
    if offset is None:
        if outcome.phase == "pickle":
            raise Violation("error", f"without an offset: {text}", "no offset")
    elif type(offset) is not int or not 0 <= offset <= len(subject.data):
        raise Violation("error", f"outside the file: {text}", "offset")
    if not text.isprintable() or len(text) > LONGEST:
        raise Violation("error", f"spelled {text!r:.300}", "text")


#: Characters of an error, with its path of up to 20 steps.
LONGEST: Final = 4_000


def no_view_outside(subject: Subject, outcome: Outcome) -> None:
    """Every tensor lies in its storage, and what its indices say inside it."""
    if isinstance(outcome, Found):
        for tensor in outcome.tensors:
            bounds.view(tensor)
            bounds.parts(tensor)


def freed_without_recursion(subject: Subject, outcome: Outcome) -> None:
    """No more deques and their like lie directly inside each other than may."""
    if isinstance(outcome, Found) and len(outcome.links) > CHAINED:
        depth = longest_chain(outcome.links)
        if depth > CHAINED:
            raise Violation("chain", f"{depth} deques directly in each other")


#: Twice `Limits.chained`, which counts every other link, and both ends.
CHAINED: Final = 2 * Limits().chained + 2

ALWAYS: Final[tuple[Always, ...]] = (
    errors_know_their_place,
    no_view_outside,
    freed_without_recursion,
)


# --------------------------------------------------- of an input, read many times


def twice_the_same(subject: Subject) -> None:
    """Reading it again gives the same answer."""
    _same("twice", "the second time", subject.answer, answer(subject.usual))


def lazily_and_eagerly(subject: Subject) -> None:
    """Storages may be fetched at once or later, in any order, and again."""
    if subject.answer.tree is not None and found(subject.usual()).storages:
        for name, fetch in _FETCHES.items():
            _same("lazy", name, subject.answer, answer(subject.usual, fetch))


def _fetch(storages: list[Storage]) -> None:
    for storage in storages:
        try:
            size = len(storage.data)
        except Uninitialised:
            size = -1
        if size != (storage.nbytes if storage.has_data else -1):
            raise Violation("lazy", f"{storage!r} has {size} bytes", "size")


_FETCHES: Final[dict[str, Callable[[Found], None]]] = {
    "at once": lambda found: _fetch(found.storages),
    "backwards": lambda found: _fetch(found.storages[::-1]),
    "twice": lambda found: _fetch(found.storages * 2),
}


def elements_are_there(subject: Subject) -> None:
    """`numpy()` and `tobytes()` of a tensor that loaded give its own bytes."""
    if subject.answer.tree is not None:
        met = found(subject.usual())
        for storage in met.storages:
            bounds.memory(storage)
        for tensor in met.tensors:
            bounds.elements(tensor)


def shown_in_short(subject: Subject) -> None:
    """`repr()` of a tensor, storage or inert object does not follow what is in it."""
    if subject.answer.tree is not None:
        met = found(subject.usual())
        for value in (*met.tensors, *met.storages, *met.objects):
            if len(repr(value)) > LONGEST + 50 * len(subject.data):
                raise Violation("text", f"{type(value).__name__} shown at length")


def offered_anyhow(subject: Subject) -> None:
    """Whatever the bytes come in, the answer is the same."""
    for name, way in subject.ways.items():
        other = answer(partial(way, subject.data, FULL))
        _same("way", name, subject.answer, other)


def _same(invariant: str, how: str, usual: Answer, other: Answer) -> None:
    if usual != other and not usual.means(other):
        raise Violation(invariant, f"{usual} -- but {how}: {other}", how)


def nothing_left_behind(subject: Subject) -> None:
    """The interpreter, numpy and the parser's modules are as they were."""
    STATE.changed()
    _read(subject)
    changed = STATE.changed()
    if changed:
        raise Violation("state", f"changed: {', '.join(changed)}", changed[0])


# Of 3,314 pickles and 3,694 files of the corpus none needs more than a third of
# this (79 lines a byte beyond the first 4,000, and 158 bytes).

#: Lines of Python for each byte of input, and for no byte at all.
LINES: Final = (120, 50_000)
#: Bytes of memory, likewise: an empty set takes 216, and is a byte in the pickle.
MEMORY: Final = (500, 100_000)


def linear_work(subject: Subject) -> None:
    """The lines of Python that it takes are linear in the input."""
    each, once = LINES
    most = once + each * len(subject.data)
    try:
        cost.work(lambda: _read(subject), most)
    except cost.TooMuch as error:
        functions: Counter[str] = Counter()
        with contextlib.suppress(cost.TooMuch):
            cost.work(lambda: _read(subject), most, functions)
        busiest = max(functions, key=functions.__getitem__)
        told = f"{error} for {len(subject.data)} bytes, most of them in {busiest}"
        raise Violation("work", told, busiest) from None


def linear_memory(subject: Subject) -> None:
    """The memory that it takes is linear in the input."""
    each, once = MEMORY
    peak = cost.memory(lambda: _read(subject))
    if peak > once + each * len(subject.data):
        raise Violation("memory", f"{peak} bytes for {len(subject.data)}")


#: Bytes that records may inflate to for each byte of input, and for none: what
#: `TIGHT` grants, and each record about the archive.
INFLATED: Final = (TIGHT.inflate_ratio + TIGHT.inflate_pickle_ratio, 1 << 16)


def linear_inflation(subject: Subject) -> None:
    """No more is inflated than the limits grant, however often it is asked for."""
    each, once = INFLATED
    total = cost.inflated(lambda: _read(subject))
    if total > once + each * len(subject.data):
        raise Violation("inflated", f"{total} bytes for {len(subject.data)}")


def _read(subject: Subject) -> Any:
    try:
        return subject.usual()
    except CheckpointError:
        return None


COSTLY: Final[tuple[Costly, ...]] = (
    twice_the_same,
    lazily_and_eagerly,
    elements_are_there,
    shown_in_short,
    offered_anyhow,
    nothing_left_behind,
    linear_work,
    linear_memory,
    linear_inflation,
)


# -------------------------------------------------------------------- all of them


def _left_behind(before: tuple[int, ...], after: tuple[int, ...]) -> Violation:
    changed = [
        name
        for name, one, other in zip(GLANCED, before, after, strict=True)
        if one != other
    ]
    return Violation("state", f"{before} -> {after}", changed[0])


def check(
    subject: Subject, thorough: bool, costly: tuple[Costly, ...] = COSTLY
) -> None:
    """Holds an input to all of it; see the top."""
    for mode in MODES if thorough else (mode_of(subject.data),):
        before = STATE.glance()
        outcome: Outcome
        try:
            outcome = found(subject.read(subject.data, mode))
        except CheckpointError as error:
            outcome = error
        after = STATE.glance()
        if before != after:
            raise _left_behind(before, after)
        for invariant in ALWAYS:
            invariant(subject, outcome)
    if thorough:
        for each in costly:
            each(subject)

"""A case and a loader's answer -> a verdict.

What can be compared is what the adapter says that it can report, and what both
sides tell: see `Judgement.compared`. An adapter that reports everything, as a
description, is held to the bit (`conformance.compare`); everybody else to the
tensors, by their dotted names (`normal`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from conformance.compare import compare
from conformance.corpus.format import Answer, Case
from conformance.description import Description, from_document
from conformance.loaders.protocol import FACTS, Fact, Loaded, Rejected, Skipped
from conformance.loaders.worker import Crash, Hang, OutOfMemory

from .causes import of_tensor, template, words
from .normal import Normal, Tensor, answered, expected, flat
from .process import Broken
from .results import Difference, Verdict

#: So many differences are told of one case.
SHOWN: Final = 5

Heard = Loaded | Rejected | Skipped | Crash | Hang | OutOfMemory | Broken


@dataclass(frozen=True, slots=True)
class Judgement:
    """As in `results.Result`."""

    verdict: Verdict
    compared: tuple[Fact, ...] = ()
    message: str = ""
    differences: tuple[Difference, ...] = ()
    total: int = 0
    cause: str = ""


def judge(case: Case, answer: Heard, facts: Collection[Fact]) -> Judgement:
    """The verdict on what an adapter said of a case, that reports these facts."""
    match answer:
        case Loaded():
            return _loaded(case, answer, facts)
        case Rejected(message=message):
            refused = case.verdict != "valid"
            verdict = Verdict.PASS if refused else Verdict.REJECTS
            cause = "" if refused else template(message, words(case))
            return Judgement(verdict, message=message, cause=cause)
        case Skipped(reason=reason):
            return Judgement(Verdict.SKIP, message=reason)
        case Hang():
            return _died(Verdict.TIMEOUT, "no answer in time", str(answer))
        case OutOfMemory():
            return _died(Verdict.CRASH, "out of memory", str(answer))
        case Crash():
            last = answer.output.strip().rpartition("\n")[2]
            said = ": ".join(filter(None, (str(answer), last)))
            return _died(Verdict.CRASH, template(said, words(case)), said)
    return _died(Verdict.ERROR, template(answer.message), answer.message)


def _died(verdict: Verdict, cause: str, message: str) -> Judgement:
    return Judgement(verdict, message=message, cause=cause)


# ------------------------------------------------------------------------- loaded


def _loaded(case: Case, answer: Loaded, facts: Collection[Fact]) -> Judgement:
    if case.verdict == "invalid":
        return Judgement(Verdict.ACCEPTS, cause=f"takes a wrong {case.path}")
    wanted = [] if case.expected is None else [case.expected]
    if case.verdict == "either":
        wanted += case.alternatives
    if not wanted:
        return Judgement(Verdict.SKIP, message="nobody knows what is right here")
    held = [_held(case, one, answer, facts) for one in wanted]
    # The fewest differences, where several answers are right.
    return min(held, key=lambda one: (one.verdict is not Verdict.PASS, one.total))


def _held(
    case: Case, wanted: Answer, answer: Loaded, facts: Collection[Fact]
) -> Judgement:
    """An answer held to one that is right."""
    found = answer.description
    if found is None:
        return _by_name(case, answered(wanted), flat(answer.tensors or ()), facts)
    description = from_document(found)
    by_name = _by_name(case, answered(wanted), expected(description), facts)
    right = wanted.description
    if by_name.total or right is None or not set(FACTS) <= set(facts):
        return by_name
    return _bit_for_bit(right, description)


def _bit_for_bit(right: Description, found: Description) -> Judgement:
    comparison = compare(right, found, limit=SHOWN)
    if comparison.equal:
        return Judgement(Verdict.PASS, FACTS)
    differences = tuple(
        Difference(one.path, one.fact, one.left, one.right)
        for one in comparison.differences
    )
    cause = template(differences[0].fact)
    return Judgement(
        Verdict.WRONG, FACTS, "", differences, comparison.total, f"{cause} of a value"
    )


def _by_name(
    case: Case, wanted: Normal, found: Normal, facts: Collection[Fact]
) -> Judgement:
    """All tensors, each held to the one of its name."""
    pairs, extra = _paired(wanted, found)
    compared: set[Fact] = set()
    told: list[tuple[Difference, Tensor | None]] = []
    for right, other in pairs:
        if other is None:
            told.append((Difference(right.name, "there", "a tensor", "nothing"), right))
            continue
        for fact, left, mine in _facts(right, other):
            if fact in facts:
                compared.add(fact)
                if left != mine:
                    told.append((Difference(right.name, fact, left, mine), right))
    if "sharing" in facts:
        for difference, right in _sharing(pairs, compared):
            told.append((difference, right))
    told += (
        (Difference(one.name, "there", "nothing", "a tensor"), None) for one in extra
    )
    in_order = tuple(fact for fact in FACTS if fact in compared)
    if told:
        only_missing = all(
            difference.fact == "there" and tensor is not None
            for difference, tensor in told
        )
        # What is wrong says more than what is missing beside it.
        first = min(told, key=lambda one: one[0].fact == "there")
        return Judgement(
            Verdict.MISSING if only_missing else Verdict.WRONG,
            in_order,
            differences=tuple(difference for difference, _ in told[:SHOWN]),
            total=len(told),
            cause=of_tensor(*first, case),
        )
    if "scalars" not in facts and not any(other for _, other in pairs):
        return Judgement(Verdict.SKIP, message="nothing in it that this loader reports")
    return Judgement(Verdict.PASS, in_order)


Pair = tuple[Tensor, Tensor | None]


def _paired(wanted: Normal, found: Normal) -> tuple[list[Pair], list[Tensor]]:
    """Each tensor that must be there with the one of its name, and what is too many.

    Of several with one name, those that are equal belong together; what may be left
    out, and is, is passed by.
    """
    by_name: defaultdict[str, list[Tensor]] = defaultdict(list)
    for tensor in found:
        by_name[tensor.name].append(tensor)
    pairs: list[Pair] = []
    # Those that must be there choose first.
    for right in sorted(wanted, key=lambda one: (one.vague, one.optional)):
        here = by_name[right.name]
        if not here:
            if not (right.optional or right.vague):
                pairs.append((right, None))
            continue
        best = min(range(len(here)), key=lambda number: _apart(right, here[number]))
        other = here.pop(best)
        if not right.vague:
            pairs.append((right, other))
    return pairs, [tensor for rest in by_name.values() for tensor in rest]


def _apart(right: Tensor, other: Tensor) -> int:
    return sum(left != mine for _, left, mine in _facts(right, other))


def _facts(right: Tensor, other: Tensor) -> Iterator[tuple[Fact, str, str]]:
    """What both sides tell of a tensor, ready to show."""
    if right.dtype is not None and other.dtype is not None:
        yield "dtype", right.dtype, other.dtype
    for fact, left, mine in (
        ("shape", right.shape, other.shape),
        ("stride", right.stride, other.stride),
    ):
        if left is not None and mine is not None:
            yield fact, _row(left), _row(mine)  # type: ignore[misc]
    if right.offset is not None and other.offset is not None:
        yield "stride", f"offset {right.offset}", f"offset {other.offset}"
    if right.data is not None and other.data is not None:
        yield "data", f"sha256 {right.data[:16]}", f"sha256 {other.data[:16]}"


def _row(numbers: Sequence[int]) -> str:
    return f"({', '.join(map(str, numbers))})"


def _sharing(
    pairs: Sequence[Pair], compared: set[Fact]
) -> Iterator[tuple[Difference, Tensor]]:
    """Tensors that share memory on one side alone."""
    theirs: dict[object, tuple[object, str]] = {}
    ours: dict[object, tuple[object, str]] = {}
    for right, other in pairs:
        if other is None or right.storage is None or other.storage is None:
            continue
        compared.add("sharing")
        mine, first = theirs.setdefault(right.storage, (other.storage, right.name))
        if mine != other.storage:
            yield Difference(right.name, "sharing", f"with {first}", "not"), right
            continue
        back, first = ours.setdefault(other.storage, (right.storage, right.name))
        if back != right.storage:
            yield Difference(right.name, "sharing", "not", f"with {first}"), right

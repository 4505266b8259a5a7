"""What torch and our parser say of a case, beside what is claimed of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from conformance.check import FileResult, ModeResult, check
from conformance.check import Verdict as Outcome
from conformance.compare import compare
from conformance.description import (
    Description,
    Document,
    Tensor,
    from_json,
    to_document,
)
from conformance.ledger import explain, rows
from conformance.loaders import ours
from conformance.loaders.reference import MODES, Mode, Reference
from conformance.loaders.worker import Answer as Answered
from conformance.parser import CheckpointError
from conformance.walk import flat

from .format import Answer, Case, Label, Phase, Verdict, usual
from .paths import exercised, traced

#: The mode whose answer is the expected one, wherever it has one.
FIRST: Final = Mode(weights_only=False)
#: The order in which the modes are asked for the expected answer.
ORDER: Final = (FIRST, *(mode for mode in MODES if mode != FIRST))

OURS: Final = "torchproof"

#: The mode that decides about this flag.
WEIGHTS: Final = Mode(weights_only=True)
REFUSED: Final = "weights-only-refuses"

#: The reason of a case that is there because of a row of the ledger.
LEDGER: Final = "ledger"


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of a generator's `manifest.json`: see `Case`.

    `answer` is what the release that wrote a file read in it, as a description,
    and `answer_error` why it read nothing; for files of old releases alone.
    """

    id: str
    suffix: str
    path: str
    shows: str
    label: Label
    verdict: Verdict
    sha256: str
    family: str = ""
    phase: Phase | None = None
    reason: str = ""
    flags: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    encoding: str = "utf-8"
    undisclosed: bool = False
    answer: msgspec.Raw = msgspec.Raw()
    answer_error: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """What a generator says of the files beside it."""

    provenance: dict[str, str]
    cases: tuple[Claim, ...]
    flags: dict[str, str] = {}
    skipped: dict[str, str] = {}


class Judged(msgspec.Struct, frozen=True):
    """A case as it goes into the corpus, and whatever does not hold of it."""

    case: Case
    problems: tuple[str, ...]


def judge(claim: Claim, file: Path, reference: Reference, *, by: str = "") -> Judged:
    """Reads the file with both readers in every mode, and holds it to the claim.

    `by` names the release that gave `claim.answer`.
    """
    result = check(
        file, reference, MODES, limit=100, explain=explain, encoding=claim.encoding
    )
    trace = traced(file, claim.encoding)
    answers = _Answers(claim, file, reference, result)
    answers.ask()
    if by:
        answers.release(by)
    ledger = tuple(sorted({mode.row for mode in result.modes if mode.row}))
    problems = list(_problems(claim, result, answers))
    # A container that cannot be opened never says what is inside.
    if claim.phase != "container" and claim.path not in exercised(trace):
        problems.append(f"does not exercise {claim.path}")
    case = Case(
        id=claim.id,
        file=Path(claim.id + claim.suffix).name,
        sha256=claim.sha256,
        shows=claim.shows,
        path=claim.path,
        label=claim.label,
        verdict=claim.verdict,
        phase=claim.phase,
        reason=_reason(claim, ledger),
        flags=_flags(claim, answers),
        links=claim.links,
        containers=tuple(trace.containers),
        protocols=tuple(trace.protocols),
        calls=dict(sorted(trace.calls.items())),
        encoding=claim.encoding,
        refused_by=answers.refused,
        ledger=ledger,
        expected=answers.given[0] if answers.given else None,
        alternatives=tuple(answers.given[1:]),
    )
    return Judged(case, tuple(problems))


def _flags(claim: Claim, answers: _Answers) -> tuple[str, ...]:
    """Those that were claimed, and the one that torch decides."""
    refused = claim.verdict != "invalid" and WEIGHTS.name in answers.refused
    return tuple(sorted({*claim.flags} - {REFUSED} | ({REFUSED} if refused else set())))


def _reason(claim: Claim, ledger: tuple[str, ...]) -> str:
    """Where the generator leaves it to the ledger, the ledger's words."""
    if claim.verdict != "either" or claim.reason != LEDGER:
        return claim.reason
    return "; ".join(rows()[row].why for row in ledger) or claim.reason


class _Answers:
    """Who reads what in a file: equal answers are one, with several readers."""

    def __init__(
        self,
        claim: Claim,
        file: Path,
        reference: Reference,
        result: FileResult,
    ) -> None:
        self.claim = claim
        self.file = file
        self.reference = reference
        self.result = {mode.mode: mode for mode in result.modes}
        self.given: list[Answer] = []
        #: What was given, each beside its answer.
        self.descriptions: list[Description] = []
        self.refused: dict[str, str] = {}
        self.ours: Description | None = None
        self.error: CheckpointError | None = None
        try:
            self.ours = ours.load(file, weights_only=False, encoding=claim.encoding)
        except CheckpointError as error:
            self.error = error

    def ask(self) -> None:
        """torch in each mode, and then us, where nobody said the same."""
        for mode in ORDER:
            found = self.result[str(mode)]
            by = mode.name
            refusal = _refusal(found)
            if found.verdict is Outcome.NO_MMAP:
                continue
            if refusal is not None:
                self.refused[by] = refusal
                continue
            answer = self.reference.load(self.file, mode, encoding=self.claim.encoding)
            if isinstance(answer, Answered):
                self.add(by, answer.payload)
            else:
                self.refused[by] = str(answer).partition(":")[0]
        if self.ours is None:
            self.refused[OURS] = type(self.error).__name__
        elif not any(self.same(given, self.ours) for given in self.descriptions):
            self.add(OURS, self.ours)

    def release(self, by: str) -> None:
        """What the release that wrote the file read in it."""
        if self.claim.answer_error:
            self.refused[by] = self.claim.answer_error.partition(":")[0]
            return
        self.add(by, from_json(bytes(self.claim.answer)))

    def add(self, by: str, description: Description) -> None:
        for index, given in enumerate(self.given):
            if self.same(self.descriptions[index], description):
                readers = (*given.by, by)
                self.given[index] = msgspec.structs.replace(given, by=readers)
                return
        # Only our own reading can show elements; where it is the same, they are
        # the same.
        shown = self.ours
        if shown is None or not compare(shown, description, limit=1).equal:
            shown = description
        document = plainest(to_document(description))
        large = len(msgspec.json.encode(document)) > Answer.LARGEST
        value = None if large else document
        self.given.append(Answer((by,), value, tuple(flat(shown))))
        self.descriptions.append(description)

    @staticmethod
    def same(one: Description, other: Description) -> bool:
        return compare(one, other, limit=1).equal


def plainest(document: Document) -> Document:
    """The same, with everything left out that is as usual."""
    nodes = [
        usual(node) if isinstance(node, Tensor) else node for node in document.nodes
    ]
    return Document(document.version, nodes, document.storages)


def _refusal(found: ModeResult) -> str | None:
    """Why torch has no answer in this mode, in a word or two."""
    if found.torch is None:
        return None
    # A message has addresses, versions and paths in it; its kind is enough.
    kind = found.torch.partition(":")[0].strip() or found.verdict.value
    return f"crash ({kind})" if kind.startswith("SIG") else kind


def _problems(claim: Claim, result: FileResult, answers: _Answers) -> Iterator[str]:
    for mode in result.modes:
        if not mode.verdict.agrees:
            yield f"{mode.mode}: {mode.verdict.value}: {_what(mode)}"
    if claim.verdict == "valid":
        yield from _valid(result)
    elif claim.verdict == "invalid":
        yield from _invalid(claim, result, answers)
    elif not answers.given and not claim.reason:
        yield "nobody loads it, and no reason is given"


def _what(mode: ModeResult) -> str:
    if mode.differences:
        return str(mode.differences[0])
    return mode.torch or mode.ours or ""


def _valid(result: FileResult) -> Iterator[str]:
    for mode in result.modes:
        loads = mode.verdict in (Outcome.EQUAL, Outcome.NO_MMAP)
        if mode.mode == str(FIRST) and not loads:
            yield f"claimed valid; {mode.mode}: {mode.verdict.value}: {_what(mode)}"
        elif mode.verdict is Outcome.KNOWN and (mode.total or mode.torch is None):
            yield f"claimed valid; {mode.mode} gives something else ({mode.row})"


def _invalid(claim: Claim, result: FileResult, answers: _Answers) -> Iterator[str]:
    for mode in result.modes:
        if mode.verdict not in (Outcome.BOTH_REFUSE, Outcome.NO_MMAP):
            yield f"claimed invalid; {mode.mode}: {mode.verdict.value}: {_what(mode)}"
    if answers.error is None:
        yield "claimed invalid; we load it with weights_only=False"
    elif answers.error.phase != claim.phase:
        yield f"claimed to fail in phase {claim.phase}; we say: {answers.error}"

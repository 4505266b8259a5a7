"""A loader and torch on one input."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from conformance.corpus.format import Answer, Case
from conformance.description import Description, to_document
from conformance.loaders import ours
from conformance.loaders.outcome import Outcome, digest
from conformance.loaders.reference import Mode, Reference
from conformance.matrix.adapter import Adapter
from conformance.matrix.judging import judge
from conformance.matrix.results import Difference, Verdict
from conformance.parser import CheckpointError
from conformance.walk import flat

#: The mode that reads most: what it refuses, no loader need read.
FULL: Final = Mode(weights_only=False)

#: What a loader must not do with a file, whatever torch makes of it.
DEATHS: Final = frozenset({Verdict.CRASH, Verdict.TIMEOUT, Verdict.ERROR})

#: What is found, of all verdicts: a loader may refuse what it does not know, and
#: be more lenient than torch.
FOUND: Final = DEATHS | {Verdict.WRONG, Verdict.MISSING}


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of one input.

    `torch`: whether torch loads it; `None` where torch and we do not agree on
    that, or on what is in it, and only deaths count.
    """

    verdict: Verdict
    cause: str
    message: str
    torch: bool | None
    differences: tuple[Difference, ...] = ()

    @property
    def kind(self) -> str:
        """The same for inputs that nothing tells apart."""
        return f"{self.verdict.value} | {self.cause}"

    @property
    def signature(self) -> str | None:
        """`kind`, if it is anything to be found."""
        return self.kind if self.verdict in FOUND else None


class Asking:
    """Asks both; safe against what an input does to either."""

    def __init__(self, adapter: Adapter, reference: Reference) -> None:
        self.adapter = adapter
        self.reference = reference
        self._folder = tempfile.TemporaryDirectory(prefix="torchproof-")
        # Some loaders look at the name.
        self._path = Path(self._folder.name, "input.pt")

    def __enter__(self) -> Asking:  # noqa: PYI034 (Self is 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def hear(self, data: bytes) -> Heard:
        """The loader's verdict on an input."""
        self._path.write_bytes(data)
        answer = self.adapter.load(self._path)
        loads, description = self._torch()
        case = _case(loads, description)
        found = judge(case, answer, self.adapter.started.facts)
        if found.verdict not in DEATHS and loads is None:
            return Heard(Verdict.SKIP, "torch and torchproof differ", "", None)
        return Heard(
            found.verdict, found.cause, found.message, loads, found.differences
        )

    def _torch(self) -> tuple[bool | None, Description | None]:
        """Whether torch loads the file, and what: ours, if it is the same."""
        torch = self.reference.outcome(self._path, FULL)
        if not isinstance(torch, Outcome):
            return None, None
        if not torch.loaded:
            return False, None
        with contextlib.suppress(CheckpointError):
            description = ours.load(self._path, weights_only=False)
            if digest(description) == torch.digest:
                return True, description
        return None, None


def _case(loads: bool | None, description: Description | None) -> Case:
    """The input as if it were a case of the corpus."""
    expected = None
    if description is not None:
        expected = Answer(
            by=("full",),
            value=to_document(description),
            tensors=tuple(flat(description)),
        )
    return Case(
        id="",
        file="",
        sha256="",
        shows="",
        path="",
        label="built",
        verdict="valid" if loads else "invalid",
        expected=expected,
    )

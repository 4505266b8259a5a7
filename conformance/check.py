"""Both readers on one file: a verdict for each mode of `torch.load`.

`torch.load` with `mmap=False` is the reference. Our reader maps every file, and
is held against `mmap=True` too wherever torch can do that.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from conformance.compare import Difference, compare
from conformance.description import Description, Tensor
from conformance.loaders import ours
from conformance.loaders.reference import Mode, Reference
from conformance.loaders.worker import (
    Answer,
    Crash,
    Hang,
    Nondeterministic,
    OutOfMemory,
    Rejected,
    Result,
    Unavailable,
)
from conformance.parser import CheckpointError, Trace


class Verdict(str, Enum):
    """What came of one file in one mode, in the words that are shown."""

    KNOWN = "known divergence"
    EQUAL = "equal"
    BOTH_REFUSE = "both refuse"
    NO_MMAP = "no mmap"
    DIFFER = "differ"
    ONLY_TORCH = "only torch loads"
    ONLY_OURS = "only we load"
    CRASHED = "torch crashed"
    HUNG = "torch hung"
    OUT_OF_MEMORY = "torch out of memory"
    NONDETERMINISTIC = "torch nondeterministic"
    UNAVAILABLE = "torch not available"
    BUG = "our reader crashed"

    @property
    def agrees(self) -> bool:
        """Whether the two readers say the same, or the ledger says why not."""
        return self in AGREEMENT


#: `NO_MMAP`: torch can only map zip archives, and refuses the rest.
AGREEMENT: Final = frozenset(
    {Verdict.EQUAL, Verdict.BOTH_REFUSE, Verdict.NO_MMAP, Verdict.KNOWN}
)

_FAILURES: Final[dict[type[Result], Verdict]] = {
    Crash: Verdict.CRASHED,
    Hang: Verdict.HUNG,
    OutOfMemory: Verdict.OUT_OF_MEMORY,
    Nondeterministic: Verdict.NONDETERMINISTIC,
    Unavailable: Verdict.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class ModeResult:
    """One file in one mode.

    `ours` and `torch` are what each reader said when it did not load;
    `differences` the first of `total`; `row` the row of the ledger that
    explains a divergence.
    """

    mode: str
    verdict: Verdict
    ours: str | None = None
    torch: str | None = None
    differences: tuple[Difference, ...] = ()
    total: int = 0
    row: str | None = None


@dataclass(slots=True)
class FileResult:
    """One file: its size, what we found in it, and every mode's result.

    `tensors` and `parameters` are counts, `storage_nbytes` the bytes of all
    storages, each once; zero where we could not read the file. `seconds` is
    the time that both readers and the comparison took.
    """

    file: str
    size: int
    tensors: int = 0
    parameters: int = 0
    storage_nbytes: int = 0
    seconds: float = 0.0
    modes: list[ModeResult] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        return all(result.verdict.agrees for result in self.modes)


#: Given the file and the result of one mode: the id of the ledger's row that
#: explains it, or `None`.
Explain = Callable[[str, ModeResult], str | None]


def unexplained(_file: str, _result: ModeResult) -> str | None:
    """No ledger: nothing is explained."""
    return None


def check(
    path: str | os.PathLike[str],
    reference: Reference,
    modes: Iterable[Mode],
    *,
    limit: int = 10,
    explain: Explain = unexplained,
    encoding: str = "utf-8",
) -> FileResult:
    """Read the file with both readers in each mode, and compare.

    Keeps the first `limit` differences of each mode; `encoding` is for strings
    of Python 2, as in `torch.load`. Raises `OSError` if the
    file cannot be opened; nothing else that is wrong with it raises.
    """
    begin = time.perf_counter()
    file = os.fspath(path)
    found = FileResult(file, Path(path).stat().st_size)
    readings: dict[bool, _Reading] = {}
    for mode in modes:
        reading = readings.get(mode.weights_only)
        if reading is None:
            reading = readings[mode.weights_only] = _Reading(
                file, mode.weights_only, encoding
            )
            reading.count(found)
        result = _judge(reading, reference, mode, limit)
        if not result.verdict.agrees:
            row = explain(file, result)
            if row is not None:
                result = _explained(result, row)
        found.modes.append(result)
    found.seconds = time.perf_counter() - begin
    return found


class _Reading:
    """What our reader makes of a file: a description or an error."""

    def __init__(self, file: str, weights_only: bool, encoding: str) -> None:
        self.file = file
        self.encoding = encoding
        self.trace = Trace()
        self.description: Description | None = None
        self.error: CheckpointError | None = None
        self.bug: str | None = None
        try:
            self.description = ours.load(
                file, weights_only=weights_only, encoding=encoding, trace=self.trace
            )
        except CheckpointError as error:
            self.error = error
        except OSError:
            raise
        except Exception:  # noqa: BLE001 (a bug of ours must not hide other files)
            self.bug = traceback.format_exc()

    @property
    def can_map(self) -> bool:
        """Whether torch would even try: its own test for a zip archive."""
        with Path(self.file).open("rb") as file:
            return file.read(4) == b"PK\3\4"

    def count(self, found: FileResult) -> None:
        """Fills in what we found in the file."""
        if self.description is None:
            return
        tensors = [node for node in self.description.nodes if isinstance(node, Tensor)]
        found.tensors = len(tensors)
        found.parameters = sum(
            node.type == "torch.nn.parameter.Parameter" for node in tensors
        )
        found.storage_nbytes = sum(
            storage.nbytes for storage in self.description.storages
        )


def _judge(
    reading: _Reading, reference: Reference, mode: Mode, limit: int
) -> ModeResult:
    name = str(mode)
    if reading.bug is not None:
        return ModeResult(name, Verdict.BUG, reading.bug)
    if mode.mmap and not reading.can_map:
        return ModeResult(name, Verdict.NO_MMAP)
    answer = reference.load(reading.file, mode, encoding=reading.encoding)
    result = _compared(name, reading, answer, limit)
    if result.verdict in (Verdict.DIFFER, Verdict.ONLY_TORCH):
        # Perhaps torch showed memory that nothing filled; then it will not
        # say the same again.
        again = reference.load(
            reading.file, mode, encoding=reading.encoding, twice=True
        )
        if not isinstance(again, Answer):
            return _compared(name, reading, again, limit)
    return result


def _compared(mode: str, reading: _Reading, answer: Result, limit: int) -> ModeResult:
    refusal = None if reading.error is None else str(reading.error)
    if isinstance(answer, Rejected):
        both = reading.description is None
        verdict = Verdict.BOTH_REFUSE if both else Verdict.ONLY_OURS
        return ModeResult(mode, verdict, refusal, str(answer))
    if not isinstance(answer, Answer):
        return ModeResult(mode, _FAILURES[type(answer)], refusal, str(answer))
    if reading.description is None:
        return ModeResult(mode, Verdict.ONLY_TORCH, refusal)
    comparison = compare(reading.description, answer.payload, limit=limit)
    return ModeResult(
        mode,
        Verdict.EQUAL if comparison.equal else Verdict.DIFFER,
        differences=comparison.differences,
        total=comparison.total,
    )


def _explained(result: ModeResult, row: str) -> ModeResult:
    return ModeResult(
        result.mode,
        Verdict.KNOWN,
        result.ours,
        result.torch,
        result.differences,
        result.total,
        row,
    )

"""Ours and torch on one input: what each says, and who explains a difference.

First each reader gives an outcome: a digest of what it loaded, or why it did
not. That takes well under a millisecond a reader, and most inputs are done with
it: both refuse, or the digests are equal. Only the rest is compared value by
value (`check`), with torch asked again, twice where it loads; and what differs
then must be explained by exactly one row of the ledger.
"""

from __future__ import annotations

import atexit
import functools
import io
import os
import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from typing import IO, Final
from zlib import crc32

from conformance import ledger
from conformance.check import FileResult, ModeResult, Verdict, check
from conformance.loaders import ours
from conformance.loaders.outcome import Outcome, digest
from conformance.loaders.reference import MODES, Mode, Reference
from conformance.loaders.worker import Crash, Failure, Hang, OutOfMemory
from conformance.parser import CheckpointError

from . import feedback
from .target import signature

#: `mmap` changes how torch opens a file and next to nothing of what it reads in
#: it; half the speed is too much for that.
ASKED: Final = MODES[:2]

#: Bytes that torch may map for one input, seconds that it may take, and inputs
#: after which its process is replaced.
MEMORY: Final = 1 << 30
TIMEOUT: Final = 1.0
RECYCLE: Final = 20_000

#: How often each row of the ledger explained a difference since the process began,
#: and how often there was each verdict, without the ledger.
counts: Final[Counter[str]] = Counter()
verdicts: Final[Counter[str]] = Counter()


@dataclass(frozen=True, slots=True)
class Pair:
    """What the readers made of one input in one mode.

    `cause` is our error in words that are the same for each file with it.
    """

    mode: Mode
    ours: Outcome
    torch: Outcome | Failure
    cause: str = ""

    @property
    def agree(self) -> bool:
        torch = self.torch
        return isinstance(torch, Outcome) and self.ours.digest == torch.digest

    @property
    def died(self) -> bool:
        """Whether torch gave no answer at all."""
        return not isinstance(self.torch, Outcome)

    def __str__(self) -> str:
        # Exception types and functions, and nothing of the input.
        return f"{self.mode.name}: {self.ours} / {_torch(self.torch)}"


@dataclass(slots=True)
class Judged:
    """Both readers on one input.

    `signature` is what differences of one cause have in common, `None` if the
    readers agree; `row` the row of the ledger that explains them (several, if
    several modes differ, each for its own reason), `None` if not all are
    explained by one row each.
    """

    result: FileResult
    pairs: list[Pair] = field(default_factory=list)
    signature: str | None = None
    row: str | None = None


def judge(data: bytes) -> Judged:
    """As `examine`; a bug of ours is a difference too, and does not escape."""
    try:
        return examine(data)
    except Exception as error:  # noqa: BLE001 (that there is one, is the verdict)
        _, path = _scratch()
        result = FileResult(path, len(data))
        return Judged(result, signature=signature(error))


def examine(data: bytes, thorough: bool = True) -> Judged:
    """Holds the readers against each other; lets our own bugs escape.

    In both modes if `thorough`, else in one, which the input decides.
    """
    path = _written(data)
    found = Judged(FileResult(path, len(data)))
    explained: dict[str, str] = {}
    unexplained = []
    for mode in ASKED if thorough else (ASKED[crc32(data) >> 8 & 1],):
        pair = _pair(data, path, mode)
        result, names = _judged(pair, path)
        found.pairs.append(pair)
        found.result.modes.append(result)
        verdicts[result.verdict.value] += 1
        counts.update(names)
        edge = str(pair)
        if not result.verdict.agrees:
            word = _signature(pair, result, names)
            if len(names) == 1:
                explained.setdefault(names[0], word)
            else:
                unexplained.append(word)
            edge += f" {', '.join(names) or _cause(pair, result)}"
        if not pair.died:
            # More of what hangs or dies would only be slow.
            feedback.walk(edge)
    found.signature = next(iter([*unexplained, *explained.values()]), None)
    if explained and not unexplained:
        found.row = ", ".join(explained)
    return found


def _pair(data: bytes, path: str, mode: Mode) -> Pair:
    """Both outcomes; the readers are at work at the same time."""
    mine: list[tuple[Outcome, str]] = []
    torch = reference().outcome(
        path, mode, meanwhile=lambda: mine.append(_ours(data, mode))
    )
    # It died before it was asked.
    code, cause = mine[0] if mine else _ours(data, mode)
    return Pair(mode, code, torch, cause)


def _ours(data: bytes, mode: Mode) -> tuple[Outcome, str]:
    """Our outcome, and the cause if it is an error."""
    try:
        description = ours.load(io.BytesIO(data), weights_only=mode.weights_only)
        return Outcome(digest(description)), ""
    except CheckpointError as error:
        code = Outcome("", error.kind, error.phase, str(error))
        return code, f"{code}: {_template(error.message)}"


# ------------------------------------------------------------------------ judging


def _judged(pair: Pair, path: str) -> tuple[ModeResult, list[str]]:
    """What `check` says of the file in one mode, and the rows that explain it."""
    name, we, torch = str(pair.mode), pair.ours, pair.torch
    refusal = None if we.loaded else we.message
    if pair.agree:
        verdict = Verdict.EQUAL if we.loaded else Verdict.BOTH_REFUSE
        return ModeResult(name, verdict, refusal), []
    known = None
    if isinstance(torch, Outcome):
        if not torch.loaded:
            said = f"{torch.error}: {torch.message}"
            known = ModeResult(name, Verdict.ONLY_OURS, None, said)
    elif type(torch) in _DEATHS:
        known = ModeResult(name, _DEATHS[type(torch)], refusal, str(torch))
    if known is not None:
        names = ledger.explaining(path, known)
        death = known.verdict, pair.cause
        if len(names) == 1 or not pair.died or death in _CONFIRMED:
            return known, names
    # Asked again: a process with a past may have run out of memory, or of time.
    (result,) = check(path, reference(), [pair.mode]).modes
    if pair.died:
        _CONFIRMED.add((result.verdict, pair.cause))
    return result, [] if result.verdict.agrees else ledger.explaining(path, result)


#: Deaths of torch that were seen twice on one input, each with our cause: the
#: next time once is enough, for a hang costs a second.
_CONFIRMED: Final[set[tuple[Verdict, str]]] = set()


_DEATHS: Final[dict[type, Verdict]] = {
    Crash: Verdict.CRASHED,
    Hang: Verdict.HUNG,
    OutOfMemory: Verdict.OUT_OF_MEMORY,
}


@functools.cache
def reference() -> Reference:
    """torch, for this process; its own processes end with this one."""
    # Some files make torch import this, which would cost each child a second.
    late = ["torch._dynamo"]
    made = Reference(timeout=TIMEOUT, memory=MEMORY, recycle=RECYCLE, preload=late)
    atexit.register(made.close)
    return made


def _written(data: bytes) -> str:
    """The path of a file with these bytes, until the next one is written."""
    file, path = _scratch()
    os.pwrite(file.fileno(), data, 0)
    os.ftruncate(file.fileno(), len(data))
    return path


@functools.cache
def _scratch() -> tuple[IO[bytes], str]:
    memory = "/dev/shm"  # noqa: S108 (a file in memory is quicker)
    folder = memory if os.access(memory, os.W_OK) else None
    file: IO[bytes]
    if sys.platform == "linux":
        # libFuzzer ends a process without cleaning up: there is nothing to clean.
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        path = f"/proc/{os.getpid()}/fd/{file.fileno()}"
    else:
        named = tempfile.NamedTemporaryFile(suffix=".pt")  # noqa: SIM115
        file, path = named.file, named.name
    atexit.register(file.close)
    return file, path


# --------------------------------------------------------------------- signatures


def _signature(pair: Pair, result: ModeResult, names: list[str]) -> str:
    """The verdict, our error or torch's, and what kind of value differs where."""
    several = f"{len(names)} rows: {', '.join(names)}" if len(names) > 1 else ""
    parts = (result.verdict.value, _cause(pair, result), several)
    return " | ".join(filter(None, parts))


def _cause(pair: Pair, result: ModeResult) -> str:
    if result.differences:
        first = result.differences[0]
        return f"{_template(first.fact)} at {_place(first.path)}"
    if result.verdict is Verdict.ONLY_OURS and isinstance(pair.torch, Outcome):
        return f"{pair.torch}: {_reason(pair.torch.message)}"
    if result.verdict is Verdict.CRASHED:
        return " | ".join(filter(None, (str(result.torch), pair.cause)))
    return pair.cause or f"we load: {_reason(result.torch or '')}"


def _torch(outcome: Outcome | Failure) -> str:
    """torch's outcome in words that are the same for each file with it."""
    if isinstance(outcome, Outcome | Crash):
        return str(outcome)
    return type(outcome).__name__


#: Before and after these words torch says what it always says.
_ADVICE: Final = re.compile(r".*WeightsUnpickler error: ", re.DOTALL)
_NAMES: Final = re.compile(r"GLOBAL .*|\S*\.\S*[^\s.]|\n.*", re.DOTALL)


def _reason(message: str) -> str:
    """What torch says in words that are the same for each file."""
    return _template(_NAMES.sub("", _ADVICE.sub("", message)))[:60].strip()


#: What a message says of one file alone.
_QUOTED: Final = re.compile(r"'.*'|<[^>]*>", re.DOTALL)
_NUMBERS: Final = re.compile(r"-?\b\d[\w.]*(, ?-?\d[\w.]*)*,?")


#: Where in a packed pickle it is, which is said only of some.
_PACKED: Final = re.compile(r" \(at \d+ of the packed pickle\)")


def _template(text: str) -> str:
    text = _PACKED.sub("", text)
    return _NUMBERS.sub("N", _QUOTED.sub("'...'", text))[:120]


_STEP: Final = re.compile(r"\.[A-Za-z_]+$|\.key\(.*\)$|[\])}]$", re.DOTALL)


def _place(path: str) -> str:
    """The last step to a value, without keys and numbers: `[...]`, `.scales`."""
    found = _STEP.search(path)
    if found is None:
        return "the root"
    return found[0] if found[0][-1] not in "])}" else f"[...{found[0][-1]}"

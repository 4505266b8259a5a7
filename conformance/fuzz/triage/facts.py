"""What both readers say of one file, and which paths it exercises."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import msgspec

from conformance.check import ModeResult, Verdict, check
from conformance.corpus.paths import exercised
from conformance.ledger import explain
from conformance.loaders.reference import MODES, Reference
from conformance.loaders.reference import Mode as TorchMode
from conformance.loaders.worker import (
    Answer,
    Crash,
    Hang,
    Nondeterministic,
    OutOfMemory,
    Rejected,
    Result,
)
from conformance.parser import CheckpointError, Trace, load

#: Words for a reader that loads a file, and for one that was not asked.
LOADS: Final = "loads"
NOT_ASKED: Final = "not asked"

#: What torch must not do to its process, in the words of `check` and in ours.
DEFECTS: Final = {
    Verdict.CRASHED: "crashes",
    Verdict.HUNG: "hangs",
    Verdict.OUT_OF_MEMORY: "runs out of memory",
    Verdict.NONDETERMINISTIC: "shows memory",
}
_DEFECTS: Final[dict[type[Result], str]] = {
    Crash: DEFECTS[Verdict.CRASHED],
    Hang: DEFECTS[Verdict.HUNG],
    OutOfMemory: DEFECTS[Verdict.OUT_OF_MEMORY],
    Nondeterministic: DEFECTS[Verdict.NONDETERMINISTIC],
}
#: Of those, what is told to its maintainers first (SECURITY.md).
SECRET: Final = frozenset(DEFECTS.values()) - {DEFECTS[Verdict.OUT_OF_MEMORY]}


class Mode(msgspec.Struct, frozen=True):
    """One mode of `torch.load`: a verdict of `check`, and each reader in a word.

    `torch` and `ours` are `LOADS`, the kind of an error, or what became of the
    process.
    """

    name: str
    verdict: str
    torch: str
    ours: str
    row: str | None = None


class Facts(msgspec.Struct, frozen=True):
    """What is known of a file.

    `paths` are those that it exercises, `phase` is where we refuse it with
    `weights_only=False` (`None`: we do not), `died` what became of the process
    that wanted to know.
    """

    modes: tuple[Mode, ...] = ()
    paths: tuple[str, ...] = ()
    phase: str | None = None
    died: str = ""

    @property
    def defects(self) -> tuple[str, ...]:
        """What torch does that it must not do."""
        said = dict.fromkeys(mode.torch for mode in self.modes)
        return tuple(words for words in said if words in DEFECTS.values())

    @property
    def secret(self) -> bool:
        """Whether that is not to be told before its maintainers know."""
        return not SECRET.isdisjoint(self.defects)

    @property
    def torch(self) -> str:
        """What torch says, in a few words."""
        return self._said({mode.name: mode.torch for mode in self.modes})

    @property
    def ours(self) -> str:
        """What we say, in a few words."""
        return self.died or self._said({mode.name: mode.ours for mode in self.modes})

    @staticmethod
    def _said(words: dict[str, str]) -> str:
        if len(set(words.values())) <= 1:
            return next(iter(words.values()), NOT_ASKED)
        return ", ".join(f"{name}: {said}" for name, said in words.items())


def facts(path: Path, reference: Reference) -> Facts:
    """Reads the file with both readers; may do to the process what the file does."""
    result = check(path, reference, MODES, limit=1, explain=explain)
    trace = Trace(pickles=[])
    phase = None
    # A bug of ours is among the verdicts.
    with contextlib.suppress(Exception):
        try:
            load(path, weights_only=False, trace=trace)
        except CheckpointError as error:
            phase = error.phase
    modes = [
        Mode(
            mode.name,
            found.verdict.value,
            _torch(path, mode, found, reference),
            _ours(found),
            found.row,
        )
        for mode, found in zip(MODES, result.modes, strict=True)
        if found.verdict is not Verdict.NO_MMAP
        if not (mode.mmap and found.verdict is Verdict.BUG)
    ]
    return Facts(tuple(modes), tuple(sorted(exercised(trace))), phase)


def torch_alone(path: Path, reference: Reference) -> Facts:
    """What is known of a file that ends the process in which we read it."""
    modes = (
        Mode(mode.name, Verdict.BUG.value, _asked(path, mode, reference), NOT_ASKED)
        for mode in MODES
        if not mode.mmap
    )
    return Facts(tuple(modes))


def _torch(path: Path, mode: TorchMode, found: ModeResult, reference: Reference) -> str:
    if found.verdict is Verdict.BUG:
        # Where we have a bug, `check` is done.
        return _asked(path, mode, reference)
    if found.verdict is Verdict.UNAVAILABLE:
        return NOT_ASKED
    if found.verdict in DEFECTS:
        return DEFECTS[found.verdict]
    return LOADS if found.torch is None else found.torch.partition(":")[0]


def _asked(path: Path, mode: TorchMode, reference: Reference) -> str:
    answer = reference.load(path, mode, twice=True)
    match answer:
        case Answer():
            return LOADS
        case Rejected():
            return answer.type
    return _DEFECTS.get(type(answer), NOT_ASKED)


def _ours(found: ModeResult) -> str:
    if found.verdict is Verdict.BUG:
        # The last line of a traceback.
        return f"bug: {(found.ours or '').strip().rpartition(chr(10))[2]}"
    return LOADS if found.ours is None else f"refuses: {found.ours}"

"""Who says what is wrong with an input: our targets, each in a process of its own."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from conformance.loaders.worker import Answer, Crash, Hang, OutOfMemory, Result, Worker

from .facts import Facts

CHILD: Final = "conformance.fuzz.triage.child"

#: The target that asks torch too; its findings may be explained by the ledger.
DIFFERENTIAL: Final = "differential"

#: For one judgement: seconds, and bytes beyond what the process takes itself.
TIMEOUT: Final = 10.0
MEMORY: Final = 4 << 30
#: torch has limits of its own, and is asked more than once.
PATIENCE: Final = 120.0

#: What the signature of an input begins with that ends the process.
DIED: Final = "died | "
HUNG: Final = f"{DIED}timeout"


class Judgement(msgspec.Struct, frozen=True):
    """The signature of an input, or `None`; `row` is the one that explains it."""

    signature: str | None
    row: str | None = None


class CannotJudge(Exception):
    """There is no such target, or something that it needs is not installed."""


class Judges:
    """Judges inputs for targets, by their names."""

    def __init__(self, *, timeout: float = TIMEOUT, memory: int = MEMORY) -> None:
        self._alone = Worker(CHILD, timeout=timeout, memory=memory, recycle=100_000)
        self._torch = Worker(CHILD, timeout=PATIENCE, recycle=100_000)

    def __enter__(self) -> Judges:  # noqa: PYI034 (Self is 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self._alone.close()
        self._torch.close()

    def judge(self, target: str, data: bytes) -> Judgement:
        """What is wrong with the bytes; raises `CannotJudge`."""
        worker = self._torch if target == DIFFERENTIAL else self._alone
        request = {
            "do": "judge",
            "target": target,
            "data": base64.b64encode(data).decode("ascii"),
        }
        result = worker.ask(request)
        died = death(result)
        if died:
            return Judgement(died)
        return msgspec.json.decode(_payload(result), type=Judgement)

    def of(self, target: str) -> Callable[[bytes], str | None]:
        """A judge for clustering and minimising."""
        return lambda data: self.judge(target, data).signature

    def command(self, target: str) -> str:
        """The command that shows it again, before the name of the file."""
        if target == DIFFERENTIAL:
            return "torchproof check"
        return f"torchproof fuzz replay {target}"

    def hangs(self, signature: str) -> bool:
        """Whether every judgement of such an input takes as long as one may."""
        return signature == HUNG

    def facts(self, path: Path) -> Facts:
        """What both readers say of a file."""
        request = {"do": "facts", "path": str(path.absolute())}
        result = self._torch.ask({**request, "ours": True})
        died = death(result)
        if died:
            result = self._torch.ask({**request, "ours": False})
        known = msgspec.json.decode(_payload(result), type=Facts)
        return msgspec.structs.replace(known, died=died)


def death(result: Result) -> str:
    """The signature of an input that ended the process; empty if it lives."""
    match result:
        case Crash():
            return f"{DIED}{result}"
        case Hang():
            return HUNG
        case OutOfMemory():
            return f"{DIED}out of memory"
    return ""


def _payload(result: Result) -> Any:
    if not isinstance(result, Answer):
        raise CannotJudge(str(result))
    return result.payload

"""`torch.load` in a disposable process: what each of its modes answers."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from conformance.compare import compare
from conformance.description import from_json

from .outcome import Outcome
from .worker import Answer, Failure, Nondeterministic, Result, Worker

ORACLE: Final = "conformance.loaders.oracle"


@dataclass(frozen=True, slots=True)
class Mode:
    """How `torch.load` is called."""

    weights_only: bool
    mmap: bool = False

    def __str__(self) -> str:
        return f"weights_only={self.weights_only}" + ", mmap=True" * self.mmap

    @property
    def name(self) -> str:
        """In one word: `weights`, `full`, `weights-mmap`, `full-mmap`."""
        return ("weights" if self.weights_only else "full") + "-mmap" * self.mmap


#: The four modes; those without `mmap` are what others are held against.
MODES: Final = tuple(
    Mode(weights_only, mmap) for mmap in (False, True) for weights_only in (True, False)
)


class Reference:
    """torch as a loader, safe against what a file does to it.

    `timeout` in seconds for one load, `memory` in bytes beyond what torch
    itself takes. With `trust`, `weights_only=False` runs what the file asks
    for; without, it keeps it inert (see `oracle`). `recycle` and `preload` are
    as in `Worker`.
    """

    def __init__(
        self,
        *,
        timeout: float = 120.0,
        memory: int | None = None,
        trust: bool = False,
        recycle: int = 1_000,
        preload: Sequence[str] = (),
    ) -> None:
        self.trust = trust
        self._workers = [
            Worker(
                ORACLE,
                timeout=timeout,
                memory=memory,
                recycle=recycle,
                environment=_filled_with(byte),
                preload=preload,
            )
            for byte in (0x55, 0xAA)
        ]
        # Filling memory takes time, above all memory that is not even used.
        self._quick = Worker(
            ORACLE, timeout=timeout, memory=memory, recycle=recycle, preload=preload
        )

    def __enter__(self) -> Reference:  # noqa: PYI034 (Self is 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for worker in (*self._workers, self._quick):
            worker.close()

    def about(self) -> dict[str, str] | Failure:
        """torch's name and version, or why it cannot run."""
        result = self._workers[0].ask({"do": "about"})
        if isinstance(result, Answer):
            about: dict[str, str] = json.loads(result.payload)
            return about
        return result

    def load(
        self,
        path: str | os.PathLike[str],
        mode: Mode = MODES[0],
        *,
        encoding: str = "utf-8",
        twice: bool = False,
    ) -> Result:
        """An `Answer` with a `Description`, or what went wrong.

        The bytes of the answer's storages can be read until the next load.
        With `twice`, two processes whose fresh memory is filled differently are
        asked, and an answer on which they differ is `Nondeterministic`: torch
        has handed out memory that nothing in the file filled.
        """
        request = self._request("load", path, mode, encoding)
        first = self._ask(self._workers[0], request)
        if not twice or not isinstance(first, Answer):
            return first
        second = self._ask(self._workers[1], request)
        if not isinstance(second, Answer):
            return Nondeterministic(f"once it loads, once: {second}")
        comparison = compare(first.payload, second.payload, limit=1)
        if not comparison.equal:
            return Nondeterministic(str(comparison.differences[0]))
        return first

    def outcome(
        self,
        path: str | os.PathLike[str],
        mode: Mode = MODES[0],
        *,
        encoding: str = "utf-8",
        meanwhile: Callable[[], object] | None = None,
    ) -> Outcome | Failure:
        """What comes of loading a file, and nothing of what is in it; quick.

        `meanwhile` is called while torch reads.
        """
        request = self._request("outcome", path, mode, encoding)
        result = self._quick.ask(request, meanwhile=meanwhile)
        if isinstance(result, Answer):
            return _OUTCOMES.decode(result.payload)
        return result

    def _request(
        self, do: str, path: str | os.PathLike[str], mode: Mode, encoding: str
    ) -> dict[str, Any]:
        return {
            "do": do,
            "path": os.path.abspath(path),
            "weights_only": mode.weights_only,
            "mmap": mode.mmap,
            "trust": self.trust and not mode.weights_only,
            "encoding": encoding,
        }

    def _ask(self, worker: Worker, request: dict[str, Any]) -> Result:
        ticket = next(_TICKETS)
        result = worker.ask({**request, "ticket": ticket})
        if not isinstance(result, Answer):
            return result
        return Answer(
            from_json(result.payload, lambda number: _Remote(worker, ticket, number))
        )


_OUTCOMES: Final = msgspec.json.Decoder(Outcome)

#: Numbers the loads, so that nobody reads the bytes of another one.
_TICKETS: Final = itertools.count()


def _filled_with(byte: int) -> dict[str, str]:
    """An environment in which glibc fills fresh memory with a byte."""
    return {
        "MALLOC_PERTURB_": str(byte),
        "GLIBC_TUNABLES": f"glibc.malloc.perturb={byte}",
    }


@dataclass(frozen=True, slots=True)
class _Remote:
    """The bytes of a storage that a worker holds, until it loads again."""

    worker: Worker
    ticket: int
    storage: int

    def read(self, start: int, stop: int) -> bytes:
        return self._ask("read", start, stop)

    def digest(self, start: int, stop: int) -> str:
        return self._ask("digest", start, stop).decode()

    def _ask(self, what: str, start: int, stop: int) -> bytes:
        request = {"do": what, "ticket": self.ticket, "storage": self.storage}
        result = self.worker.ask({**request, "start": start, "stop": stop}, fresh=False)
        if not isinstance(result, Answer):
            raise LookupError(str(result))
        payload: bytes = result.payload
        return payload

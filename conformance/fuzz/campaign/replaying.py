"""Targets on files, in a process that may die of them."""

from __future__ import annotations

import faulthandler
import os
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from conformance.loaders.worker import Answer, Crash, Hang, Worker

from ..findings import described
from ..lookup import find
from ..target import signature
from .job import death, environment

#: Bytes that the target may use.
MEMORY: Final = 8 << 30


class Raised(msgspec.Struct, frozen=True):
    """What an input did: the signature it has as a finding, and what was said."""

    signature: str
    message: str
    traceback: str = ""


class Replayed(msgspec.Struct, frozen=True):
    """A file, and what it did; `None` if every invariant held."""

    file: str
    size: int
    raised: Raised | None


def replay(target: str, files: Iterable[Path], *, timeout: float) -> Iterator[Replayed]:
    """Each file in turn; raises `OSError` for one that cannot be read."""
    worker = Worker(
        __name__,
        timeout=timeout,
        memory=MEMORY,
        environment={"PYTHONPATH": environment()["PYTHONPATH"]},
    )
    with worker:
        for file in files:
            with open(file, "rb") as stream:
                size = os.fstat(stream.fileno()).st_size
            result = worker.ask({"target": target, "file": os.path.abspath(file)})
            if isinstance(result, Answer):
                raised = msgspec.json.decode(result.payload, type=Raised | None)
            elif isinstance(result, Hang):
                raised = Raised("died | timeout", str(result))
            elif isinstance(result, Crash):
                lines = result.output.encode().splitlines()
                raised = Raised(death(lines) or f"died | {result}", result.output)
            else:
                raised = Raised(f"died | {result}", str(result))
            yield Replayed(str(file), size, raised)


def answer(request: Mapping[str, Any]) -> bytes:
    """What the target raises, in the process that may die of it."""
    faulthandler.enable(all_threads=False)
    target = find(request["target"])
    data = Path(request["file"]).read_bytes()
    raised = None
    try:
        target.run(data, True)
    except BaseException as error:  # noqa: BLE001 (what escapes is the point)
        raised = Raised(
            signature(error),
            described(error),
            "".join(traceback.format_exception(error)),
        )
    return msgspec.json.encode(raised)

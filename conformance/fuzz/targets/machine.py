"""The pickle machine alone: no container, and storages that nobody wrote."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import Any, Final

from conformance.parser import CheckpointError, Malformed, Storage, Trace, containers
from conformance.parser.context import Context, record_key, storage_id
from conformance.parser.limits import Budget
from conformance.parser.unpickler import Data

from ..invariants.checks import COSTLY, Subject, check
from ..invariants.cost import Metered
from ..invariants.guard import GUARD
from ..invariants.reading import FULL, TIGHT, Mode
from ..mutation import pickles
from ..target import Target, Violation
from . import costly, edges, seeds

#: The largest storage that the stand-in hands out, in bytes.
LARGEST: Final = 1 << 13

#: What they hold: zeros, which are in range whatever they stand for, ascending
#: numbers, which as offsets and indices make sense, or -1, which never does.
_ZEROS: Final = memoryview(bytes(LARGEST))
_ASCENDING: Final = memoryview(struct.pack(f"<{LARGEST // 8}q", *range(LARGEST // 8)))
_BELOW: Final = memoryview(b"\xff" * LARGEST)


def _filling(key: str) -> memoryview:
    """Of a storage with this key: odd numbers ascend, those below zero are -1."""
    if key[-1:] not in "13579":
        return _ZEROS
    return _BELOW if key.startswith("-") else _ASCENDING


class _Storages:
    """Stands for the container: a storage of any size for any key, up to a bound."""

    __slots__ = ("made",)

    def __init__(self) -> None:
        self.made: dict[Any, Storage] = {}

    def load(self, pid: Any) -> Storage:
        view = type(pid) is tuple and len(pid) > 5
        kind, key, location, numel, _ = storage_id(pid, 6 if view else 5)
        name = record_key(key)
        storage = self.made.get(key)
        if storage is None or not storage.nbytes:
            nbytes = numel * kind.info.itemsize
            if nbytes > LARGEST:
                raise Malformed(f"a storage of {nbytes} bytes", phase="pickle")
            source = None if location == "meta" else _filling(name)[:nbytes]
            storage = Storage(kind.info.name, nbytes, location, name, source)
            self.made[key] = storage
        return storage


def read(data: Data, mode: Mode) -> Any:
    """What the pickle holds, whatever storages it asks for."""
    context = Context(
        read=containers.read,
        weights_only=mode.weights_only,
        encoding=mode.encoding,
        limits=TIGHT,
        trace=Trace(),
        budget=Budget.of(TIGHT),
    )
    context.grant(len(data))
    machine = context.unpickler(data, _Storages().load)
    GUARD.up()
    try:
        tree = machine.load()
        machine.run_deferred()
    finally:
        GUARD.down()
    return tree


def _as_a_view(data: bytes, mode: Mode) -> Any:
    return read(memoryview(data), mode)


_WAYS: Final = {"as a memoryview": _as_a_view}


def linear_reading(subject: Subject) -> None:
    """No more than a few times the pickle is copied, and some bytes each time.

    A line is looked for in pieces of 128 bytes and more.
    """
    data = Metered(subject.data)
    with contextlib.suppress(CheckpointError):
        read(data, FULL)
    if data.copied > 4 * len(data) + 128 * data.slices:
        told = f"{data.copied} bytes of {len(data)} copied, in {data.slices} slices"
        raise Violation("copies", told)


_COSTLY: Final = (*COSTLY, linear_reading)


def run(data: bytes, thorough: bool) -> None:
    """A pickle gives a value or a `CheckpointError`, at a cost linear in its size."""
    check(Subject(data, read, _WAYS), thorough, _COSTLY)


def _seeds() -> Iterator[bytes]:
    yield from edges.PICKLES.values()
    yield from costly.PICKLES.values()
    yield from seeds.pickles()


MACHINE: Final = Target("machine", run, pickles.mutate, _seeds)

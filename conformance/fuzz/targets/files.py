"""Whole files: each container by itself, and whatever a user may open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from conformance.parser import Limits

from ..invariants import offering
from ..invariants.checks import (
    Subject,
    check,
    elements_are_there,
    lazily_and_eagerly,
    offered_anyhow,
    shown_in_short,
    twice_the_same,
)
from ..invariants.offering import OFFERS, reader
from ..invariants.reading import TIGHT
from ..mutation import archives, files, streams, tars
from ..target import Target
from . import costly, edges, seeds

_IN_MEMORY: Final = reader(offering.in_memory, TIGHT)
_WAYS: Final = {name: reader(offer, TIGHT) for name, offer in OFFERS.items()}


def _check(data: bytes, thorough: bool) -> None:
    check(Subject(data, _IN_MEMORY, _WAYS), thorough)


def run_zip(data: bytes, thorough: bool) -> None:
    """An archive gives a value or a `CheckpointError`, however it is offered."""
    _check(data, thorough)


def run_legacy(data: bytes, thorough: bool) -> None:
    """A legacy stream gives a value or a `CheckpointError`, however it is offered."""
    _check(data, thorough)


def run_tar(data: bytes, thorough: bool) -> None:
    """A legacy tar gives a value or a `CheckpointError`, however it is offered."""
    _check(data, thorough)


_AS_PATH: Final = reader(offering.as_path, Limits())
_USUAL_WAYS: Final = {name: reader(offer, Limits()) for name, offer in OFFERS.items()}

#: What it costs is counted where the limits are tight.
_COSTLY: Final = (
    twice_the_same,
    lazily_and_eagerly,
    elements_are_there,
    shown_in_short,
    offered_anyhow,
)


def run_file(data: bytes, thorough: bool) -> None:
    """A file that a user opens by its name gives a value or a `CheckpointError`."""
    check(Subject(data, _AS_PATH, _USUAL_WAYS), thorough, _COSTLY)


def _seeds(*containers: str) -> Iterator[bytes]:
    return (data for _, data in seeds.files(*containers))


def _archives() -> Iterator[bytes]:
    yield from edges.ARCHIVES.values()
    yield from costly.ARCHIVES.values()
    yield from _seeds("zip", "torchscript")


def _files() -> Iterator[bytes]:
    yield from map(edges.around, edges.PICKLES.values())
    yield from edges.ARCHIVES.values()
    yield from _seeds()


ZIP: Final = Target("zip", run_zip, archives.mutate, _archives)
LEGACY: Final = Target(
    "legacy", run_legacy, streams.mutate, lambda: _seeds("legacy", "pickle")
)
TAR: Final = Target("tar", run_tar, tars.mutate, lambda: _seeds("tar"))
FILE: Final = Target("file", run_file, files.mutate, _files)

"""What campaigns begin with: the committed corpus, the same every time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from conformance.corpus.format import Case, cases, corpus_folder
from conformance.parser import CheckpointError, Trace, load

#: No larger ones: what they have, smaller ones have too.
LARGEST = 1 << 14


def files(*containers: str) -> Iterator[tuple[str, bytes]]:
    """The names and bytes of files in these containers; of all, if none is named."""
    seen: set[bytes] = set()
    for path, case in cases(corpus_folder()):
        if not containers or _container(case) in containers:
            data = path.read_bytes()
            if data not in seen and len(data) <= LARGEST:
                seen.add(data)
                yield path.name, data


def pickles() -> Iterator[bytes]:
    """Every pickle in the corpus, each once."""
    seen: set[bytes] = set()
    for path, case in cases(corpus_folder()):
        for pickle in _pickles(path, case.encoding):
            if pickle not in seen and len(pickle) <= LARGEST:
                seen.add(pickle)
                yield pickle


def _pickles(path: Path, encoding: str) -> list[bytes]:
    trace = Trace(pickles=[])
    with contextlib.suppress(CheckpointError):
        load(path, weights_only=False, encoding=encoding, trace=trace)
    return trace.pickles or []


def _container(case: Case) -> str:
    """The outermost one; a file that is refused before has none."""
    return case.containers[0] if case.containers else ""

"""What a file exercises, found by reading it, and not by trust.

A *path* is a way in which a checkpoint can rebuild its contents, spelled as in
`generators/cases/registry.py`. Whatever a case claims must be among these.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from conformance.parser import CheckpointError, Trace, load
from conformance.parser.opcodes import BY_CODE

from .stream import opcodes_of


def traced(path: str | os.PathLike[str], encoding: str = "utf-8") -> Trace:
    """What the file did while it was read, as far as that went; runs nothing."""
    trace = Trace(pickles=[])
    with contextlib.suppress(CheckpointError):
        load(path, weights_only=False, encoding=encoding, trace=trace)
    return trace


def exercised(trace: Trace) -> set[str]:
    """Every path that a file takes."""
    return set(_paths(trace))


def _paths(trace: Trace) -> Iterator[str]:
    yield from trace.calls
    for prefix, names in (
        ("global", trace.globals),
        ("build", trace.builds),
        ("persistent-id", trace.persistent_ids),
        ("container", trace.containers),
    ):
        yield from (f"{prefix}:{name}" for name in names)
    for pickle in trace.pickles or ():
        yield from (f"opcode:{name}" for name in _opcodes(pickle))


def _opcodes(pickle: bytes) -> set[str]:
    """The names of all opcodes, that one too at which the machine gave up."""
    found = set()
    try:
        for row, _, _ in opcodes_of(pickle):
            found.add(row.name)
    except CheckpointError as error:
        last = pickle[error.offset or 0 :]
        if last and last[0] in BY_CODE:
            found.add(BY_CODE[last[0]].name)
    return found

"""What a file exercises, found by reading it, and not by trust.

A *path* is a way in which a checkpoint can rebuild its contents, spelled as in
`generators/cases/registry.py`. Whatever a case claims must be among these.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from conformance.parser import CheckpointError, Trace, load

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
        yield from {f"opcode:{row.name}" for row, _, _ in opcodes_of(pickle)}

"""`load`: the front door."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import containers
from .containers import distributed
from .context import Context
from .limits import Budget, Limits
from .source import File, from_position, map_path
from .text import encoding_name
from .trace import Trace


def load(
    file: File,
    *,
    weights_only: bool = True,
    encoding: str = "utf-8",
    limits: Limits | None = None,
    trace: Trace | None = None,
) -> Any:
    """What the checkpoint holds, as `torch.load` would build it, without torch.

    `file` is a path (memory-mapped) or a seekable binary file, read from its
    current position and left behind what was read, so that legacy streams in a
    row can be loaded one after the other. A folder written by
    `torch.distributed.checkpoint` gives its state dict, a single `.distcp`
    file the list of what it holds.

    With `weights_only=True` only torch's own allowlist of globals is known.
    With `False` every other global becomes an inert `Object` or `Global`:
    nothing that the file names is ever imported, looked up or called.
    `encoding` decodes the strings of Python 2: `utf-8`, `ascii`, `latin1`, or
    `bytes` to leave them alone. `trace` is filled with what the file did.

    Dicts, lists and the like come back as themselves; tensors as `Tensor`,
    storages as `Storage`, both reading their bytes when asked. Raises a
    `CheckpointError` for whatever is wrong with the file, `OSError` if it
    cannot be opened, `ValueError` for an unknown encoding.
    """
    name = encoding_name(encoding)
    if name is None:
        raise ValueError(
            f"unknown encoding {encoding!r}: use utf-8, ascii, latin1 or bytes"
        )
    if limits is None:
        limits = Limits()
    context = Context(
        read=containers.read,
        weights_only=weights_only,
        encoding=name,
        limits=limits,
        trace=Trace() if trace is None else trace,
        budget=Budget.of(limits),
    )
    with _collector_resting():
        return _read(file, context)


def _read(file: File, context: Context) -> Any:
    if isinstance(file, (str, os.PathLike)):
        if os.path.isdir(file):
            return distributed.read_folder(os.fsdecode(file), context)
        view = map_path(file)
        if os.fsdecode(file).endswith(distributed.SUFFIX):
            return distributed.read_file(view, context)
        return containers.read(view, context)[0]
    view, position = from_position(file)
    tree, size = containers.read(view, context)
    file.seek(position + size)
    return tree


@contextmanager
def _collector_resting() -> Iterator[None]:
    """No garbage collection meanwhile.

    A load makes many values and hardly any garbage; looking for it again and
    again takes a quarter of the time of loading 20,000 tensors.
    """
    resting = not gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not resting:
            gc.enable()

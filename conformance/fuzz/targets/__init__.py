"""What is fuzzed: plain functions from bytes to nothing, or to a `Violation`.

    machine     a pickle, alone
    files       zip archives, legacy streams, legacy tars, and any file by its name
    folder      folders of torch.distributed.checkpoint
    roundtrip   checkpoints built from the bytes, written, and read back
    differential  torch and we on one file
    seeds       the corpus; edges: what few writers write; costly: what a careless
                reader pays dearly for

What all of them hold their inputs to is in `fuzz.invariants`.
"""

from __future__ import annotations

from typing import Final

from ..target import Target
from .differential import DIFFERENTIAL
from .files import FILE, LEGACY, TAR, ZIP
from .folder import FOLDER
from .machine import MACHINE
from .roundtrip import ROUNDTRIP

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for target in (MACHINE, ZIP, LEGACY, TAR, FOLDER, FILE, ROUNDTRIP, DIFFERENTIAL)
}

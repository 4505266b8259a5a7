"""Every way in which a checkpoint can rebuild its contents: one function, one case.

A file in one of the folders here is a family of cases; `registry.py` has the
decorators and says how a path is spelled. `python -m generators.cases DIR` writes
them all. What torch and we make of them, and so what stands in the corpus,
`torchproof corpus build` finds out.

`classes.py` and `things.py` hold the classes that files name (and so do the
modules in `files/scripts.py`): moving one changes the files.
"""

from __future__ import annotations

from . import divergences, files, readers, tensors, values, wrong
from .registry import CASES, Case
from .writing import write

__all__ = [
    "CASES",
    "Case",
    "divergences",
    "files",
    "readers",
    "tensors",
    "values",
    "write",
    "wrong",
]

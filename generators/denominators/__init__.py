"""What there is to cover: everything the installed torch can put into a file.

Found by looking at torch itself, never from a list of ours: a release that has
one rebuild function more makes one entry more. `python -m
generators.denominators` prints all of it as one JSON document.

A *denominator* is a set of entries, each with the *paths* that cover it, spelled
as in `generators/cases/registry.py`; any one of them will do. Values are no
paths of their own, and are spelled `dtype:float32`, `layout:sparse_coo`,
`qscheme:per_tensor_affine` and `memory-format:channels_last`: a tensor like that
is in the file.
"""

from __future__ import annotations

from .collecting import Denominator, collect

__all__ = ["Denominator", "collect"]

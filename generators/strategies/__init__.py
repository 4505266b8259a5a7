"""Hypothesis strategies for whatever `torch.save` can write.

Two kinds of trees: those that `torch.load(weights_only=True)` reads, and those
that need `weights_only=False`. `checkpoints` draws the tree, `formats` how to
write it, and `saves` the bytes of a file:

    @given(saves(weights_only=True))
    def test_my_loader(file: bytes) -> None:
        my_loader(io.BytesIO(file))

Everything drawn loads again in the mode it was drawn for; what torch writes
but cannot read is left out, and the docstrings say what and why. Facts about
torch are those of 2.13.0.
"""

from __future__ import annotations

from .formats import Container, Format, formats, save
from .layouts import nested_tensors, quantized_tensors, sparse_tensors
from .scalars import keys, scalars
from .tensors import dtypes, meta_tensors, storages, strided_tensors
from .trees import checkpoints, saves, state_dicts, tensors

__all__ = [
    "Container",
    "Format",
    "checkpoints",
    "dtypes",
    "formats",
    "keys",
    "meta_tensors",
    "nested_tensors",
    "quantized_tensors",
    "save",
    "saves",
    "scalars",
    "sparse_tensors",
    "state_dicts",
    "storages",
    "strided_tensors",
    "tensors",
]

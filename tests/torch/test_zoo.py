"""Every torchvision model that builds offline: its state dict reads back equal.

Minutes of work, and up to 10 GB of memory for the largest models: `tox -e zoo`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from conformance import description
from conformance.compare import compare
from conformance.loaders import oracle, ours
from generators import zoo
from generators.vision import models

NAMES = [name for name, _ in zoo.zoo()]


@pytest.mark.zoo
@pytest.mark.parametrize("name", NAMES)
def test_zoo(tmp_path: Path, name: str) -> None:
    """As a zip archive and as a legacy stream; the files go before the next model."""
    tensors = zoo.build(name).state_dict()
    path = tmp_path / f"{name}.pth"
    try:
        torch.save(tensors, path)
        agree(path, len(tensors), mmap=True)
        torch.save(tensors, path, _use_new_zipfile_serialization=False)
        agree(path, len(tensors), mmap=False)
    finally:
        path.unlink()


def agree(path: Path, tensors: int, *, mmap: bool) -> None:
    """As many tensors as the model has, all equal; torch maps what it can."""
    mine = ours.load(path)
    found = sum(isinstance(node, description.Tensor) for node in mine.nodes)
    assert found == tensors
    result = compare(mine, oracle.load(str(path), mmap=mmap))
    assert result.equal, [str(difference) for difference in result.differences]


def test_no_two_words_of_a_model_are_alike() -> None:
    """The pattern in the storages tells any two places apart."""
    tensors = zoo.build("squeezenet1_1").state_dict()
    words = torch.cat(
        [
            tensor.reshape(-1)[: tensor.numel() // 2 * 2].view(torch.int64)
            for tensor in tensors.values()
        ]
    )
    assert words.numel() > 600_000
    assert words.unique().numel() == words.numel()


def test_the_zoo_names_every_model() -> None:
    assert models.list_models() == NAMES
    assert len(NAMES) > 100

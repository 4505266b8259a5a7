"""A file of more than 4 GiB, which zip64 is for: a hole on disk, and no case."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from conformance.parser import load

pytestmark = pytest.mark.slow

#: More elements of float32 than 4 GiB have room for.
COUNT = (1 << 30) + 3


def test_storages_before_and_behind_4_gib(tmp_path: Path) -> None:
    file = tmp_path / "large.pt"
    with FakeTensorMode():
        tree = {"large": torch.empty(COUNT), "behind": torch.empty(2)}
    with torch.serialization.skip_data(materialize_fake_tensors=True):
        torch.save(tree, file)
    size = file.stat().st_size
    assert size > 4 * COUNT > 1 << 32
    if file.stat().st_blocks * 512 > 1 << 30:
        pytest.skip("this file system keeps no holes")
    reader: Any = torch._C.PyTorchFileReader(str(file))
    with file.open("r+b") as stream:
        for record, numbers in (("data/0", (0.5, 1.5)), ("data/1", (2.5, 3.5))):
            stream.seek(reader.get_record_offset(record))
            stream.write(struct.pack("<2f", *numbers))
    assert reader.get_record_offset("data/1") > 1 << 32
    expected, found = torch.load(file, mmap=True), load(file)
    assert found["large"].shape == tuple(expected["large"].shape) == (COUNT,)
    assert found["large"].storage.nbytes == 4 * COUNT
    assert found["large"].numpy()[:3].tolist() == [0.5, 1.5, 0.0]
    assert found["behind"].numpy().tolist() == expected["behind"].tolist() == [2.5, 3.5]

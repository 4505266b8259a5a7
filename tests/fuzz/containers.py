"""Small files of each container, those of the corpus, and who reads them."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

from conformance.fuzz.words import Words
from conformance.parser import CheckpointError, load
from conformance.parser.containers.zip import ZipArchive
from tests.builders import checkpoints, legacy
from tests.builders import tars as tar_builder

ROOT: Final = Path(__file__).parent.parent.parent
CORPUS: Final = ROOT / "corpus"
WORDS: Final = Words(
    globals=(("torch._utils", "_rebuild_tensor_v2"),),
    strings=("cpu", "little"),
    records=("data.pkl", "byteorder", "data/1", ".data/serialization_id"),
)


@cache
def corpus() -> tuple[bytes, ...]:
    """Every committed file, the smallest first."""
    found = [
        path.read_bytes()
        for path in sorted(CORPUS.rglob("*"))
        if path.is_file() and path.suffix not in (".json", ".md")
    ]
    assert len(found) > 3_000
    return tuple(sorted(found, key=lambda data: (len(data), data)))


def seeded(*what: object) -> Random:
    return Random("-".join(map(str, what)))  # noqa: S311


TREE: Final = {
    "w": checkpoints.tensor(checkpoints.floats(1, 2, 3, 4), (2, 2)),
    "v": checkpoints.tensor(checkpoints.floats(5, 6), (2,)),
    "n": [1, 2.5, None, True, "text", (1, "a")],
}
ZIP: Final = checkpoints.zipped(TREE)
LEGACY: Final = checkpoints.legacy(TREE)
FOUR: Final = legacy.floats(1, 2, 3, 4)
TAR: Final = tar_builder.checkpoint(
    {"w": tar_builder.number(2), "v": tar_builder.number(3)},
    storages=tar_builder.storages(
        (1, "FloatStorage", tar_builder.raw(FOUR)),
        (4, "LongStorage", tar_builder.raw((1, bytes(8)))),
    ),
    tensors=tar_builder.tensors(
        (2, 1, tar_builder.geometry((2, 2), (2, 1))),
        (3, 1, tar_builder.geometry((4,), (1,))),
    ),
)
PLAIN: Final = checkpoints.dump({"a": [1, 2, "x"]})
SEEDS: Final = {"zip": ZIP, "legacy": LEGACY, "tar": TAR, "plain": PLAIN}


def loads(data: bytes) -> bool:
    try:
        load(io.BytesIO(data), weights_only=False)
    except CheckpointError:
        return False
    return True


def zips() -> list[bytes]:
    """Archives of the corpus that our parser opens."""
    return [data for data in corpus() if data[:4] == b"PK\3\4" and opens(data)]


def opens(data: bytes) -> bool:
    """Whether there is an archive with a pickle, whatever that is."""
    if data[:4] != b"PK\3\4":
        return False
    try:
        archive = ZipArchive(memoryview(data))
        archive.read("data.pkl")
        archive.metadata()
    except CheckpointError:
        return False
    return True

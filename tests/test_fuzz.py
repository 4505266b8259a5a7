"""A smoke test of the promise: a value or a `CheckpointError`, nothing else.

A fixed number of random mutations of small files, without guidance by coverage.
The seeds are fixed, so that what fails once fails again.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from random import Random

import pytest

from conformance.loaders import ours
from conformance.parser import CheckpointError
from tests.builders import checkpoints, zips

pytestmark = pytest.mark.fuzz

#: Mutants of each file; all of them together take half a minute.
MUTANTS = 2_000

TREE = {
    "w": checkpoints.tensor(checkpoints.floats(1, 2, 3, 4), (2, 2)),
    "u": checkpoints.untyped("uint16", b"\1\2\3\4", (2,)),
    ("a", 1): [checkpoints.longs(1, 2), None, 1.5, 2**70, b"bytes", {1, 2}],
    "object": checkpoints.Call("some.Class", 1, state={"x": checkpoints.floats(7)}),
    "when": checkpoints.Call("datetime.date", b"\x07\xe4\x01\x02"),
}
LEGACY_TREE = {**TREE, "u": None}

FILES = {
    **{f"zip-{p}": checkpoints.zipped(TREE, protocol=p) for p in (1, 2, 4, 5)},
    **{f"legacy-{p}": checkpoints.legacy(LEGACY_TREE, protocol=p) for p in (1, 2, 4)},
}

#: Bytes that mean something: opcodes, signatures, sizes, signs.
WORDS = [
    b"PK\1\2",
    b"PK\5\6",
    b"\xff\xff\xff\xff",
    b"\x80\0\0\0",
    b"R",
    b"b",
    b"(",
    b".",
]


def mutant(data: bytes, random: Random) -> bytes:
    """The file after one to four accidents."""
    out = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(out) or 1)
        stop = at + random.choice((1, 1, 2, 4, 30))
        match random.randrange(6):
            case 0:
                out[at : at + 1] = random.randbytes(1)
            case 1:
                word = random.choice(WORDS)
                out[at : at + len(word)] = word
            case 2:
                del out[at:stop]
            case 3:
                out[at:at] = out[at:stop]
            case 4:
                other = random.randrange(len(out) or 1)
                out[at:stop] = out[other : other + stop - at]
            case 5:
                bit = 1 << random.randrange(8)
                out[at : at + 1] = bytes(byte ^ bit for byte in out[at : at + 1])
    return bytes(out)


def read(data: bytes, path: Path) -> bool:
    """Whether it loads in either mode; all storages are fetched."""
    path.write_bytes(data)
    loads = False
    for weights_only in (True, False):
        with contextlib.suppress(CheckpointError):
            ours.load(path, weights_only=weights_only)
            loads = True
    return loads


@pytest.mark.parametrize("name", FILES)
def test_mutants_of_whole_files(name: str, tmp_path: Path) -> None:
    random = Random(name)  # noqa: S311
    path = tmp_path / "mutant.pt"
    assert read(FILES[name], path)
    loaded = sum(read(mutant(FILES[name], random), path) for _ in range(MUTANTS))
    # Mutants that all die, or all live, would have shown nothing.
    assert 0 < loaded < MUTANTS


@pytest.mark.parametrize("protocol", [1, 2, 4])
def test_mutants_of_the_pickle_alone(protocol: int, tmp_path: Path) -> None:
    """The archive around it stays whole, so that the machine sees every one."""
    random = Random(protocol)  # noqa: S311
    path = tmp_path / "mutant.pt"
    data = checkpoints.dump(TREE, protocol=protocol)
    loaded = 0
    for _ in range(MUTANTS):
        records = {"data.pkl": mutant(data, random), "data/0": b"\0" * 16}
        archive = zips.build(zips.checkpoint(records))
        loaded += read(archive, path)
    assert 0 < loaded < MUTANTS

"""Each container driven whole: every way in, cut at every byte, with a tail.

The same tree in each container; whatever the way, the same comes out, and
whatever is missing, a `CheckpointError` and nothing else.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from conformance.parser import CheckpointError, Limits, Tensor, load
from tests.builders import pickles as p
from tests.builders import tar_cases, zips
from tests.builders.checkpoints import Name, dump, legacy, longs, tensor, zipped
from tests.builders.legacy import class_name
from tests.builders.plain import plain

TREE = {
    "w": tensor(longs(1, 2, 3), (3,)),
    "m": [tensor(longs(4), ()), tensor(longs(), (0, 2))],
    "dtype": Name("torch.int64"),
    "name": "\xe4",
}


def shown(tree: Any) -> Any:
    return repr(plain(tree))


class Container(NamedTuple):
    """A checkpoint, where what matters in it ends, and whether it can be longer."""

    data: bytes
    #: Bytes that may be missing at the end: they carry nothing.
    spare: int = 0
    #: Whether `load` knows where it ends, and leaves the rest alone.
    ends: bool = False


def _script() -> bytes:
    tree = class_name("__torch__.M") + p.EMPTY_TUPLE + p.NEWOBJ + p.value({}) + p.BUILD
    records = {"data.pkl": p.pickle(tree), "constants.pkl": dump((1,))}
    return zips.build(zips.checkpoint({**records, "code/__torch__.py": b""}))


_TAR = tar_cases.checkpoint()
# Members fill whole blocks; what follows the last one carries nothing.
_TAR_END = -(-(_TAR.rindex(b"Q.") + 2) // 512) * 512
_INSIDE = p.pickle(
    p.PROTO(2), p.call("torch.storage._load_from_bytes", legacy(TREE)), b""
)

CONTAINERS = {
    "zip": Container(zipped(TREE)),
    "zip64": Container(zips.build(zips.checkpoint({"data.pkl": dump([1])}), end64={})),
    "packed zip": Container(
        zips.build(
            zips.entries(
                {"data.pkl": dump(["x" * 50]), "version": b"3\n"},
                method=zips.DEFLATED,
            )
        )
    ),
    "TorchScript": Container(_script()),
    "legacy": Container(legacy(TREE), ends=True),
    "legacy, protocol 4": Container(legacy(TREE, protocol=4), ends=True),
    "tar": Container(_TAR, spare=len(_TAR) - _TAR_END),
    "pickle": Container(pickle.dumps({"a": [1, 2.5, "x"]}), ends=True),
    "pickle, protocol 0": Container(pickle.dumps({"a": [1, "x"]}, 0), ends=True),
    "a checkpoint inside a pickle": Container(_INSIDE, ends=True),
}

every = pytest.mark.parametrize("name", CONTAINERS)


def read(source: Any) -> Any:
    return load(source, weights_only=False)


class OneByte(io.RawIOBase):
    """A raw file that never gives more than a byte, and has no descriptor."""

    def __init__(self, data: bytes) -> None:
        self.inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self.inner.readinto(memoryview(buffer).cast("B")[:1])

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.inner.seek(offset, whence)


@every
def test_every_way_in(name: str, tmp_path: Path) -> None:
    data = CONTAINERS[name].data
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    expected = shown(read(path))
    assert shown(read(io.BytesIO(data))) == expected
    assert shown(read(OneByte(data))) == expected
    with path.open("rb") as file:
        assert shown(read(file)) == expected
        assert file.tell() == len(data)


@every
def test_at_an_offset(name: str, tmp_path: Path) -> None:
    data = CONTAINERS[name].data
    expected = shown(read(io.BytesIO(data)))
    path = tmp_path / "model.pt"
    for before in (b"x", b"PK\3\4", b"\x80\x02N.", bytes(5000)):
        path.write_bytes(before + data)
        with path.open("rb") as file:
            file.seek(len(before))
            assert shown(read(file)) == expected
            assert file.tell() == len(before) + len(data)
        one = OneByte(before + data)
        one.seek(len(before))
        assert shown(read(one)) == expected


@every
def test_cut_at_every_byte(name: str) -> None:
    container = CONTAINERS[name]
    for length in range(len(container.data)):
        data = container.data[:length]
        if length >= len(container.data) - container.spare:
            read(io.BytesIO(data))
            continue
        with pytest.raises(CheckpointError) as refused:
            read(io.BytesIO(data))
        error = refused.value
        assert error.offset is None or -1 <= error.offset <= length
        assert "\n" not in str(error)
        assert len(str(error)) < 400


@every
def test_with_a_tail(name: str) -> None:
    container = CONTAINERS[name]
    expected = shown(read(io.BytesIO(container.data)))
    for tail in (b"x", bytes(600), b"\x80\x02N.", container.data[:100]):
        file = io.BytesIO(container.data + tail)
        assert shown(read(file)) == expected
        assert file.read() == (tail if container.ends else b"")


@pytest.mark.parametrize(
    "names", [("legacy", "pickle", "legacy, protocol 4", "zip"), ("pickle", "tar")]
)
def test_several_in_a_row(names: tuple[str, ...], tmp_path: Path) -> None:
    """All but the last must be of a kind that says where it ends."""
    datas = [CONTAINERS[name].data for name in names]
    path = tmp_path / "row.pt"
    path.write_bytes(b"".join(datas))
    with path.open("rb") as file:
        for data in datas:
            assert shown(read(file)) == shown(read(io.BytesIO(data)))
        assert file.read() == b""


@every
def test_damaged_anywhere(name: str) -> None:
    """Other bytes in one place, in every place: a tree or a CheckpointError."""
    random = Random(name)  # noqa: S311 - no secrets here
    data = bytearray(CONTAINERS[name].data)
    for place, byte in enumerate(data):
        for other in {0, 0xFF, byte ^ 1 << random.randrange(8), random.randrange(256)}:
            data[place] = other
            with suppress(CheckpointError):
                consume(read(io.BytesIO(bytes(data))))
        data[place] = byte


def consume(tree: Any) -> None:
    """What whoever loads a tree would do next: look at the numbers."""
    waiting = [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            value.tobytes()
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, (list, tuple)):
            waiting += value


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a pickle that nests for ever": lambda: p.pickle(
        p.PROTO(2), p.EMPTY_LIST * 100_000, p.APPEND * 99_999
    ),
    "tuples that nest for ever": lambda: p.pickle(
        p.PROTO(2), p.EMPTY_TUPLE, p.TUPLE1 * 100_000
    ),
    "marks for ever": lambda: p.pickle(p.PROTO(2), p.MARK * 100_000),
    "a stream of marks": lambda: legacy(1)[:100] + p.MARK * 100_000,
    "an id made of ids": lambda: p.pickle(
        p.PROTO(2), p.value("storage"), (p.TUPLE1 + p.BINPERSID) * 1000
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_recurses_with_the_input(name: str) -> None:
    data = HOSTILE[name]()
    files = (data, zipped(1, records={"data.pkl": data}), legacy(1)[:-7] + data)
    for file in files:
        with suppress(CheckpointError):
            read(io.BytesIO(file))


def test_limits_are_the_caller_s() -> None:
    """A checkpoint inside a checkpoint, where the caller wants none."""
    with pytest.raises(CheckpointError, match="nesting"):
        load(io.BytesIO(_INSIDE), weights_only=False, limits=Limits(nesting=0))

"""`load`: paths and files of every kind, positions, encodings, strangers."""

from __future__ import annotations

import bz2
import gc
import gzip
import io
import lzma
import os
import pickle
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from conformance.parser import (
    CheckpointError,
    Limits,
    Malformed,
    NotACheckpoint,
    Object,
    Trace,
    load,
)
from tests.builders import pickles as p
from tests.builders import tar_cases, tars
from tests.builders.checkpoints import Bytes, legacy, longs, tensor, zipped
from tests.builders.plain import plain

TREE = {"w": tensor(longs(1, 2, 3), (3,)), "n": 5}
ZIP = zipped(TREE)
LEGACY = legacy(TREE)
READ = {"w": [1, 2, 3], "n": 5}


# --------------------------------------------------------------- paths and files


@pytest.fixture(params=[ZIP, LEGACY], ids=["zip", "legacy"])
def data(request: pytest.FixtureRequest) -> bytes:
    found: bytes = request.param
    return found


class PathLike:
    def __init__(self, path: str | bytes) -> None:
        self.path = path

    def __fspath__(self) -> Any:
        return self.path


@pytest.mark.parametrize("kind", [str, Path, PathLike, lambda p: PathLike(p.encode())])
def test_a_path(data: bytes, kind: Callable[[str], Any], tmp_path: Path) -> None:
    path = tmp_path / "model.v2.pth"
    path.write_bytes(data)
    found = load(kind(str(path)))
    assert plain(found) == READ
    assert type(found["w"].storage.data.obj).__name__ == "mmap"
    assert found["w"].storage.data.readonly
    assert not found["w"].numpy().flags.writeable


@pytest.mark.parametrize("name", ["m.safetensors", "m.gz", "m", "\xe4.pt", "m.tar"])
def test_the_name_says_nothing(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    assert plain(load(tmp_path / name)) == READ


class Dribble(io.RawIOBase):
    """A raw file that gives one byte at a time, and nothing to map."""

    def __init__(self, data: bytes) -> None:
        self.inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        memory = memoryview(buffer).cast("B")[:1]
        return self.inner.readinto(memory)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.inner.seek(offset, whence)

    def tell(self) -> int:
        return self.inner.tell()


class Minimal:
    """No more than torch.load asks for."""

    def __init__(self, data: bytes) -> None:
        inner = io.BytesIO(data)
        self.read, self.readline = inner.read, inner.readline
        self.seek, self.tell = inner.seek, inner.tell


def _temporary(data: bytes) -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the test
    file.write(data)
    return file


def _spooled(data: bytes) -> Any:
    file = tempfile.SpooledTemporaryFile(max_size=1 << 20)  # noqa: SIM115 - as above
    file.write(data)
    return file


def _named(data: bytes) -> Any:
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed by the test
    file.write(data)
    return file


def _opened(mode: str, buffering: int) -> Callable[[bytes], Any]:
    def make(data: bytes) -> Any:
        descriptor, name = tempfile.mkstemp()
        os.close(descriptor)
        path = Path(name)
        path.write_bytes(data)
        file = path.open(mode, buffering)
        path.unlink()
        return file

    return make


def _packed(module: Any) -> Callable[[bytes], Any]:
    return lambda data: module.open(io.BytesIO(module.compress(data)))


FILES: dict[str, tuple[Callable[[bytes], Any], str]] = {
    # How it is opened, and in what the bytes then lie.
    "a buffered file": (_opened("rb", -1), "mmap"),
    "an unbuffered file": (_opened("rb", 0), "mmap"),
    "a file to read and write": (_opened("r+b", -1), "mmap"),
    "a temporary file": (_temporary, "mmap"),
    "a named temporary file": (_named, "bytes"),
    "a spooled file": (_spooled, "bytes"),
    "BytesIO": (io.BytesIO, "bytes"),
    "a raw file, byte by byte": (Dribble, "bytes"),
    "a buffered reader of one": (
        lambda data: io.BufferedReader(Dribble(data)),
        "bytes",
    ),
    "an object with four methods": (Minimal, "bytes"),
    "gzip": (_packed(gzip), "bytes"),
    "bz2": (_packed(bz2), "bytes"),
    "lzma": (_packed(lzma), "bytes"),
}


@pytest.mark.parametrize("position", [0, 7], ids=["from-0", "from-7"])
@pytest.mark.parametrize("name", FILES)
def test_a_file(name: str, position: int, data: bytes) -> None:
    make, kind = FILES[name]
    file = make(bytes(position) + data)
    try:
        file.seek(position)
        found = load(file)
        assert plain(found) == READ
        assert type(found["w"].storage.data.obj).__name__ == kind
        assert file.tell() == position + len(data)
    finally:
        if name != "an object with four methods":
            file.close()
    # The bytes outlive the file.
    assert plain(found) == READ


def test_bytes_that_were_written_after_all() -> None:
    """What is in a BytesIO may change; what was loaded from it may not."""
    file = io.BytesIO(LEGACY)
    found = load(file)
    file.seek(0)
    file.write(bytes(len(LEGACY)))
    assert plain(found) == READ


def test_what_follows_a_stream_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "two.pth"
    path.write_bytes(LEGACY + LEGACY + b"tail")
    with path.open("rb") as file:
        assert plain(load(file)) == plain(load(file)) == READ
        assert file.read() == b"tail"


def test_a_position_behind_the_end() -> None:
    file = io.BytesIO(ZIP)
    file.seek(len(ZIP) + 10)
    with pytest.raises(NotACheckpoint, match="the file is empty"):
        load(file)


# --------------------------------------------------------------- what cannot be


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.pt").touch()
    with pytest.raises(NotACheckpoint, match="the file is empty"):
        load(tmp_path / "empty.pt")
    with (
        (tmp_path / "empty.pt").open("rb") as file,
        pytest.raises(NotACheckpoint, match="the file is empty"),
    ):
        load(file)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.pt")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotACheckpoint, match=r"without a \.metadata file"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["pipe.pt", "pipe.distcp"])
def test_a_pipe_by_its_path(name: str, tmp_path: Path) -> None:
    """Nobody writes into it: to open it would take for ever."""
    os.mkfifo(tmp_path / name)
    with pytest.raises(io.UnsupportedOperation, match="is no regular file"):
        load(tmp_path / name)


def test_a_device() -> None:
    with pytest.raises(io.UnsupportedOperation, match="'/dev/zero' is no regular file"):
        load("/dev/zero")


@pytest.fixture
def pipe() -> Iterator[IO[bytes]]:
    out, into = os.pipe()
    with os.fdopen(into, "wb") as writer, os.fdopen(out, "rb") as reader:
        writer.write(ZIP)
        writer.flush()
        yield reader


def test_a_file_that_cannot_seek(pipe: IO[bytes]) -> None:
    with pytest.raises(OSError, match="seek"):
        load(pipe)


def test_a_closed_file(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(ZIP)
    for file in (path.open("rb"), io.BytesIO(ZIP)):
        file.close()
        with pytest.raises(ValueError, match="closed file"):
            load(file)


def test_a_file_of_text() -> None:
    text: Any = io.StringIO("PK")
    with pytest.raises(TypeError, match="a file of bytes is needed, not of str"):
        load(text)


def test_a_file_that_is_written() -> None:
    with tempfile.TemporaryFile("wb") as file, pytest.raises(OSError, match="read"):
        load(file)


# ------------------------------------------------------------------ the arguments


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("utf-8", "\xe4"),
        ("UTF_8", "\xe4"),
        ("utf8", "\xe4"),
        ("latin1", "\xc3\xa4"),
        ("iso-8859-1", "\xc3\xa4"),
        ("bytes", b"\xc3\xa4"),
    ],
)
def test_encodings(name: str, text: str | bytes) -> None:
    """Of the strings of Python 2, in every container."""
    string = p.Assembled(p.SHORT_BINSTRING("\xe4".encode()))
    for data in (zipped(1, records={"data.pkl": p.pickle(string)}), p.pickle(string)):
        assert load(io.BytesIO(data), encoding=name) == text


def test_ascii_is_ascii() -> None:
    data = p.pickle(p.PROTO(2), p.SHORT_BINSTRING(b"\xc3"))
    with pytest.raises(Malformed, match="try encoding='latin1'"):
        load(io.BytesIO(data), encoding="ascii")


@pytest.mark.parametrize("name", ["rot13", "utf-16", "idna", "punycode", "hex", ""])
def test_unknown_encodings(name: str, tmp_path: Path) -> None:
    # Before the file is looked at.
    with pytest.raises(ValueError, match="unknown encoding"):
        load(tmp_path / "none.pt", encoding=name)


def test_limits_reach_the_machine() -> None:
    data = pickle.dumps({(1, 2, 3): 4})
    assert load(io.BytesIO(data)) == {(1, 2, 3): 4}
    with pytest.raises(CheckpointError) as refused:
        load(io.BytesIO(data), limits=Limits(key_nodes=3))
    assert refused.value.kind == "LimitExceeded"


def test_weights_only_is_the_default() -> None:
    data = pickle.dumps(Path)
    with pytest.raises(CheckpointError) as refused:
        load(io.BytesIO(data))
    assert refused.value.kind == "GlobalNotAllowed"
    assert load(io.BytesIO(data), weights_only=False).name == f"{Path.__module__}.Path"


def test_a_trace_is_filled_as_far_as_it_went() -> None:
    trace = Trace()
    with pytest.raises(CheckpointError):
        load(io.BytesIO(legacy([TREE, Limits], keys=[])), trace=trace)
    assert trace.containers == ["legacy"]
    assert trace.globals["torch._utils._rebuild_tensor_v2"] == 1


# --------------------------------------------------------------------- strangers

STRANGERS = {
    "gzip": (gzip.compress(ZIP), r"gzip\.open"),
    "bzip2": (bz2.compress(ZIP), r"bz2\.open"),
    "xz": (lzma.compress(ZIP), r"lzma\.open"),
    "zstandard": (b"\x28\xb5\x2f\xfd" + bytes(20), "zstandard"),
    "7-Zip": (b"7z\xbc\xaf\x27\x1c" + bytes(20), "7-Zip"),
    "RAR": (b"Rar!\x1a\7\1\0" + bytes(20), "RAR"),
    "an empty zip": (b"PK\5\6" + bytes(18), "empty zip"),
    "numpy": (b"\x93NUMPY\1\0" + bytes(20), r"numpy\.load"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "HDF5"),
    "GGUF": (b"GGUF\3\0\0\0" + bytes(20), "GGUF"),
    "Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
        "Git LFS",
    ),
    "a web page": (b"<!DOCTYPE html>\n<html>", "web page"),
    "a small web page": (b"<!doctype html>\n<html>", "web page"),
    "a page of old": (b"<html><body>", "web page"),
    "a flatbuffer": (b"$\0\0\0PTMF" + bytes(20), r"torch\.jit\.load"),
    "safetensors": (b"\x40\0\0\0\0\0\0\0" + b'{"a":{"dtype":"F32"}}', "safetensors"),
    "a program": (b"\x7fELF\2\1\1" + bytes(20), "neither a zip archive"),
    "JSON": (b'{"a": 1}', "neither a zip archive"),
    "text": (b"hello, world\n", "neither a zip archive"),
    "zeros": (bytes(1024), "neither a zip archive"),
    "a zip a little later": (b"MZ" + ZIP, "neither a zip archive"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_strangers(name: str) -> None:
    data, message = STRANGERS[name]
    with pytest.raises(NotACheckpoint, match=message) as refused:
        load(io.BytesIO(data))
    assert refused.value.phase == "container"
    assert refused.value.offset in range(8)


def test_a_pickle_may_begin_like_a_stranger() -> None:
    data = p.pickle(p.BINBYTES(b"x" * (ord("Z") | ord("h") << 8)))
    assert data.startswith(b"BZh")
    assert load(io.BytesIO(data)) == b"x" * 26714


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_of_every_protocol(protocol: int) -> None:
    tree = {"a": [1, 2.5, None, True, "\xe4", (1,), {2}], 3: b"bytes"}
    trace = Trace()
    data = pickle.dumps(tree, protocol)
    assert load(io.BytesIO(data), weights_only=False, trace=trace) == tree
    assert trace.containers == ["pickle"]
    assert trace.protocols == [protocol if protocol >= 2 else 0]


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(mark),)

    for data in (pickle.dumps(Evil()), legacy(Evil()), zipped(Evil())):
        found = load(io.BytesIO(data), weights_only=False)
        assert isinstance(found, Object)
        assert found.args == (str(mark),)
        assert not mark.exists()


# ------------------------------------------------------ what is held, and for how long


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="this system has no /proc"
)


def mapped(path: Path) -> bool:
    return str(path) in Path("/proc/self/maps").read_text("utf-8")


@needs_proc
def test_an_error_leaves_nothing_open(tmp_path: Path) -> None:
    path = tmp_path / "broken.pt"
    before = descriptors()
    wrong = zipped(1, records={"data.pkl": b"\x80\x02."})
    for data in (ZIP[:-1], LEGACY[:-1], b"junk", wrong, tar_cases.checkpoint()):
        path.write_bytes(data)
        gc.disable()
        try:
            with pytest.raises(CheckpointError):
                load(path)
            # At once, not when the garbage collector comes by.
            assert not mapped(path)
        finally:
            gc.enable()
        with path.open("rb") as file, pytest.raises(CheckpointError):
            load(file)
    assert descriptors() == before


@needs_proc
def test_a_tree_holds_its_file_and_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    before = descriptors()
    for data in (ZIP, LEGACY):
        path.write_bytes(data)
        gc.disable()
        try:
            tree = load(path)
            assert mapped(path)
            array = tree["w"].numpy()
            del tree
            # An array shows the file's own bytes.
            assert mapped(path)
            assert array.tolist() == [1, 2, 3]
            del array
            assert not mapped(path)
        finally:
            gc.enable()
    assert descriptors() == before


LARGE = 50_000_000


LARGE_FILES: dict[str, Callable[[bytes], bytes]] = {
    "zip": lambda raw: zipped(_vector(raw)),
    "legacy": lambda raw: legacy(_vector(raw)),
    "tar": lambda raw: tar_cases.checkpoint(
        storages=tars.storages((1, "ByteStorage", tars.raw((len(raw), raw)))),
    ),
}


def _vector(raw: bytes) -> Any:
    return tensor(Bytes("ByteStorage", raw), (len(raw),))


@pytest.mark.parametrize("name", LARGE_FILES)
def test_storages_are_not_copied(name: str, tmp_path: Path) -> None:
    path = tmp_path / "large.pt"
    path.write_bytes(LARGE_FILES[name](bytes(LARGE)))
    held = io.BytesIO(path.read_bytes())
    tracemalloc.start()
    try:
        for source in (path, held):
            found = load(source, weights_only=False)
            assert found.storage.nbytes == LARGE
            assert not found.numpy().any()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < LARGE // 50


# --------------------------------------------------------------- the collector


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_afterwards_as_it_was(enabled: bool) -> None:
    """A load lets it rest, also when it fails."""
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        load(io.BytesIO(pickle.dumps([1])))
        assert gc.isenabled() is enabled
        with pytest.raises(CheckpointError):
            load(io.BytesIO(b"\x80"))
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()


def test_a_trace_tells_pickles_calls_and_builds_on_demand() -> None:
    told: list[tuple[str, int]] = []
    trace = Trace(pickles=[], on_call=lambda name, args: told.append((name, len(args))))
    load(io.BytesIO(legacy([TREE])), trace=trace)
    assert trace.pickles is not None
    assert all(pickle.endswith(b".") for pickle in trace.pickles)
    assert len(trace.pickles) == len(trace.protocols) + 4
    assert ("torch._utils._rebuild_tensor_v2", 6) in told
    assert trace.persistent_ids["storage"] >= 1

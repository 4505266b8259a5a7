"""The tar of torch 0.1: headers that lie, storages, views, tensors, modules."""

from __future__ import annotations

import io
import struct
import tarfile
from typing import Any

import pytest

from conformance.parser import (
    CheckpointError,
    Malformed,
    NotACheckpoint,
    Tensor,
    Trace,
    Truncated,
    Unsupported,
    load,
)
from tests.builders import pickles as p
from tests.builders import tars
from tests.builders.legacy import class_name, dump
from tests.builders.plain import plain
from tests.builders.tar_cases import (
    CASES,
    FOUR,
    MATRIX,
    MEMBERS,
    ONE,
    ROW,
    Case,
    checkpoint,
)
from tests.builders.tars import geometry, member, number


def read(data: bytes, **options: Any) -> Any:
    return load(io.BytesIO(data), weights_only=False, **options)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_torch_reads(case: Case) -> None:
    assert plain(read(case.data, encoding=case.encoding)) == case.expected


def test_a_tensor() -> None:
    trace = Trace()
    found = read(checkpoint(), trace=trace)
    assert plain(found) == [[1, 2], [3, 4]]
    assert (found.dtype, found.device, found.storage.key) == ("float32", "cpu", "1")
    assert (trace.containers, trace.protocols) == (["tar"], [2])
    assert (trace.storages, trace.storage_bytes) == (1, 16)


def test_tensors_share_what_they_share() -> None:
    tensors = tars.tensors((2, 1, geometry((2,), (2,))), (3, 1, geometry((), ())))
    ids = ("2", "3", "2", "1")
    found = read(checkpoint([number(i) for i in ids], tensors=tensors))
    assert found[0] is found[2]
    assert found[0].storage is found[1].storage is found[3]


def test_weights_only_refuses_it_as_torch_does() -> None:
    with pytest.raises(Unsupported, match="weights_only=False reads it"):
        load(io.BytesIO(checkpoint()))


def test_storages_are_not_copied() -> None:
    data = checkpoint()
    assert read(data).storage.data.obj is data


# ------------------------------------------------------------------------ headers


@pytest.mark.parametrize(
    "format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
)
def test_what_tarfile_writes(format: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=format) as tar:
        for name, content in (
            ("sys_info", dump({})),
            ("pickle", dump(number("2"))),
            ("tensors", MATRIX),
            ("storages", ONE),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.uname = "d\xfcrer"
            info.mtime = 0.5  # takes an extended header to say
            tar.addfile(info, io.BytesIO(content))
    assert plain(read(out.getvalue())) == [[1, 2], [3, 4]]


def extended(content: bytes) -> bytes:
    return tars.tar(member(b"x", content, b"x"), *MEMBERS)


WRONG_HEADERS = {
    "a member is missing": (tars.tar(*MEMBERS[:2]), NotACheckpoint, "called 'pickle'"),
    "no members": (tars.tar(member(b"x", b"")), NotACheckpoint, "called 'storages'"),
    "a wrong checksum": (
        MEMBERS[0] + tars.header(b"tensors", 0, checksum=b"0000001\0"),
        NotACheckpoint,
        "called 'tensors'",
    ),
    "a checksum of letters": (
        MEMBERS[0] + tars.header(b"tensors", 0, checksum=b"xyz"),
        NotACheckpoint,
        "called 'tensors'",
    ),
    "a size of letters": (
        MEMBERS[0] + tars.header(b"tensors", b"xyz"),
        NotACheckpoint,
        "called 'tensors'",
    ),
    "a long name of nothing": (
        tars.gnu_name(b"x") + bytes(512),
        Malformed,
        "about no member",
    ),
    "a link to a member": (
        tars.tar(*MEMBERS, tars.header(b"pickle", 0, b"1", link=b"tensors")),
        Unsupported,
        "a link or folder called 'pickle'",
    ),
    "a folder": (
        tars.tar(*MEMBERS, tars.header(b"pickle/", 0, b"5")),
        Unsupported,
        "a link or folder called 'pickle'",
    ),
    "a name for all members": (
        tars.tar(member(b"x", b"15 path=pickle\n", b"g"), *MEMBERS),
        Unsupported,
        "a global header",
    ),
    "a sparse file of GNU tar": (
        tars.tar(member(b"x", b"", b"S"), *MEMBERS),
        Unsupported,
        "a sparse file",
    ),
    "a sparse file of POSIX": (
        tars.tar(tars.pax(**{"GNU.sparse.size": "3"}), *MEMBERS),
        Unsupported,
        "a sparse file",
    ),
    "a member under a prefix": (
        tars.tar(*MEMBERS[:2], member(b"pickle", b"x", prefix=b"old")),
        NotACheckpoint,
        "called 'pickle'",
    ),
    "a negative size": (
        MEMBERS[0] + tars.header(b"tensors", b"\xff" * 12),
        Truncated,
        "larger than the file",
    ),
    "a size beyond the file": (
        MEMBERS[0] + tars.header(b"tensors", 1),
        Truncated,
        "larger than the file",
    ),
    "a size beyond all files": (
        MEMBERS[0] + tars.header(b"tensors", (1 << 88) - 1) + bytes(600),
        Truncated,
        "larger than the file",
    ),
    "an extended size beyond the file": (
        tars.tar(tars.pax(size="99999999999"), *MEMBERS),
        Truncated,
        "larger than the file",
    ),
    "an extended size of letters": (
        tars.tar(tars.pax(size="x"), *MEMBERS),
        Malformed,
        "without a size",
    ),
    "an extended size beyond reading": (
        tars.tar(tars.pax(size="1" * 5000), *MEMBERS),
        Malformed,
        "without a size",
    ),
    "an extended header of nothing": (extended(b"x"), Malformed, "list of records"),
    "a record without a length": (extended(b" path=x\n"), Malformed, "list of records"),
    "a record of no length": (extended(b"0 path=x\n"), Malformed, "list of records"),
    "a record beyond its header": (
        extended(b"99 path=x\n"),
        Malformed,
        "list of records",
    ),
    "a record without a value": (extended(b"7 path\n"), Malformed, "list of records"),
    "a record as long as itself": (extended(b"2 \n"), Malformed, "list of records"),
    "a length beyond reading": (
        extended(b"9" * 5000 + b" path=x\n"),
        Malformed,
        "list of records",
    ),
}


@pytest.mark.parametrize("name", WRONG_HEADERS)
def test_wrong_headers(name: str) -> None:
    data, kind, message = WRONG_HEADERS[name]
    with pytest.raises(kind, match=message) as refused:
        read(data)
    assert type(refused.value) is kind


# ------------------------------------------------------------------------ members


def storages(**row: Any) -> bytes:
    values = {"key": 1, "kind": "FloatStorage", "raw": FOUR, **row}
    return checkpoint(storages=tars.storages(tuple(values.values())))


def views(*view: Any) -> bytes:
    return checkpoint(storages=tars.storages(ROW, views=view))


def tensors(key: Any = 2, storage: Any = 1, numbers: bytes = b"") -> bytes:
    return checkpoint(tensors=tars.tensors((key, storage, numbers)))


_VALUES = dump(2) + dump((1, "cpu", class_name("torch.FloatStorage"))) + FOUR

WRONG = {
    "no count of storages": (
        checkpoint(storages=tars.storages(count="1")),
        Malformed,
        "without a count",
    ),
    "more storages than there are": (
        checkpoint(storages=tars.storages(ROW, count=2)),
        Malformed,
        "no triple",
    ),
    "more storages than can be": (
        checkpoint(storages=_VALUES),
        Truncated,
        "before its STOP",
    ),
    "storages beyond counting": (
        checkpoint(storages=tars.storages(count=1 << 50_000)[:-7]),
        Truncated,
        "before its STOP",
    ),
    "a storage without a number": (storages(key="1"), Malformed, "no triple"),
    "a storage beyond numbers": (
        storages(key=1 << 50_000),
        Malformed,
        "name a storage",
    ),
    "a storage without a class": (storages(kind="Size"), Malformed, "without a class"),
    "a storage cut short": (
        storages(raw=struct.pack("<q", 4) + bytes(3)),
        Truncated,
        "bytes left where it says 16",
    ),
    "a storage of less than nothing": (
        storages(raw=struct.pack("<q", -1)),
        Truncated,
        "says -4",
    ),
    "a storage beyond memory": (
        storages(raw=struct.pack("<q", (1 << 63) - 1)),
        Truncated,
        "bytes left where it says",
    ),
    "a size cut short": (
        checkpoint(storages=_VALUES[: -len(FOUR)] + b"1234567"),
        Truncated,
        "7 bytes left where it says 8",
    ),
    "views that are no list": (
        checkpoint(storages=tars.storages(ROW, views=7)),
        Malformed,
        "must be a list",
    ),
    "a view of three parts": (views((5, 1, 0)), Malformed, "four parts"),
    "a view that is no tuple": (views([5, 1, 0, 1]), Malformed, "four parts"),
    "a view of nothing": (views((5, 9, 0, 1)), Malformed, "stands for nothing"),
    "a view of text": (views((5, "1", 0, 1)), Malformed, "stands for nothing"),
    "a view cut by text": (views((5, 1, "0", 1)), Malformed, "cut by ints"),
    "a view called by text": (views(("5", 1, 0, 1)), Malformed, "cut by ints"),
    "no count of tensors": (
        checkpoint(tensors=dump(None)),
        Malformed,
        "without a count",
    ),
    "a tensor of nothing": (tensors(storage=7), Malformed, "stands for nothing"),
    "a tensor without numbers": (tensors(), Truncated, "0 bytes left"),
    "a tensor cut short": (
        tensors(numbers=geometry((2, 2), (2, 1))[:-1]),
        Truncated,
        "bytes left where it says 40",
    ),
    "a tensor of many dimensions": (
        tensors(numbers=geometry((2,), (1,), ndim=1 << 30)),
        Truncated,
        "bytes left where it says",
    ),
    "a tensor of less than no dimensions": (
        tensors(numbers=geometry((2,), (1,), ndim=-1)),
        Truncated,
        "bytes left where it says",
    ),
    "a tensor beyond its storage": (
        tensors(numbers=geometry((2, 2), (2, 1), 1)),
        Malformed,
        "need 5 elements where the storage has 4",
    ),
    "a tensor of a tensor": (
        checkpoint(
            tensors=tars.tensors(
                (2, 1, geometry((), ())),
                (3, 2, geometry((), ())),
            )
        ),
        Malformed,
        "stands for nothing",
    ),
    "a tensor that needs a scale": (
        checkpoint(
            storages=tars.storages((1, "QInt8Storage", struct.pack("<qB", 1, 0))),
            tensors=tars.tensors((2, 1, geometry((), ()))),
        ),
        Malformed,
        "a plain tensor of qint8",
    ),
    "an id that is no number": (checkpoint(number("x")), Malformed, "stands for"),
    "an id that looks like one": (checkpoint(number("\xb2")), Malformed, "stands for"),
    "an id beyond reading": (checkpoint(number("1" * 5000)), Malformed, "stands for"),
    "an id that is not ASCII": (checkpoint(number(b"\xff")), Malformed, "not ASCII"),
    "an id of nothing": (checkpoint(number("7")), Malformed, "stands for nothing"),
    "an id that is a list": (checkpoint(number([])), Malformed, "stands for nothing"),
    "an empty id": (checkpoint(number(())), Malformed, "stands for nothing"),
    "an id in a row": (
        checkpoint(storages=dump(1) + dump(number(1))),
        Malformed,
        "nothing could have one",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name: str) -> None:
    data, kind, message = WRONG[name]
    with pytest.raises(kind, match=message) as refused:
        read(data)
    assert type(refused.value) is kind
    assert refused.value.offset is not None
    assert 0 < refused.value.offset <= len(data)


def test_a_location_must_be_text() -> None:
    row = dump((1, None, class_name("torch.FloatStorage"))) + FOUR
    with pytest.raises(Malformed, match="without a class"):
        read(checkpoint(storages=dump(1) + row + dump([])))


def test_errors_say_where() -> None:
    data = tensors(numbers=geometry((2, 2), (2, 1), 1))
    with pytest.raises(Malformed) as refused:
        read(data)
    end = data.index(geometry((2, 2), (2, 1), 1)) + len(geometry((2, 2), (2, 1), 1))
    assert refused.value.offset == end
    data = checkpoint({"w": number("7")})
    with pytest.raises(Malformed) as refused:
        read(data)
    assert refused.value.offset == data.rindex(p.BINPERSID)
    assert refused.value.path == "['w']"


def test_cut_anywhere() -> None:
    data = checkpoint()
    # The empty blocks at the end carry nothing; those of a member must be whole.
    last = data.rindex(dump(number("2"))) + len(dump(number("2")))
    needed = -(-last // 512) * 512
    for length in range(needed):
        with pytest.raises(CheckpointError):
            read(data[:length])
    assert isinstance(read(data[:needed]), Tensor)


def test_rows_share_one_budget() -> None:
    """A row of fifty bytes could ask for a megabyte, if each had its own."""
    greedy = p.call("builtins.bytearray", 8000) + p.POP
    row = p.pickle(
        p.PROTO(2), greedy, p.args(1, "cpu", class_name("torch.ByteStorage"))
    )
    rows = (row + struct.pack("<q", 0)) * 500
    data = checkpoint(storages=dump(500) + rows + dump([]))
    with pytest.raises(CheckpointError) as refused:
        read(data)
    assert refused.value.kind == "LimitExceeded"

"""Zip archives: every rule of torch's reader, on the smallest archive."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest

from conformance.parser import errors
from conformance.parser.containers.zip import Metadata, ZipArchive
from conformance.parser.errors import CheckpointError, LimitExceeded, Malformed
from conformance.parser.limits import Limits
from tests.builders.zip_rules import LENIENT, LONG, PLAIN, RULES, TEN, Rule, one
from tests.builders.zips import (
    DEFLATED,
    Entry,
    build,
    checkpoint,
    entries,
    odd_archive,
)


def opened(data: bytes, start: int = 0, limits: Limits | None = None) -> ZipArchive:
    return ZipArchive(memoryview(data), limits, start=start)


def taken(archive: ZipArchive, name: str, nbytes: int) -> bytes:
    """The bytes of a storage, fetched now or later."""
    source = archive.source(name, nbytes)
    return bytes(source if isinstance(source, memoryview) else source())


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_rule(rule: Rule) -> None:
    if rule.refusal:
        with pytest.raises(CheckpointError) as refused:
            opened(rule.data, rule.start)
        assert refused.value.kind == rule.refusal
        assert refused.value.phase == "container"
        return
    archive = opened(rule.data, rule.start)
    for name, expected in rule.records.items():
        if isinstance(expected, bytes):
            assert name in archive
            assert archive.read(name) == expected
            assert taken(archive, name, len(expected)) == expected
            with pytest.raises(Malformed, match=f"{len(expected)} bytes, not"):
                archive.source(name, len(expected) + 1)
        else:
            with pytest.raises(getattr(errors, expected)):
                archive.read(name)


@pytest.mark.parametrize("packed", [packed for packed, _ in LENIENT.values()])
def test_a_stream_that_only_miniz_likes(packed: bytes) -> None:
    archive = opened(one(packed=packed, method=DEFLATED))
    with pytest.raises(Malformed, match="DEFLATE"):
        archive.source("data/0", len(TEN))


def test_names_in_their_order() -> None:
    double = entries({"Data/0": b"", "data/0": b""}, root="x")
    archive = opened(build(double + checkpoint(root="x")))
    assert archive.root == "x"
    assert archive.version == 3
    assert archive.names() == ["Data/0", "data/0", "data.pkl", "byteorder", "version"]


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        (b"constants.pkl\0x", "constants.pkl"),
        (b"\0x", ""),
        (b"n" * 600, "n" * 503),
        ("\xe4".encode(), "\xe4"),
    ],
)
def test_a_name_is_listed_as_c_has_it(name: bytes, listed: str) -> None:
    archive = opened(build([*checkpoint(), Entry(b"archive/" + name)]))
    assert archive.names()[-1] == listed


ABOUT = {
    "byteorder": b"big",
    ".format_version": b"1",
    ".storage_alignment": b" 6_4\n",
    ".data/serialization_id": "\xe4".encode(),
}


def test_metadata() -> None:
    listed = entries({"version": b"3", **ABOUT})
    assert opened(build(listed)).metadata() == Metadata("big", b"1", 64, "\xe4")


def test_no_metadata() -> None:
    archive = opened(build(entries({"version": b"3"})))
    assert archive.metadata() == Metadata(None, None, None, None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("byteorder", b"little\n"),
        ("byteorder", b"Big"),
        ("byteorder", b""),
        (".storage_alignment", b""),
        (".storage_alignment", b"0x40"),
        (".storage_alignment", b"64\0"),
        (".storage_alignment", b"1" * 4301),
        (".data/serialization_id", b"\xff"),
    ],
)
def test_metadata_that_torch_refuses(name: str, text: bytes) -> None:
    archive = opened(build(entries({"version": b"3", **ABOUT, name: text})))
    with pytest.raises(Malformed):
        archive.metadata()


def test_offset() -> None:
    data = one(alignment=64, descriptor=8)
    offset = opened(data).offset("data/0")
    assert offset % 64 == 0
    assert data[offset:].startswith(TEN)
    assert opened(b"hello" + data, 5).offset("data/0") == offset


def test_a_stored_record_is_not_copied() -> None:
    data = bytearray(PLAIN)
    archive = ZipArchive(memoryview(data))
    source = archive.source("data/0", len(TEN))
    assert isinstance(source, memoryview)
    assert source.readonly
    data[archive.offset("data/0")] ^= 0xFF
    assert bytes(source) != TEN


def test_inflation_is_limited() -> None:
    data = one(LONG, method=DEFLATED)
    tight = Limits(inflate_ratio=len(LONG) // len(data))
    with pytest.raises(LimitExceeded):
        opened(data, limits=tight).read("data/0")
    with pytest.raises(LimitExceeded):
        opened(data, limits=tight).source("data/0", len(LONG))
    enough = opened(data, limits=Limits(inflate_ratio=tight.inflate_ratio + 1))
    source = enough.source("data/0", len(LONG))
    # What could be inflated once may be again.
    assert callable(source)
    assert source() == source() == enough.read("data/0") == LONG


def test_a_pickle_that_inflates_to_too_much_is_refused() -> None:
    """It would lie in memory whole; a storage need not, and may be larger."""
    data = one(LONG, method=DEFLATED)
    limits = Limits(inflate_pickle_ratio=1, inflate_base=len(LONG) - 1)
    with pytest.raises(LimitExceeded, match="inflates to"):
        opened(data, limits=limits).read("data/0")
    opened(data, limits=limits).source("data/0", len(LONG))


def test_all_records_together_are_limited() -> None:
    listed = [Entry(b"archive/data/%d" % i, LONG, DEFLATED) for i in range(4)]
    data = build([*checkpoint(), *listed])
    archive = opened(data, limits=Limits(inflate_ratio=3 * len(LONG) // len(data) + 1))
    for name in ("data/0", "data/1", "data/2"):
        archive.read(name)
    with pytest.raises(LimitExceeded):
        archive.read("data/3")


def test_errors_say_where() -> None:
    data = one(central={"signature": b"PK\3\4"})
    entry = data.rindex(b"PK\3\4")
    with pytest.raises(Malformed) as refused:
        opened(b"hello" + data, 5)
    assert refused.value.offset == entry
    assert "'archive/data/0' has no signature" in str(refused.value)


def test_cut_anywhere() -> None:
    listed = [*checkpoint(), Entry(b"archive/data/0", TEN, DEFLATED, comment=b"x")]
    data = build(listed, end64={})
    assert bytes(opened(data).read("data/0")) == TEN
    for length in range(len(data)):
        with pytest.raises(CheckpointError):
            opened(data[:length])


def read_all(data: bytes, start: int) -> None:
    """Everything a loader could ask of an archive."""
    archive = opened(data, start)
    archive.metadata()
    for name in archive.names():
        archive.offset(name)
        size = len(archive.read(name))
        assert len(taken(archive, name, size)) == size


def test_odd_archives_end_in_records_or_errors() -> None:
    random = Random(20260102)  # noqa: S311 - no secrets here
    for _ in range(2000):
        with suppress(CheckpointError):
            read_all(*odd_archive(random))


def test_twenty_thousand_copies_are_no_more_than_sorting() -> None:
    count = 20_000
    listed = [Entry(b"archive/data/0", b"%d" % i) for i in range(count)]
    data = build([*checkpoint(), *listed], end64={})
    assert int(bytes(opened(data).read("DATA/0"))) in range(count)

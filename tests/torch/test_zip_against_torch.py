"""Our zip archives against torch's: the same ones open, with the same bytes.

Left out is what torch leaves to chance: records that nothing fills, and DEFLATE
streams that break before they have given all that the directory announces.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, Final

import pytest
import torch

from conformance.parser.containers.zip import ZipArchive
from conformance.parser.errors import CheckpointError, Uninitialised
from tests.builders.zip_rules import LENIENT, PLAIN, RULES, Rule, one
from tests.builders.zips import DEFLATED, NAMES, odd_archive

#: What a reader says instead of an answer.
NO: Final = "refused"
#: What ours says where torch's answer is whatever lay in memory.
ANY: Final = "left to chance"


def ours(ask: Callable[..., Any], *args: Any) -> Any:
    try:
        return ask(*args)
    except Uninitialised:
        return ANY
    except CheckpointError as error:
        broken = "DEFLATE" in error.message and "ends after" not in error.message
        return ANY if broken else NO


def theirs(ask: Callable[..., Any], *args: Any) -> Any:
    try:
        return ask(*args)
    except Exception:  # noqa: BLE001 - torch has many ways to say no
        return NO


def at(data: bytes, start: int) -> io.BytesIO:
    file = io.BytesIO(data)
    file.seek(start)
    return file


def our_load(data: bytes, start: int) -> Any:
    """What torch.load would give for what we read out of the archive."""
    archive = ZipArchive(memoryview(data), start=start)
    if "constants.pkl" in archive.names():
        return NO
    archive.metadata()
    pickle = io.BytesIO(archive.read("data.pkl"))
    return theirs(torch._weights_only_unpickler.load, pickle)


def our_record(archive: ZipArchive, name: str) -> bytes:
    return bytes(archive.read(name))


def our_storage(archive: ZipArchive, name: str, nbytes: int) -> bytes:
    source = archive.source(name, nbytes)
    return bytes(source if isinstance(source, memoryview) else source())


def their_storage(reader: Any, name: str, nbytes: int) -> bytes:
    """As torch.load asks for it."""
    tensor = reader.get_storage_from_record(name, nbytes, torch.UntypedStorage)
    return bytes(tensor._typed_storage()._untyped_storage.tolist())


def compare(data: bytes, start: int = 0) -> str:
    """Hold both readers against each other; says what they agree on."""
    archive = ours(lambda: ZipArchive(memoryview(data), start=start))
    if archive is ANY:
        return ANY
    result = ours(our_load, data, start)
    # Anything else torch.load takes for a legacy stream.
    if result is not ANY and data[start:].startswith(b"PK\3\4"):
        assert theirs(torch.load, at(data, start)) == result
    reader = theirs(torch._C.PyTorchFileReader, at(data, start))
    listed = NO if reader is NO else theirs(reader.get_all_records)
    if archive is NO:
        assert listed is NO
        return NO
    assert listed == archive.names()
    for name in {*NAMES, *listed, *map(str.swapcase, listed)}:
        assert (name in archive) == reader.has_record(name)
        record = ours(our_record, archive, name)
        if record is ANY:
            continue
        assert record == theirs(reader.get_record, name)
        if record is NO:
            continue
        if record:
            # torch measures a local header whatever it is; ours must be one.
            assert archive.offset(name) == reader.get_record_offset(name)
        for nbytes in (len(record), len(record) + 1):
            asked = (name, nbytes)
            assert ours(our_storage, archive, *asked) == theirs(
                their_storage, reader, *asked
            )
    return "opened"


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_torch_has_this_rule(rule: Rule) -> None:
    assert compare(rule.data, rule.start) == (NO if rule.refusal else "opened")


def test_cut_anywhere() -> None:
    assert {compare(PLAIN[:length]) for length in range(len(PLAIN))} == {NO}


@pytest.mark.parametrize(("packed", "inflated"), LENIENT.values(), ids=LENIENT)
def test_torch_takes_what_miniz_left(packed: bytes, inflated: bytes) -> None:
    reader = torch._C.PyTorchFileReader(at(one(packed=packed, method=DEFLATED), 0))
    assert reader.get_record("data/0") == inflated


def test_odd_archives_read_as_torch_reads_them() -> None:
    random = Random(20260101)  # noqa: S311 - no secrets here
    agreed = Counter(compare(*odd_archive(random)) for _ in range(3000))
    # The comparison is worth something where many archives open and many don't.
    assert min(agreed["opened"], agreed[NO]) > 900

"""The container mutators: archives, legacy streams, tars, whole files."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.corpus.stream import opcodes_of
from conformance.fuzz.mutation import archives, edits, files, streams, tars
from conformance.fuzz.mutation.archives import mutants
from conformance.fuzz.mutation.archives.tearing import apart
from conformance.fuzz.mutation.archives.zips import Archive
from conformance.fuzz.words import Words
from conformance.parser import CheckpointError
from tests.builders import checkpoints, legacy
from tests.builders import tars as tar_builder
from tests.fuzz.containers import (
    FOUR,
    LEGACY,
    PLAIN,
    ROOT,
    SEEDS,
    TAR,
    TREE,
    WORDS,
    ZIP,
    corpus,
    loads,
    seeded,
)

Mutate = Callable[[bytes, Random, Words], bytes]
MUTATE: Final[dict[str, Mutate]] = {
    "archives": archives.mutate,
    "streams": streams.mutate,
    "tars": tars.mutate,
    "files": files.mutate,
}


@pytest.mark.parametrize("name", SEEDS)
def test_what_is_mutated_here_loads(name: str) -> None:
    assert loads(SEEDS[name])


# ----------------------------------------------------------------- the same bytes


def test_files_of_the_corpus_come_together_as_they_were() -> None:
    """All of them, the broken ones too, whatever they are taken for."""
    for data in corpus():
        assert apart(data).together() == data
        assert b"".join(map(bytes, streams.apart(data))) == data
        assert bytes(tars.apart(data)) == data


PIECES: Final = st.sampled_from(
    [b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\7\b", bytes(20),
     b"\xff" * 4, b"\x80\2", b".", b"X\1\0\0\0a", streams.HEAD[0], streams.HEAD[2],
     bytes(512), ZIP, LEGACY, TAR, ZIP[:100], ZIP[-100:], TAR[:600], LEGACY[:90]]
)  # fmt: skip
ANY: Final = (
    st.lists(PIECES | st.binary(max_size=40), max_size=8).map(b"".join)
    | st.binary(max_size=200)
    | st.tuples(st.sampled_from([*SEEDS.values()]), st.integers(0, 4096)).map(
        lambda cut: cut[0][: cut[1]]
    )
)


@given(ANY)
@settings(deadline=None, database=None)
def test_any_bytes_come_together_as_they_were(data: bytes) -> None:
    assert apart(data).together() == data
    assert b"".join(map(bytes, streams.apart(data))) == data
    assert bytes(tars.apart(data)) == data
    assert b"".join(map(bytes, tars.rows(data))) == data


# --------------------------------------------------------------------- any mutant


@given(ANY, st.integers(0, 1 << 32), st.sampled_from([*MUTATE]))
@settings(deadline=None, database=None, max_examples=400)
def test_any_bytes_have_another_mutant(data: bytes, seed: int, name: str) -> None:
    """Nothing is raised, and the same random numbers give the same mutant."""
    mutant = MUTATE[name](data, seeded(seed), WORDS)
    assert mutant != data
    assert MUTATE[name](data, seeded(seed), WORDS) == mutant
    assert MUTATE[name](data, seeded(seed), Words()) is not None


@pytest.mark.parametrize("name", SEEDS)
def test_mutants_of_mutants(name: str) -> None:
    """What a campaign does: nothing is raised, and sizes stay within reason."""
    random = seeded("generations", name)
    for _ in range(60):
        data = SEEDS[name]
        for _ in range(12):
            before, data = data, files.mutate(data, random, WORDS)
            assert data != before
            assert len(data) <= 8 * len(before) + (1 << 17)
            data = data[: 1 << 16]


def test_the_order_of_hash_tables_changes_no_mutant() -> None:
    """In fresh interpreters with other seeds for the hashes of strings."""
    program = (
        "import hashlib, sys, zlib; from random import Random;"
        "from conformance.fuzz.mutation import files;"
        "from conformance.fuzz.words import Words;"
        "data = sys.stdin.buffer.read(); digest = hashlib.sha256();"
        "[digest.update(files.mutate(data, Random(seed), Words()))"
        " for seed in range(300)]; print(digest.hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            input=ZIP,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


# ------------------------------------------------------------------------- tables


def torn() -> Archive:
    return apart(ZIP)


#: Files on which the mutations of a kind can do something.
TABLES: Final[tuple[tuple[str, Any, Callable[[], Any], Callable[[Any], Any]], ...]] = (
    ("archives", mutants.MUTATIONS, torn, Archive.together),
    ("streams", streams.MUTATIONS, lambda: streams.apart(LEGACY)[0], bytes),
    ("plain", streams.PLAIN, lambda: streams.apart(PLAIN)[0], bytes),
    ("tars", tars.MUTATIONS, lambda: tars.apart(TAR), bytes),
)  # fmt: skip
ROWS: Final = [
    pytest.param(weight, mutation, tear, join, id=f"{name}-{mutation.__name__}")
    for name, table, tear, join in TABLES
    for weight, mutation in table
]


@pytest.mark.parametrize(("weight", "mutation", "tear", "join"), ROWS)
def test_each_mutation_changes_something(
    weight: int,
    mutation: Callable[[Any, Random, Words], None],
    tear: Callable[[], Any],
    join: Callable[[Any], bytes],
) -> None:
    """Mostly; and what it makes differs from time to time."""
    assert weight > 0
    before, mutants = join(tear()), []
    for seed in range(60):
        parts = tear()
        mutation(parts, seeded(seed), WORDS)
        mutants.append(join(parts))
    changed = [mutant for mutant in mutants if mutant != before]
    assert len(changed) > 30
    assert mutation.__name__ in {"bare", "wrapped", "machine"} or len({*changed}) > 1


def test_the_names_in_the_tables_are_different() -> None:
    for _, table, _, _ in TABLES:
        names = [mutation.__name__ for _, mutation in table]
        assert len({*names}) == len(names)


@pytest.mark.parametrize("accident", dict.fromkeys(edits.ACCIDENTS))
def test_each_accident_changes_something(
    accident: Callable[[bytearray, Random], None],
) -> None:
    mutants = set()
    for seed in range(40):
        out = bytearray(LEGACY)
        accident(out, seeded(seed))
        mutants.add(bytes(out))
    assert len(mutants - {LEGACY}) > 10


@given(st.binary(max_size=20), st.integers(0, 1 << 32))
@settings(deadline=None, database=None)
def test_damage_makes_other_bytes(data: bytes, seed: int) -> None:
    assert edits.damage(data, seeded(seed)) != data


@given(st.integers(0, 1 << 70), st.sampled_from([1, 2, 4, 8]), st.integers(0, 1 << 32))
@settings(deadline=None, database=None)
def test_a_lie_is_another_number_that_fits(true: int, width: int, seed: int) -> None:
    said = edits.lie(true, seeded(seed), width)
    assert 0 <= said < 1 << 8 * width
    assert said != true % (1 << 8 * width)


# ------------------------------------------------------------------------ streams


def test_pickles_end_where_the_opcode_table_says() -> None:
    for data in corpus()[::10]:
        for at in range(0, min(len(data), 200), 13):
            try:
                *_, (_, _, stop) = opcodes_of(data, at)
            except CheckpointError:
                stop = 0
            assert streams.pickle_end(data, at) == stop


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_a_stream_is_five_pickles_and_storages(protocol: int) -> None:
    """Elements of each size, and two streams in a row."""
    contents = [FOUR, (3, bytes(24)), (0, b""), (5, bytes(10)), (7, b"\1" * 7)]
    keys = ("a", "b", "c", "d", "e")
    data = legacy.stream([], keys, *contents, protocol=protocol)
    for copies in (1, 2):
        found = streams.apart(data * copies)
        assert len(found) == copies
        for stream in found:
            assert len(stream.pickles) == 5
            assert len(streams.keys_of(stream.pickles[streams.KEYS])) == len(keys)
            counts = [int.from_bytes(each.count, "little") for each in stream.storages]
            assert counts == [count for count, _ in contents]
            assert [each.data for each in stream.storages] == [
                content for _, content in contents
            ]
            assert stream.rest == b""


def test_streams_of_the_corpus_are_understood() -> None:
    """Every byte of the stream that begins with the magic number and loads."""
    found = [
        data
        for data in corpus()
        if streams.MAGIC in data[:20] and data[:1] == b"\x80" and loads(data)
    ]
    whole = [
        data
        for data in found
        if all(len(s.pickles) == 5 and not s.rest for s in streams.apart(data))
    ]
    assert len(found) > 300
    assert len(whole) >= 0.95 * len(found)


def share(seed: bytes, mutate: Mutate, name: str) -> float:
    random = seeded("share", name)
    return sum(loads(mutate(seed, random, WORDS)) for _ in range(300)) / 300


@pytest.mark.parametrize("name", ["legacy", "tar", "plain"])
def test_some_mutants_load(name: str) -> None:
    """Mutants that all die, or all live, would have shown nothing."""
    assert 0.05 < share(SEEDS[name], files.mutate, name) < 0.8


# --------------------------------------------------------------------------- tars


def test_a_tar_is_members_and_rows() -> None:
    found = {member.name: member for member in tars.apart(TAR).members}
    assert [*found] == [b"storages", b"tensors", b"pickle"]
    raws = [row.raw for row in tars.rows(found[b"storages"].content)]
    assert raws == [b"", tar_builder.raw(FOUR), tar_builder.raw((1, bytes(8))), b""]
    raws = [row.raw for row in tars.rows(found[b"tensors"].content)]
    assert [len(raw) for raw in raws] == [0, 8 + 40, 8 + 24]


def test_a_member_with_other_content_is_right() -> None:
    tar = tars.apart(TAR)
    content = tar.members[2].content
    for member, size in zip(tar.members, (0, 1, 512), strict=True):
        member.fill(bytes(size))
        again = tars.apart(bytes(tar)).members
        assert [each.content for each in again] == [m.content for m in tar.members]
        assert tars.is_tar(member.header)
    tar = tars.apart(TAR)
    tar.members[2] = tars.made(b"pickle", content)
    assert loads(bytes(tar))


# -------------------------------------------------------------------------- files

EMPTY: Final = {"plain": PLAIN, "stream": legacy.stream({"a": 1})}


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize(
    ("crossing", "begins"),
    [
        (files.zipped, b"PK\3\4"),
        (files.streamed, streams.HEAD[0]),
        (files.tarred, b"sys_info"),
        (files.bare, b"\x80\2"),
    ],
)
def test_a_pickle_moves_from_container_to_container(
    crossing: files.Crossing, begins: bytes, name: str
) -> None:
    """Without storages it loads in each of them, and comes back the same."""
    data = EMPTY[name]
    found = files.contents(data, seeded(0))
    for seed in range(20):
        out = crossing(data, found, seeded(seed))
        assert out.startswith(begins)
        if crossing is not files.tarred:
            assert loads(out)
            assert files.contents(out, seeded(seed)).pickle == found.pickle
    assert any(loads(crossing(data, found, seeded(seed))) for seed in range(20))


def test_storages_move_along() -> None:
    storages = [(b"0", struct.pack("<4f", 1, 2, 3, 4)), (b"1", bytes(8))]
    for data in (
        checkpoints.legacy(TREE),
        files.streamed(b"", files.Contents(PLAIN, storages), seeded(0)),
    ):
        found = files.contents(data, seeded(0)).storages
        assert len(found) == 2
        archive = apart(files.zipped(data, files.Contents(PLAIN, found), seeded(1)))
        named = {record.name: record for record in archive.records()}
        for key, content in found:
            assert named[b"archive/data/" + key].data in {
                content,
                # A tenth of the records is packed.
                *(record.data for record in named.values() if record.method),
            }


@pytest.mark.parametrize("crossing", sorted({*files.CROSSINGS}, key=repr))
def test_each_crossing_takes_any_file(crossing: files.Crossing) -> None:
    changed = 0
    for data in corpus()[::25]:
        random = seeded(len(data))
        changed += crossing(data, files.contents(data, random), random) != data
    assert changed > 0.8 * len(corpus()[::25])


@pytest.mark.parametrize("name", SEEDS)
def test_some_mutants_are_in_another_container(name: str) -> None:
    random = seeded("kinds", name)
    kinds = set()
    for _ in range(600):
        mutant = files.mutate(SEEDS[name], random, WORDS)
        kinds.add((archives.is_archive(mutant), tars.is_tar(mutant)))
    assert kinds == {(True, False), (False, True), (False, False)}

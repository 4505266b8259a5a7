"""Triage: findings apart, and small; with readers that are none of ours."""

from __future__ import annotations

import ast
import io
import itertools
import pickle
import pickletools
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from conformance.fuzz.mutation.pickles.stack import split
from conformance.fuzz.triage import archives, levels, pickles, run
from conformance.fuzz.triage.clusters import cluster
from conformance.fuzz.triage.ddmin import ddmin
from conformance.fuzz.triage.search import Judge, Minimal, minimise
from conformance.parser import CheckpointError, Trace, load
from tests.builders import checkpoints, tars

if sys.version_info >= (3, 11):
    pass
else:
    pass

# ------------------------------------------------------------------------- ddmin


class Asked:
    """A predicate that counts, and never hears the same list twice in a row."""

    def __init__(self, holds: Callable[[list[int]], bool]) -> None:
        self.holds = holds
        self.count = 0

    def __call__(self, items: list[int]) -> bool:
        self.count += 1
        return self.holds(items)


PREDICATES: dict[str, Callable[[list[int]], bool]] = {
    "all of some": lambda items: {3, 17, 18, 40} <= {*items},
    "one or the other": lambda items: 5 in items or 31 in items,
    "an even number of them": lambda items: 7 in items and len(items) % 2 == 0,
    "a sum": lambda items: sum(items) >= 200,
    "anything": lambda items: True,
    "everything": lambda items: len(items) >= 50,
}


@pytest.mark.parametrize("name", PREDICATES)
def test_ddmin_keeps_what_it_must_and_nothing_else(name: str) -> None:
    holds = Asked(PREDICATES[name])
    items = list(range(50))
    kept = ddmin(items, holds)
    assert PREDICATES[name](kept)
    assert kept == sorted(kept)
    for at in range(len(kept)):
        assert not PREDICATES[name](kept[:at] + kept[at + 1 :])
    assert holds.count < len(items) * (len(items) + 3)


def test_ddmin_is_quick_where_little_stays() -> None:
    holds = Asked(lambda items: 400 in items)
    assert ddmin(range(1000), holds) == [400]
    assert holds.count < 100


def test_ddmin_of_what_has_no_order() -> None:
    """Whether a list holds is chance: the result is still 1-minimal, and in time."""
    random = Random(0)  # noqa: S311 (no secrets here)
    for size, _ in itertools.product(range(10), range(20)):
        answers = {tuple(range(size)): True}

        def chance(items: list[int], answers: Any = answers) -> bool:
            held: bool = answers.setdefault(tuple(items), random.random() < 0.5)
            return held

        holds = Asked(chance)
        kept = ddmin(range(size), holds)
        assert answers[tuple(kept)]
        for at in range(len(kept)):
            assert not answers[tuple(kept[:at] + kept[at + 1 :])]
        assert holds.count < max(1, size * (size + 3))


# -------------------------------------------------------------------- one pickle


def well_formed(data: bytes) -> bool:
    """Whether Python's own disassembler has nothing to say against a pickle."""
    try:
        pickletools.dis(data, out=io.StringIO())
    except Exception:  # noqa: BLE001 (it raises what it likes)
        return False
    return True


def smallest(data: bytes, judge: Judge) -> Minimal:
    """Made small, and what holds of that whatever the judge is."""
    name = judge(data)
    assert name is not None
    found = minimise(data, name, judge, levels.STAGES)
    assert found.complete
    assert judge(found.data) == found.signature == name
    assert len(found.data) <= len(data)
    assert minimise(data, name, judge, levels.STAGES) == found
    again = minimise(found.data, name, judge, levels.STAGES)
    assert again.data == found.data
    assert again.complete
    return found


TREE = {
    "list": [1, 2, [3, {"deep": OrderedDict(a=1)}], 2**70],
    "again": (("x",) * 3, b"bytes", 1.5, {4, 5}, None, True),
    "text": "words " * 20,
}


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_names_something(protocol: int) -> None:
    def judge(data: bytes) -> str | None:
        named = b"OrderedDict" in data and well_formed(data)
        return "named" if named else None

    found = smallest(pickle.dumps(TREE, protocol), judge).data
    assert len(split(found)) <= (3 if protocol < 4 else 2), split(found)
    assert b"OrderedDict" in found


@pytest.mark.parametrize(
    ("opcode", "answer"),
    [(b"s", b"}NNs."), (b"b", b"NNb."), (b"\x86", b"NN\x86."), (b"u", b"}(u.")],
)
def test_a_pickle_with_an_opcode(opcode: bytes, answer: bytes) -> None:
    """What the opcode takes stays, as little as it can be."""
    program = (
        b"\x80\x02}q\0(X\1\0\0\0a](K\1K\2K\3eX\1\0\0\0bccollections\nOrderedDict\n)R}"
        b"X\1\0\0\0cK\5sbuX\1\0\0\0dK\1K\2\x86s."
    )

    def judge(data: bytes) -> str | None:
        ops = split(data)
        return "there" if opcode in ops and well_formed(data) else None

    found = smallest(program, judge).data
    assert len(found) == len(answer)
    assert split(found)[-2:] == [opcode, b"."]


def test_arguments_become_as_small_as_they_can() -> None:
    def judge(data: bytes) -> str | None:
        for op in split(data):
            if (
                op[:1] == b"J"
                and len(op) == 5
                and int.from_bytes(op[1:], "little") > 1000
            ):
                return "large"
        return None

    assert smallest(b"\x80\x02]J\x12\x34\x56\x00a.", judge).data == b"J\xe9\x03\0\0"

    def long(data: bytes) -> str | None:
        texts = [op for op in split(data) if op[:1] == b"X" and well_formed(data)]
        return "long" if any(op.count(b"z") > 2 for op in texts) else None

    text = b"X\x1e\0\0\0" + b"abz" * 10
    assert smallest(b"\x80\x02" + text + b".", long).data == b"X\3\0\0\0zzz."


def test_a_count_that_lies_is_left_alone() -> None:
    ops = [b"X\xff\0\0\0abc", b"."]

    def never(less: list[bytes]) -> bool:
        raise AssertionError(less)

    assert pickles.arguments(ops, never) == ops


def test_a_deep_or_long_pickle_is_cut_in_runs() -> None:
    deep = b"\x80\x02N" + b"\x85" * 20_000 + b"."

    def judge(data: bytes) -> str | None:
        return "deep" if data.count(b"\x85") >= 100 else None

    found = minimise(deep, "deep", judge, levels.STAGES)
    assert found.complete
    assert len(found.data) == 100


def test_pickles_in_a_row_end_at_their_stop() -> None:
    assert pickles.program(b"K\1.K\2.") == [b"K\1", b"."]
    assert pickles.program(b"K\1.K\2.", 3) == [b"K\2", b"."]
    assert pickles.program(b"K\1.raw", 3) is None
    assert pickles.program(b"K\1K\2") == [b"K\1", b"K\2"]
    assert pickles.program(b"K\1K\2\xff") is None
    assert pickles.program(b"") is None
    assert pickles.program(b"\x80\2K\1\xff\xff") == [b"\x80\2", b"K\1", b"\xff\xff"]


# ------------------------------------------------------------------------- files

FILE = {
    "w": checkpoints.tensor(checkpoints.floats(1, 2, 3, 4), (2, 2)),
    "v": [checkpoints.longs(1, 2), checkpoints.Call("datetime.date", b"\7\xe4\1\2")],
    "text": "words " * 20,
}


def names(data: bytes) -> list[str]:
    try:
        return zipfile.ZipFile(io.BytesIO(data)).namelist()
    except Exception:  # noqa: BLE001 (it raises what it likes)
        return []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_with_two_records_of_one_name() -> None:
    file = io.BytesIO(checkpoints.zipped(FILE))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = b"about"
        archive.writestr("archive/version", "4\n" * 100)

    def judge(data: bytes) -> str | None:
        twice = [name for name in names(data) if name.endswith("version")]
        return "twice" if len(twice) == 2 and len({*twice}) == 1 else None

    found = smallest(file.getvalue(), judge).data
    with zipfile.ZipFile(io.BytesIO(found)) as archive:
        assert archive.namelist() == ["a/version", "a/version"]
        assert {(one.file_size, one.CRC) for one in archive.infolist()} == {(0, 0)}
    assert len(found) == 2 * (30 + 9) + 2 * (46 + 9) + 22


def test_what_stays_of_an_archive_is_as_usual() -> None:
    """A reader that minds checksums and sizes has nothing to say against it."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(checkpoints.zipped(FILE))) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for one in old.namelist():
            new.writestr(one, old.read(one) + bytes(100))

    def judge(data: bytes) -> str | None:
        return (
            "pkl" if any(name.endswith("/data.pkl") for name in names(data)) else None
        )

    found = smallest(file.getvalue(), judge).data
    with zipfile.ZipFile(io.BytesIO(found)) as archive:
        assert archive.namelist() == ["a/data.pkl"]
        assert archive.testzip() is None
        assert archive.infolist()[0].compress_type == zipfile.ZIP_STORED


def test_only_the_odd_field_stays_odd() -> None:
    data = bytearray(checkpoints.zipped(FILE))
    # An encrypted record, and a date: flags and date of the first local header.
    data[6:8], data[12:14] = b"\1\0", b"\x21\x51"

    def judge(data: bytes) -> str | None:
        flag = data[:4] == b"PK\3\4" and data[6:8] == b"\1\0"
        return "flag" if flag and names(data) else None

    found = smallest(bytes(data), judge).data
    assert archives.is_archive(found)
    assert list(archives._odd(found)) == [(0, "flags")]


def parsed(data: bytes) -> Trace | None:
    trace = Trace()
    try:
        load(io.BytesIO(data), weights_only=False, trace=trace)
    except CheckpointError:
        return None
    return trace


def calling(name: str, container: str) -> Judge:
    """That a file loads, is of a kind, and calls something."""

    def judge(data: bytes) -> str | None:
        trace = parsed(data)
        right = trace is not None and name in trace.calls
        return name if right and trace and container in trace.containers else None

    return judge


@pytest.mark.parametrize("protocol", [1, 2, 4])
@pytest.mark.parametrize(
    ("container", "size"), [("zip", 430), ("legacy", 170)], ids=["zip", "legacy"]
)
def test_files_around_a_call(container: str, size: int, protocol: int) -> None:
    make = checkpoints.zipped if container == "zip" else checkpoints.legacy
    judge = calling("torch._utils._rebuild_tensor_v2", container)
    found = smallest(make(FILE, protocol=protocol), judge).data
    assert len(found) <= size
    trace = parsed(found)
    assert trace is not None
    assert trace.calls.total() == trace.storages == 1


def test_a_legacy_stream_loses_storages_with_their_keys() -> None:
    file = checkpoints.legacy([checkpoints.floats(*range(9)) for _ in range(5)])

    def judge(data: bytes) -> str | None:
        trace = parsed(data)
        legacy = trace is not None and "legacy" in trace.containers
        return "stored" if legacy and trace and trace.storages else None

    found = smallest(file, judge).data
    trace = parsed(found)
    assert trace is not None
    assert trace.storages == 1
    assert len(found) < 120 + 9 * 4


def test_a_tar_loses_rows_with_their_counts() -> None:
    floats = tars.raw((2, bytes(8)))
    stored = [(number, "FloatStorage", floats) for number in range(4)]
    shaped = [(9 + number, number, tars.geometry((2,), (1,))) for number in range(4)]
    file = tars.checkpoint(
        [tars.number(9 + number) for number in range(4)] + ["text"] * 9,
        storages=tars.storages(*stored),
        tensors=tars.tensors(*shaped),
    )

    def judge(data: bytes) -> str | None:
        trace = parsed(data)
        tar = trace is not None and trace.containers == ["tar"]
        return "stored" if tar and trace and trace.persistent_ids else None

    found = smallest(file, judge).data
    trace = parsed(found)
    assert trace is not None
    assert trace.storages == trace.persistent_ids.total() == 1
    # A header and a block for each member, and nothing behind them.
    assert len(found) == 6 * tars.BLOCK


# ------------------------------------------------------- searching and clustering


def test_the_budget_is_kept() -> None:
    asked = []

    def judge(data: bytes) -> str | None:
        asked.append(data)
        return "in" if b"OrderedDict" in data else None

    data = pickle.dumps(TREE, 2)
    steps: list[tuple[int, int, int]] = []
    found = minimise(
        data, "in", judge, levels.STAGES, budget=20,
        step=lambda *step: steps.append(step),
    )  # fmt: skip
    assert not found.complete
    assert found.asked == len(asked) == len(steps) == 20
    assert [step[0] for step in steps] == list(range(1, 21))
    assert len(found.data) < len(data)
    assert judge(found.data) == "in"


def test_nothing_is_judged_twice_and_nothing_longer() -> None:
    seen: set[bytes] = set()
    data = checkpoints.zipped(FILE)

    def judge(candidate: bytes) -> str | None:
        assert candidate not in seen
        assert len(candidate) <= len(data)
        seen.add(candidate)
        return "in" if b"datetime" in candidate else None

    minimise(data, "in", judge, levels.STAGES)


def test_findings_of_one_cause_are_one_cluster() -> None:
    def judge(target: str, data: bytes) -> str | None:
        return data[:1].decode() or None

    inputs = [
        ("zip", b"aaa"), ("zip", b"b"), ("zip", b"ab"), ("zip", b"aa"), ("zip", b"ab"),
        ("tar", b"a"), ("zip", b""),
    ]  # fmt: skip
    found, nothing = cluster(inputs, judge)
    assert [(one.key, one.signature, one.smallest, one.count) for one in found] == [
        ("zip", "a", b"aa", 3),
        ("zip", "b", b"b", 1),
        ("tar", "a", b"a", 1),
    ]
    assert nothing == [("zip", b"")]


#: What knows no reader, so that others may use it on theirs.
GENERIC = "archives clusters ddmin levels pickles raw records search streams tars"


def test_whoever_has_a_reader_can_use_it() -> None:
    folder = Path(run.__file__).parent
    assert {*GENERIC.split()} < {path.stem for path in folder.glob("*.py")}
    for name in GENERIC.split():
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_bytes())):
            if isinstance(node, ast.ImportFrom) and (node.level or node.module):
                module = node.module or ""
                beside = node.level == 1 and (module or "raw") in GENERIC
                assert (
                    beside
                    or (node.level == 2 and module.startswith("mutation."))
                    or module == "conformance.parser.opcodes"
                    or (not node.level and not module.startswith("conformance"))
                ), (name, module)

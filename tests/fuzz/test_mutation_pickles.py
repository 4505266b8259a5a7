"""Pickles taken apart and mutated: what holds for any bytes, and what for most."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.corpus.format import cases, corpus_folder
from conformance.corpus.paths import traced
from conformance.corpus.stream import opcodes_of
from conformance.fuzz.mutation import pickles
from conformance.fuzz.mutation.pickles import edges, followed, rebuild, spelling
from conformance.fuzz.mutation.pickles.mutants import (
    EDITS,
    FOLLOWED,
    GROWTH,
    WILD,
    Edit,
    split,
)
from conformance.fuzz.mutation.pickles.stack import (
    CODES,
    EFFECTS,
    Ops,
    Use,
    group,
    last_of,
    mark_of,
    start_of,
    use_of,
    use_of_items,
)
from conformance.fuzz.words import Words
from conformance.parser import CheckpointError, Storage
from conformance.parser import globals as known
from conformance.parser.context import record_key, storage_id
from conformance.parser.opcodes import BY_CODE
from conformance.parser.unpickler import Unpickler
from conformance.parser.values import Global
from tests.builders import pickles as p

WORDS = Words(
    globals=(("collections", "OrderedDict"), ("torch", "Size"), ("models", "Net")),
    pieces=(b"K\1", b"]", b"}X\1\0\0\0kK\1s", b"(K\1K\2t", b"ctorch\nSize\n)R"),
    strings=("cpu", "weight"),
)

TENSOR = p.call(
    "torch._utils._rebuild_tensor_v2",
    p.Assembled(
        p.args("storage", p.Assembled(p.GLOBAL("torch", "FloatStorage")), "0", "cpu", 4)
        + p.BINPERSID
    ),
    0, (2, 2), (2, 1), False, p.call("collections.OrderedDict"),
)  # fmt: skip
CHECKPOINT = p.pickle(p.PROTO(2), p.value({"w": TENSOR, "step": 7, "seen": ["a"]}))


def seeded(*seed: object) -> Random:
    return Random(repr(seed))  # noqa: S311


@cache
def corpus() -> tuple[bytes, ...]:
    """Different pickles of every fourth case, without the long ones."""
    found: dict[bytes, None] = {}
    for number, (path, case) in enumerate(cases(corpus_folder())):
        if number % 4 == 0:
            found.update(dict.fromkeys(traced(path, case.encoding).pickles or ()))
    return tuple(data for data in found if len(data) < 3_000)


def persistent_load(pid: Any) -> Storage:
    """Any storage, full of zeros."""
    kind, key, location, numel, _ = storage_id(pid, 5)
    nbytes = numel * kind.info.itemsize
    return Storage(
        kind.info.name, nbytes, location, record_key(key), lambda: memoryview(b"")
    )


def ended(data: bytes) -> str:
    """How the pickle machine ends: `"stop"`, or the phase of its error."""
    machine = Unpickler(
        data,
        persistent_load=persistent_load,
        nested=lambda inner: inner,
        weights_only=False,
    )
    try:
        machine.load()
    except CheckpointError as error:
        return str(error.phase)
    return "stop"


@cache
def loading() -> tuple[bytes, ...]:
    """Pickles of the corpus that the machine takes to STOP."""
    return tuple(data for data in corpus() if len(data) > 60 and ended(data) == "stop")


# ------------------------------------------------------------------ taking apart


@given(st.binary())
def test_opcodes_joined_are_the_pickle(data: bytes) -> None:
    assert b"".join(split(data)) == data


@given(st.lists(st.sampled_from(sorted(BY_CODE)), max_size=40), st.data())
def test_opcodes_of_any_kind_joined_are_the_pickle(
    chosen: list[int], draw: st.DataObject
) -> None:
    parts = [bytes((code,)) + draw.draw(st.binary(max_size=9)) for code in chosen]
    data = b"".join(parts)
    ops = split(data)
    assert b"".join(ops) == data
    assert all(ops)


def strictly(data: bytes) -> Ops:
    """As the corpus takes pickles apart: up to STOP, or to what is wrong."""
    ops = []
    try:
        for _, start, stop in opcodes_of(data):
            ops.append(data[start:stop])
    except CheckpointError:
        pass
    return ops


def test_it_is_taken_apart_as_the_corpus_is() -> None:
    for data in corpus():
        strict = strictly(data)
        ops = split(data)
        assert ops[: len(strict)] == strict
        assert b"".join(ops) == data
        if ops and ops[-1][0] != CODES["STOP"]:
            assert len(ops) == len(strict) + 1 or ops == strict


@pytest.mark.parametrize("size", [0, 62, 63, 64, 255, 4_080, 4_095, 4_096, 70_000])
@pytest.mark.parametrize("opcode", ["BINBYTES", "BINBYTES8", "BINUNICODE"])
def test_long_arguments(opcode: str, size: int) -> None:
    ops = [p.NONE, p.NAMES[opcode](b"." * size), p.BININT1(7), p.GLOBAL("a", "b" * 9)]
    for filling in (0, 4_000, 4_090):
        every = [p.NONE] * filling + ops * 2 + [p.STOP]
        assert split(b"".join(every)) == every


@pytest.mark.parametrize(
    "tail", [b"\xff", b"X\5\0\0\0abc", b"X\xff\xff\xff\xff", b"ca\nb", b"J\0", b"\x8e"]
)
def test_what_no_longer_parses_is_the_last(tail: bytes) -> None:
    assert split(b"N" + tail) == [b"N", tail]
    assert split(tail) == [tail]


def test_opcodes_after_stop_are_opcodes() -> None:
    assert split(b"N.N.\xff\xff") == [b"N", b".", b"N", b".", b"\xff\xff"]


# --------------------------------------------------------------------- the stack


def test_effects_are_those_of_the_table() -> None:
    for names, effect in {
        "NONE": (0, 1, False), "POP": (1, 0, False), "DUP": (1, 2, False),
        "TUPLE3": (3, 1, False), "MARK": (0, 0, False), "TUPLE": (0, 1, True),
        "APPENDS": (1, 1, True), "POP_MARK": (0, 0, True), "OBJ": (0, 1, True),
        "NEWOBJ_EX": (3, 1, False), "STOP": (1, 0, False), "BINPUT": (1, 1, False),
        "PROTO": (0, 0, False), "STACK_GLOBAL": (2, 1, False),
    }.items():  # fmt: skip
        assert EFFECTS[CODES[names]] == effect


def place(ops: Ops, name: str) -> int:
    """Where the only opcode of this name is."""
    (at,) = [at for at, op in enumerate(ops) if op[0] == CODES[name]]
    return at


def test_values_are_found_from_their_end() -> None:
    ops = split(CHECKPOINT)
    persid = place(ops, "BINPERSID")
    begin = start_of(ops, persid + 1)
    assert ops[begin] == p.MARK
    assert ops[begin + 1] == p.value("storage")
    assert start_of(ops, persid) == begin
    assert start_of(ops, len(ops) - 1) == 1
    # Below a mark there is nothing to find, nor before the beginning.
    assert start_of(ops, begin + 1) == -1
    assert start_of([p.TUPLE2], 1) == -1
    assert start_of([p.TUPLE], 1) == -1
    assert mark_of(ops, place(ops, "SETITEMS")) == 2


def test_groups_can_be_changed() -> None:
    ops = split(p.NONE + p.NONE + p.TUPLE2 + p.BINPUT(1))
    found = group(ops, 2)
    assert found is not None
    assert [*found] == [0, 3, [[p.NONE], [p.NONE]], p.TUPLE2]
    found.items.append([p.EMPTY_LIST])
    assert found.written() == [p.NONE, p.NONE, p.EMPTY_LIST, p.TUPLE3]
    found.items.append([p.EMPTY_LIST])
    assert found.written() == [
        p.MARK, p.NONE, p.NONE, p.EMPTY_LIST, p.EMPTY_LIST, p.TUPLE,
    ]  # fmt: skip
    found.items.clear()
    assert found.written() == [p.EMPTY_TUPLE]
    assert last_of(ops, 4) == 2
    for broken in (p.TUPLE, p.NONE + p.TUPLE, p.NONE + p.TUPLE2, p.MARK + p.TUPLE1):
        ops = split(broken)
        assert group(ops, len(ops) - 1) is None


def test_what_values_are_for() -> None:
    ops = split(CHECKPOINT)
    uses = {op: use_of(ops, at + 1) for at, op in enumerate(ops)}
    assert uses[p.BINPERSID] is Use.ARGUMENT
    assert uses[p.value("storage")] is Use.BOUND
    assert uses[p.value("w")] is Use.BOUND
    assert uses[p.value("a")] is Use.FREE
    assert uses[p.value(7)] is Use.FREE
    assert uses[p.EMPTY_LIST] is Use.BOUND
    assert uses[p.APPENDS] is Use.FREE
    assert uses[p.SETITEMS] is Use.FREE
    assert uses[p.GLOBAL("torch._utils", "_rebuild_tensor_v2")] is Use.BOUND
    reduce = max(at for at, op in enumerate(ops) if op == p.REDUCE)
    assert use_of(ops, reduce + 1) is Use.FREE
    assert use_of_items(ops, reduce - 1) is Use.ARGUMENT
    assert use_of_items(ops, place(ops, "BINPERSID") - 1) is Use.BOUND


# ------------------------------------------------------------------- spellings


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("int", 7, 7),
        ("text", "é\n\\'".encode(), "é\n\\'"),
        ("float", 1.5, 1.5),
        ("float", float("inf"), float("inf")),
        ("bytes", b"\0a", b"\0a"),
    ],
)
def test_every_spelling_says_the_same(kind: str, value: Any, read: Any) -> None:
    for row in spelling.SPELLINGS[kind]:
        op = spelling.write(row, value)
        assert split(op) == [op]
        assert pickle.loads(op + b".", encoding="utf-8") == read
    for row in spelling.SPELLINGS[kind][:3]:
        assert spelling.read(spelling.write(row, value)) == (row, value)


@pytest.mark.parametrize("number", edges.NUMBERS)
def test_numbers_as_protocol_2_writes_them(number: int) -> None:
    assert pickle.loads(spelling.integer(number) + b".") == number


def test_nonsense_says_nothing() -> None:
    for op in (b"Ix\n", b"F\n", b"ca\nb", b"G\0", b"\xff", b"N", b"V\\u1\n"):
        assert spelling.read(op) is None
    assert spelling.read(p.BINBYTES("a" * spelling.LONGEST)) is None


def test_counts_that_lie() -> None:
    random = seeded()
    for op in (p.BINBYTES("ab"), p.SHORT_BINBYTES("ab"), p.BINBYTES8("ab")):
        lies = {spelling.lying(op, random) for _ in range(50)}
        assert len(lies) > 9
        assert {len(lie) for lie in lies} == {len(op)}
    assert spelling.lying(p.NONE, random) == p.NONE


def test_names_at_the_edges_are_names_that_the_parser_knows() -> None:
    tables = {*known.WEIGHTS_ONLY, *known.CALLS, *known.NEW}
    for module, name in (name for kind in edges.KINDS[:5] for name in kind):
        found = known.resolve(module, name, weights_only=False)
        assert type(found) is not Global or found.name in tables


# ----------------------------------------------------------------------- any bytes


@settings(max_examples=300)
@given(st.binary(max_size=300), st.integers(0, 2**32), st.booleans())
def test_any_bytes_can_be_mutated(data: bytes, seed: int, wordless: bool) -> None:
    words = Words() if wordless else WORDS
    mutant = pickles.mutate(data, seeded(seed), words)
    assert mutant != data
    assert mutant == pickles.mutate(data, seeded(seed), words)
    assert len(mutant) <= len(data) + GROWTH


LONG = {
    "nested tuples": b"N" + b"\x85" * 200_000 + b".",
    "nested marks": b"(" * 100_000 + b"t" * 100_000 + b".",
    "marks alone": b"(" * 200_000,
    "nested lists": b"]" * 100_000 + b"a" * 99_999 + b".",
    "a dict": b"}(" + b"K\1K\2" * 100_000 + b"u.",
    "a tuple": b"(" + b"N" * 200_000 + b"t.",
    "POP": b"N0" * 100_000 + b"N.",
    "the memo": b"N" + b"\x94" * 200_000 + b"(" + b"h\0" * 99_999 + b"t.",
    "no mark": b"N" * 200_000 + b"t.",
    "strings": (b"X\x50\0\0\0" + b"." * 80) * 50_000,
    "DUP": b"2" * 200_000,
}


@pytest.mark.parametrize("name", LONG)
def test_long_pickles_are_no_trouble(name: str) -> None:
    data = LONG[name]
    random = seeded(name)
    for _ in range(3):
        mutant = pickles.mutate(data, random, WORDS)
        assert len(mutant) <= len(data) + GROWTH


def test_mutants_of_mutants_grow_no_faster() -> None:
    """What a campaign does, without anything that would keep them small."""
    random = seeded()
    for _ in range(20):
        data = CHECKPOINT
        for generation in range(1, 40):
            data = pickles.mutate(data, random, WORDS)
            assert len(data) <= len(CHECKPOINT) + generation * GROWTH


def test_the_first_frame_is_announced_again() -> None:
    data = pickle.dumps({"a": [1, 2, 3], "b": "text"}, 4)
    random = seeded()
    right = 0
    for _ in range(300):
        mutant = pickles.mutate(data, random, WORDS)
        if mutant[2:3] == b"\x95":
            right += int.from_bytes(mutant[3:11], "little") == len(mutant) - 11
    assert 180 < right < 300


# --------------------------------------------------------------------- every edit


def names(edit: Edit) -> str:
    return f"{edit.__module__.rpartition('.')[2]}-{edit.__name__}"


def pickled(values: Iterable[object]) -> list[bytes]:
    return [pickle.dumps(value, protocol) for value in values for protocol in (0, 2, 4)]


@cache
def material() -> list[bytes]:
    shared = ["x", 1.5]
    values = ({1: "a", 2: ("b", 3)}, [shared, shared], {b"k", None}, (1, 2**70, 3.5))
    return [CHECKPOINT, *pickled(values), *loading()[::40]]


@pytest.mark.parametrize("edit", EDITS, ids=names)
def test_every_edit_changes_something_and_says_so(edit: Edit) -> None:
    """And finds something to change in most pickles."""
    random = seeded(names(edit))
    changes = 0
    for data in material():
        for _ in range(10):
            ops = split(data)
            changed = edit(ops, random, WORDS)
            assert (b"".join(ops) != data) == changed
            assert all(ops)
            changes += changed
    assert changes > 2 * len(material())


@pytest.mark.parametrize("edit", EDITS, ids=names)
def test_every_edit_stays_in_its_room(edit: Edit) -> None:
    random = seeded(names(edit))
    for data in material():
        for _ in range(10):
            ops = split(data)
            edit(ops, random, WORDS)
            assert sum(map(len, ops)) <= len(data) + GROWTH // 4


def height(ops: Ops) -> int | None:
    """How high the stack is at the end; `None` where it would have run out."""
    stack, marks = 0, []
    for op in ops:
        code = op[0]
        takes, gives, closes = EFFECTS.get(code, (0, 0, False))
        if code == CODES["MARK"]:
            marks.append(stack)
            stack = 0
        elif closes or (code == CODES["POP"] and not stack):
            if not marks:
                return None
            stack = marks.pop()
            takes *= closes
        if stack < takes:
            return None
        stack += gives - takes
    return None if marks else stack


@pytest.mark.parametrize("edit", FOLLOWED, ids=names)
def test_followed_edits_keep_the_stack(edit: Edit) -> None:
    """The opcodes are still those that the bytes say, and STOP finds one value."""
    random = seeded(names(edit))
    for data in material():
        assert height(split(data)) == 0
        for _ in range(10):
            ops = split(data)
            edit(ops, random, WORDS)
            assert split(b"".join(ops)) == ops
            assert height(ops) == 0


def test_wild_edits_do_not() -> None:
    random = seeded()
    broken = Counter(
        height(ops) != 0
        for edit in WILD
        for data in material()
        if edit(ops := split(data), random, WORDS)
    )
    assert broken[True] > broken[False] / 2


def test_what_is_recalled_later_is_still_made() -> None:
    """No edit that drops a value takes it from those who use it again."""
    data = pickle.dumps([(shared := ["x", "y"]), shared, shared], 2)
    random = seeded()
    for edit in (followed.drop, followed.remember):
        for _ in range(200):
            ops = split(data)
            edit(ops, random, WORDS)
            assert ended(b"".join(ops)) == "stop"


# --------------------------------------------------------------- arguments of calls


def arguments(name: str) -> Counter[Any]:
    """What the arguments of a rebuild function become, one mutant after another."""
    random = seeded(name)
    found: Counter[Any] = Counter()
    for _ in range(10_000):
        ops = split(CHECKPOINT)
        rebuild.mutate(ops, random, WORDS)
        machine = Unpickler(
            b"".join(ops),
            persistent_load=lambda pid: ("storage", pid),
            nested=lambda inner: inner,
            weights_only=False,
        )
        try:
            machine.trace.on_call = lambda called, given: found.update(
                [repr(given)] if called == name else []
            )
            machine.load()
        except CheckpointError:
            pass
    return found


def test_arguments_of_a_rebuild_function_at_the_edges() -> None:
    found = arguments("torch._utils._rebuild_tensor_v2")
    text = "\n".join(found)
    assert len(found) > 300
    for part in (
        "0, (2, 2), (2, 1), True",  # requires_grad
        "0, (2, 1), (2, 2), False",  # shape and stride in each other's place
        "0, (2, 2), (2,), False",  # a stride too short
        "1, (2, 2), (2, 1), False",  # the offset
        "-1, (2, 2), (2, 1), False",
        f"({2**31}, {2**31})",  # products that overflow
        f"({2**62}, 4)",
        "None, (2, 2), (2, 1), False",
        "(2, -2)",
        "{'conj': True}",  # metadata
        "'0', 'cpu', 3))",  # numel
        "'0', 'cpu', 5))",
        "'0', 'cuda:0', 4))",
        "'0', 'meta', 4))",
        "'0', 'junk', 4))",
        "'../0', 'cpu', 4))",
        "LongStorage",
        "'module', ",
        "'cpu', 4, None))",  # view metadata
        "('v', 1, ",
    ):
        assert part in text, part
    assert re.search(r"4\)\), \d{19,}, \(2, 2\), \(2, 1\)", text)  # a huge offset


# ------------------------------------------------------------------------ shares

Mutate = Callable[[bytes, Random], bytes]


def shares(mutate: Mutate, times: int = 3_000) -> dict[str, float]:
    random = seeded()
    sources = loading()
    ends = Counter(
        ended(mutate(sources[random.randrange(len(sources))], random))
        for _ in range(times)
    )
    return {end: number / times for end, number in ends.items()}


def edited(table: dict[Edit, int]) -> Mutate:
    """One edit of a table, by weight; another one where it finds nothing."""
    drawn = [edit for edit, weight in table.items() for _ in range(weight)]

    def mutate(data: bytes, random: Random) -> bytes:
        for _ in range(20):
            ops = split(data)
            if random.choice(drawn)(ops, random, WORDS):
                break
        return b"".join(ops)

    return mutate


def test_most_followed_mutants_get_through() -> None:
    """Past the pickle machine: to STOP, or to a rebuild function that objects."""
    found = shares(edited(FOLLOWED))
    assert found["stop"] > 0.45
    assert found["stop"] + found["rebuild"] > 0.8
    assert found["rebuild"] > 0.1


def test_most_get_to_the_end_if_no_arguments_are_spoilt_on_purpose() -> None:
    others = {edit: n for edit, n in FOLLOWED.items() if edit is not rebuild.mutate}
    assert shares(edited(others))["stop"] > 0.52


def test_most_wild_mutants_do_not() -> None:
    found = shares(edited(WILD))
    assert found["pickle"] > 0.5
    assert found["stop"] > 0.1


def test_mutants_are_a_mixture() -> None:
    found = shares(lambda data, random: pickles.mutate(data, random, WORDS))
    assert found["stop"] > 0.28
    assert found["pickle"] > 0.2
    assert found["rebuild"] > 0.15

"""Every invariant can fail: for each, a parser that breaks it is found out."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import warnings
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from conformance.fuzz import cost
from conformance.fuzz.invariants import CHAINED, Subject, check
from conformance.fuzz.reading import MODES, Mode, mode_of
from conformance.fuzz.target import Violation, signature
from conformance.fuzz.targets import TARGETS
from conformance.fuzz.trees import found, longest_chain
from conformance.parser import (
    Malformed,
    Object,
    Storage,
    Tensor,
    Truncated,
    loading,
    source,
)
from conformance.parser.execute import DISPATCH
from conformance.parser.globals import CONSTANTS
from conformance.parser.values import Global
from generators import handmade

NONE = ord("N")
MACHINE = TARGETS["machine"].run

Handler = Callable[[Any, int], int]


def test_a_right_parser_passes() -> None:
    MACHINE(b"N.", True)
    MACHINE(b"", True)


# ---------------------------------------- a machine with one opcode that is wrong


def value(make: Callable[[Any], Any]) -> Handler:
    """An opcode that leaves on the stack what `make` makes of the machine."""

    def handler(machine: Any, position: int) -> int:
        machine.stack.append(make(machine))
        return position

    return handler


def then(deed: Callable[[Any], Any]) -> Handler:
    """An opcode that does something, and leaves `None`."""
    return value(lambda machine: deed(machine) and None)


def _import(machine: Any) -> Any:
    sys.modules.pop("wave", None)
    import wave

    return wave


def _turn_off(machine: Any) -> None:
    gc.disable()


def _wrong(**keywords: Any) -> Callable[[Any], Any]:
    def raises(machine: Any) -> None:
        usual = {"message": "wrong", "phase": "pickle", "path": ""}
        raise Malformed(**usual | keywords)

    return raises


def _quadratic(machine: Any) -> None:
    for _ in machine.stack:
        pass


def _held(machine: Any) -> bytes:
    return bytes(10 * len(machine.stack))


_ANSWERS = iter(range(1 << 30))

#: What goes wrong at NONE; the invariant and the detail of the violation.
BROKEN: dict[str, tuple[Handler, str, str]] = {
    "imports": (value(_import), "side effect", "import in unpickler.py:load"),
    "opens": (value(lambda m: open(os.devnull)), "side effect", "open in"),  # noqa: SIM115
    "starts": (
        value(lambda m: subprocess.run(["true"], check=True)),  # noqa: S607
        "side effect",
        "subprocess.Popen in",
    ),
    "executes": (then(lambda m: exec("1")), "side effect", "compile in"),  # noqa: S102
    "leaves the collector off": (then(_turn_off), "state", "the collector"),
    "leaves the recursion limit": (
        then(lambda m: sys.setrecursionlimit(sys.getrecursionlimit() + 1)),
        "state",
        "the recursion limit",
    ),
    "leaves a filter": (
        then(lambda m: warnings.simplefilter("ignore", append=True)),
        "state",
        "warnings.filters",
    ),
    "leaves something in a table": (
        then(lambda m: CONSTANTS.setdefault(f"x{len(CONSTANTS)}", 1)),
        "state",
        "the parser's tables",
    ),
    "leaves numpy": (
        then(lambda m: np.seterr(over=_other(np.geterr()["over"]))),
        "state",
        "numpy.errstate",
    ),
    "replaces a row of a table": (
        then(lambda m: DISPATCH.__setitem__(255, lambda m, p: p)),
        "state",
        "conformance.parser.execute.DISPATCH",
    ),
    "an offset beyond the file": (then(_wrong(offset=99)), "error", "offset"),
    "an offset before the file": (then(_wrong(offset=-1)), "error", "offset"),
    "an unknown phase": (then(_wrong(phase="there")), "error", "phase"),
    "a message of two lines": (
        then(_wrong(message="one\ntwo")),
        "error",
        "text",
    ),
    "another answer": (value(lambda m: next(_ANSWERS)), "twice", "the second time"),
    "another answer for a view": (
        value(lambda m: type(m.data).__name__),
        "way",
        "as a memoryview",
    ),
    "quadratic work": (then(_quadratic), "work", "unpickler.py:load"),
    "quadratic memory": (value(_held), "memory", ""),
    "quadratic copies": (then(lambda m: m.data[:]), "copies", ""),
}


def _other(setting: str) -> Any:
    return "ignore" if setting == "warn" else "warn"


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """Whatever a broken parser leaves behind is put right afterwards."""
    limit, settings = sys.getrecursionlimit(), np.geterr()
    dispatch, constants = list(DISPATCH), dict(CONSTANTS)
    with warnings.catch_warnings():
        yield
    gc.enable()
    sys.setrecursionlimit(limit)
    np.seterr(**settings)
    DISPATCH[:] = dispatch
    CONSTANTS.clear()
    CONSTANTS.update(constants)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_machine(name: str, as_it_was: None) -> None:
    DISPATCH[NONE], invariant, detail = BROKEN[name]
    many = 1_500 if name.startswith("quadratic") else 1
    with pytest.raises(Violation) as raised:
        MACHINE(b"N" * many + b".", True)
    assert raised.value.invariant == invariant
    assert raised.value.detail.startswith(detail)


@pytest.mark.parametrize(
    "error", [IndexError, KeyError, MemoryError, RecursionError, UnicodeError]
)
def test_what_escapes_is_told_by_its_function(
    error: type[Exception], as_it_was: None
) -> None:
    def handler(machine: Any, position: int) -> int:
        # Not inside the loop, which takes an IndexError for the stack's end.
        machine.deferred.append((_raise, 0, ""))
        machine.stack.append(None)
        return position

    def _raise() -> None:
        raise error

    DISPATCH[NONE] = handler
    with pytest.raises(error) as raised:
        MACHINE(b"N.", False)
    told = f"escaped | {error.__name__} | unpickler.py:run_deferred"
    assert signature(raised.value) == told


# -------------------------------------------------------- a reader of broken trees


def strided(
    shape: Any, stride: Any, offset: int = 0, *, dtype: str = "float32"
) -> Tensor:
    """A tensor over a storage of 16 zeros."""
    return Tensor(dtype, shape, stride, offset, zeros(dtype, 16))


def zeros(dtype: str, nbytes: int) -> Storage:
    return Storage(dtype, nbytes, source=memoryview(bytes(nbytes)))


def longs(*rows: Any) -> Tensor:
    """A tensor of int64 that holds these."""
    array = np.array(rows, np.int64)
    storage = Storage("int64", array.nbytes, source=memoryview(array.tobytes()))
    stride = tuple(step // 8 for step in array.strides)
    return Tensor("int64", array.shape, stride, 0, storage)


def made_of(layout: str, shape: tuple[int, ...], **parts: Any) -> Tensor:
    return Tensor("float32", shape, None, layout=layout, parts=parts)


def coo(*indices: list[int], values: int = 2, coalesced: bool = False) -> Tensor:
    return made_of(
        "sparse_coo",
        (3, 4),
        indices=longs(*indices),
        values=strided((values,), (1,)),
        is_coalesced=coalesced,
    )


def csr(starts: list[int], index: list[int]) -> Tensor:
    return made_of(
        "sparse_csr",
        (2, 4),
        crow_indices=longs(*starts),
        col_indices=longs(*index),
        values=strided((2,), (1,)),
    )


def bsc(starts: list[int], index: list[int]) -> Tensor:
    return made_of(
        "sparse_bsc",
        (4, 4),
        ccol_indices=longs(*starts),
        row_indices=longs(*index),
        values=strided((2, 2, 2), (1, 1, 1)),
    )


def nested(sizes: list[int], strides: list[int], offset: int) -> Tensor:
    return made_of(
        "nested",
        (1, -1, -1),
        values=strided((4,), (1,)),
        sizes=longs(sizes),
        strides=longs(strides),
        storage_offsets=longs(offset),
    )


def jagged(offsets: list[int], lengths: list[int] | None = None) -> Tensor:
    return made_of(
        "jagged",
        (2, -1),
        values=strided((4,), (1,)),
        offsets=longs(*offsets),
        lengths=None if lengths is None else longs(*lengths),
        ragged_idx=1,
    )


def channels(count: int) -> Tensor:
    tensor = strided((2, 2), (2, 1), dtype="qint8")
    tensor._parts = {
        "scales": longs(*range(count)),
        "zero_points": longs(*range(count)),
        "axis": 0,
    }
    return tensor


RIGHT: dict[str, Any] = {
    "the last element": strided((2, 2), (2, 1)),
    "an offset": strided((1,), (9,), 3),
    "nothing, far outside": strided((0, 1 << 62), (1, 1), 1 << 62),
    "a scalar": strided((), ()),
    "repeated for ever": strided((1 << 62,), (0,)),
    "quarters of bytes": strided((64,), (1,), dtype="quint2x4"),
    "no storage": Tensor("float32", (9,), (1,)),
    "no bytes": Tensor("float32", (4,), (1,), storage=Storage("float32", 16, "meta")),
    "sparse": coo([0, 2], [3, 0], coalesced=True),
    "empty sparse": coo([], [], values=0),
    "compressed": csr([0, 1, 2], [3, 0]),
    "blocks": bsc([0, 1, 2], [1, 0]),
    "nested": nested([2, 2], [2, 1], 0),
    "nested, empty": nested([0, 2], [2, 1], 9),
    "jagged": jagged([0, 1, 4]),
    "jagged with holes": jagged([0, 2, 4], [1, 0]),
    "channels": channels(2),
    "a wrapper": Tensor("float32", (3,), (1,), layout="sparse_coo", type="some.Class"),
}

OUTSIDE: dict[str, Any] = {
    "one too many": strided((5,), (1,)),
    "one too far": strided((2, 2), (3, 1)),
    "behind an offset": strided((1,), (1,), 4),
    "of a larger dtype": Tensor("int64", (4,), (1,), storage=zeros("float32", 16)),
    "eighths of bytes": strided((65,), (1,), dtype="quint2x4"),
    "a negative size": strided((-1,), (1,)),
    "a negative stride": strided((2,), (-1,)),
    "a negative offset": strided((1,), (1,), -1),
    "two strides": strided((1,), (1, 1)),
    "no stride": strided((1,), None),
    "a size that is a bool": strided((True,), (1,)),
    "a row": coo([0, 3], [0, 0]),
    "a column": coo([0, 1], [0, 4]),
    "a negative row": coo([-1, 1], [0, 0]),
    "too many rows": coo([0, 1], [0, 1], [0, 1]),
    "too few values": coo([0, 1], [0, 1], values=1),
    "unsorted": coo([1, 0], [0, 0], coalesced=True),
    "twice the same": coo([1, 1], [0, 0], coalesced=True),
    "an index of a row": csr([0, 1, 2], [4, 0]),
    "a negative index": csr([0, 1, 2], [-1, 0]),
    "a begin": csr([1, 1, 2], [3, 0]),
    "an end": csr([0, 1, 1], [3, 0]),
    "a way back": csr([0, 3, 2], [3, 0]),
    "too few runs": csr([0, 2], [3, 0]),
    "a block": bsc([0, 1, 2], [2, 0]),
    "a component": nested([2, 2], [2, 1], 1),
    "a negative component": nested([2, 2], [2, 1], -1),
    "a piece": jagged([0, 1, 5]),
    "a piece backwards": jagged([0, 3, 2]),
    "a length": jagged([0, 2, 4], [1, 3]),
    "a channel too few": channels(1),
}


def reading(tree: Any) -> Subject:
    """Any bytes, which a reader takes for this tree."""
    return Subject(b"12345678", lambda data, mode: tree)


@pytest.mark.parametrize("name", RIGHT)
def test_views_inside(name: str) -> None:
    check(reading({"here": [RIGHT[name]]}), True)


@pytest.mark.parametrize("name", OUTSIDE)
def test_views_outside(name: str) -> None:
    with pytest.raises(Violation) as raised:
        check(reading({"here": [OUTSIDE[name]]}), False)
    assert raised.value.invariant == "view outside"


def _with_attribute(tensor: Tensor) -> OrderedDict[Any, Any]:
    made: OrderedDict[Any, Any] = OrderedDict()
    made.items = tensor  # type: ignore[assignment, method-assign]
    return made


#: Wherever in a tree a tensor may hide.
PLACES: dict[str, Callable[[Tensor], Any]] = {
    "tuple": lambda tensor: ((tensor,),),
    "dict": lambda tensor: {1: {"a": tensor}},
    "attribute": lambda tensor: Tensor("int8", (), (), attributes={"a": tensor}),
    "state": lambda tensor: Tensor("int8", (), (), state=[tensor]),
    "part": lambda tensor: Tensor("int8", (), (), type="a.b", parts={"a": tensor}),
    "argument": lambda tensor: Object(Global("a", "b"), (tensor,)),
    "keyword": lambda tensor: Object(Global("a", "b"), (), {"a": tensor}),
    "array": lambda tensor: np.array([tensor, None], dtype=object),
    "slice": slice,
    "attribute of a dict": _with_attribute,
}


@pytest.mark.parametrize("place", PLACES)
def test_a_view_outside_is_found_anywhere(place: str) -> None:
    with pytest.raises(Violation, match="elements of float32"):
        check(reading(PLACES[place](OUTSIDE["one too many"])), False)


# -------------------------------------------------------------------- chains


def chain(links: int) -> Any:
    inner: Any = deque([1])
    for number in range(links - 1):
        inner = (
            deque([inner])
            if number % 3
            else defaultdict(None, a=inner)
            if number % 2
            else _array_of(inner)
        )
    return [inner]


def _array_of(value: Any) -> Any:
    array = np.empty(1, object)
    array[0] = value
    return array


def test_deques_in_each_other() -> None:
    assert longest_chain(found(chain(7)).links) == 7
    check(reading(chain(CHAINED)), False)
    with pytest.raises(Violation) as refused:
        check(reading(chain(CHAINED + 1)), False)
    assert refused.value.invariant == "chain"


def test_deques_beside_each_other_and_in_loops() -> None:
    loop: deque[Any] = deque()
    loop.append(loop)
    many: list[Any] = [deque([deque()]) for _ in range(CHAINED)]
    assert longest_chain(found([loop, many]).links) == 2
    check(reading([loop, many]), False)


# ------------------------------------------------------------------ storages


def fetched(*answers: Any) -> Storage:
    """A storage that gives these, one after the other, when it is asked."""
    left = list(answers)

    def source() -> memoryview:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return memoryview(answer)

    made = Storage("uint8", 4)
    made.fill(source)
    return made


def test_a_storage_that_cannot_be_fetched_later() -> None:
    storage = fetched(Truncated("gone"))
    with pytest.raises(Violation, match="gone") as raised:
        check(reading([storage]), True)
    assert raised.value.invariant == "fails later"
    assert raised.value.detail == "Truncated"


def test_a_storage_of_another_size() -> None:
    with pytest.raises(Violation) as raised:
        check(reading([fetched(b"123")]), True)
    assert (raised.value.invariant, raised.value.detail) == ("lazy", "size")


def test_storages_that_change_when_they_are_fetched_at_once() -> None:
    """One whose bytes another one turns round, if it comes first."""

    def read(data: bytes, mode: Mode) -> Any:
        order: list[str] = []

        def source(name: str) -> Callable[[], memoryview]:
            def fetch() -> memoryview:
                order.append(name)
                return memoryview(b"".join(map(str.encode, order)).ljust(4))

            return fetch

        made = [Storage("uint8", 4, key=name) for name in "ab"]
        for storage in made:
            storage.fill(source(storage.key))
        return made

    with pytest.raises(Violation) as raised:
        check(Subject(b"", read), True)
    assert raised.value.invariant == "lazy"


def test_bytes_that_are_swapped_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    data = property(lambda storage: memoryview(next(turns)))
    turns = iter([b"1234", b"4321"] * 1000)
    monkeypatch.setattr(Storage, "data", data)
    with pytest.raises(Violation) as raised:
        check(Subject(b"", lambda data, mode: zeros("uint8", 4)), True)
    assert raised.value.invariant in ("lazy", "twice")


@pytest.mark.parametrize("method", ["numpy", "tobytes"])
def test_elements_of_another_place(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = getattr(Tensor, method)

    def wrong(self: Tensor) -> Any:
        return right(Tensor("uint8", (2,), (1,), 0, self.storage))

    tensor = Tensor(
        "uint8", (2,), (1,), 1, Storage("uint8", 4, source=memoryview(b"1234"))
    )
    check(reading(tensor), True)
    monkeypatch.setattr(Tensor, method, wrong)
    with pytest.raises(Violation) as raised:
        check(reading(tensor), True)
    assert raised.value.invariant == "elements"


# ------------------------------------------------------------------- whole files

FILE = TARGETS["file"].run
ZIP = TARGETS["zip"].run
ARCHIVE = handmade.archive({"a": 7})


def test_a_reader_that_stops_at_the_first_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pieces(file: Any) -> Any:
        yield file.read(1 << 20)

    ZIP(ARCHIVE, True)
    monkeypatch.setattr(source, "_pieces", pieces)
    with pytest.raises(Violation) as raised:
        ZIP(ARCHIVE, True)
    assert (raised.value.invariant, raised.value.detail) == ("way", "byte by byte")


def test_a_reader_that_begins_at_the_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def from_position(file: Any) -> Any:
        return memoryview(file.getvalue()), file.tell()

    monkeypatch.setattr(loading, "from_position", from_position)
    with pytest.raises(Violation) as raised:
        ZIP(ARCHIVE, True)
    assert (raised.value.invariant, raised.value.detail) == ("way", "at an offset")


def test_a_file_left_at_the_wrong_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def from_position(file: Any) -> Any:
        return memoryview(file.getvalue())[file.tell() :], 0

    monkeypatch.setattr(loading, "from_position", from_position)
    with pytest.raises(Violation, match="the file is left at") as raised:
        ZIP(ARCHIVE, True)
    assert raised.value.invariant == "position"


def test_a_reader_that_opens_what_the_file_names(
    monkeypatch: pytest.MonkeyPatch, as_it_was: None
) -> None:
    DISPATCH[NONE] = value(lambda machine: open("data/0"))  # noqa: SIM115
    with pytest.raises(Violation) as raised:
        FILE(b"N.", False)
    assert raised.value.invariant == "side effect"


# -------------------------------------------------------------------------- cost


def test_work_counts_lines() -> None:
    def loop(times: int) -> int:
        total = 0
        for number in range(times):
            total += number
        return total

    small, large = cost.work(lambda: loop(100)), cost.work(lambda: loop(200))
    assert 2 * 100 <= large - small <= 2 * 100 + 5


def test_work_gives_back_whatever_traced_before() -> None:
    def trace(frame: Any, event: str, arg: Any) -> None:
        """Looks at nothing."""

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        cost.work(lambda: None)
        assert sys.gettrace() is trace
    finally:
        sys.settrace(before)


def test_memory_counts_what_was_held_at_a_time() -> None:
    def one_after_the_other() -> None:
        for _ in range(10):
            bytes(100_000)

    assert 1_000_000 <= cost.memory(lambda: bytes(1_000_000)) < 1_010_000
    assert 100_000 <= cost.memory(one_after_the_other) < 210_000


def test_metered_bytes() -> None:
    data = cost.Metered(b"12345")
    assert data[1:3] + data[4:] == b"235"
    assert data[0] == ord("1")
    assert (data.slices, data.copied) == (2, 3)


# ------------------------------------------------------------------------- modes


def test_every_mode_is_reached() -> None:
    taken = {mode_of(bytes((number,))) for number in range(256)}
    assert taken == {*MODES}
    assert {mode.weights_only for mode in MODES} == {True, False}
    assert {mode.encoding for mode in MODES} == {"utf-8", "ascii", "latin1", "bytes"}


def test_thorough_means_every_mode() -> None:
    read: list[Mode] = []
    subject = Subject(b"12", lambda data, mode: read.append(mode))
    check(subject, False)
    assert read == [mode_of(b"12")]
    check(subject, True, ())
    assert read[1:] == [*MODES]

"""Every invariant can fail: for each, a parser that breaks it is found out."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from conformance.fuzz.invariants import cost
from conformance.fuzz.invariants.checks import Subject, check, linear_inflation
from conformance.fuzz.invariants.reading import MODES, Mode, mode_of
from conformance.fuzz.target import Violation, signature
from conformance.fuzz.targets import TARGETS
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


# ------------------------------------------------------------------ storages


def reading(tree: Any) -> Subject:
    """Any bytes, which a reader takes for this tree."""
    return Subject(b"12345678", lambda data, mode: tree)


def zeros(dtype: str, nbytes: int) -> Storage:
    return Storage(dtype, nbytes, source=memoryview(bytes(nbytes)))


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


def test_inflated_counts_what_zlib_gives() -> None:
    packed = zlib.compress(bytes(5000))
    real = zlib.decompressobj

    def twice() -> None:
        for _ in range(2):
            inflator = zlib.decompressobj()
            assert inflator.decompress(packed, 1000) == bytes(1000)
            assert len(inflator.decompress(inflator.unconsumed_tail)) == 4000
            assert inflator.eof

    assert cost.inflated(twice) == 10_000
    assert zlib.decompressobj is real


def test_a_reader_that_inflates_again_and_again() -> None:
    packed = zlib.compress(bytes(1 << 20))

    def read(data: bytes, mode: Mode) -> None:
        for _ in range(4):
            zlib.decompressobj().decompress(packed, 1 << 20)

    with pytest.raises(Violation) as raised:
        check(Subject(b"", read), True, (linear_inflation,))
    assert raised.value.invariant == "inflated"


def test_an_object_whose_repr_follows_what_is_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Object(Global("some", "name"), ([7] * 10_000,))
    check(reading(made), True)
    monkeypatch.setattr(Object, "__repr__", lambda self: f"Object({self.args})")
    with pytest.raises(Violation) as raised:
        check(reading(made), True)
    assert raised.value.invariant == "text"


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

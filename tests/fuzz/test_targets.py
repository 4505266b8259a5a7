"""The targets over their seeds, over old findings, and from Hypothesis."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.fuzz.invariants.reading import FULL
from conformance.fuzz.lookup import default_words
from conformance.fuzz.target import signature
from conformance.fuzz.targets import TARGETS, costly, edges, folder, machine
from conformance.fuzz.words import Words
from conformance.parser import CheckpointError, load

ROOT = Path(__file__).parents[2]
REGRESSIONS = Path(__file__).with_name("regressions")

#: Those that need no torch.
OURS = {name: target for name, target in TARGETS.items() if not target.needs_torch}

#: One seed in so many is looked at by default; all of them under `pytest -m fuzz`.
FEW = 40
#: Mutants of each target under `pytest -m fuzz`.
MUTANTS = 1_500


@cache
def seeds(name: str) -> tuple[bytes, ...]:
    return tuple(OURS[name].seeds())


@cache
def words() -> Words:
    return default_words()


# ------------------------------------------------------------------- the registry


def test_what_there_is() -> None:
    assert list(TARGETS) == [
        *("machine", "zip", "legacy", "tar", "folder", "file", "roundtrip"),
        "differential",
    ]
    assert all(target.name == name for name, target in TARGETS.items())


@pytest.mark.parametrize("name", TARGETS)
def test_says_what_must_hold(name: str) -> None:
    assert TARGETS[name].invariant.endswith(".")


def test_imports_no_torch() -> None:
    program = "import sys, conformance.fuzz.targets; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize("name", OURS)
def test_seeds(name: str) -> None:
    """There are some, all different, not too large, and the same every time."""
    found = seeds(name)
    assert len(found) == len({*found}) > 10
    assert max(map(len, found)) <= OURS[name].max_size
    assert tuple(islice(OURS[name].seeds(), 50)) == found[:50]


# ------------------------------------------------------------- what they raise


def _calls(target: Callable[[bytes], object], data: bytes) -> str:
    """The signature of what a target raises that lives here, and not in our house."""
    try:
        target(data)
    except Exception as error:  # noqa: BLE001 (whatever it is)
        return signature(error)
    raise AssertionError("nothing was raised")


def _own(data: bytes) -> None:
    _deeper(data)


def _deeper(data: bytes) -> None:
    # An error of the standard library's own functions, below all of these.
    zipfile.ZipFile(io.BytesIO(data))


def _of_ours(data: bytes) -> None:
    load(io.BytesIO(data))


def test_what_escapes_elsewhere_is_told_by_the_targets_own_file() -> None:
    told = "escaped | BadZipFile | test_targets.py:_deeper"
    assert _calls(_own, b"no archive") == told


def test_what_passed_one_of_our_functions_is_told_by_that() -> None:
    assert _calls(_of_ours, b"") == "escaped | NotACheckpoint | __init__.py:read"


def test_what_was_never_called_has_no_function() -> None:
    assert _calls(bytes.hex, 7) == "escaped | TypeError"  # type: ignore[arg-type]


# ---------------------------------------------------------------------- the seeds


@pytest.mark.parametrize("name", OURS)
def test_some_seeds(name: str) -> None:
    for seed in seeds(name)[:: max(len(seeds(name)) // FEW, 1)]:
        OURS[name].run(seed, True)


@pytest.mark.parametrize("name", costly.PICKLES)
def test_what_a_careless_reader_pays_for(name: str) -> None:
    OURS["machine"].run(costly.PICKLES[name], True)


@pytest.mark.parametrize("name", edges.PICKLES)
def test_what_few_writers_write(name: str) -> None:
    OURS["machine"].run(edges.PICKLES[name], True)


ARCHIVES: dict[str, bytes] = {**edges.ARCHIVES, **costly.ARCHIVES}


@pytest.mark.parametrize("name", ARCHIVES)
def test_what_few_archives_have(name: str) -> None:
    OURS["zip"].run(ARCHIVES[name], True)


@pytest.mark.parametrize("name", folder.FOLDERS)
def test_folders(name: str) -> None:
    OURS["folder"].run(folder.packed(folder.FOLDERS[name]), True)


@pytest.mark.parametrize("name", folder.FILES)
def test_files_of_a_folder_alone(name: str) -> None:
    OURS["folder"].run(folder.packed({"__0_0.distcp": folder.FILES[name]}), True)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", OURS)
def test_all_seeds(name: str) -> None:
    for number, seed in enumerate(seeds(name)):
        OURS[name].run(seed, number % 4 == 0)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", OURS)
def test_mutants(name: str) -> None:
    """A fixed number of them, without guidance by coverage: no campaign."""
    random, target = Random(name), OURS[name]  # noqa: S311
    loaded = 0
    for number in range(MUTANTS):
        mutant = random.choice(seeds(name))
        for _ in range(random.choice((1, 1, 2, 4))):
            mutant = target.mutate(mutant, random, words())
        target.run(mutant, number % 16 == 0)
        with contextlib.suppress(CheckpointError):
            READERS[name](mutant)
            loaded += 1
    if name != "roundtrip":
        # Mutants that all die, or all live, would have shown nothing.
        assert MUTANTS // 100 < loaded < MUTANTS


def read_file(data: bytes) -> Any:
    return load(io.BytesIO(data), weights_only=False)


READERS: dict[str, Callable[[bytes], Any]] = {
    **dict.fromkeys(OURS, read_file),
    "machine": lambda data: machine.read(data, FULL),
    "folder": lambda data: folder.read(data, FULL),
}


# -------------------------------------------------------------------- old findings


def regressions() -> Iterator[Path]:
    """`<target>/<what it was>.bin`."""
    yield from sorted(REGRESSIONS.glob("*/*.bin"))


@pytest.mark.parametrize(
    "path", [path.relative_to(REGRESSIONS).as_posix() for path in regressions()]
)
def test_old_findings(path: str) -> None:
    target = TARGETS[path.partition("/")[0]]
    if target.needs_torch:
        pytest.importorskip("torch")
    target.run((REGRESSIONS / path).read_bytes(), True)


# ---------------------------------------------------------------------- Hypothesis

usual = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.parametrize("name", OURS)
@usual
@given(data=st.binary(max_size=600))
def test_any_bytes(name: str, data: bytes) -> None:
    OURS[name].run(data, True)


@pytest.mark.parametrize("name", OURS)
@usual
@given(number=st.integers(0, 1 << 16), seed=st.integers(0, 1 << 32))
def test_mutated_seeds(name: str, number: int, seed: int) -> None:
    target, random = OURS[name], Random(seed)  # noqa: S311
    data = target.mutate(seeds(name)[number % len(seeds(name))], random, words())
    target.run(data, True)


# ----------------------------------------------------------------------- a folder


def test_a_folder_is_packed_and_unpacked() -> None:
    files = folder.folder(file_of=(0, 0, 1, 2))
    assert folder.unpacked(folder.packed(files)) == files
    assert folder.METADATA in files


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_folder(data: bytes) -> None:
    files = folder.unpacked(data)
    assert all(Path(name).name == name for name in files)
    assert folder.unpacked(folder.packed(files)) == files


def test_mutants_of_a_folder_are_folders() -> None:
    random = Random(7)  # noqa: S311
    data = next(iter(OURS["folder"].seeds()))
    mutants = {folder.mutate(data, random, words()) for _ in range(200)}
    assert len(mutants) > 150
    assert sum(folder.METADATA in folder.unpacked(mutant) for mutant in mutants) > 100

"""The adapters: the loop they share, their table, and each that is installed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.corpus.format import Case, cases, corpus_folder
from conformance.loaders import adapters
from conformance.loaders.adapters import FOLDER, LOADERS, Absent, command_of, serving
from conformance.loaders.protocol import (
    Command,
    Load,
    Rejected,
    Start,
    Started,
    Stop,
    encode,
)
from conformance.loaders.protocol import answer as answered
from conformance.matrix.adapter import Adapter
from conformance.matrix.judging import judge
from conformance.matrix.results import Verdict

# ----------------------------------------------------------------- names in a tree


def names(root: Any) -> list[str]:
    return [name for name, _ in serving.find(root, lambda value: value == b"tensor")]


TENSOR = b"tensor"


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (TENSOR, [""]),
        ({"a": {"b": TENSOR}}, ["a.b"]),
        ([TENSOR, (1, TENSOR)], ["0", "1.1"]),
        ({1: TENSOR, False: TENSOR}, ["1", "*"]),
        ({(1, 2): TENSOR, None: TENSOR, 0.5: TENSOR}, ["*", "*", "*"]),
        ({"": {"": TENSOR}}, ["."]),
        ({"a\udc80": TENSOR}, ["a\\udc80"]),
        ([{TENSOR}, "text", b"text"], ["0.*"]),
    ],
)
def test_names(tree: Any, expected: list[str]) -> None:
    assert names(tree) == expected


def test_what_is_there_twice_is_found_twice() -> None:
    shared = {"w": TENSOR}
    assert names({"a": shared, "b": [shared]}) == ["a.w", "b.0.w"]


def test_what_contains_itself_is_entered_once() -> None:
    tree: dict[str, Any] = {"w": TENSOR}
    tree["self"] = {"deeper": tree}
    assert names(tree) == ["w"]


def test_a_tree_that_sharing_makes_huge_is_entered_once_only() -> None:
    tree: list[Any] = [TENSOR]
    for _ in range(40):
        tree = [tree, tree]
    assert len(names(tree)) == 1


def test_a_deep_tree_is_no_recursion() -> None:
    tree: list[Any] = [TENSOR]
    for _ in range(5_000):
        tree = [tree]
    assert names(tree) == [".".join(["0"] * 5_001)]


def test_a_tensor_is_told_in_text() -> None:
    told = serving.tensor(
        "w", b"", dtype="float32", shape=(2, 0), stride=None, offset=3
    )
    assert told == {
        "name": "w",
        "dtype": "float32",
        "shape": ["2", "0"],
        "offset": "3",
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }


# ------------------------------------------------------------------------ the loop

PRINTS = """
import os, sys
import serving

def load(file, encoding):
    print("chatter")
    os.write(1, b"chatter of C")
    assert sys.stdin.read() == ""
    if file == "skip":
        raise serving.Skip("not this one")
    if file == "refuse":
        raise ValueError("no \\udc80 good")
    if file == "speechless":
        class Speechless(Exception):
            def __str__(self):
                raise TypeError
        raise Speechless
    return {"tensors": [serving.tensor("w", shape=(1,))]}

serving.serve(load, name="x", version="1", language="Python", facts=["shape"])
"""


def test_the_loop_in_a_process_of_its_own(tmp_path: Path) -> None:
    """With a loader that prints and reads, in a Python without torchproof."""
    script = tmp_path / "script.py"
    script.write_text(PRINTS)
    (tmp_path / "serving.py").symlink_to(serving.__file__)
    files = ["file", "skip", "refuse", "speechless"]
    commands: list[Command] = [Start(1), *(Load(file, file) for file in files), Stop()]
    done = subprocess.run(
        # -I but for the script's own folder: nothing of the environment.
        [sys.executable, "-S", "-E", str(script)],
        input=b"".join(map(encode, commands)),
        capture_output=True,
        check=True,
    )
    started, *answers = map(answered, done.stdout.splitlines())
    assert isinstance(started, Started)
    assert started.facts == ("shape",)
    assert [(type(one).__name__, one.id) for one in answers] == [  # type: ignore[union-attr]
        ("Loaded", "file"),
        ("Skipped", "skip"),
        ("Rejected", "refuse"),
        ("Rejected", "speechless"),
    ]
    assert answers[2] == Rejected("refuse", "ValueError: no \\udc80 good")
    assert answers[3] == Rejected(
        "speechless", "Speechless: (an exception without words)"
    )
    assert done.stderr.count(b"chatter") == 2 * len(files)


def test_the_loop_imports_the_standard_library_alone() -> None:
    tree = ast.parse(Path(serving.__file__).read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            tops = {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            tops = {str(node.module).partition(".")[0]}
        else:
            continue
        assert tops <= sys.stdlib_module_names


# ----------------------------------------------------------------------- the table


@pytest.mark.parametrize("id", LOADERS)
def test_a_row_of_the_table(id: str) -> None:
    known = LOADERS[id]
    assert known.id == id
    assert (FOLDER / known.command[0]).is_file()
    assert bool(known.install) is bool(known.modules or known.programs)


def test_every_adapter_is_in_the_table() -> None:
    scripts = {path.name for path in FOLDER.glob("*_adapter.py")}
    assert scripts == {known.command[0] for known in LOADERS.values()}


def test_every_loader_is_in_the_papers() -> None:
    papers = (Path(__file__).parents[2] / "docs" / "loaders.md").read_text("utf-8")
    assert [id for id in LOADERS if f"`{id}`" not in papers] == []


def test_a_loader_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHPROOF_PYTHON_TINYGRAD", raising=False)
    monkeypatch.setattr(adapters, "_installed", lambda module: False)
    monkeypatch.setattr("shutil.which", lambda program: None)
    found = command_of("tinygrad")
    assert found == Absent(
        "there is no clang and no tinygrad", LOADERS["tinygrad"].install
    )


def test_a_loader_with_a_python_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHPROOF_PYTHON_TORCH_WEIGHTS_MMAP", "/x/python")
    assert command_of("torch-weights-mmap") == (
        "/x/python",
        str(FOLDER / "torch_adapter.py"),
        "--weights-only",
        "--mmap",
    )


def test_a_loader_that_nobody_knows() -> None:
    with pytest.raises(KeyError):
        command_of("pickle")


# --------------------------------------------------------------------- the loaders

CASES: dict[str, tuple[Path, Case]] = {
    case.id: (path, case) for path, case in cases(corpus_folder())
}


def verdicts(id: str, *wanted: str) -> list[Verdict]:
    """What an installed loader makes of a few cases; skips the test without it."""
    command = command_of(id)
    if isinstance(command, Absent):
        pytest.skip(f"{command.reason}: {command.install}")
    with Adapter(command) as adapter:
        facts = adapter.started.facts
        return [
            judge(case, adapter.load(path.resolve()), facts).verdict
            for path, case in map(CASES.__getitem__, wanted)
        ]


#: A script with other arguments is as good; torch takes long to start.
SCRIPTS = {known.command[0]: id for id, known in LOADERS.items()}


@pytest.mark.parametrize("id", SCRIPTS.values())
def test_a_loader_that_is_here(id: str) -> None:
    """It reads what is plain, and refuses what is nothing."""
    assert (
        verdicts(
            id,
            "reported/plain_dict",
            "reported/tied_weights",
            "archives/stranger_nothing",
        )
        == [Verdict.PASS] * 3
    )


@pytest.mark.parametrize("id", ["torchproof", "torch-full"])
def test_who_gives_the_whole_tree(id: str) -> None:
    wanted = "reported/conjugated", "scalars/complex_number"
    assert verdicts(id, *wanted) == [Verdict.PASS] * 2


#: What readers are known to get wrong without a word.
SILENT = [
    ("tinygrad", "reported/every_other_column", Verdict.WRONG),
    ("tinygrad", "reported/every_other_row", Verdict.WRONG),
    ("tinygrad", "reported/big_endian_float32", Verdict.WRONG),
    ("netron", "reported/big_endian_float32", Verdict.WRONG),
    ("netron", "reported/conjugated", Verdict.WRONG),
    ("netron", "reported/qint8_beside_quint8", Verdict.WRONG),
    ("paddlenlp", "reported/every_other_column", Verdict.WRONG),
    ("paddlenlp", "reported/permuted_120", Verdict.WRONG),
    ("jittor", "reported/every_other_column", Verdict.WRONG),
    ("jittor", "reported/scalar_of_vector", Verdict.WRONG),
]


@pytest.mark.parametrize(("id", "case", "verdict"), SILENT)
def test_what_fails_in_silence(id: str, case: str, verdict: Verdict) -> None:
    assert verdicts(id, case) == [verdict]

"""The house: what may import what, and that its papers agree with each other."""

from __future__ import annotations

import ast
import configparser
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).parent.parent
CONFORMANCE = ROOT / "conformance"
PARSER_MAY = {"conformance", "ml_dtypes", "numpy"}
DESCRIPTION_MAY = {"description.py", "compare.py"}


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it, by its full name."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            yield ".".join((*base, *filter(None, [node.module])))


def modules(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, f"nothing in {folder}"
    return found


def test_importing_the_parser_imports_nothing_else() -> None:
    """In a fresh interpreter: numpy, ml_dtypes and the standard library."""
    program = (
        "import sys; before = set(sys.modules); import conformance.parser, json;"
        "print(json.dumps(sorted({m.partition('.')[0] for m in"
        " sys.modules.keys() - before})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = set(json.loads(done.stdout))
    assert "conformance" in loaded
    # `__mp_main__` is another name of the program itself.
    assert loaded - PARSER_MAY - sys.stdlib_module_names - {"__mp_main__"} == set()


def test_the_parser_names_only_itself_numpy_and_ml_dtypes() -> None:
    """Also where an import is inside a function, and would run later."""
    for path in modules(CONFORMANCE / "parser"):
        for name in imports(path):
            top = name.partition(".")[0]
            assert top in PARSER_MAY or top in sys.stdlib_module_names, (path, name)
            if top == "conformance":
                assert name.startswith("conformance.parser"), (path, name)


@pytest.mark.parametrize(
    "builtin", ["__import__", "compile", "eval", "exec", "getattr", "setattr"]
)
def test_the_parser_has_no_way_to_run_a_file(builtin: str) -> None:
    """None of the calls that could turn a name in a file into a deed."""
    for path in modules(CONFORMANCE / "parser"):
        if path.name == "dtypes.py":
            # Its table asks ml_dtypes for names that stand in the table itself.
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            # What runs at import runs before any file is read.
            if isinstance(node, ast.FunctionDef | ast.Lambda):
                calls = {ast.unparse(n.func) for n in ast.walk(node) if called(n)}
                assert builtin not in calls, f"{path}:{node.lineno}"


def called(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call)


@pytest.mark.parametrize("module", ["pickle", "importlib", "subprocess", "runpy"])
def test_the_parser_does_not_know_how_to_import(module: str) -> None:
    for path in modules(CONFORMANCE / "parser"):
        tops = {name.partition(".")[0] for name in imports(path)}
        assert module not in tops, path


def test_torch_is_imported_in_one_place() -> None:
    importers = {
        path.relative_to(CONFORMANCE).as_posix()
        for path in modules(CONFORMANCE)
        for name in imports(path)
        if name.partition(".")[0] in ("torch", "torchvision")
    }
    assert {name.rpartition("/")[0] for name in importers} == {"loaders/oracle"}


def test_generators_know_nothing_of_conformance() -> None:
    for path in modules(ROOT / "generators"):
        tops = {name.partition(".")[0] for name in imports(path)}
        assert "conformance" not in tops, path


def test_the_description_knows_no_reader() -> None:
    for path in modules(CONFORMANCE):
        if path.name in DESCRIPTION_MAY:
            for name in imports(path):
                assert not name.startswith("conformance.parser"), path
                assert not name.startswith("conformance.loaders"), path


def test_ci_runs_what_the_readme_says() -> None:
    command = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()[-1]
    assert command.startswith("python3 -m venv ")
    assert command in (ROOT / "README.md").read_text("utf-8").splitlines()


def test_every_tox_environment_says_what_it_does() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    environments = [name for name in tox.sections() if name.startswith("testenv")]
    assert environments
    for name in environments:
        assert tox[name].get("description"), name

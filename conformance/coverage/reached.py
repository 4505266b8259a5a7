"""The program behind `lines`: runs one reader on every case under coverage.py.

Reads a `Request` on standard input, makes a context of every case, and prints
the `Lines` of every path.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import os
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, Final

import coverage
import msgspec

from conformance.parser import CheckpointError, load
from conformance.parser import globals as known
from conformance.parser.rebuild import set_state, small, sparse, strided
from conformance.parser.values import TypedGlobal

from .lines import Lines, Request, Subject

Arcs = set[tuple[int, int]]


# ------------------------------------------------------ the functions behind a path

_BY_ROLE: Final = {
    "tensor": strided.legacy_tensor,
    "sparse": sparse.legacy_sparse,
    "untyped": small.new_storage,
}


def ours(path: str) -> Any:
    """Our function for a path, if there is one."""
    if path == "build:torch.Tensor":
        return set_state
    call = known.CALLS.get(path) or known.NEW.get(path)
    if call is not None:
        return call.function
    module, _, name = path.rpartition(".")
    found = known.resolve(module, name, weights_only=False)
    return _BY_ROLE.get(found.role) if isinstance(found, TypedGlobal) else None


def torchs(path: str) -> Any:
    """torch's function of that name, if it is one of Python's."""
    module, _, name = path.rpartition(".")
    if module.partition(".")[0] != "torch":
        return None
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None


# ----------------------------------------------------------------- running a reader


def run_ours(case: Subject) -> None:
    with contextlib.suppress(CheckpointError):
        load(case.file, weights_only=False, encoding=case.encoding)


def run_torch(case: Subject) -> None:
    from conformance.loaders import oracle

    # torch's errors are of every kind; that there is one, the corpus knows.
    with contextlib.suppress(Exception):
        oracle.load(case.file, weights_only=False, encoding=case.encoding)


READERS: Final[dict[str, tuple[Callable[[str], Any], Callable[[Subject], None]]]] = {
    "ours": (ours, run_ours),
    "torch": (torchs, run_torch),
}


def trace(
    files: list[str], cases: tuple[Subject, ...], run: Callable[[Subject], None]
) -> dict[str, dict[str, Arcs]]:
    """The arcs in each of the files, for each case."""
    run(cases[0])  # imports what it wants, and warms its caches
    tracer = coverage.Coverage(
        data_file=None, branch=True, config_file=False, include=files
    )
    tracer.start()
    for case in cases:
        tracer.switch_context(case.id)
        run(case)
    tracer.stop()
    data = tracer.get_data()
    found: dict[str, dict[str, Arcs]] = {}
    for case in cases:
        data.set_query_context(case.id)
        found[case.id] = {file: set(data.arcs(file) or ()) for file in files}
    return found


# ------------------------------------------------------------------ the source files


class Source:
    """A file of Python: its functions, and which of them call which."""

    def __init__(self, file: str) -> None:
        self.file = file
        with open(file, "rb") as stream:
            tree = ast.parse(stream.read())
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        self.at = {
            min([node.lineno, *(one.lineno for one in node.decorator_list)]): node
            for node in nodes
        }
        self.top = {
            node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)
        }

    def span(self, function: types.FunctionType) -> set[int]:
        """The lines of a function's body, and of what it calls in its file."""
        return {
            line
            for node in self._called(self.at[function.__code__.co_firstlineno])
            for line in range(node.body[0].lineno, (node.end_lineno or 0) + 1)
        }

    def _called(self, node: ast.FunctionDef) -> list[ast.FunctionDef]:
        found = [node]
        for caller in found:
            for name in ast.walk(caller):
                if isinstance(name, ast.Name) and name.id in self.top:
                    callee = self.top[name.id]
                    if callee not in found:
                        found.append(callee)
        return found


def measured(function: types.FunctionType, source: Source, arcs: Arcs) -> Lines:
    """What these arcs are of the function's lines and branches."""
    analyst = coverage.Coverage(data_file=None, branch=True, config_file=False)
    analyst.get_data().add_arcs({source.file: arcs})
    span = source.span(function)
    _, statements, _, missing, _ = analyst.analysis2(source.file)
    exits = analyst.branch_stats(source.file)
    within = [line for line in statements if line in span]
    unseen = [line for line in missing if line in span]
    branches = [exits[line] for line in sorted(span & exits.keys())]
    return Lines(
        function=function.__qualname__,
        module=function.__module__,
        lines=(len(within) - len(unseen), len(within)),
        branches=(
            sum(taken for _, taken in branches),
            sum(there for there, _ in branches),
        ),
        missing=tuple(unseen),
    )


def answer(request: Request) -> dict[str, Lines]:
    """The lines of every path behind which there is a function of Python."""
    find, run = READERS[request.reader]
    functions = dict(_functions(request, find))
    files = sorted({function.__code__.co_filename for function in functions.values()})
    sources = {file: Source(file) for file in files}
    arcs = trace(files, request.cases, run)
    found = {}
    for path, function in functions.items():
        file = function.__code__.co_filename
        reached: Arcs = set()
        for id in request.paths[path]:
            reached |= arcs.get(id, {}).get(file, set())
        found[path] = measured(function, sources[file], reached)
    return found


def _functions(
    request: Request, find: Callable[[str], Any]
) -> Iterator[tuple[str, types.FunctionType]]:
    for path in request.paths:
        function = find(path)
        if callable(function):
            function = inspect.unwrap(function)
        if isinstance(function, types.FunctionType):
            yield path, function


if __name__ == "__main__":
    answered = answer(msgspec.json.decode(sys.stdin.buffer.read(), type=Request))
    # torch may print; what is printed is not the answer.
    os.write(1, msgspec.json.encode(answered))

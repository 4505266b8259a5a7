"""What `__reduce__` methods answer, read from their source.

Each return of a function's first name is a *branch*: a way for an object to
come into a file, and the function that will rebuild it.
"""

from __future__ import annotations

import ast
import builtins
import copyreg
import importlib
import inspect
import sys
import textwrap
import types
from collections.abc import Iterator
from typing import Any

import torch

from .classes import REDUCE, full_name, loaded, spellings, with_subclasses


def branches() -> dict[str, list[str]]:
    """Every return of every reduce method, by method, condition and function."""
    found: dict[str, list[str]] = {}
    seen: set[Any] = set()
    # torch.Tensor before the classes that torch makes of it for each dtype.
    for kind in (torch.Tensor, *loaded()):
        for method in REDUCE:
            function = vars(kind).get(method)
            if isinstance(function, types.FunctionType) and function not in seen:
                seen.add(function)
                owner = f"{full_name(kind)}.{method}"
                for condition, callee, paths in _Reading(function, kind).branches():
                    found[f"{owner} {condition}: {callee}"] = paths
    return dict(sorted(found.items()))


def dispatch_table() -> dict[str, list[str]]:
    """The types that `copyreg` knows, and what its functions answer for them."""
    table: dict[type, Any] = copyreg.dispatch_table
    found = {}
    for kind, function in table.items():
        reading = _Reading(function, kind)
        paths = [path for _, _, paths in reading.branches() for path in paths]
        if reading.answers_a_name:
            paths += _instances(kind)
        found[full_name(kind)] = paths
    return dict(sorted(found.items()))


def _instances(kind: type) -> list[str]:
    """The globals of a package that are of a type, under their public names."""
    package = kind.__module__.partition(".")[0]
    return sorted(
        f"global:{module_name}.{name}"
        for module_name, module in sys.modules.items()
        if module_name.partition(".")[0] == package and "._" not in module_name
        for name, value in list(vars(module).items())
        if isinstance(value, kind) and not name.startswith("_")
    )


class _Reading:
    """One function, and what its returns name."""

    def __init__(self, function: Any, kind: type) -> None:
        self.kind = kind
        self.names = {**vars(builtins), **function.__globals__}
        self.node = _parsed(function)
        self.assigned: dict[str, list[ast.expr]] = {}
        for node in ast.walk(self.node):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.assigned.setdefault(name, []).append(value)
                case ast.Import(names=names):
                    for alias in names:
                        importlib.import_module(alias.name)
                        top = alias.name.partition(".")[0]
                        self.names[alias.asname or top] = sys.modules[
                            alias.name if alias.asname else top
                        ]
                case ast.ImportFrom(module=str(module), names=names, level=0):
                    for alias in names:
                        self.names[alias.asname or alias.name] = getattr(
                            importlib.import_module(module), alias.name
                        )

    @property
    def answers_a_name(self) -> bool:
        """Whether there is a return of something else than a tuple."""
        return any(not isinstance(value, ast.Tuple) for value, _ in self._returns())

    def branches(self) -> Iterator[tuple[str, str, list[str]]]:
        """Of each return the condition, the function it names, and its paths."""
        for value, condition in self._returns():
            for callee, paths in self._answers(value):
                yield condition, callee, paths
            method = self._delegates(value)
            if method is not None:
                yield from _Reading(method, self.kind).branches()

    def _returns(self) -> Iterator[tuple[ast.expr, str]]:
        if isinstance(self.node, ast.Lambda):
            return iter([(self.node.body, "always")])
        return _returns(self.node.body, "always")

    def _delegates(self, value: ast.expr) -> Any:
        """The method of the same class whose answer is given on."""
        match value:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)):
                return inspect.getattr_static(self.kind, name, None)
        return None

    def _answers(self, value: ast.expr) -> Iterator[tuple[str, list[str]]]:
        match value:
            case ast.Tuple(elts=[callee, *_]):
                yield from self._callees(callee)
            case ast.IfExp(body=one, orelse=other):
                yield from self._answers(one)
                yield from self._answers(other)

    def _callees(self, callee: ast.expr) -> Iterator[tuple[str, list[str]]]:
        match callee:
            case (
                ast.Call(func=ast.Name(id="type"), args=[ast.Name(id="self")])
                | ast.Attribute(value=ast.Name(id="self"), attr="__class__")
            ):
                yield "its class", sorted(map(full_name, with_subclasses(self.kind)))
            case ast.Name(id=name) if name in self.assigned:
                for value in self.assigned[name]:
                    yield from self._callees(value)
            case ast.Name() | ast.Attribute():
                made = self._value(callee)
                if callable(made):
                    yield made.__qualname__, spellings(made)

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Name(id=name):
                return self.names.get(name)
            case ast.Attribute(value=value, attr=name):
                return getattr(self._value(value), name, None)
        return None


def _parsed(function: Any) -> ast.FunctionDef | ast.Lambda:
    """The function's own node; of a lambda, that in the statement around it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            return node
    raise ValueError(f"{function} has no source")


def _returns(body: list[ast.stmt], condition: str) -> Iterator[tuple[ast.expr, str]]:
    """Every return of a function's own, with the test that it stands under."""
    for node in body:
        match node:
            case ast.Return(value=ast.expr() as value):
                yield value, condition
            case ast.If(test=test, body=one, orelse=other):
                yield from _returns(one, f"if {ast.unparse(test)}")
                yield from _returns(other, "otherwise")
            case ast.With(body=inner) | ast.For(body=inner) | ast.While(body=inner):
                yield from _returns(inner, condition)
            case ast.Try(body=one, handlers=handlers, orelse=other):
                yield from _returns([*one, *other], condition)
                for handler in handlers:
                    yield from _returns(handler.body, condition)

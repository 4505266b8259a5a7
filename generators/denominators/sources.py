"""Rebuild functions, found in the source files of torch.

The files, because a file can name a module that nobody has imported yet.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import torch

PREFIX: Final = "_rebuild"


def rebuild_functions(root: Path | None = None) -> dict[str, list[str]]:
    """Every `_rebuild*` that a module of torch defines, by its full name.

    An assignment (`_rebuild_xla_tensor = ...`) defines a name as well as `def`.
    `root` is the package's folder, that of the installed torch by default.
    """
    root = Path(torch.__file__).parent if root is None else root
    found: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        text = path.read_bytes()
        if PREFIX.encode() in text:
            module = _module(root, path)
            for name in defined(ast.parse(text).body):
                if name.startswith(PREFIX):
                    found[f"{module}.{name}"] = [f"{module}.{name}"]
    return found


def _module(root: Path, path: Path) -> str:
    parts = [root.name, *path.relative_to(root).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def defined(body: Iterable[ast.stmt]) -> Iterator[str]:
    """The functions and values that a module has at its top, under `if` too."""
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (name.id for name in targets if isinstance(name, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.If(body=one, orelse=other):
                yield from defined([*one, *other])
            case ast.With(body=inner):
                yield from defined(inner)
            case ast.Try(body=one, handlers=handlers, orelse=other, finalbody=last):
                caught = [inner for handler in handlers for inner in handler.body]
                yield from defined([*one, *caught, *other, *last])

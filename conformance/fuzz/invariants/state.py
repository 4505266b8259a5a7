"""What a reader must leave as it was: the interpreter, numpy, and the parser itself."""

from __future__ import annotations

import gc
import sys
import warnings
from collections import deque
from collections.abc import Iterator
from operator import is_
from types import FunctionType, ModuleType
from typing import Any, Final

import numpy as np

_PARSER: Final = "conformance.parser"

#: What a module may keep, and somebody could fill.
_MUTABLE: Final = (dict, list, set, deque, bytearray)

#: What `State.glance` gives.
GLANCED: Final = (
    "the collector",
    "the recursion limit",
    "sys.modules",
    "warnings.filters",
    "the parser's tables",
)


class State:
    """The parser's modules, and everything in them that can change.

    Made once, when all of them are imported.
    """

    def __init__(self) -> None:
        self._holders = dict(_holders())
        self._fillable = [
            held for held in self._holders.values() if isinstance(held, _MUTABLE)
        ]
        self._before = self._now()

    def glance(self) -> tuple[int, ...]:
        """What every execution can afford to look at; `GLANCED` says what it is."""
        return (
            gc.isenabled(),
            sys.getrecursionlimit(),
            len(sys.modules),
            len(warnings.filters),
            sum(map(len, self._fillable)),
        )

    def changed(self) -> list[str]:
        """The names of what is not as it was when this was asked last."""
        before, self._before = self._before, self._now()
        return [
            name
            for name, items in self._before.items()
            # By identity: to compare values could run anything.
            if len(items) != len(before[name]) or not all(map(is_, items, before[name]))
        ]

    def _now(self) -> dict[str, tuple[Any, ...]]:
        """Everything by name, with what is in it: so it cannot go, and its id come."""
        return {
            "warnings.filters": tuple(warnings.filters),
            "numpy.errstate": tuple(np.geterr().values()),
            **{name: _items(holder) for name, holder in self._holders.items()},
        }


def _items(holder: Any) -> tuple[Any, ...]:
    if isinstance(holder, (ModuleType, type)):
        holder = vars(holder)
    return (*holder, *holder.values()) if hasattr(holder, "values") else (*holder,)


def _holders() -> Iterator[tuple[str, Any]]:
    """Modules, classes, tables and defaults of arguments, each by its first name."""
    seen: set[int] = set()
    for name, module in sys.modules.items():
        if f"{name}.".startswith(f"{_PARSER}."):
            for path, holder in _below(name, module):
                if id(holder) not in seen:
                    seen.add(id(holder))
                    yield path, holder


def _below(path: str, owner: ModuleType | type) -> Iterator[tuple[str, Any]]:
    yield path, owner
    for name, value in vars(owner).items():
        here = f"{path}.{name}"
        if name.startswith("__"):
            continue
        if isinstance(value, _MUTABLE):
            yield here, value
        elif isinstance(value, FunctionType):
            for number, default in enumerate(value.__defaults__ or ()):
                if isinstance(default, _MUTABLE):
                    yield f"{here}({number})", default
        elif isinstance(value, type) and value.__module__ == path:
            yield from _below(here, value)

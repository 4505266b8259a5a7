"""Classes whose instances go into a file whole."""

from __future__ import annotations

import _compat_pickle
import importlib
import importlib.util
import sys
import types
import unittest
from collections.abc import Iterable, Iterator
from typing import Any, Final

import torch
from torch.optim import lr_scheduler

#: What makes a class one that pickles itself.
REDUCE: Final = ("__reduce_ex__", "__reduce__")
METHODS: Final = ("__getstate__", "__setstate__", *REDUCE)


def full_name(kind: type) -> str:
    """As pickle names it."""
    return f"{kind.__module__}.{kind.__qualname__}"


def spellings(value: Any) -> list[str]:
    """The names of a function or class in pickles: of protocol 3 and later, and before.

    As Python 3 reads them.
    """
    now = value.__module__, value.__qualname__
    python2 = _compat_pickle.REVERSE_NAME_MAPPING.get(now, now)
    return sorted(
        {".".join(now), ".".join(_compat_pickle.NAME_MAPPING.get(python2, now))}
    )


def optimizers() -> dict[str, list[str]]:
    database = _database("common_optimizers").optim_db
    return _whole(
        {info.optim_cls for info in database}
        | _subclasses(torch.optim, torch.optim.Optimizer)
    )


def schedulers() -> dict[str, list[str]]:
    return _whole(_subclasses(lr_scheduler, lr_scheduler.LRScheduler))


def modules() -> dict[str, list[str]]:
    database = _database("common_modules").module_db
    return _whole(
        {info.module_cls for info in database} | _subclasses(torch.nn, torch.nn.Module)
    )


def _whole(kinds: Iterable[type]) -> dict[str, list[str]]:
    names = sorted(full_name(kind) for kind in kinds)
    return {name: [name] for name in names}


def _subclasses(module: types.ModuleType, base: type) -> set[type]:
    """The base and its subclasses under public names of a module."""
    return {
        value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, base)
        and not name.startswith("_")
    }


def _database(name: str) -> Any:
    """One of the modules that torch's own tests are written from.

    They want `expecttest`, and of it only a class to derive from.
    """
    stand_in: Any = types.SimpleNamespace(TestCase=unittest.TestCase)
    missing = importlib.util.find_spec("expecttest") is None
    if missing:
        sys.modules["expecttest"] = stand_in
    try:
        return importlib.import_module(f"torch.testing._internal.{name}")
    finally:
        if missing:
            del sys.modules["expecttest"]


def loaded() -> Iterator[type]:
    """Every class of torch's that stands in a module that has been imported."""
    seen = set()
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] == "torch":
            for value in list(vars(module).values()):
                if (
                    isinstance(value, type)
                    and value not in seen
                    and value.__module__.partition(".")[0] == "torch"
                ):
                    seen.add(value)
                    yield value


def pickling_themselves() -> dict[str, list[str]]:
    """Public classes with a pickling method of their own.

    A `__reduce__` in Python is not meant here: `reduces` reads it. What covers a
    class is a call of it or of a subclass, a state for an instance, or the name of
    one. A method that several classes have is that of the first.
    `torch.return_types`, made by the dozen, are one entry.
    """
    apart = (torch.nn.Module, torch.optim.Optimizer, lr_scheduler.LRScheduler)
    structs = [kind for kind in loaded() if kind.__module__ == "torch.return_types"]
    found = {"torch.return_types": sorted(map(full_name, structs))}
    owners: dict[int, type] = {}
    # torch.Tensor before the classes that torch makes of it for each dtype.
    for kind in (torch.Tensor, *loaded()):
        name = full_name(kind)
        own = [owners.setdefault(id(one), kind) is kind for one in _methods(kind)]
        if (
            any(own)
            and not any(part.startswith("_") for part in name.split("."))
            and not issubclass(kind, apart)
            and kind not in structs
        ):
            names = sorted(map(full_name, with_subclasses(kind)))
            states = [f"build:{one}" for one in names]
            found[name] = [*names, *states, *_values(kind)]
    return dict(sorted(found.items()))


def _methods(kind: type) -> Iterator[Any]:
    for name in METHODS:
        method = vars(kind).get(name)
        written = isinstance(method, types.FunctionType)
        if method is not None and not (name in REDUCE and written):
            yield method


def with_subclasses(kind: type) -> set[type]:
    """A class and all that is derived from it so far."""
    found = {kind}
    subclasses: list[type] = type.__subclasses__(kind)
    for subclass in subclasses:
        found |= with_subclasses(subclass)
    return found


def _values(kind: type) -> list[str]:
    """The globals that are values of a type: what a `__reduce__` may answer."""
    return [
        f"global:torch.{name}"
        for name, value in vars(torch).items()
        if isinstance(value, kind) and not isinstance(value, type)
    ]

"""C pickle as the reference, and what two readers must agree on.

`reference` reads a pickle with Python's own unpickler and calls nothing but
plain types; any other name becomes a class that keeps what it is given, as
our inert objects do. `facts` says of both answers the same, to the bit.
"""

from __future__ import annotations

import codecs
import datetime
import io
import pathlib
import pickle
import struct
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

from conformance.parser.globals import full_name
from conformance.parser.values import Global, Object
from tests.builders.machine import persistent_load


class Kept:
    """An inert object, made by C pickle."""

    name = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made: Kept = object.__new__(cls)
        made.callee = cls
        made.args, made.kwargs = args, kwargs
        made.state = None
        made.listitems, made.dictitems = [], []
        return made

    callee: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    state: Any
    listitems: list[Any]
    dictitems: list[tuple[Any, Any]]

    def __call__(self, *args: Any) -> Kept:
        made: Kept = Kept.__new__(Kept, *args)
        made.callee = self
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, value: Any) -> None:
        self.listitems.append(value)

    add = append

    def __setitem__(self, key: Any, value: Any) -> None:
        self.dictitems.append((key, value))


PLAIN: dict[str, Any] = {
    f"{kind.__module__}.{kind.__qualname__}": kind
    for kind in (
        *(bool, int, float, complex, str, bytes, bytearray, range, slice),
        *(list, tuple, set, frozenset, dict),
        *(Counter, OrderedDict, defaultdict, deque),
        *(datetime.date, datetime.time, datetime.datetime),
        *(datetime.timedelta, datetime.timezone),
        *(pathlib.PurePosixPath, pathlib.PureWindowsPath, type(pathlib.Path())),
    )
}
PLAIN["_codecs.encode"] = codecs.encode


class _Reference(pickle.Unpickler):
    def __init__(self, data: bytes, encoding: str) -> None:
        super().__init__(io.BytesIO(data), encoding=encoding)
        self.kept: dict[str, type[Kept]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if not module:
            raise ValueError("Empty module name")  # as an import says
        full = full_name(module, name)
        if full in PLAIN:
            return PLAIN[full]
        return self.kept.setdefault(full, type("Kept", (Kept,), {"name": full}))

    def persistent_load(self, pid: Any) -> Any:
        return persistent_load(pid)


def reference(data: bytes, encoding: str = "utf-8") -> Any:
    """What C pickle makes of it; Python 2's names are known in every protocol."""
    return _Reference(data, encoding).load()


# ------------------------------------------------------------------ facts

_DICTS = (dict, OrderedDict, defaultdict, Counter)


def facts(root: Any) -> list[Any]:
    """Types, values, order, and which references are one object."""
    told: list[Any] = []
    seen: dict[int, int] = {}
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Global):
            told.append(("global", value.name))
        elif isinstance(value, type):
            kept = value.name if issubclass(value, Kept) else ""
            told.append(("global", kept or f"{value.__module__}.{value.__qualname__}"))
        elif type(value) not in _PARTS and not isinstance(value, Kept):
            told.append((type(value).__name__, _bits(value)))
        elif id(value) in seen:
            told.append(("again", seen[id(value)]))
        else:
            if value != ():
                seen[id(value)] = len(seen)
            told.append(_head(value))
            waiting.extend(reversed(_parts(value)))
    return told


_PARTS = (list, tuple, deque, bytearray, set, frozenset, Object, *_DICTS)


def _bits(value: Any) -> Any:
    if type(value) is float:
        return struct.pack(">d", value)
    if type(value) is complex:
        return struct.pack(">dd", value.real, value.imag)
    return value if isinstance(value, (int, str, bytes)) else repr(value)


def _head(value: Any) -> Any:
    if isinstance(value, (Object, Kept)):
        return ("object", len(value.args), len(value.listitems), len(value.dictitems))
    kind = type(value).__name__
    if isinstance(value, (set, frozenset)):
        return (kind, sorted(repr(facts(member)) for member in value))
    if isinstance(value, bytearray):
        return (kind, bytes(value))
    return (kind, len(value))


def _parts(value: Any) -> list[Any]:
    if isinstance(value, (Object, Kept)):
        pairs = [part for pair in value.dictitems for part in pair]
        rest = [value.kwargs, value.state]
        return [value.callee, *value.args, *rest, *value.listitems, *pairs]
    if isinstance(value, _DICTS):
        parts = [part for pair in value.items() for part in pair]
        if isinstance(value, defaultdict):
            parts.append(value.default_factory)
        return [*parts, getattr(value, "__dict__", None)]
    if isinstance(value, deque):
        return [*value, value.maxlen]
    return list(value) if isinstance(value, (list, tuple)) else []

"""Plain Python and numpy values as nodes, the same for every reader in Python."""

from __future__ import annotations

import datetime
import pathlib
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from conformance.description import (
    SCALARS,
    AnyNode,
    Array,
    Builder,
    InMemory,
    Mapping,
    Scalar,
    Sequence,
    Set,
    Storage,
    escape,
)


def describe(value: Any, builder: Builder) -> AnyNode | None:
    """The node of a plain value, or `None` for anything else.

    Goes by the exact type: a subclass is no plain value, nor is a date whose time
    zone is an object of another class.
    """
    function = _TYPES.get(type(value))
    if function is not None:
        return function(value, builder)
    if isinstance(value, np.generic):
        return Scalar(
            type=full_name(type(value)),
            value=f"{_dtype(value.dtype)} {value.tobytes().hex()}",
        )
    if isinstance(value, np.dtype):
        return Scalar(type="numpy.dtype", value=_dtype(value))
    return None


def full_name(value: Any) -> str:
    """Module and qualified name of a class or function, escaped."""
    module = getattr(value, "__module__", None)
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "?")
    return escape(f"{module}.{name}" if module else str(name))


def sequence(name: str) -> Callable[[Any, Builder], AnyNode]:
    """How to describe what is a row of values under this name."""
    return lambda value, builder: Sequence(type=name, items=builder.refs(value))


def _set(value: Any, builder: Builder) -> AnyNode:
    # Python hands out the members as it likes, which would number the nodes.
    members = builder.refs(sorted(value, key=_order))
    return Set(type=type(value).__name__, members=members)


def _order(member: Any, depth: int = 3) -> tuple[str, int, str]:
    """One order for the usual members; what else there is may come anyhow."""
    kind = type(member)
    if kind in SCALARS:
        text = SCALARS[kind](member)
    elif kind is tuple and depth:
        text = repr([_order(item, depth - 1) for item in member[:100]])
    else:
        text = ""
    return kind.__name__, len(text), text


def _mapping(value: Any, builder: Builder) -> AnyNode:
    kind = type(value)
    name = kind.__name__ if kind is dict else f"collections.{kind.__name__}"
    parts = {}
    if kind is defaultdict:
        parts["default_factory"] = builder.ref(value.default_factory)
    return Mapping(
        type=name,
        # Not `value.items()`: an attribute from the file may shadow it.
        pairs=builder.pairs(kind.items(value)),
        attributes=builder.pairs(getattr(value, "__dict__", {}).items()),
        parts=parts,
    )


def _deque(value: Any, builder: Builder) -> AnyNode:
    return Sequence(
        type="collections.deque",
        items=builder.refs(value),
        parts={"maxlen": builder.ref(value.maxlen)},
    )


def _fields(*names: str) -> Callable[[Any, Builder], AnyNode]:
    def describe(value: Any, builder: Builder) -> AnyNode:
        kind = type(value)
        name = kind.__name__
        if kind.__module__ != "builtins":
            name = f"{kind.__module__}.{name}"
        fields = [getattr(value, field) for field in names]
        return Sequence(type=name, items=builder.refs(fields))

    return describe


def _timezone(value: Any, builder: Builder) -> AnyNode:
    # The offset, and a name if it has one of its own.
    return Sequence(
        type="datetime.timezone", items=builder.refs(value.__getinitargs__())
    )


def _path(value: Any, builder: Builder) -> AnyNode:
    # Python 3.13 has them in a module of another name.
    return Scalar(type=f"pathlib.{type(value).__name__}", value=escape(str(value)))


def _array(value: Any, builder: Builder) -> AnyNode:
    dtype = _dtype(value.dtype)
    if value.dtype.hasobject:
        return Array(
            type="numpy.ndarray",
            dtype=dtype,
            shape=value.shape,
            items=builder.refs(value.ravel().tolist()),
        )

    def storage() -> Storage:
        data = np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
        return Storage(data.nbytes, data=InMemory(data))

    return Array(
        type="numpy.ndarray",
        dtype=dtype,
        shape=value.shape,
        storage=builder.storage(id(value), storage) if value.nbytes else None,
    )


def _dtype(dtype: np.dtype[Any]) -> str:
    """All that a numpy dtype says, with the byte order."""
    if dtype.fields is not None or dtype.subdtype is not None:
        return repr(dtype)[6:-1]
    # ml_dtypes are all void to `str`.
    name: str = dtype.name if dtype.type.__module__ != "numpy" else dtype.str
    return name


def _moment(*names: str) -> Callable[[Any, Builder], AnyNode | None]:
    describe = _fields(*names)
    zones = (type(None), datetime.timezone)
    return lambda value, builder: (
        describe(value, builder) if type(value.tzinfo) in zones else None
    )


_DATE: Final = ("year", "month", "day")
_TIME: Final = ("hour", "minute", "second", "microsecond", "tzinfo", "fold")

_TYPES: Final[dict[type, Callable[[Any, Builder], AnyNode | None]]] = {
    list: sequence("list"),
    tuple: sequence("tuple"),
    set: _set,
    frozenset: _set,
    dict: _mapping,
    OrderedDict: _mapping,
    Counter: _mapping,
    defaultdict: _mapping,
    deque: _deque,
    bytearray: lambda value, _: Scalar(type="bytearray", value=value.hex()),
    slice: _fields("start", "stop", "step"),
    range: _fields("start", "stop", "step"),
    datetime.date: _fields(*_DATE),
    datetime.time: _moment(*_TIME),
    datetime.datetime: _moment(*_DATE, *_TIME),
    datetime.timedelta: _fields("days", "seconds", "microseconds"),
    datetime.timezone: _timezone,
    pathlib.PurePosixPath: _path,
    pathlib.PosixPath: _path,
    pathlib.PureWindowsPath: _path,
    pathlib.WindowsPath: _path,
    np.ndarray: _array,
}

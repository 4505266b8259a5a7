"""What only torch has: how a pickle spells it, and what a reader makes of it."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from conformance.parser import Storage

#: No BUILD: even `None` is a state.
NOTHING: Final = object()


@dataclass(eq=False)
class Name:
    """A global, by its module and its name in there."""

    module: str
    name: str


def named(full: str) -> Name:
    """The same by its full name."""
    module, _, name = full.rpartition(".")
    return Name(module, name)


@dataclass(eq=False)
class Call:
    """REDUCE of a global with these arguments, then BUILD of `state`."""

    callee: Name
    args: tuple[Any, ...]
    state: Any = NOTHING


@dataclass(eq=False)
class Stored:
    """A storage. `data` is little-endian, `swap` the unit that big-endian turns.

    One that is a part of another has its `root`, and begins at the byte `start` of
    that; only legacy streams have those.
    """

    kind: str
    dtype: str
    itemsize: int
    swap: int
    data: bytes
    key: Any
    location: str = "cpu"
    root: Stored | None = None
    start: int = 0

    @property
    def numel(self) -> int:
        return len(self.data) // self.itemsize


@dataclass(eq=False)
class Spec:
    """Any other value: as it is `written`, and how to make what must be `read`.

    `read` is given a function that does the same for whatever is inside.
    """

    written: Any
    read: Callable[[Callable[[Any], Any]], Any]


class Expected:
    """Turns what is written into what must be read; the same thing into the same."""

    def __init__(self) -> None:
        # By id, with what has it, so that none is given away.
        self._made: dict[int, tuple[Any, Any]] = {}

    def __call__(self, value: Any) -> Any:
        known = self._made.get(id(value))
        if known is not None:
            return known[1]
        kind = type(value)
        if kind in (list, deque, set, dict, OrderedDict, Counter, defaultdict):
            # Those can hold themselves.
            made = self._empty(value)
            self._made[id(value)] = value, made
            self._fill(made, value)
            return made
        if kind in (tuple, frozenset):
            made = kind(map(self, value))
        elif kind is Stored:
            made = Storage(
                value.dtype,
                len(value.data),
                value.location,
                str(value.key),
                memoryview(value.data),
            )
        elif kind is Spec:
            made = value.read(self)
        else:
            made = value
        self._made[id(value)] = value, made
        return made

    @staticmethod
    def _empty(value: Any) -> Any:
        if type(value) is deque:
            return deque(maxlen=value.maxlen)
        if type(value) is defaultdict:
            return defaultdict(value.default_factory)
        return type(value)()

    def _fill(self, made: Any, value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                made[self(key)] = self(item)
            for name, item in getattr(value, "__dict__", {}).items():
                setattr(made, name, self(item))
        elif isinstance(value, set):
            made.update(map(self, value))
        else:
            made.extend(map(self, value))

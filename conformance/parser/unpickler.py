"""The pickle machine.

One function per opcode, `(machine, position) -> next position` (`execute.py`),
found through a list of 256 that is built from the opcode table; a byte that is
in no row *is* the protocol error. The loop in `load` is the only loop: nothing
recurses with the input. Nothing is imported, looked up or called on behalf of
the file: GLOBAL consults the tables of `globals.py`, and a call that they do
not know becomes an inert `Object`.

Marks are kept as in torch's own machine: MARK puts the stack aside and begins
a new one, so that no opcode can reach below the mark.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from itertools import chain
from typing import Any, Final, TypeAlias

from . import globals as known
from . import rebuild
from .chains import Chains
from .errors import CheckpointError, LimitExceeded, Malformed, Truncated
from .execute import DISPATCH
from .keys import PENDING, SHORT, hash_cost, items_of, tree_path
from .limits import Budget, Limits
from .opcodes import BY_CODE
from .trace import Trace
from .values import Global, Object, TypedGlobal

#: How the names of TorchScript's own classes begin.
_SCRIPT: Final = "__torch__."
_SCALARS: Final = (int, float, str)


def _is_script(callee: Any) -> bool:
    return isinstance(callee, (Global, Object)) and callee.name.startswith(_SCRIPT)


#: What a pickle is read from; a slice of either is bytes-like.
Data: TypeAlias = "bytes | memoryview"


class Unpickler:
    """One pickle, read from `data` at `position`, with a memo of its own.

    `persistent_load` turns a persistent id into a storage; `base` is the
    offset of `data` in the file, for messages; `nested` reads a checkpoint
    inside this one. After `load`, `position` is just past STOP.
    """

    __slots__ = (
        "base",
        "budget",
        "chains",
        "collisions",
        "data",
        "deferred",
        "encoding",
        "end",
        "globals",
        "incomplete",
        "limits",
        "memo",
        "metastack",
        "nested",
        "persistent_load",
        "position",
        "stack",
        "trace",
        "weights_only",
    )

    def __init__(
        self,
        data: Data,
        *,
        persistent_load: Callable[[Any], Any],
        nested: Callable[[bytes], Any],
        weights_only: bool = True,
        encoding: str = "utf-8",
        limits: Limits | None = None,
        trace: Trace | None = None,
        budget: Budget | None = None,
        position: int = 0,
        base: int = 0,
    ) -> None:
        self.data = data
        self.end = len(data)
        self.position = position
        self.base = base
        self.persistent_load = persistent_load
        self.nested = nested
        self.weights_only = weights_only
        self.encoding = encoding
        self.limits = Limits() if limits is None else limits
        self.trace = Trace() if trace is None else trace
        self.memo: dict[int, Any] = {}
        self.stack: list[Any] = []
        self.metastack: list[list[Any]] = []
        self.globals: dict[bytes, Any] = {}
        #: Checks that need the bytes of storages, for after they are there.
        self.deferred: list[tuple[Callable[[], None], int, str]] = []
        #: numpy's dtypes and arrays that BUILD has not completed, by id, each with
        #: its number in the memo (-1 if it has none).
        self.incomplete: dict[int, tuple[Any, int]] = {}
        #: How often each hash stands in a container; holding the container
        #: keeps its id from being given to another.
        self.collisions: dict[int, tuple[object, Counter[int]]] = {}
        self.chains = Chains(self.limits.chained)
        if budget is None:
            budget = Budget.of(self.limits)
            budget.grant(self.end - position)
        self.budget = budget

    # ------------------------------------------------------------------ the loop

    def load(self) -> Any:
        """The value on top of the stack at STOP."""
        data = self.data
        dispatch = DISPATCH
        position = start = begin = self.position
        protocols = len(self.trace.protocols)
        self.trace.protocols.append(0)
        if position < self.end and data[position] == 0x80 and position + 1 < self.end:
            self.trace.protocols[protocols] = data[position + 1]
        try:
            while position >= 0:
                start = position
                position = dispatch[data[position]](self, position + 1)
        except CheckpointError as error:
            raise self._placed(error, start) from None
        except (IndexError, struct.error):
            # Either the stack ran out, or the stream.
            raise self._placed(self._ran_out(start), start) from None
        finally:
            if self.trace.pickles is not None:
                # Up to STOP, or as far as it went.
                self.trace.pickles.append(bytes(data[begin : start + 1]))
        return self.stack.pop()

    def run_deferred(self) -> None:
        """The checks that had to wait until the storages' bytes were there."""
        for check, offset, path in self.deferred:
            try:
                check()
            except CheckpointError as error:
                if error.offset is None:
                    error.offset, error.path = offset, path
                raise

    def _ran_out(self, start: int) -> CheckpointError:
        if start >= self.end:
            return Truncated("the pickle ends before its STOP opcode", phase="pickle")
        row = BY_CODE[self.data[start]]
        if start + 1 + row.argument.size > self.end:
            return Truncated(
                f"the pickle ends inside {row.name}'s argument", phase="pickle"
            )
        return Malformed(
            f"{row.name} finds too little on the stack (it takes: {row.before})",
            phase="pickle",
        )

    def _placed(self, error: CheckpointError, start: int) -> CheckpointError:
        """The same error, knowing where in the file and in the tree it is."""
        if error.offset is None:
            error.offset = self.base + start
        if error.path is None:
            row = BY_CODE.get(self.data[start]) if start < self.end else None
            if row is not None and row.after and not row.before:
                self.stack.append(PENDING)
            error.path = self.path()
        return error

    def path(self) -> str:
        """Where in the tree the machine is: `['model']['fc.weight']`."""
        return tree_path(chain(self.metastack, (self.stack,)))

    # -------------------------------------------------------- what handlers share

    def spend(self, amount: int) -> None:
        """Counts copies that a few bytes of the file ask for."""
        self.budget.spend(amount)

    def defer(self, check: Callable[[], None], start: int | None = None) -> None:
        """Puts off a check until the storages' bytes are there."""
        offset = self.base + (self.position if start is None else start)
        self.deferred.append((check, offset, self.path()))

    def key(self, container: object, key: Any) -> None:
        """Refuses what must not be hashed: too deep, too large, colliding.

        `container` is what the key goes into. Short strings, None and the like
        are safe whatever the file says. Ints of a machine word pass, too: they
        are what people have by the million, and of those whose hashes differ
        none can be told to have been chosen to meet in CPython's table.
        """
        kind = type(key)
        if kind is str or kind is bytes:
            if len(key) > SHORT:
                # A key is compared with an equal one as often as it is used.
                self.spend(len(key))
            return
        if key is None or kind is bool:
            return
        if kind is int and -(1 << 63) <= key < (1 << 64):
            return
        # To visit a node takes as long as to copy some values.
        self.spend(8 * hash_cost(key, self.limits))
        try:
            number = hash(key)
        except (TypeError, ValueError):
            raise Malformed(
                f"a {kind.__name__} cannot be a key", phase="pickle"
            ) from None
        _, hashes = self.collisions.setdefault(id(container), (container, Counter()))
        hashes[number] += 1
        if hashes[number] > self.limits.key_collisions:
            raise LimitExceeded(
                "too many keys with one hash (Limits.key_collisions)", phase="pickle"
            )

    def find_global(self, module: str, name: str) -> Any:
        """What the file means by a name; never an import, never a look-up."""
        if not module or not name:
            raise Malformed("a global without a name", phase="pickle")
        if len(module) + len(name) > self.limits.name_length:
            raise LimitExceeded(
                f"the name of a global has {len(module) + len(name)} characters "
                "(Limits.name_length)",
                phase="pickle",
            )
        self.trace.globals[known.full_name(module, name)] += 1
        return known.resolve(module, name, weights_only=self.weights_only)

    def call(self, callee: Any, args: Any, kwargs: dict[Any, Any] | None = None) -> Any:
        """What REDUCE makes: a rebuilt value, or an inert `Object`."""
        if type(args) in _SCALARS and _is_script(callee):
            # A member of an enumeration: C++ writes its value alone.
            args = (args,)
        args = self._arguments(callee, args)
        if type(callee) is not Object:
            self._traced(callee.name, args)
            if type(callee) is TypedGlobal:
                return rebuild.typed_call(self, callee, args)
            rebuilds = known.CALLS.get(callee.name)
            if rebuilds is not None and not kwargs:
                value = rebuilds(callee.name, self, args)
                if value is not NotImplemented:
                    return value
            if rebuilds is not None:
                self.trace.kept[callee.name] += 1
        return Object(callee, args, kwargs)

    def new(self, callee: Any, args: Any) -> Any:
        """What NEWOBJ makes: an instance on which `__init__` has not run."""
        args = self._arguments(callee, args)
        if type(callee) is not Object:
            creates = known.NEW.get(callee.name)
            if creates is not None:
                self._traced(callee.name, args)
                return creates(callee.name, self, args)
        return self.call(callee, args)

    def _traced(self, name: str, args: tuple[Any, ...]) -> None:
        self.trace.calls[name] += 1
        if self.trace.on_call is not None:
            self.trace.on_call(name, args)

    def _arguments(self, callee: Any, args: Any) -> tuple[Any, ...]:
        if not isinstance(callee, (Global, Object)):
            raise Malformed(
                f"a {type(callee).__name__} is called, which is no global",
                phase="pickle",
            )
        if not isinstance(args, tuple):
            # torch's weights_only machine takes any iterable, C pickle a tuple.
            if type(args) is not list:
                raise Malformed(
                    f"arguments must be a tuple, not {type(args).__name__}",
                    phase="pickle",
                )
            self.spend(len(args))
            return tuple(args)
        return args

    def attributes(self, state: Any) -> dict[Any, Any] | None:
        """The attributes that a state sets, or `None` if it is of another form.

        A state is a dict, nothing, or a pair of that and the slots' values. The
        names are strings, those of Python 2 under `encoding="bytes"` bytes.
        """
        parts = state if type(state) is tuple and len(state) == 2 else (state,)
        merged: dict[Any, Any] = {}
        for part in parts:
            if part is None:
                continue
            if type(part) not in (dict, OrderedDict):
                return None
            if not all(type(name) in (str, bytes) for name in part):
                raise Malformed("an attribute's name is no string", phase="rebuild")
            self.spend(len(part) + sum(map(len, part)))
            # C pickle walks the dict itself, torch's machine asks for its keys.
            merged.update(items_of(part) if self.weights_only else dict.items(part))
        return merged

    def pop_mark(self) -> list[Any]:
        """Everything since the last mark."""
        if not self.metastack:
            raise Malformed("no mark on the stack", phase="pickle")
        items = self.stack
        self.stack = self.metastack.pop()
        return items

    def line(self, position: int) -> tuple[bytes, int]:
        """A line of text without its newline, and the position after it."""
        step = 128
        start = position
        while True:
            chunk = bytes(self.data[position : position + step])
            found = chunk.find(b"\n")
            if found >= 0:
                stop = position + found
                return bytes(self.data[start:stop]), stop + 1
            if len(chunk) < step:
                raise Truncated("the pickle ends inside a line", phase="pickle")
            position += step
            step *= 2

    def take(self, position: int, size: int) -> Data:
        """`size` bytes, checked against what is there before they are touched."""
        self.announced(position, size)
        return self.data[position : position + size]

    def announced(self, position: int, size: int) -> None:
        """Raises `Truncated` if there are fewer bytes than that."""
        if size > self.end - position:
            raise Truncated(
                f"{size} bytes announced where {self.end - position} are left",
                phase="pickle",
            )

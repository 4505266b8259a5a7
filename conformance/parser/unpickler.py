"""The pickle machine.

One function per opcode, `(machine, position) -> next position`, found through
a list of 256 that is built from the opcode table; a byte that is in no row *is*
the protocol error. The loop in `load` is the only loop: nothing recurses with
the input. Nothing is imported, looked up or called on behalf of the file:
GLOBAL consults the tables of `globals.py`, and a call that they do not know
becomes an inert `Object`.

Marks are kept as in torch's own machine: MARK puts the stack aside and begins
a new one, so that no opcode can reach below the mark.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from . import arrays, plain, rebuild, text
from . import globals as known
from .errors import (
    CheckpointError,
    LimitExceeded,
    Malformed,
    Truncated,
    Unsupported,
    quote,
)
from .limits import Limits
from .opcodes import BY_CODE, OPCODES
from .tensor import Global, Object, Tensor, TypedGlobal
from .trace import Trace

Handler = Callable[["Unpickler", int], int]
#: What a pickle is read from; a slice of either is bytes-like.
Data = bytes | memoryview

_INT4: Final = struct.Struct("<i").unpack_from
_UINT2: Final = struct.Struct("<H").unpack_from
_UINT4: Final = struct.Struct("<I").unpack_from
_UINT8: Final = struct.Struct("<Q").unpack_from
_FLOAT8: Final = struct.Struct(">d").unpack_from

#: What STOP answers in place of a position.
_STOP: Final = -1


class Unpickler:
    """One pickle, read from `data` at `position`, with a memo of its own.

    `persistent_load` turns a persistent id into a storage; `base` is the
    offset of `data` in the file, for messages; `nested` reads a checkpoint
    inside this one. After `load`, `position` is just past STOP.
    """

    __slots__ = (
        "base",
        "budget",
        "collisions",
        "data",
        "deferred",
        "dtype_slots",
        "encoding",
        "end",
        "globals",
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
        #: Where in the memo a numpy dtype lies that BUILD is about to replace.
        self.dtype_slots: dict[int, tuple[int, Any]] = {}
        #: How often each hash stands in a container; holding the container
        #: keeps its id from being given to another.
        self.collisions: dict[int, tuple[object, Counter[int]]] = {}
        size = self.end - position
        self.budget = self.limits.copies_base + self.limits.copies_ratio * size

    # ------------------------------------------------------------------ the loop

    def load(self) -> Any:
        """The value on top of the stack at STOP."""
        data = self.data
        dispatch = _DISPATCH
        position = start = self.position
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
            error.path = self.path()
        return error

    def path(self) -> str:
        """Where in the tree the machine is: `['model']['fc.weight']`."""
        steps: list[str] = []
        stacks = [*self.metastack, self.stack]
        for outer, inner in zip(stacks, stacks[1:], strict=False):
            target = outer[-1] if outer else None
            if isinstance(target, (dict, Object)):
                # Keys and values take turns; the last even one is being filled.
                keys = inner[::2]
                if keys:
                    steps.append(f"[{_shown(keys[-1])}]")
            elif isinstance(target, (list, deque)):
                steps.append(f"[{len(target) + max(len(inner) - 1, 0)}]")
        return "".join(steps[:20]) + ("..." if len(steps) > 20 else "")

    # -------------------------------------------------------- what handlers share

    def spend(self, amount: int) -> None:
        """Counts copies that a few bytes of the file ask for."""
        self.budget -= amount
        if self.budget < 0:
            raise LimitExceeded(
                "the pickle copies its own values too often (Limits.copies_ratio)",
                phase="pickle",
            )

    def defer(self, check: Callable[[], None], start: int | None = None) -> None:
        """Puts off a check until the storages' bytes are there."""
        offset = self.base + (self.position if start is None else start)
        self.deferred.append((check, offset, self.path()))

    def key(self, container: object, key: Any) -> None:
        """Refuses what must not be hashed: too deep, too large, colliding.

        `container` is what the key goes into. Strings, ints of a machine word,
        None and the like are safe whatever the file says.
        """
        kind = type(key)
        if kind is str or kind is bytes or key is None or kind is bool:
            return
        if kind is int and -(1 << 63) <= key < (1 << 64):
            return
        self.spend(hash_cost(key, self.limits))
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
        self.trace.globals[known.full_name(module, name)] += 1
        return known.resolve(module, name, weights_only=self.weights_only)

    def call(self, callee: Any, args: Any, kwargs: dict[Any, Any] | None = None) -> Any:
        """What REDUCE makes: a rebuilt value, or an inert `Object`."""
        args = self._arguments(callee, args)
        if type(callee) is not Object:
            self.trace.calls[callee.name] += 1
            if type(callee) is TypedGlobal:
                return rebuild.typed_call(self, callee, args)
            rebuilds = known.CALLS.get(callee.name)
            if rebuilds is not None and not kwargs:
                value = rebuilds(callee.name, self, args)
                if value is not NotImplemented:
                    return value
        return Object(callee, args, kwargs)

    def new(self, callee: Any, args: Any) -> Any:
        """What NEWOBJ makes: an instance on which `__init__` has not run."""
        args = self._arguments(callee, args)
        if type(callee) is not Object:
            creates = known.NEW.get(callee.name)
            if creates is not None:
                self.trace.calls[callee.name] += 1
                return creates(callee.name, self, args)
        return self.call(callee, args)

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
            args = tuple(args)
        return args

    def attributes(self, state: Any) -> dict[str, Any] | None:
        """The attributes that a state sets, or `None` if it is of another form.

        A state is a dict, nothing, or a pair of that and the slots' values.
        """
        parts = state if type(state) is tuple and len(state) == 2 else (state,)
        merged: dict[str, Any] = {}
        for part in parts:
            if part is None:
                continue
            if type(part) not in (dict, OrderedDict):
                return None
            self.spend(len(part))
            if not all(type(name) is str for name in part):
                raise Malformed("an attribute's name is no string", phase="rebuild")
            merged.update(part)
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
        if size > self.end - position:
            raise Truncated(
                f"the pickle announces {size} bytes where {self.end - position} are left",
                phase="pickle",
            )
        return self.data[position : position + size]


def _shown(key: Any) -> str:
    """A key as Python would spell it, short and on one line."""
    if isinstance(key, str):
        return quote(key)
    if isinstance(key, (int, float, bytes)) or key is None:
        return repr(key)[:40] if not isinstance(key, int) or key < 1 << 200 else "..."
    return f"<{type(key).__name__}>"


def hash_cost(key: Any, limits: Limits) -> int:
    """How many nodes hashing `key` visits; raises `LimitExceeded` early."""
    count = 0
    waiting: list[tuple[Any, int]] = [(key, 0)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > limits.key_nodes or depth > limits.key_depth:
            raise LimitExceeded(
                "a key is too large or too deep to hash (Limits.key_nodes, key_depth)",
                phase="pickle",
            )
        if isinstance(value, tuple):
            if len(value) > limits.key_nodes:
                count = limits.key_nodes
            else:
                waiting.extend((item, depth + 1) for item in value)
        elif isinstance(value, int):
            count += value.bit_length() // 1024
    return count


# ------------------------------------------------------------------ the opcodes
# In the order of the table. `m` is the machine, `p` the position after the
# opcode's byte.


def _int(m: Unpickler, p: int) -> int:
    line, p = m.line(p)
    if line in (b"00", b"01"):
        m.stack.append(line == b"01")
    else:
        m.stack.append(text.integer(line, m.limits))
    return p


def _binint(m: Unpickler, p: int) -> int:
    m.stack.append(_INT4(m.data, p)[0])
    return p + 4


def _binint1(m: Unpickler, p: int) -> int:
    m.stack.append(m.data[p])
    return p + 1


def _binint2(m: Unpickler, p: int) -> int:
    m.stack.append(_UINT2(m.data, p)[0])
    return p + 2


def _long(m: Unpickler, p: int) -> int:
    line, p = m.line(p)
    m.stack.append(text.integer(line.removesuffix(b"L"), m.limits))
    return p


def _long1(m: Unpickler, p: int) -> int:
    size = m.data[p]
    m.stack.append(int.from_bytes(m.take(p + 1, size), "little", signed=True))
    return p + 1 + size


def _signed_count(m: Unpickler, p: int) -> int:
    size: int = _INT4(m.data, p)[0]
    if size < 0:
        raise Malformed(f"negative byte count {size}", phase="pickle")
    return size


def _long4(m: Unpickler, p: int) -> int:
    size = _signed_count(m, p)
    m.stack.append(int.from_bytes(m.take(p + 4, size), "little", signed=True))
    return p + 4 + size


def _string(m: Unpickler, p: int) -> int:
    line, p = m.line(p)
    m.stack.append(text.decode(text.unescape(line), m.encoding))
    return p


def _binstring(m: Unpickler, p: int) -> int:
    size = _signed_count(m, p)
    m.stack.append(text.decode(m.take(p + 4, size), m.encoding))
    return p + 4 + size


def _short_binstring(m: Unpickler, p: int) -> int:
    size = m.data[p]
    m.stack.append(text.decode(m.take(p + 1, size), m.encoding))
    return p + 1 + size


def _binbytes(m: Unpickler, p: int) -> int:
    size: int = _UINT4(m.data, p)[0]
    m.stack.append(bytes(m.take(p + 4, size)))
    return p + 4 + size


def _short_binbytes(m: Unpickler, p: int) -> int:
    size = m.data[p]
    m.stack.append(bytes(m.take(p + 1, size)))
    return p + 1 + size


def _binbytes8(m: Unpickler, p: int) -> int:
    size: int = _UINT8(m.data, p)[0]
    m.stack.append(bytes(m.take(p + 8, size)))
    return p + 8 + size


def _bytearray8(m: Unpickler, p: int) -> int:
    size: int = _UINT8(m.data, p)[0]
    m.stack.append(bytearray(m.take(p + 8, size)))
    return p + 8 + size


def _next_buffer(m: Unpickler, p: int) -> int:
    raise Malformed(
        "the pickle refers to a buffer outside itself, and there is none",
        phase="pickle",
    )


def _readonly_buffer(m: Unpickler, p: int) -> int:
    if type(m.stack[-1]) is not bytes:
        raise Unsupported(
            f"READONLY_BUFFER of a {type(m.stack[-1]).__name__}", phase="pickle"
        )
    return p


def _none(m: Unpickler, p: int) -> int:
    m.stack.append(None)
    return p


def _newtrue(m: Unpickler, p: int) -> int:
    m.stack.append(True)
    return p


def _newfalse(m: Unpickler, p: int) -> int:
    m.stack.append(False)
    return p


def _unicode(m: Unpickler, p: int) -> int:
    line, p = m.line(p)
    m.stack.append(text.raw_unicode(line))
    return p


def _short_binunicode(m: Unpickler, p: int) -> int:
    size = m.data[p]
    m.stack.append(text.utf8(m.take(p + 1, size)))
    return p + 1 + size


def _binunicode(m: Unpickler, p: int) -> int:
    size: int = _UINT4(m.data, p)[0]
    p += 4
    m.stack.append(text.utf8(m.take(p, size)))
    return p + size


def _binunicode8(m: Unpickler, p: int) -> int:
    size: int = _UINT8(m.data, p)[0]
    m.stack.append(text.utf8(m.take(p + 8, size)))
    return p + 8 + size


def _float(m: Unpickler, p: int) -> int:
    line, p = m.line(p)
    m.stack.append(text.decimal(line, m.limits))
    return p


def _binfloat(m: Unpickler, p: int) -> int:
    m.stack.append(_FLOAT8(m.data, p)[0])
    return p + 8


def _empty_list(m: Unpickler, p: int) -> int:
    m.stack.append([])
    return p


def _append(m: Unpickler, p: int) -> int:
    value = m.stack.pop()
    _extend(m.stack[-1], [value])
    return p


def _appends(m: Unpickler, p: int) -> int:
    items = m.pop_mark()
    _extend(m.stack[-1], items)
    return p


def _extend(target: Any, items: list[Any]) -> None:
    kind = type(target)
    if kind is list or kind is deque:
        target.extend(items)
    elif kind is Object:
        target.listitems.extend(items)
    else:
        raise Malformed(f"APPEND to a {kind.__name__}", phase="pickle")


def _list(m: Unpickler, p: int) -> int:
    items = m.pop_mark()
    m.stack.append(items)
    return p


def _empty_tuple(m: Unpickler, p: int) -> int:
    m.stack.append(())
    return p


def _tuple(m: Unpickler, p: int) -> int:
    items = m.pop_mark()
    m.stack.append(tuple(items))
    return p


def _tuple1(m: Unpickler, p: int) -> int:
    stack = m.stack
    stack[-1] = (stack[-1],)
    return p


def _tuple2(m: Unpickler, p: int) -> int:
    stack = m.stack
    last = stack.pop()
    stack[-1] = (stack[-1], last)
    return p


def _tuple3(m: Unpickler, p: int) -> int:
    stack = m.stack
    last = stack.pop()
    middle = stack.pop()
    stack[-1] = (stack[-1], middle, last)
    return p


def _empty_dict(m: Unpickler, p: int) -> int:
    m.stack.append({})
    return p


def _dict(m: Unpickler, p: int) -> int:
    items = m.pop_mark()
    target: dict[Any, Any] = {}
    _set_items(m, target, items)
    m.stack.append(target)
    return p


def _setitem(m: Unpickler, p: int) -> int:
    value = m.stack.pop()
    key = m.stack.pop()
    _set_items(m, m.stack[-1], [key, value])
    return p


def _setitems(m: Unpickler, p: int) -> int:
    items = m.pop_mark()
    _set_items(m, m.stack[-1], items)
    return p


_DICTS: Final = frozenset({dict, OrderedDict, defaultdict, Counter})


def _set_items(m: Unpickler, target: Any, items: list[Any]) -> None:
    if len(items) % 2:
        raise Malformed("a key without a value", phase="pickle")
    keys, values = items[::2], items[1::2]
    if type(target) in _DICTS:
        for key, value in zip(keys, values, strict=True):
            if type(key) is not str:
                m.key(target, key)
            target[key] = value
    elif type(target) is Object:
        target.dictitems.extend(zip(keys, values, strict=True))
    else:
        raise Malformed(f"SETITEM on a {type(target).__name__}", phase="pickle")


def _empty_set(m: Unpickler, p: int) -> int:
    m.stack.append(set())
    return p


def _additems(m: Unpickler, p: int) -> int:
    items = m.pop_mark()
    target = m.stack[-1]
    if type(target) is set:
        for item in items:
            m.key(target, item)
            target.add(item)
    elif type(target) is Object:
        target.listitems.extend(items)
    else:
        raise Malformed(f"ADDITEMS to a {type(target).__name__}", phase="pickle")
    return p


def _frozenset(m: Unpickler, p: int) -> int:
    items = m.pop_mark()
    for item in items:
        m.key(items, item)
    m.stack.append(frozenset(items))
    return p


def _pop(m: Unpickler, p: int) -> int:
    if m.stack:
        m.stack.pop()
    else:
        m.pop_mark()
    return p


def _dup(m: Unpickler, p: int) -> int:
    m.stack.append(m.stack[-1])
    return p


def _mark(m: Unpickler, p: int) -> int:
    m.metastack.append(m.stack)
    m.stack = []
    return p


def _pop_mark(m: Unpickler, p: int) -> int:
    m.pop_mark()
    return p


def _recall(m: Unpickler, index: int) -> None:
    try:
        m.stack.append(m.memo[index])
    except KeyError:
        raise Malformed(f"nothing in the memo at {index}", phase="pickle") from None


def _get(m: Unpickler, p: int) -> int:
    line, p = m.line(p)
    _recall(m, text.integer(line, m.limits))
    return p


def _binget(m: Unpickler, p: int) -> int:
    _recall(m, m.data[p])
    return p + 1


def _long_binget(m: Unpickler, p: int) -> int:
    _recall(m, _UINT4(m.data, p)[0])
    return p + 4


def _put(m: Unpickler, p: int) -> int:
    line, p = m.line(p)
    index = text.integer(line, m.limits)
    if index < 0:
        raise Malformed(f"negative memo index {index}", phase="pickle")
    m.memo[index] = m.stack[-1]
    return p


def _binput(m: Unpickler, p: int) -> int:
    m.memo[m.data[p]] = m.stack[-1]
    return p + 1


def _long_binput(m: Unpickler, p: int) -> int:
    m.memo[_UINT4(m.data, p)[0]] = m.stack[-1]
    return p + 4


def _memoize(m: Unpickler, p: int) -> int:
    m.memo[len(m.memo)] = m.stack[-1]
    return p


def _ext1(m: Unpickler, p: int) -> int:
    raise _extension(m.data[p])


def _ext2(m: Unpickler, p: int) -> int:
    raise _extension(_UINT2(m.data, p)[0])


def _ext4(m: Unpickler, p: int) -> int:
    raise _extension(_INT4(m.data, p)[0])


def _extension(code: int) -> CheckpointError:
    return Unsupported(
        f"extension code {code} means something only inside the program "
        "that registered it",
        phase="pickle",
    )


def _global(m: Unpickler, p: int) -> int:
    module, p = m.line(p)
    name, p = m.line(p)
    line = module + b"\n" + name
    value = m.globals.get(line)
    if value is None:
        value = m.find_global(text.utf8(module), text.utf8(name))
        m.globals[line] = value
    else:
        m.trace.globals[known.full_name(text.utf8(module), text.utf8(name))] += 1
    m.stack.append(value)
    return p


def _stack_global(m: Unpickler, p: int) -> int:
    name = m.stack.pop()
    module = m.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise Malformed("STACK_GLOBAL needs two strings", phase="pickle")
    m.stack.append(m.find_global(module, name))
    return p


def _reduce(m: Unpickler, p: int) -> int:
    m.position = p - 1
    args = m.stack.pop()
    value = m.call(m.stack[-1], args)
    m.stack[-1] = value
    if type(value) is np.dtype:
        arrays.remember_slot(m, value, p)
    return p


def _build(m: Unpickler, p: int) -> int:
    state = m.stack.pop()
    target = m.stack[-1]
    kind = type(target)
    if kind is Object:
        if target.state is not None:
            raise Malformed(f"{quote(target.name)} is built twice", phase="pickle")
        target.state = state
    elif kind is Tensor:
        rebuild.set_state(m, target, state)
    elif kind is np.ndarray:
        arrays.set_state(m, target, state)
    elif isinstance(target, np.dtype):
        m.stack[-1] = arrays.set_dtype_state(m, target, state)
    else:
        plain.set_state(m, target, state)
    return p


def _inst(m: Unpickler, p: int) -> int:
    module, p = m.line(p)
    name, p = m.line(p)
    args = m.pop_mark()
    callee = m.find_global(text.utf8(module), text.utf8(name))
    m.stack.append(m.call(callee, tuple(args)))
    return p


def _obj(m: Unpickler, p: int) -> int:
    items = m.pop_mark()
    m.stack.append(m.call(items[0], tuple(items[1:])))
    return p


def _newobj(m: Unpickler, p: int) -> int:
    m.position = p - 1
    args = m.stack.pop()
    m.stack[-1] = m.new(m.stack[-1], args)
    return p


def _newobj_ex(m: Unpickler, p: int) -> int:
    kwargs = m.stack.pop()
    args = m.stack.pop()
    if type(kwargs) is not dict:
        raise Malformed("NEWOBJ_EX needs a dict", phase="pickle")
    callee = m.stack[-1]
    m.stack[-1] = m.call(callee, args, kwargs) if kwargs else m.new(callee, args)
    return p


def _proto(m: Unpickler, p: int) -> int:
    m.data[p]  # its number changes nothing: the opcodes say what they are
    return p + 1


def _stop(m: Unpickler, p: int) -> int:
    m.stack[-1]  # there must be an answer
    m.position = p
    return _STOP


def _frame(m: Unpickler, p: int) -> int:
    m.take(p + 8, _UINT8(m.data, p)[0])
    return p + 8


def _persid(m: Unpickler, p: int) -> int:
    line, p = m.line(p)
    m.stack.append(m.persistent_load(text.ascii(line)))
    return p


def _binpersid(m: Unpickler, p: int) -> int:
    stack = m.stack
    stack[-1] = m.persistent_load(stack[-1])
    return p


def _unknown(m: Unpickler, p: int) -> int:
    raise Malformed(f"{m.data[p - 1]:#04x} is no opcode", phase="pickle")


def _dispatch() -> list[Handler]:
    table: list[Handler] = [_unknown] * 256
    for row in OPCODES:
        table[row.code] = _HANDLERS[f"_{row.name.lower()}"]
    return table


_HANDLERS: Final[dict[str, Handler]] = vars()
_DISPATCH: Final = _dispatch()

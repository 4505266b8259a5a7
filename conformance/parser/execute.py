"""The opcodes: one function for each row of the table, in its order.

`m` is the machine and `p` the position after the opcode's byte; the answer is
the position of the next opcode.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from . import arrays, plain, rebuild, text
from . import globals as known
from .errors import CheckpointError, Malformed, Unsupported, quote
from .keys import SHORT
from .opcodes import OPCODES
from .tensor import Tensor
from .values import Object

if TYPE_CHECKING:
    from .unpickler import Unpickler

Handler = Callable[["Unpickler", int], int]

_INT4: Final = struct.Struct("<i").unpack_from
_UINT2: Final = struct.Struct("<H").unpack_from
_UINT4: Final = struct.Struct("<I").unpack_from
_UINT8: Final = struct.Struct("<Q").unpack_from
_FLOAT8: Final = struct.Struct(">d").unpack_from

#: What STOP answers in place of a position.
STOP: Final = -1


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
    _extend(m, m.stack[-1], [value])
    return p


def _appends(m: Unpickler, p: int) -> int:
    items = m.pop_mark()
    _extend(m, m.stack[-1], items)
    return p


def _extend(m: Unpickler, target: Any, items: list[Any]) -> None:
    kind = type(target)
    if kind is list:
        target.extend(items)
    elif kind is deque:
        m.chains.link(target, items)
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
        if type(target) is defaultdict:
            m.chains.link(target, values)
        for key, value in zip(keys, values, strict=True):
            if type(key) is not str or len(key) > SHORT:
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
    index, p = _index(m, p)
    _recall(m, index)
    return p


def _index(m: Unpickler, p: int) -> tuple[int, int]:
    line, p = m.line(p)
    index = text.integer(line, m.limits)
    if not 0 <= index < 1 << 63:
        raise Malformed(f"{quote(line)} is no memo index", phase="pickle")
    return index, p


def _binget(m: Unpickler, p: int) -> int:
    _recall(m, m.data[p])
    return p + 1


def _long_binget(m: Unpickler, p: int) -> int:
    _recall(m, _UINT4(m.data, p)[0])
    return p + 4


def _put(m: Unpickler, p: int) -> int:
    index, p = _index(m, p)
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
        value = m.find_global(text.name(module), text.name(name))
        m.globals[line] = value
    else:
        m.trace.globals[known.full_name(text.name(module), text.name(name))] += 1
    m.stack.append(value)
    return p


def _stack_global(m: Unpickler, p: int) -> int:
    name = m.stack.pop()
    module = m.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise Malformed("STACK_GLOBAL needs two strings", phase="pickle")
    m.spend(len(module) + len(name))
    m.stack.append(m.find_global(module, name))
    return p


def _reduce(m: Unpickler, p: int) -> int:
    m.position = p - 1
    args = m.stack.pop()
    value = m.call(m.stack[-1], args)
    m.stack[-1] = value
    if isinstance(value, np.dtype):
        arrays.await_state(m, value, p)
    return p


def _build(m: Unpickler, p: int) -> int:
    state = m.stack.pop()
    target = m.stack[-1]
    kind = type(target)
    m.trace.builds[_type_name(target)] += 1
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


def _type_name(value: Any) -> str:
    match value:
        case Object(name=name) | Tensor(type=name):
            return name
        case np.dtype():
            return "numpy.dtype"
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _inst(m: Unpickler, p: int) -> int:
    module, p = m.line(p)
    name, p = m.line(p)
    m.position = p - 1
    args = m.pop_mark()
    callee = m.find_global(text.name(module), text.name(name))
    m.stack.append(m.call(callee, tuple(args)))
    return p


def _obj(m: Unpickler, p: int) -> int:
    m.position = p - 1
    items = m.pop_mark()
    m.stack.append(m.call(items[0], tuple(items[1:])))
    return p


def _newobj(m: Unpickler, p: int) -> int:
    m.position = p - 1
    args = m.stack.pop()
    m.stack[-1] = m.new(m.stack[-1], args)
    return p


def _newobj_ex(m: Unpickler, p: int) -> int:
    m.position = p - 1
    kwargs = m.stack.pop()
    args = m.stack.pop()
    if not isinstance(kwargs, dict):
        raise Malformed("NEWOBJ_EX needs a dict", phase="pickle")
    kwargs = dict(dict.items(kwargs))
    callee = m.stack[-1]
    m.stack[-1] = m.call(callee, args, kwargs) if kwargs else m.new(callee, args)
    return p


def _proto(m: Unpickler, p: int) -> int:
    m.data[p]  # its number changes nothing: the opcodes say what they are
    return p + 1


def _stop(m: Unpickler, p: int) -> int:
    m.stack[-1]  # there must be an answer
    m.position = p
    return STOP


def _frame(m: Unpickler, p: int) -> int:
    # Not taken: frames inside each other would be copied again and again.
    m.announced(p + 8, _UINT8(m.data, p)[0])
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
#: By the opcode's byte.
DISPATCH: Final = _dispatch()

"""numpy's arrays, scalars and dtypes, as numpy itself pickles them.

Rebuilt by calling numpy with arguments that were checked first; never by
handing a state from the file to numpy's own `__setstate__` unchecked. Names of
numpy 1 (`numpy.core`) and 2 (`numpy._core`) mean the same. Source: numpy 1.16
to 2.4, `core/src/multiarray/{methods,descriptor}.c` and `numpy/_core/numeric.py`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import ml_dtypes
import numpy as np

from .errors import Malformed, Unsupported, quote
from .registry import Table
from .values import Global

if TYPE_CHECKING:
    from .unpickler import Unpickler

CALLS: Final = Table()

#: Letters of numpy's simple types, and those that carry a size of their own.
_SIMPLE: Final = frozenset("?bBhHiIlLqQefdgFDG")
_SIZED: Final = frozenset("biufcSUVOMmat")


def _simple_dtype(spec: str) -> Any:
    """A dtype from a short code such as `f8`; `None` for anything else.

    numpy's own parser of dtype strings is a small language; these need none.
    """
    code = spec[1:] if spec[:1] in ("<", ">", "|", "=") else spec
    size = code[1:]
    if len(spec) > 16 or not code:
        return None
    if size == "" and code in _SIMPLE | {"O", "M", "m"}:
        return np.dtype(spec)
    if code[0] in _SIZED and size.isascii() and size.isdigit():
        try:
            return np.dtype(spec)
        except (TypeError, ValueError, OverflowError):
            return None
    return None


def _class_dtype(name: str) -> Any:
    """A dtype from the scalar class that a pickle names."""
    module, _, scalar = name.rpartition(".")
    if name == "numpy.record":
        return np.dtype(np.record)
    if module == "ml_dtypes":
        kind: Any = _ML_DTYPES.get(scalar)
    else:
        kind = _NUMPY_SCALARS.get(scalar) if module == "numpy" else None
    return None if kind is None else np.dtype(kind)


_ML_DTYPES: Final = {
    name: kind
    for name, kind in vars(ml_dtypes).items()
    if isinstance(kind, type) and issubclass(kind, np.generic)
}
_NUMPY_SCALARS: Final = {kind.__name__: kind for kind in np.sctypeDict.values()}


@CALLS.named("numpy.dtype")
def dtype(machine: Unpickler, spec: Any, align: Any = False, copy: Any = False) -> Any:
    """`numpy.dtype(code, align, copy)`; BUILD then says the rest."""
    if isinstance(spec, Global):
        found = _class_dtype(spec.name)
    elif type(spec) is str:
        found = _simple_dtype(spec)
    else:
        return NotImplemented
    if found is None:
        raise Unsupported(
            f"the numpy dtype {quote(spec.name if isinstance(spec, Global) else spec)}",
            phase="rebuild",
        )
    # An object of its own: BUILD may change what it is.
    return found.newbyteorder("=") if found.isbuiltin == 1 else found


def remember_slot(machine: Unpickler, value: Any, position: int) -> None:
    """Notes under which number the pickle is about to keep this dtype.

    numpy's dtypes cannot be changed safely in place, so BUILD makes another,
    which must also take the place of the first one in the memo.
    """
    data = machine.data
    opcode = data[position : position + 1]
    if opcode == b"q":
        index = data[position + 1]
    elif opcode == b"r":
        index = int.from_bytes(machine.take(position + 1, 4), "little")
    elif opcode == b"\x94":
        index = len(machine.memo)
    elif opcode == b"p":
        line, _ = machine.line(position + 1)
        if not line.isdigit() or len(line) > 18:
            return
        index = int(line)
    else:
        return
    machine.dtype_slots[id(value)] = (index, value)


def set_dtype_state(machine: Unpickler, target: np.dtype[Any], state: Any) -> Any:
    """BUILD of a dtype: `(version, order, subdtype, names, fields, ...)`."""
    if type(state) is not tuple or not 5 <= len(state) <= 9:
        raise Malformed("the state of a numpy dtype is a tuple", phase="rebuild")
    order, subdtype, names, fields = state[1:5]
    order = order.decode("latin-1") if type(order) is bytes else order
    if type(state[0]) is not int or type(order) is not str or order not in _ORDERS:
        raise Malformed("a numpy dtype of unknown byte order", phase="rebuild")
    try:
        found = _dtype_from_state(machine, target, state, subdtype, names, fields)
        if order in "<>" and found.names is None and found.subdtype is None:
            found = found.newbyteorder(order)
    except (TypeError, ValueError, OverflowError, KeyError, RecursionError):
        raise Malformed("numpy refuses the dtype", phase="rebuild") from None
    index, known = machine.dtype_slots.pop(id(target), (None, None))
    if index is not None and known is target and machine.memo.get(index) is target:
        machine.memo[index] = found
    return found


def _dtype_from_state(
    machine: Unpickler,
    target: np.dtype[Any],
    state: tuple[Any, ...],
    subdtype: Any,
    names: Any,
    fields: Any,
) -> Any:
    if subdtype is not None:
        base, shape = subdtype
        shape = (shape,) if type(shape) is int else shape
        if not isinstance(base, np.dtype) or not _is_shape(shape):
            raise TypeError
        return np.dtype((base, shape))
    if names is not None and type(names) is not tuple:
        raise TypeError
    if fields is not None or names:
        if names is None or type(fields) is not dict:
            raise TypeError
        machine.spend(len(names))
        size = state[5]
        if type(size) is not int or not 0 <= size < 1 << 31:
            raise ValueError
        # Text before anything is hashed: a deep tuple would overflow the C stack.
        spelled = [_field_name(name) for name in names]
        rows = [fields[name] for name in names]
        if not all(isinstance(row[0], np.dtype) for row in rows):
            raise TypeError
        spec = {
            "names": spelled,
            "formats": [row[0] for row in rows],
            "offsets": [row[1] for row in rows],
            "titles": [_field_name(row[2]) if len(row) > 2 else None for row in rows],
            "itemsize": size,
        }
        aligned = len(state) > 7 and type(state[7]) is int and bool(state[7] & 0x80)
        found = np.dtype(spec, align=aligned)  # type: ignore[call-overload]
        # A record array's scalars have the fields as attributes.
        return np.dtype((np.record, found)) if target.type is np.record else found
    if target.kind in "mM" and len(state) == 9 and state[8] is not None:
        # Dates carry their unit: ({}, (unit, number, denominator, event)).
        unit, number = state[8][1][:2]
        unit = unit.decode("ascii") if type(unit) is bytes else unit
        if type(number) is not int or type(unit) is not str or unit not in _UNITS:
            raise ValueError
        scale = "" if unit == "generic" else f"[{number}{unit}]"
        return np.dtype(f"{target.kind}8{scale}")
    return target


_ORDERS: Final = ("<", ">", "|", "=")
_UNITS: Final = frozenset(
    ["generic", *"YMWDhms", "ms", "us", "\u03bcs", "ns", "ps", "fs", "as"]
)


def _field_name(name: Any) -> str:
    name = name.decode("ascii") if type(name) is bytes else name
    if type(name) is not str:
        raise TypeError
    return name


def _is_shape(shape: Any) -> bool:
    return (
        type(shape) is tuple
        and len(shape) <= 64
        and all(type(size) is int and 0 <= size < 1 << 63 for size in shape)
    )


@CALLS.named(
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"
)
def reconstruct(machine: Unpickler, subtype: Any, shape: Any, code: Any) -> Any:
    """An empty array, which BUILD fills."""
    if not isinstance(subtype, Global) or subtype.name != "numpy.ndarray":
        return NotImplemented  # a subclass of its own
    if not _is_shape(shape) or any(shape):
        raise Malformed("an array is rebuilt from nothing", phase="rebuild")
    return np.empty((0,), dtype=np.int8)


def set_state(machine: Unpickler, target: np.ndarray[Any, Any], state: Any) -> None:
    """BUILD of an array: `(version, shape, dtype, fortran order, data)`."""
    if type(state) is not tuple or len(state) not in (4, 5):
        raise Malformed("the state of a numpy array is a tuple", phase="rebuild")
    shape, kind, fortran, data = state[-4:]
    if not isinstance(kind, np.dtype):
        raise Malformed("a numpy array needs a dtype", phase="rebuild")
    if not _is_shape(shape) or type(fortran) not in (bool, int):
        raise Malformed("a numpy array of impossible shape", phase="rebuild")
    if type(data) is str:
        # Python 2, read with encoding="latin1".
        try:
            data = data.encode("latin-1")
        except UnicodeEncodeError:
            raise Malformed(
                "a numpy array's bytes are no bytes; try encoding='latin1'",
                phase="rebuild",
            ) from None
    count = math.prod(shape)
    if kind.hasobject:
        if type(data) is not list or len(data) != count or kind.names or kind.subdtype:
            raise Malformed("a numpy array of objects needs a list", phase="rebuild")
        machine.spend(count)
        machine.chains.link(target, data)
    else:
        if type(data) not in (bytes, bytearray) or len(data) != count * kind.itemsize:
            raise Malformed(
                f"a numpy array of {count} x {kind.itemsize} bytes is given "
                f"{len(data) if isinstance(data, (bytes, bytearray)) else 'no'} bytes",
                phase="rebuild",
            )
        machine.spend(len(data))
    try:
        # Every size in it has been checked against what is there.
        state = (1, shape, kind, bool(fortran), data)
        target.__setstate__(state)
    except (TypeError, ValueError, OverflowError, MemoryError):
        raise Malformed("numpy refuses the array", phase="rebuild") from None


@CALLS.named("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
def scalar(machine: Unpickler, kind: Any, data: Any = b"") -> Any:
    """A numpy scalar from its dtype and bytes."""
    if not isinstance(kind, np.dtype):
        raise Malformed("a numpy scalar needs a dtype", phase="rebuild")
    if kind.hasobject:
        return NotImplemented
    if type(data) is str:
        try:
            data = data.encode("latin-1")
        except UnicodeEncodeError:
            raise Malformed("a scalar's bytes are no bytes", phase="rebuild") from None
    if type(data) is not bytes or len(data) != kind.itemsize:
        raise Malformed(
            f"a numpy scalar of {kind.itemsize} bytes is given others", phase="rebuild"
        )
    machine.spend(len(data))
    if not data:
        return np.zeros((), kind)[()]
    try:
        return np.ndarray((), kind, data)[()]
    except (ValueError, SystemError):
        # Text of code points that Unicode does not have.
        raise Malformed("numpy refuses the scalar", phase="rebuild") from None


@CALLS.named("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")
def frombuffer(
    machine: Unpickler, data: Any, kind: Any, shape: Any, order: Any, axes: Any = None
) -> Any:
    """Protocol 5: an array around a buffer of the pickle."""
    if type(data) not in (bytes, bytearray) or not isinstance(kind, np.dtype):
        raise Malformed("_frombuffer needs bytes and a dtype", phase="rebuild")
    if not _is_shape(shape) or kind.hasobject or not _is_order(order):
        raise Malformed("a numpy array of impossible shape", phase="rebuild")
    if math.prod(shape) * kind.itemsize != len(data):
        raise Malformed(
            f"a numpy array of {math.prod(shape)} x {kind.itemsize} bytes is given "
            f"{len(data)} bytes",
            phase="rebuild",
        )
    if order == "K":
        return _permuted(data, kind, shape, axes)
    return np.ndarray(shape, kind, data, order=order)


def _is_order(order: Any) -> bool:
    return type(order) is str and order in ("C", "F", "K")


def _permuted(data: Any, kind: np.dtype[Any], shape: Any, axes: Any) -> Any:
    """An array whose axes lie in memory in another order (numpy 2.3 and up)."""
    if not _is_shape(axes) or sorted(axes) != list(range(len(shape))):
        raise Malformed("the axes of a numpy array are no permutation", phase="rebuild")
    return np.ndarray(shape, kind, data).transpose(axes)

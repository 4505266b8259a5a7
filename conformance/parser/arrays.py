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

from .errors import LimitExceeded, Malformed, Uninitialised, Unsupported, quote
from .registry import Table
from .values import Global, Inert

if TYPE_CHECKING:
    from .unpickler import Unpickler

CALLS: Final = Table()

#: Letters of numpy's simple types, and those that carry a size of their own.
_SIMPLE: Final = frozenset("?bBhHiIlLqQefdgFDG")
_SIZED: Final = frozenset("biufcSUVOMm")


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
_NUMPY_SCALARS: Final = {
    kind.__name__: kind
    for kind in np.sctypeDict.values()
    if kind.__module__ == "numpy"  # and not of those who registered theirs there
}


@CALLS.named("numpy.dtype")
def dtype(machine: Unpickler, spec: Any, align: Any = False, copy: Any = False) -> Any:
    """`numpy.dtype(code, align, copy)`; BUILD then says the rest."""
    if type(spec) is bytes:  # of Python 2
        spec = spec.decode("latin-1")
    if isinstance(spec, Inert):
        found = _class_dtype(spec.name)
        spec = spec.name
    elif type(spec) is str:
        found = _simple_dtype(spec)
    else:
        raise Unsupported(
            f"the numpy dtype of a {type(spec).__name__}", phase="rebuild"
        )
    if found is None:
        raise Unsupported(f"the numpy dtype {quote(spec)}", phase="rebuild")
    if type(align) not in (bool, int) or type(copy) not in (bool, int):
        raise Unsupported(
            f"the numpy dtype {quote(spec)} without flags", phase="rebuild"
        )
    if not copy:
        return found  # one that all share, if it is numpy's own
    # An object of its own: BUILD may say that it is something else.
    return found.newbyteorder("=") if found.isbuiltin else found


def await_state(machine: Unpickler, value: Any, position: int) -> None:
    """Notes that BUILD has yet to complete this dtype, and its number in the memo.

    numpy's dtypes cannot be changed safely in place, so BUILD makes another,
    which also takes the place of the first one in the memo. Whoever got hold of
    the first one before has something that nothing here accepts.
    """
    data = machine.data
    opcode = data[position : position + 1]
    index = -1
    if opcode == b"q":
        index = data[position + 1]
    elif opcode == b"r":
        index = int.from_bytes(machine.take(position + 1, 4), "little")
    elif opcode == b"\x94":
        index = len(machine.memo)
    elif opcode == b"p":
        line, _ = machine.line(position + 1)
        if line.isdigit() and len(line) < 18:
            index = int(line)
    if value.isbuiltin != 1:
        machine.incomplete[id(value)] = (value, index)


def complete(machine: Unpickler, kind: Any, what: str) -> np.dtype[Any]:
    """A dtype of which BUILD has said all there is to say."""
    if isinstance(kind, Inert):
        raise Unsupported(f"{what} of {quote(kind.name)}", phase="rebuild")
    if not isinstance(kind, np.dtype):
        raise Malformed(f"{what} needs a dtype", phase="rebuild")
    if id(kind) in machine.incomplete:
        raise Malformed(f"{what} has a dtype that is not complete", phase="rebuild")
    return kind


def set_dtype_state(machine: Unpickler, target: np.dtype[Any], state: Any) -> Any:
    """BUILD of a dtype: `(version, order, subdtype, names, fields, ...)`.

    The metadata are there from version 4 on; numpy 1.1 wrote version 3 already.
    """
    if target.isbuiltin == 1:
        return target  # numpy, too, lets nobody change what all share
    if type(state) is not tuple or not 8 <= len(state) <= 9:
        raise Malformed("the state of a numpy dtype is a tuple", phase="rebuild")
    version, order = state[:2]
    if type(version) is not int or version not in (3, 4):
        raise Malformed("a numpy dtype of unknown version", phase="rebuild")
    order = order.decode("latin-1") if type(order) is bytes else order
    if type(order) is not str or order not in _ORDERS:
        raise Malformed("a numpy dtype of unknown byte order", phase="rebuild")
    try:
        found = _dtype_from_state(machine, target, *state[2:])
        if order in "<>" and found.names is None and found.subdtype is None:
            ordered = found.newbyteorder(order)
            found = found if ordered == found else ordered
    except (TypeError, ValueError, OverflowError):
        raise Malformed("numpy refuses the dtype", phase="rebuild") from None
    _weigh(machine, found)
    known, index = machine.incomplete.pop(id(target), (None, -1))
    if found is target:
        return found
    if known is not target:
        raise Malformed("a numpy dtype is changed after its use", phase="rebuild")
    machine.incomplete[id(target)] = (target, -1)  # for good
    if machine.memo.get(index) is target:
        machine.memo[index] = found
    return found


def _dtype_from_state(
    machine: Unpickler,
    target: np.dtype[Any],
    subdtype: Any,
    names: Any,
    fields: Any,
    itemsize: Any,
    alignment: Any,
    flags: Any,
    metadata: Any = None,
) -> Any:
    for number in (itemsize, alignment, flags):
        if type(number) is not int or not -1 <= number < 1 << 31:
            raise ValueError
    if target.kind in "mM" and subdtype is None and names is None:
        # Dates carry their unit: (metadata, (unit, number, denominator, event)).
        metadata, unit = metadata
        if type(unit) is not tuple or not 2 <= len(unit) <= 4:
            raise TypeError
        found = _dated(target.kind, *unit)
    else:
        found = _composed(machine, target, subdtype, names, fields, itemsize, flags)
    if found.kind in "SUV" and itemsize != found.itemsize:
        raise ValueError
    if flags & _OF_OBJECTS != (_OF_OBJECTS if found.hasobject else 0):
        raise ValueError
    if metadata:
        if type(metadata) is not dict:
            raise TypeError
        machine.spend(len(metadata))
        found = np.dtype(found, metadata=metadata)
    return found


def _composed(
    machine: Unpickler,
    target: np.dtype[Any],
    subdtype: Any,
    names: Any,
    fields: Any,
    itemsize: int,
    flags: int,
) -> Any:
    """A dtype of others, if it is one."""
    if (names is None) is not (fields is None):
        raise ValueError
    if subdtype is not None:
        base, shape = subdtype
        shape = (shape,) if type(shape) is int else shape
        if not _is_shape(shape):
            raise ValueError
        return np.dtype((complete(machine, base, "a numpy dtype"), shape))
    if names is None:
        return target
    if target.kind != "V":
        raise ValueError
    found = _structured(machine, names, fields, itemsize, flags)
    # A record array's scalars have the fields as attributes.
    return np.dtype((np.record, found)) if target.type is np.record else found


def _structured(
    machine: Unpickler, names: Any, fields: Any, itemsize: int, flags: int
) -> Any:
    """`fields` is a dict of `(dtype, offset)` or `(dtype, offset, title)`."""
    if type(names) is not tuple or type(fields) is not dict:
        raise TypeError
    machine.spend(len(names))
    # Text before anything is hashed: a deep tuple would overflow the C stack.
    spelled = [_field_name(name) for name in names]
    formats, offsets, titles = [], [], []
    for name in names:
        row = fields.get(name)
        if type(row) is not tuple or not 2 <= len(row) <= 3:
            raise TypeError
        kind, offset, *title = row
        formats.append(complete(machine, kind, "a field of a numpy dtype"))
        offsets.append(offset)
        titles.append(_field_name(title[0]) if title else None)
    if not all(type(number) is int for number in offsets):
        raise TypeError
    spec = {
        "names": spelled,
        "formats": formats,
        "offsets": offsets,
        "titles": titles,
        "itemsize": itemsize,
    }
    return np.dtype(spec, align=bool(flags & _ALIGNED))  # type: ignore[call-overload]


#: `NPY_ALIGNED_STRUCT`: laid out as a C compiler would.
_ALIGNED: Final = 0x80
#: `NPY_ITEM_REFCOUNT`, `NPY_LIST_PICKLE`: Python objects are in it, pickled in a list.
_OF_OBJECTS: Final = 0x03


def _dated(kind: str, unit: Any, number: Any, divisor: Any = 1, event: Any = 1) -> Any:
    unit = unit.decode("ascii") if type(unit) is bytes else unit
    if type(unit) is not str or unit not in _UNITS:
        raise ValueError
    if not all(type(part) is int for part in (number, divisor, event)):
        raise TypeError
    if not 0 < number < 1 << 31 or divisor != 1 or event != 1:
        raise ValueError
    return np.dtype(f"{kind}8" if unit == "generic" else f"{kind}8[{number}{unit}]")


def _weigh(machine: Unpickler, kind: np.dtype[Any]) -> None:
    """Refuses dtypes too deep in each other: numpy compares and frees by recursion."""
    waiting = [(kind, 0)]
    while waiting:
        this, depth = waiting.pop()
        if depth > _DEEPEST:
            raise LimitExceeded("numpy dtypes too deep in each other", phase="rebuild")
        machine.spend(1)
        if this.subdtype is not None:
            waiting.append((this.subdtype[0], depth + 1))
        if this.fields is not None:
            waiting.extend((row[0], depth + 1) for row in this.fields.values())


#: How many numpy dtypes may lie inside each other.
_DEEPEST: Final = 30


_ORDERS: Final = ("<", ">", "|", "=")
_UNITS: Final = frozenset(["generic", *"YMWDhms", "ms", "us", "ns", "ps", "fs", "as"])


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
    dtype(machine, code)  # of what there is none of
    if not _is_shape(shape) or any(shape):
        raise Malformed("an array is rebuilt from nothing", phase="rebuild")
    array = np.empty((0,), dtype=np.int8)
    machine.incomplete[id(array)] = (array, -1)
    return array


def set_state(machine: Unpickler, target: np.ndarray[Any, Any], state: Any) -> None:
    """BUILD of an array: `(version, shape, dtype, fortran order, data)`."""
    if machine.incomplete.pop(id(target), (None, -1))[0] is not target:
        # Others may show its memory by now.
        raise Malformed("a numpy array is built twice", phase="rebuild")
    if type(state) is not tuple or len(state) not in (4, 5):
        raise Malformed("the state of a numpy array is a tuple", phase="rebuild")
    if len(state) == 5 and (type(state[0]) is not int or state[0] not in (0, 1)):
        raise Malformed("a numpy array of unknown version", phase="rebuild")
    shape, kind, fortran, data = state[-4:]
    kind = _element_dtype(machine, kind, "a numpy array")
    if not _is_shape(shape) or type(fortran) not in (bool, int):
        raise Malformed("a numpy array of impossible shape", phase="rebuild")
    if kind.hasobject:
        count = math.prod(shape)
        if type(data) is not list or len(data) != count:
            raise Malformed("a numpy array of objects needs a list", phase="rebuild")
        machine.spend(count)
        machine.chains.link(target, data)
    else:
        data = _octets(data, "a numpy array")
        _fit(machine, shape, kind, data)
    try:
        # Every size in it has been checked against what is there.
        target.__setstate__((1, shape, kind, bool(fortran), data))
    except (TypeError, ValueError, OverflowError, SystemError):
        raise Malformed("numpy refuses the array", phase="rebuild") from None


def _element_dtype(machine: Unpickler, kind: Any, what: str) -> np.dtype[Any]:
    found = complete(machine, kind, what)
    if found.subdtype is not None:
        # numpy itself makes more dimensions of it.
        raise Malformed(f"{what} of arrays", phase="rebuild")
    return found


def _octets(data: Any, what: str) -> Any:
    """The bytes of an array or scalar; Python 2's are a str, read as latin1."""
    if type(data) is str:
        try:
            return data.encode("latin-1")
        except UnicodeEncodeError:
            raise Malformed(
                f"the bytes of {what} are no bytes; try encoding='latin1'",
                phase="rebuild",
            ) from None
    if type(data) is not bytes and type(data) is not bytearray:
        raise Malformed(f"{what} is made of bytes", phase="rebuild")
    return data


def _fit(machine: Unpickler, shape: Any, kind: np.dtype[Any], data: Any) -> None:
    """Refuses bytes that do not fill the shape; counts them."""
    count = math.prod(shape)
    if count * kind.itemsize != len(data):
        raise Malformed(
            f"a numpy array of {count} x {kind.itemsize} bytes is given {len(data)} "
            "bytes",
            phase="rebuild",
        )
    if math.prod(max(size, 1) for size in shape) * max(kind.itemsize, 1) >= 1 << 63:
        # numpy asks so of new arrays, even where one of the sizes is 0.
        raise Malformed("an array too large for numpy", phase="rebuild")
    # Elements of no bytes are elements too.
    machine.spend(max(count, len(data)))


@CALLS.named("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
def scalar(machine: Unpickler, kind: Any, data: Any = b"") -> Any:
    """A numpy scalar from its dtype and bytes."""
    kind = _element_dtype(machine, kind, "a numpy scalar")
    if kind.hasobject:
        return NotImplemented
    data = bytes(_octets(data, "a numpy scalar"))
    _fit(machine, (), kind, data)
    if not data:
        return np.zeros((), kind)[()]
    try:
        return np.ndarray((), kind, data)[()]
    except (ValueError, SystemError):
        # Text of code points that Unicode does not have.
        raise Malformed("numpy refuses the scalar", phase="rebuild") from None


@CALLS.named("numpy.ndarray")
def new_array(machine: Unpickler, *args: Any) -> Any:
    raise Uninitialised("a new array, which nothing fills", phase="rebuild")


@CALLS.named(*(f"numpy.{name}" for name in _NUMPY_SCALARS))
@CALLS.named(*(f"ml_dtypes.{name}" for name in _ML_DTYPES))
def new_scalar(machine: Unpickler, *args: Any) -> Any:
    return NotImplemented  # a conversion: numpy pickles its scalars otherwise


@CALLS.named("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")
def frombuffer(
    machine: Unpickler, data: Any, kind: Any, shape: Any, order: Any, axes: Any = None
) -> Any:
    """Protocol 5: an array around a buffer of the pickle."""
    kind = _element_dtype(machine, kind, "a numpy array")
    if not _is_shape(shape) or kind.hasobject or not _is_order(order):
        raise Malformed("a numpy array of impossible shape", phase="rebuild")
    if type(data) is not bytes and type(data) is not bytearray:
        raise Malformed("_frombuffer needs bytes", phase="rebuild")
    _fit(machine, shape, kind, data)
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

"""Values of Python's own types, rebuilt from what a pickle says of them.

Each function stands for the type of that name and takes what `REDUCE` would
give it. It checks before it makes anything, and answers `NotImplemented` where
a call is legal but not one that a pickled value makes; the machine then keeps
an inert `Object`. Source of the forms: the `__reduce__` of CPython 2.7 and 3.6
to 3.13.
"""

from __future__ import annotations

import datetime
import os
import pathlib
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from . import text
from .errors import LimitExceeded, Malformed, Unsupported, quote
from .keys import items_of
from .registry import Table
from .values import Device, DType, Global, Inert

if TYPE_CHECKING:
    from .unpickler import Unpickler

CALLS: Final = Table()
#: NEWOBJ of a type whose `__init__` does the filling: an empty instance.
NEW: Final = Table()

#: Globals that are values rather than something to call.
CONSTANTS: Final[dict[str, Any]] = {
    "builtins.Ellipsis": ...,
    "builtins.NotImplemented": NotImplemented,
}

_SEQUENCES: Final = (list, tuple, set, frozenset, deque)


#: What surely has no members.
_SINGLE: Final = (type(None), bool, int, float, complex, DType, Device)


def _items(machine: Unpickler, value: Any) -> list[Any] | None:
    """The members of a plain container, counted; `None` for anything else."""
    if type(value) in _SINGLE:
        raise Malformed(
            f"a {type(value).__name__} has no members to make others of",
            phase="rebuild",
        )
    if type(value) not in _SEQUENCES:
        return None
    machine.spend(len(value))
    return list(value)


# ------------------------------------------------------------------- containers


@CALLS.named("builtins.list")
def _list(machine: Unpickler, value: Any = ()) -> Any:
    items = _items(machine, value)
    return NotImplemented if items is None else items


@CALLS.named("builtins.tuple")
def _tuple(machine: Unpickler, value: Any = ()) -> Any:
    items = _items(machine, value)
    return NotImplemented if items is None else tuple(items)


@CALLS.named("builtins.set")
def _set(machine: Unpickler, value: Any = ()) -> Any:
    items = _items(machine, value)
    if items is None:
        return NotImplemented
    for item in items:
        machine.key(items, item)
    return set(items)


@CALLS.named("builtins.frozenset")
def _frozenset(machine: Unpickler, value: Any = ()) -> Any:
    members = _set(machine, value)
    return NotImplemented if members is NotImplemented else frozenset(members)


def _mapping(machine: Unpickler, target: dict[Any, Any], value: Any) -> Any:
    """`target` filled as `dict()` would from a dict or from pairs."""
    if type(value) in (dict, OrderedDict, defaultdict, Counter):
        value = items_of(value)
    pairs = _items(machine, value)
    if pairs is None:
        return NotImplemented
    for pair in pairs:
        if type(pair) not in (list, tuple) or len(pair) != 2:
            raise Malformed("a mapping is made of pairs", phase="rebuild")
        machine.key(target, pair[0])
        target[pair[0]] = pair[1]
    return target


@CALLS.named("builtins.dict")
def _dict(machine: Unpickler, value: Any = ()) -> Any:
    return _mapping(machine, {}, value)


@CALLS.named("collections.OrderedDict")
def _ordered_dict(machine: Unpickler, value: Any = ()) -> Any:
    if type(value) is tuple and not value:
        return OrderedDict()  # every tensor's hooks
    return _mapping(machine, OrderedDict(), value)


@CALLS.named("collections.Counter")
def _counter(machine: Unpickler, value: Any = None) -> Any:
    if value is None or type(value) in (dict, OrderedDict, Counter):
        return _mapping(machine, Counter(), value or {})
    items = _items(machine, value)
    if items is None:
        return NotImplemented
    for item in items:
        machine.key(items, item)
    return Counter(items)


#: Factories that are safe to be themselves; any other name stays inert, and
#: raises when a missing key would have called it.
_FACTORIES: Final[dict[str, Callable[[], Any]]] = {
    "builtins.dict": dict,
    "builtins.float": float,
    "builtins.int": int,
    "builtins.list": list,
    "builtins.set": set,
    "builtins.str": str,
    "builtins.tuple": tuple,
    "collections.OrderedDict": OrderedDict,
}


@CALLS.named("collections.defaultdict")
def _defaultdict(machine: Unpickler, factory: Any = None, value: Any = ()) -> Any:
    if factory is not None and not isinstance(factory, Inert):
        raise Malformed(
            f"a default factory must be callable, not {type(factory).__name__}",
            phase="rebuild",
        )
    if isinstance(factory, Global):
        factory = _FACTORIES.get(factory.name, factory)
    target = _mapping(machine, defaultdict(factory), value)
    if target is not NotImplemented:
        machine.chains.link(target, target.values())
    return target


@CALLS.named("collections.deque")
def _deque(machine: Unpickler, value: Any = (), maxlen: Any = None) -> Any:
    items = _items(machine, value)
    if items is None:
        return NotImplemented
    if maxlen is not None and (type(maxlen) is not int or not 0 <= maxlen < 1 << 63):
        raise Malformed("a deque's maxlen must be a size", phase="rebuild")
    made = deque(items, maxlen)
    machine.chains.link(made, made)
    return made


def _empty(name: str, make: Callable[[], Any]) -> None:
    @NEW.named(name)
    def new(machine: Unpickler, *_ignored: Any) -> Any:
        return make()


for _name, _make in (
    ("builtins.list", list),
    ("builtins.dict", dict),
    ("builtins.set", set),
    ("builtins.bytearray", bytearray),
    ("collections.OrderedDict", OrderedDict),
    ("collections.Counter", Counter),
    ("collections.defaultdict", defaultdict),
    ("collections.deque", deque),
):
    _empty(_name, _make)


# ------------------------------------------------------------ bytes and numbers


@CALLS.named("_codecs.encode")
def _encode(machine: Unpickler, value: Any, encoding: Any = "utf-8") -> Any:
    """How protocol 2 spells bytes: a str and `latin1`."""
    if type(value) is not str or type(encoding) is not str:
        raise Malformed("_codecs.encode needs two strings", phase="rebuild")
    machine.spend(len(value))
    name = text.encoding_name(encoding)
    if name is None or name == "bytes":
        raise Unsupported(f"the codec {quote(encoding)}", phase="rebuild")
    try:
        return value.encode(name)
    except UnicodeEncodeError:
        raise Malformed(f"text does not fit {name}", phase="rebuild") from None


def _octets(machine: Unpickler, values: Any) -> bytes | None:
    if type(values) not in _SEQUENCES:
        return None
    items = list(values)
    machine.spend(len(items))
    if not all(type(item) is int and 0 <= item < 256 for item in items):
        raise Malformed("bytes are made of ints below 256", phase="rebuild")
    return bytes(items)


@CALLS.named("builtins.bytes")
def _bytes(machine: Unpickler, value: Any = b"", encoding: Any = None) -> Any:
    if encoding is not None:
        return _encode(machine, value, encoding)
    if type(value) in (bytes, bytearray):
        machine.spend(len(value))
        return bytes(value)
    octets = _octets(machine, value)
    return NotImplemented if octets is None else octets


@CALLS.named("builtins.bytearray")
def _bytearray(machine: Unpickler, value: Any = b"", encoding: Any = None) -> Any:
    if type(value) is int and encoding is None:
        if value < 0:
            raise Malformed("a bytearray of negative size", phase="rebuild")
        if value > machine.end:
            raise LimitExceeded(
                f"a bytearray of more zeros than the pickle's {machine.end} bytes",
                phase="rebuild",
            )
        machine.spend(value)
        return bytearray(value)
    value = _bytes(machine, value, encoding)
    return NotImplemented if value is NotImplemented else bytearray(value)


_NUMBERS: Final = (int, float, bool)


@CALLS.named("builtins.complex")
def _complex(machine: Unpickler, real: Any = 0, imag: Any = 0) -> Any:
    if type(real) is complex and type(imag) is int and imag == 0:
        return real
    if type(real) not in _NUMBERS or type(imag) not in _NUMBERS:
        return NotImplemented
    try:
        return complex(real, imag)
    except OverflowError:
        raise Malformed("an integer too large for a complex", phase="rebuild") from None


@CALLS.named("builtins.int")
def _int(machine: Unpickler, value: Any = 0) -> Any:
    return int(value) if type(value) in (int, bool) else NotImplemented


@CALLS.named("builtins.float")
def _float(machine: Unpickler, value: Any = 0.0) -> Any:
    return value if type(value) is float else NotImplemented


@CALLS.named("builtins.bool")
def _bool(machine: Unpickler, value: Any = False) -> Any:
    return bool(value) if type(value) in (int, bool) else NotImplemented


@CALLS.named("builtins.str")
def _str(machine: Unpickler, value: Any = "") -> Any:
    return value if type(value) is str else NotImplemented


#: Bits of an int with which arithmetic is still no work to speak of.
_MODEST: Final = 4096


def _modest(value: Any) -> bool:
    """Whether it is an int, and small enough to reckon with."""
    return type(value) in (int, bool) and value.bit_length() <= _MODEST


@CALLS.named("builtins.slice")
def _slice(machine: Unpickler, start: Any, stop: Any, step: Any) -> Any:
    # A slice may hold anything, but only one of numbers is surely hashable.
    if not all(value is None or _modest(value) for value in (start, stop, step)):
        return NotImplemented
    return slice(start, stop, step)


@CALLS.named("builtins.range")
def _range(machine: Unpickler, start: Any, stop: Any = None, step: Any = 1) -> Any:
    if stop is None:
        start, stop = 0, start
    if not all(type(value) in (int, bool) for value in (start, stop, step)):
        raise Malformed("a range is made of ints", phase="rebuild")
    if not all(_modest(value) for value in (start, stop, step)):
        return NotImplemented
    if step == 0:
        raise Malformed("a range with step 0", phase="rebuild")
    return range(start, stop, step)


# --------------------------------------------------------------- dates and paths


def _made(make: Callable[..., Any], *args: Any) -> Any:
    """A value of the standard library; it checks its own arguments."""
    try:
        return make(*args)
    except (TypeError, ValueError, OverflowError):
        raise Malformed(
            f"{make.__name__} refuses its arguments", phase="rebuild"
        ) from None


_ZONES: Final = (type(None), datetime.timezone)


def _moment(make: Callable[..., Any], value: Any, rest: tuple[Any, ...]) -> Any:
    """A date or time from its bytes and time zone, or from its parts."""
    if type(value) is str:
        # Python 2 wrote the bytes as a str.
        try:
            value = value.encode("latin-1")
        except UnicodeEncodeError:
            raise Malformed("a date's bytes are no bytes", phase="rebuild") from None
    if type(value) not in (bytes, int):
        return NotImplemented
    if not all(type(part) is int or type(part) in _ZONES for part in rest):
        return NotImplemented  # a time zone that is an object of the file's own
    return _made(make, value, *rest)


@CALLS.named("datetime.datetime")
def _datetime(machine: Unpickler, value: Any, *rest: Any) -> Any:
    return _moment(datetime.datetime, value, rest)


@CALLS.named("datetime.date")
def _date(machine: Unpickler, value: Any, *rest: Any) -> Any:
    return _moment(datetime.date, value, rest)


@CALLS.named("datetime.time")
def _time(machine: Unpickler, value: Any, *rest: Any) -> Any:
    return _moment(datetime.time, value, rest)


@CALLS.named("datetime.timedelta")
def _timedelta(machine: Unpickler, *parts: Any) -> Any:
    if not all(type(part) is float or _modest(part) for part in parts):
        raise Malformed("a timedelta is made of small numbers", phase="rebuild")
    return _made(datetime.timedelta, *parts)


@CALLS.named("datetime.timezone")
def _timezone(machine: Unpickler, *parts: Any) -> Any:
    return _made(datetime.timezone, *parts)


def _path(kind: type[pathlib.PurePath], name: str) -> None:
    def make(machine: Unpickler, *parts: Any) -> Any:
        if not all(type(part) is str for part in parts):
            raise Malformed("a path is made of strings", phase="rebuild")
        machine.spend(len(parts) + sum(map(len, parts)))
        return kind(*parts)

    # Python 3.13 pickles them under a module of their own.
    CALLS.named(f"pathlib.{name}", f"pathlib._local.{name}")(make)


_POSIX: Final = os.name == "posix"

for _kind, _name in (
    (pathlib.PurePosixPath, "PurePosixPath"),
    (pathlib.PureWindowsPath, "PureWindowsPath"),
    # A path of another system exists here only in its pure form.
    (pathlib.PosixPath if _POSIX else pathlib.PurePosixPath, "PosixPath"),
    (pathlib.PureWindowsPath if _POSIX else pathlib.WindowsPath, "WindowsPath"),
):
    _path(_kind, _name)


# ------------------------------------------------------- classes, copyreg, BUILD


@CALLS.named("builtins.object")
def _object(machine: Unpickler, *args: Any) -> Any:
    if args:
        raise Malformed("object() takes no arguments", phase="rebuild")
    return NotImplemented  # nothing but itself


@CALLS.named("builtins.getattr")
def _getattr(machine: Unpickler, *args: Any) -> Any:
    """How protocols below 4 name a class inside a class: still only a name."""
    if not 2 <= len(args) <= 3 or type(args[1]) is not str:
        raise Malformed("getattr takes a value and a name", phase="rebuild")
    if len(args) == 3 or type(args[0]) is not Global:
        return NotImplemented
    outer, name = args
    size = len(outer.name) + len(name)
    if size >= machine.limits.name_length or not name.isidentifier():
        return NotImplemented
    machine.spend(size)
    return outer.attribute(name)


def _class(cls: Any) -> Any:
    """What copyreg makes an instance of: a class, and none of these functions,
    or they would call each other as often as the file likes."""
    if isinstance(cls, Global) and cls.name.startswith("copyreg."):
        raise Malformed(f"{quote(cls.name)} is no class", phase="rebuild")
    return cls


@CALLS.named("copyreg._reconstructor")
def _reconstructor(machine: Unpickler, cls: Any, base: Any, state: Any) -> Any:
    """Protocols 0 and 1: an instance of `cls`, and what its base type holds."""
    cls = _class(cls)
    if not isinstance(cls, Inert) or not isinstance(base, Inert):
        raise Malformed("_reconstructor needs two classes", phase="rebuild")
    if base.name == "builtins.object":
        return machine.new(cls, ())
    return machine.call(cls, (state,))


@CALLS.named("copyreg.__newobj__")
def _newobj(machine: Unpickler, cls: Any, *args: Any) -> Any:
    return machine.new(_class(cls), args)


@CALLS.named("copyreg.__newobj_ex__")
def _newobj_ex(machine: Unpickler, cls: Any, args: Any, kwargs: Any) -> Any:
    if type(kwargs) is not dict:
        raise Malformed("__newobj_ex__ needs a dict", phase="rebuild")
    cls = _class(cls)
    return machine.call(cls, args, kwargs) if kwargs else machine.new(cls, args)


def set_state(machine: Unpickler, target: Any, state: Any) -> None:
    """BUILD of an OrderedDict or Counter: attributes such as `_metadata`."""
    if type(target) not in (OrderedDict, Counter):
        raise Malformed(f"BUILD of a {type(target).__name__}", phase="pickle")
    attributes = machine.attributes(state)
    # Where there is a place for slots, C pickle wants a dict in it.
    if type(state) is tuple and state[1:] == (None,):
        attributes = None
    if attributes is None:
        raise Malformed(
            f"the state of an OrderedDict is a dict, not {type(state).__name__}",
            phase="rebuild",
        )
    target.__dict__.update(attributes)

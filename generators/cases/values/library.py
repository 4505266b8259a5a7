"""Types of the standard library."""

from __future__ import annotations

import array
import datetime
import decimal
import fractions
import io
import ipaddress
import operator
import pathlib
import random
import re
import string
import time
import types
import typing
import uuid
from collections import ChainMap, UserDict, UserList, UserString, defaultdict, deque
from typing import Any, Final

import torch

from ...handmade import archive, call
from .. import things
from ..registry import PROTOCOL_4, ZIP, saved, written

HERE: Final = things.__name__

REFUSED: Final = ("weights-only-refuses",)


# ------------------------------------------------------------------- collections


@saved("collections.defaultdict", formats=(ZIP, PROTOCOL_4), flags=REFUSED)
def default_dict() -> object:
    """A defaultdict of lists, with two entries."""
    return defaultdict(list, {"loss": [0.5], "step": [1, 2]})


@saved("collections.defaultdict", flags=REFUSED)
def default_dict_without_factory() -> object:
    """A defaultdict without a default."""
    return defaultdict(None, {"a": 1})


@saved("collections.defaultdict", flags=REFUSED)
def default_dict_of_function() -> object:
    """A defaultdict whose default a function of some module makes."""
    return defaultdict(things.nothing, a=1)


@saved("collections.defaultdict", flags=(*REFUSED, "cycle"))
def default_dict_in_itself() -> object:
    """A defaultdict that contains itself."""
    tree: defaultdict[str, Any] = defaultdict(dict)
    tree["self"] = tree
    return tree


@saved("collections.ChainMap", flags=REFUSED)
def chain_map() -> object:
    """A ChainMap of two dicts."""
    return ChainMap({"a": 1}, {"a": 2, "b": 3})


@saved("collections.UserDict", flags=REFUSED)
def user_dict() -> object:
    """A UserDict: an object with a dict inside."""
    return UserDict(a=torch.arange(2.0))


@saved("collections.UserList", flags=REFUSED)
def user_list() -> object:
    """A UserList: an object with a list inside."""
    return UserList([torch.arange(2.0)])


@saved("collections.UserString", flags=REFUSED)
def user_string() -> object:
    """A UserString: an object with a str inside."""
    return UserString("text")


DEQUES: dict[str, tuple[list[Any], int | None, str]] = {
    "plain": ([1, 2, 3], None, "three items and no limit"),
    "limited": ([1, 2], 4, "two items, and at most four"),
    "full": ([1, 2], 2, "two items, and at most two"),
    "empty": ([], None, "nothing"),
    "closed": ([], 0, "nothing, ever"),
}


@saved("collections.deque", each=DEQUES, flags=REFUSED)
def deque_of(items: list[Any], limit: int | None, what: str) -> object:
    """A deque of {what}."""
    return deque(items, limit)


@saved("collections.deque", flags=(*REFUSED, "cycle"))
def deque_in_itself() -> object:
    """A deque that contains itself."""
    tree: deque[Any] = deque()
    tree.append(tree)
    return tree


@saved("collections.deque", formats=(PROTOCOL_4,), flags=REFUSED)
def deque_of_tensors() -> object:
    """A deque of two tensors."""
    return deque([torch.arange(2.0), torch.arange(1.0)])


@saved("array.array", flags=REFUSED)
def array_of_python() -> object:
    """An `array.array` of float64: protocol 2 calls it with a list."""
    return array.array("d", [0.5, -1.0])


@saved("array._array_reconstructor", formats=(PROTOCOL_4,), flags=REFUSED)
def array_of_python_as_bytes() -> object:
    """An `array.array` of int16: protocols above 2 keep its bytes."""
    return array.array("h", [1, -2])


# ------------------------------------------------------------- namespaces and the like


@saved("types.SimpleNamespace", formats=(ZIP, PROTOCOL_4), flags=REFUSED)
def namespace() -> object:
    """A SimpleNamespace of settings."""
    return types.SimpleNamespace(rate=0.5, layers=[1, 2])


@saved("types.SimpleNamespace", flags=(*REFUSED, "cycle"))
def namespace_in_itself() -> object:
    """A SimpleNamespace that is an attribute of itself."""
    tree = types.SimpleNamespace()
    tree.self = tree
    return tree


@saved("builtins.iter", flags=REFUSED)
def iterator_of_list() -> object:
    """The iterator of a list that was stepped once: the state is where it is."""
    iterator = iter([1, 2, 3])
    next(iterator)
    return iterator


@saved("builtins.enumerate", flags=REFUSED)
def enumerated() -> object:
    """An `enumerate` of a list."""
    return enumerate(["a", "b"], 5)


@saved("builtins.reversed", flags=REFUSED)
def reversed_list() -> object:
    """A `reversed` of a list: the state is where it is."""
    return reversed([1, 2])


@saved("builtins.zip", flags=REFUSED)
def zipped() -> object:
    """A `zip` of two iterators."""
    return zip([1, 2], ["a", "b"], strict=False)


@saved("builtins.map", flags=REFUSED)
def mapped() -> object:
    """A `map` of a function over a list."""
    return map(things.double, [1, 2])


# ---------------------------------------------------------- callables and types


GETTERS: dict[str, tuple[Any, str]] = {
    "itemgetter": (operator.itemgetter("loss", 0), "two keys"),
    "attrgetter": (operator.attrgetter("a.b"), "an attribute of an attribute"),
}


@saved("operator.{key}", each=GETTERS, flags=REFUSED)
def operator_of(value: object, what: str) -> object:
    """An `operator.{key}` of {what}."""
    return value


@saved("types.GenericAlias", flags=REFUSED)
def alias_of_types() -> object:
    """The type `list[int]`, which is no class."""
    return list[int]


@saved("_operator.getitem", flags=REFUSED)
def optional_type() -> object:
    """The type `Optional[int]`: pickle asks `typing.Optional` for it."""
    return typing.Optional[int]  # noqa: UP045


# ------------------------------------------------------------------------- dates

UTC: Final = datetime.timezone.utc
EAST: Final = datetime.timezone(datetime.timedelta(hours=5, minutes=45))
MOMENT: Final = datetime.datetime(2020, 2, 29, 23, 59, 58, 999_999, UTC)

DATES: dict[str, tuple[Any, str]] = {
    "date": (MOMENT.date(), "a leap day"),
    "time": (MOMENT.time(), "a time of day"),
    "datetime": (MOMENT.replace(tzinfo=None), "a date and a time without a zone"),
    "timedelta": (
        datetime.timedelta(days=-1, seconds=1, microseconds=2),
        "a negative duration",
    ),
    "timezone": (UTC, "UTC"),
}


@saved("datetime.{key}", each=DATES, formats=(ZIP, PROTOCOL_4), flags=REFUSED)
def date_as(value: object, what: str) -> object:
    """A `datetime.{key}`: {what}."""
    return value


ZONES: dict[str, tuple[Any, str]] = {
    "utc": (MOMENT, "UTC"),
    "east": (MOMENT.replace(tzinfo=EAST), "a zone of 5:45 hours east"),
    "named": (
        MOMENT.replace(tzinfo=datetime.timezone(datetime.timedelta(0), "Z")),
        "a zone with a name",
    ),
    "seconds": (
        MOMENT.replace(
            tzinfo=datetime.timezone(datetime.timedelta(seconds=-1, microseconds=1))
        ),
        "a zone off by less than a second",
    ),
    "own": (MOMENT.replace(tzinfo=things.Zone()), "a zone of a class of its own"),
}


@saved("datetime.datetime", each=ZONES, flags=REFUSED)
def date_in_zone(value: object, zone: str) -> object:
    """A date and a time in {zone}."""
    return value


@saved("datetime.datetime", formats=(ZIP, PROTOCOL_4), flags=REFUSED)
def date_folded() -> object:
    """The second of two equal times in autumn: protocol 2 loses which it is."""
    return datetime.datetime(2020, 10, 25, 2, 30, fold=1)  # noqa: DTZ001


@saved("datetime.datetime", flags=REFUSED)
def dates_at_the_edges() -> object:
    """The first and the last date that Python knows."""
    return [datetime.datetime.min, datetime.datetime.max]  # noqa: DTZ901


@saved("time.struct_time", flags=REFUSED)
def struct_time() -> object:
    """A `time.struct_time`."""
    return time.gmtime(0)


# ------------------------------------------------------- the standard library


LIBRARY: dict[str, tuple[Any, str, str]] = {
    "decimal": (
        lambda: decimal.Decimal("-0.10"),
        "decimal.Decimal",
        "a decimal with a zero at its end",
    ),
    "decimal_nan": (lambda: decimal.Decimal("sNaN7"), "decimal.Decimal", "a NaN"),
    "fraction": (lambda: fractions.Fraction(-1, 3), "fractions.Fraction", "a third"),
    "uuid": (lambda: uuid.UUID(int=7), "uuid.UUID", "a UUID"),
    "ip_address": (
        lambda: ipaddress.ip_address("10.0.0.1"),
        "ipaddress.IPv4Address",
        "an address",
    ),
    "regular_expression": (
        lambda: re.compile(r"layer\.\d+", re.IGNORECASE),
        "re._compile",
        "a regular expression",
    ),
    "template": (lambda: string.Template("$a"), "string.Template", "a template"),
    "bytes_io": (lambda: io.BytesIO(b"abc"), "_io.BytesIO", "a file in memory"),
    "string_io": (lambda: io.StringIO("a\nb"), "_io.StringIO", "a text in memory"),
    "random": (
        lambda: random.Random(7),  # noqa: S311
        "random.Random",
        "a random number generator",
    ),
}


@saved("{path}", each=LIBRARY, flags=REFUSED)
def library(make: Any, path: str, what: str) -> object:
    """From the standard library: {what}, `{path}`."""
    return make()


@saved("opcode:TUPLE3", flags=("many",))
def random_state() -> object:
    """The state of Python's random numbers: a tuple of 625 integers."""
    return random.Random(7).getstate()  # noqa: S311


PATHS: dict[str, tuple[Any, str]] = {
    "PurePosixPath": (pathlib.PurePosixPath("runs/1/a b.pt"), "a path of Unix"),
    "PureWindowsPath": (pathlib.PureWindowsPath("C:\\runs\\a.pt"), "one of Windows"),
}


@saved("pathlib.{key}", each=PATHS, flags=REFUSED)
def path_as(value: object, what: str) -> object:
    """A `pathlib.{key}`: {what}, by its parts."""
    return value


@written("pathlib.PosixPath", label="built", flags=REFUSED)
def path_posix() -> bytes:
    """A path of the system that wrote the file, with a name outside ASCII."""
    return archive(call("pathlib.PosixPath", "/", "données", "x.pt"))


@written(
    "pathlib._local.PosixPath",
    label="built",
    verdict="either",
    reason="torch finds this module only where it runs on Python 3.13 or newer",
    flags=REFUSED,
)
def path_of_python_313() -> bytes:
    """A path under the name that Python 3.13 gives to its class."""
    return archive(call("pathlib._local.PosixPath", "runs", "x.pt"))


ERRORS: dict[str, tuple[Any, str, str]] = {
    "value": (ValueError("no", 7), "builtins.ValueError", "with two arguments"),
    "key": (KeyError("weight"), "builtins.KeyError", "that names a key"),
    "os": (
        OSError(2, "No such file", "a.pt"),
        "builtins.OSError",
        "that names a file",
    ),
    "stop": (StopIteration(), "builtins.StopIteration", "without arguments"),
    "own": (things.Failure("no", 7), f"{HERE}.Failure", "with an attribute"),
}


@saved("{path}", each=ERRORS, flags=REFUSED)
def error(value: object, path: str, what: str) -> object:
    """An exception {what}, as runs keep the one that ended them."""
    return value

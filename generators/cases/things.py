"""Classes and functions of which the cases pickle instances, or the names.

Each pickles in a way of its own. Their names stand in the files: they stay.
"""

from __future__ import annotations

import datetime
import enum
from collections import OrderedDict, UserDict, UserList, namedtuple
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

import torch

# -------------------------------------------------------- attributes and slots


class Plain:
    """Attributes in a dict, as most objects have them."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Slots:
    """Slots and no dict."""

    __slots__ = ("left", "right")

    def __init__(self, left: Any) -> None:
        self.left = left


class SlotsAndDict(Slots):
    """Slots, one of them private, and a dict."""

    __slots__ = ("__dict__", "__hidden")

    def __init__(self, left: Any, **attributes: Any) -> None:
        super().__init__(left)
        self.__hidden = "private"
        vars(self).update(attributes)


class State:
    """Says itself what its state is."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def __getstate__(self) -> Any:
        return self.state

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Outer:
    """Has a class and functions inside."""

    class Inner(Plain):
        """Pickled by a name with a dot in it."""

        class Innermost(Plain):
            """By one with two dots."""

    @classmethod
    def make(cls) -> Outer:
        return cls()

    @staticmethod
    def add(a: int, b: int) -> int:
        return a + b

    def method(self) -> None:
        """Pickled together with the object to which it is bound."""


Item = TypeVar("Item")


class Box(Generic[Item]):
    """A class with a type variable."""

    def __init__(self, item: Item) -> None:
        self.item = item


# ------------------------------------------------- how it says what it is made of


class ByCall:
    """Made again by a call of its class."""

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __reduce__(self) -> Any:
        return type(self), self.args


class ByCallAndState(ByCall):
    """Made by a call, then given a state."""

    def __reduce__(self) -> Any:
        return type(self), self.args, {"built": True}


class ByName:
    """Reduced to the name under which a module has it."""

    def __reduce__(self) -> str:
        return "BY_NAME"


BY_NAME: Final = ByName()


class Parts:
    """Made of items: of a list, of a dict, or of both."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.pairs: dict[Any, Any] = {}

    def append(self, item: Any) -> None:
        self.items.append(item)

    def extend(self, items: Any) -> None:
        self.items.extend(items)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.pairs[key] = value

    def __reduce__(self) -> Any:
        return type(self), (), None, iter(self.items), iter(self.pairs.items())


def set_twice(target: BySetter, state: Any) -> None:
    """Gives a state to what has no say in it."""
    target.value = [state, state]


class BySetter:
    """Its state is given to it by a function."""

    value: Any = None

    def __reduce__(self) -> Any:
        return type(self), (), "state", None, None, set_twice


class NewArguments:
    """Its `__new__` wants arguments."""

    def __new__(cls, *_args: Any) -> NewArguments:  # noqa: PYI034 (Self is 3.11)
        return super().__new__(cls)

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.args


class NewKeywords:
    """Its `__new__` wants an argument by its name."""

    def __new__(cls, *, size: int) -> NewKeywords:  # noqa: PYI034
        made = super().__new__(cls)
        made.size = size
        return made

    size: int

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, int]]:
        return (), {"size": self.size}


# ---------------------------------------------------------- subclasses of builtins


class List(list[Any]):
    """A list with attributes."""


class Dict(dict[Any, Any]):
    """A dict with attributes."""


class Ordered(OrderedDict[Any, Any]):
    """An OrderedDict of another class."""


class Tuple(tuple[Any, ...]):  # noqa: SLOT001
    """A tuple with attributes."""


class Set(set[Any]):
    """A set with attributes."""


class Int(int):
    """An int with attributes."""


class Float(float):
    """A float with attributes."""


class Str(str):  # noqa: SLOT000
    """A str with attributes."""


class Bytes(bytes):
    """Bytes with attributes."""


class Bytearray(bytearray):
    """A bytearray with attributes."""


class Wrapped(UserDict[str, Any]):
    """A mapping around a dict."""


class WrappedList(UserList[Any]):
    """A sequence around a list."""


class Failure(ValueError):
    """An exception with an attribute."""

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message, step)
        self.step = step


class Zone(datetime.tzinfo):
    """A time zone of its own."""

    def utcoffset(self, _: Any) -> datetime.timedelta:
        return datetime.timedelta(hours=1)

    dst = utcoffset

    def tzname(self, _: Any) -> str:
        return "its own"


# ------------------------------------------------------------------------ records

Pair = namedtuple("Pair", "left right")  # noqa: PYI024


class Point(NamedTuple):
    """A tuple whose members have names, and one a default."""

    x: Any
    y: Any = 0


class Color(enum.Enum):
    RED = 1
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mode(enum.Flag):
    READ = 1
    WRITE = 2


class Word(str, enum.Enum):
    ADAM = "adam"


@dataclass
class Config:
    """Settings, one of them with a default, one made by a factory."""

    rate: float
    layers: list[int] = field(default_factory=list)
    name: str = "net"


@dataclass(frozen=True)
class Frozen:
    """Settings that do not change."""

    rate: float


class FrozenSlots:
    """What `dataclass(frozen=True, slots=True)` makes: its state is a list."""

    __slots__ = ("name", "rate")

    def __init__(self, rate: float, name: str) -> None:
        self.rate = rate
        self.name = name

    def __getstate__(self) -> list[Any]:
        return [self.rate, self.name]

    def __setstate__(self, state: list[Any]) -> None:
        self.rate, self.name = state


# ------------------------------------------------------------ functions and modules


def double(value: Any) -> Any:
    """A function of a module: a hook, or a factor of a scheduler."""
    return 2 * value


def nothing() -> Any:
    """A function without arguments: the default of a dict."""


def before(_module: Any, _args: Any) -> None:
    """A hook that runs before forward."""


def after(_module: Any, _args: Any, _output: Any) -> None:
    """A hook that runs after forward."""


class Net(torch.nn.Module):
    """A module as people write them: children, a buffer, plain attributes."""

    mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(2, 3)
        self.second = torch.nn.Linear(3, 1, bias=False)
        self.register_buffer("mean", torch.arange(2.0))
        self.register_buffer("cache", torch.zeros(1), persistent=False)
        self.settings = {"rate": 0.5, "layers": [2, 3, 1]}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.second(self.first(x - self.mean))
        return result


class Extra(torch.nn.Module):
    """A module with a state beside its tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))

    def get_extra_state(self) -> Any:
        return {"steps": 7, "scale": torch.tensor(0.5)}

    def set_extra_state(self, state: Any) -> None:
        pass


class Unlisted(torch.nn.Module):
    """A module whose children are in a list and a dict, where torch sees none."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [torch.nn.Linear(1, 1)]
        self.table = {"head": torch.nn.Linear(1, 2)}


class Tied(torch.nn.Module):
    """Two names for one weight, as in language models."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(3, 2)
        self.head = torch.nn.Linear(2, 3, bias=False)
        self.head.weight = self.embedding.weight


class Double(torch.nn.Module):
    """What a parametrization does to a tensor."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


#: A module class that was made by a call, so that there is no source of it.
Made = type("Made", (torch.nn.Module,), {"__module__": __name__})

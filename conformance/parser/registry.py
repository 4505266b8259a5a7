"""How the parser knows a function by the name that a file gives it.

A *rebuild table* maps full dotted names to functions of ours. Nothing else is
ever called: a name that is in no table becomes an inert `Object`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .errors import Malformed

if TYPE_CHECKING:
    from .unpickler import Unpickler

Function = TypeVar("Function", bound=Callable[..., Any])


class Call(NamedTuple):
    """A function of ours and how many arguments a file may give it."""

    function: Callable[..., Any]
    least: int
    most: int

    def __call__(self, name: str, machine: Unpickler, args: Sequence[Any]) -> Any:
        """Calls it; `NotImplemented` means: not with these, keep an `Object`."""
        if not self.least <= len(args) <= self.most:
            raise Malformed(
                f"{name} takes {_count(self.least, self.most)}, not {len(args)}",
                phase="rebuild",
            )
        return self.function(machine, *args)


#: More arguments than any file has; for functions of ours that take `*args`.
ANY = 1 << 62


def _count(least: int, most: int) -> str:
    if least != most < ANY:
        return (
            f"at least {least} arguments"
            if most == ANY
            else f"{least} to {most} arguments"
        )
    number = f"{least} argument{'' if least == 1 else 's'}"
    return number if least == most else f"at least {number}"


class Table(dict[str, Call]):
    """Names to calls, filled by decorating functions."""

    def named(self, *names: str) -> Callable[[Function], Function]:
        """Registers a function `(machine, *args)` under torch's own names."""

        def register(function: Function) -> Function:
            code = function.__code__
            most = code.co_argcount - 1
            least = most - len(function.__defaults__ or ())
            if code.co_flags & inspect.CO_VARARGS:
                most = ANY
            for name in names:
                self[name] = Call(function, least, most)
            return function

        return register

"""While the parser reads, nothing is imported, opened, started or connected.

CPython tells an audit hook of every such deed before it is done. A hook cannot be
removed, so there is one, which looks away unless the guard is up.
"""

from __future__ import annotations

import os
import sys
from threading import get_ident
from types import FrameType
from typing import Any, Final

from ..target import Violation

#: What changes nothing, among all that Python tells its hooks of: `id()`, and a
#: look at the code of a frame, which those who count lines need.
HARMLESS: Final = frozenset({"builtins.id", "object.__getattr__"})

#: What it may do to files that it was given.
_READING: Final = frozenset({"open", "os.listdir", "os.scandir"})

#: Part of the name of every file of the parser.
PARSER: Final = f"{os.sep}conformance{os.sep}parser{os.sep}"


class Guard:
    """Refuses every deed between `up` and `down`, and says which it was.

    A deed is refused by an exception. Whoever swallows that has still tried:
    `down` raises it again.
    """

    __slots__ = ("_below", "_caught", "_installed", "_thread")

    def __init__(self) -> None:
        self._installed = False
        #: The thread under guard; 0 if the guard is down.
        self._thread = 0
        #: The one path that may be read, and what is below it.
        self._below = ""
        self._caught: Violation | None = None

    def up(self, below: str = "") -> None:
        """From now on nothing may happen but reading `below`, a file or folder."""
        if not self._installed:
            sys.addaudithook(self._heard)
            self._installed = True
        self._caught = None
        self._below = below
        self._thread = get_ident()

    def down(self) -> None:
        """The end of it; raises the `Violation` that was tried meanwhile."""
        self.off()
        if self._caught is not None:
            raise self._caught

    def off(self) -> None:
        """The end of it, whatever was tried."""
        self._thread = 0

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._thread or event in HARMLESS or get_ident() != self._thread:
            return
        if self._below and self._may(event, args):
            return
        thread, self._thread = self._thread, 0
        self._caught = Violation(
            "side effect",
            f"{event} {args!r:.200} while parsing",
            f"{event} in {where(sys._getframe())}",
        )
        self._thread = thread
        raise self._caught

    def _may(self, event: str, args: tuple[Any, ...]) -> bool:
        """Whether this only reads what the parser was given."""
        if event == "mmap.__new__":
            return True
        if event not in _READING or not isinstance(args[0], (str, bytes)):
            return False
        if event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return False
        path = os.fsdecode(args[0])
        inside = f"{path}{os.sep}".startswith(f"{self._below}{os.sep}")
        return inside and ".." not in path.split(os.sep)


def where(frame: FrameType | None) -> str:
    """The innermost function of the parser: `execute.py:_global`."""
    while frame is not None and PARSER not in frame.f_code.co_filename:
        frame = frame.f_back
    if frame is None:
        return "none of the parser"
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_code.co_name}"


#: The one guard: hooks add up, and each costs something for ever.
GUARD: Final = Guard()

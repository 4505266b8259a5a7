"""One way to read bytes with the parser, and the answer: a tree, or an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from zlib import crc32

from conformance.compare import compare
from conformance.description import from_json, to_json
from conformance.loaders import ours
from conformance.parser import CheckpointError, Limits

from ..target import Violation
from .guard import GUARD
from .trees import Found, found


class Mode(NamedTuple):
    """How the caller of `load` wants it."""

    weights_only: bool
    encoding: str = "utf-8"


#: Every mode that differs in what the machine does. `weights_only=False` goes
#: farther; the encodings only matter to strings of Python 2.
FULL: Final = Mode(weights_only=False)
WEIGHTS: Final = Mode(weights_only=True)
MODES: Final = (
    FULL,
    WEIGHTS,
    Mode(weights_only=False, encoding="latin1"),
    Mode(weights_only=True, encoding="bytes"),
    Mode(weights_only=False, encoding="ascii"),
)

#: How often each is taken, out of eight.
_TURNS: Final = (*MODES, FULL, FULL, WEIGHTS)


def mode_of(data: bytes) -> Mode:
    """The mode for an input that is read in one only: as good as by chance."""
    return _TURNS[crc32(data) >> 8 & 7]


#: Small, so that a small file reaches them, and what lies behind them. What they
#: grant beside the file's size is less than a small file costs anyway.
TIGHT: Final = Limits(
    copies_ratio=4,
    copies_base=1 << 12,
    inflate_ratio=64,
    inflate_pickle_ratio=4,
    inflate_base=1 << 12,
    chained=100,
)

#: `read(data, mode)`: a tree, or a `CheckpointError`.
Read = Callable[[bytes, Mode], Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What can be compared: the description as JSON with the bytes' digests, or
    the class, message, phase, offset and path of the error.
    """

    tree: bytes | None = None
    error: tuple[Any, ...] | None = None

    def means(self, other: Answer) -> bool:
        """Whether two trees differ in the order of a set alone, which is by address
        where objects are in it.
        """
        if self.tree is None or other.tree is None:
            return False
        return compare(from_json(self.tree), from_json(other.tree)).equal

    def __str__(self) -> str:
        if self.error is not None:
            return " ".join(map(str, self.error))
        return (self.tree or b"")[:300].decode("utf-8", "replace")


def answer(
    read: Callable[[], Any], prepare: Callable[[Found], None] | None = None
) -> Answer:
    """What `read` gives; `prepare` may touch the tree before it is described.

    Raises a `Violation` if a tree that was read cannot be described: whatever is
    wrong with a file must be said when it is read.
    """
    try:
        tree = read()
    except CheckpointError as error:
        return Answer(
            error=(error.kind, error.message, error.phase, error.offset, error.path)
        )
    try:
        if prepare is not None:
            GUARD.up()
            try:
                prepare(found(tree))
            finally:
                GUARD.down()
        return Answer(tree=to_json(ours.describe(tree)))
    except CheckpointError as error:
        raise Violation("fails later", str(error), type(error).__name__) from error

"""How deep deques and their like may lie directly inside each other.

CPython frees lists, tuples, dicts and instances of classes without recursion,
however deep they are. Not so deques, defaultdicts and numpy's arrays of
objects: a chain of some thousands overflows the C stack when it is freed, long
after it was read.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from .errors import LimitExceeded


class Chains:
    """Counts the links of which chains of three and more are made.

    Of two links next to each other the second one counts, in whatever order
    they come. A chain is thus at most twice as long as the limit, while one
    deque may hold any number of others.
    """

    __slots__ = ("held", "holders", "left")

    def __init__(self, limit: int) -> None:
        self.left = limit
        # By id; holding the objects keeps their ids from being given away.
        self.held: dict[int, Any] = {}
        self.holders: dict[int, Any] = {}

    def link(self, holder: Any, values: Iterable[Any]) -> None:
        """`holder` is about to hold `values`, or has just been made of them."""
        for value in values:
            if not _chained(value):
                continue
            if id(holder) in self.held or id(value) in self.holders:
                self.left -= 1
                if self.left < 0:
                    raise LimitExceeded(
                        f"a {type(holder).__name__} too deep in others "
                        "(Limits.chained)",
                        phase="pickle",
                    )
            self.holders[id(holder)] = holder
            self.held[id(value)] = value


def _chained(value: Any) -> bool:
    kind = type(value)
    if kind is np.ndarray:
        return bool(value.dtype.hasobject)
    return kind is deque or kind is defaultdict

"""Keys: which may be hashed, and how a place in the tree is written with them."""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any

from .errors import LimitExceeded, quote
from .limits import Limits
from .values import Object


def _shown(key: Any) -> str:
    """A key as Python would spell it, short and on one line."""
    if isinstance(key, str):
        return quote(key)
    if isinstance(key, (int, float, bytes)) or key is None:
        return repr(key)[:40] if not isinstance(key, int) or key < 1 << 200 else "..."
    return f"<{type(key).__name__}>"


def hash_cost(key: Any, limits: Limits) -> int:
    """How many nodes hashing `key` visits; raises `LimitExceeded` early."""
    count = 0
    waiting: list[tuple[Any, int]] = [(key, 0)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > limits.key_nodes or depth > limits.key_depth:
            raise LimitExceeded(
                "a key is too large or too deep to hash (Limits.key_nodes, key_depth)",
                phase="pickle",
            )
        if isinstance(value, tuple):
            if len(value) > limits.key_nodes:
                count = limits.key_nodes
            else:
                waiting.extend((item, depth + 1) for item in value)
        elif isinstance(value, int):
            count += value.bit_length() // 1024
    return count


def tree_path(stacks: list[list[Any]]) -> str:
    """Where in the tree a machine with these stacks is: `['model']['w']`.

    `stacks` are those that marks have put aside and the present one: what is
    being filled lies on top of one, the keys and values for it in the next.
    """
    steps: list[str] = []
    for outer, inner in itertools.pairwise(stacks):
        target = outer[-1] if outer else None
        if isinstance(target, (dict, Object)):
            # Keys and values take turns; the last key's value is being made.
            if inner:
                steps.append(f"[{_shown(inner[::2][-1])}]")
        elif isinstance(target, (list, deque)):
            steps.append(f"[{len(target) + max(len(inner) - 1, 0)}]")
    return "".join(steps[:20]) + ("..." if len(steps) > 20 else "")

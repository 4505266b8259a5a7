"""Keys: which may be hashed, and how a place in the tree is written with them."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from itertools import islice, pairwise
from pathlib import PurePath
from typing import Any, Final

import numpy as np

from .errors import LimitExceeded, Malformed, quote
from .limits import Limits
from .values import Global, Object

# --------------------------------------------------------------- what is below them


def items_of(mapping: dict[Any, Any]) -> list[tuple[Any, Any]]:
    """The keys and values of a dict from the file, as `dict(mapping)` takes them.

    Raises `Malformed` where an attribute from the file stands in for `keys`, which
    Python would call; of other dicts than this one it takes what they hold.
    """
    if type(mapping) is OrderedDict and "keys" in vars(mapping):
        raise Malformed("a dict whose keys an attribute hides", phase="rebuild")
    return list(type(mapping).items(mapping))


# ------------------------------------------------------------- what may be hashed


#: Strings up to this length are keys that nobody needs to count.
SHORT: Final = 255


def hash_cost(key: Any, limits: Limits) -> int:
    """How many nodes hashing `key` visits; raises `LimitExceeded` early.

    A key that is equal to one in the container is compared with it as well,
    which visits the same nodes.
    """
    count = 1
    waiting: list[tuple[Any, int]] = [(key, 0)]
    while waiting:
        value, depth = waiting.pop()
        nested = isinstance(value, (tuple, frozenset))
        count += len(value) if nested else _size(value) // 64
        if count > limits.key_nodes or depth > limits.key_depth:
            raise LimitExceeded(
                "a key is too large or too deep to hash (Limits.key_nodes, key_depth)",
                phase="pickle",
            )
        if nested:
            waiting.extend((item, depth + 1) for item in value)
    return count


def _size(value: Any) -> int:
    """The bytes that hashing a value reads, or comparing it with an equal one."""
    if isinstance(value, int):
        return value.bit_length() // 8
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, Global):
        return len(value.name)
    if isinstance(value, np.generic):
        return value.nbytes
    if isinstance(value, PurePath):
        return len(str(value))
    return 0


# ------------------------------------------------------------ places in the tree

#: Stands on the stack for a value that could not be read.
PENDING: Final = object()

#: Steps of a path that are shown, marks that are looked at for them, and values
#: between two marks.
_STEPS: Final = 20
_LEVELS: Final = 100
_REACH: Final = 8


def tree_path(stacks: Iterable[list[Any]]) -> str:
    """Where in the tree a machine with these stacks is: `['model']['w']`.

    `stacks` are those that marks have put aside and the present one: what is
    being filled lies on top of one, the keys and values for it in the next. A
    container that lies below something else is about to get that as its only
    item. The stack does not tell an empty dict that is finished from one that
    waits for its only item: among the values of a dict it counts as finished.
    """
    steps: list[str] = []
    target: Any = None
    for level, stack in enumerate(islice(stacks, _LEVELS)):
        at = max(_last_item(stack), 0) if level else 0
        if isinstance(target, (list, deque)):
            steps.append(f"[{len(target) + at}]")
        elif isinstance(target, (dict, Object)) and stack:
            at = _last_key(stack)
            if stack[at] is PENDING or _is_callee(stack, at):
                break
            steps.append(f"[{_shown(stack[at])}]")
            at += 1
        for below, value in pairwise(stack[at : at + 3 * _STEPS]):
            if isinstance(below, (list, deque)):
                steps.append(f"[{len(below)}]")
            elif isinstance(below, (dict, Object)) and isinstance(value, _WRITTEN):
                steps.append(f"[{_shown(value)}]")
        if len(steps) > _STEPS:
            return "".join(steps[:_STEPS]) + "..."
        target = stack[-1] if stack else None
    return "".join(steps)


#: Types of the keys that a pickle writes out before the value.
_WRITTEN: Final = (str, bytes, int, float, tuple, type(None))


def _last_key(stack: list[Any]) -> int:
    """Keys and values take turns; the last value may be in the making.

    A name in place of a value is then what will be called for it; names that
    are values themselves are rare enough to be mistaken for that.
    """
    for index in range(max(len(stack) - _REACH, 0) | 1, len(stack), 2):
        if isinstance(stack[index], Global):
            return index - 1
    return (len(stack) - 1) // 2 * 2


def _is_callee(stack: list[Any], at: int) -> bool:
    """Whether the key itself is in the making."""
    return at == len(stack) - 1 and isinstance(stack[at], Global)


def _last_item(stack: list[Any]) -> int:
    """Likewise; here an empty dict below a key is taken for one in the making."""
    begin = max(len(stack) - _REACH, 0)
    for index, (value, above) in enumerate(pairwise(stack[begin:]), begin):
        begun = type(value) is dict and not value and isinstance(above, _WRITTEN)
        if begun or isinstance(value, Global):
            return index
    return len(stack) - 1


def _shown(key: Any) -> str:
    """A key as Python would spell it, short and on one line."""
    if isinstance(key, str):
        return quote(key)
    if isinstance(key, bytes):
        return "b" + quote(key)
    if isinstance(key, float) or key is None:
        return repr(key)
    if isinstance(key, int) and key.bit_length() <= 128:
        return repr(key)
    return f"<{type(key).__name__}>"

"""What is in a tree that the parser made: tensors, storages, chains of deques."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from conformance.parser import Object, Size, Storage, Tensor


class Found:
    """What a walk over a tree met, each once.

    `links` are what CPython frees by recursion: deques, defaultdicts, and numpy's
    arrays of objects.
    """

    __slots__ = ("links", "objects", "storages", "tensors")

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.storages: list[Storage] = []
        self.objects: list[Object] = []
        self.links: list[Any] = []


def found(tree: Any) -> Found:
    """A walk without recursion; whatever is met again is passed by."""
    out = Found()
    waiting = [tree]
    # Holds on to what it has met, so that no id is used twice.
    met: dict[int, Any] = {}
    while waiting:
        value = waiting.pop()
        kind = type(value)
        wait = _BELOW.get(kind)
        if wait is None or id(value) in met:
            continue
        met[id(value)] = value
        if kind is Tensor:
            out.tensors.append(value)
        elif kind is Storage:
            out.storages.append(value)
        elif kind is Object:
            out.objects.append(value)
        elif kind in _LINKS and (kind is not np.ndarray or value.dtype.hasobject):
            out.links.append(value)
        wait(waiting, value)
    return out


#: What CPython frees by recursion; arrays only if they are of objects.
_LINKS: Final = frozenset({deque, defaultdict, np.ndarray})


def longest_chain(links: list[Any]) -> int:
    """How many of these lie directly inside each other; loops do not count."""
    held: dict[int, list[int]] = {}
    known = {id(link) for link in links}
    for link in links:
        waiting: list[Any] = []
        _BELOW[type(link)](waiting, link)
        held[id(link)] = [id(value) for value in waiting if id(value) in known]
    holders: dict[int, list[int]] = {number: [] for number in held}
    for holder, values in held.items():
        for value in values:
            holders[value].append(holder)
    left = {number: len(values) for number, values in held.items()}
    depth = dict.fromkeys(held, 1)
    done = [number for number, count in left.items() if not count]
    for number in done:  # grows as it goes
        for holder in holders[number]:
            depth[holder] = max(depth[holder], depth[number] + 1)
            left[holder] -= 1
            if not left[holder]:
                done.append(holder)
    return max(depth.values(), default=0)


Wait = Callable[[list[Any], Any], None]


def _row(waiting: list[Any], value: Any) -> None:
    waiting.extend(value)


def _dict(waiting: list[Any], value: dict[Any, Any]) -> None:
    waiting.extend(value)
    waiting.extend(value.values())


def _family(waiting: list[Any], value: Any) -> None:
    kind = type(value)
    # Not `value.items()`: an attribute from the file may shadow it.
    waiting.extend(kind.keys(value))
    waiting.extend(kind.values(value))
    waiting.extend(getattr(value, "__dict__", {}).values())
    if kind is defaultdict:
        waiting.append(value.default_factory)


def _tensor(waiting: list[Any], value: Tensor) -> None:
    waiting.extend((value.storage, value.state, *value.parts.values()))
    _dict(waiting, value.attributes)


def _object(waiting: list[Any], value: Object) -> None:
    waiting.extend((value.callee, value.state, *value.args, *value.listitems))
    _dict(waiting, value.kwargs)
    for pair in value.dictitems:
        waiting.extend(pair)


def _array(waiting: list[Any], value: Any) -> None:
    if value.dtype.hasobject:
        waiting.extend(value.ravel().tolist())


def _slice(waiting: list[Any], value: slice) -> None:
    waiting.extend((value.start, value.stop, value.step))


def _nothing(waiting: list[Any], value: Storage) -> None:
    """Only bytes."""


_BELOW: Final[dict[type, Wait]] = {
    **dict.fromkeys((list, tuple, Size, set, frozenset, deque), _row),
    **dict.fromkeys((OrderedDict, Counter, defaultdict), _family),
    dict: _dict,
    Tensor: _tensor,
    Object: _object,
    np.ndarray: _array,
    slice: _slice,
    Storage: _nothing,
}

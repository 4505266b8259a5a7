"""A whole checkpoint: containers, what is in them, and what is in there twice."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any, Final

from .choices import Choices
from .plain import KEYS, SCALARS
from .storages import Storages
from .tensors import SMALL, Tensors

#: Values in all, and containers inside each other.
_VALUES: Final = 40
_DEEPEST: Final = 5


class Tree:
    """Makes a tree of whatever a checkpoint may hold, some of it shared."""

    def __init__(self, choices: Choices, storages: Storages) -> None:
        self._choices = choices
        tensors = Tensors(choices, storages)
        self._left = _VALUES
        self._made: list[Any] = []
        self._makers: tuple[Callable[[], Any], ...] = (
            *(self._scalar, tensors.strided, tensors.strided, tensors.parameter),
            *(tensors.quantized, tensors.sparse, tensors.nested, storages.alone),
            self._small,
        )

    def root(self) -> Any:
        """A state dict or a list, which may come back inside itself."""
        tree = self._container(0)
        if self._choices.often(8):
            tree.append(tree) if type(tree) is list else tree.update(again=tree)
        return tree

    def _container(self, depth: int) -> Any:
        made = self._choices.pick((dict, OrderedDict, list))()
        for _ in range(self._choices.below(6)):
            if type(made) is list:
                made.append(self._value(depth + 1))
            else:
                made[self._choices.pick(KEYS)(self._choices)] = self._value(depth + 1)
        if type(made) is OrderedDict and self._choices.often(2):
            made._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]
        return made

    def _value(self, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or self._choices.over:
            return None
        if self._made and self._choices.often(5):
            return self._choices.pick(self._made)
        if depth < _DEEPEST and self._choices.often(4):
            value = self._choices.pick(_CONTAINERS)(self, depth)
        else:
            value = self._choices.pick(self._makers)()
        self._made.append(value)
        return value

    def _several(self, depth: int) -> list[Any]:
        return [self._value(depth + 1) for _ in range(self._choices.below(5))]

    def _keys(self) -> list[Any]:
        choices = self._choices
        return [choices.pick(KEYS)(choices) for _ in range(choices.below(5))]

    def _scalar(self) -> Any:
        return self._choices.pick(SCALARS)(self._choices)

    def _small(self) -> Any:
        return self._choices.pick(SMALL)(self._choices)


_CONTAINERS: Final[tuple[Callable[[Tree, int], Any], ...]] = (
    Tree._container,
    lambda tree, depth: tuple(tree._several(depth)),
    lambda tree, depth: deque(tree._several(depth), maxlen=7),
    lambda tree, depth: defaultdict(list, {None: tree._value(depth + 1)}),
    lambda tree, _: Counter(tree._keys()),
    lambda tree, _: set(tree._keys()),
    lambda tree, _: frozenset(tree._keys()),
)

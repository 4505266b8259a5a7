"""Checkpoints: containers of containers of tensors, with everything shared."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Final, TypeVar

import torch
from hypothesis import strategies as st

from .formats import DEFAULT, Format, check_format, formats, save
from .layouts import draw_nested, draw_quantized, draw_sparse
from .objects import OBJECTS
from .scalars import keys, scalars
from .tensors import (
    Memory,
    draw_bits,
    draw_meta,
    draw_strided,
    quiet_composite,
)

T = TypeVar("T")

_BOOLEANS: Final = st.booleans()
_RARELY: Final = st.sampled_from((False,) * 7 + (True,))
_WIDTHS: Final = st.sampled_from((1, 2, 3, 0, 5))
_BUDGETS: Final = st.sampled_from((4, 8, 16, 2, 24, 40))
_DEPTH: Final = 5
_NAMES: Final = st.sampled_from(
    ("weight", "bias", "running_mean", "running_var", "num_batches_tracked", "")
)
_ATTRIBUTES: Final = st.text("abé", max_size=2).map("tag_".__add__)


class Grower:
    """Draws one tree, and remembers what a later branch may refer to again.

    Values are drawn in the order in which pickle meets them, so whatever a
    reference leads back to is already on its way: that makes cycles possible
    that pickle can write, and no others.
    """

    def __init__(self, draw: st.DrawFn, *, weights_only: bool, format: Format) -> None:
        self.draw = draw
        self.weights_only = weights_only
        self.memory = Memory(format)
        self.budget = draw(_BUDGETS)
        self.seen: list[Any] = []
        self._scalars = scalars(weights_only=weights_only)
        self._keys = keys(weights_only=weights_only)
        objects = () if weights_only else (Grower.object,) * 8
        self._root = st.sampled_from((*_LONE, *_CONTAINERS * 2, *objects))
        self._inner = st.sampled_from((*_LEAVES, *_CONTAINERS, *objects))
        self._leaf = st.sampled_from(_LEAVES)

    def grow(self, depth: int = 0) -> Any:
        """One value with all that it holds."""
        self.budget -= 1
        bare = self.budget <= 0 or depth >= _DEPTH
        kinds = self._leaf if bare else self._inner if depth else self._root
        return self.draw(kinds)(self, depth)

    def remember(self, value: T) -> T:
        """Let later branches refer to `value`."""
        self.seen.append(value)
        return value

    def key(self) -> Any:
        return self.draw(self._keys)

    # ------------------------------------------------------------------ leaves

    def scalar(self, _depth: int = 0) -> Any:
        return self.draw(self._scalars)

    def again(self, _depth: int = 0) -> Any:
        """The same object once more: shared, tied, or a cycle."""
        return self.draw(st.sampled_from(self.seen)) if self.seen else self.scalar()

    def tensor(self, _depth: int = 0) -> torch.Tensor:
        """Any tensor; some are Parameters, Buffers, or carry attributes."""
        tensor = self.draw(_TENSORS)(self)
        if tensor.layout == torch.strided and not tensor.is_quantized:
            wrap = self.draw(_WRAPS)
        else:
            wrap = self.draw(_WRAPS_OF_OTHERS)
        return self.remember(tensor if wrap is None else wrap(self, tensor))

    def strided(self) -> torch.Tensor:
        tensor = draw_strided(self.draw, self.memory)
        return draw_bits(self.draw, self.memory, tensor)

    def sparse(self) -> torch.Tensor:
        if self.memory.format.keeps_numbers:
            return draw_sparse(self.draw, self.memory)
        return self.strided()

    def quantized(self) -> torch.Tensor:
        return draw_quantized(self.draw, self.memory)

    def nested(self) -> torch.Tensor:
        if self.memory.format.keeps_all:
            return draw_nested(self.draw, self.memory)
        return self.strided()

    def meta(self) -> torch.Tensor:
        return draw_meta(self.draw)

    def parameter(self, tensor: torch.Tensor) -> torch.Tensor:
        """A Parameter, which may carry attributes too."""
        grad = tensor.is_floating_point() or tensor.is_complex()
        parameter = torch.nn.Parameter(
            tensor.detach(), requires_grad=grad and not self.draw(_RARELY)
        )
        return self.tagged(parameter) if self.draw(_RARELY) else parameter

    def buffer(self, tensor: torch.Tensor) -> torch.Tensor:
        buffer: torch.Tensor = torch.nn.Buffer(tensor, persistent=self.draw(_BOOLEANS))
        return buffer

    def tagged(self, tensor: torch.Tensor) -> torch.Tensor:
        """The same tensor with Python attributes, one of which may be a tree."""
        setattr(tensor, self.draw(_ATTRIBUTES), self.scalar())
        if self.draw(_BOOLEANS):
            setattr(tensor, self.draw(_ATTRIBUTES), self.grow(_DEPTH - 1))
        return tensor

    def storage(self, _depth: int = 0) -> Any:
        """A storage as a value, perhaps one that a tensor views."""
        tensor = self.strided()
        storage = tensor.untyped_storage()
        only = next(only for held, only in self.memory.storages if _same(held, storage))
        if only is None:
            # Saved as it is; torch loads it as a TypedStorage of uint8.
            return self.remember(storage)
        return self.remember(
            torch.storage.TypedStorage(wrap_storage=storage, dtype=only, _internal=True)
        )

    # -------------------------------------------------------------- containers

    def dict(self, depth: int) -> dict[Any, Any]:
        tree: dict[Any, Any] = self.remember({})
        for _ in range(self.draw(_WIDTHS)):
            key = self.key()
            tree[key] = self.grow(depth + 1)
        return tree

    def list(self, depth: int) -> list[Any]:
        tree: list[Any] = self.remember([])
        tree.extend(self.grow(depth + 1) for _ in range(self.draw(_WIDTHS)))
        return tree

    def tuple(self, depth: int) -> tuple[Any, ...]:
        return self.remember(
            tuple(self.grow(depth + 1) for _ in range(self.draw(_WIDTHS)))
        )

    def ordered_dict(self, depth: int) -> OrderedDict[Any, Any]:
        """With attributes of its own now and then, as a state dict has."""
        tree: OrderedDict[Any, Any] = self.remember(OrderedDict())
        for _ in range(self.draw(_WIDTHS)):
            key = self.key()
            tree[key] = self.grow(depth + 1)
        if self.draw(_BOOLEANS):
            vars(tree)[self.draw(_ATTRIBUTES)] = self.grow(depth + 1)
        return tree

    def set(self, _depth: int = 0) -> set[Any]:
        return self.remember({self.key() for _ in range(self.draw(_WIDTHS))})

    def counter(self, _depth: int = 0) -> Counter[Any]:
        count = self.draw(_WIDTHS)
        return self.remember(
            Counter({self.key(): self.draw(st.integers()) for _ in range(count)})
        )

    def state_dict(self, _depth: int = 0) -> OrderedDict[str, torch.Tensor]:
        """What `nn.Module.state_dict()` gives, `_metadata` included."""
        tree: OrderedDict[str, torch.Tensor] = self.remember(OrderedDict())
        metadata = OrderedDict({"": {"version": 1}})
        for layer in range(self.draw(_WIDTHS)):
            for _ in range(self.draw(_WIDTHS)):
                tensor = self.again() if self.seen and self.draw(_RARELY) else None
                if not isinstance(tensor, torch.Tensor):
                    tensor = self.remember(self.strided())
                tree[f"layer{layer}.{self.draw(_NAMES)}"] = tensor
            metadata[f"layer{layer}"] = {"version": self.draw(st.integers(1, 3))}
        vars(tree)["_metadata"] = metadata
        return tree

    # ------------------------------------------- only with weights_only=False

    def object(self, depth: int) -> Any:
        """Python's and numpy's own types, modules, optimizers, ..."""
        return self.remember(self.draw(st.sampled_from(OBJECTS))(self, depth))


def _same(one: torch.UntypedStorage, other: torch.UntypedStorage) -> bool:
    return bool(one._cdata == other._cdata)


Branch = Callable[[Grower, int], Any]

#: Each as often as it stands here; what a tree shrinks to comes first.
_LEAVES: Final[tuple[Branch, ...]] = (
    Grower.scalar, Grower.scalar, Grower.tensor, Grower.tensor, Grower.tensor,
    Grower.again, Grower.again, Grower.storage,
)  # fmt: skip
_CONTAINERS: Final[tuple[Branch, ...]] = (
    Grower.list, Grower.dict, Grower.tuple, Grower.dict, Grower.ordered_dict,
    Grower.state_dict, Grower.set, Grower.counter,
)  # fmt: skip
#: What is a whole tree by itself.
_LONE: Final[tuple[Branch, ...]] = (Grower.scalar, Grower.tensor)

_TENSORS: Final = st.sampled_from(
    (
        Grower.strided, Grower.strided, Grower.strided, Grower.strided,
        Grower.strided, Grower.sparse, Grower.sparse, Grower.quantized,
        Grower.quantized, Grower.nested, Grower.meta,
    )
)  # fmt: skip
_Wrap = Callable[[Grower, torch.Tensor], torch.Tensor]
_NO_WRAP: Final[tuple[_Wrap | None, ...]] = (None,)
_WRAPS: Final = st.sampled_from(
    (*_NO_WRAP * 5, Grower.parameter, Grower.parameter, Grower.tagged, Grower.buffer)
)
_WRAPS_OF_OTHERS: Final = st.sampled_from(
    (*_NO_WRAP * 2, Grower.parameter, Grower.tagged)
)


@quiet_composite
def _grown(draw: st.DrawFn, branch: str, weights_only: bool, format: Format) -> Any:
    grower = Grower(draw, weights_only=weights_only, format=format)
    return getattr(grower, branch)()


def tensors(*, format: Format = DEFAULT) -> st.SearchStrategy[torch.Tensor]:
    """Any tensor that loads with `weights_only=True`.

    Strided, sparse, quantized, nested and meta tensors; some are Parameters
    or Buffers or carry Python attributes. Shrinks to a float32 scalar of zero.
    """
    check_format(format)
    return _grown("tensor", True, format)


def state_dicts(
    *, format: Format = DEFAULT
) -> st.SearchStrategy[OrderedDict[str, torch.Tensor]]:
    """State dicts as `nn.Module.state_dict()` gives them, with `_metadata`.

    Their strided tensors often share storages. Shrinks to a single tensor.
    """
    check_format(format)
    return _grown("state_dict", True, format)


def checkpoints(
    *, weights_only: bool = True, format: Format = DEFAULT
) -> st.SearchStrategy[Any]:
    """Arbitrary trees that `torch.save` writes and `torch.load` reads.

    Nested and cyclic containers, odd keys, scalars, storages, and every kind of
    tensor, many of them in one storage, many objects referred to twice. With
    `weights_only=False` also what needs it: numpy arrays, dates, paths,
    frozensets, deques, modules, optimizers. `format` is how the tree will be
    saved: what torch cannot load from there is left out. Shrinks to `None`.
    """
    if not isinstance(weights_only, bool):
        raise TypeError(f"weights_only is a bool, not {weights_only!r}")
    check_format(format)
    return _grown("grow", weights_only, format)


@quiet_composite
def _saves(draw: st.DrawFn, weights_only: bool) -> bytes:
    format = draw(formats(weights_only=weights_only))
    tree = draw(checkpoints(weights_only=weights_only, format=format))
    return save(tree, format)


def saves(*, weights_only: bool = True) -> st.SearchStrategy[bytes]:
    """Whole files: a tree of `checkpoints` in one of the `formats`.

    `torch.load(weights_only=...)` reads each. Shrinks to `None` in a zip
    archive as `torch.save` writes it by default.
    """
    if not isinstance(weights_only, bool):
        raise TypeError(f"weights_only is a bool, not {weights_only!r}")
    return _saves(weights_only)

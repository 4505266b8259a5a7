"""Classes that files of the corpus name; no reader has to have them."""

from __future__ import annotations

from typing import Any

import torch


class Tagged(torch.Tensor):
    """A tensor with whatever attributes are set on it."""


class Slotted(torch.Tensor):
    """A tensor with attributes in slots; it has a `__dict__` besides."""

    __slots__ = ("scale", "unit")

    scale: float
    unit: str


class Summed(torch.Tensor):
    """A tensor whose state is a dict of its own choice."""

    def __getstate__(self) -> dict[str, Any]:
        return {"label": "sum", "version": 2}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class Counted(torch.Tensor):
    """A tensor whose state is a number: only this class knows what it means."""

    def __getstate__(self) -> int:
        return 42

    def __setstate__(self, state: int) -> None:
        self.__dict__["count"] = state


class Bias(torch.nn.Parameter):
    """A Parameter by another name."""


class Pair(torch.Tensor):
    """A wrapper: two tensors of one size, and no elements of its own."""

    first: torch.Tensor
    second: torch.Tensor

    def __new__(cls, first: torch.Tensor, second: torch.Tensor) -> Any:
        pair: Any = torch.Tensor._make_wrapper_subclass(
            cls, first.size(), strides=first.stride(), dtype=first.dtype
        )
        pair.first, pair.second = first, second
        return pair

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.aten.detach.default:
            return cls(args[0].first, args[0].second)
        raise NotImplementedError(f"{func} of a Pair")

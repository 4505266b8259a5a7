"""What a checkpoint may hold besides, if it is loaded with `weights_only=False`."""

from __future__ import annotations

import argparse
import datetime
import decimal
import fractions
import functools
import pathlib
import types
import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from hypothesis import strategies as st

from .tensors import draw_octets

if TYPE_CHECKING:
    from .trees import Grower

_SMALL: Final = st.integers(0, 3)
_BOOLEANS: Final = st.booleans()
_ARRAY_DTYPES: Final = st.sampled_from(
    (
        "<f4", "<f8", "<f2", "<i8", "<i4", "|i1", "<u2", "<u8", "|b1", "<c8", "<c16",
        ">f4", ">i8", "<U2", "|S3", "|V5", "<M8[ns]", "<m8[D]",
        "<f4,<i8", "O",
    )
)  # fmt: skip
_SCALAR_DTYPES: Final = st.sampled_from(
    ("<f8", "<f4", "<f2", "<i8", "<i4", "|i1", "<u4", "|b1", "<c16", "<M8[s]", "<m8[s]")
)
_DATES: Final = st.one_of(
    st.dates(),
    st.times(),
    st.datetimes(),
    st.timedeltas(),
    st.datetimes(
        timezones=st.sampled_from(
            (datetime.timezone.utc, datetime.timezone(datetime.timedelta(minutes=90)))
        )
    ),
)
_PATHS: Final = st.sampled_from(("", "/", "a/b.pt", "../é", "/data/run 1")).map(
    pathlib.PurePosixPath
) | st.sampled_from(("C:\\x", "a")).map(pathlib.PureWindowsPath)
_PLAIN: Final = st.one_of(
    st.builds(range, _SMALL, st.integers(), st.sampled_from((1, -2, 3))),
    st.builds(slice, st.none() | _SMALL, st.integers(), st.none() | _SMALL),
    st.sampled_from((Ellipsis, NotImplemented)),
    st.decimals(),
    st.fractions(),
    st.uuids(),
)
_NAMED: Final = st.sampled_from(
    (
        int, dict, len, datetime.date, np.float32, np.dtype("f4"),
        torch.nn.Linear, torch.nn.functional.relu, torch.Tensor, torch.strided,
        functools.partial(torch.nn.functional.relu, inplace=True), torch.FloatStorage,
        decimal.Decimal, fractions.Fraction, uuid.UUID,
    )
)  # fmt: skip
_FACTORIES: Final = st.sampled_from((None, list, int, dict))


def _array(grower: Grower, depth: int) -> Any:
    """A numpy array: C or Fortran order, any item size, objects too."""
    draw = grower.draw
    dtype = np.dtype(draw(_ARRAY_DTYPES))
    shape = draw(st.lists(_SMALL, max_size=3))
    count = int(np.prod(shape))
    if dtype.hasobject:
        array = np.empty(min(count, 4), dtype)
        for place in range(array.size):
            array[place] = grower.scalar()
        return array
    octets = draw_octets(draw, count * dtype.itemsize)
    if dtype.kind == "U":
        # A string array holds code points; keep them below 256.
        octets[1::4] = octets[2::4] = octets[3::4] = bytes(len(octets) // 4)
    array = np.frombuffer(octets, dtype).reshape(shape)
    return np.asfortranarray(array) if draw(_BOOLEANS) else array.copy()


def _numpy_scalar(grower: Grower, _depth: int) -> Any:
    dtype = np.dtype(grower.draw(_SCALAR_DTYPES))
    return np.frombuffer(draw_octets(grower.draw, dtype.itemsize), dtype)[0]


def _date(grower: Grower, _depth: int) -> Any:
    return grower.draw(_DATES)


def _path(grower: Grower, _depth: int) -> Any:
    return grower.draw(_PATHS)


def _plain(grower: Grower, _depth: int) -> Any:
    return grower.draw(_PLAIN)


def _named(grower: Grower, _depth: int) -> Any:
    """Classes and functions, which pickle keeps by name."""
    return grower.draw(_NAMED)


def _frozenset(grower: Grower, _depth: int) -> Any:
    return frozenset(grower.key() for _ in range(grower.draw(_SMALL)))


def _defaultdict(grower: Grower, depth: int) -> Any:
    tree: Any = grower.remember(defaultdict(grower.draw(_FACTORIES)))
    for _ in range(grower.draw(_SMALL)):
        key = grower.key()
        tree[key] = grower.grow(depth + 1)
    return tree


def _deque(grower: Grower, depth: int) -> Any:
    tree: Any = grower.remember(deque(maxlen=grower.draw(st.none() | st.just(4))))
    for _ in range(grower.draw(_SMALL)):
        tree.append(grower.grow(depth + 1))
    return tree


def _namespace(grower: Grower, depth: int) -> Any:
    """An object with attributes, as hyperparameters often are."""
    kind = grower.draw(st.sampled_from((argparse.Namespace, types.SimpleNamespace)))
    tree: Any = grower.remember(kind())
    for name in ("lr", "betas", "data")[: grower.draw(_SMALL)]:
        setattr(tree, name, grower.grow(depth + 1))
    return tree


def _knot(grower: Grower, depth: int) -> Any:
    """A tuple inside itself: pickle takes it off the stack, and gets the memo."""
    inner: list[Any] = []
    knot = (inner, *(grower.scalar() for _ in range(grower.draw(_SMALL))))
    inner.append(knot)
    return knot


def _module(grower: Grower, _depth: int) -> Any:
    kind = grower.draw(_SMALL)
    if kind == 0:
        return torch.nn.Linear(2, 1)
    if kind == 1:
        return torch.nn.BatchNorm1d(2)
    if kind == 2:
        tied = torch.nn.Linear(2, 2)
        return torch.nn.Sequential(tied, torch.nn.ReLU(), tied)
    return torch.nn.ParameterDict({"p": torch.nn.Parameter(torch.zeros(1))})


def _optimizer(grower: Grower, _depth: int) -> Any:
    """An optimizer after a step; its state has Parameters as keys."""
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2)
    optimizer: Any = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    optimizer.state[parameter]["momentum_buffer"] = torch.full((2,), 0.5)
    return [parameter, optimizer] if grower.draw(_BOOLEANS) else optimizer


def _torch_object(grower: Grower, depth: int) -> Any:
    """torch's own that `weights_only` refuses."""
    kind = grower.draw(_SMALL)
    if kind == 0 and grower.memory.format.keeps_all:
        return torch.Generator().manual_seed(7)
    if kind == 1:
        return torch.nn.UninitializedParameter()
    if kind == 2:
        return torch.max(torch.arange(3.0), 0)
    return torch.nn.UninitializedBuffer()


#: Every kind that a branch of a tree can be.
OBJECTS: Final[tuple[Callable[[Grower, int], Any], ...]] = (
    _plain, _plain, _array, _array, _array, _numpy_scalar, _numpy_scalar, _date,
    _date, _path, _named, _named, _frozenset, _defaultdict, _deque, _namespace, _knot,
    _module, _module, _optimizer, _torch_object,
)  # fmt: skip

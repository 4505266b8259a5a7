"""Objects of torch's own that say themselves how they are pickled.

They come back with `weights_only=False` alone. What matters to other readers is
that one of them beside the tensors does not make a file unreadable.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
import torch._guards
import torch.fx
from torch.distributed import distributed_c10d as distributed
from torch.distributions import transforms
from torch.fx.experimental.unification.multipledispatch import dispatcher
from torch.fx.immutable_collections import immutable_dict, immutable_list
from torch.utils._ordered_set import OrderedSet
from torch.utils.data import datapipes
from torch.utils.data.datapipes.dataframe import dataframes
from torch.utils.hooks import RemovableHandle

from ...handmade import archive, name
from ..registry import saved, written

REFUSED: Final = ("weights-only-refuses",)

Rows = dict[str, tuple[str, Callable[[], object]]]


def beside(value: object) -> dict[str, Any]:
    """A tensor, and the value beside it."""
    return {"weight": torch.arange(2.0), "value": value}


# ----------------------------------------------------------- classes of C++ in Python

_KEY: Final = torch._C.DispatchKey.CPU
_SUM: Final = distributed.ReduceOp.SUM

BOUND: Final[Rows] = {
    "aggregation_type": (
        "torch.AggregationType",
        lambda: torch._C.AggregationType.SUM,
    ),
    "debug_level": (
        "torch.distributed.distributed_c10d.DebugLevel",
        lambda: distributed.DebugLevel.OFF,
    ),
    "dispatch_key": ("torch.DispatchKey", lambda: _KEY),
    "dispatch_key_set": (
        "torch.DispatchKeySet",
        lambda: torch._C.DispatchKeySet(_KEY),
    ),
    "function_schema": (
        "torch.FunctionSchema",
        lambda: torch.ops.aten.relu.default._schema,
    ),
    "reduce_op": (
        "torch.distributed.distributed_c10d.ReduceOp",
        lambda: distributed.ReduceOp(_SUM),
    ),
    "script_list": ("torch.ScriptList", lambda: torch.jit.script([1, 2])),
    "tag": ("torch.Tag", lambda: torch.Tag.core),
}


@saved("{path}", each=BOUND, flags=REFUSED)
def bound(path: str, make: Callable[[], object]) -> object:
    """An object of `{path}`, a class of C++ that pybind11 gives to Python."""
    return beside(make())


# ------------------------------------------------------------------- graphs of torch.fx


def graph() -> torch.fx.Graph:
    """`lambda x: x`, as a graph."""
    made = torch.fx.Graph()
    made.output(made.placeholder("x"))
    return made


FX: Final[Rows] = {
    "graph": ("torch.fx.graph.Graph", graph),
    "immutable_dict": (
        "torch.fx.immutable_collections.immutable_dict",
        lambda: immutable_dict(a=1),
    ),
    "immutable_list": (
        "torch.fx.immutable_collections.immutable_list",
        lambda: immutable_list([1, 2]),
    ),
    "node": ("torch.fx.node.Node", lambda: next(iter(graph().nodes))),
    "proxy": (
        "torch.fx.proxy.Proxy",
        lambda: torch.fx.Proxy(next(iter(graph().nodes))),
    ),
}


@saved("{path}", each=FX, flags=REFUSED)
def fx(path: str, make: Callable[[], object]) -> object:
    """An object of `{path}`, which torch.fx keeps programs in."""
    return beside(make())


# ------------------------------------------------------------------------ datapipes


def numbers() -> Any:
    return datapipes.iter.IterableWrapper([1, 2])


def shuffled(pipe: Any) -> Any:
    """A pipe with a random generator in it, at a fixed state."""
    pipe = pipe.shuffle()
    pipe._rng.seed(0)
    return pipe


PIPES: Final[Rows] = {
    "grouper": (
        "torch.utils.data.datapipes.iter.grouping.GrouperIterDataPipe",
        lambda: numbers().groupby(int),
    ),
    "iterable": (
        "torch.utils.data.datapipes.iter.utils.IterableWrapperIterDataPipe",
        numbers,
    ),
    "multiplexer": (
        "torch.utils.data.datapipes.iter.combining.MultiplexerIterDataPipe",
        lambda: numbers().mux(numbers()),
    ),
    "sequence": (
        "torch.utils.data.datapipes.map.utils.SequenceWrapperMapDataPipe",
        lambda: datapipes.map.SequenceWrapper([1, 2]),
    ),
    "shuffler": (
        "torch.utils.data.datapipes.iter.combinatorics.ShufflerIterDataPipe",
        lambda: shuffled(numbers()),
    ),
    "shuffler_of_map": (
        "torch.utils.data.datapipes.map.combinatorics.ShufflerIterDataPipe",
        lambda: shuffled(datapipes.map.SequenceWrapper([1, 2])),
    ),
}


@saved("{path}", each=PIPES, flags=REFUSED)
def datapipe(path: str, make: Callable[[], object]) -> object:
    """A pipeline of data that ends in `{path}`."""
    return beside(make())


# --------------------------------------------------------------------------- the others


def handle() -> object:
    """A hook's handle and the hooks it is one of; its number counts all there were."""
    hooks: OrderedDict[int, object] = OrderedDict()
    made = RemovableHandle(hooks)
    made.id = 0
    return [hooks, made]


ITSELF: Final[Rows] = {
    "capture": (
        "torch.utils.data.datapipes.dataframe.dataframes.Capture",
        dataframes.Capture,
    ),
    "chained_source": (
        "torch._guards.ChainedSource",
        lambda: torch._guards.ChainedSource(torch._guards.Source()),
    ),
    "dispatcher": (
        "torch.fx.experimental.unification.multipledispatch.dispatcher.Dispatcher",
        lambda: dispatcher.Dispatcher("f"),
    ),
    "handle_of_hook": ("torch.utils.hooks.RemovableHandle", handle),
    "optimizer": (
        "torch.optim.optimizer.Optimizer",
        lambda: torch.optim.Optimizer([torch.zeros(1)], {"lr": 0.5}),
    ),
    "ordered_set": ("torch.utils._ordered_set.OrderedSet", lambda: OrderedSet([1, 2])),
    "source": ("torch._guards.Source", torch._guards.Source),
    "transform": (
        "torch.distributions.transforms.ExpTransform",
        lambda: transforms.ExpTransform(cache_size=1),
    ),
}


@saved("{path}", each=ITSELF, flags=REFUSED)
def itself(path: str, make: Callable[[], object]) -> object:
    """An object of `{path}`, which has a way of its own into a pickle."""
    return beside(make())


# ------------------------------------------------------ what copyreg pickles by name


@saved("global:numpy.{key}", each={"add": (np.add,)}, flags=REFUSED)
def ufunc(function: object) -> object:
    """The function `numpy.{key}`, which is a global like any other."""
    return beside(function)


@saved("functools.reduce", flags=REFUSED)
def union_of_types() -> object:
    """The type `int | str`, rebuilt by folding `|` over a tuple."""
    return beside(int | str)


@written("global:torch.channels_last", label="built", flags=REFUSED)
def memory_format() -> bytes:
    """The value `torch.channels_last` as a global.

    torch.save can write it only under the name of a module that imports torch.
    """
    return archive({"value": name("torch.channels_last")})

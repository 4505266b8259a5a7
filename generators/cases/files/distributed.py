"""Distributed checkpoints, and tensors that are spread over processes."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from unittest import mock

import torch
import torch.distributed
from torch import nn
from torch.distributed._shard.metadata import ShardMetadata
from torch.distributed._shard.sharded_tensor import init_from_local_shards
from torch.distributed._shard.sharded_tensor import shard as local
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.state_dict_saver import save as save_distributed
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard
from torch.testing._internal.distributed.fake_pg import FakeStore

from ...saving import save
from ..registry import LEDGER, saved, written

DISTCP: Final[dict[str, Any]] = {
    "label": "native",
    "suffix": ".distcp",
    "verdict": "either",
    "reason": LEDGER,
}


# --------------------------------------------------------------------- .distcp


def checkpoint(state: dict[str, Any]) -> bytes:
    """The one file of a distributed checkpoint that is written by one process."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_distributed(state, storage_writer=FileSystemWriter(folder), no_dist=True)
        (file,) = Path(folder).glob("*.distcp")
        return file.read_bytes()


def _module() -> dict[str, Any]:
    return {"model": nn.Linear(2, 1).state_dict(), "epoch": 3}


def _views() -> dict[str, Any]:
    base = torch.arange(6.0)
    return {"a": base[1:3], "b": base.reshape(2, 3).t()}


def _optimizer() -> dict[str, Any]:
    layer = nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD(layer.parameters(), momentum=0.5)
    layer(torch.ones(1)).backward()
    optimizer.step()
    return {"model": layer.state_dict(), "optimizer": optimizer.state_dict()}


STATES: Final[dict[str, tuple[Callable[[], dict[str, Any]], str]]] = {
    "tensor": (lambda: {"weight": torch.arange(4.0)}, "one tensor"),
    "tensors": (
        lambda: {"w": torch.ones(2, 3), "b": torch.zeros(3, dtype=torch.bfloat16)},
        "two tensors, an archive each",
    ),
    "objects": (lambda: {"epoch": 3, "name": "best"}, "values that are no tensors"),
    "nested": (_module, "a state dict in a dict, and a number"),
    "views": (_views, "two views of one storage, which is written twice"),
    "optimizer": (_optimizer, "a module's and its optimizer's state"),
    "scalar": (lambda: {"step": torch.tensor(7)}, "a tensor without dimensions"),
    "uint16": (
        lambda: {"ids": torch.tensor([1, 60_000], dtype=torch.uint16)},
        "a tensor whose storage has no dtype",
    ),
}


@written("container:distcp", each=STATES, **DISTCP)
def file_of(make: Callable[[], dict[str, Any]], what: str) -> bytes:
    """The file of a distributed checkpoint, archives in a row: {what}."""
    return checkpoint(make())


# --------------------------------------------------------------------- DTensor

WRAPPED: Final = "torch._utils._rebuild_wrapper_subclass"


@contextlib.contextmanager
def processes(count: int) -> Iterator[None]:
    """Makes torch believe that this is the first of so many processes."""
    # torch would have every later error say which process it comes from.
    with mock.patch.object(sys, "excepthook", sys.excepthook):
        torch.distributed.init_process_group(
            "fake", store=FakeStore(), rank=0, world_size=count
        )
        try:
            yield
        finally:
            torch.distributed.destroy_process_group()


def spread(*placements: Any, shape: tuple[int, ...] = (2,), names: Any = None) -> Any:
    """A matrix of which this process has its part."""
    count = torch.Size(shape).numel()
    with processes(count):
        ranks = torch.arange(count, dtype=torch.int).reshape(shape)
        mesh = DeviceMesh("cpu", ranks, mesh_dim_names=names)
        return DTensor.from_local(
            torch.arange(4.0).reshape(2, 2), mesh, placements, run_check=False
        )


@saved(
    WRAPPED,
    each={
        "sharded": ((Shard(0),),),
        "sharded_by_columns": ((Shard(1),),),
        "replicated": ((Replicate(),),),
        "partial": ((Partial(),),),
    },
    directory="distributed",
)
def dtensor(placements: tuple[Any, ...]) -> object:
    """A DTensor over two processes: {key}."""
    return {"weight": spread(*placements)}


@saved(WRAPPED, directory="distributed")
def dtensor_on_named_mesh() -> object:
    """A DTensor over four processes in two named dimensions."""
    return spread(Replicate(), Shard(0), shape=(2, 2), names=("data", "tensor"))


@saved(WRAPPED, directory="distributed")
def dtensor_of_one_process() -> object:
    """A DTensor over one process, beside a plain tensor."""
    return {"a": spread(Shard(0), shape=(1,)), "b": torch.ones(2)}


@saved(WRAPPED, directory="distributed", flags=("requires-grad",))
def dtensor_parameter() -> object:
    """A Parameter that is a DTensor, as a module sharded by FSDP 2 has them."""
    parameter: Any = nn.Parameter(spread(Shard(0)))
    # The hash of the mesh, which is another one in every process.
    parameter.device_mesh._hash = None
    return parameter


@written("container:zip", label="native", flags=("weights-only-refuses",))
def sharded() -> bytes:
    """A ShardedTensor over one process."""
    with processes(1):
        metadata = ShardMetadata([0, 0], [2, 2], "rank:0/cpu")
        shard = local.Shard(torch.arange(4.0).reshape(2, 2), metadata)
        return save(init_from_local_shards([shard], 2, 2))


# ---------------------------------------------------- state dicts of wrapped modules


def _prefixed(prefix: str) -> object:
    state = nn.Linear(2, 1).state_dict()
    return OrderedDict((prefix + name, tensor) for name, tensor in state.items())


WRAPPERS: Final[dict[str, tuple[Callable[[], Any], str]]] = {
    "data_parallel": (
        lambda: nn.DataParallel(nn.Linear(2, 1)).state_dict(),
        "DataParallel: every name begins with `module.`",
    ),
    "averaged": (
        lambda: torch.optim.swa_utils.AveragedModel(nn.Linear(2, 1)).state_dict(),
        "AveragedModel: `module.` before names, and a counter",
    ),
    "compiled": (
        lambda: _prefixed("_orig_mod."),
        "torch.compile: every name begins with `_orig_mod.`",
    ),
    "fsdp": (
        lambda: {"_fsdp_wrapped_module._flat_param": nn.Parameter(torch.arange(3.0))},
        "FSDP 1: the Parameters of a module, flat and in one",
    ),
}


@saved("container:zip", each=WRAPPERS)
def state_dict_of(make: Callable[[], Any], what: str) -> object:
    """The state dict of {what}."""
    return make()

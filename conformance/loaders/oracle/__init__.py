"""`torch.load`, in each of its modes -> description; imports torch.

Runs in a `worker`, for torch crashes and hangs on some malformed files. Four
modes: `weights_only` or not, `mmap` or not. With `weights_only=False` torch
runs what the file asks for; so by default its real code is given a pickle
machine that keeps everything but data inert (`globals.py`), and only with `trust`
the whole of `torch.load(weights_only=False)`.
"""

from __future__ import annotations

import importlib
import pickle
import re
import warnings
from typing import Any, Final

import torch
import torch.serialization

from conformance.description import Description
from conformance.loaders.served import Served

from .describing import describe
from .globals import inert_pickle
from .map_location import ToCPU
from .script import is_torchscript, load_torchscript

__all__ = ["answer", "describe", "load"]


def load(
    path: str,
    *,
    weights_only: bool = True,
    mmap: bool = False,
    trust: bool = False,
    encoding: str = "utf-8",
) -> Description:
    """What torch reads in a file, or what torch raises.

    With `trust` and without `weights_only`, runs whatever the file asks for.
    """
    options: dict[str, Any] = {"map_location": ToCPU(), "encoding": encoding}
    _reset()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not weights_only and is_torchscript(path):
                root = load_torchscript(path, trust, options)
            elif weights_only:
                root = _load_weights(path, mmap, options)
            else:
                if not trust:
                    options["pickle_module"] = inert_pickle()
                root = torch.load(path, weights_only=False, mmap=mmap, **options)
            return describe(root)
    except (RuntimeError, OSError) as error:
        if _NO_MEMORY.search(str(error)):
            raise MemoryError(str(error)) from None
        raise
    finally:
        _reset()


#: What torch says when it was refused memory; it has no class for that.
_NO_MEMORY: Final = re.compile(
    r"can't allocate memory|not enough memory|bad_alloc|Cannot allocate memory"
)


def _reset() -> None:
    """Forgets what a load that failed has left behind in torch."""
    tls = torch.serialization._serialization_tls
    tls.map_location = None
    # A list of the process in 2.13, of the thread in 2.15.
    for owner, name in (
        (torch._utils, "_sparse_tensors_to_validate"),
        (tls, "sparse_tensors_to_validate"),
    ):
        getattr(owner, name, []).clear()


def _load_weights(path: str, mmap: bool, options: dict[str, Any]) -> Any:
    try:
        return torch.load(path, weights_only=True, mmap=mmap, **options)
    except pickle.UnpicklingError as error:
        # torch allows these classes, but only once their module is imported.
        if "must be imported" not in str(error):
            raise
    importlib.import_module("torch._dynamo")  # and all that it imports
    return torch.load(path, weights_only=True, mmap=mmap, **options)


answer = Served("torch", torch.__version__, load).answer

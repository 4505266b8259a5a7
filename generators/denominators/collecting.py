"""Every denominator, in the order of the report."""

from __future__ import annotations

import pickletools
import platform
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy
import torch

from . import classes, reduces, sources, values

#: Entries by their name, each with the paths that cover it.
Entries = dict[str, list[str]]


class Denominator(NamedTuple):
    """A set of things to cover: what it is called, and how it is found."""

    title: str
    found: str
    entries: Callable[[], Entries]


def opcodes() -> Entries:
    return {row.name: [f"opcode:{row.name}"] for row in pickletools.opcodes}


DENOMINATORS: Final = (
    Denominator(
        "rebuild functions",
        "every `_rebuild*` at the top of a module, in the source of torch",
        sources.rebuild_functions,
    ),
    Denominator(
        "branches of reduce methods",
        "every return of a `__reduce__` or `__reduce_ex__` written in Python, of the "
        "classes that `import torch` brings",
        reduces.branches,
    ),
    Denominator(
        "copyreg",
        "`copyreg.dispatch_table` after `import torch`",
        reduces.dispatch_table,
    ),
    Denominator(
        "classes that pickle themselves",
        "public classes that `import torch` brings, with a `__getstate__`, a "
        "`__setstate__`, or a `__reduce__` in C++, apart from modules, optimizers and "
        "schedulers",
        classes.pickling_themselves,
    ),
    Denominator(
        "weights_only allowlist",
        "`torch._weights_only_unpickler._get_allowed_globals()`, and what "
        "`import torch` adds with `add_safe_globals`",
        values.allowlist,
    ),
    Denominator(
        "storage classes",
        "`torch._storage_classes`",
        values.storage_classes,
    ),
    Denominator("dtypes", "every `torch.dtype`, as that of a tensor", values.dtypes),
    Denominator("layouts", "every `torch.layout`, as that of a tensor", values.layouts),
    Denominator(
        "quantization schemes",
        "every `torch.qscheme`, as that of a tensor",
        values.qschemes,
    ),
    Denominator(
        "memory formats",
        "every `torch.memory_format`, as the strides of a tensor",
        values.memory_formats,
    ),
    Denominator(
        "optimizers",
        "`torch.optim`, and torch's test database `optim_db`; whole ones",
        classes.optimizers,
    ),
    Denominator(
        "schedulers", "`torch.optim.lr_scheduler`; whole ones", classes.schedulers
    ),
    Denominator(
        "modules",
        "`torch.nn`, and torch's test database `module_db`; whole ones",
        classes.modules,
    ),
    Denominator("opcodes", "`pickletools.opcodes`", opcodes),
)


def collect() -> dict[str, Any]:
    """The document: versions, and every denominator with its entries."""
    return {
        "versions": {
            # Which build of torch, and which patch of Python, changes nothing here.
            "torch": torch.__version__.partition("+")[0],
            "numpy": numpy.__version__,
            "python": ".".join(platform.python_version_tuple()[:2]),
        },
        "denominators": [
            {"title": row.title, "found": row.found, "entries": row.entries()}
            for row in DENOMINATORS
        ],
    }

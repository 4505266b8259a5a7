"""Values and names of torch: the allowlist, storage classes, dtypes and the like."""

from __future__ import annotations

from typing import Any

import torch
import torch._weights_only_unpickler as weights_only


def allowlist() -> dict[str, list[str]]:
    """Every global that `weights_only=True` knows after `import torch`."""
    user: Any = weights_only._get_user_allowed_globals()
    names = sorted({*weights_only._get_allowed_globals(), *user})
    return {name: [f"global:{name}"] for name in names}


def storage_classes() -> dict[str, list[str]]:
    classes: Any = torch._storage_classes
    names = sorted(f"{kind.__module__}.{kind.__qualname__}" for kind in classes)
    return {name: [f"global:{name}"] for name in names}


def dtypes() -> dict[str, list[str]]:
    return _instances(torch.dtype, "dtype")


def layouts() -> dict[str, list[str]]:
    return _instances(torch.layout, "layout")


def qschemes() -> dict[str, list[str]]:
    return _instances(torch.qscheme, "qscheme")


def memory_formats() -> dict[str, list[str]]:
    return _instances(torch.memory_format, "memory-format")


def _instances(kind: type, prefix: str) -> dict[str, list[str]]:
    """Every value of a type that `torch` has, each once, under its own name."""
    names = sorted({str(v) for v in vars(torch).values() if isinstance(v, kind)})
    return {name: [f"{prefix}:{name.removeprefix('torch.')}"] for name in names}

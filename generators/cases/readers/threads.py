"""What the cases have in common that threads of other projects led to."""

from __future__ import annotations

from typing import Any

import torch


def issues(repository: str, *numbers: int) -> tuple[str, ...]:
    return tuple(f"https://github.com/{repository}/issues/{n}" for n in numbers)


def pulls(repository: str, *numbers: int) -> tuple[str, ...]:
    return tuple(f"https://github.com/{repository}/pull/{n}" for n in numbers)


def vulnerabilities(*ids: str) -> tuple[str, ...]:
    return tuple(f"https://www.cve.org/CVERecord?id={name}" for name in ids)


def claims(links: tuple[str, ...], *flags: str) -> dict[str, Any]:
    """What all cases here have."""
    return {"directory": "reported", "links": links, "flags": ("user-report", *flags)}


def count(*size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A tensor of the numbers 0, 1, 2 ..."""
    return torch.arange(torch.Size(size).numel()).reshape(size).to(dtype)

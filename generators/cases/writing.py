"""Writes cases into a folder, with a manifest of what is claimed of them."""

from __future__ import annotations

import hashlib
import json
import platform
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy
import torch

from ..saving import stable_keys
from .flags import FLAGS
from .registry import CASES, Case

#: The file beside the cases that says what they are.
MANIFEST: Final = "manifest.json"


def provenance() -> dict[str, str]:
    """The programs that decide which bytes are written."""
    return {
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }


def bytes_of(case: Case) -> bytes:
    """The file of a case: the same bytes every time, on one torch."""
    with (
        torch.random.fork_rng(devices=[]),
        stable_keys(),
        warnings.catch_warnings(),
    ):
        # Of things in beta, and of things that torch will drop.
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        return case.make()


def write(
    folder: Path,
    cases: Iterable[Case] | None = None,
    *,
    undisclosed: bool = False,
    step: Callable[[str], None] = lambda _: None,
) -> int:
    """The cases' files, and `manifest.json`; how many there are.

    All cases by default. `step` is told of each file before it is made.
    """
    entries: list[dict[str, Any]] = []
    for case in CASES.values() if cases is None else cases:
        if case.undisclosed and not undisclosed:
            continue
        step(case.file)
        data = bytes_of(case)
        path = folder / case.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        entry = {**asdict(case), "sha256": hashlib.sha256(data).hexdigest()}
        del entry["make"]
        entries.append(entry)
    manifest = {"provenance": provenance(), "flags": FLAGS, "cases": entries}
    text = json.dumps(manifest, indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return len(entries)

"""Copies the corpus, or a part of it, into somebody else's repository."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from .format import (
    CASES,
    INDEX,
    PAPERS,
    Case,
    encode,
    encode_index,
    read,
    read_index,
)

#: Says which corpus the copies are of, and marks a folder as an export.
VERSION: Final = "VERSION"


class ExportError(Exception):
    """Nothing was written; the message says why."""


def export(
    corpus: Path, target: Path, wanted: Callable[[Case], bool] = lambda _: True
) -> int:
    """Copies the wanted cases with their papers and the licence; how many.

    An earlier export in `target` is replaced, as a whole or not at all; anything
    else that is there raises `ExportError`.
    """
    if target.exists() and any(target.iterdir()) and not (target / VERSION).exists():
        raise ExportError(
            f"{target} is not empty, and no export; name a folder that is not there"
        )
    index = read_index(corpus)
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        counts: dict[str, int] = {}
        for folder, directory in read(corpus):
            chosen = tuple(case for case in directory.cases if wanted(case))
            if not chosen:
                continue
            counts[directory.directory] = len(chosen)
            copy = staging / directory.directory
            copy.mkdir(parents=True)
            for case in chosen:
                shutil.copyfile(folder / case.file, copy / case.file)
            kept = msgspec.structs.replace(directory, cases=chosen)
            (copy / CASES).write_bytes(encode(kept))
        if not counts:
            raise ExportError("no case is like that")
        for paper in PAPERS - {INDEX}:
            shutil.copyfile(corpus / paper, staging / paper)
        index = msgspec.structs.replace(index, directories=counts)
        (staging / INDEX).write_bytes(encode_index(index))
        (staging / "LICENSE").write_text(licence(corpus), encoding="utf-8")
        (staging / VERSION).write_text(
            f"torchproof {index.version}\n"
            f"corpus format {index.format}, judged by {index.judged_by}\n"
            f"{sum(counts.values())} cases\n",
            encoding="utf-8",
        )
        staging.chmod(0o755)
        _swap(staging, target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return sum(counts.values())


def licence(corpus: Path) -> str:
    """The licence of the files: beside the corpus, or with the distribution."""
    for path in (corpus / "LICENSE", corpus.parent / "LICENSE"):
        if path.is_file():
            return path.read_text(encoding="utf-8")
    for file in metadata.files("torchproof") or ():
        if file.name == "LICENSE":
            return file.read_text(encoding="utf-8")
    raise ExportError("this installation has lost its licence")


def _swap(staging: Path, target: Path) -> None:
    old = None
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        os.replace(target, old)
    os.replace(staging, target)
    if old is not None:
        shutil.rmtree(old)

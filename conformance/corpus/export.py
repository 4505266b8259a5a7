"""Copies the corpus, or a part of it, into somebody else's repository."""

from __future__ import annotations

import shutil
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
from .swapping import beside, swap

#: Says which corpus the copies are of ...
VERSION: Final = "VERSION"
#: ... and begins so, which marks a folder as an export.
MARK: Final = "torchproof "


class ExportError(Exception):
    """Nothing was written; the message says why."""


def export(
    corpus: Path, target: Path, wanted: Callable[[Case], bool] = lambda _: True
) -> int:
    """Copies the wanted cases with their papers and the licence; how many.

    An earlier export in `target` is replaced, as a whole or not at all; anything
    else that is there raises `ExportError`.
    """
    target = target.resolve()
    _check(target)
    staging = beside(target)
    try:
        count = _copy(corpus, staging, wanted)
        staging.chmod(0o755)
        swap(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return count


def _check(target: Path) -> None:
    """Whether nothing would be lost there."""
    if not target.exists():
        return
    if not target.is_dir():
        raise ExportError(f"{target} is a file; name a folder")
    if target in (Path.cwd(), *Path.cwd().parents):
        raise ExportError(f"{target} is where you are; name another folder")
    found = {path for path in target.rglob("*") if path.is_file()}
    if not found:
        return
    version = target / VERSION
    ours = version in found and version.read_bytes().startswith(MARK.encode())
    try:
        known = {version, target / "LICENSE", *(target / name for name in PAPERS)}
        for folder, directory in read(target) if ours else ():
            known |= {folder / CASES, *(folder / one.file for one in directory.cases)}
    except ValueError as error:
        raise ExportError(f"{target} has a {CASES} that is none: {error}") from None
    strangers = sorted(found - known) if ours else sorted(found)
    if strangers:
        raise ExportError(
            f"{target} is not empty: {strangers[0].relative_to(target)} is no part of "
            "an export; name a folder that is not there"
        )


def _copy(corpus: Path, staging: Path, wanted: Callable[[Case], bool]) -> int:
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
    # Of which family a case is, only the whole corpus knows.
    index = msgspec.structs.replace(read_index(corpus), directories=counts, families={})
    (staging / INDEX).write_bytes(encode_index(index))
    (staging / "LICENSE").write_text(licence(corpus), encoding="utf-8")
    (staging / VERSION).write_text(
        f"{MARK}{index.version}\n"
        f"corpus format {index.format}, judged by {index.judged_by}\n"
        f"{sum(counts.values())} cases\n",
        encoding="utf-8",
    )
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

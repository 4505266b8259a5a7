"""Puts a new folder in the place of an old one, or leaves the old one there."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path


def beside(target: Path) -> Path:
    """A new folder on the same disk, to be filled and then swapped in."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))


def swap(new: Path, target: Path) -> None:
    """`new` becomes `target`; whatever fails on the way, one of the two is there.

    Both are on one disk. Raises `OSError` with the old folder in its place.
    """
    if not target.exists():
        os.rename(new, target)
        return
    aside = beside(target) / "old"
    try:
        os.rename(target, aside)
        try:
            os.rename(new, target)
        except BaseException:
            os.rename(aside, target)
            raise
    finally:
        shutil.rmtree(aside.parent, ignore_errors=True)

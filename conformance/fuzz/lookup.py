"""Targets by name."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from pathlib import Path

from .target import Target
from .words import Words


class NoTarget(LookupError):
    """There is no target of that name; the message says which there are."""


def find(name: str) -> Target:
    """A target of ours by its name, or any other as `module:name`.

    Raises `NoTarget`. Imports what it finds, and with that the parser.
    """
    module, _, attribute = name.rpartition(":")
    if module:
        try:
            found = getattr(importlib.import_module(module), attribute, None)
        except ImportError as error:
            raise NoTarget(f"{module} cannot be imported: {error}") from error
        if not isinstance(found, Target):
            raise NoTarget(f"there is no target {attribute!r} in {module}")
        return found
    from .targets import TARGETS

    if name not in TARGETS:
        known = ", ".join(TARGETS)
        raise NoTarget(f"there is no target {name!r}; choose from {known}")
    return TARGETS[name]


def runnable() -> dict[str, Target]:
    """Ours, without those that need torch where there is none."""
    from .targets import TARGETS

    return {
        name: target
        for name, target in TARGETS.items()
        if torch() or not target.needs_torch
    }


def torch() -> bool:
    """Whether there is one."""
    return importlib.util.find_spec("torch") is not None


@functools.cache
def default_words(kept: Path | None = None) -> Words:
    """The words of the parser's tables and of the corpus that comes with torchproof.

    They take seconds to gather, so they can be kept in a file.
    """
    from .words import build, cached

    return build() if kept is None else cached(kept)

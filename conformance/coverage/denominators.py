"""What there is to cover, asked of the torch that is installed.

In a process of its own: nothing here imports torch. What no file can show
stands in `uncoverable.toml`, with the reason.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

UNCOVERABLE: Final = Path(__file__).parent / "uncoverable.toml"


class Denominator(msgspec.Struct, frozen=True):
    """Things to cover by name, each with the paths that cover it."""

    title: str
    found: str
    entries: dict[str, tuple[str, ...]]


class Denominators(msgspec.Struct, frozen=True):
    """All of them, and the versions of what was asked."""

    versions: dict[str, str]
    denominators: tuple[Denominator, ...]


class Unavailable(Exception):
    """torch is not there, or cannot say; the message is its own last line."""


def ask() -> Denominators:
    """What `python -m generators.denominators` says; `Unavailable` if it cannot."""
    done = subprocess.run(
        [sys.executable, "-m", "generators.denominators"],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise Unavailable(said[-1] if said else f"exit status {done.returncode}")
    return msgspec.json.decode(done.stdout, type=Denominators)


@dataclass(frozen=True, slots=True)
class Uncoverable:
    """A row of `uncoverable.toml`: entries of a denominator, and why not."""

    denominator: str
    entry: str
    reason: str

    def matches(self, title: str, entry: str) -> bool:
        """Whether it speaks of this entry; `*` stands for anything."""
        return title == self.denominator and fnmatchcase(entry, self.entry)


def uncoverable(path: Path = UNCOVERABLE) -> tuple[Uncoverable, ...]:
    """The rows of the table, in its order."""
    table = tomllib.loads(path.read_text("utf-8"))
    return tuple(
        msgspec.convert({"denominator": title, **row}, type=Uncoverable)
        for title, rows in table.items()
        for row in rows
    )

"""The planted bugs: a table, their patches, and trees that have one of them."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT: Final = Path(__file__).parents[2]
PLANTED: Final = Path(__file__).parent / "planted"

#: What the copy of a tree shares with it.
_LINKED: Final = ("corpus", "generators", "tests")


# -------------------------------------------------------------------- the table


@dataclass(frozen=True, slots=True)
class Bug:
    """A row of the table.

    `broken` says what is wrong, `targets` which should find it, the likeliest
    first. `survives` is the reason why none does, if that is known.
    """

    id: str
    broken: str
    targets: tuple[str, ...]
    survives: str = ""

    @property
    def patch(self) -> Path:
        """The bug itself, as a unified diff."""
        return PLANTED / f"{self.id}.patch"


def bugs() -> list[Bug]:
    """Every row, in the order of the table."""
    table = tomllib.loads((PLANTED / "bugs.toml").read_text(encoding="utf-8"))
    return [Bug(**{**row, "targets": tuple(row["targets"])}) for row in table["bug"]]


# --------------------------------------------------------------------- the tree


class Stale(Exception):
    """A patch does not apply any more: it has to be kept up with the parser."""


@contextlib.contextmanager
def planted(bug: Bug) -> Iterator[Path]:
    """A tree like this one, but for the bug; only the parser is a copy."""
    with tempfile.TemporaryDirectory(prefix="planted-") as name:
        tree = Path(name).resolve()
        (tree / "conformance").mkdir()
        for entry in (ROOT / "conformance").iterdir():
            if entry.name not in ("parser", "__pycache__"):
                (tree / "conformance" / entry.name).symlink_to(entry)
        shutil.copytree(
            ROOT / "conformance" / "parser",
            tree / "conformance" / "parser",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        for linked in _LINKED:
            (tree / linked).symlink_to(ROOT / linked)
        apply(bug.patch, tree)
        yield tree


def apply(patch: Path, tree: Path) -> None:
    """Applies a patch to a tree, exactly; raises `Stale` where it does not fit.

    What counts is the text around a change, not the numbers of its lines.
    """
    _, *files = _FILE.split(patch.read_text(encoding="utf-8"))
    for name, changes in zip(files[::2], files[1::2], strict=True):
        path = tree / name
        text = path.read_text(encoding="utf-8")
        for change in _HUNK.split(changes)[1:]:
            before, after = (
                "".join(line[1:] for line in change.splitlines(True) if line[0] in kept)
                for kept in (" -", " +")
            )
            if text.count(before) != 1:
                raise Stale(
                    f"{patch.name} does not apply: {name} has changed, "
                    "and the patch must be written anew"
                )
            text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")


#: What begins the changes of a file, and each of them.
_FILE: Final = re.compile(r"^--- a/.*\n\+\+\+ b/(.*)\n", re.MULTILINE)
_HUNK: Final = re.compile(r"^@@ .*\n", re.MULTILINE)

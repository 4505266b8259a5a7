"""The loaders that are known here, each behind a small program of its own.

An adapter is a script that speaks the protocol (`conformance.loaders.protocol`)
and calls its loader's public interface. It runs where its loader is installed,
which may be an environment without torchproof. `loaders.toml` says how to run
each, and what it needs; `docs/loaders.md` is about them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True)
class Known:
    """A row of `loaders.toml`."""

    id: str
    command: tuple[str, ...]
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    install: str = ""

    @property
    def variable(self) -> str:
        """The environment variable that names the Python which has the loader."""
        return "TORCHPROOF_PYTHON_" + self.id.upper().replace("-", "_")


@dataclass(frozen=True)
class Absent:
    """A loader that cannot run here, why, and how to get it."""

    reason: str
    install: str


def _known(id: str, row: dict[str, Any]) -> Known:
    lists = {key: tuple(row.get(key, ())) for key in ("command", "modules", "programs")}
    return Known(id, install=row.get("install", ""), **lists)


LOADERS: Final = {
    id: _known(id, row)
    for id, row in tomllib.loads((FOLDER / "loaders.toml").read_text("utf-8")).items()
}


def command_of(id: str) -> tuple[str, ...] | Absent:
    """How to start an adapter; raises `KeyError` for an id that is not known.

    The modules are not looked for in a Python that a variable names: if they
    are not there, the adapter says so.
    """
    known = LOADERS[id]
    python = os.environ.get(known.variable)
    missing = [name for name in known.programs if shutil.which(name) is None]
    if python is None:
        missing += [name for name in known.modules if not _installed(name)]
    if missing:
        return Absent(f"there is no {' and no '.join(missing)}", known.install)
    script, *arguments = known.command
    return (python or sys.executable, str(FOLDER / script), *arguments)


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None

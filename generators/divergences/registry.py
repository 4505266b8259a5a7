"""The list of cases: one function each, its name the name of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

#: Writes one file: answers its bytes.
Case = Callable[[], bytes]

#: Every case by its file's name.
CASES: Final[dict[str, Case]] = {}


def case(suffix: str = ".pt") -> Callable[[Case], Case]:
    """Makes a function a case: `function.__name__` and `suffix` name the file."""

    def register(function: Case) -> Case:
        file = function.__name__ + suffix
        if file in CASES:
            raise ValueError(f"two cases are called {file}")
        if not function.__doc__:
            raise ValueError(f"{file} does not say what it shows")
        CASES[file] = function
        return function

    return register


def write(folder: Path) -> None:
    """Every case as a file in the folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, function in CASES.items():
        (folder / file).write_bytes(function())

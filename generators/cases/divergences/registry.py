"""The list of cases: one function each, its name the name of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

#: Writes one file: answers its bytes.
Case = Callable[[], bytes]

#: Every case by its file's name.
CASES: Final[dict[str, Case]] = {}

#: Those that crash another reader, or make it show its memory, in a way that
#: its maintainers may not know of yet: built when a test wants them, and never
#: kept as files (SECURITY.md).
UNDISCLOSED: Final[set[str]] = set()


def case(suffix: str = ".pt", *, undisclosed: bool = False) -> Callable[[Case], Case]:
    """Makes a function a case: `function.__name__` and `suffix` name the file."""

    def register(function: Case) -> Case:
        file = function.__name__ + suffix
        if file in CASES:
            raise ValueError(f"two cases are called {file}")
        if not function.__doc__:
            raise ValueError(f"{file} does not say what it shows")
        CASES[file] = function
        if undisclosed:
            UNDISCLOSED.add(file)
        return function

    return register


def write(folder: Path, *, undisclosed: bool = False) -> list[str]:
    """The cases as files in the folder, which is made if need be; their names."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [file for file in CASES if undisclosed or file not in UNDISCLOSED]
    for file in files:
        (folder / file).write_bytes(CASES[file]())
    return files

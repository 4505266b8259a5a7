"""Which lines and branches of rebuild functions the cases reach.

`reached` finds out, in a process of its own: there is only one tracer in a
process, and torch may crash.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from typing import Final, Literal

import msgspec

#: Of coverage.py, which decides what counts as a line.
VERSION: Final = metadata.version("coverage")

Reader = Literal["ours", "torch"]


class Subject(msgspec.Struct, frozen=True):
    """A file to read."""

    id: str
    file: str
    encoding: str


class Request(msgspec.Struct, frozen=True):
    """Cases, and for each path those that exercise it, by id."""

    reader: Reader
    cases: tuple[Subject, ...]
    paths: dict[str, tuple[str, ...]]


class Lines(msgspec.Struct, frozen=True):
    """How much of a function, and of what it calls in its module, was run.

    `lines` and `branches` are how many were reached, and how many there are;
    `missing` the numbers of the lines that were not.
    """

    function: str
    module: str
    lines: tuple[int, int]
    branches: tuple[int, int]
    missing: tuple[int, ...]


class MeasuringFailed(Exception):
    """The process that measures has ended; the message says how."""


def measure(request: Request) -> dict[str, Lines]:
    """The answer of the program, by path; raises `MeasuringFailed`.

    A path that no Python function stands behind is not in the answer.
    """
    done = subprocess.run(
        [sys.executable, "-m", "conformance.coverage.reached"],
        input=msgspec.json.encode(request),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        last = said[-1] if said else "and said nothing"
        raise MeasuringFailed(f"exit status {done.returncode}: {last}")
    return msgspec.json.decode(done.stdout, type=dict[str, Lines])

"""Which lines and branches of the parser the corpora of the campaigns reach.

Each target is run on its corpus and seeds under coverage.py, without atheris, in
a process of its own: what counts is what the files do, whoever made them.

    python -m conformance.fuzz.campaign.reach TARGET DATA FOLDER...
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import coverage
import msgspec

from ..lookup import find
from .job import environment

#: What is measured.
PACKAGE: Final = "conformance.parser"

#: One input in so many is run thoroughly: what only the costly invariants reach,
#: a few inputs reach as well as all.
THOROUGH: Final = 16

#: How many were reached, and how many there are.
Count = tuple[int, int]


class ReachFailed(Exception):
    """A target died of its corpus; the message says how."""


class FileReach(msgspec.Struct, frozen=True):
    """One file of the parser; `missing` are line numbers, or from where to where."""

    file: str
    lines: Count
    branches: Count
    missing: tuple[str, ...]
    missing_branches: tuple[str, ...]

    @property
    def part(self) -> float:
        """Of lines and branches together."""
        whole = self.lines[1] + self.branches[1]
        return (self.lines[0] + self.branches[0]) / whole if whole else 1.0


class Row(msgspec.Struct, frozen=True):
    """What one target reaches of the whole parser, or all of them together."""

    name: str
    lines: Count
    branches: Count


class Reached(msgspec.Struct, frozen=True):
    """By target, then all together; and that for each file."""

    rows: tuple[Row, ...]
    files: tuple[FileReach, ...]


def reach(folders: Mapping[str, Path]) -> Reached:
    """What each target reaches with the campaign in its folder.

    Raises `ReachFailed`.
    """
    names = list(folders)
    with tempfile.TemporaryDirectory() as scratch:
        parts = [str(Path(scratch, f"part{number}")) for number in range(len(names))]

        def measure(number: int) -> None:
            folder = folders[names[number]].resolve()
            _measure(
                names[number], parts[number], [folder / "corpus", folder / "seeds"]
            )

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(measure, range(len(names))):
                pass
        rows = [
            _row(name, _report(scratch, [part]))
            for name, part in zip(names, parts, strict=True)
        ]
        report = _report(scratch, parts)
    rows.append(_row("together", report))
    return Reached(tuple(rows), tuple(_files(report)))


def _measure(target: str, data: str, folders: Sequence[Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", __name__, target, data, *folders],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        last = said[-1] if said else "and said nothing"
        raise ReachFailed(f"{target}, exit status {done.returncode}: {last}")


def _coverage(data: str) -> coverage.Coverage:
    made = coverage.Coverage(
        data_file=data, branch=True, config_file=False, source_pkgs=[PACKAGE]
    )
    # Imports for the type checker alone.
    made.set_option("report:exclude_also", ["if TYPE_CHECKING:"])
    return made


def _report(scratch: str, parts: Sequence[str]) -> Any:
    """coverage.py's own JSON, of these parts together."""
    union = _coverage(str(Path(scratch, "union")))
    union.combine(list(parts), strict=True, keep=True)
    file = Path(scratch, "report.json")
    union.json_report(outfile=str(file))
    union.erase()
    return json.loads(file.read_bytes())


def _counts(summary: Mapping[str, Any]) -> tuple[Count, Count]:
    return (
        (summary["covered_lines"], summary["num_statements"]),
        (summary["covered_branches"], summary["num_branches"]),
    )


def _row(name: str, report: Mapping[str, Any]) -> Row:
    return Row(name, *_counts(report["totals"]))


def _files(report: Mapping[str, Any]) -> list[FileReach]:
    folder = PACKAGE.replace(".", "/")
    return [
        FileReach(
            folder + path.replace("\\", "/").rpartition(folder)[2],
            *_counts(found["summary"]),
            tuple(map(str, found["missing_lines"])),
            tuple(
                f"{here}->{there if there > 0 else 'exit'}"
                for here, there in found["missing_branches"]
                if here not in found["missing_lines"]
            ),
        )
        for path, found in report["files"].items()
    ]


# ------------------------------------------------------------- the process itself


def _run(name: str, file: str, folders: Sequence[str]) -> None:
    """The target on every input; what it reached goes into the file."""
    measuring = _coverage(file)
    measuring.start()
    importlib.import_module(PACKAGE)
    target = find(name)
    for folder in folders:
        for path in sorted(Path(folder).iterdir()):
            data = path.read_bytes()
            # What it raises is a finding of the campaign, and no matter here.
            try:
                target.run(data, not crc32(data) % THOROUGH)
            except Exception:  # noqa: BLE001, S112
                continue
    measuring.stop()
    measuring.save()


if __name__ == "__main__":
    _run(sys.argv[1], sys.argv[2], sys.argv[3:])

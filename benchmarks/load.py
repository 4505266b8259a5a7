"""`load()` beside `torch.load(mmap=True)`: how long until there is a tree.

    python -m benchmarks.load [--json FILE] [--repeat N]

Both map the file and read no storage until someone asks, so the first rows
measure the container, the pickle and the rebuilding alone; the last ones also
touch every byte. All calls on a file take turns in one process, with the file
in the page cache. A ratio is the median of ours over the median of torch's in
the same run: below 1 is faster.

The mark: never slower than `torch.load(mmap=True, weights_only=False)`. Exits
with 1 if a row misses it.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from conformance.parser import load
from generators import resnet18

SMALL_TENSORS: Final = 20_000

Call = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One measurement; times are medians, in milliseconds.

    `ratio` is the median of ours over the median of torch's, `mark` whether it
    has to be at most 1.
    """

    file: str
    weights_only: bool
    touched: bool
    ours: float
    torch: float
    ratio: float
    mark: bool

    @property
    def missed(self) -> bool:
        return self.mark and self.ratio > 1


def _small(path: Path) -> None:
    """A state dict of many tensors of four floats, each on its own storage."""
    numbers = torch.arange(4 * SMALL_TENSORS, dtype=torch.float32).reshape(-1, 4)
    torch.save({f"layer{n}.weight": row.clone() for n, row in enumerate(numbers)}, path)


def files(folder: Path) -> dict[str, Path]:
    """The two checkpoints, written afresh, by the name of their row."""
    small = folder / "small.pth"
    _small(small)
    written = resnet18.write(folder)
    return {
        "ResNet-18": written["resnet18.pth"],
        f"{SMALL_TENSORS:,} tensors": small,
    }


def _touch(arrays: Iterable[np.ndarray[Any, Any]]) -> int:
    """Read every byte, as cheaply as numpy can."""
    return sum(
        int(np.bitwise_xor.reduce(array.reshape(-1).view(np.uint8))) for array in arrays
    )


def calls(path: Path, *, weights_only: bool, touched: bool) -> tuple[Call, Call]:
    """Ours and torch's, doing the same to the same file."""

    def ours() -> object:
        tree = load(path, weights_only=weights_only)
        return _touch(t.numpy() for t in tree.values()) if touched else tree

    def theirs() -> object:
        tree = torch.load(path, weights_only=weights_only, mmap=True)
        return _touch(t.numpy() for t in tree.values()) if touched else tree

    return ours, theirs


def medians(pair: tuple[Call, Call], repeat: int) -> tuple[float, float]:
    """The median times of two calls that take turns, in milliseconds.

    Each turn begins with the other one's garbage collected, and every second
    turn the other goes first.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeat + 1):
        for which in (0, 1) if turn % 2 else (1, 0):
            gc.collect()
            start = time.perf_counter()
            kept = pair[which]()
            spent = time.perf_counter() - start
            del kept
            if turn:  # The first turn warms up.
                times[which].append(spent * 1e3)
    return statistics.median(times[0]), statistics.median(times[1])


def measure(paths: Mapping[str, Path], repeat: int) -> list[Row]:
    """All rows, in the order of the table."""
    rows = []
    for name, path in paths.items():
        for weights_only, touched in ((False, False), (True, False), (False, True)):
            pair = calls(path, weights_only=weights_only, touched=touched)
            ours, theirs = medians(pair, repeat)
            rows.append(
                Row(
                    file=name,
                    weights_only=weights_only,
                    touched=touched,
                    ours=ours,
                    torch=theirs,
                    ratio=ours / theirs,
                    mark=not weights_only,
                )
            )
    return rows


def show(rows: Sequence[Row], repeat: int) -> None:
    """The rows as a table for the terminal."""
    table = Table(
        title=f"load() beside torch.load(mmap=True), torch {torch.__version__}",
        caption=f"ms, medians of {repeat} turns; the mark is a ratio of at most 1",
    )
    for column in ("file", "weights_only", "bytes"):
        table.add_column(column, no_wrap=True)
    for column in ("ours", "torch", "ratio"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("mark")
    for row in rows:
        table.add_row(
            row.file,
            str(row.weights_only),
            "read" if row.touched else "left",
            f"{row.ours:.1f}",
            f"{row.torch:.1f}",
            f"{row.ratio:.2f}",
            "missed" if row.missed else "kept" if row.mark else "",
        )
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, and tell whether the mark was kept (0) or missed (1)."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    parser.add_argument("--repeat", type=int, default=15, help="turns of each call")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # torch calls arrays on mapped storages not writable.
        warnings.simplefilter("ignore", UserWarning)
        rows = measure(files(Path(folder)), options.repeat)
    show(rows, options.repeat)
    if options.json:
        report = {
            "torch": torch.__version__,
            "python": sys.version.split()[0],
            "repeat": options.repeat,
            "rows": [asdict(row) | {"missed": row.missed} for row in rows],
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if any(row.missed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

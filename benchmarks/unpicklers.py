"""Our pickle machine beside torch's own: executions per second under atheris.

    python -m benchmarks.unpicklers [--json FILE] [--inputs N] [--turns N]

What a fuzzer gets done in a second. Both machines read the same inputs in the
same order: mutants of the corpus' pickles, made once by the mutator of the
campaigns; and, to compare, those pickles themselves. Each turn is a process of its
own, the machines take turns, and a ratio is that of the medians.

ours   `conformance.parser`, all of it instrumented: the pickle machine with
       weights_only=True, our rebuild functions, our checks.
torch  `torch._weights_only_unpickler` and `torch._utils` instrumented: the
       unpickler of weights_only=True, torch's rebuild functions, and its check of
       sparse tensors afterwards.

Neither opens a container: both get storages of zeros and ascending numbers, of at
most 8 KiB, for whatever key a pickle asks for. libFuzzer runs without a mutator,
which would cost the same on both sides.

Both are instrumented as atheris does by itself, and once more as our campaigns are,
without comparisons: those cost torch's machine more, which compares each opcode with
one after the other.

The mark: ours at least twice as fast with mutants, as atheris instruments. Exits with
1 if it misses it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import atheris
import msgspec
from rich.console import Console
from rich.table import Table

#: At least so many times as fast as torch.
MARK: Final = 2.0
#: What a turn may map beyond what it has at the start, in bytes.
MEMORY: Final = 1 << 28
SEED: Final = 0
#: Bytes of a pickle that is mutated.
LARGEST: Final = 1 << 14
#: Seconds for a turn; an input on which a machine hangs ends the measurement.
PATIENCE: Final = 300

#: Given a pickle, gives a tree or raises.
Read = Callable[[bytes], object]


@dataclass(frozen=True)
class Turn:
    """Executions per second of processor time, and how many inputs were read."""

    rate: float
    loaded: int


# ------------------------------------------------------------------------- inputs


def inputs(count: int) -> dict[str, list[bytes]]:
    """The same every time: pickles that every reader must load, and mutants.

    Others are made to cost a reader without limits seconds, or for ever.
    """
    from conformance.corpus.format import cases, corpus_folder
    from conformance.corpus.paths import traced
    from conformance.fuzz import words
    from conformance.fuzz.mutation import pickles

    random = Random(SEED)  # noqa: S311
    found: dict[bytes, None] = {}
    for path, case in cases(corpus_folder()):
        if case.verdict == "valid" and not case.ledger:
            found.update(dict.fromkeys(traced(path, case.encoding).pickles or ()))
    known = [data for data in found if len(data) <= LARGEST]
    dictionary = words.build()
    made = [
        pickles.mutate(random.choice(known), random, dictionary) for _ in range(count)
    ]
    return {"mutants": made, "pickles of the corpus": known}


# ---------------------------------------------------------------------- the sides


def _ours(comparisons: bool) -> tuple[Read, type[Exception]]:
    from conformance.fuzz.campaign.engine import instrumented

    with instrumented(["conformance.parser"], comparisons=comparisons):
        from conformance.fuzz.invariants.reading import WEIGHTS
        from conformance.fuzz.targets import machine
        from conformance.parser import CheckpointError

    return lambda data: machine.read(data, WEIGHTS), CheckpointError


def _torch(comparisons: bool) -> tuple[Read, type[Exception]]:
    import io

    from conformance.fuzz.campaign.engine import instrumented

    modules = ["torch._weights_only_unpickler", "torch._utils"]
    with instrumented(modules, comparisons=comparisons):
        import torch

    size = 1 << 13
    fills = (bytes(size), b"".join(n.to_bytes(8, "little") for n in range(size // 8)))
    storages = [
        torch.frombuffer(bytearray(fill), dtype=torch.uint8).untyped_storage()
        for fill in fills
    ]

    def read(data: bytes) -> object:
        made: dict[Any, Any] = {}

        def persistent_load(pid: Any) -> Any:
            what, kind, key, _, numel = pid
            if what != "storage":
                raise ValueError
            if key not in made:
                dtype = torch.uint8 if kind is torch.UntypedStorage else kind.dtype
                nbytes = numel * dtype.itemsize
                if not 0 <= nbytes <= size:
                    raise ValueError
                fill = storages[f"{key}"[-1:] in "13579"]
                made[key] = torch.storage.TypedStorage(
                    wrap_storage=fill[:nbytes], dtype=dtype, _internal=True
                )
            return made[key]

        torch._utils._sparse_tensors_to_validate.clear()
        machine: Any = torch._weights_only_unpickler.Unpickler(
            io.BytesIO(data), encoding="utf-8"
        )
        machine.persistent_load = persistent_load
        tree = machine.load()
        torch._utils._validate_loaded_sparse_tensors()
        return tree

    # It raises whatever it likes.
    return read, Exception


SIDES: Final = {"ours": _ours, "torch": _torch}


def run(side: str, path: Path, comparisons: bool) -> None:
    """One turn, in this process, and its end: prints a `Turn`."""
    from conformance.fuzz.campaign.engine import limit_memory

    read, refusal = SIDES[side](comparisons)
    given = msgspec.msgpack.decode(path.read_bytes(), type=list[bytes])
    limit_memory(MEMORY)
    executions = loaded = 0
    begin = 0.0

    def one(data: bytes) -> None:
        nonlocal executions, loaded, begin
        if executions == len(given):
            loaded = 0
            begin = time.process_time()
        executions += 1
        try:
            read(data)
            loaded += 1
        except refusal:
            pass
        if executions == 2 * len(given):
            turn = Turn(len(given) / (time.process_time() - begin), loaded)
            os.write(1, json.dumps(asdict(turn)).encode())
            os._exit(0)

    def serve(_data: bytes, _size: int, _seed: int) -> bytes:
        return given[executions % len(given)]

    longest = max(map(len, given))
    options = [f"-max_len={longest}", "-seed=1", "-rss_limit_mb=0", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=serve)
    atheris.Fuzz()


def turn(side: str, path: Path, comparisons: bool) -> Turn:
    """One turn, in a process of its own."""
    told = ["--side", side, str(path), *(["--comparisons"] if comparisons else [])]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.unpicklers", *told],
        check=True,
        timeout=PATIENCE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
    )
    return Turn(**json.loads(done.stdout))


@dataclass(frozen=True)
class Row:
    """Both machines on one kind of inputs; `mark` tells whether it counts."""

    inputs: str
    count: int
    ours: list[Turn]
    torch: list[Turn]
    mark: bool

    @property
    def ratio(self) -> float:
        return _median(self.ours) / _median(self.torch)

    @property
    def missed(self) -> bool:
        return self.mark and self.ratio < MARK


def _median(turns: list[Turn]) -> float:
    return statistics.median(turn.rate for turn in turns)


def measure(count: int, turns: int) -> list[Row]:
    """All rows; the machines take turns, and every second time the other begins."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inputs"
        for name, given in inputs(count).items():
            path.write_bytes(msgspec.msgpack.encode(given))
            for comparisons in (True, False):
                taken: dict[str, list[Turn]] = {side: [] for side in SIDES}
                for number in range(turns):
                    for side in list(SIDES)[:: -1 if number % 2 else 1]:
                        taken[side].append(turn(side, path, comparisons))
                what = name if comparisons else f"{name}, no comparisons"
                mark = comparisons and name == "mutants"
                rows.append(Row(what, len(given), **taken, mark=mark))
    return rows


def show(rows: Sequence[Row], turns: int) -> None:
    """The rows as a table for the terminal."""
    table = Table(
        title="the pickle machine under atheris, weights_only=True",
        caption=f"executions per second, medians of {turns} turns; in brackets, how "
        f"many inputs were read; the mark is a ratio of {MARK:g}",
    )
    table.add_column("inputs", no_wrap=True)
    for column in ("ours", "torch", "ratio"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("mark")
    for row in rows:
        table.add_row(
            f"{row.count:,} {row.inputs}",
            *(
                f"{_median(taken):,.0f} ({taken[0].loaded:,})"
                for taken in (row.ours, row.torch)
            ),
            f"{row.ratio:.2f}",
            "missed" if row.missed else "kept" if row.mark else "",
        )
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, and tell whether the mark was kept (0) or missed (1)."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.unpicklers", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    parser.add_argument("--inputs", type=int, default=10_000, help="how many mutants")
    parser.add_argument("--turns", type=int, default=5, help="of each machine")
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--comparisons", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.side:
        side, file = options.side
        run(side, Path(file), options.comparisons)
        return 0
    rows = measure(options.inputs, options.turns)
    show(rows, options.turns)
    if options.json:
        report = {
            "python": sys.version.split()[0],
            "turns": options.turns,
            "rows": [asdict(row) | {"ratio": row.ratio} for row in rows],
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if any(row.missed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

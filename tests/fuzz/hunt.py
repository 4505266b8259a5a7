"""One target in the tree that this process was started in: seeds, then mutants.

    python -m tests.fuzz.hunt TARGET STOCK --number FILE [--start N] [--stop N]
                              [--ignore SIGNATURE]...

STOCK is a file of seeds and words. Inputs have numbers: the seeds come first,
and from then on each is a mutant of some seed, made from its number alone. So
another process, in another tree, can do exactly the same. Each number is
written to the file before its input is run, for whoever wants to know at which
this process died. The first signature that is not to be ignored ends the
process; it is written to standard output with number and message, in JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import mmap
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from conformance import parser
from conformance.fuzz.lookup import default_words, find
from conformance.fuzz.target import Target, signature
from conformance.fuzz.words import Words

#: Seconds for one input, after which the process is killed: it hangs.
TIMEOUT: Final = 20
#: The same with torch, which may have to be started first.
TIMEOUT_WITH_TORCH: Final = 300
#: Bytes of memory for targets without torch, which maps more than it needs.
MEMORY: Final = 4 << 30
#: The costly invariants are looked at once in so many times.
THOROUGH: Final = 4
#: How often a mutant is changed.
CHANGES: Final = (1, 1, 1, 2, 2, 4)

#: So many seeds keep their places: targets begin with those that are made by hand.
FIRST: Final = 150

NUMBER: Final = struct.Struct("<q")


class Stock(msgspec.Struct, frozen=True):
    """What inputs are made of. A parser with a bug could not be trusted to say."""

    seeds: tuple[bytes, ...]
    words: Words

    @classmethod
    def of(cls, target: Target) -> Stock:
        """What a target begins with in the tree of this process: as it has them at
        first, and then shuffled."""
        seeds = [seed for seed in target.seeds() if len(seed) <= target.max_size]
        rest = seeds[FIRST:]
        Random(0).shuffle(rest)  # noqa: S311
        return cls((*seeds[:FIRST], *rest), default_words())


def inputs(
    target: Target, stock: Stock, start: int = 0
) -> Iterator[tuple[int, bytes, bool]]:
    """Number, input, and whether to look at the costly invariants; without end.

    First all seeds, without those; then mutants, and in between the seeds again,
    with them.
    """
    seeds = stock.seeds
    for number in itertools.count(start):
        turn, rest = divmod(number - len(seeds), THOROUGH)
        if number < len(seeds):
            yield number, seeds[number], False
        elif rest == 0 and turn < len(seeds):
            yield number, seeds[turn], True
        else:
            yield number, _mutant(target, stock, number), rest == 0


def _mutant(target: Target, stock: Stock, number: int) -> bytes:
    random = Random(number)  # noqa: S311
    data = random.choice(stock.seeds)
    for _ in range(random.choice(CHANGES)):
        data = target.mutate(data, random, stock.words)
    return data[: target.max_size]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the inputs; says what the first one raised, if any did."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz.hunt")
    options.add_argument("target")
    options.add_argument("stock", type=Path)
    options.add_argument("--number", type=Path, required=True)
    options.add_argument("--start", type=int, default=0)
    options.add_argument("--stop", type=int)
    options.add_argument("--ignore", action="append", default=[])
    chosen = options.parse_args(arguments)
    if not Path(parser.__file__).is_relative_to(Path.cwd()):
        raise SystemExit(f"the parser is not that of this tree: {parser.__file__}")
    target = find(chosen.target)
    stock = msgspec.msgpack.decode(chosen.stock.read_bytes(), type=Stock)
    timeout = TIMEOUT_WITH_TORCH if target.needs_torch else TIMEOUT
    if not target.needs_torch:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    chosen.number.write_bytes(NUMBER.pack(-1))
    with chosen.number.open("r+b") as file, mmap.mmap(file.fileno(), 0) as now:
        for number, data, thorough in inputs(target, stock, chosen.start):
            if number == chosen.stop:
                break
            NUMBER.pack_into(now, 0, number)
            signal.alarm(timeout)
            try:
                target.run(data, thorough)
            except BaseException as error:  # noqa: BLE001 (what escapes is the point)
                found = signature(error)
                if found not in chosen.ignore:
                    signal.alarm(0)
                    sys.stdout.write(json.dumps([number, found, str(error)[:500]]))
                    sys.stdout.flush()
                    # Whatever the input left behind is nobody's concern.
                    os._exit(0)
            signal.alarm(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())

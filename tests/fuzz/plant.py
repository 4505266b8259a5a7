"""Can the fuzz targets fail? Bugs planted in the parser, and who finds them.

    python -m tests.fuzz.plant [ID...] [--seconds N] [--jobs N] [--json FILE]

Each bug is a patch in `planted/` and a row of `planted/bugs.toml`. The patch is
applied to a copy of the parser, and there the targets that should notice run
over their seeds and over mutants of them, until one raises. The same inputs, up
to that one, then run in the tree as it is: a bug counts as found only if
nothing of the kind is raised there.

Exits with 1 if a bug survives that the table does not list as a survivor, if one
is found that it lists, or if a patch does not apply any more. What is raised
without any bug is shown, and is a matter for a campaign.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import functools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from conformance.fuzz.lookup import find, runnable

from .bugs import ROOT, Bug, Stale, bugs, planted
from .hunt import NUMBER, Stock

#: Seconds that the tree as it is gets for what took the copy one, and besides.
_PATIENCE: Final = (4, 60)


# --------------------------------------------------------------------- the hunt


@dataclass(frozen=True, slots=True)
class Failure:
    """The number of an input, and what came of it."""

    number: int
    signature: str
    message: str = ""


@dataclass(slots=True)
class Result:
    """What became of a bug; `strangers` are signatures that need no bug.

    `inputs` and `seconds` are what it took, or what was spent in vain; `untried`
    and `stale` say why nobody looked.
    """

    bug: Bug
    target: str = ""
    signature: str = ""
    message: str = ""
    inputs: int = 0
    seconds: float = 0.0
    untried: str = ""
    stale: str = ""
    strangers: list[str] = field(default_factory=list)

    @property
    def found(self) -> bool:
        return bool(self.target)

    @property
    def wrong(self) -> bool:
        """Whether this is not what the table says."""
        if self.untried or self.stale:
            return bool(self.stale)
        return self.found == bool(self.bug.survives)


@functools.cache
def stock(target: str) -> Path:
    """A file of the target's seeds, for all bugs; it goes with this process."""
    with tempfile.NamedTemporaryFile(prefix="planted-", delete=False) as file:
        atexit.register(os.unlink, file.name)
        file.write(msgspec.msgpack.encode(Stock.of(find(target))))
    return Path(file.name)


def hunt(
    tree: Path,
    target: str,
    seconds: float,
    *,
    start: int = 0,
    stop: int | None = None,
    ignore: Sequence[str] = (),
) -> tuple[Failure | None, int]:
    """The first failure of a target in a tree; and the number of the last input."""
    command = [sys.executable, "-m", "tests.fuzz.hunt", target]
    command += [str(stock(target)), "--start", str(start)]
    command += [] if stop is None else ["--stop", str(stop)]
    for known in ignore:
        command += ["--ignore", known]
    with tempfile.TemporaryDirectory(prefix="planted-") as name:
        now = Path(name)
        status = _run([*command, "--number", f"{now}/number"], tree, now, seconds)
        said = (now / "said").read_bytes()
        printed = (now / "printed").read_text(encoding="utf-8", errors="replace")
        number = -1
        with contextlib.suppress(FileNotFoundError):
            (number,) = NUMBER.unpack((now / "number").read_bytes())
    if said:
        return Failure(*json.loads(said)), number
    if status is not None and status < 0:
        died = signal.Signals(-status)
        what = "hang" if died is signal.SIGALRM else died.name
        return Failure(number, f"died | {what}", printed[-500:]), number
    if status:
        raise RuntimeError(f"{target} does not run in {tree}:\n{printed}")
    return None, number


def _run(command: Sequence[str], tree: Path, now: Path, seconds: float) -> int | None:
    """The exit status, or `None` if its time was up; what it said is in `now`."""
    # Files, because torch's processes could hold a pipe open.
    with (now / "said").open("wb") as said, (now / "printed").open("wb") as printed:
        process = subprocess.Popen(
            command,
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree), "PYTHONHASHSEED": "0"},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=printed,
            start_new_session=True,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def search(bug: Bug, seconds: float) -> Result:
    """Lets the targets look for a bug, so many seconds in all."""
    result = Result(bug)
    targets = [name for name in bug.targets if name in runnable()]
    if not targets:
        result.untried = "no torch"
    else:
        try:
            with planted(bug) as tree:
                _search(targets, tree, seconds, result)
        except Stale as error:
            result.stale = str(error)
    return result


def _search(targets: Sequence[str], tree: Path, seconds: float, result: Result) -> None:
    for index, target in enumerate(targets):
        # The likeliest gets the most.
        left = seconds - result.seconds
        last = index == len(targets) - 1
        if look(target, tree, left if last else left * 2 / 3, result):
            break


def look(target: str, tree: Path, seconds: float, result: Result) -> bool:
    """Whether a target finds the bug in time, in mutants of its seeds."""
    start = 0
    while seconds > 0:
        began = time.monotonic()
        found, number = hunt(
            tree, target, seconds, start=start, ignore=result.strangers
        )
        spent = time.monotonic() - began
        seconds -= spent
        result.seconds += spent
        result.inputs += max(number + 1 - start, 0)
        if found is None:
            return False
        factor, besides = _PATIENCE
        without, reached = hunt(
            ROOT,
            target,
            factor * spent + besides,
            start=start,
            stop=number + 1,
            ignore=result.strangers,
        )
        if without is None and reached == number:
            result.target = target
            result.signature = found.signature
            result.message = found.message
            return True
        without = without or Failure(number, "not confirmed in time")
        result.strangers.append(without.signature)
        start = without.number + 1
    return False


# ------------------------------------------------------------------- the report


def show(result: Result, console: Console) -> None:
    """One line or two about a bug."""
    bug = result.bug
    if result.untried:
        console.print(f"[dim]not tried[/]  {bug.id}: {result.untried}")
    elif result.stale:
        console.print(f"[red]stale[/]      {bug.id}: {result.stale}")
    elif result.found:
        console.print(
            f"[green]found[/]      {bug.id} by {result.target}, "
            f"{result.inputs:,} inputs, {result.seconds:.1f} s"
        )
        console.print(f"           [dim]{result.signature}[/]", highlight=False)
    else:
        console.print(
            f"[{'dim' if bug.survives else 'red'}]survived[/]   {bug.id}: {bug.broken} "
            f"({result.inputs:,} inputs of {', '.join(bug.targets)}, "
            f"{result.seconds:.0f} s)"
        )
    for stranger in result.strangers:
        console.print(f"[yellow]           raised without it: {stranger}[/]")


def summary(results: Sequence[Result]) -> Table:
    """How many each target found, and how long that took."""
    table = Table("target", "found", "median inputs", "median s", "longest s")
    for name in runnable():
        found = [result for result in results if result.target == name]
        if found:
            table.add_row(
                name,
                str(len(found)),
                f"{statistics.median(result.inputs for result in found):,.0f}",
                f"{statistics.median(result.seconds for result in found):.1f}",
                f"{max(result.seconds for result in found):.1f}",
            )
    return table


def report(results: Sequence[Result]) -> dict[str, Any]:
    """The same for machines."""
    rows = [asdict(result) | {"found": result.found} for result in results]
    return {"python": sys.version.split()[0], "bugs": rows}


def main(arguments: Sequence[str] | None = None) -> int:
    """Plants the bugs, shows who finds them, and tells whether all is as listed."""
    table = {bug.id: bug for bug in bugs()}
    options = argparse.ArgumentParser(
        prog="python -m tests.fuzz.plant", description=__doc__.partition("\n")[0]
    )
    options.add_argument("ids", nargs="*", metavar="ID", help="all, if none is named")
    options.add_argument("--seconds", type=float, default=60, help="for each bug")
    options.add_argument("--jobs", type=int, default=1, help="bugs at a time")
    options.add_argument("--json", type=Path, help="write the results to this file too")
    chosen = options.parse_args(arguments)
    for unknown in set(chosen.ids) - table.keys():
        options.error(f"no bug is called {unknown}")
    console = Console(soft_wrap=True)
    results = []
    with ThreadPoolExecutor(chosen.jobs) as pool:
        picked = [table[name] for name in chosen.ids or table]
        for result in pool.map(lambda bug: search(bug, chosen.seconds), picked):
            show(result, console)
            results.append(result)
    tried = [result for result in results if not result.untried and not result.stale]
    console.print(summary(results))
    console.print(
        f"found {sum(result.found for result in tried)} of {len(tried)}"
        + f", {len(results) - len(tried)} not tried" * (len(tried) < len(results))
    )
    for result in tried:
        if not result.found:
            reason = result.bug.survives or "[red]nobody knows why[/]"
            console.print(f"survived: {result.bug.id} ({reason})")
        elif result.wrong:
            console.print(f"[red]no survivor any more: {result.bug.id}[/]")
    if chosen.json:
        chosen.json.write_text(json.dumps(report(results), indent=2) + "\n")
    return int(any(result.wrong for result in results))


if __name__ == "__main__":
    sys.exit(main())

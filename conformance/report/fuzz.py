"""What `torchproof fuzz` prints for people."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from .terminal import console, grid, plural, sized, styled

if TYPE_CHECKING:
    from conformance.fuzz.campaign.campaign import Limits
    from conformance.fuzz.campaign.reach import Reached
    from conformance.fuzz.campaign.replaying import Replayed
    from conformance.fuzz.campaign.statistics import Progress
    from conformance.fuzz.campaign.summary import Found, Outcome, Summary

#: Seconds between two lines where there is no terminal to draw on.
PAUSE: Final = 5.0

#: Why a run is over, where the command line did not say so.
ENDS: Final = {
    "interrupted": "interrupted",
    "deaths": "given up: one job after the other died",
}


# ------------------------------------------------------------------------- run


@contextlib.contextmanager
def live(target: str, limits: Limits) -> Iterator[Callable[[Progress], None]]:
    """A function to call with how far a campaign is, a few times a second.

    On a terminal (standard error) one line that is drawn anew, elsewhere a line
    every few seconds; and one for each finding, as it comes.
    """
    err = console(sys.stderr)
    known: set[str] = set()

    def news(progress: Progress) -> None:
        for signature in progress.findings:
            if signature not in known:
                known.add(signature)
                err.print(styled(("finding  ", "bold red"), signature))

    if err.is_terminal:
        with err.status(styled(f"{target}  starting"), refresh_per_second=4) as status:

            def draw(progress: Progress) -> None:
                news(progress)
                status.update(_line(target, progress, limits))

            yield draw
        return

    last = 0.0

    def write(progress: Progress) -> None:
        nonlocal last
        news(progress)
        if progress.seconds - last >= PAUSE:
            last = progress.seconds
            err.print(_line(target, progress, limits), soft_wrap=True)

    yield write


def _line(target: str, progress: Progress, limits: Limits) -> Text:
    line = styled((target, "bold"), f"  {_figures(progress)}")
    left = _left(progress, limits)
    if left is not None:
        line.append(f", {_clock(left)} left")
    return line


def _figures(progress: Progress) -> str:
    """`12,345 executions, 6,789/s, 234 edges, corpus 56 (7.8 kB), 0 findings`."""
    return ", ".join(
        (
            plural(progress.executions, "execution"),
            f"{progress.rate:,.0f}/s",
            plural(progress.edges, "edge"),
            f"corpus {progress.corpus:,} ({sized(progress.nbytes)})",
            plural(len(progress.findings), "finding"),
            *([plural(progress.restarts, "restart")] if progress.restarts else []),
        )
    )


def _left(progress: Progress, limits: Limits) -> float | None:
    """Seconds until one of the limits, as far as one can tell."""
    left = []
    if limits.seconds is not None:
        left.append(limits.seconds - progress.seconds)
    if limits.runs is not None and progress.rate:
        left.append((limits.runs - progress.executions) / progress.rate)
    return max(0.0, min(left)) if left else None


def _clock(seconds: float) -> str:
    """`0:07`, `12:34`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def show_outcome(out: Console, outcome: Outcome) -> None:
    """One line for a run, and two for each finding."""
    progress = outcome.progress
    line = styled(
        (outcome.target, "bold red" if outcome.findings else "bold green"),
        f"  {_figures(progress)}",
        (f"  {_clock(progress.seconds)}, seed {outcome.started.seed}", "dim"),
    )
    if progress.ended in ENDS:
        line.append(f", {ENDS[progress.ended]}", "yellow")
    if outcome.merged is not None:
        before, after = outcome.merged
        line.append(f", merged {before:,} inputs to {after:,}")
    out.print(line, soft_wrap=True)
    _show_findings(out, outcome.started.target, outcome.findings)


def show_output(err: Console, output: str) -> None:
    """What a job printed that failed."""
    for line in output.splitlines():
        err.print(styled((f"    {line}", "dim")), soft_wrap=True)


def _show_findings(out: Console, name: str, findings: Sequence[Found]) -> None:
    for one in findings:
        out.print(styled("    ", (one.signature, "red"), f"  {sized(one.size)}"))
        command = f"torchproof fuzz replay {name} {_near(one.file)}"
        out.print(styled(("        " + command, "dim")), soft_wrap=True)


def _near(path: str) -> str:
    """The path from here, if it is below."""
    near = os.path.relpath(path)
    return path if near.startswith("..") else near


# ---------------------------------------------------------------------- report


def show_summaries(out: Console, found: Sequence[Summary]) -> None:
    """A table of the targets, and the findings below it."""
    right = {"justify": "right", "no_wrap": True}
    table = grid(
        {"header": "target"},
        {"header": "runs", **right},
        {"header": "executions", **right},
        {"header": "time", **right},
        {"header": "per second", **right},
        {"header": "edges", **right},
        {"header": "corpus", **right},
        {"header": "bytes", **right},
        {"header": "findings", **right},
    )
    for one in found:
        table.add_row(
            styled((one.target, "bold")),
            f"{one.runs:,}",
            f"{one.executions:,}",
            _clock(one.seconds),
            f"{one.rate:,.0f}",
            f"{one.edges:,}",
            f"{one.corpus:,}",
            sized(one.nbytes),
            styled((f"{len(one.findings):,}", "red" if one.findings else "green")),
        )
    out.print(table)
    for one in found:
        if one.findings or one.tally:
            out.print()
            out.print(styled((one.target, "bold")))
            _show_findings(out, one.name, one.findings)
            for what, count in one.tally.items():
                out.print(styled(f"    {count:>11,}  {what}"))


def show_reached(out: Console, reached: Reached, *, missing: bool) -> None:
    """The parser's files, least covered first."""
    right = {"justify": "right", "no_wrap": True}
    table = grid(
        {"header": "file"},
        {"header": "lines", **right},
        {"header": "branches", **right},
        *([{"header": "not reached", "overflow": "fold"}] if missing else []),
    )
    for one in sorted(reached.files, key=lambda one: (one.part, one.file)):
        cells = [styled(one.file), styled(_of(one.lines)), styled(_of(one.branches))]
        if missing:
            cells.append(styled(", ".join((*one.missing, *one.missing_branches))))
        table.add_row(*cells)
    out.print()
    out.print(table)
    out.print()
    for row in reached.rows:
        figures = f"{_of(row.lines)} of lines, {_of(row.branches)} of branches"
        out.print(styled((f"{row.name}: ", "bold"), figures))


def _of(reached: tuple[int, int]) -> str:
    """`98.1%` and both numbers; all of nothing is all."""
    part, whole = reached
    return f"{100 * part / whole if whole else 100:.1f}% ({part:,}/{whole:,})"


# ---------------------------------------------------------------------- replay


def show_replayed(out: Console, found: Sequence[Replayed]) -> None:
    """A line for each file, and what it raised below it."""
    for one in found:
        if one.raised is None:
            out.print(styled(("holds  ", "green"), f"{one.file}  {sized(one.size)}"))
            continue
        signature = one.raised.signature
        out.print(styled(("raises  ", "bold red"), f"{one.file}  {sized(one.size)}"))
        out.print(styled("    ", (signature, "red")))
        text = one.raised.traceback or one.raised.message
        show_output(out, text.rstrip())

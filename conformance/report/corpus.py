"""What `torchproof corpus` prints for people."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from .terminal import console, plural, printable, sized, styled

if TYPE_CHECKING:
    from conformance.corpus.build import Built
    from conformance.corpus.format import Case
    from conformance.corpus.summary import Summary
    from conformance.corpus.verify import Verified

STYLES: Final = {"valid": "green", "invalid": "red", "either": "yellow"}


@contextlib.contextmanager
def steps(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on standard error, if that is a terminal; at first it says `what`.

    Gives a function to call with how many are done, of how many, and the name
    of the next.
    """
    err = console(sys.stderr)
    if not err.is_terminal:
        yield lambda _done, _all, _name: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        console=err,
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=None)

        def step(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=printable(name))

        yield step


def show_list(out: Console, found: Sequence[Case]) -> None:
    """A line for each case."""
    table = Table(box=None, pad_edge=False)
    table.add_column("id", overflow="fold")
    table.add_column("verdict")
    table.add_column("shows", overflow="fold")
    for case in found:
        table.add_row(
            styled(case.id),
            styled((case.verdict, STYLES[case.verdict])),
            styled(case.shows),
        )
    if found:
        out.print(table)
        out.print()
    out.print(styled(plural(len(found), "case")))


def show_verified(out: Console, found: Verified, seconds: float) -> None:
    """The problems, and one line that sums up."""
    _problems(out, found.problems)
    verdicts = ", ".join(
        f"{count:,} {verdict}" for verdict, count in sorted(found.verdicts.items())
    )
    end = ("good", "green") if found.good else ("not good", "red")
    out.print(
        styled(
            f"{plural(found.cases, 'case')} ({verdicts}), {sized(found.nbytes)}: ",
            end,
            f"  {seconds:.1f} s",
        )
    )


def show_built(out: Console, built: Built, seconds: float) -> None:
    """The problems, and whether the corpus was written."""
    _problems(out, built.problems)
    for ids, what in (
        (built.gone, "is gone; an id is for ever: name it with --retire"),
        (built.reused, "is retired, and must not come back"),
    ):
        for name in ids:
            out.print(styled((name, "red"), f"  {what}"))
    end = ("written", "green") if built.good else ("not written", "red")
    out.print(
        styled(
            f"{plural(built.cases, 'case')}, {sized(built.nbytes)}: ",
            end,
            f"  torch {built.torch}, {seconds:.1f} s",
        )
    )


def _problems(out: Console, problems: Mapping[str, Iterable[str]]) -> None:
    for name, found in problems.items():
        out.print(styled((name, "red")))
        for problem in found:
            out.print(styled(f"    {problem}"), soft_wrap=True)


def show_summary(out: Console, found: Summary) -> None:
    """How many cases of each label, directory and family."""
    for title, rows in (("label", found.labels), ("directory", found.directories)):
        table = Table(box=None, pad_edge=False)
        table.add_column(title)
        for verdict in (*STYLES, "all"):
            table.add_column(verdict, justify="right")
        for name, counts in rows.items():
            cells = [str(counts[verdict] or "") for verdict in STYLES]
            table.add_row(styled(name), *cells, f"{counts.total():,}")
        out.print(table)
        out.print()
    families = ", ".join(f"{name} {count}" for name, count in found.families.items())
    out.print(styled(f"families: {families}"))
    out.print()
    verdicts = ", ".join(f"{found.verdicts[name]:,} {name}" for name in STYLES)
    size = sized(found.nbytes)
    out.print(styled(f"{plural(found.cases, 'case')} ({verdicts}), {size}"))

"""What `torchproof run` and `report` print for people."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.text import Text

from conformance.matrix.results import Run, Verdict
from conformance.report.terminal import grid, plural, styled

from . import views

#: Clusters that are shown; the page has all.
CLUSTERS: Final = 12
#: Characters of a cause.
WORDS: Final = 100

STYLES: Final = {
    Verdict.PASS: "green",
    Verdict.SKIP: "dim",
    Verdict.REJECTS: "yellow",
    Verdict.ACCEPTS: "yellow",
    Verdict.TIMEOUT: "magenta",
    Verdict.CRASH: "magenta",
    Verdict.ERROR: "magenta",
    Verdict.MISSING: "bold red",
    Verdict.WRONG: "bold red",
}


def show_run(out: Console, run: Run) -> None:
    """A row for each loader, silent failures first; then the largest causes."""
    standings = views.standings(run)
    present = [
        verdict
        for verdict in views.WORST_FIRST
        if any(one.counts[verdict] for one in standings)
    ]
    table = grid(
        {"header": "loader", "overflow": "fold"},
        {"header": "version", "overflow": "fold"},
        {"header": "as expected", "justify": "right", "no_wrap": True},
        *(
            {"header": f"{views.SIGNS[verdict]} {verdict.value}", "justify": "right"}
            for verdict in present
        ),
        {"header": "time", "justify": "right", "no_wrap": True},
    )
    for one in standings:
        table.add_row(
            styled((one.loader.id, "bold")),
            styled((one.loader.version, "dim")),
            "-" if one.percent is None else f"{one.percent} %",
            *(_count(one.counts[verdict], verdict) for verdict in present),
            styled((views.lasted(one.seconds), "dim")),
        )
    out.print(table)
    _show_clusters(out, views.clusters(run))
    out.print()
    _show_sum(out, run)


def show_absent(out: Console, run: Run) -> None:
    """A line for each loader that could not be asked."""
    for id, why in sorted(run.header.absent.items()):
        out.print(styled((f"{id} was not asked: ", "yellow"), why), soft_wrap=True)


def _count(count: int, verdict: Verdict) -> Text:
    return styled((f"{count:,}", STYLES[verdict] if count else "dim"))


def _show_clusters(out: Console, found: tuple[views.Cluster, ...]) -> None:
    if not found:
        return
    out.print()
    table = grid(
        {"header": "loader", "overflow": "fold"},
        {"header": "verdict", "no_wrap": True},
        {"header": "cases", "justify": "right"},
        {"header": "cause", "overflow": "fold"},
        {"header": "for example", "overflow": "fold"},
    )
    for one in found[:CLUSTERS]:
        table.add_row(
            styled(one.loader),
            styled((one.verdict.value, STYLES[one.verdict])),
            f"{len(one.cases):,}",
            styled(_short(one.shown)),
            styled((one.example, "dim")),
        )
    out.print(table)
    if len(found) > CLUSTERS:
        more = f"... and {plural(len(found) - CLUSTERS, 'more cause')} (--html)"
        out.print(styled((more, "dim")))


def _short(words: str) -> str:
    return words if len(words) <= WORDS else f"{words[:WORDS]}..."


def _show_sum(out: Console, run: Run) -> None:
    silent = sum(one.silent for one in views.standings(run))
    loaders = plural(len(run.header.loaders), "loader")
    end = ("no silent failure", "green")
    if silent:
        end = (f"{plural(silent, 'silent failure')}", "bold red")
    out.print(
        styled(
            f"{plural(run.header.cases, 'case')}, {loaders}: ",
            end,
            (f"  {views.lasted(run.footer.seconds)}", "dim"),
        )
    )
    if not run.footer.complete:
        out.print(styled(("the run was cut off: the rest is not known", "bold red")))

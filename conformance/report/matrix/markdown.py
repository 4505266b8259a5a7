"""A run as Markdown: for an issue, a README, or the summary of a job."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from conformance.matrix.results import Run
from conformance.report.terminal import plural, printable

from . import views

#: Clusters of one loader that are listed.
CLUSTERS: Final = 20


def render(run: Run) -> str:
    """The whole document; the same run gives the same text."""
    return "\n".join(_lines(run)) + "\n"


def _lines(run: Run) -> Iterator[str]:
    header = run.header
    yield "# Loaders and the corpus"
    yield ""
    yield (
        f"{plural(header.cases, 'case')}, "
        f"{plural(len(header.loaders), 'loader')}; expected is what "
        f"{code(header.judged_by)} gives. torchproof {code(header.torchproof)}, "
        f"corpus {code(header.corpus[:12])}, {header.when:%Y-%m-%d}, "
        f"{code(header.platform)}."
    )
    if not run.footer.complete:
        yield ""
        yield "**This run was cut off.** What is not here is not known."
    yield ""
    yield views.READING
    yield ""
    yield from _table(run)
    if header.absent:
        yield ""
        for id, why in sorted(header.absent.items()):
            yield f"- {code(id)} was not asked: {code(why)}"
    yield ""
    yield "## What the words mean"
    yield ""
    for verdict in views.WORST_FIRST:
        yield f"- {views.SIGNS[verdict]} **{verdict.value}**: {verdict.shows}"
    yield ""
    yield "## What not to conclude"
    yield ""
    for caveat in views.CAVEATS:
        yield f"- {caveat}"
    yield from _clusters(run)


def _table(run: Run) -> Iterator[str]:
    """Loaders down, verdicts across."""
    verdicts = views.WORST_FIRST
    heads = [f"{views.SIGNS[verdict]} {verdict.value}" for verdict in verdicts]
    yield f"| loader | version | as expected | {' | '.join(heads)} | compares |"
    yield f"| --- | --- |{' ---: |' * (len(verdicts) + 1)} --- |"
    for one in views.standings(run):
        counts = [f"{one.counts[v]:,}" if one.counts[v] else "" for v in verdicts]
        yield (
            f"| {code(one.loader.id)} | {code(one.loader.version)} | {one.score} | "
            f"{' | '.join(counts)} | {one.compared} |"
        )


def _clusters(run: Run) -> Iterator[str]:
    found = views.clusters(run)
    for loader in run.header.loaders:
        here = [one for one in found if one.loader == loader.id]
        if not here:
            continue
        yield ""
        yield f"## {code(loader.id)}: failures by cause"
        yield ""
        yield "| verdict | cases | cause | for example |"
        yield "| --- | ---: | --- | --- |"
        for one in here[:CLUSTERS]:
            verdict = f"{views.SIGNS[one.verdict]} {one.verdict.value}"
            shown = f"{code(one.shown)} | {code(one.example)}"
            yield f"| {verdict} | {len(one.cases):,} | {shown} |"
        if len(here) > CLUSTERS:
            rest = sum(len(one.cases) for one in here[CLUSTERS:])
            causes = plural(len(here) - CLUSTERS, "more cause")
            yield ""
            yield f"And {causes}, of {plural(rest, 'case')}."


def code(text: str) -> str:
    """Foreign text in a code span: nothing in it is markup, a link or a cell."""
    text = " ".join(printable(text).split())
    if not text:
        return "-"
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text[0] == "`" or text[-1] == "`" else ""
    # In a table a bar ends the cell, even in a code span, unless escaped.
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")

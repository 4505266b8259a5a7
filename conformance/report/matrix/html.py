"""The page: one file, no network, text alone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from conformance.corpus.format import Case
from conformance.matrix.results import Run, Verdict
from conformance.report.terminal import printable

from . import embedded, views


def render(
    run: Run,
    cases: Mapping[str, Case],
    flags: Mapping[str, str],
    corpus: str,
    known: views.KnownCauses | None = None,
) -> str:
    """The page. `cases`: those of the corpus by id; `flags`: what each means.

    `corpus` is the way from the page's folder to that of the files, or a URL;
    `known` what is known of causes.
    """
    loader = PackageLoader("conformance.report")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printable"] = printable
    style = loader.get_source(environment, "matrix.css")[0]
    script = loader.get_source(environment, "matrix.js")[0]
    standings = views.standings(run)
    data = embedded.data(run, cases, flags, corpus, known or {})
    return environment.get_template("matrix.html").render(
        run=run,
        facts=views.facts_of(run),
        standings=standings,
        verdicts=views.WORST_FIRST,
        happened=[
            verdict
            for verdict in views.WORST_FIRST
            if verdict is not Verdict.PASS
            and any(one.counts[verdict] for one in standings)
        ],
        best=Verdict.PASS,
        signs=views.SIGNS,
        reading=views.READING,
        caveats=views.CAVEATS,
        web=embedded.web,
        lasted=views.lasted,
        bar=_bar,
        # Nothing but these two may act on the page, whatever its data holds.
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src "
        f"{_hash(script)}",
        data=Markup(embedded.as_script(data)),  # noqa: S704
    )


def _hash(text: str) -> str:
    """The source of an element's text, for a Content-Security-Policy."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _bar(standing: views.Standing) -> list[tuple[Verdict, float, float]]:
    """Where each verdict begins, and how long it is, in hundredths of the bar."""
    total = standing.counts.total() or 1
    found, start = [], 0.0
    for verdict in Verdict:
        width = 100 * standing.counts[verdict] / total
        if width:
            found.append((verdict, round(start, 3), round(width, 3)))
        start += width
    return found

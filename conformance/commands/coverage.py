"""`torchproof coverage`: what the corpus reaches of all that torch can write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from . import (
    EXIT_AGREE,
    EXIT_DIFFER,
    AsJson,
    Folder,
    corpus_at,
    fail,
    print_json,
)


def coverage(
    folder: Folder = None,
    as_json: AsJson = False,
    markdown: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it as Markdown.", show_default=False),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write it as one page, with a link to every case.",
            show_default=False,
        ),
    ] = None,
    torch: Annotated[
        bool,
        typer.Option(
            help="Ask the installed torch what there is to cover, and measure its own "
            "rebuild functions too."
        ),
    ] = True,
) -> None:
    """Show which rebuild paths the corpus covers, and which it does not.

    What there is to cover comes from the installed torch: a release with one more
    rebuild function has one more hole. Every file is read anew, so that what
    counts is what it does; coverage.py says which lines and branches of a
    rebuild function the cases reach.

    Exits with 0 if all is covered that can be, 1 if not, 2 if something could not
    be tried: no corpus, no torch.
    """
    from conformance.report.terminal import console

    chosen = corpus_at(folder)
    try:
        from conformance.coverage import cover
        from conformance.coverage.denominators import Unavailable
        from conformance.coverage.lines import MeasuringFailed
        from conformance.report import coverage_html, coverage_markdown, coverage_views
    except ModuleNotFoundError as error:
        fail(
            f"{error.name} is missing; install it with pip install 'torchproof[report]'"
        )
    try:
        found = cover(chosen, torch=torch)
    except Unavailable as error:
        fail(f"torch cannot be asked what there is to cover ({error}); try --no-torch")
    except MeasuringFailed as error:
        fail(f"a reader died while it was measured ({error})")
    if markdown is not None:
        _write(markdown, coverage_markdown.render(found))
    if html is not None:
        link = os.path.relpath(chosen.resolve(), html.resolve().parent)
        _write(html, coverage_html.render(found, link))
    if as_json:
        print_json(found)
    elif markdown is None and html is None:
        coverage_views.show(console(), found)
    raise typer.Exit(EXIT_AGREE if found.complete else EXIT_DIFFER)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")

"""`torchproof report`: views of a result file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import AsJson, Folder, corpus_at, fail, print_json

if TYPE_CHECKING:
    from conformance.matrix.expectations import Expectations
    from conformance.matrix.results import Run
    from conformance.report.matrix.files import Files


def report(
    results: Annotated[
        Path,
        typer.Argument(metavar="RESULTS", help="What `torchproof run` has written."),
    ],
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="One page: loaders across, rebuild paths down.",
            show_default=False,
        ),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Tables for an issue or a README.", show_default=False
        ),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="XML, a suite for each loader: what its expectations do not list "
            "fails.",
            show_default=False,
        ),
    ] = None,
    badge: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="One loader in one line, as SVG.", show_default=False
        ),
    ] = None,
    loader: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Whose badge it is.", show_default=False),
    ] = None,
    corpus_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where the page finds the files of the corpus; by default, where "
            "they are on this machine, relative to the page.",
            show_default=False,
        ),
    ] = None,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Show what a run found: here, on a page, for other tools.

    Everything is made of the result file; no loader is asked again.

    Exits with 0, or with 2 if something could not be read or written.
    """
    from conformance.matrix.results import NoResults, read
    from conformance.report.matrix import files, terminal, views
    from conformance.report.terminal import console

    try:
        run = read(results)
    except NoResults as error:
        fail(str(error))
    except OSError as error:
        fail(f"cannot read {results}: {error.strerror}")
    wanted = files.Files(html, markdown, junit, badge, loader, corpus_url)
    if wanted.any:
        _write(wanted, run, corpus_at(folder))
    if as_json:
        print_json(views.summary(run))
    elif not wanted.any:
        out = console()
        terminal.show_run(out, run)
        terminal.show_absent(out, run)


def _write(wanted: Files, run: Run, corpus: Path) -> None:
    from conformance.matrix.expectations import surprises
    from conformance.report.matrix import files

    known = _known(run)
    ran = {result.case for result in run.results}
    found = surprises(run, known, ran.__contains__, whole=False)
    try:
        files.write(wanted, run, corpus, surprises=found, expectations=known)
    except files.NoView as error:
        fail(str(error))
    except OSError as error:
        fail(f"cannot write {error.filename}: {error.strerror}")


def _known(run: Run) -> dict[str, Expectations]:
    """What the loaders that are known here are expected to get wrong."""
    from conformance.loaders.adapters import FOLDER
    from conformance.matrix.expectations import NoExpectations, read

    # By the files that there are: an id in a result file is no path.
    files = {path.stem: path for path in (FOLDER / "expectations").glob("*.toml")}
    try:
        return {
            loader.id: read(files[loader.id])
            for loader in run.header.loaders
            if loader.id in files
        }
    except (NoExpectations, OSError) as error:
        fail(str(error))

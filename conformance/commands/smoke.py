"""`torchproof smoke`: an adapter checked by itself, step by step."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from . import EXIT_AGREE, EXIT_DIFFER, AsJson, Folder, corpus_at, fail, print_json


def smoke(
    command: Annotated[
        str,
        typer.Option(
            metavar="CMD",
            help="The adapter: docs/protocol.md says how to write one.",
            show_default=False,
        ),
    ],
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="For each file.")
    ] = 20.0,
    start: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="To start, and to stop.")
    ] = 120.0,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Check an adapter by itself, and say what to do about what is not right.

    Asks about a few simple files. It looks for slips of the adapter; what its loader
    cannot do, `torchproof run` shows.

    Exits with 0 if all is ok, 1 if something is not, 2 if it could not be tried.
    """
    from conformance.matrix.smoke import Mark
    from conformance.matrix.smoke import smoke as checked
    from conformance.report import smoke as view
    from conformance.report.terminal import console

    try:
        argv = shlex.split(command)
    except ValueError as error:
        fail(f"--command {command!r}: {error}")
    if not argv:
        fail("--command is empty")
    corpus = corpus_at(folder)
    out = console()
    steps = []
    for step in checked(argv, corpus, timeout=timeout, start=start):
        steps.append(step)
        if not as_json:
            view.show_step(out, step)
    good = all(step.mark is not Mark.SLIP for step in steps)
    if as_json:
        print_json({"ok": good, "steps": steps})
    else:
        view.show_sum(out, steps)
    raise typer.Exit(EXIT_AGREE if good else EXIT_DIFFER)

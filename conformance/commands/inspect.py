"""`torchproof inspect`: what is in a file, without torch."""

from __future__ import annotations

from typing import Annotated

import typer

from . import EXIT_AGREE, EXIT_DIFFER, fail, print_json


def inspect(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A checkpoint, or the folder of a distributed one.",
            show_default=False,
        ),
    ],
    everything: Annotated[
        bool, typer.Option("--all", help="Show every tensor, not only the first.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output.")
    ] = False,
) -> None:
    """Show what is in a checkpoint. Needs no torch, and runs nothing.

    The container and the pickle protocol; whether `weights_only=True` would load
    it, and which globals it names beyond torch's allowlist; the rebuild functions
    it calls; its tensors, which of them share memory, and what they sum up to.

    Exits with 0 if the file could be read, 1 if not (and shows how far it came),
    2 if there is no such file.
    """
    from conformance.inspection import inspect as look
    from conformance.report import terminal

    try:
        found = look(file)
    except OSError as error:
        fail(f"cannot read {error.filename or file}: {error.strerror}")
    if as_json:
        print_json(found)
    else:
        rows = None if everything else terminal.ROWS
        terminal.show_inspection(terminal.console(), found, rows)
    raise typer.Exit(EXIT_AGREE if found.error is None else EXIT_DIFFER)

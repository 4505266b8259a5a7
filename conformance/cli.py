"""The command `torchproof`: its commands, and how it starts and ends."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from conformance import __version__
from conformance.commands import EXIT_DIFFER
from conformance.commands.check import check
from conformance.commands.corpus import corpus
from conformance.commands.coverage import coverage
from conformance.commands.diff import diff
from conformance.commands.fuzz import fuzz
from conformance.commands.inspect import inspect
from conformance.commands.report import report
from conformance.commands.run import run
from conformance.commands.smoke import smoke

app = typer.Typer(
    name="torchproof",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(check)
app.command()(inspect)
app.command()(coverage)
app.command()(run)
app.command()(report)
app.command()(diff)
app.command()(smoke)
app.add_typer(corpus)
app.add_typer(fuzz)


def main() -> None:
    """The entry point of the distribution."""
    try:
        app(prog_name="torchproof")
    except BrokenPipeError:
        # Whoever read the output has enough of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(EXIT_DIFFER)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"torchproof {__version__}")
        raise typer.Exit


@app.callback()
def torchproof(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Say which version."
        ),
    ] = False,
) -> None:
    """Read PyTorch checkpoints without torch, and prove it against `torch.load`.

    `torchproof inspect FILE` shows what is in a checkpoint and whether it asks
    to run anything. It needs no torch and runs nothing.

    `torchproof check FILE...` reads files with torch too, in every mode, and
    compares every bit.

    `torchproof corpus` verifies, lists, exports and builds the corpus: files for
    the authors of readers, and what each must give.

    `torchproof coverage` shows how much of all that torch can rebuild is in it.

    `torchproof run` asks loaders about the corpus and says which one gets which
    rebuild path wrong; `report` makes pages of what it wrote, `diff` says what
    changed between two runs, `smoke` checks an adapter by itself.

    `torchproof fuzz` looks for files that break a promise: it runs campaigns,
    reports on them, and replays what they found.
    """

"""The commands, one file each; here is what they share.

Every command exits with `EXIT_AGREE` if all is well, `EXIT_DIFFER` if it is
not, and `EXIT_USAGE` if something could not be tried.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import msgspec
import typer

EXIT_AGREE: Final = 0
EXIT_DIFFER: Final = 1
EXIT_USAGE: Final = 2

Folder = Annotated[
    Path | None,
    typer.Option(
        "--corpus",
        metavar="DIR",
        help="Another corpus than the one that comes with torchproof.",
        show_default=False,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output.")
]


def fail(message: str) -> NoReturn:
    """One line on standard error that says what to do, and exit status 2."""
    from conformance.report.terminal import printable

    print(f"torchproof: {printable(message)}", file=sys.stderr)  # noqa: T201
    raise typer.Exit(EXIT_USAGE)


def print_json(value: Any) -> None:
    """ASCII alone, so that no name from a file reaches a terminal raw."""
    plain = msgspec.to_builtins(value)
    typer.echo(json.dumps(plain, indent=2, ensure_ascii=True))


def corpus_at(folder: Path | None) -> Path:
    """The corpus that is meant; without one, says so and exits."""
    from conformance.corpus.format import INDEX, corpus_folder

    chosen = corpus_folder() if folder is None else folder
    if not (chosen / INDEX).is_file():
        fail(f"{chosen} is no corpus: there is no {INDEX} in it")
    return chosen

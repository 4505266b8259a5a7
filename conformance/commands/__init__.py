"""The commands, one file each; here is what they share.

Every command exits with `EXIT_AGREE` if all is well, `EXIT_DIFFER` if it is
not, and `EXIT_USAGE` if something could not be tried.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final, NoReturn

import msgspec
import typer

EXIT_AGREE: Final = 0
EXIT_DIFFER: Final = 1
EXIT_USAGE: Final = 2


def fail(message: str) -> NoReturn:
    """One line on standard error that says what to do, and exit status 2."""
    from conformance.report.terminal import printable

    print(f"torchproof: {printable(message)}", file=sys.stderr)  # noqa: T201
    raise typer.Exit(EXIT_USAGE)


def print_json(value: Any) -> None:
    """ASCII alone, so that no name from a file reaches a terminal raw."""
    plain = msgspec.to_builtins(value)
    typer.echo(json.dumps(plain, indent=2, ensure_ascii=True))

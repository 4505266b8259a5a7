"""The command `torchproof`: what it takes, and what it exits with."""

from __future__ import annotations

import glob
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import msgspec
import typer

from conformance import __version__

#: What a folder is searched for, at any depth.
SUFFIXES: Final = (".pt", ".pth", ".bin", ".ckpt", ".tar", ".t7", ".ptl")

#: The names of torch's modes on the command line, in the order of a run.
MODES: Final[dict[str, tuple[bool, bool]]] = {
    "weights": (True, False),
    "full": (False, False),
    "weights-mmap": (True, True),
    "full-mmap": (False, True),
}

EXIT_AGREE: Final = 0
EXIT_DIFFER: Final = 1
EXIT_USAGE: Final = 2

app = typer.Typer(
    name="torchproof",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The entry point of the distribution."""
    try:
        app(prog_name="torchproof")
    except BrokenPipeError:
        # Whoever read the output has enough of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(EXIT_DIFFER)


def fail(message: str) -> NoReturn:
    """One line on standard error that says what to do, and exit status 2."""
    from conformance.report.terminal import printable

    print(f"torchproof: {printable(message)}", file=sys.stderr)  # noqa: T201
    raise typer.Exit(EXIT_USAGE)


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
    """


# ----------------------------------------------------------------------- check


@app.command()
def check(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help=f"Checkpoints; folders, searched for {', '.join(SUFFIXES)}; "
            "or globs in quotes, with `**` for any depth.",
            show_default=False,
        ),
    ],
    mode: Annotated[
        list[str] | None,
        typer.Option(
            "--mode",
            metavar="MODE",
            help=f"How torch reads: {', '.join(MODES)}. Give it more than once for "
            "several; all by default. `weights` is weights_only=True.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="Differences to show for each mode.")
    ] = 10,
    timeout: Annotated[
        float,
        typer.Option(min=0.1, metavar="SECONDS", help="For torch, for one load."),
    ] = 120.0,
    memory: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            metavar="GB",
            help="What torch may use for one load; no limit by default.",
            show_default=False,
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Let weights_only=False run what the files say. Only for files of "
            "your own; without it, their classes stay inert.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output.")
    ] = False,
) -> None:
    """Read files with torch and without, and compare every bit.

    torch runs in a process of its own, in up to four modes. Says for each file
    `equal`, `differ`, `both refuse`, `only torch loads`, `only we load`, or how
    torch died.

    Exits with 0 if both readers agree on every file, 1 if they do not, 2 if
    something could not be tried: no such file, no torch, wrong usage.
    """
    from conformance import check as checking
    from conformance.ledger import explain
    from conformance.loaders.reference import Mode, Reference
    from conformance.report import terminal

    unknown = [name for name in mode or () if name not in MODES]
    if unknown:
        fail(f"there is no mode {unknown[0]!r}; choose from {', '.join(MODES)}")
    chosen = [name for name in MODES if not mode or name in mode]
    modes = [Mode(*MODES[name]) for name in chosen]
    paths = list(expand(files))
    begin = time.perf_counter()
    reference = Reference(
        timeout=timeout,
        memory=None if memory is None else int(memory * 1e9),
        trust=trust,
    )
    results: list[checking.FileResult] = []
    with reference:
        about = reference.about()
        if not isinstance(about, dict):
            fail(
                f"torch is {about}; install it with pip install 'torchproof[torch]'. "
                "`torchproof inspect` needs none"
            )
        out = terminal.console()
        with terminal.progress(len(paths), out) as step:
            for path in paths:
                step(path)
                try:
                    result = checking.check(
                        path, reference, modes, limit=limit, explain=explain
                    )
                except OSError as error:
                    fail(f"cannot read {error.filename or path}: {error.strerror}")
                results.append(result)
                if not as_json:
                    terminal.show_check(out, result)
    agree = all(result.agrees for result in results)
    if as_json:
        document = {
            "torchproof": __version__,
            "torch": about["version"],
            "modes": [str(mode) for mode in modes],
            "trust": trust,
            "agree": agree,
            "files": results,
        }
        print_json(document)
    else:
        seconds = time.perf_counter() - begin
        terminal.show_summary(out, results, about["version"], seconds)
    raise typer.Exit(EXIT_AGREE if agree else EXIT_DIFFER)


def expand(names: Iterable[str]) -> Iterator[str]:
    """Files as they are, folders and globs as the files in them, each once."""
    seen: set[str] = set()
    for name in names:
        found: Iterable[str]
        if os.path.isdir(name):
            found = checkpoints_in(name)
            if not found:
                fail(f"no checkpoint in {name} ({' '.join(SUFFIXES)}); name the file")
        elif os.path.lexists(name):
            found = [name]
        elif glob.has_magic(name):
            matches = sorted(glob.glob(name, recursive=True))
            found = [match for match in matches if not os.path.isdir(match)]
            if not found:
                fail(f"nothing matches {name}")
        else:
            fail(f"there is no file {name}")
        for path in found:
            if path not in seen:
                seen.add(path)
                yield path


def checkpoints_in(folder: str) -> list[str]:
    """What looks like a checkpoint by its name, at any depth, sorted."""
    return sorted(
        str(path)
        for path in Path(folder).rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
    )


# --------------------------------------------------------------------- inspect


@app.command()
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


def print_json(value: Any) -> None:
    """ASCII alone, so that no name from a file reaches a terminal raw."""
    plain = msgspec.to_builtins(value)
    typer.echo(json.dumps(plain, indent=2, ensure_ascii=True))

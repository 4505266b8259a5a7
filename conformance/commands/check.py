"""`torchproof check`: both readers on files, bit for bit."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from conformance import __version__
from conformance.loaders.reference import MODES as TORCH_MODES

from . import EXIT_AGREE, EXIT_DIFFER, fail, print_json

#: What a folder is searched for, at any depth.
SUFFIXES: Final = (".pt", ".pth", ".bin", ".ckpt", ".tar", ".t7", ".ptl")

#: torch's modes by their names on the command line, in the order of a run.
MODES: Final = {mode.name: mode for mode in TORCH_MODES}


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
    from conformance.loaders.reference import Reference
    from conformance.report import terminal

    unknown = [name for name in mode or () if name not in MODES]
    if unknown:
        fail(f"there is no mode {unknown[0]!r}; choose from {', '.join(MODES)}")
    chosen = [name for name in MODES if not mode or name in mode]
    modes = [MODES[name] for name in chosen]
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

"""`torchproof fuzz loader`: somebody else's loader, fuzzed through its adapter."""

from __future__ import annotations

import contextlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from . import EXIT_AGREE, EXIT_DIFFER, AsJson, fail, print_json

if TYPE_CHECKING:
    from conformance.fuzz.outside.asking import Asking

#: Where hunts keep what they find.
FOLDER: Final = Path("build/loaders")
#: For one file: seconds, and gigabytes.
TIMEOUT: Final = 10.0
MEMORY: Final = 4.0


def loader(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="LOADER",
            help="One that `torchproof run` knows; or any name, with --command.",
            show_default=False,
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            metavar="CMD",
            help="An adapter's command line; docs/protocol.md says how to write one.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How long to look.")
    ] = 600.0,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Another seed makes other mutants.")
    ] = 0,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="For one file.")
    ] = TIMEOUT,
    memory: Annotated[
        float, typer.Option(min=0.1, metavar="GB", help="For the loader's process.")
    ] = MEMORY,
    budget: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="How often to ask while a finding is made smaller."
        ),
    ] = 500,
    replay: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Do not fuzz: ask about this file, and say what comes of it.",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[
        Path, typer.Option(metavar="DIR", help="Where what is found goes.")
    ] = FOLDER,
    as_json: AsJson = False,
) -> None:
    """Look for files that a loader reads wrong, or dies of.

    Mutates those small files of the corpus that the loader reads as torch does.
    Found is a mutant at which it crashes, hangs or runs out of memory, or that it
    loads without a word and not as torch does. Refusing is no finding. At the end
    each kind is made small, and written as a case; Ctrl-C is an early end.

    Exits with 0 if nothing was found, 1 if something was, 2 if it could not be
    tried.
    """
    from conformance.fuzz.outside.asking import Asking
    from conformance.loaders.reference import Reference
    from conformance.loaders.worker import Unavailable
    from conformance.matrix.adapter import Adapter, NoStart

    name, argv, shown = _command(name, command)
    adapter = Adapter(argv, timeout=timeout, memory=int(memory * 1e9))
    with adapter, Reference(timeout=timeout) as reference:
        about = reference.about()
        if isinstance(about, Unavailable):
            fail(f"{about}; pip install 'torchproof[torch]'")
        try:
            started = adapter.started
        except NoStart as error:
            fail(f"{name}: {error}")
        print(f"{started.name} {started.version}", file=sys.stderr)  # noqa: T201
        with Asking(adapter, reference) as asking:
            if replay:
                good = _replay(asking, replay, as_json=as_json)
            else:
                good = _hunt(
                    asking, name, shown, folder, seconds, seed, budget, as_json=as_json
                )
    raise typer.Exit(EXIT_AGREE if good else EXIT_DIFFER)


def _command(name: str | None, command: str | None) -> tuple[str, tuple[str, ...], str]:
    """The loader's id, how to start it, and the command that replays a file."""
    from conformance.loaders.adapters import LOADERS, Absent, command_of

    if command is not None:
        name = name or "loader"
        words = f"torchproof fuzz loader {name} --command {shlex.quote(command)}"
        return name, tuple(shlex.split(command)), f"{words} --replay"
    if name is None or name not in LOADERS:
        fail(f"name a loader ({', '.join(LOADERS)}), or give its --command")
    argv = command_of(name)
    if isinstance(argv, Absent):
        fail(f"{name} cannot run here: {argv.reason}; {argv.install}")
    return name, argv, f"torchproof fuzz loader {name} --replay"


def _replay(asking: Asking, files: list[Path], *, as_json: bool) -> bool:
    from conformance.report import outside as view
    from conformance.report.terminal import console

    heard = []
    for file in files:
        try:
            heard.append((file, asking.hear(file.read_bytes())))
        except OSError as error:
            fail(f"cannot read {error.filename}: {error.strerror}")
    if as_json:
        print_json([{"file": str(file), "heard": one} for file, one in heard])
    else:
        view.show_heard(console(), heard)
    return all(one.signature is None for _, one in heard)


def _hunt(
    asking: Asking,
    name: str,
    shown: str,
    folder: Path,
    seconds: float,
    seed: int,
    budget: int,
    *,
    as_json: bool,
) -> bool:
    from conformance.fuzz.lookup import default_words
    from conformance.fuzz.outside.hunt import Hunt, seeds
    from conformance.fuzz.outside.judging import LoaderJudges
    from conformance.fuzz.triage.run import triage
    from conformance.report import outside as view
    from conformance.report import triage as report
    from conformance.report.corpus import steps
    from conformance.report.terminal import console

    folder.mkdir(parents=True, exist_ok=True)
    hunt = Hunt(name, asking.hear, default_words(), folder, seed)
    with view.live(name, seconds) as show, contextlib.suppress(KeyboardInterrupt):
        for progress in hunt.run(seeds()):
            show(progress)
            if progress.seconds >= seconds:
                break
    inputs = [
        (name, hunt.findings.path(one).read_bytes())
        for one in hunt.findings.of(name)
        if one.signature in hunt.progress.findings
    ]
    with steps("judging") as progress_of, LoaderJudges(asking, shown) as judges:
        found = triage(
            inputs,
            judges,
            folder / "cases" / name,
            budget=budget,
            step=lambda what, done, most: progress_of(done, most, what),
        )
    if as_json:
        print_json(
            {
                "asked": hunt.progress.asked,
                "seconds": round(hunt.progress.seconds, 1),
                "verdicts": {
                    verdict.value: count
                    for verdict, count in hunt.progress.verdicts.items()
                },
                "known": sorted(hunt.known),
                "times": hunt.progress.findings,
                **report.document(found, folder / "cases" / name),
            }
        )
    else:
        view.show_hunt(console(), hunt)
        report.show(console(), found, folder / "cases" / name)
    return not found.cases

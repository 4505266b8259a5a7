"""`torchproof corpus`: the files that every reader is held against."""

from __future__ import annotations

import contextlib
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.corpus.format import Case

corpus = typer.Typer(
    name="corpus",
    help="The corpus: files, and what each of them must give.",
    no_args_is_help=True,
)

Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID",
        help="Ids, or globs in quotes: `'rebuild_tensor_v2/*'`. All by default.",
        show_default=False,
    ),
]
VerdictOption = Annotated[
    list[str] | None,
    typer.Option(
        "--verdict", help="valid, invalid or either; more than once for several."
    ),
]
FlagOption = Annotated[
    list[str] | None,
    typer.Option("--flag", metavar="FLAG", help="Only cases that carry this flag."),
]
PathOption = Annotated[
    str | None,
    typer.Option(
        "--path",
        metavar="PATH",
        help="Only cases that are about this path, or call it: "
        "`torch._utils._rebuild_qtensor`.",
    ),
]


@contextlib.contextmanager
def _damage(folder: Path) -> Iterator[None]:
    """What cannot be read in a corpus is said in one line."""
    try:
        yield
    except (OSError, ValueError) as error:
        fail(f"the corpus in {folder} is damaged: {error}")


def _wanted(
    ids: list[str] | None,
    verdicts: list[str] | None,
    flags: list[str] | None,
    path: str | None,
) -> Callable[[Case], bool]:
    """Which cases are meant: all that is asked for must be true of one."""
    for verdict in verdicts or ():
        if verdict not in ("valid", "invalid", "either"):
            fail(f"there is no verdict {verdict!r}; choose valid, invalid or either")

    def wanted(case: Case) -> bool:
        return (
            (not ids or any(fnmatch(case.id, one) for one in ids))
            and (not verdicts or case.verdict in verdicts)
            and set(flags or ()) <= set(case.flags)
            and (path is None or path == case.path or path in case.calls)
        )

    return wanted


@corpus.command("list")
def list_cases(
    ids: Ids = None,
    verdict: VerdictOption = None,
    flag: FlagOption = None,
    path: PathOption = None,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """List cases: id, verdict, and what each shows.

    Exits with 0, or 1 if there is no such case.
    """
    from conformance.corpus.format import cases, read_index
    from conformance.report import corpus as report
    from conformance.report.terminal import console

    wanted = _wanted(ids, verdict, flag, path)
    chosen = corpus_at(folder)
    with _damage(chosen):
        known = read_index(chosen).flags
        found = [case for _, case in cases(chosen) if wanted(case)]
    unknown = sorted({*(flag or ())} - known.keys())
    if unknown:
        fail(f"there is no flag {unknown[0]!r}; choose from {', '.join(sorted(known))}")
    if as_json:
        print_json(found)
    else:
        report.show_list(console(), found)
    raise typer.Exit(EXIT_AGREE if found else EXIT_DIFFER)


@corpus.command()
def summary(folder: Folder = None, as_json: AsJson = False) -> None:
    """Say how many cases there are: by verdict, label, directory and family."""
    from conformance.corpus.summary import summary as run
    from conformance.report import corpus as report
    from conformance.report.terminal import console

    chosen = corpus_at(folder)
    with _damage(chosen):
        found = run(chosen)
    if as_json:
        print_json(found)
    else:
        report.show_summary(console(), found)


@corpus.command()
def verify(folder: Folder = None, as_json: AsJson = False) -> None:
    """Hold our parser against the corpus, and the corpus against its rules.

    Needs no torch. Exits with 0 if all is well, 1 if something is not.
    """
    from conformance.corpus.verify import verify as run
    from conformance.report import corpus as report
    from conformance.report.terminal import console

    chosen = corpus_at(folder)
    begin = time.perf_counter()
    with _damage(chosen), report.steps("reading") as step:
        found = run(chosen, step=step)
    seconds = time.perf_counter() - begin
    if as_json:
        print_json({"good": found.good, "seconds": round(seconds, 1), **vars(found)})
    else:
        report.show_verified(console(), found, seconds)
    raise typer.Exit(EXIT_AGREE if found.good else EXIT_DIFFER)


@corpus.command()
def export(
    target: Annotated[
        Path, typer.Argument(metavar="DIR", help="Made if it is not there.")
    ],
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="GLOB", help="Only cases with such an id."),
    ] = None,
    verdict: VerdictOption = None,
    flag: FlagOption = None,
    path: PathOption = None,
    folder: Folder = None,
) -> None:
    """Copy the corpus, or a part of it, into a repository of yours.

    The copies come with `cases.json` files, the schema, the licence, and a file
    VERSION. An earlier export in DIR is replaced; anything else there is left
    alone, and an error.
    """
    from conformance.corpus.export import ExportError
    from conformance.corpus.export import export as run

    wanted = _wanted(ids, verdict, flag, path)
    try:
        count = run(corpus_at(folder), target, wanted)
    except (ExportError, OSError, ValueError) as error:
        fail(str(error))
    typer.echo(f"{count:,} cases in {target}")


@corpus.command()
def build(
    folder: Folder = None,
    history: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Files of old releases to take in (python -m generators.history).",
        ),
    ] = None,
    retire: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="An id that is gone, and stays so."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the corpus anew: torch saves, torch and our parser judge.

    Takes minutes. Nothing is replaced unless every case holds to what is claimed
    of it. Exits with 0 if the corpus was written, 1 if a case does not hold, 2
    without torch.
    """
    from conformance.corpus.build import BuildError, NoTorch
    from conformance.corpus.build import build as run
    from conformance.corpus.format import corpus_folder
    from conformance.report import corpus as report
    from conformance.report.terminal import console

    begin = time.perf_counter()
    try:
        with report.steps("writing") as step:
            built = run(
                corpus_folder() if folder is None else folder,
                history=history,
                retire=retire or (),
                step=step,
            )
    except NoTorch as error:
        fail(f"{error}; pip install 'torchproof[torch]'")
    except (BuildError, OSError, ValueError) as error:
        fail(str(error))
    seconds = time.perf_counter() - begin
    if as_json:
        print_json({"good": built.good, "seconds": round(seconds, 1), **vars(built)})
    else:
        report.show_built(console(), built, seconds)
    raise typer.Exit(EXIT_AGREE if built.good else EXIT_DIFFER)

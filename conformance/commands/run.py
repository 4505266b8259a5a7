"""`torchproof run`: loaders held against the corpus."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from conformance import __version__

from . import (
    EXIT_AGREE,
    EXIT_DIFFER,
    EXIT_USAGE,
    AsJson,
    Folder,
    corpus_at,
    fail,
    print_json,
)

if TYPE_CHECKING:
    from conformance.loaders.adapters import Absent
    from conformance.matrix.expectations import Expectations, Surprise
    from conformance.matrix.results import Run
    from conformance.report.matrix.files import Files

#: Where the results go.
OUTPUT: Final = Path("build/results.jsonl")
#: Lines about what is not as expected; `--json` has all.
LINES: Final = 40
MB: Final = 1_000_000

View = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="As of `torchproof report`.", show_default=False),
]


def run(
    loaders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LOADER",
            help="By its id; docs/loaders.md has them. All that are here by default.",
            show_default=False,
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            metavar="CMD",
            help="An adapter of your own: docs/protocol.md says how to write one.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str, typer.Option(metavar="ID", help="What to call the adapter of --command.")
    ] = "mine",
    case: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Only cases with such an id: `'rebuild_tensor_v2/*'`; more than "
            "once for several.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Adapters at work at a time; one for each processor by default.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="For one file.")
    ] = 20.0,
    memory: Annotated[
        int,
        typer.Option(
            min=1, metavar="MB", help="For an adapter and all that it has started."
        ),
    ] = 4_000,
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="Where the results go.")
    ] = OUTPUT,
    html: View = None,
    markdown: View = None,
    junit: View = None,
    badge: View = None,
    expectations: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What the one loader that runs is known to get wrong; those that "
            "are known here have such a file.",
            show_default=False,
        ),
    ] = None,
    update: Annotated[
        bool,
        typer.Option(
            "--update-expectations",
            help="Expect from now on what comes out, and write that down.",
        ),
    ] = False,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Ask loaders about the corpus, and judge what they say.

    A loader is a program that speaks a small protocol, a line for each file.
    What it is known to get wrong stands in its file of expectations; whatever
    else fails, and whatever fails no more, is told.

    A loader that is not installed is skipped. Ctrl-C gives the results so far.

    Exits with 0 if all is as expected, 1 if something is not, 2 if something
    could not be tried.
    """
    from conformance.corpus.format import cases as read_cases
    from conformance.corpus.format import read_index
    from conformance.matrix import results
    from conformance.matrix.expectations import surprises
    from conformance.matrix.runner import run as run_all
    from conformance.report.corpus import steps
    from conformance.report.matrix.files import Files

    commands, absent = _commands(loaders or [], command, name)
    files = _files([*commands, *absent], expectations, name if command else "")
    if update and (missing := sorted(commands.keys() - files.keys())):
        fail(f"say where to write what to expect of {missing[0]}: --expectations FILE")
    if badge is not None and len(commands) != 1:
        fail(f"a badge is of one loader, and these are {len(commands)}")
    known = _known(files, None if update else expectations)

    def wanted(id: str) -> bool:
        return not case or any(fnmatch(id, pattern) for pattern in case)

    corpus = corpus_at(folder)
    try:
        judged_by = read_index(corpus).judged_by
        chosen = [one for one in read_cases(corpus) if wanted(one[1].id)]
    except (OSError, ValueError) as error:
        fail(f"the corpus in {corpus} is damaged: {error}")
    if not chosen:
        fail(f"there is no such case: {', '.join(case or ())}")
    with _stopping(), steps("starting") as step:
        found = run_all(
            commands,
            chosen,
            judged_by=judged_by,
            jobs=jobs or os.cpu_count() or 1,
            timeout=timeout,
            memory=memory * MB,
            step=step,
            absent={id: f"{one.reason}; {one.install}" for id, one in absent.items()},
        )
    if not found.header.loaders:
        fail("; ".join(f"{id}: {why}" for id, why in found.header.absent.items()))
    _write(output, b"".join(results.lines(found)))
    if update:
        known = _update(found, files, known, whole=not case)
    surprising = list(surprises(found, known, wanted, whole=not case))
    _write_views(Files(html, markdown, junit, badge), found, corpus, surprising, known)
    if as_json:
        _print_json(found, surprising)
    else:
        _show(found, surprising)
    if not found.footer.complete or found.header.absent.keys() > absent.keys():
        raise typer.Exit(EXIT_USAGE)
    raise typer.Exit(EXIT_DIFFER if surprising else EXIT_AGREE)


@contextlib.contextmanager
def _stopping() -> Iterator[None]:
    """Meanwhile, what would end this process does as Ctrl-C does.

    Adapters are in sessions of their own, and would be left behind.
    """
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {one: signal.signal(one, signal.default_int_handler) for one in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --------------------------------------------------------------------- who runs


def _commands(
    names: list[str], command: str | None, name: str
) -> tuple[dict[str, tuple[str, ...]], dict[str, Absent]]:
    """The command of each loader that is meant, and those that are not here."""
    from conformance.loaders.adapters import LOADERS, Absent, command_of

    commands: dict[str, tuple[str, ...]] = {}
    absent = {}
    for id in names or ([] if command else LOADERS):
        if id not in LOADERS:
            fail(f"there is no loader {id!r}; choose from {', '.join(LOADERS)}")
        found = command_of(id)
        if isinstance(found, Absent):
            absent[id] = found
        else:
            commands[id] = found
    if command is not None:
        if name in LOADERS:
            fail(f"{name} is a loader that is known here; --name another")
        try:
            commands[name] = tuple(shlex.split(command))
        except ValueError as error:
            fail(f"--command is no command line: {error}")
        if not commands[name]:
            fail("--command is empty")
    return commands, absent


# ----------------------------------------------------------------- expectations


def _files(ids: Iterable[str], file: Path | None, mine: str) -> dict[str, Path]:
    """Where it stands what to expect of each; of `mine` it need stand nowhere."""
    from conformance.loaders.adapters import FOLDER

    ids = list(ids)
    if file is not None:
        if len(ids) != 1:
            fail(f"--expectations is about one loader, and these are {len(ids)}")
        return {ids[0]: file}
    folder = FOLDER / "expectations"
    return {id: folder / f"{id}.toml" for id in ids if id != mine}


def _known(files: Mapping[str, Path], must: Path | None) -> dict[str, Expectations]:
    """What is known of each loader; `must` has to be there."""
    from conformance.matrix.expectations import NoExpectations, read

    known = {}
    for id, path in files.items():
        try:
            known[id] = read(path)
        except FileNotFoundError:
            if path == must:
                fail(f"there is no {path}; --update-expectations writes it")
        except OSError as error:
            fail(f"cannot read {path}: {error.strerror}")
        except NoExpectations as error:
            fail(str(error))
    return known


def _update(
    found: Run,
    files: Mapping[str, Path],
    known: Mapping[str, Expectations],
    *,
    whole: bool,
) -> dict[str, Expectations]:
    """What is known from now on."""
    from conformance.matrix.expectations import encode, updated

    if not found.footer.complete:
        fail("the run was interrupted; expectations are as they were")
    new = dict(known)
    for loader in found.header.loaders:
        new[loader.id] = updated(known.get(loader.id), loader, found, whole=whole)
        _write(files[loader.id], encode(new[loader.id]).encode())
    return new


# ------------------------------------------------------------------------ saying


def _show(found: Run, surprising: list[Surprise]) -> None:
    from conformance.report.matrix.terminal import show_absent, show_run
    from conformance.report.terminal import console, plural, styled

    out = console()
    show_run(out, found)
    show_absent(out, found)
    if surprising:
        out.print()
    for one in surprising[:LINES]:
        case = f"{one.case}: " if one.case else ""
        line = styled((one.loader, "bold red"), f"  {case}{one.message}")
        out.print(line, soft_wrap=True)
    if len(surprising) > LINES:
        out.print(styled(f"... and {len(surprising) - LINES:,} more (--json)"))
    if surprising:
        what = plural(len(surprising), "surprise")
        out.print(styled((what, "red"), "; --update-expectations takes them as given"))
    elif found.footer.complete:
        out.print(styled(("all as expected", "green")))


def _write_views(
    files: Files,
    found: Run,
    corpus: Path,
    surprising: list[Surprise],
    known: Mapping[str, Expectations],
) -> None:
    from conformance.report.matrix.files import NoView, write

    try:
        write(files, found, corpus, surprises=surprising, expectations=known)
    except NoView as error:
        fail(str(error))
    except OSError as error:
        fail(f"cannot write {error.filename}: {error.strerror}")


def _print_json(found: Run, surprising: list[Surprise]) -> None:
    """The header, and counts of the results, which are in the file."""
    from conformance.matrix.results import Verdict

    counts = {
        loader.id: dict.fromkeys([verdict.value for verdict in Verdict], 0)
        for loader in found.header.loaders
    }
    for result in found.results:
        counts[result.loader][result.verdict.value] += 1
    print_json(
        {
            "torchproof": __version__,
            "good": not surprising and found.footer.complete,
            "header": found.header,
            "counts": counts,
            "footer": found.footer,
            "surprises": surprising,
        }
    )


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")

"""`torchproof fuzz`: machines that look for an input that breaks a promise."""

from __future__ import annotations

import contextlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from conformance import __version__

from . import EXIT_AGREE, EXIT_DIFFER, AsJson, fail, print_json
from .loader import loader
from .triage import triage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.fuzz.campaign.campaign import Campaign
    from conformance.fuzz.campaign.reach import Reached
    from conformance.fuzz.campaign.summary import Summary
    from conformance.fuzz.target import Target

fuzz = typer.Typer(
    name="fuzz",
    help="Fuzzing: run campaigns, and look at what they found.",
    no_args_is_help=True,
)

#: What ends a campaign in order.
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

INSTALL: Final = (
    "atheris is not installed; pip install 'torchproof[fuzz]' "
    "(Linux on x86-64, Python 3.11 to 3.13)"
)

Campaigns = Annotated[
    Path, typer.Option("--folder", metavar="DIR", help="Where campaigns are kept.")
]
GB = 1e9


@fuzz.command()
def run(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET",
            help="What to fuzz, one after the other; `module:name` for a target of "
            "your own.",
            show_default=False,
        ),
    ] = None,
    all_targets: Annotated[
        bool, typer.Option("--all", help="Every target that can run here.")
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, help="For each target. Without, until Ctrl-C."),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Executions for each target, over all of its jobs.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, metavar="N", help="Processes on one corpus.")
    ] = 1,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="With it, one job and --runs, a run from the same corpus can be "
            "repeated.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="SECONDS",
            help="For one execution: 10, or 120 for a target that asks torch.",
            show_default=False,
        ),
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            metavar="GB",
            help="For one job: 2, or 8 for a target that asks torch.",
            show_default=False,
        ),
    ] = None,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge", help="At the end, keep of the corpus what its coverage needs."
        ),
    ] = False,
    folder: Campaigns = Path("build/fuzz"),
    as_json: AsJson = False,
) -> None:
    """Fuzz targets, guided by the coverage of the parser.

    The corpus stays, and the next run goes on from there. What breaks an
    invariant is kept once for each cause, the smallest input of it, and does
    not end the campaign. Ctrl-C ends it in order; a second one at once.

    Exits with 0 if nothing was found, 1 if something was, 2 if it could not run.
    """
    from conformance.fuzz import lookup
    from conformance.fuzz.campaign.campaign import (
        Campaign,
        Limits,
        Unavailable,
        available,
    )
    from conformance.fuzz.campaign.job import Broken
    from conformance.report import fuzz as view
    from conformance.report.terminal import console

    if not available():
        fail(INSTALL)
    limits = Limits(
        seconds=seconds,
        runs=runs,
        timeout=timeout,
        memory=None if memory is None else int(memory * GB),
    )
    outcomes = []
    for name, target in _chosen(targets, all_targets=all_targets).items():
        campaign = Campaign(
            name,
            target,
            lookup.default_words(folder / "words.json"),
            folder,
            limits=limits,
            jobs=jobs,
            seed=seed,
        )
        try:
            with _stopping(campaign), view.live(target.name, limits) as show:
                for progress in campaign.run():
                    show(progress)
                wanted = merge and not campaign.interrupted
                merged = campaign.merge() if wanted else None
        except Broken as error:
            view.show_output(console(sys.stderr), error.output)
            fail(str(error))
        except (Unavailable, OSError) as error:
            fail(str(error))
        outcome = campaign.outcome(merged)
        outcomes.append(outcome)
        if not as_json:
            view.show_outcome(console(), outcome)
        if campaign.interrupted:
            break
    good = not any(outcome.findings for outcome in outcomes)
    if as_json:
        print_json({"torchproof": __version__, "good": good, "targets": outcomes})
    raise typer.Exit(EXIT_AGREE if good else EXIT_DIFFER)


def _chosen(names: list[str] | None, *, all_targets: bool) -> dict[str, Target]:
    """The targets that are meant, by what the engine finds them by."""
    from conformance.fuzz.lookup import NoTarget, find, runnable, torch

    if all_targets:
        if names:
            fail("name targets, or say --all")
        return runnable()
    if not names:
        fail(f"say what to fuzz: {', '.join(runnable())}; or --all")
    try:
        chosen = {name: find(name) for name in names}
    except NoTarget as error:
        fail(str(error))
    for name, target in chosen.items():
        if target.needs_torch and not torch():
            fail(f"{name} needs torch; pip install 'torchproof[torch]'")
    return chosen


@contextlib.contextmanager
def _stopping(campaign: Campaign) -> Iterator[None]:
    """Meanwhile, what would end this process ends the campaign in order."""

    def stop(_number: int, _frame: object) -> None:
        campaign.stop()

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@fuzz.command()
def report(
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="TARGET", help="All by default.", show_default=False),
    ] = None,
    coverage: Annotated[
        bool,
        typer.Option(
            "--coverage",
            help="Also replay every corpus, and say which lines and branches of the "
            "parser it reaches (minutes).",
        ),
    ] = False,
    missing: Annotated[
        bool,
        typer.Option("--missing", help="With it, the lines that are not reached."),
    ] = False,
    folder: Campaigns = Path("build/fuzz"),
    as_json: AsJson = False,
) -> None:
    """Show the campaigns so far, what they reached, and what they found.

    Exits with 0 if they found nothing, 1 if they did, 2 if there are none.
    """
    from conformance.fuzz.campaign.summary import summaries
    from conformance.report import fuzz as view
    from conformance.report.terminal import console

    found = [one for one in summaries(folder) if not targets or one.target in targets]
    if not found:
        fail(f"there are no campaigns in {folder}; begin with torchproof fuzz run")
    reached = _reached(folder, found) if coverage or missing else None
    if as_json:
        print_json({"torchproof": __version__, "targets": found, "coverage": reached})
    else:
        view.show_summaries(console(), found)
        if reached is not None:
            view.show_reached(console(), reached, missing=missing)
    good = not any(one.findings for one in found)
    raise typer.Exit(EXIT_AGREE if good else EXIT_DIFFER)


def _reached(folder: Path, found: list[Summary]) -> Reached:
    try:
        from conformance.fuzz.campaign.reach import ReachFailed, reach
    except ModuleNotFoundError as error:
        fail(
            f"{error.name} is missing; install it with pip install 'torchproof[report]'"
        )
    try:
        return reach({one.name: folder / one.target for one in found})
    except ReachFailed as error:
        fail(f"a corpus could not be replayed: {error}")


@fuzz.command()
def replay(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="As for `run`.")],
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE", help="Inputs of this target.", show_default=False
        ),
    ],
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="For one input.")
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Run a target on files, thoroughly, and say what it raises.

    Needs no atheris. Each file is read in a process with limits, so that one
    that kills it is an answer as well.

    Exits with 0 if nothing is raised, 1 if something is, 2 if it could not be
    tried.
    """
    from conformance.fuzz.campaign.replaying import replay as run_again
    from conformance.report import fuzz as view
    from conformance.report.terminal import console

    _chosen([target], all_targets=False)
    try:
        found = list(run_again(target, files, timeout=timeout))
    except OSError as error:
        fail(f"cannot read {error.filename}: {error.strerror}")
    good = all(one.raised is None for one in found)
    if as_json:
        print_json({"torchproof": __version__, "good": good, "files": found})
    else:
        view.show_replayed(console(), found)
    raise typer.Exit(EXIT_AGREE if good else EXIT_DIFFER)


fuzz.command()(triage)
fuzz.command()(loader)

"""`torchproof fuzz triage`: findings -> clusters -> small files -> ready cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from . import EXIT_AGREE, EXIT_DIFFER, AsJson, fail, print_json

if TYPE_CHECKING:
    from conformance.fuzz.triage.run import Input

#: Where campaigns keep what they find, and where its cases go.
CAMPAIGNS: Final = Path("build/fuzz")
CASES: Final = CAMPAIGNS / "triage"

#: Whose inputs files are that nobody says anything of.
TARGET: Final = "differential"


def triage(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="Inputs of a target. Without any, the findings of all campaigns.",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Where `torchproof fuzz run` keeps its campaigns."
        ),
    ] = CAMPAIGNS,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the cases go.")
    ] = CASES,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Only the findings of this target; for FILEs, whose inputs they are "
            f"({TARGET} by default).",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="How often to judge while one finding is made smaller.",
            show_default="5000",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make small files, and cases for the corpus, of what fuzzing found.

    Judges every finding again, leaves out what the ledger explains and what is
    mended, makes the smallest of each kind smaller by its structure, and writes it
    with what both readers say and the command that replays it.

    Exits with 0 if there is nothing new, 1 if there is, 2 if something could not
    be tried.
    """
    from conformance.fuzz.triage.judges import CannotJudge, Judges
    from conformance.fuzz.triage.run import triage as run
    from conformance.fuzz.triage.search import BUDGET
    from conformance.report import triage as report
    from conformance.report.corpus import steps
    from conformance.report.terminal import console

    inputs = _files(files, target) if files else _findings(folder, target)
    try:
        with steps("judging") as progress, Judges() as judges:
            found = run(
                inputs,
                judges,
                out,
                budget=BUDGET if budget is None else budget,
                step=lambda what, done, most: progress(done, most, what),
            )
    except (CannotJudge, OSError) as error:
        fail(str(error))
    if as_json:
        print_json(report.document(found, out))
    else:
        report.show(console(), found, out)
    raise typer.Exit(EXIT_DIFFER if found.cases else EXIT_AGREE)


def _files(files: list[Path], target: str | None) -> list[Input]:
    try:
        return [(target or TARGET, path.read_bytes()) for path in files]
    except OSError as error:
        fail(f"cannot read {error.filename}: {error.strerror}")


def _findings(folder: Path, target: str | None) -> list[Input]:
    from conformance.fuzz.findings import Findings

    if not folder.is_dir():
        fail(f"there are no campaigns in {folder}; `torchproof fuzz run` makes some")
    return [
        (finding.target, data)
        for finding, data in Findings(folder / "findings")
        if target is None or finding.target == target
    ]

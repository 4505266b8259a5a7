"""`torchproof diff`: what changed between two runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from . import EXIT_AGREE, EXIT_DIFFER, AsJson, fail, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from conformance.matrix.changes import Change, Changes, LoaderChanges
    from conformance.matrix.results import Run

#: Changes of one kind and loader that are shown; `--json` has all.
LINES: Final = 20
STYLES: Final = {"regressed": "red", "improved": "green"}


def diff(
    old: Annotated[
        Path, typer.Argument(metavar="OLD", help="The results of an earlier run.")
    ],
    new: Annotated[
        Path, typer.Argument(metavar="NEW", help="And of a later one.")
    ] = Path("build/results.jsonl"),
    as_json: AsJson = False,
) -> None:
    """Show what changed between two runs, loader by loader.

    Worse is: from as expected to anything else, from a refusal to a crash, from
    anything to silently wrong.

    Exits with 0 if nothing got worse, 1 if something did, 2 if a file is none of
    results.
    """
    from conformance.matrix.changes import changes
    from conformance.report.terminal import console

    found = changes(_read(old), _read(new))
    if as_json:
        print_json({"good": not found.regressed, "changes": found})
    else:
        _show(console(), found)
    raise typer.Exit(EXIT_DIFFER if found.regressed else EXIT_AGREE)


def _read(path: Path) -> Run:
    from conformance.matrix.results import NoResults, read

    try:
        return read(path)
    except NoResults as error:
        fail(str(error))
    except OSError as error:
        fail(f"cannot read {path}: {error.strerror}")


def _show(out: Console, found: Changes) -> None:
    from conformance.report.terminal import styled

    if not found.same_corpus:
        out.print(styled(("The two runs had different cases or files.", "yellow")))
    for one in found.loaders:
        out.print(styled((one.id, "bold"), f"  {_versions(one)}  {_counts(one)}"))
        shown = dict.fromkeys(change.kind for change in one.changes)
        for kind in shown:
            same = [change for change in one.changes if change.kind == kind]
            if one.old is None or one.new is None:
                # Every case of it is in one run only.
                continue
            for change in same[:LINES]:
                line = styled(
                    "    ",
                    (change.kind, STYLES.get(change.kind, "yellow")),
                    f"  {change.case}: {_said(change)}",
                )
                out.print(line, soft_wrap=True)
            if len(same) > LINES:
                left = len(same) - LINES
                out.print(styled((f"    ... and {left:,} more (--json)", "dim")))


def _versions(one: LoaderChanges) -> str:
    if one.old is None:
        return f"{one.new}, only in the second run"
    if one.new is None:
        return f"{one.old}, only in the first run"
    return one.old if one.old == one.new else f"{one.old} -> {one.new}"


def _counts(one: LoaderChanges) -> str:
    counts = [f"{count:,} {kind}" for kind, count in one.counts.items()]
    return ", ".join([*counts, f"{one.same:,} the same"])


def _said(change: Change) -> str:
    if change.old is None or change.new is None:
        return str(change.old or change.new)
    return f"{change.old} -> {change.new}"

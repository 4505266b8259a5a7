"""What `torchproof fuzz triage` prints for people, and for machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from .terminal import grid, plural, sized, styled

if TYPE_CHECKING:
    from conformance.fuzz.triage.cases import Case
    from conformance.fuzz.triage.run import Triage


def show(out: Console, found: Triage, folder: Path) -> None:
    """A row for each new kind of finding, what is not to be told, and the sum."""
    if found.cases:
        table = grid(
            {"header": "signature", "overflow": "fold"},
            {"header": "count", "justify": "right"},
            {"header": "size", "justify": "right"},
            {"header": "torch", "overflow": "fold"},
            {"header": "ours", "overflow": "fold"},
            {"header": "file", "overflow": "fold"},
        )
        for case in found.cases:
            table.add_row(
                styled((f"{case.target}: ", "dim"), (case.signature, "red")),
                f"{case.count:,}",
                styled(f"{sized(case.before)} -> {sized(len(case.data))}"),
                styled(_short(case.facts.torch)),
                styled(_short(case.facts.ours)),
                styled(case.file),
            )
        out.print(table)
        out.print()
    for case in found.cases:
        _remarks(out, case)
    _sum(out, found, folder)


#: Characters of what a reader says that a table has room for.
ROOM: Final = 100


def _short(text: str) -> str:
    return text if len(text) <= ROOM else f"{text[: ROOM - 3]}..."


def _remarks(out: Console, case: Case) -> None:
    if not case.complete:
        spent = (
            f"{case.file}: smaller, perhaps, with more than {case.asked:,} judgements"
        )
        out.print(styled((f"{spent} (--budget)", "yellow")), soft_wrap=True)
    if case.undisclosed:
        line = (
            f"{case.file}: torch {', '.join(case.facts.defects)}. Do not publish it, "
            "do not commit it: report it to PyTorch first (SECURITY.md)"
        )
        out.print(styled((line, "bold red")), soft_wrap=True)


def _sum(out: Console, found: Triage, folder: Path) -> None:
    known = ", ".join(f"{row} {count}" for row, count in sorted(found.known.items()))
    parts = [
        f"{found.known.total():,} known ({known})" if known else "",
        f"{found.clean:,} with nothing wrong" if found.clean else "",
    ]
    rest = "".join(f", {part}" for part in parts if part)
    if not found.cases:
        out.print(styled(("nothing new", "green"), rest))
        return
    new = f"{plural(len(found.cases), 'new kind')} of finding"
    out.print(styled((new, "red"), rest, f"; {folder / 'README.md'} says what next"))


def document(found: Triage, folder: Path) -> dict[str, Any]:
    """The same as one JSON document."""
    return {
        "good": not found.cases,
        "new": [
            {
                "target": case.target,
                "signature": case.signature,
                "count": case.count,
                "size": {"before": case.before, "after": len(case.data)},
                "judgements": case.asked,
                "complete": case.complete,
                "torch": case.facts.torch,
                "ours": case.facts.ours,
                "modes": case.facts.modes,
                "undisclosed": case.undisclosed,
                "file": str(folder / case.file),
                "replay": case.replay,
            }
            for case in found.cases
        ],
        "known": dict(sorted(found.known.items())),
        "clean": found.clean,
    }

"""Coverage by rebuild path, as Markdown; the same corpus gives the same text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from conformance.coverage.rows import Coverage, Part

from .coverage_views import COLUMNS, cells

INTRODUCTION: Final = """\
# Coverage by rebuild path

What the corpus reaches of all that torch can put into a file. Written by
`torchproof coverage --markdown docs/coverage.md`; do not edit.

Every file was read anew, and a path is covered if a file that some reader loads
really takes it; opcodes may also stand in files that nobody loads. What there is to
cover was asked of torch itself, by introspection. Lines and branches are those of
the function that stands behind a path, and of what it calls in its module."""


def versions(found: Coverage) -> str:
    """The line that says with what the numbers were found."""
    asked = (name for name in ("torch", "numpy", "python") if name in found.versions)
    names = (*asked, "coverage.py")
    return (
        f"Found with {', '.join(f'{name} {found.versions[name]}' for name in names)}."
    )


def render(found: Coverage) -> str:
    """The whole document."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Coverage) -> Iterator[str]:
    yield INTRODUCTION
    yield ""
    yield versions(found)
    yield ""
    verdicts = (f"{n:,} {verdict}" for verdict, n in sorted(found.verdicts.items()))
    yield f"{len(found.cases):,} cases: {', '.join(verdicts)}."
    if found.parts:
        yield ""
        yield "## What there is to cover"
        yield ""
        yield "| | covered | can be | all | found in |"
        yield "| --- | ---: | ---: | ---: | --- |"
        for part in found.parts:
            counts = f"{part.covered} | {part.coverable} | {len(part.entries)}"
            yield f"| {part.title} | {counts} | {part.found} |"
        yield from _holes(found.parts)
        yield from _reasons(found.parts)
    yield ""
    yield "## Rebuild paths"
    yield ""
    for name, meaning in COLUMNS.items():
        yield f"- **{name}**: {meaning}"
    for group, rows in groupby(found.rows, key=lambda row: row.group):
        yield ""
        yield f"### {group[0].upper()}{group[1:]}"
        yield ""
        yield f"| path | {' | '.join(COLUMNS)} |"
        yield f"| --- |{' ---: |' * len(COLUMNS)}"
        for row in rows:
            yield f"| `{row.path}` | {' | '.join(cells(row))} |"


def _holes(parts: tuple[Part, ...]) -> Iterator[str]:
    if any(part.missing for part in parts):
        yield ""
        yield "### Not covered"
        yield ""
        for part in parts:
            for entry in part.missing:
                yield f"- {part.title}: `{entry.name}`"


def _reasons(parts: tuple[Part, ...]) -> Iterator[str]:
    """What cannot be covered: a line for each reason."""
    yield ""
    yield "### What no case can show"
    yield ""
    for part in parts:
        entries = [entry for entry in part.entries if entry.reason]
        for reason in dict.fromkeys(entry.reason for entry in entries):
            names = ", ".join(
                f"`{entry.name}`" for entry in entries if entry.reason == reason
            )
            yield f"- {part.title}: {names}. {reason}"

"""What `torchproof coverage` prints for people, and the words of all its views."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby
from typing import Final

from rich.console import Console

from conformance.coverage.lines import Lines
from conformance.coverage.rows import Coverage, Part, Row, Standing

from .terminal import grid, plural, styled

#: Holes that are shown of one denominator.
HOLES: Final = 12

#: How each view heads the columns of a row, and what they mean.
COLUMNS: Final = {
    "cases": "cases that exercise the path, whatever their verdict",
    "valid": "of these, those that a reader must load",
    "containers": "the kinds of file in which the path occurs",
    "protocols": "the pickle protocols",
    "dtypes": "of what it rebuilds",
    "signatures": "distinct types of arguments",
    "torch loads": "cases that torch loads with weights_only=True / with False",
    "agree": "cases where our parser does what the corpus says",
    "our lines": "reached of our rebuild function, and of what it calls in its module",
    "our branches": "likewise",
    "torch's lines": "reached of torch's own function, where it is one of Python's",
    "torch's branches": "likewise",
}


def share(pair: tuple[int, int] | None) -> str:
    """`12/14`; a dash where there is nothing to reach."""
    return f"{pair[0]}/{pair[1]}" if pair is not None and pair[1] else "-"


def reached(lines: Lines | None) -> tuple[str, str]:
    """Lines and branches."""
    if lines is None:
        return "-", "-"
    return share(lines.lines), share(lines.branches)


def listed(values: Collection[object]) -> str:
    """Names or numbers, after one another."""
    return " ".join(map(str, values)) if values else "-"


def loads(row: Row) -> str:
    """In how many cases torch loads the file: with weights_only=True / False."""
    return f"{row.modes['weights_only=True']}/{row.modes['weights_only=False']}"


def cells(row: Row) -> list[str]:
    """A row under `COLUMNS`."""
    return [
        str(len(row.cases)),
        str(row.verdicts.get("valid", 0)),
        listed(row.containers),
        listed(row.protocols),
        str(len(row.dtypes) or "-"),
        str(len(row.signatures) or "-"),
        loads(row),
        share((row.agree, len(row.cases))),
        *reached(row.ours),
        *reached(row.torch),
    ]


def standings_of(found: Coverage) -> dict[str, Standing]:
    """How each entry of a denominator stands, by its name."""
    return {
        entry.name: entry.standing for part in found.parts for entry in part.entries
    }


# ------------------------------------------------------------------------ terminal

#: A terminal is narrow: shorter headings, and no branches.
SHORT: Final = {
    "signatures": "args",
    "torch loads": "loads",
    "our lines": "ours",
    "torch's lines": "torch's",
}
STYLES: Final[dict[str, str]] = {"missing": "red", "uncoverable": "dim"}


def show(out: Console, found: Coverage) -> None:
    """The denominators, their holes, and a row for each path."""
    standings = standings_of(found)
    narrow = [name for name in COLUMNS if not name.endswith("branches")]
    if found.parts:
        _show_parts(out, found.parts)
    for group, rows in groupby(found.rows, key=lambda row: row.group):
        out.print()
        table = grid(
            {"header": group, "overflow": "fold"},
            *({"header": SHORT.get(name, name), "justify": "right"} for name in narrow),
        )
        for row in rows:
            style = STYLES.get(standings.get(row.path, ""), "")
            shown = dict(zip(COLUMNS, cells(row), strict=True))
            table.add_row(styled((row.path, style)), *(shown[name] for name in narrow))
        out.print(table)
    out.print()
    verdicts = ", ".join(f"{n:,} {name}" for name, n in sorted(found.verdicts.items()))
    out.print(styled(f"{plural(len(found.cases), 'case')}: {verdicts}"))
    if found.parts:
        end = ("all is covered that can be", "green")
        if not found.complete:
            holes = sum(len(part.missing) for part in found.parts)
            end = (f"{plural(holes, 'hole')}", "red")
        out.print(styled(end, (f"  torch {found.versions['torch']}", "dim")))


def _show_parts(out: Console, parts: tuple[Part, ...]) -> None:
    table = grid(
        {"header": "to cover"},
        *(
            {"header": name, "justify": "right"}
            for name in ("covered", "can be", "all")
        ),
    )
    for part in parts:
        style = "red" if part.missing else "green"
        table.add_row(
            styled((part.title, style)),
            styled((str(part.covered), style)),
            str(part.coverable),
            str(len(part.entries)),
        )
    out.print(table)
    for part in parts:
        if part.missing:
            out.print()
            out.print(styled((f"{part.title}, not covered", "red")))
            for entry in part.missing[:HOLES]:
                out.print(styled(f"    {entry.name}"), soft_wrap=True)
            more = len(part.missing) - HOLES
            if more > 0:
                out.print(styled((f"    and {more} more", "dim")))

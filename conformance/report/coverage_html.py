"""Coverage by rebuild path, as one page: no network, readable on a phone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from conformance.coverage.rows import Coverage, Row

from .coverage_views import COLUMNS, cells, standings_of

#: Cases that are listed of one path; what nearly every file does has no end.
LISTED: Final = 300


def render(found: Coverage, corpus: str) -> str:
    """The page. `corpus` is the way from the page's folder to that of the files."""
    standings = standings_of(found)
    environment = Environment(
        loader=PackageLoader("conformance.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("coverage.html").render(
        found=found,
        columns=COLUMNS,
        groups=[
            (group, [_shown(row, standings) for row in rows])
            for group, rows in groupby(found.rows, key=lambda row: row.group)
        ],
        link=lambda file: quote(f"{corpus}/{file}"),
        holes=sum(len(part.missing) for part in found.parts),
        anchor=anchor,
        listed=LISTED,
    )


def anchor(name: str) -> str:
    """A name as the `id` of an element."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)


def _shown(row: Row, standings: Mapping[str, str]) -> dict[str, Any]:
    return {
        "row": row,
        "standing": standings.get(row.path, ""),
        "cells": [(cell, _rank(cell)) for cell in cells(row)],
        "lines": [
            (whose, lines)
            for whose, lines in (("our", row.ours), ("torch's", row.torch))
            if lines is not None
        ],
    }


def _rank(cell: str) -> float:
    """By what a column is sorted: a number, a share, or how many there are."""
    share = re.fullmatch(r"(\d+)/(\d+)", cell)
    if share:
        return int(share[1]) / (int(share[2]) or 1)
    if cell.isdecimal():
        return int(cell)
    return -1 if cell == "-" else len(cell.split())

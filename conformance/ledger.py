"""The divergence ledger: where torch and we differ on purpose, and why.

`divergences.toml` is the one list. A row says what torch does, what we do and
why, and by which words such a divergence is known again; every row has cases
in `corpus/divergences/`, and the tests fail when one of them no longer
diverges, or when something diverges that no row explains.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Final

from conformance.check import ModeResult

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DATA: Final = "divergences.toml"


@dataclass(frozen=True, slots=True)
class Row:
    """A known divergence.

    `torch`, `ours` and `why` are for people; `versions` are the releases of
    torch in which it was seen. It explains a result whose mode is among
    `modes` and whose verdict is among `verdicts`, if torch's answer matches
    `torch_says`, ours matches `ours_says`, and every difference that is shown
    matches `differs` (regular expressions, searched; empty ones always match).
    """

    id: str
    torch: str
    ours: str
    why: str
    versions: str
    modes: tuple[str, ...]
    verdicts: tuple[str, ...]
    cases: tuple[str, ...]
    torch_says: str = ""
    ours_says: str = ""
    differs: str = ""
    link: str = ""

    def explains(self, result: ModeResult) -> bool:
        """Whether this row is the reason for that divergence."""
        return (
            result.mode in self.modes
            and result.verdict.value in self.verdicts
            and bool(re.search(self.torch_says, result.torch or ""))
            and bool(re.search(self.ours_says, result.ours or ""))
            and all(re.search(self.differs, str(found)) for found in result.differences)
        )


@functools.cache
def rows() -> tuple[Row, ...]:
    """Every row, in the order of the file."""
    text = (resources.files("conformance") / DATA).read_text(encoding="utf-8")
    return tuple(
        Row(**{name: _frozen(value) for name, value in row.items()})
        for row in tomllib.loads(text)["divergence"]
    )


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def explaining(result: ModeResult) -> list[str]:
    """The ids of all rows that explain a divergence; more than one is one too many."""
    return [row.id for row in rows() if row.explains(result)]


def explain(_file: str, result: ModeResult) -> str | None:
    """The id of the row that explains a divergence, or `None`."""
    return next(iter(explaining(result)), None)


def unknown_cases(known: Iterable[str]) -> list[str]:
    """Cases that rows name and nobody has."""
    present = set(known)
    return [case for row in rows() for case in row.cases if case not in present]

"""The cases of the ledger: built by hand, and explained there."""

from __future__ import annotations

from collections.abc import Callable

from ..registry import LEDGER, written

#: Writes one file: answers its bytes.
Case = Callable[[], bytes]

#: Where they stand in the corpus.
DIRECTORY = "divergences"


def case(
    path: str, *, suffix: str = ".pt", undisclosed: bool = False
) -> Callable[[Case], Case]:
    """Makes a function a case: its name and `suffix` name the file."""
    return written(
        path,
        label="built",
        directory=DIRECTORY,
        family=DIRECTORY,
        suffix=suffix,
        verdict="either",
        reason=LEDGER,
        undisclosed=undisclosed,
    )

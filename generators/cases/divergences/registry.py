"""The cases of the ledger: built by hand, and explained there."""

from __future__ import annotations

from collections.abc import Callable

from ..registry import LEDGER, written

#: Writes one file: answers its bytes.
Case = Callable[[], bytes]

#: Where they stand in the corpus.
DIRECTORY = "divergences"


def case(
    path: str, *, suffix: str = ".pt", undisclosed: bool = False, valid: bool = False
) -> Callable[[Case], Case]:
    """Makes a function a case: its name and `suffix` name the file.

    A `valid` one is one that `weights_only=True` alone does not load.
    """
    return written(
        path,
        label="built",
        directory=DIRECTORY,
        family=DIRECTORY,
        suffix=suffix,
        verdict="valid" if valid else "either",
        reason="" if valid else LEDGER,
        undisclosed=undisclosed,
    )

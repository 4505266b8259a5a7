"""The result file: JSON Lines, a header, a result a line, a footer.

Every view is made of it: terminal, HTML, Markdown, JUnit, badges. Results are
sorted by loader and case, so that equal runs are equal files but for the times.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Final

import msgspec

from conformance.loaders.protocol import Fact

#: Raised whenever the meaning of a field changes.
FORMAT: Final = 1


class Verdict(Enum):
    """What became of a case with a loader, best first."""

    PASS = "pass"  # noqa: S105
    SKIP = "skip"
    REJECTS = "rejects"
    ACCEPTS = "accepts"
    TIMEOUT = "timeout"
    CRASH = "crash"
    ERROR = "error"
    MISSING = "missing"
    WRONG = "wrong"

    @property
    def shows(self) -> str:
        """In a few words."""
        return _SHOWS[self]

    @property
    def silent(self) -> bool:
        """Whether nobody is told that what was loaded is not what is there."""
        return self in (Verdict.WRONG, Verdict.MISSING)


_SHOWS: Final = {
    Verdict.PASS: "as expected",
    Verdict.SKIP: "not asked, or nothing to compare",
    Verdict.REJECTS: "refuses a valid file",
    Verdict.ACCEPTS: "takes an invalid file",
    Verdict.TIMEOUT: "gives no answer in time",
    Verdict.CRASH: "dies, or runs out of memory",
    Verdict.ERROR: "the adapter breaks the protocol",
    Verdict.MISSING: "loads, and drops something without a word",
    Verdict.WRONG: "loads, and gives something else",
}


class Difference(msgspec.Struct, frozen=True):
    """Where a loader's answer is not the expected one, and how.

    `fact`: a fact of the protocol, or `there`. `expected` and `found` are ready
    to show.
    """

    name: str
    fact: str
    expected: str
    found: str


class Result(
    msgspec.Struct, frozen=True, tag_field="kind", tag="result", omit_defaults=True
):
    """One case and one loader.

    `compared`: what was, beside that the tensors are there; nothing if it was
    not loaded. `message` is the loader's own, or the reason of a skip, or what
    it died of. `differences` are the first few, of `total`. `cause` is the
    message or difference in words that are the same for each file with it.
    """

    loader: str
    case: str
    verdict: Verdict
    seconds: float
    compared: tuple[Fact, ...] = ()
    message: str = ""
    differences: tuple[Difference, ...] = ()
    total: int = 0
    cause: str = ""


class Loader(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who was asked; as it says itself, but for `id`, by which it is known here."""

    id: str
    name: str
    version: str
    language: str
    facts: tuple[Fact, ...]
    homepage: str = ""
    issues: str = ""


class Header(msgspec.Struct, frozen=True, tag_field="kind", tag="header"):
    """What was run. `corpus` is the SHA-256 of the cases' ids and files.

    `judged_by`: the torch whose answers are expected. `absent`: loaders that
    could not be asked, and why.
    """

    format: int
    torchproof: str
    corpus: str
    judged_by: str
    cases: int
    when: datetime
    platform: str
    loaders: tuple[Loader, ...]
    absent: dict[str, str] = {}


class Footer(msgspec.Struct, frozen=True, tag_field="kind", tag="footer"):
    """The end of a run; without one, it was cut off."""

    results: int
    seconds: float
    complete: bool


class Run(msgspec.Struct, frozen=True):
    """A whole result file."""

    header: Header
    results: tuple[Result, ...]
    footer: Footer


class NoResults(ValueError):
    """A file is no result file; the message says why."""


Line = Header | Result | Footer

_LINES: Final = msgspec.json.Decoder(Line)


def lines(run: Run) -> Iterator[bytes]:
    """The file, line by line; results by loader, in the header's order, and case."""
    order = {loader.id: number for number, loader in enumerate(run.header.loaders)}
    results = sorted(run.results, key=lambda one: (order[one.loader], one.case))
    for line in (run.header, *results, run.footer):
        yield msgspec.json.encode(line) + b"\n"


def read(path: Path) -> Run:
    """The run in a file. Raises `NoResults` and `OSError`."""
    found: list[Line] = []
    for number, text in enumerate(path.read_bytes().splitlines(), 1):
        try:
            found.append(_LINES.decode(text))
        except msgspec.MsgspecError as error:
            raise NoResults(f"{path}, line {number}: {error}") from error
    if not found or not isinstance(found[0], Header):
        raise NoResults(f"{path} does not begin with a header")
    header, footer = found[0], found[-1]
    if header.format != FORMAT:
        raise NoResults(f"{path} is of format {header.format}, this reads {FORMAT}")
    if not isinstance(footer, Footer):
        raise NoResults(f"{path} has no footer: the run was cut off")
    results = tuple(line for line in found[1:-1] if isinstance(line, Result))
    if len(results) != len(found) - 2 or len(results) != footer.results:
        raise NoResults(f"{path} has not the {footer.results} results it announces")
    return Run(header, results, footer)

"""The report itself: every denominator with its holes, and a row per rebuild path."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from conformance.corpus.format import Case, read_index
from conformance.corpus.verify import verify
from conformance.loaders.reference import MODES, Mode
from conformance.parser import globals as known
from conformance.parser.values import TypedGlobal

from . import lines
from .denominators import Denominator, ask, uncoverable
from .lines import Lines
from .measure import Measured, measure

Standing = Literal["covered", "uncoverable", "missing"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to cover: whether it is, by which cases, or why it cannot be."""

    name: str
    standing: Standing
    cases: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A denominator, measured."""

    title: str
    found: str
    entries: tuple[Entry, ...]

    def count(self, standing: Standing) -> int:
        return sum(entry.standing == standing for entry in self.entries)

    @property
    def covered(self) -> int:
        return self.count("covered")

    @property
    def coverable(self) -> int:
        return len(self.entries) - self.count("uncoverable")

    @property
    def missing(self) -> tuple[Entry, ...]:
        """What could be covered, and is not."""
        return tuple(entry for entry in self.entries if entry.standing == "missing")


@dataclass(frozen=True, slots=True)
class Row:
    """A rebuild path, and the cases that exercise it.

    `verdicts`, `containers` and `protocols` are counts of cases, `modes` of those
    that torch loads in that mode. `signatures` are the distinct argument types
    of its calls, `dtypes` those of what they rebuild. `agree` are the cases where
    our parser does what the corpus says, `ledger` those where torch's modes or we
    differ as a row of the ledger says. `ours` and `torch` say how much of the
    rebuild function the cases reach, in each reader.
    """

    path: str
    group: str
    cases: tuple[str, ...]
    verdicts: dict[str, int]
    containers: dict[str, int]
    protocols: dict[int, int]
    dtypes: tuple[str, ...]
    signatures: tuple[str, ...]
    modes: dict[str, int]
    agree: int
    ledger: int
    ours: Lines | None = None
    torch: Lines | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What a report says of a case: where its file is, and what it shows."""

    file: str
    shows: str
    verdict: str


@dataclass(slots=True)
class Coverage:
    """Everything that was found. `versions` says what was looked at.

    `parts` is empty where torch was not asked.
    """

    versions: dict[str, str]
    verdicts: dict[str, int]
    parts: tuple[Part, ...] = ()
    rows: tuple[Row, ...] = ()
    cases: dict[str, Shown] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all is covered that can be."""
        return not any(part.missing for part in self.parts)


def cover(corpus: Path, *, torch: bool = True) -> Coverage:
    """Measures a corpus; without `torch`, by our own reader alone.

    Raises `FileNotFoundError` if there is no corpus, `Unavailable` if there is no
    torch, `MeasuringFailed` if a reader died.
    """
    index = read_index(corpus)
    asked = ask() if torch else None
    cases = list(measure(corpus))
    problems = verify(corpus).problems
    by_path: dict[str, list[Measured]] = defaultdict(list)
    for case in cases:
        for path in case.paths:
            by_path[path].append(case)
    versions = {
        "corpus": index.version,
        "judged by": index.judged_by,
        "coverage.py": lines.VERSION,
    }
    parts: tuple[Part, ...] = ()
    functions: set[str] = set()
    if asked is not None:
        versions |= asked.versions
        parts = tuple(part_of(one, by_path) for one in asked.denominators)
        functions = set(asked.denominators[0].entries)
    return Coverage(
        versions,
        verdicts=dict(Counter(case.case.verdict for case in cases)),
        parts=parts,
        rows=tuple(_rows(by_path, functions, cases, problems, torch=torch)),
        cases={
            one.case.id: Shown(
                one.file.relative_to(corpus).as_posix(),
                one.case.shows,
                one.case.verdict,
            )
            for one in cases
        },
    )


# ------------------------------------------------------------------ denominators


def part_of(denominator: Denominator, by_path: dict[str, list[Measured]]) -> Part:
    """What the cases cover of a denominator.

    Values, functions and names count where some reader loads the file; opcodes
    wherever they stand, as there are those that no file may have.
    """
    reasons = [row for row in uncoverable() if row.denominator == denominator.title]
    entries = []
    for name, paths in denominator.entries.items():
        found = sorted(
            {
                one.case.id
                for path in paths
                for one in by_path.get(path, ())
                if one.case.verdict != "invalid" or path.startswith("opcode:")
            }
        )
        reason = next(
            (row.reason for row in reasons if row.matches(denominator.title, name)), ""
        )
        standing: Standing = (
            "covered" if found else "uncoverable" if reason else "missing"
        )
        entries.append(Entry(name, standing, tuple(found), "" if found else reason))
    return Part(denominator.title, denominator.found, tuple(entries))


# -------------------------------------------------------------------------- rows

GROUPS: Final = (
    "rebuild functions",
    "torch's other functions and classes",
    "plain types and arrays",
    "states",
    "containers",
    "persistent ids",
)


def group_of(path: str, functions: Iterable[str] = ()) -> str | None:
    """Where a path stands in the report; `None`: it is no rebuild path.

    Opcodes and mere names are none, and neither is what stays inert.
    """
    kind, colon, name = path.partition(":")
    if colon:
        if kind == "build":
            return "states" if _rebuilt(name) else None
        return {"container": "containers", "persistent-id": "persistent ids"}.get(kind)
    if path.rpartition(".")[2].startswith("_rebuild") or path in functions:
        return "rebuild functions"
    if not _rebuilt(path):
        return None
    mine = path.startswith("torch.")
    return "torch's other functions and classes" if mine else "plain types and arrays"


def _rebuilt(name: str) -> bool:
    """Whether our parser knows what a call of this name makes."""
    if name in known.CALLS or name in known.NEW:
        return True
    module, _, last = name.rpartition(".")
    found = known.resolve(module, last, weights_only=False)
    return isinstance(found, TypedGlobal)


def _rows(
    by_path: dict[str, list[Measured]],
    functions: set[str],
    cases: list[Measured],
    problems: dict[str, list[str]],
    *,
    torch: bool,
) -> Iterator[Row]:
    grouped = {}
    for path in {*by_path, *functions}:
        group = group_of(path, functions)
        if group is not None:
            grouped[path] = group
    ids = {
        path: tuple(sorted(one.case.id for one in by_path.get(path, ())))
        for path in grouped
    }
    ours = _lines("ours", cases, ids)
    torchs = (
        _lines("torch", [c for c in cases if harmless(c.case)], ids) if torch else {}
    )
    for path in sorted(grouped, key=lambda path: (GROUPS.index(grouped[path]), path)):
        yield _row(
            path,
            grouped[path],
            by_path.get(path, []),
            problems,
            {"ours": ours.get(path), "torch": torchs.get(path)},
        )


def _lines(
    reader: lines.Reader, cases: list[Measured], paths: dict[str, tuple[str, ...]]
) -> dict[str, Lines]:
    subjects = tuple(
        lines.Subject(one.case.id, str(one.file), one.case.encoding) for one in cases
    )
    return lines.measure(lines.Request(reader, subjects, paths))


#: The mode in which torch's own functions are measured.
FULL: Final = Mode(weights_only=False)


def loading(case: Case) -> set[str]:
    """The readers that load a case, as the corpus names them."""
    answers = [*filter(None, [case.expected]), *case.alternatives]
    return {reader for answer in answers for reader in answer.by}


def harmless(case: Case) -> bool:
    """Whether torch loads the file, or raises in Python; it does nothing worse."""
    mode = FULL.name
    refusals = [kind for by, kind in case.refused_by.items() if by == mode]
    if refusals:
        return all(
            kind.isidentifier() and kind != MemoryError.__name__ for kind in refusals
        )
    return mode in loading(case)


def _row(
    path: str,
    group: str,
    cases: list[Measured],
    problems: dict[str, list[str]],
    reached: dict[str, Any],
) -> Row:
    modes = {
        str(mode): sum(
            any(reader == mode.name for reader in loading(one.case)) for one in cases
        )
        for mode in MODES
    }
    name = path.removeprefix("build:")
    return Row(
        path=path,
        group=group,
        cases=tuple(sorted(one.case.id for one in cases)),
        verdicts=_counted(one.case.verdict for one in cases),
        containers=_counted(kind for one in cases for kind in {*one.case.containers}),
        protocols=_counted(number for one in cases for number in {*one.case.protocols}),
        dtypes=_gathered(one.dtypes.get(name, ()) for one in cases),
        signatures=_gathered(one.signatures.get(name, ()) for one in cases),
        modes=modes,
        agree=sum(one.case.id not in problems for one in cases),
        ledger=sum(bool(one.case.ledger) for one in cases),
        **reached,
    )


def _counted(values: Iterable[Any]) -> dict[Any, int]:
    return dict(sorted(Counter(values).items()))


def _gathered(sets: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(sorted({value for found in sets for value in found}))

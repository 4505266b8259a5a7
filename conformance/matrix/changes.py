"""Two runs -> what changed between them, case by case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from .results import Loader, Result, Run, Verdict

#: `changed`: as good as before, but with another cause, or asked only once;
#: `gone` and `new`: in one run only.
Kind = Literal["regressed", "improved", "changed", "gone", "new"]

#: Worst first.
KINDS: Final[tuple[Kind, ...]] = ("regressed", "improved", "changed", "gone", "new")

_RANK: Final = {verdict: rank for rank, verdict in enumerate(Verdict)}


class Side(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one of the runs has."""

    verdict: Verdict
    cause: str = ""

    def __str__(self) -> str:
        verdict = self.verdict.value
        return f"{verdict} ({self.cause})" if self.cause else verdict


class Change(msgspec.Struct, frozen=True):
    """One case and one loader, in two runs."""

    kind: Kind
    case: str
    old: Side | None
    new: Side | None


class LoaderChanges(msgspec.Struct, frozen=True):
    """One loader in two runs; a version is `None` where it did not run.

    `same` counts the cases that did not change.
    """

    id: str
    old: str | None
    new: str | None
    same: int
    changes: tuple[Change, ...]

    @property
    def counts(self) -> Counter[Kind]:
        return Counter(change.kind for change in self.changes)


class Changes(msgspec.Struct, frozen=True):
    """`same_corpus`: whether both were asked about the same files."""

    same_corpus: bool
    loaders: tuple[LoaderChanges, ...]

    @property
    def regressed(self) -> bool:
        return any(one.counts["regressed"] for one in self.loaders)


def changes(old: Run, new: Run) -> Changes:
    """What changed, for each loader of either."""
    before, after = _loaders(old), _loaders(new)
    return Changes(
        old.header.corpus == new.header.corpus,
        tuple(
            _loader(id, before.get(id), after.get(id), old, new)
            for id in before | after
        ),
    )


def _loaders(run: Run) -> dict[str, Loader]:
    return {loader.id: loader for loader in run.header.loaders}


def _loader(
    id: str, before: Loader | None, after: Loader | None, old: Run, new: Run
) -> LoaderChanges:
    was, now = _sides(old, id), _sides(new, id)
    found = list(_changes(was, now))
    return LoaderChanges(
        id,
        None if before is None else before.version,
        None if after is None else after.version,
        len(was.keys() & now.keys())
        - sum(change.old is not None and change.new is not None for change in found),
        tuple(sorted(found, key=lambda one: (KINDS.index(one.kind), one.case))),
    )


def _sides(run: Run, id: str) -> dict[str, Side]:
    return {result.case: _side(result) for result in run.results if result.loader == id}


def _side(result: Result) -> Side:
    return Side(result.verdict, result.cause)


def _changes(was: dict[str, Side], now: dict[str, Side]) -> Iterator[Change]:
    for case in was | now:
        old, new = was.get(case), now.get(case)
        if old is None:
            yield Change("new", case, old, new)
        elif new is None:
            yield Change("gone", case, old, new)
        elif old != new:
            yield Change(_kind(old.verdict, new.verdict), case, old, new)


def _kind(old: Verdict, new: Verdict) -> Kind:
    failed = {old, new} - {Verdict.PASS, Verdict.SKIP}
    if old is new or (Verdict.SKIP in (old, new) and failed):
        # Whoever was not asked has failed nowhere.
        return "changed"
    return "regressed" if _RANK[new] > _RANK[old] else "improved"

"""What became of campaigns, for people and programs: values, read from disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from ..findings import Findings
from .statistics import NAME, Progress, Started, read


class Found(msgspec.Struct, frozen=True):
    """A finding, and the file to replay it with."""

    signature: str
    message: str
    size: int
    file: str


class Outcome(msgspec.Struct, frozen=True):
    """One run: how it began, how far it came, what it found.

    `merged` is how many inputs the corpus had before it was merged, and after.
    """

    target: str
    started: Started
    progress: Progress
    findings: list[Found]
    merged: tuple[int, int] | None


class Summary(msgspec.Struct, frozen=True):
    """All runs of a target.

    `name` is what a command calls the target; `executions`, `seconds` and `tally`
    are of all runs, `edges` and `features` of the last; `corpus` and `nbytes` what
    is on disk now.
    """

    target: str
    name: str
    runs: int
    last: datetime
    executions: int
    seconds: float
    rate: float
    edges: int
    features: int
    corpus: int
    nbytes: int
    findings: list[Found]
    tally: dict[str, int]


def summaries(folder: Path) -> Iterator[Summary]:
    """One for each target that has campaigns in the folder."""
    findings = Findings(folder / "findings")
    for path in sorted(folder.glob(f"*/{NAME}")):
        runs = list(read(path.parent))
        if not runs:
            continue
        target, last = path.parent.name, runs[-1]
        executions = sum(run.progress.executions for run in runs)
        seconds = sum(run.progress.seconds for run in runs)
        sizes = [one.stat().st_size for one in (path.parent / "corpus").iterdir()]
        yield Summary(
            target=target,
            name=last.started.target,
            runs=len(runs),
            last=last.started.when,
            executions=executions,
            seconds=round(seconds, 1),
            rate=round(executions / seconds, 1) if seconds else 0.0,
            edges=last.progress.edges,
            features=last.progress.features,
            corpus=len(sizes),
            nbytes=sum(sizes),
            findings=found(findings, target),
            tally=_added(run.progress.tally for run in runs),
        )


def _added(tallies: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """All of them together, the most frequent first."""
    counted: Counter[str] = Counter()
    for tally in tallies:
        counted.update(tally)
    return dict(counted.most_common())


def found(
    findings: Findings, target: str, signatures: Collection[str] | None = None
) -> list[Found]:
    """The findings of a target, or those of them with such signatures."""
    return [
        Found(one.signature, one.message, one.size, str(findings.path(one)))
        for one in findings.of(target)
        if signatures is None or one.signature in signatures
    ]

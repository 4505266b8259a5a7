"""All of it: judged again, clustered, made small, written as cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from . import cases
from .cases import Case
from .clusters import Cluster, cluster
from .facts import Facts
from .judges import Judges
from .levels import STAGES
from .search import BUDGET, minimise

#: An input to look at: its target, and its bytes.
Input = tuple[str, bytes]

#: Told what is going on, how much of it is done, and of how much.
Step = Callable[[str, int, int], None]

#: Who waits for each judgement in vain waits for so many fewer.
PATIENCE: Final = 40


@dataclass
class Triage:
    """New findings, as cases; of the others, how many each row of the ledger
    explains, and at how many nothing is wrong (any more)."""

    cases: list[Case] = field(default_factory=list)
    known: Counter[str] = field(default_factory=Counter)
    clean: int = 0


def triage(
    inputs: Iterable[Input],
    judges: Judges,
    out: Path,
    *,
    budget: int = BUDGET,
    step: Step = lambda _what, _done, _all: None,
) -> Triage:
    """Writes a case into `out` for each new kind of finding.

    `budget` is how many judgements may be spent on each. Raises `CannotJudge`.
    """
    found = Triage()
    given = list(inputs)
    done = 0

    def judge(target: str, data: bytes) -> str | None:
        nonlocal done
        step("judging", done, len(given))
        done += 1
        judgement = judges.judge(target, data)
        if judgement.row is not None:
            found.known[judgement.row] += 1
        elif judgement.signature is None:
            found.clean += 1
        return judgement.signature

    clusters, _ = cluster(given, judge)
    if clusters:
        out.mkdir(parents=True, exist_ok=True)
        (out / "README.md").write_text(cases.README, encoding="utf-8")
    for number, one in enumerate(clusters):
        name = f"{number + 1} of {len(clusters)}"
        found.cases.append(_case(one, judges, out, budget, name, step))
    return found


def _case(
    one: Cluster[str], judges: Judges, out: Path, budget: int, name: str, step: Step
) -> Case:
    if judges.hangs(one.signature):
        budget = max(1, budget // PATIENCE)
    minimal = minimise(
        one.smallest,
        one.signature,
        judges.of(one.key),
        STAGES,
        budget=budget,
        step=lambda asked, most, size: step(f"{name}: {size} bytes", asked, most),
    )
    case = Case(
        target=one.key,
        signature=one.signature,
        count=one.count,
        before=len(one.smallest),
        data=minimal.data,
        asked=minimal.asked,
        complete=minimal.complete,
        facts=_facts(one.key, minimal.data, judges, out),
        command=judges.command(one.key),
    )
    cases.write(case, out)
    return case


def _facts(target: str, data: bytes, judges: Judges, out: Path) -> Facts:
    if target in cases.NO_FILES:
        return Facts()
    path = out / ".looked-at.pt"
    path.write_bytes(data)
    try:
        return judges.facts(path)
    finally:
        path.unlink()

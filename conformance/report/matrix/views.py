"""What every view of a run says: the same counts, signs and clusters.

The words come from loaders and files. Nothing here is escaped for anything; each
view does that for its own kind of text.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from conformance.loaders.protocol import FACTS
from conformance.matrix.expectations import Expectations, Kind
from conformance.matrix.results import Loader, Result, Run, Verdict

#: A sign for each verdict, in characters that every font has.
SIGNS: Final = {
    Verdict.PASS: "✓",
    Verdict.SKIP: "·",
    Verdict.REJECTS: "×",  # noqa: RUF001
    Verdict.ACCEPTS: "!",
    Verdict.TIMEOUT: "…",
    Verdict.CRASH: "†",
    Verdict.ERROR: "?",
    Verdict.MISSING: "○",
    Verdict.WRONG: "≠",
}

#: The worst first, as tables have it; then what is as expected.
WORST_FIRST: Final = tuple(reversed(Verdict))
FAILURES: Final = tuple(
    verdict for verdict in WORST_FIRST if verdict not in (Verdict.PASS, Verdict.SKIP)
)


@dataclass(frozen=True, slots=True)
class Standing:
    """One loader: its results by verdict, and how many seconds they took."""

    loader: Loader
    counts: Counter[Verdict]
    seconds: float

    @property
    def judged(self) -> int:
        """Results that are not skips."""
        return self.counts.total() - self.counts[Verdict.SKIP]

    @property
    def silent(self) -> int:
        """Files that were loaded, and something else came out."""
        return sum(n for verdict, n in self.counts.items() if verdict.silent)

    @property
    def percent(self) -> int | None:
        """Of those judged, how many are as expected; 100 if all are, and only then."""
        return 100 * self.counts[Verdict.PASS] // self.judged if self.judged else None

    @property
    def score(self) -> str:
        """`93 % (2 silent)`."""
        if self.percent is None:
            return "nothing judged"
        return f"{self.percent} %" + (
            f" ({self.silent:,} silent)" if self.silent else ""
        )

    @property
    def compared(self) -> str:
        """What its adapter reports of a tensor, in the protocol's order."""
        facts = [fact for fact in FACTS if fact in self.loader.facts]
        return ", ".join(facts) or "whether tensors are there"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Failures of one loader with one verdict and one cause; `cases` sorted."""

    loader: str
    verdict: Verdict
    cause: str
    cases: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The cause in words: who takes a file says nothing."""
        return self.cause or self.verdict.shows

    @property
    def example(self) -> str:
        return self.cases[0]


def standings(run: Run) -> tuple[Standing, ...]:
    """The loaders, in the header's order; one that gave no result, too."""
    counts: dict[str, Counter[Verdict]] = defaultdict(Counter)
    seconds: dict[str, float] = defaultdict(float)
    for result in run.results:
        counts[result.loader][result.verdict] += 1
        seconds[result.loader] += result.seconds
    return tuple(
        Standing(loader, counts[loader.id], seconds[loader.id])
        for loader in run.header.loaders
    )


def failures(run: Run) -> Iterator[Result]:
    """The results that are neither passed nor skipped."""
    return (result for result in run.results if result.verdict in FAILURES)


def clusters(run: Run) -> tuple[Cluster, ...]:
    """The failures by cause: silent ones first, then the largest."""
    found: dict[tuple[str, Verdict, str], list[str]] = defaultdict(list)
    for result in failures(run):
        found[result.loader, result.verdict, result.cause].append(result.case)
    every = (Cluster(*key, tuple(sorted(cases))) for key, cases in found.items())
    return tuple(
        sorted(
            every,
            key=lambda one: (
                not one.verdict.silent,
                -len(one.cases),
                one.loader,
                WORST_FIRST.index(one.verdict),
                one.cause,
            ),
        )
    )


class Known(NamedTuple):
    """What is known of a cause; `link`: where it is reported."""

    kind: Kind
    link: str


#: By loader, verdict and cause.
KnownCauses = Mapping[tuple[str, Verdict, str], Known]


def known(expectations: Mapping[str, Expectations]) -> KnownCauses:
    """What the files of expectations, by loader, say of causes."""
    return {
        (loader, *group.key): Known(group.kind, group.link)
        for loader, one in expectations.items()
        for group in one.expected
    }


def summary(run: Run) -> dict[str, Any]:
    """The run in numbers, as one JSON document: all but the single results."""
    return {
        "header": run.header,
        "counts": {
            one.loader.id: {v.value: one.counts[v] for v in Verdict}
            for one in standings(run)
        },
        "causes": [
            {
                "loader": one.loader,
                "verdict": one.verdict.value,
                "cause": one.cause,
                "cases": one.cases,
            }
            for one in clusters(run)
        ],
        "footer": run.footer,
    }


def facts_of(run: Run) -> tuple[tuple[str, str], ...]:
    """What was run: names and values, in the order to show them."""
    header = run.header
    return (
        ("cases", f"{header.cases:,}"),
        ("results", f"{len(run.results):,}"),
        ("expected is what", f"{header.judged_by} gives"),
        ("torchproof", header.torchproof),
        ("corpus", header.corpus[:12]),
        ("run", f"{header.when:%Y-%m-%d %H:%M} UTC"),
        ("took", lasted(run.footer.seconds)),
        ("on", header.platform),
    )


def lasted(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


#: What holds for every run.
READING: Final = (
    "Every loader was given every file of the corpus, as its users would give it, and "
    "was told nothing of what is in it. What came out was held against what torch "
    "gives. The worst is what nobody is told: ≠ loads, and gives something else; ○ "
    "loads, and drops something."
)

#: What it does not mean, one line each.
CAVEATS: Final = tuple(
    """\
A share of files is no share of users. The files are chosen to be hard, many show one \
thing in many ways, and one defect can fail hundreds of them: count causes, not cases.
A refusal is loud, and often a decision. A loader that refuses what it does not know \
does better than one that guesses.
Only what an adapter can report is compared: where strides or sharing are not among a \
loader's facts, ✓ says nothing about them.
To take an invalid file (!) is a bug at most: it says nothing about whether a loader \
is safe with files that nobody vouches for.
What is expected comes from torch, with weights_only=False, and torchproof was made \
with these files at hand: that these two get them right is no news.
This is one version of each loader, asked through a small adapter, which may be wrong, \
too. The seconds include the adapter, and are no benchmark.
""".splitlines()
)

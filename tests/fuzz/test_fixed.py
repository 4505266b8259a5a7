"""Each target for a fixed number of executions, with a fixed seed.

Guided by coverage where there is atheris; elsewhere as many mutants of the seeds
as luck makes them.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from random import Random
from typing import Final
from zlib import crc32

import pytest

from conformance.fuzz.campaign import Campaign, Limits, available
from conformance.fuzz.lookup import default_words, find, runnable

pytestmark = pytest.mark.fuzz

#: Executions of each target beyond its seeds.
EXECUTIONS: Final = 2_000

#: One mutant in so many is run thoroughly.
THOROUGH: Final = 128

#: Those that need torch have a test of their own, where torch is.
NAMES: Final = [name for name in runnable() if not find(name).needs_torch]


@pytest.mark.skipif(not available(), reason="atheris is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_guided(name: str, tmp_path: Path) -> None:
    target = find(name)
    executions = EXECUTIONS + len(list(target.seeds()))
    limits = Limits(runs=executions)
    campaign = Campaign(name, target, default_words(), tmp_path, limits=limits, seed=1)
    *_, last = campaign.run()
    assert campaign.outcome().findings == []
    assert (last.findings, last.restarts, last.ended) == ((), 0, "runs")
    assert last.executions >= executions
    assert list((campaign.folder / "corpus").iterdir()), "no mutant reached anything"


@pytest.mark.skipif(available(), reason="atheris does it better")
@pytest.mark.parametrize("name", NAMES)
def test_at_random(name: str) -> None:
    target = find(name)
    random = Random(name)  # noqa: S311
    seeds = [seed for seed in target.seeds() if len(seed) <= target.max_size]
    for seed in itertools.islice(itertools.cycle(seeds), EXECUTIONS):
        mutant = target.mutate(seed, random, default_words())
        target.run(mutant, not crc32(mutant) % THOROUGH)

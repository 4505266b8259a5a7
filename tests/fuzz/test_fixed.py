"""Each target for a fixed number of executions, guided by coverage, from one seed.

Mutants without guidance, for Pythons that have no atheris, are in `test_targets`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from conformance.fuzz.campaign.campaign import Campaign, Limits, available
from conformance.fuzz.lookup import default_words
from conformance.fuzz.targets import TARGETS

pytestmark = [
    pytest.mark.fuzz,
    pytest.mark.skipif(not available(), reason="atheris is not installed"),
]

#: Executions of each target beyond its seeds.
EXECUTIONS: Final = 2_000


@pytest.mark.parametrize(
    # The others have a test of their own, where torch is.
    "name",
    [name for name, target in TARGETS.items() if not target.needs_torch],
)
def test_a_short_campaign(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    executions = EXECUTIONS + len(list(target.seeds()))
    limits = Limits(runs=executions)
    campaign = Campaign(name, target, default_words(), tmp_path, limits=limits, seed=1)
    *_, last = campaign.run()
    assert campaign.outcome().findings == []
    assert (last.findings, last.restarts, last.ended) == ((), 0, "runs")
    assert last.executions >= executions
    assert list((campaign.folder / "corpus").iterdir()), "no mutant reached anything"

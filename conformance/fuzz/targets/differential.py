"""torch and we on one file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from conformance import ledger
from conformance.check import Verdict
from conformance.corpus.format import cases, corpus_folder

from ..differential import counts, examine, verdicts
from ..mutation import files
from ..target import Target, Violation
from . import costly, edges

#: Larger seeds only make everything slower.
LARGEST: Final = 4096

#: What costs a process of torch's, or seconds.
_COSTLY: Final = {
    verdict.value for verdict in (Verdict.CRASHED, Verdict.HUNG, Verdict.OUT_OF_MEMORY)
}


def run(data: bytes, thorough: bool) -> None:
    """torch and we say the same of a file, or one row of the ledger says why not."""
    found = examine(data, thorough)
    if found.signature is not None and found.row is None:
        said = [
            f"{mode.mode}: {mode.verdict.value}"
            f"\n    ours: {mode.ours or 'loads'}\n    torch: {mode.torch or 'loads'}"
            + "".join(f"\n    {difference}" for difference in mode.differences)
            for mode in found.result.modes
            if not mode.verdict.agrees
        ]
        raise Violation("divergence", "\n".join(said), found.signature)


#: What torch hangs of, and what it makes of memory that it has given back.
_NOT_HERE: Final = frozenset({"a long name", "array that is built twice", "zeros"})


def _seeds() -> Iterator[bytes]:
    """The small files of the corpus that do no harm to torch's process, and those
    that are made by hand."""
    for what, pickle in {**edges.PICKLES, **costly.PICKLES}.items():
        if what not in _NOT_HERE:
            yield edges.around(pickle)
    yield from edges.ARCHIVES.values()
    rows = ledger.rows()
    for path, case in cases(corpus_folder()):
        harmful = any(_COSTLY.intersection(rows[row].verdicts) for row in case.ledger)
        if path.stat().st_size <= LARGEST and not harmful:
            yield path.read_bytes()


def _tally() -> dict[str, int]:
    """How often there was each verdict, and how often each row explained one."""
    rows = {f"row {name}": count for name, count in counts.items()}
    return {**verdicts, **rows}


DIFFERENTIAL: Final = Target(
    "differential",
    run,
    files.mutate,
    _seeds,
    max_size=1 << 13,
    # Where readers differ, and at half the cost of the whole parser; the outcomes
    # are coverage too (`feedback`).
    modules=("conformance.parser.containers", "conformance.parser.rebuild"),
    needs_torch=True,
    tally=_tally,
)

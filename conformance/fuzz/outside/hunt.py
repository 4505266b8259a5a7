"""Mutants of what a loader reads well, until it does not."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from conformance.corpus.format import cases, corpus_folder
from conformance.matrix.results import Verdict

from ..findings import Findings
from ..mutation import files
from ..words import Words
from .asking import FOUND, Heard

#: Larger files only make everything slower, in bytes.
LARGEST: Final = 4096

#: How many mutations one mutant may be made of.
MOST: Final = 3

#: Kinds of answers beyond which no input is kept for its kind alone: a loader
#: whose messages are never the same would fill the memory.
KINDS: Final = 5_000


@dataclass
class Progress:
    """How far a hunt is; `kinds` counts the answers that are told apart."""

    asked: int = 0
    seconds: float = 0.0
    corpus: int = 0
    kinds: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    findings: dict[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Inputs per second."""
        return self.asked / self.seconds if self.seconds else 0.0


def seeds() -> Iterator[bytes]:
    """The small valid files of the corpus."""
    for path, case in cases(corpus_folder()):
        if case.verdict == "valid" and path.stat().st_size <= LARGEST:
            yield path.read_bytes()


class Hunt:
    """Asks about seeds, and then about mutants of those that the loader reads.

    What is found goes into `findings`, the smallest of each signature, under
    `name`. What the seeds themselves bring to light is the corpus' to tell, and is
    left out. The same for the same `seed`, as long as loader and torch are.
    """

    def __init__(
        self,
        name: str,
        hear: Callable[[bytes], Heard],
        words: Words,
        folder: Path,
        seed: int,
    ) -> None:
        self.name = name
        self.findings = Findings(folder / "findings")
        self.progress = Progress()
        self._hear = hear
        self._words = words
        self._random = Random(seed)  # noqa: S311
        self._corpus: list[bytes] = []
        self._kinds: set[str] = set()
        #: What a file of the corpus shows already.
        self.known: set[str] = set()
        self._began = time.monotonic()

    def run(self, seeds: Iterator[bytes]) -> Iterator[Progress]:
        """Without end; says after every input how far it is."""
        for data in seeds:
            heard = self._ask(data)
            if heard.signature is not None:
                self.known.add(heard.signature)
            elif heard.verdict is Verdict.PASS and heard.torch:
                self._corpus.append(data)
            yield self._told()
        if not self._corpus:
            return
        while True:
            data = self._mutant()
            heard = self._ask(data)
            self._keep(data, heard)
            yield self._told()

    def _ask(self, data: bytes) -> Heard:
        heard = self._hear(data)
        self.progress.asked += 1
        self.progress.verdicts[heard.verdict] += 1
        return heard

    def _mutant(self) -> bytes:
        random = self._random
        # The latest are those that nobody has tried yet.
        newest = max(0, len(self._corpus) - 50)
        first = newest if random.random() < 0.2 else 0
        data = self._corpus[random.randrange(first, len(self._corpus))]
        for _ in range(random.randint(1, MOST)):
            data = files.mutate(data, random, self._words)
        return data

    def _keep(self, data: bytes, heard: Heard) -> None:
        signature = heard.signature
        if signature is not None and signature not in self.known:
            findings = self.progress.findings
            findings[signature] = findings.get(signature, 0) + 1
            self.findings.add(self.name, signature, _words(heard), data)
        kind = f"{heard.kind} | {heard.torch}"
        if kind in self._kinds or len(self._kinds) >= KINDS:
            return
        self._kinds.add(kind)
        if heard.verdict not in FOUND and len(data) <= LARGEST:
            self._corpus.append(data)

    def _told(self) -> Progress:
        self.progress.seconds = time.monotonic() - self._began
        self.progress.corpus = len(self._corpus)
        self.progress.kinds = len(self._kinds)
        return self.progress


def _words(heard: Heard) -> str:
    return "\n".join(
        (
            heard.message,
            *(
                f"{one.fact} of {one.name!r}: {one.found}, not {one.expected}"
                for one in heard.differences
            ),
        )
    ).strip()

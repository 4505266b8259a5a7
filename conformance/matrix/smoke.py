"""An adapter checked by itself, step by step, with hints.

Asks about a handful of the corpus' files, simplest first. It looks for slips of the
adapter, and not for what its loader cannot do: a refusal of anything but the plainest
file is passed by.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from conformance.corpus import format as corpus
from conformance.description import Description, from_document
from conformance.loaders import ours
from conformance.loaders.protocol import (
    VERSION,
    Fact,
    Loaded,
    Rejected,
    Skipped,
    Start,
    Started,
    Stop,
    encode,
)
from conformance.walk import flat, tensors

from . import hints, normal
from .adapter import MEMORY, START, TIMEOUT, Adapter, NoStart, Outcome
from .judging import judge
from .normal import Tensor
from .results import Verdict

#: The valid files that are asked for -> what they show.
FILES: Final = {
    "rebuild_tensor_v2/in_dict_of_one": "a tensor",
    "rebuild_tensor_v2/matrix_and_its_transpose": "two views of one storage",
    "containers/dict_nested": "dicts and lists in a dict",
}
PLAINEST: Final = next(iter(FILES))
Pair = tuple[Tensor, Tensor]

#: Not all of the file is there.
CUT: Final = "cut/archive_inside_bytes_of_data_pkl"

#: So many files are asked for in a row.
ROW: Final = 10


class Mark(Enum):
    """What came of a step. Only slips are the adapter's."""

    OK = "ok"
    PASSED_BY = "passed by"
    SLIP = "not ok"


@dataclass(frozen=True, slots=True)
class Step:
    """What was looked at, what came of it, and what to do about it."""

    name: str
    mark: Mark
    told: str = ""
    hint: str = ""


def smoke(
    command: Sequence[str],
    folder: Path,
    *,
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
    start: float = START,
) -> Iterator[Step]:
    """Each step as soon as it is done; ends early if the adapter does not start.

    `folder` is the corpus; the rest as of `Adapter`.
    """
    with Adapter(command, timeout=timeout, memory=memory, start=start) as adapter:
        try:
            started = adapter.started
        except NoStart as error:
            hint = hints.no_start(str(error))
            yield Step("starts", Mark.SLIP, str(error), hint)
            return
        yield from _greeting(started)
        files = [_File(folder, id) for id in FILES]
        for file in files:
            yield from file.steps(adapter.load(file.path), started.facts)
        yield _refuses(adapter, "a file cut short", _File(folder, CUT).path)
        nowhere = folder.absolute() / "no" / "such" / "file.pt"
        yield _refuses(adapter, "a file that is not there", nowhere)
        yield _in_a_row(adapter, [file.path for file in files])
        yield _encoding(adapter, files[0].path)
    yield _stops(command, start)


def _greeting(started: Started) -> Iterator[Step]:
    facts = ", ".join(started.facts) or "nothing but names"
    told = f"{started.name} {started.version} ({started.language}), reports {facts}"
    empty = [
        field
        for field in ("name", "version", "language")
        if not getattr(started, field).strip()
    ]
    if empty:
        hint = f"tell its {', '.join(empty)}: results are filed under it"
        yield Step("starts", Mark.SLIP, told, hint)
    else:
        yield Step("starts", Mark.OK, told)


# ------------------------------------------------------------------- a valid file


class _File:
    """A file of the corpus, and what is in it."""

    def __init__(self, folder: Path, id: str) -> None:
        self.id = id
        self.path = folder.absolute() / f"{id}.pt"
        self.shows = FILES.get(id, "")

    @property
    def case(self) -> corpus.Case:
        text = self.path.with_name(corpus.CASES).read_bytes()
        cases = corpus.decode(text).cases
        return next(case for case in cases if case.id == self.id)

    def steps(self, answer: Outcome, facts: Sequence[Fact]) -> Iterator[Step]:
        """The steps about what an adapter, that reports these facts, answered."""
        match answer:
            case Loaded():
                yield from self._loaded(answer, facts)
            case Rejected(message=words) | Skipped(reason=words):
                mark, hint = Mark.PASSED_BY, ""
                if self.id == PLAINEST:
                    mark, hint = Mark.SLIP, "no file is plainer: every loader reads it"
                yield Step(self.shows, mark, f"refused: {words}", hint)
            case _:
                yield self._slip("", str(answer), hints.failure(answer))

    def _slip(self, what: str, told: str, hint: str) -> Step:
        return Step(self._named(what), Mark.SLIP, told, hint)

    def _named(self, what: str) -> str:
        return f"{self.shows}: {what}" if what else self.shows

    def _loaded(self, loaded: Loaded, facts: Sequence[Fact]) -> Iterator[Step]:
        if loaded.description is not None:
            found = normal.expected(from_document(loaded.description))
        else:
            found = normal.flat(loaded.tensors or ())
        description = ours.load(self.path)
        wanted = normal.expected(description, flat(description))
        names = sorted(tensor.name for tensor in found)
        right = sorted(tensor.name for tensor in wanted)
        if names != right:
            told = f"{_listed(names)}, not {_listed(right)}"
            yield self._slip("names", told, hints.names(right, names))
            return
        yield Step(self._named("names"), Mark.OK, _listed(names))
        by_name = {tensor.name: tensor for tensor in found}
        pairs = [(tensor, by_name[tensor.name]) for tensor in wanted]
        whole = loaded.description is not None
        for fact in facts:
            if fact == "sharing":
                yield self._sharing(pairs)
            elif fact == "scalars" and not whole:
                hint = "scalars take a `description`; a list has nothing but tensors"
                yield self._slip("scalars", "a list of tensors", hint)
            elif fact not in ("data", "scalars") or not whole:
                yield self._fact(fact, pairs, description)
        if whole:
            yield self._description(loaded, facts)

    def _fact(
        self,
        fact: Fact,
        pairs: Sequence[Pair],
        description: Description,
    ) -> Step:
        nodes = [(index, node) for _, index, node in tensors(description)]
        for (right, found), (index, node) in zip(pairs, nodes, strict=True):
            wanted, got = getattr(right, fact), getattr(found, fact)
            if got == wanted:
                continue
            told = f"{right.name}: {_short(got)}, not {_short(wanted)}"
            if got is None:
                field = "sha256" if fact == "data" else fact
                told = f"{right.name}: announced, and not told"
                hint = f"give `{field}` where it is known; or do not announce {fact}"
            elif fact == "data":
                hint = hints.data(got, description, index)
            else:
                hint = hints.fact(fact, node, got)
            return self._slip(fact, told, hint)
        return Step(self._named(fact), Mark.OK)

    def _sharing(self, pairs: Sequence[Pair]) -> Step:
        labels = [found.storage for _, found in pairs]
        if None in labels:
            hint = "give `storage`, any string: the same one for the same memory"
            return self._slip("sharing", "announced, and not told", hint)
        right = [tensor.storage for tensor, _ in pairs]
        if [right.index(one) for one in right] != [labels.index(one) for one in labels]:
            told = f"storages {_listed([str(label) for label in labels])}"
            hint = "`storage` is the same string for all views of one storage, and no "
            return self._slip("sharing", told, f"{hint}other tensor has it")
        return Step(self._named("sharing"), Mark.OK)

    def _description(self, loaded: Loaded, facts: Sequence[Fact]) -> Step:
        """All of it that the adapter announces, held to the expected one."""
        judged = judge(self.case, loaded, facts)
        if judged.verdict is Verdict.PASS:
            return Step(self._named("description"), Mark.OK)
        first = judged.differences[0]
        told = f"{first.fact} {first.found}, not {first.expected}, at {first.name}"
        hint = "the corpus' README.md says how a description is spelled"
        return self._slip("description", told, hint)


def _short(fact: object) -> str:
    return f"{str(fact)[:16]}..." if len(str(fact)) == 64 else str(fact)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "nothing"


# ------------------------------------------------------------------------ the rest


def _refuses(adapter: Adapter, name: str, path: Path) -> Step:
    answer = adapter.load(path)
    match answer:
        case Rejected(message=message):
            return Step(name, Mark.OK, f"refused: {message}")
        case Loaded():
            hint = "answer `rejected` if the loader says that something is wrong"
            return Step(name, Mark.SLIP, "loaded", hint)
        case Skipped(reason=reason):
            hint = "ask the loader, whatever the file is called, and tell what it says"
            return Step(name, Mark.SLIP, f"skipped: {reason}", hint)
    return Step(name, Mark.SLIP, str(answer), hints.failure(answer))


def _in_a_row(adapter: Adapter, paths: Sequence[Path]) -> Step:
    """The same answers from a process that has been asked before."""
    name = f"{ROW} files in a row"
    first: dict[Path, object] = {}
    for number in range(ROW):
        path = paths[number % len(paths)]
        answer = adapter.load(path)
        if not isinstance(answer, Loaded | Rejected | Skipped):
            told = f"number {number + 1}: {answer}"
            return Step(name, Mark.SLIP, told, hints.failure(answer))
        if isinstance(answer, Loaded) != isinstance(
            first.setdefault(path, answer), Loaded
        ):
            told = f"number {number + 1}: not the answer of before"
            return Step(name, Mark.SLIP, told, "what one file leaves hurts the next")
    return Step(name, Mark.OK)


def _encoding(adapter: Adapter, path: Path) -> Step:
    name = "a command with an encoding"
    answer = adapter.load(path, "latin1")
    if isinstance(answer, Loaded):
        return Step(name, Mark.OK)
    hint = "who has no use for `encoding` passes it by"
    return Step(name, Mark.SLIP, str(getattr(answer, "message", answer)), hint)


def _stops(command: Sequence[str], seconds: float) -> Step:
    """Whether it ends by itself, and with status 0."""
    name = "stops"
    hint = "end with exit status 0 at `stop`, and at the end of the input"
    lines = encode(Start(VERSION)) + encode(Stop())
    try:
        ended = subprocess.run(
            command, input=lines, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return Step(name, Mark.SLIP, f"it goes on after {seconds:g} s", hint)
    if ended.returncode:
        return Step(name, Mark.SLIP, f"exit status {ended.returncode}", hint)
    lines_out = ended.stdout.count(b"\n")
    if lines_out != 1:
        told = f"{lines_out} lines came, not the answer to `start` alone"
        return Step(name, Mark.SLIP, told, "`stop` has no answer")
    return Step(name, Mark.OK)

"""Holds our parser against the corpus, and the corpus against its own rules.

Needs no torch: this is what somebody runs who only has the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from conformance.compare import compare
from conformance.description import Description
from conformance.loaders import ours
from conformance.parser import CheckpointError
from conformance.walk import flat

from .format import (
    CASES,
    PAPERS,
    SCHEMA,
    Answer,
    Case,
    Index,
    decode,
    read_index,
    schema,
)
from .paths import exercised, traced

Step = Callable[[int, int, str], None]


@dataclass
class Verified:
    """Counts, and the problems by the id of the case (or the file's name)."""

    cases: int = 0
    nbytes: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return self.cases > 0 and not self.problems


def verify(corpus: Path, *, step: Step = lambda _done, _all, _name: None) -> Verified:
    """Every case: its file, its form, what it exercises, and what we read in it.

    Raises `FileNotFoundError` if there is no corpus, `ValueError` if its index is
    damaged.
    """
    index = read_index(corpus)
    found = Verified()
    total = sum(index.directories.values())
    seen: set[str] = set()
    verdicts: dict[str, str] = {}
    for folder in _folders(corpus):
        for case, problems in _directory(corpus, folder, index, found):
            step(found.cases, total, case.id)
            found.cases += 1
            found.verdicts[case.verdict] = found.verdicts.get(case.verdict, 0) + 1
            if case.id.lower() in seen:
                problems.append("another case has this id, or one that differs in case")
            seen.add(case.id.lower())
            if verdicts.setdefault(case.sha256, case.verdict) != case.verdict:
                problems.append("the same bytes have another verdict elsewhere")
            if problems:
                found.problems.setdefault(case.id, []).extend(problems)
    for name, count in index.directories.items():
        if not (corpus / name / CASES).exists():
            found.problems[name] = [f"the index says {count} cases; there are none"]
    path = corpus / SCHEMA
    if not path.is_file() or path.read_bytes() != schema() + b"\n":
        found.problems[SCHEMA] = ["is not that of this version of torchproof"]
    for path in corpus.iterdir():
        if path.is_file() and path.name not in PAPERS | {"LICENSE", "VERSION"}:
            found.problems[path.name] = ["belongs to nothing"]
    return found


def _folders(corpus: Path) -> Iterator[Path]:
    for path in sorted(corpus.rglob("*")):
        if path.is_dir() and any(child.is_file() for child in path.iterdir()):
            yield path


def _directory(
    corpus: Path, folder: Path, index: Index, found: Verified
) -> Iterator[tuple[Case, list[str]]]:
    name = folder.relative_to(corpus).as_posix()
    problems = []
    try:
        text = (folder / CASES).read_bytes()
        directory = decode(text)
    except (OSError, ValueError) as error:
        found.problems[name] = [f"{CASES}: {error}"]
        return
    found.nbytes += len(text)
    if directory.directory != name:
        problems.append(f"{CASES} is that of {directory.directory}")
    if index.directories.get(name) != len(directory.cases):
        problems.append("the index has another number of cases")
    files = {path.name for path in folder.iterdir() if path.is_file()}
    known = {case.file for case in directory.cases} | {CASES}
    problems += [f"{stray} belongs to no case" for stray in sorted(files - known)]
    ids = [case.id for case in directory.cases]
    if ids != sorted(ids):
        problems.append("the cases are not in order")
    if problems:
        found.problems[name] = problems
    for case in directory.cases:
        found.nbytes += (folder / case.file).stat().st_size if case.file in files else 0
        yield case, list(_case(name, folder, case, index))


def _case(name: str, folder: Path, case: Case, index: Index) -> Iterator[str]:
    file = folder / case.file
    if case.id != f"{name}/{Path(case.file).stem}":
        yield f"the id should be that of {case.file}"
    if case.id in index.retired:
        yield "the id is retired"
    for flag in case.flags:
        if flag not in index.flags:
            yield f"nobody explains the flag {flag}"
    if (case.phase is None) == (case.verdict == "invalid"):
        yield "a phase is what an invalid case has"
    if bool(case.reason) != (case.verdict == "either"):
        yield "a reason is what an `either` has"
    refused = case.verdict != "invalid" and "weights" in case.refused_by
    if refused != ("weights-only-refuses" in case.flags):
        yield "weights_only=True and the flag weights-only-refuses disagree"
    if (case.verdict == "valid") > (case.expected is not None):
        yield "a valid case without anything expected"
    if not file.exists():
        yield f"there is no {case.file}"
        return
    if hashlib.sha256(file.read_bytes()).hexdigest() != case.sha256:
        yield "the file is another one (sha256)"
        return
    yield from _reading(file, case)


def _reading(file: Path, case: Case) -> Iterator[str]:
    trace = traced(file, case.encoding)
    if case.phase != "container" and case.path not in exercised(trace):
        yield f"does not exercise {case.path}"
    if dict(sorted(trace.calls.items())) != case.calls:
        yield "calls something else than is said"
    for weights_only in (False, True):
        try:
            description = ours.load(
                file, weights_only=weights_only, encoding=case.encoding
            )
        except CheckpointError as error:
            if not weights_only or _weights_load(case):
                yield from _refused(case, error)
        else:
            yield from _loaded(case, description)


def _weights_load(case: Case) -> bool:
    """Whether torch loads a valid case with weights_only=True."""
    readers = case.expected.by if case.expected else ()
    return "weights" in readers


def _refused(case: Case, error: CheckpointError) -> Iterator[str]:
    if case.verdict == "valid":
        yield f"valid, and we refuse it: {error}"
    elif case.verdict == "invalid" and error.phase != case.phase:
        yield f"should fail in phase {case.phase}: {error}"


def _loaded(case: Case, description: Description) -> Iterator[str]:
    if case.verdict == "invalid":
        yield "invalid, and we load it"
        return
    answers = [*([case.expected] if case.expected else ()), *case.alternatives]
    if case.verdict == "valid":
        answers = answers[:1]
    differences = [_difference(answer, description) for answer in answers]
    if answers and all(differences):
        yield differences[0] or ""


def _difference(answer: Answer, description: Description) -> str | None:
    expected = answer.description
    if expected is not None:
        found = compare(description, expected, limit=1)
        if not found.equal:
            return f"we read something else: {found.differences[0]}"
    # A hash that nobody could tell says nothing.
    known = [tensor for tensor in answer.tensors if tensor.sha256 is not None]
    if known and tuple(flat(description)) != answer.tensors:
        return "the flat list of tensors is another one"
    return None

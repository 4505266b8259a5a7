"""What stands in the corpus: one `cases.json` per directory, and an index.

Plain JSON for people who will never run this; `corpus/README.md` explains it to
them, and `schema.json` is made from the classes here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final, Literal, TypeVar

import msgspec

from conformance.description import Description, Document, from_document
from conformance.walk import FlatTensor

#: Raised whenever the meaning of a field changes.
FORMAT: Final = 1

INDEX: Final = "corpus.json"
CASES: Final = "cases.json"
SCHEMA: Final = "schema.json"
#: What else lies in the corpus.
PAPERS: Final = frozenset({INDEX, SCHEMA, "README.md"})

S = TypeVar("S", bound=msgspec.Struct)

Label = Literal["native", "repacked", "built"]
Verdict = Literal["valid", "invalid", "either"]
Phase = Literal["container", "pickle", "rebuild"]


class Answer(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What somebody reads in a file.

    `by`: who. The modes of the torch that judged are `full`, which is
    `weights_only=False`, `weights`, `full-mmap` and `weights-mmap`; `torch 1.4.0`
    is the release that wrote the file, and `torchproof` this parser. `value` is
    the whole tree, left out where it takes more than `LARGEST` bytes; `tensors`
    its tensors as a flat list, for readers that know no more. `like` is the name
    of an earlier file in this `cases.json` whose expected answer has the same
    `value` and `tensors`, which are not given again.
    """

    by: tuple[str, ...]
    value: Document | None = None
    tensors: tuple[FlatTensor, ...] = ()
    like: str = ""

    #: In bytes, as JSON.
    LARGEST: ClassVar[int] = 30_000

    @property
    def description(self) -> Description | None:
        return None if self.value is None else from_document(self.value)


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One file, and what it must give.

    - `id`: permanent, and never used again for another file.
    - `file`: its name, in the directory of this `cases.json`.
    - `shows`: one sentence.
    - `path`: what the case is about, as `generators/cases/registry.py` spells it;
      `calls`: every global that the pickle calls, and how often.
    - `label`: `native`, torch wrote the file as it is; `repacked`, torch wrote it,
      and then its container was changed; `built`, made by hand.
    - `verdict`: `valid`, a reader must load it and get `expected`; `invalid`, it
      must refuse it, in `phase`; `either`, it may do one or the other (`reason`),
      and if it loads, get `expected` or one of `alternatives`.
    - `flags`: explained in `corpus.json`. `links`: where people met the bug.
    - `containers`, `protocols`: outermost first, one protocol per pickle; a zip
      archive with a pickle of protocol 2, if nothing is said.
    - `encoding`: what `torch.load` has to be given, for files of Python 2.
    - `refused_by`: who does not load it, and with which error.
    - `ledger`: the rows of the divergence ledger that explain what torch does.
    """

    id: str
    file: str
    sha256: str
    shows: str
    path: str
    label: Label
    verdict: Verdict
    phase: Phase | None = None
    reason: str = ""
    flags: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    containers: tuple[str, ...] = ("zip",)
    protocols: tuple[int, ...] = (2,)
    calls: dict[str, int] = {}
    encoding: str = "utf-8"
    refused_by: dict[str, str] = {}
    ledger: tuple[str, ...] = ()
    expected: Answer | None = None
    alternatives: tuple[Answer, ...] = ()


class Directory(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A `cases.json`: the files beside it. `provenance`: what made them.

    `skipped`: what an old release could not save, by name, with its error.
    """

    format: int
    directory: str
    provenance: dict[str, str]
    cases: tuple[Case, ...]
    skipped: dict[str, str] = {}


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`corpus.json`: what the corpus is, and what holds for all of it.

    `version` is that of torchproof; `judged_by` the torch whose answers are
    expected; `directories` and `families` (a file of generators each) the number
    of cases in each; `retired` the ids that were used once, and never will be
    again.
    """

    format: int
    version: str
    judged_by: str
    flags: dict[str, str]
    directories: dict[str, int]
    families: dict[str, int] = {}
    retired: tuple[str, ...] = ()


def corpus_folder() -> Path:
    """The corpus of this installation: in the repository, or in the package."""
    here = Path(__file__).parent
    packaged = here / "files"
    return packaged if packaged.is_dir() else here.parents[1] / "corpus"


def schema() -> bytes:
    """The JSON Schema of `cases.json`, as text."""
    document = msgspec.json.schema(Directory)
    for definition in document["$defs"].values():
        # Python 3.13 takes the indentation off docstrings, and others do not.
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"torchproof cases, format {FORMAT}",
    }
    return msgspec.json.format(msgspec.json.encode({**head, **document}), indent=1)


def encode(directory: Directory) -> bytes:
    """A `cases.json`: a line for each case, so that changes can be read.

    What an earlier case expects, a later one does not spell again (`like`).
    """
    head = msgspec.to_builtins(msgspec.structs.replace(directory, cases=()))
    del head["cases"]
    opening = msgspec.json.encode(head)[:-1] + b',"cases":[\n'
    seen: dict[bytes, str] = {}
    lines = []
    for case in directory.cases:
        if case.expected is not None:
            answer = case.expected
            told = msgspec.json.encode((answer.value, answer.tensors))
            like = seen.setdefault(told, case.file)
            if like != case.file and len(told) > len(like):
                answer = Answer(answer.by, like=like)
                case = msgspec.structs.replace(case, expected=answer)
        lines.append(msgspec.json.encode(usual(case)))
    return opening + b",\n".join(lines) + b"\n]}\n"


def usual(struct: S) -> S:
    """The same, so that msgspec leaves out what is as usual.

    It leaves a field out if it *is* its default; what has been computed or
    decoded is only equal to it.
    """
    same = {
        field.name: field.default
        for field in msgspec.structs.fields(struct)
        if getattr(struct, field.name) == field.default
    }
    return msgspec.structs.replace(struct, **same)


def decode(text: bytes) -> Directory:
    """Raises `msgspec.ValidationError` (a `ValueError`) for anything else."""
    directory = msgspec.json.decode(text, type=Directory)
    if directory.format != FORMAT:
        raise ValueError(f"format {directory.format} of cases.json, not {FORMAT}")
    expected: dict[str, Answer] = {}
    cases = []
    for case in directory.cases:
        answer = case.expected
        if answer is not None:
            if answer.like:
                first = expected.get(answer.like)
                if first is None:
                    raise ValueError(f"{case.id} is like {answer.like}, which is none")
                answer = msgspec.structs.replace(first, by=answer.by)
                case = msgspec.structs.replace(case, expected=answer)
            expected[case.file] = answer
        cases.append(case)
    return msgspec.structs.replace(directory, cases=tuple(cases))


def encode_index(index: Index) -> bytes:
    return msgspec.json.format(msgspec.json.encode(index), indent=1) + b"\n"


def read_index(corpus: Path) -> Index:
    """The index of a corpus.

    Raises `FileNotFoundError` if there is none, `ValueError` if it is damaged.
    """
    index = msgspec.json.decode((corpus / INDEX).read_bytes(), type=Index)
    if index.format != FORMAT:
        raise ValueError(f"format {index.format} of {INDEX}, not {FORMAT}")
    return index


def read(corpus: Path) -> Iterator[tuple[Path, Directory]]:
    """Every directory of a corpus with its folder, sorted by name."""
    for path in sorted(corpus.rglob(CASES)):
        yield path.parent, decode(path.read_bytes())


def cases(corpus: Path) -> Iterator[tuple[Path, Case]]:
    """Every case of a corpus with the path of its file."""
    for folder, directory in read(corpus):
        for case in directory.cases:
            yield folder / case.file, case

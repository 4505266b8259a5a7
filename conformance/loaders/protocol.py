"""The protocol between torchproof and an adapter: one JSON object a line.

An adapter is a small program around a loader. It reads commands on standard
input and answers each with one line on standard output; standard error is its
own. `docs/protocol.md` explains it to those who write one, and
`schema()` is the JSON Schema of every message.

    {"command": "start", "protocol": 1}
    {"answer": "started", "protocol": 1, "name": "tinygrad", ...}
    {"command": "load", "id": "7", "file": "/tmp/x.pt"}
    {"answer": "loaded", "id": "7", "tensors": [...]}    or "description": {...}
    {"answer": "rejected", "id": "7", "message": "..."}
    {"answer": "skipped", "id": "7", "reason": "..."}
    {"command": "stop"}

A command says nothing of what is expected of the file. Numbers travel as decimal
strings, so that no reader of JSON loses a bit.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from conformance.description import Document

#: Raised whenever a message changes its meaning.
VERSION: Final = 1

#: What an adapter may be able to report of each tensor; `scalars`: of everything
#: else in the tree, too, which takes a description. Whether a tensor is there is
#: always compared.
Fact = Literal["dtype", "shape", "data", "stride", "sharing", "scalars"]
FACTS: Final[tuple[Fact, ...]] = (
    "dtype",
    "shape",
    "data",
    "stride",
    "sharing",
    "scalars",
)

Number = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]+$")]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A field that nobody knows is an error, so that a slip is told at once."""


# -------------------------------------------------------------------- commands


class Start(
    _Message, frozen=True, omit_defaults=True, tag_field="command", tag="start"
):
    """The first command: who are you? `protocol` is the version spoken here."""

    protocol: int


class Load(_Message, frozen=True, omit_defaults=True, tag_field="command", tag="load"):
    """Read this file, as your users would.

    `file` is an absolute path. `encoding` is there if the file was written by
    Python 2 and `torch.load` needs that argument; who has no such thing passes
    it by. The answer repeats `id`.
    """

    id: str
    file: str
    encoding: str | None = None


class Stop(_Message, frozen=True, omit_defaults=True, tag_field="command", tag="stop"):
    """No more; end with exit status 0. There is no answer."""


Command = Start | Load | Stop

# --------------------------------------------------------------------- answers


class Started(
    _Message, frozen=True, omit_defaults=True, tag_field="answer", tag="started"
):
    """Who the loader is.

    `version` is the loader's own, `language` that of its users; `issues` where
    its bugs are reported; `facts` what the adapter can report.
    """

    protocol: int
    name: str
    version: str
    language: str
    facts: tuple[Fact, ...]
    homepage: str = ""
    issues: str = ""


class FlatTensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor of a file.

    - `name`: the keys, indices and attributes that lead to it, joined by dots;
      empty if it is the root.
    - `dtype`: torch's name without the prefix, `float32`.
    - `shape`, `stride`, `offset`: in elements.
    - `sha256`: of its elements, row-major, little-endian, conj and neg bits
      applied; whatever its strides are.
    - `storage`: any string, the same for tensors that share memory.

    Whatever is `None` is not compared.
    """

    name: str
    dtype: str | None = None
    shape: tuple[Number, ...] | None = None
    sha256: Digest | None = None
    stride: tuple[Number, ...] | None = None
    offset: Number | None = None
    storage: str | None = None


class Loaded(
    _Message, frozen=True, omit_defaults=True, tag_field="answer", tag="loaded"
):
    """What is in the file: one of the two.

    `tensors` is all tensors as a flat list; `description` the whole tree, as in
    `expected` of the corpus.
    """

    id: str
    tensors: tuple[FlatTensor, ...] | None = None
    description: Document | None = None


class Rejected(
    _Message, frozen=True, omit_defaults=True, tag_field="answer", tag="rejected"
):
    """The loader refuses the file; `message` is its own."""

    id: str
    message: str


class Skipped(
    _Message, frozen=True, omit_defaults=True, tag_field="answer", tag="skipped"
):
    """The adapter did not ask the loader: for what it cannot be blamed for."""

    id: str
    reason: str


Answer = Started | Loaded | Rejected | Skipped


class NotTheProtocol(ValueError):
    """A line is no message that may come here; the message says why."""


_ANSWERS: Final = msgspec.json.Decoder(Answer)


def encode(message: Command | Answer) -> bytes:
    """A message as one line, with its end."""
    return msgspec.json.encode(message) + b"\n"


def answer(line: bytes) -> Answer:
    """The answer in a line. Raises `NotTheProtocol`."""
    try:
        found: Answer = _ANSWERS.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotTheProtocol(f"{error}: {line[:200]!r}") from error
    return found


def schema() -> dict[str, Any]:
    """The JSON Schema of a line: `$defs/Command` and `$defs/Answer` tell them apart."""
    (command, answers), definitions = msgspec.json.schema_components(
        (Command, Answer), ref_template="#/$defs/{name}"
    )
    named = {"Command": command, "Answer": answers}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"torchproof protocol, version {VERSION}",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in named],
        "$defs": named | definitions,
    }

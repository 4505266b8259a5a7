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

import inspect
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from conformance.description import Document, Scalar, from_document

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

Number = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,20}$")]
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
        if isinstance(found, Loaded) and found.description is not None:
            _check(found.description)
    except (ValueError, RecursionError) as error:
        raise NotTheProtocol(f"{_plainly(str(error))}: {line[:200]!r}") from error
    return found


def _check(description: Document) -> None:
    """What no schema says of a description. Raises `ValueError`."""
    from_document(description)
    for number, node in enumerate(description.nodes):
        exact = _EXACT.get(node.type) if isinstance(node, Scalar) else None
        if exact is not None and not exact.fullmatch(getattr(node, "value", "")):
            raise ValueError(
                f"no exact text of a {node.type} - at `$.description.nodes[{number}]`"
            )


#: The texts of scalars that are taken apart here; the rest is only compared.
_EXACT: Final = {
    "float": re.compile("[0-9a-f]{16}"),
    "complex": re.compile("[0-9a-f]{16} [0-9a-f]{16}"),
}

#: What msgspec says of a slip that is often made -> what to do about it.
_HINTS: Final = (
    (re.compile("Expected `str.*got `(int|float)`"), "numbers travel as strings"),
    (re.compile(r"matching regex '.*0-9\]\{1,20\}"), "a number is its decimal digits"),
    (
        re.compile(r"matching regex '.*0-9a-f\]\{64\}"),
        "a hash is 64 hexadecimal digits",
    ),
    (
        re.compile(r"`\$\.answer`|required field `answer`"),
        "`answer` is one of started, loaded, rejected, skipped",
    ),
    (re.compile(r"`\$\.facts\["), f"a fact is one of {', '.join(FACTS)}"),
)


def _plainly(message: str) -> str:
    hint = next((hint for words, hint in _HINTS if words.search(message)), "")
    return f"{message} ({hint})" if hint else message


#: The schema as a file, for those who have no Python. `python -m
#: conformance.loaders.protocol` writes it.
SCHEMA: Final = Path(__file__).with_name("protocol.schema.json")


def schema() -> dict[str, Any]:
    """The JSON Schema of a line: `$defs/Command` and `$defs/Answer` tell them apart."""
    (command, answers), definitions = msgspec.json.schema_components(
        (Command, Answer), ref_template="#/$defs/{name}"
    )
    for definition in definitions.values():
        # Python 3.13 takes the indentation off docstrings, and others do not.
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    named = {"Command": command, "Answer": answers}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"torchproof protocol, version {VERSION}",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in named],
        "$defs": named | definitions,
    }


def schema_text() -> bytes:
    """What stands in `SCHEMA`."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=1) + b"\n"


if __name__ == "__main__":
    SCHEMA.write_bytes(schema_text())
    sys.stdout.write(f"{SCHEMA}\n")

"""The protocol's messages: as msgspec reads them, and as the JSON Schema has them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conformance.loaders.protocol import (
    FACTS,
    SCHEMA,
    Load,
    NotTheProtocol,
    Rejected,
    Skipped,
    Start,
    Started,
    Stop,
    answer,
    encode,
    schema,
    schema_text,
)

PAGE = Path(__file__).parents[1] / "docs/protocol.md"

DIGEST = "0" * 64

COMMANDS: list[Start | Load | Stop] = [
    Start(1),
    Load("1", "/tmp/a.pt"),  # noqa: S108 (not opened)
    Load("2", "/tmp/b.pt", "latin1"),  # noqa: S108
    Stop(),
]

STARTED = {
    "answer": "started",
    "protocol": 1,
    "name": "x",
    "version": "1.0",
    "language": "C",
    "facts": list(FACTS),
}
SCALAR = {"kind": "scalar", "type": "float", "value": "3ff0000000000000"}
GOOD: list[dict[str, Any]] = [
    STARTED,
    {**STARTED, "facts": [], "homepage": "https://a", "issues": "https://b"},
    {"answer": "loaded", "id": "1", "tensors": []},
    {"answer": "loaded", "id": "1", "tensors": [{"name": ""}]},
    {
        "answer": "loaded",
        "id": "1",
        "tensors": [
            {
                "name": "a.0",
                "dtype": "float32",
                "shape": ["2", "-1"],
                "stride": [],
                "offset": "0",
                "storage": "any",
                "sha256": DIGEST,
            }
        ],
    },
    {
        "answer": "loaded",
        "id": "1",
        "description": {"version": 1, "nodes": [SCALAR], "storages": []},
    },
    {"answer": "rejected", "id": "1", "message": ""},
    {"answer": "skipped", "id": "1", "reason": "r"},
]


def tensor(**fields: Any) -> dict[str, Any]:
    return {"answer": "loaded", "id": "1", "tensors": [{"name": "w", **fields}]}


#: A message, and what is said of it.
BAD: list[tuple[Any, str]] = [
    ([], "Expected `object`"),
    ({}, "started, loaded, rejected, skipped"),
    ({"answer": "load"}, "started, loaded, rejected, skipped"),
    ({"answer": "rejected", "id": "1"}, "missing required field `message`"),
    ({"answer": "rejected", "id": 1, "message": ""}, "`$.id`"),
    ({"answer": "rejected", "id": "1", "message": "", "why": ""}, "field `why`"),
    ({**STARTED, "facts": ["size"]}, "a fact is one of dtype, shape"),
    ({**STARTED, "protocol": "1"}, "`$.protocol`"),
    (tensor(shape=[2]), "`$.tensors[0].shape[0]` (numbers travel as strings)"),
    (tensor(offset=0), "`$.tensors[0].offset` (numbers travel as strings)"),
    (tensor(shape=["2.0"]), "decimal digits"),
    (tensor(shape=["9" * 21]), "decimal digits"),
    (tensor(sha256="AB"), "64 hexadecimal digits"),
    (tensor(sha256=DIGEST.replace("0", "A")), "64 hexadecimal digits"),
    (tensor(size=["2"]), "field `size`"),
]

#: A description's version and nodes, and what is said of it.
BEYOND: list[tuple[int, list[dict[str, Any]], str]] = [
    (2, [SCALAR], "description version 2, not 1"),
    (1, [], "at least one node"),
    (1, [{"kind": "sequence", "type": "list", "items": [1]}], "no node 1"),
    (1, [{**SCALAR, "value": "1.0"}], "no exact text of a float"),
    (1, [{**SCALAR, "type": "complex"}], "no exact text of a complex"),
]


@pytest.fixture(scope="module")
def of_answers() -> jsonschema.Draft202012Validator:
    document = schema()
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(
        {"$ref": "#/$defs/Answer", "$defs": document["$defs"]}
    )


def line(message: Any) -> bytes:
    return json.dumps(message).encode()


def test_the_file_in_the_package_is_the_schema_of_today() -> None:
    again = "python -m conformance.loaders.protocol writes it"
    assert SCHEMA.read_bytes() == schema_text(), again


@pytest.mark.parametrize("command", COMMANDS, ids=repr)
def test_a_command_is_what_the_schema_says(command: Start | Load | Stop) -> None:
    text = encode(command)
    assert text.endswith(b"}\n")
    assert text.count(b"\n") == 1
    jsonschema.validate(json.loads(text), schema())


def test_a_command_without_an_encoding_has_no_such_field() -> None:
    assert json.loads(encode(COMMANDS[1])) == {
        "command": "load",
        "id": "1",
        "file": "/tmp/a.pt",  # noqa: S108
    }


@pytest.mark.parametrize("message", GOOD)
def test_a_good_answer_is_one_for_both(
    message: dict[str, Any], of_answers: jsonschema.Draft202012Validator
) -> None:
    of_answers.validate(message)
    found = answer(line(message))
    # What it is made of is what it is written as.
    again = encode(found)
    assert answer(again) == found
    of_answers.validate(json.loads(again))


@pytest.mark.parametrize(("message", "words"), BAD)
def test_a_bad_answer_is_one_for_both(
    message: Any, words: str, of_answers: jsonschema.Draft202012Validator
) -> None:
    assert not of_answers.is_valid(message)
    with pytest.raises(NotTheProtocol, match=re.escape(words)):
        answer(line(message))


@pytest.mark.parametrize(("version", "nodes", "words"), BEYOND)
def test_what_no_schema_says(
    version: int,
    nodes: list[dict[str, Any]],
    words: str,
    of_answers: jsonschema.Draft202012Validator,
) -> None:
    description = {"version": version, "nodes": nodes, "storages": []}
    message = {"answer": "loaded", "id": "1", "description": description}
    of_answers.validate(message)
    with pytest.raises(NotTheProtocol, match=re.escape(words)):
        answer(line(message))


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe", b'"x"', b"Loading ...", b"[" * 100_000]
)
def test_a_line_that_is_no_message(text: bytes) -> None:
    with pytest.raises(NotTheProtocol) as caught:
        answer(text)
    # No more of a line than can be read.
    assert len(str(caught.value)) < 500


def test_the_conversation_on_the_page() -> None:
    said = re.findall(r"^([<>]) (\{.*\})$", PAGE.read_text(), re.MULTILINE)
    commands = [json.loads(text) for side, text in said if side == ">"]
    assert [one["command"] for one in commands] == ["start", "load", "load", "stop"]
    for command in commands:
        jsonschema.validate(command, schema())
    # A hash is cut there, to fit the page.
    answers = [
        answer(text.replace('4aa3..."', f'{DIGEST}"').encode())
        for side, text in said
        if side == "<"
    ]
    assert isinstance(answers[0], Started)
    assert isinstance(answers[2], Rejected)
    assert not any(isinstance(one, Skipped) for one in answers)


def test_the_page_tells_of_every_fact() -> None:
    text = PAGE.read_text()
    for fact in FACTS:
        assert f"`{fact}`" in text

"""The words of a campaign: what they are, and that libFuzzer takes them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from conformance.fuzz import words
from conformance.fuzz.mutation.pickles import pieces
from conformance.fuzz.mutation.pickles.stack import CODES, GETS, PUTS, split
from conformance.fuzz.words import Words
from conformance.parser import CheckpointError
from conformance.parser.opcodes import OPCODES
from tests.builders import pickles as p
from tests.builders.machine import machine


@cache
def built() -> Words:
    return words.build()


def test_words_of_every_kind() -> None:
    found = built()
    assert ("torch._utils", "_rebuild_tensor_v2") in found.globals
    assert ("torch.nn.modules.linear", "Linear") in found.globals  # of the corpus
    assert ("posix", "system") in found.globals  # of nobody
    assert {"cpu", "cuda:0", "state_dict", "param_groups"} & {*found.strings}
    assert {"data.pkl", "data/0", "byteorder", "version"} <= {*found.records}
    assert 200 < len(found.pieces) < 1_500
    for group in (found.globals, found.pieces, found.strings, found.records):
        assert list(group) == sorted(set(group))  # type: ignore[type-var]


def test_without_a_corpus_the_tables_are_there(tmp_path: Path) -> None:
    found = words.build(tmp_path)
    assert ("torch._utils", "_rebuild_tensor_v2") in found.globals
    assert not found.pieces


def test_every_piece_leaves_one_value_and_needs_none() -> None:
    """The machine takes them anywhere; what rebuild functions say is another thing."""
    refused = 0
    for piece in built().pieces:
        assert len(piece) <= pieces.LONGEST
        assert not {op[0] for op in split(piece)} & (GETS | PUTS)
        reader = machine(p.MARK + piece + p.TUPLE + p.STOP)
        try:
            value = reader.load()
        except CheckpointError:
            refused += 1
        else:
            assert len(value) == 1
            assert not reader.stack
            assert not reader.metastack
    assert refused < len(built().pieces) / 2


def test_pieces_of_every_way_to_make_something() -> None:
    last = {piece[-1] for piece in built().pieces}
    for name in ("REDUCE", "NEWOBJ", "BUILD", "SETITEMS", "APPENDS", "TUPLE", "OBJ"):
        assert CODES[name] in last
    text = b"\n".join(built().pieces)
    for name in ("qtensor", "sparse_tensor", "nested_tensor", "parameter", "tensor_v3"):
        assert f"_rebuild_{name}\n".encode() in text


def test_pieces_stand_on_their_own() -> None:
    """What was in the memo stands in them; what is too long is not there."""
    data = p.pickle(
        p.EMPTY_LIST, p.MARK, p.BINUNICODE("a"), p.BINPUT(7), p.NONE, p.TUPLE2,
        p.BINGET(7), p.DUP, p.APPENDS, p.BINBYTES("x" * 600), p.TUPLE2,
    )  # fmt: skip
    found = [(piece.code, piece.kind) for piece in pieces.pieces(data)]
    text = p.value("a")
    assert found == [
        (p.EMPTY_LIST, "EMPTY_LIST"),
        (text, "BINUNICODE"),
        (p.NONE, "NONE"),
        (text + p.NONE + p.TUPLE2, "TUPLE2 BINUNICODE NONE"),
        (
            p.EMPTY_LIST + p.MARK + text + p.NONE + p.TUPLE2 + text * 2 + p.APPENDS,
            "APPENDS EMPTY_LIST TUPLE2 BINUNICODE",
        ),
    ]


@pytest.mark.parametrize(
    "data",
    [b"", b"t.", b"0.", b"q\0.", b"h\0.", b"2.", b"\x86.", b"(((", b"\xff", b"K"],
)
def test_broken_pickles_have_no_pieces(data: bytes) -> None:
    assert list(pieces.pieces(data)) == []


def test_memory_of_a_small_pickle_stays_small() -> None:
    """A DAG of a hundred levels would be exponential, were it spelled out."""
    data = b"N" + b"2\x86" * 100 + b"."
    assert max(len(piece.code) for piece in pieces.pieces(data)) <= pieces.LONGEST


def test_they_are_kept_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "a" / "words.json"
    # The same corpus gives the same words.
    assert words.cached(kept) == built()
    before = kept.read_bytes()
    monkeypatch.setattr(words, "build", lambda: Words(strings=("anew",)))
    assert words.cached(kept) == built()
    # What was made of something else, or is half a file, is made anew.
    for damaged in (before.replace(b'"made_of":"', b'"made_of":"x'), before[:1000]):
        kept.write_bytes(damaged)
        assert words.cached(kept).strings == ("anew",)
        assert words.cached(kept).strings == ("anew",)


# ------------------------------------------------------------------- libFuzzer

_ENTRY = re.compile(r'"((?:\\x[0-9A-F]{2})+)"')


def entries(text: str) -> list[bytes]:
    found = []
    for line in text.splitlines():
        match = _ENTRY.fullmatch(line)
        assert match is not None, line
        found.append(bytes.fromhex(match[1].replace(r"\x", "")))
    return found


def test_the_dictionary_has_words_of_every_kind() -> None:
    found = entries(words.dictionary(built()))
    assert len(found) == len(set(found))
    # libFuzzer's own limit: longer ones are ignored.
    assert max(map(len, found)) <= 64
    for word in (
        b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\7\x08",
        b"ustar\x0000",
        p.PROTO(2) + p.LONG1(b"l\xfc\x9cF\xf9 j\xa8P\x19") + p.STOP,
        p.PROTO(2) + p.BININT2(1001) + p.STOP,
        p.GLOBAL("torch._utils", "_rebuild_tensor_v2"), b"data.pkl", b"cuda:0",
        p.LONG1((2**63).to_bytes(9, "little")),
    ):  # fmt: skip
        assert word in found
    assert {word for word in found if len(word) == 1} >= {
        bytes((row.code,)) for row in OPCODES
    }


def test_there_is_a_dictionary_without_words() -> None:
    assert len(entries(words.dictionary(Words()))) > 200


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris")
def test_atheris_takes_the_dictionary(tmp_path: Path) -> None:
    text = words.dictionary(built())
    (tmp_path / "dictionary").write_text(text, "ascii")
    program = (
        "import atheris, sys; one = atheris.instrument_func(lambda data: None);"
        "atheris.Setup(sys.argv, one); atheris.Fuzz()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "-dict=dictionary", "-runs=3"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"Dictionary: {len(text.splitlines())} entries" in done.stderr

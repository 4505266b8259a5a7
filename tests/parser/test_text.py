"""Text in a pickle, against C pickle where that agrees with itself."""

from __future__ import annotations

import math
import pickle
import sys
import time

import pytest

from conformance.parser.errors import CheckpointError, LimitExceeded, Malformed
from conformance.parser.limits import Limits
from conformance.parser.text import encoding_name, name
from tests.builders import pickles as p
from tests.builders.machine import unpickle

# ------------------------------------------------------------------ numbers

INTEGERS = {
    "0": 0,
    "7": 7,
    "-7": -7,
    "2147483648": 1 << 31,
    "-9223372036854775809": -(1 << 63) - 1,
    "1" * 4300: int("1" * 4300),
}


@pytest.mark.parametrize("digits", INTEGERS, ids=lambda digits: digits[:24])
def test_integers(digits: str) -> None:
    for data in (p.pickle(p.INT(digits)), p.pickle(p.LONG(digits + "L"))):
        assert unpickle(data) == pickle.loads(data) == INTEGERS[digits]
        assert type(unpickle(data)) is int


def test_int_spells_bools() -> None:
    for digits, flag in (("00", False), ("01", True)):
        data = p.pickle(p.INT(digits))
        assert unpickle(data) is pickle.loads(data) is flag


@pytest.mark.parametrize("opcode", ["INT", "LONG"])
@pytest.mark.parametrize(
    "line",
    [
        *["", "-", "--1", "7LL", "seven", "1.0", "\u0667", "\xb2", "1 2", "0x", "\0"],
        # What C pickle makes of these depends on its version, and on the opcode.
        *["010", "0x10", "-0", "+7", "1_0", " 7", "7 ", "7\r", "0o7", "000"],
    ],
)
def test_no_integers(opcode: str, line: str) -> None:
    with pytest.raises(Malformed, match="is no integer"):
        unpickle(p.pickle(p.NAMES[opcode](line)))


def test_int_has_no_long_suffix() -> None:
    with pytest.raises(Malformed):
        unpickle(p.pickle(p.INT("7L")))


@pytest.mark.parametrize("opcode", ["INT", "LONG", "PUT", "GET", "FLOAT"])
def test_a_million_digits(opcode: str) -> None:
    data = p.pickle(p.NONE, p.NAMES[opcode]("1" * 1_000_000))
    began = time.process_time()
    with pytest.raises(LimitExceeded, match="1000000"):
        unpickle(data)
    # int() would take minutes; where Python refuses, it does so by a setting.
    assert time.process_time() - began < 1


@pytest.mark.skipif(
    not hasattr(sys, "set_int_max_str_digits"), reason="Python has no limit here"
)
def test_a_program_with_a_lower_limit_on_digits() -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        with pytest.raises(LimitExceeded):
            unpickle(p.pickle(p.INT("1" * 700)))
    finally:
        sys.set_int_max_str_digits(before)


def test_the_limit_on_digits_is_ours() -> None:
    limits = Limits(int_digits=3)
    assert unpickle(p.pickle(p.INT("-999")), limits=limits) == -999
    with pytest.raises(LimitExceeded, match=r"4 digits \(Limits.int_digits\)"):
        unpickle(p.pickle(p.INT("1000")), limits=limits)


FLOATS = ["1.5", "-0.0", "1e5", ".5", "5.", "1e-999", "5", "1.7976931348623157e308"]


@pytest.mark.parametrize("line", [*FLOATS, "inf", "-inf", "Infinity", "1" * 400])
def test_floats(line: str) -> None:
    data = p.pickle(p.FLOAT(line))
    try:
        expected = pickle.loads(data)
    except OverflowError:
        with pytest.raises(Malformed, match="too large for a float"):
            unpickle(data)
        return
    assert unpickle(data).hex() == expected.hex()


def test_nan_in_text() -> None:
    assert math.isnan(unpickle(p.pickle(p.FLOAT("nan"))))


@pytest.mark.parametrize(
    "line", ["", "one", "1_0", "0x1p3", " 1.5", "1.5 ", "1.5\r", "1,5", "\xb2", "--1"]
)
def test_no_floats(line: str) -> None:
    data = p.pickle(p.FLOAT(line))
    with pytest.raises((ValueError, pickle.UnpicklingError)):
        pickle.loads(data)
    with pytest.raises(Malformed, match="is no float"):
        unpickle(data)


@pytest.mark.parametrize("line", ["1e999", "-1e999", "9" * 400])
def test_too_large_for_a_float(line: str) -> None:
    data = p.pickle(p.FLOAT(line))
    with pytest.raises(OverflowError):
        pickle.loads(data)
    with pytest.raises(Malformed, match="too large for a float"):
        unpickle(data)


# ------------------------------------------------------------------ strings

ESCAPED = {
    r"''": "",
    r"'a'": "a",
    r'"a"': "a",
    r"'it\'s'": "it's",
    r'"a\"b"': 'a"b',
    r"'it's'": "it's",
    r"'\\'": "\\",
    r"'\\n'": "\\n",
    r"'\\\\'": "\\\\",
    r"'\a\b\f\n\r\t\v'": "\a\b\f\n\r\t\v",
    r"'\x41\x7fz'": "A\x7fz",
    r"'\101\1\18\0'": "A\x01\x018\x00",
    r"'\1012'": "A2",
}


@pytest.mark.parametrize("line", ESCAPED)
def test_strings(line: str) -> None:
    data = p.pickle(p.STRING(line))
    assert unpickle(data) == pickle.loads(data) == ESCAPED[line]


def test_escapes_that_mean_nothing() -> None:
    """They stay as they are; C pickle warns of them in some versions."""
    assert unpickle(p.pickle(p.STRING(r"'\q\8\u1234'"))) == r"\q\8\u1234"


def test_octal_escapes_of_more_than_a_byte() -> None:
    """They lose their ninth bit, as in Python 2."""
    assert unpickle(p.pickle(p.STRING(r"'\777'")), encoding="bytes") == b"\xff"


@pytest.mark.parametrize(
    "line",
    [
        *["", "'", "a", "'a", "a'", "'a\"", " 'a'", "'a' ", "'a'\r"],
        *[r"'\x'", r"'\x4'", r"'\x  z'", r"'\x 4'", r"'\x+4'", r"'\xg0'"],
        *["'\\'", r"'\\\'"],
    ],
)
def test_no_strings(line: str) -> None:
    data = p.pickle(p.STRING(line))
    with pytest.raises((pickle.UnpicklingError, ValueError)):
        pickle.loads(data)
    with pytest.raises(Malformed):
        unpickle(data)


UNICODE = ["", "a", r"\u00e9", r"\U0001F600", r"\ud800", "\xe9".encode("latin-1")]


@pytest.mark.parametrize("line", [*UNICODE, r"\\u00e9", r"\n", "\\"])
def test_unicode(line: str | bytes) -> None:
    data = p.pickle(p.UNICODE(line))
    assert unpickle(data) == pickle.loads(data)


@pytest.mark.parametrize("line", [r"\u12", r"\U00110000", r"\ux"])
def test_no_unicode(line: str) -> None:
    data = p.pickle(p.UNICODE(line))
    with pytest.raises(UnicodeDecodeError):
        pickle.loads(data)
    with pytest.raises(Malformed, match="raw-unicode-escape"):
        unpickle(data)


COUNTED = ["SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"]


@pytest.mark.parametrize("opcode", COUNTED)
def test_utf8(opcode: str) -> None:
    for text in ("", "e\xe9\u20ac\U0001f600\n", "\ud800", "\x00"):
        data = p.pickle(p.NAMES[opcode](text))
        assert unpickle(data) == unpickle(memoryview(data)) == pickle.loads(data)
    for octets in (b"\xff", b"\xc3", b"\xc0\x80", b"\xf4\x90\x80\x80"):
        with pytest.raises(Malformed, match="text is not UTF-8"):
            unpickle(p.pickle(p.NAMES[opcode](octets)))


# ------------------------------------------------------------------ encodings

PYTHON_2 = {
    "STRING": p.pickle(p.STRING(r"'\xe9'")),
    "BINSTRING": p.pickle(p.BINSTRING(b"\xe9")),
    "SHORT_BINSTRING": p.pickle(p.SHORT_BINSTRING(b"\xe9")),
}


@pytest.mark.parametrize("opcode", PYTHON_2)
def test_strings_of_python_2(opcode: str) -> None:
    data = PYTHON_2[opcode]
    assert unpickle(data, encoding="latin-1") == "\xe9"
    assert pickle.loads(data, encoding="latin-1") == "\xe9"
    assert unpickle(data, encoding="bytes") == b"\xe9"
    assert unpickle(memoryview(data), encoding="bytes") == b"\xe9"
    assert pickle.loads(data, encoding="bytes") == b"\xe9"
    for encoding in ("ascii", "utf-8"):
        with pytest.raises(Malformed, match="try encoding='latin1'") as refused:
            unpickle(data, encoding=encoding)
        assert encoding in refused.value.message


def test_names_of_encodings() -> None:
    assert encoding_name("UTF8") == encoding_name("utf_8") == "utf-8"
    assert encoding_name("Latin1") == encoding_name("ISO_8859-1") == "latin-1"
    assert encoding_name("bytes") == "bytes"
    for other in ("utf-16", "punycode", "idna", "hex", "rot13", "unicode_escape", ""):
        assert encoding_name(other) is None
    assert encoding_name("utf-8" + " " * 1000) is None


def test_persistent_ids_in_text() -> None:
    assert unpickle(p.pickle(p.PERSID("7"))) == ("persistent", "7")
    with pytest.raises(Malformed, match="is not ASCII"):
        unpickle(p.pickle(p.PERSID("\xe9")))


# ------------------------------------------------------------------ lines

LINES = "INT LONG STRING UNICODE FLOAT GET PUT PERSID".split()


@pytest.mark.parametrize("opcode", LINES)
@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 5_000])
def test_a_line_without_its_end(opcode: str, size: int) -> None:
    data = p.NONE + p.NAMES[opcode](b"1" * size)[:-1]
    with pytest.raises(CheckpointError) as refused:
        unpickle(data)
    assert refused.value.kind == "Truncated"
    assert refused.value.offset == 1


@pytest.mark.parametrize("size", [126, 127, 128, 383, 384, 385, 100_000])
def test_lines_of_any_length(size: int) -> None:
    """They are looked for in steps that grow."""
    assert unpickle(p.pickle(p.UNICODE("x" * size))) == "x" * size


def test_names_are_utf8_without_surrogates() -> None:
    assert name("größe".encode()) == "größe"
    with pytest.raises(Malformed, match="a name is not UTF-8"):
        name(b"\xed\xa0\x80")

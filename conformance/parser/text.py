"""Text in a pickle: numbers and strings, without a codec that the file chooses.

Every conversion here is linear in its input, or capped.
"""

from __future__ import annotations

import codecs
import math
from typing import Final

from .errors import LimitExceeded, Malformed, quote
from .limits import Limits

#: The encodings that `load(encoding=...)` and `_codecs.encode` know.
#: `bytes` leaves Python 2's strings as they are.
ENCODINGS: Final[dict[str, str]] = {
    "ascii": "ascii",
    "us-ascii": "ascii",
    "bytes": "bytes",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "latin-1": "latin-1",
    "utf8": "utf-8",
    "utf-8": "utf-8",
}


def encoding_name(name: str) -> str | None:
    """The one spelling of a known encoding, or `None`."""
    # Cut, because a file can ask for a long name again and again.
    return ENCODINGS.get(name[:20].lower().replace("_", "-"))


def utf8(data: bytes | memoryview) -> str:
    """Protocol 1 and up: UTF-8 in which surrogates pass, as pickle writes it."""
    try:
        return str(data, "utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise Malformed(f"text is not UTF-8: {error.reason}", phase="pickle") from None


def name(data: bytes) -> str:
    """A line of GLOBAL: UTF-8 without surrogates."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(
            f"a name is not UTF-8: {error.reason}", phase="pickle"
        ) from None


def ascii(data: bytes) -> str:
    """A persistent id of protocol 0."""
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise Malformed(f"{quote(data)} is not ASCII", phase="pickle") from None


def decode(data: bytes | memoryview, encoding: str) -> str | bytes:
    """A string of Python 2, read as `load(encoding=...)` says."""
    if encoding == "bytes":
        return bytes(data)
    try:
        return str(data, encoding, "strict")
    except UnicodeDecodeError:
        raise Malformed(
            f"a Python 2 string is not {encoding}: {quote(bytes(data[:100]))}; "
            "try encoding='latin1' or encoding='bytes'",
            phase="pickle",
        ) from None


def raw_unicode(data: bytes) -> str:
    """Protocol 0: raw-unicode-escape."""
    try:
        # The function itself; by its name, Python would import a module.
        return codecs.raw_unicode_escape_decode(data)[0]
    except UnicodeDecodeError:
        raise Malformed(
            f"{quote(data)} is not raw-unicode-escape", phase="pickle"
        ) from None


def integer(data: bytes, limits: Limits) -> int:
    """An int as `repr` writes it; of any other spelling readers disagree."""
    digits = data.removeprefix(b"-")
    if not digits.isdigit() or (digits[:1] == b"0" and data != b"0"):
        raise Malformed(f"{quote(data)} is no integer", phase="pickle")
    if len(digits) > limits.int_digits:
        raise LimitExceeded(
            f"an integer of {len(digits)} digits (Limits.int_digits)", phase="pickle"
        )
    # int() itself has a limit that the embedding program may have lowered.
    try:
        return int(data)
    except ValueError as error:
        raise LimitExceeded(str(error), phase="pickle") from None


def decimal(data: bytes, limits: Limits) -> float:
    """A float as `repr` writes it."""
    if len(data) > limits.int_digits:
        raise LimitExceeded(
            f"a float of {len(data)} characters (Limits.int_digits)", phase="pickle"
        )
    try:
        value = float(data)
    except ValueError:
        value = None
    if value is None or b"_" in data or data != data.strip():
        raise Malformed(f"{quote(data)} is no float", phase="pickle")
    if math.isinf(value) and b"n" not in data.lower():
        raise Malformed(f"{quote(data)} is too large for a float", phase="pickle")
    return value


_ESCAPES: Final[dict[int, bytes]] = {
    ord("\\"): b"\\",
    ord("'"): b"'",
    ord('"'): b'"',
    ord("a"): b"\a",
    ord("b"): b"\b",
    ord("f"): b"\f",
    ord("n"): b"\n",
    ord("r"): b"\r",
    ord("t"): b"\t",
    ord("v"): b"\v",
}


def unescape(line: bytes) -> bytes:
    """Protocol 0's STRING: what Python 2's `repr` of a str wrote."""
    if len(line) < 2 or line[0] != line[-1] or line[:1] not in (b"'", b'"'):
        raise Malformed("a STRING must be quoted", phase="pickle")
    first, *rest = line[1:-1].split(b"\\")
    pieces = [first]
    parts = iter(rest)
    for part in parts:
        if not part:
            # Two backslashes: one of them stays, and what follows is plain.
            plain = next(parts, None)
            if plain is None:
                raise Malformed("a STRING ends in a backslash", phase="pickle")
            pieces += [b"\\", plain]
        elif part[0] == ord("x"):
            if len(part) < 3 or not _HEX.issuperset(part[1:3]):
                raise Malformed("a bad \\x escape", phase="pickle")
            pieces += [bytes([int(part[1:3], 16)]), part[3:]]
        elif part[0] in _OCTAL:
            size = 1
            while size < min(3, len(part)) and part[size] in _OCTAL:
                size += 1
            pieces += [bytes([int(part[:size], 8) & 0xFF]), part[size:]]
        else:
            # An escape that means nothing stays as it is, as in Python 2.
            pieces += [_ESCAPES.get(part[0], b"\\" + part[:1]), part[1:]]
    return b"".join(pieces)


_OCTAL: Final = frozenset(b"01234567")
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")

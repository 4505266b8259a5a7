"""Text and keys that cost more than their length."""

from __future__ import annotations

from typing import Any, Final

from ...handmade import Piece, Record, archive, call, deflate, value
from ..registry import LEDGER, written

BOMB: Final[dict[str, Any]] = {"label": "built", "directory": "bombs"}
TEXT: Final[dict[str, Any]] = {**BOMB, "flags": ("bomb", "costly-text")}
INVALID: Final[dict[str, Any]] = {"verdict": "invalid", "phase": "pickle"}
KNOWN: Final[dict[str, Any]] = {"verdict": "either", "reason": LEDGER}


def packed(*runs: tuple[bytes, int]) -> bytes:
    """An archive whose pickle is these strings, each so many times, DEFLATEd."""
    size = sum(len(text) * count for text, count in runs)
    return archive(Record(bytes(size), deflate(*runs)))


# ---------------------------------------------------------------------------- digits

DIGITS: Final = {
    "long": ("LONG", b"L", b"L\n"),
    "get": ("GET", b"]p0\n0g", b"\n"),
    "put": ("PUT", b"]p", b"\n"),
}


@written("opcode:{opcode}", each=DIGITS, **TEXT, **INVALID)
def digits_of(opcode: str, before: bytes, behind: bytes) -> bytes:
    """{opcode} with 20,000 decimal digits, which take time squared."""
    return packed((b"\x80\2" + before, 1), (b"7", 20_000), (behind + b".", 1))


# ----------------------------------------------------------------------------- names


@written("opcode:GLOBAL", each={"letters": (b"a",), "dots": (b".",)}, **TEXT, **KNOWN)
def name_of(part: bytes) -> bytes:
    """GLOBAL of a name of 4,200 {key}."""
    return packed((b"\x80\2cos\n", 1), (part, 4_200), (b"\n.", 1))


# ---------------------------------------------------------------------------- codecs

#: bytes, as protocol 2 has them.
BYTES: Final = call("_codecs.encode", "ab", "latin1")

CODECS: Final = {
    "punycode": ("\u00fc" * 40, "punycode", "whose algorithm is slower than linear"),
    "idna": ("\u00fc" * 9, "idna", "which looks up every letter in tables"),
    "hex": (BYTES, "hex", "which makes bytes of bytes"),
    "zlib": (BYTES, "zlib", "which compresses"),
    "utf_7": ("\u00fc", "utf-7", "of which hardly anybody has need"),
}
SPELLED: Final = {"spelled": ("\u00fc", "Latin-1", "as pickle does not spell it")}


@written("_codecs.encode", each=SPELLED, **BOMB, flags=("costly-text",))
@written("_codecs.encode", each=CODECS, **TEXT, **KNOWN)
def codec(text: Any, codec: str, what: str) -> bytes:
    """`_codecs.encode` by the codec {codec}, {what}."""
    return archive(call("_codecs.encode", text, codec))


UNKNOWN: Final = {
    "module": ("aliases", "which is a module beside Python's codecs, and none"),
    "path": ("../os", "which is a path"),
    "long": ("a" * 300, "whose name has 300 letters"),
    "int": (7, "whose name is a number"),
}


@written("_codecs.encode", each=UNKNOWN, **TEXT, verdict="invalid", phase="rebuild")
def no_codec(codec: Any, what: str) -> bytes:
    """`_codecs.encode` by a codec {what}."""
    return archive(call("_codecs.encode", "a", codec))


# ------------------------------------------------------------------------- collisions

#: Integers whose hash is zero: CPython counts modulo 2^61 - 1.
ZEROS: Final = [number * ((1 << 61) - 1) for number in range(8, 128)]
MEMBERS: Final = b"".join(map(value, ZEROS))

COLLIDING: Final = {
    "set": (call("builtins.set", ZEROS), "members of a set that is called"),
    "added": (Piece(b"\x8f(" + MEMBERS + b"\x90"), "added to a set"),
}  # fmt: skip


@written("opcode:LONG1", each=COLLIDING, flags=("bomb", "colliding"), **BOMB, **KNOWN)
def colliding(root: Any, what: str) -> bytes:
    """120 integers that all have one hash, {what}."""
    return archive(root)

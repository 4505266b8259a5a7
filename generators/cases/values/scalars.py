"""Python's own scalars."""

from __future__ import annotations

import struct

from ..registry import LEGACY, PROTOCOL_3, PROTOCOL_4, PROTOCOL_5, ZIP, saved

REFUSED = ("weights-only-refuses",)


# ------------------------------------------------------------------- singletons


@saved("opcode:NONE", formats=(ZIP, LEGACY, PROTOCOL_5))
def none() -> object:
    """None, alone at the root."""
    return None


@saved("opcode:NEWTRUE", formats=(ZIP, LEGACY))
def true() -> object:
    """True: a value of its own type, not the integer 1."""
    return True


@saved("opcode:NEWFALSE")
def false() -> object:
    """False: a value of its own type, not the integer 0."""
    return False


@saved("opcode:NEWTRUE")
def one_and_true() -> object:
    """Numbers that Python calls equal, in one list: each keeps its type."""
    return [1, True, 1.0, 0, False, 0.0]


@saved("global:builtins.Ellipsis", formats=(ZIP, PROTOCOL_4), flags=REFUSED)
def ellipsis() -> object:
    """Ellipsis: pickle names it, and nothing is called."""
    return ...


@saved("global:builtins.NotImplemented", flags=REFUSED)
def not_implemented() -> object:
    """NotImplemented: pickle names it, and nothing is called."""
    return NotImplemented


@saved(
    "builtins.type",
    each={
        "none": (None, "None"),
        "ellipsis": (..., "Ellipsis"),
        "not_implemented": (NotImplemented, "NotImplemented"),
    },
    flags=REFUSED,
)
def type_of(value: object, text: str) -> object:
    """The type of {text}, which has no name: pickle calls `type` with its value."""
    return type(value)


# --------------------------------------------------------------------- integers

INTEGERS = {
    "zero": (0, "BININT1", "0"),
    "255": (255, "BININT1", "255, the largest of one byte"),
    "256": (256, "BININT2", "256, the smallest of two bytes"),
    "65535": (2**16 - 1, "BININT2", "65,535, the largest of two bytes"),
    "65536": (2**16, "BININT", "65,536, the smallest of four bytes"),
    "2_31_less_1": (2**31 - 1, "BININT", "2^31 - 1, the largest of four bytes"),
    "minus_1": (-1, "BININT", "-1, in four bytes"),
    "minus_2_31": (-(2**31), "BININT", "-2^31, the smallest of four bytes"),
    "2_31": (2**31, "LONG1", "2^31: five bytes, the last is the sign"),
    "minus_2_31_less_1": (-(2**31) - 1, "LONG1", "-2^31 - 1, in five bytes"),
    "minus_2_39": (-(2**39), "LONG1", "-2^39: five bytes are enough for the sign too"),
    "2_53_plus_1": (2**53 + 1, "LONG1", "2^53 + 1, which no float64 can be"),
    "2_63_less_1": (2**63 - 1, "LONG1", "2^63 - 1, the largest int64"),
    "minus_2_63": (-(2**63), "LONG1", "-2^63, the smallest int64"),
    "2_63": (2**63, "LONG1", "2^63: one more than an int64 can be"),
    "2_64_less_1": (2**64 - 1, "LONG1", "2^64 - 1, the largest uint64"),
    "2_64": (2**64, "LONG1", "2^64: no integer of a machine holds it"),
    "minus_2_64": (-(2**64), "LONG1", "-2^64, in nine bytes"),
    "255_bytes": (2 ** (8 * 255 - 1) - 1, "LONG1", "the largest of 255 bytes"),
    "minus_255_bytes": (-(2 ** (8 * 255 - 1)), "LONG1", "the smallest of 255 bytes"),
    "256_bytes": (2 ** (8 * 255 - 1), "LONG4", "the smallest positive of 256 bytes"),
    "minus_256_bytes": (-(2 ** (8 * 255)), "LONG4", "a negative of 256 bytes"),
    "1000_bytes": (2 ** (8 * 1000 - 1) - 1, "LONG4", "the largest of 1,000 bytes"),
}


@saved("opcode:{opcode}", each=INTEGERS)
def integer(number: int, opcode: str, text: str) -> object:
    """An integer: {text}."""
    return number


@saved("opcode:LONG1", formats=(LEGACY, PROTOCOL_4))
def integers() -> object:
    """An integer of each size, in one list."""
    return [0, 255, 256, 65535, 65536, -1, 2**31, -(2**63), 2**64]


# ----------------------------------------------------------------------- floats

FLOATS = {
    "zero": (0.0, "0.0"),
    "one": (1.0, "1.0: not the integer 1"),
    "tenth": (0.1, "0.1, which is no sum of powers of two"),
    "negative": (-2.5, "-2.5"),
}

SPECIAL_FLOATS = {
    "minus_zero": (0x8000_0000_0000_0000, "-0.0: equal to 0.0, with another sign"),
    "smallest": (1, "the smallest positive number, a subnormal one"),
    "smallest_normal": (0x0010_0000_0000_0000, "the smallest positive normal number"),
    "largest": (0x7FEF_FFFF_FFFF_FFFF, "the largest finite number"),
    "below_one": (0x3FEF_FFFF_FFFF_FFFF, "the largest number below 1"),
    "infinity": (0x7FF0_0000_0000_0000, "infinity"),
    "minus_infinity": (0xFFF0_0000_0000_0000, "minus infinity"),
    "nan": (0x7FF8_0000_0000_0000, "NaN, as Python makes it"),
    "nan_negative": (0xFFF8_0000_0000_0000, "NaN with a sign"),
    "nan_payload": (0x7FF8_0000_DEAD_BEEF, "NaN with a payload"),
    "nan_signalling": (0x7FF0_0000_0000_0001, "a signalling NaN"),
}


@saved("opcode:BINFLOAT", each=FLOATS)
def floating(number: float, text: str) -> object:
    """The float {text}: eight bytes, big-endian."""
    return number


@saved("opcode:BINFLOAT", each=SPECIAL_FLOATS, flags=("special-values",))
def floating_special(bits: int, text: str) -> object:
    """The float {text}."""
    return _float64(bits)


@saved("builtins.complex", formats=(ZIP, LEGACY, PROTOCOL_4))
def complex_number() -> object:
    """A complex number: `complex` is called with two floats."""
    return 1 - 2.5j


COMPLEX = {
    "minus_zeros": (1 << 63, 1 << 63, "-0.0 twice"),
    "infinities": (0x7FF << 52, 0xFFF << 52, "infinity and minus infinity"),
    "nan_payload": (0x7FF8_0000_DEAD_BEEF, 0x3FF << 52, "a NaN with a payload, and 1"),
}


@saved("builtins.complex", each=COMPLEX, flags=("special-values",))
def complex_special(real: int, imaginary: int, text: str) -> object:
    """A complex number of {text}."""
    return complex(_float64(real), _float64(imaginary))


def _float64(bits: int) -> float:
    number: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return number


# ------------------------------------------------------------------------- text

SHORT_TEXTS = {
    "empty": ("", "no characters"),
    "ascii": ("layer.0.weight", "ASCII"),
    "latin": ("Gewichtsmaß é", "Latin letters, of one or two bytes each"),
    "chinese": ("权重 重み", "Chinese and Japanese, of three bytes each"),
    "emoji": (
        "🔥👩‍🔬",
        "emoji, of four bytes each; two code points are joined by a third",
    ),
    "combined": ("e\u0301 é", "one letter as two code points, and as one"),
    "right_to_left": ("משקל", "letters that run from right to left"),
    "surrogate": ("a\ud800b", "a lone surrogate, which UTF-8 does not allow"),
    "surrogates": ("\udc80\ud83d", "two lone surrogates that are no pair"),
    "nul": ("a\0b", "a NUL inside"),
    "newlines": ("a\nb\r\nc\r", "ends of lines of three kinds"),
    "byte_order_mark": ("\ufeffa", "a byte order mark at its beginning"),
    "backslashes": ("\\u0041\\n", "backslashes that escape nothing"),
    "255_bytes": ("é" * 127 + "e", "255 bytes of UTF-8"),
}

LONG_TEXTS = {
    "256_bytes": ("é" * 128, "256 bytes of UTF-8"),
    "3000_bytes": ("x" * 3000, "3,000 bytes"),
}


@saved("opcode:BINUNICODE", each={**SHORT_TEXTS, **LONG_TEXTS})
def text(value: str, what: str) -> object:
    """A str of {what}; its size is written in four bytes."""
    return value


@saved("opcode:SHORT_BINUNICODE", each=SHORT_TEXTS, formats=(PROTOCOL_4,))
def text_short(value: str, what: str) -> object:
    """A str of {what}; its size is written in one byte."""
    return value


@saved("opcode:BINUNICODE", each=LONG_TEXTS, formats=(PROTOCOL_4,))
def text_long(value: str, what: str) -> object:
    """A str of {what}: too long for one byte to say."""
    return value


@saved("opcode:BINGET", flags=("alias",))
def text_twice() -> object:
    """One str in two places: the second is fetched from the memo."""
    word = "weight"
    return [word, word]


# ------------------------------------------------------------------------ bytes

ALL_BYTES = bytes(range(256))


@saved("builtins.bytes", flags=REFUSED)
def octets_empty() -> object:
    """No bytes: protocol 2 calls `bytes`, which weights_only=True does not allow."""
    return b""


OCTETS = {
    "one": (b"x", "one byte"),
    "zero": (b"\0", "one byte, 0"),
    "high": (b"\x80\xff", "two bytes above 127"),
    "255": (ALL_BYTES[1:], "255 bytes"),
    "all": (ALL_BYTES, "every byte there is"),
}


@saved("_codecs.encode", each=OCTETS)
def octets(value: bytes, what: str) -> object:
    """`bytes` of {what}: protocol 2 encodes a str as latin1."""
    return value


@saved(
    "opcode:SHORT_BINBYTES",
    each={"empty": (b"", "no bytes"), **OCTETS, "all": (ALL_BYTES[:-1], "255 bytes")},
    formats=(PROTOCOL_3,),
)
def octets_short(value: bytes, what: str) -> object:
    """`bytes` of {what}, with an opcode of protocol 3."""
    return value


@saved("opcode:SHORT_BINBYTES", formats=(PROTOCOL_4, PROTOCOL_5))
def octets_short_framed() -> object:
    """`bytes` of three bytes, in a frame."""
    return b"\x00x\xff"


@saved("opcode:BINBYTES", formats=(PROTOCOL_3, PROTOCOL_4))
def octets_long() -> object:
    """`bytes` of 256 bytes: too many for one byte to say."""
    return ALL_BYTES


@saved(
    "builtins.bytearray",
    each={
        "empty": (b"", "no bytes"),
        "some": (b"a\0\xff", "three bytes"),
        "all": (ALL_BYTES, "every byte there is"),
    },
)
def octets_mutable(value: bytes, what: str) -> object:
    """A bytearray of {what}: the type is called with a str and `latin-1`."""
    return bytearray(value)


@saved("builtins.bytearray", formats=(PROTOCOL_3, PROTOCOL_4))
def octets_mutable_of_bytes() -> object:
    """A bytearray as protocols 3 and 4 write it: the type is called with bytes."""
    return bytearray(b"a\0\xff")


@saved("opcode:BYTEARRAY8", formats=(PROTOCOL_5,))
def octets_mutable_of_protocol_5() -> object:
    """A bytearray as protocol 5 writes it: with an opcode of its own."""
    return bytearray(ALL_BYTES)


@saved("opcode:BINGET", flags=("alias",))
def octets_mutable_twice() -> object:
    """One bytearray in two places: whoever changes one, changes both."""
    value = bytearray(b"ab")
    return {"first": value, "second": value}

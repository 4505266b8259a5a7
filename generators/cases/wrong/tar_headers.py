"""Tars whose headers lie, or lead outside.

A legacy tar begins with a header that is not needed: one that a reader of tars
must understand, and one that reads past what is there if it is believed. The
rest of the file is a good checkpoint.
"""

from __future__ import annotations

from typing import Any, Final

from ...handmade import floats
from ..files.tarring import Shown, members, number, tar
from ..readers.threads import vulnerabilities
from ..registry import LEDGER, written
from .scanners import linked

TAR: Final = "container:tar"
LIES: Final[dict[str, Any]] = {"label": "built", "directory": "archives"}
INVALID: Final[dict[str, Any]] = {**LIES, "verdict": "invalid", "phase": "container"}
FLAGS: Final = ("tar-header",)

CONTENTS: Final = members(
    {"weight": number(2)},
    {1: ("FloatStorage", 2, floats(1.0, 2.0))},
    {2: Shown(1, (2,))},
)
#: Without the two empty blocks, which may be missing.
GOOD: Final = tar(CONTENTS)[:-1024]
BLOCK: Final = 512


def padded(data: bytes) -> bytes:
    """The bytes, filled up to a whole block."""
    return data + bytes(-len(data) % BLOCK)


def header(
    name: bytes, size: int | bytes, kind: bytes = b"0", link: bytes = b""
) -> bytes:
    """A header of ustar with the right checksum; `size` may be the field itself."""
    field = b"%011o\0" % size if isinstance(size, int) else size
    block = (
        name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + field
        + b"00000000000\0" + b" " * 8 + kind + link.ljust(100, b"\0")
        + b"ustar\x0000"
    ).ljust(BLOCK, b"\0")  # fmt: skip
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def extended(kind: bytes, data: bytes) -> bytes:
    """A header whose content is about the next one, or about all of them."""
    return header(b"././@LongLink", len(data), kind) + padded(data)


#: Each with its links, as `linked` wants them.
PAX: Final[dict[str, tuple[tuple[str, ...], bytes, str]]] = {
    "length_zero": (
        vulnerabilities("CVE-2019-20907"),
        b"0 path=pickle\n",
        "with a record of no length",
    ),
    "digits": (
        vulnerabilities("CVE-2024-6232"),
        b"0 path=x\n" + b"1" * 500,
        "that ends in one long number",
    ),
}


@linked(TAR, PAX, flags=FLAGS, **INVALID)
def tar_pax(data: bytes, what: str) -> bytes:
    """A tar with an extended header {what}."""
    return extended(b"x", data) + GOOD


SIZES: Final[dict[str, tuple[tuple[str, ...], int | bytes, bytes, str]]] = {
    "gigabytes": ((), (1 << 33) - 1, b"", "is 8 GB, and there is nothing"),
    "2_63": ((), b"\x80\0\0\0\x80" + bytes(7), b"", "has 64 bits, in base 256"),
    "negative": (
        vulnerabilities("CVE-2025-8194"),
        b"\xff" * 10 + b"\xfe\0",
        GOOD,
        "is below zero, in base 256",
    ),
    "letters": ((), b"0000000000z\0", b"", "has a letter among its digits"),
}


@linked(TAR, SIZES, flags=(*FLAGS, "size-lies"), **INVALID)
def tar_size(size: int | bytes, rest: bytes, what: str) -> bytes:
    """A tar in which the size of a member {what}."""
    return header(b"notes", size) + rest


#: 2^50, in base 256.
PETABYTE: Final = b"\x80\0\0\0\0\4" + bytes(6)


@written(
    TAR,
    each={"long_name": (b"L",), "records": (b"x",)},
    flags=(*FLAGS, "size-lies", "bomb"),
    **{**INVALID, "verdict": "either", "phase": None, "reason": LEDGER},
)
def tar_announces(kind: bytes) -> bytes:
    """A tar whose first header announces a petabyte of {key}."""
    return header(b"././@LongLink", PETABYTE, kind)


@written(TAR, flags=FLAGS, **INVALID)
def tar_checksum() -> bytes:
    """A tar whose second header has a wrong checksum."""
    return header(b"notes", 0) + GOOD[:148] + b"000000\0 " + GOOD[156:BLOCK]


@written(TAR, flags=FLAGS, **INVALID)
def tar_storages_linked() -> bytes:
    """A tar whose member `storages` is a symbolic link that leads outside."""
    others = {key: data for key, data in CONTENTS.items() if key != "storages"}
    return header(b"storages", 0, b"2", b"/dev/null") + tar(others)[:-1024]


@written(TAR, flags=("weights-only-refuses", *FLAGS), **LIES)
def tar_two_names() -> bytes:
    """A tar with two long names before its first member: the first of them counts."""
    return extended(b"L", b"storages\0") + extended(b"L", b"notes\0") + GOOD


@written(TAR, flags=FLAGS, verdict="either", reason=LEDGER, **LIES)
def tar_pickle_linked() -> bytes:
    """A tar whose last member is another `pickle`: a hard link to `tensors`."""
    return GOOD + header(b"pickle", 0, b"1", b"tensors")

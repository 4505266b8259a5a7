"""Tars that torch loads, and what is in them, as `plain` gives it."""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

from tests.builders import pickles as p
from tests.builders import tars
from tests.builders.legacy import class_name, dump, floats, python2
from tests.builders.tars import geometry, member, number, raw

FOUR: Final = raw(floats(1, 2, 3, 4))
ROW: Final = (1, "FloatStorage", FOUR)
#: One storage of four floats, and a matrix that shows it.
ONE: Final = tars.storages(ROW)
MATRIX: Final = tars.tensors((2, 1, geometry((2, 2), (2, 1))))


_TWO: Final = number("2")


def checkpoint(tree: Any = _TWO, **members: bytes) -> bytes:
    """A tar of one matrix, but for the members that are given."""
    return tars.checkpoint(tree, **{"storages": ONE, "tensors": MATRIX, **members})


PICKLE: Final = member(b"pickle", dump(number("2")))
#: The members of `checkpoint()`.
MEMBERS: Final = (member(b"storages", ONE), member(b"tensors", MATRIX), PICKLE)


OBJECT: Final = member(b"x", dump(number("2")))


def signed(member: bytes) -> bytes:
    """The member with a checksum of bytes that count from -128."""
    header = bytearray(member[:512])
    header[265:269] = b"\xfcser"  # the owner
    header[148:156] = b" " * 8
    total = sum(byte - 256 * (byte > 127) for byte in header)
    header[148:156] = b"%06o\0 " % total
    return bytes(header) + member[512:]


#: The same matrix behind headers of many kinds.
HEADERS: Final = {
    "no blocks at the end": b"".join(MEMBERS),
    "one block at the end": b"".join(MEMBERS) + bytes(512),
    "junk behind the end": tars.tar(*MEMBERS) + b"junk" * 500,
    "half a block at the end": b"".join(MEMBERS) + b"x" * 511,
    "members of no interest": tars.tar(
        member(b"folder/", b"", b"5"),
        member(b"pickle", b"", b"2"),
        member(b"global", b"11 mtime=1\n", b"g"),
        member(b"other", b"x" * 513),
        *MEMBERS,
    ),
    "the last of two members": tars.tar(member(b"storages", b"junk"), *MEMBERS),
    "an old kind of member": tars.tar(
        *MEMBERS[:2], member(b"pickle", dump(number("2")), b"\0")
    ),
    "a size in base 256": tars.tar(
        *MEMBERS[:2],
        member(
            b"pickle",
            dump(number("2")),
            size=b"\x80" + len(dump(number("2"))).to_bytes(11, "big"),
        ),
    ),
    "a size between spaces": tars.tar(
        *MEMBERS[:2],
        member(
            b"pickle",
            dump(number("2")),
            size=b"  %o \0" % len(dump(number("2"))),
        ),
    ),
    "a name in an extended header": tars.tar(
        *MEMBERS[:2],
        tars.pax(path="pickle", mtime="1.5"),
        member(b"x", dump(number("2"))),
    ),
    "a size in an extended header": tars.tar(
        *MEMBERS[:2],
        tars.pax(size=str(len(dump(number("2"))))),
        member(b"pickle", dump(number("2")), size=b"0\0"),
    ),
    "an extended header for one member only": tars.tar(
        tars.pax(path="nobody", size="3"), member(b"storages", b"xyz"), *MEMBERS
    ),
    "a long name of GNU tar": tars.tar(
        *MEMBERS[:2], tars.gnu_name(b"pickle"), member(b"x", dump(number("2")))
    ),
    "the first of two long names": tars.tar(
        *MEMBERS[:2], tars.gnu_name(b"pickle"), tars.gnu_name(b"x"), OBJECT
    ),
    "the first of two extended headers": tars.tar(
        *MEMBERS[:2], tars.pax(path="pickle"), tars.pax(path="x", mtime="1"), OBJECT
    ),
    "an extended header before a long name": tars.tar(
        *MEMBERS[:2], tars.pax(path="pickle"), tars.gnu_name(b"x"), OBJECT
    ),
    "a long link of GNU tar": tars.tar(
        *MEMBERS[:2], tars.gnu_name(b"pickle"), tars.gnu_name(b"y", b"K"), OBJECT
    ),
    "a long name of a folder": tars.tar(
        tars.gnu_name(b"x"), member(b"folder", b"", b"5"), *MEMBERS
    ),
    "an extended header of Solaris": tars.tar(
        *MEMBERS[:2], member(b"x", b"15 path=pickle\n", b"X"), OBJECT
    ),
    "links and folders that claim a size": tars.tar(
        tars.header(b"link", 5000, b"2"), tars.header(b"folder", 5000, b"5"), *MEMBERS
    ),
    "a folder as in 1979": tars.tar(tars.header(b"folder/", 5000, b"\0"), *MEMBERS),
    "kinds that nobody knows": tars.tar(
        member(b"storages", ONE, b"7"), member(b"tensors", MATRIX, b"Z"), MEMBERS[2]
    ),
    "a prefix": tars.tar(member(b"pickle", b"x", prefix=b"old"), *MEMBERS),
    "a name of which the prefix is a part": tars.tar(
        *MEMBERS[:2], tars.pax(path="pickle/"), member(b"x", OBJECT[512:], prefix=b"y")
    ),
    "a checksum of signed bytes": tars.tar(signed(MEMBERS[0]), *MEMBERS[1:]),
    "what is no header at the end": b"".join(MEMBERS) + b"x" * 512,
    "a mode that is no number at the end": b"".join(MEMBERS)
    + tars.header(b"x", 0, mode=b"rwx"),
    "sizes as Python spells numbers": tars.tar(
        *MEMBERS[:2],
        member(b"pickle", dump(number("2")), size=b"+0o%o" % len(dump(number("2")))),
    ),
}


_DTYPES: Final = {
    "DoubleStorage": struct.pack("<q2d", 2, 0.5, -1),
    "LongStorage": struct.pack("<qq", 1, 1 << 40),
    "ByteStorage": struct.pack("<q3B", 3, 1, 2, 255),
    "ComplexFloatStorage": struct.pack("<q2f", 1, 1, 2),
    "HalfStorage": struct.pack("<q", 0),
}
_VIEWS: Final = (
    (5, 1, 1, 2),
    (6, 5, 1, 9),
    (7, 1, -2, 1),
    (8, 1, 3, -2),
    (9, 1, -(1 << 60), 1 << 61),
)


def _numbers(*keys: str) -> list[p.Assembled]:
    return [number(key) for key in keys]


class Case(NamedTuple):
    """A tar, and what `plain` makes of its tree."""

    name: str
    data: bytes
    expected: Any
    encoding: str = "utf-8"

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


_MATRIX: Final = [[1, 2], [3, 4]]

CASES: Final = (
    *(Case(name, data, _MATRIX) for name, data in HEADERS.items()),
    *(
        Case(f"the number {key!a}", checkpoint(number(key)), _MATRIX)
        for key in ("2", "02", "\N{ARABIC-INDIC DIGIT TWO}", 2)
    ),
    *(
        Case(
            f"a number of Python 2 as {encoding}",
            checkpoint(p.Assembled(python2("2") + p.BINPERSID)),
            _MATRIX,
            encoding,
        )
        for encoding in ("utf-8", "bytes")
    ),
    Case(
        "several dtypes",
        checkpoint(
            _numbers("0", "1", "2", "3", "4"),
            storages=tars.storages(
                *((i, *row) for i, row in enumerate(_DTYPES.items()))
            ),
            tensors=tars.tensors(),
        ),
        [
            ("float64", [0.5, -1]),
            ("int64", [1 << 40]),
            ("uint8", [1, 2, 255]),
            ("complex64", [1 + 2j]),
            ("float16", []),
        ],
    ),
    Case(
        "tensors in one storage",
        checkpoint(
            _numbers("2", "3", "4", "2", "1"),
            tensors=tars.tensors(
                (2, 1, geometry((2,), (2,))),
                (3, 1, geometry((), (), 3)),
                (4, 1, geometry((0, 7), (1, 1), 99)),
            ),
        ),
        [[1, 3], 4, [], [1, 3], ("float32", [1, 2, 3, 4])],
    ),
    Case(
        "fewer than no storages, and views in a dict",
        checkpoint(
            p.value([]),
            storages=tars.storages(count=-1, views={}),
            tensors=tars.tensors(count=False),
        ),
        [],
    ),
    Case(
        "storage views",
        checkpoint(
            _numbers("5", "6", "7", "8", "9", "2"),
            storages=tars.storages(ROW, views=_VIEWS),
            tensors=tars.tensors((2, 5, geometry((2,), (1,)))),
        ),
        [
            ("float32", [2, 3]),
            ("float32", [3]),
            ("float32", [3]),
            ("float32", []),
            ("float32", [1, 2, 3, 4]),
            [2, 3],
        ],
    ),
    Case(
        "the class of a module",
        checkpoint(
            p.Assembled(
                p.args(class_name("torch.nn.modules.linear.Linear"), "", "")
                + p.BINPERSID
            )
        ),
        "torch.nn.modules.linear.Linear",
    ),
)

"""Files that a careless reader pays dearly for: short pieces, many times over.

`PICKLES` stand alone; `ARCHIVES` are whole files.
"""

from __future__ import annotations

import zlib
from typing import Final

from generators import handmade
from generators.handmade import Record, longs, storage, tensor, value

#: How often a piece is repeated, and how many values a large one has.
TIMES: Final = 600

#: A list of so many values, in the memo at 0.
_LIST: Final = b"](" + b"N" * TIMES + b"eq\0"
#: A dict of so many attributes, likewise.
_DICT: Final = b"}(" + b"".join(b"U\3%03dN" % i for i in range(TIMES)) + b"uq\0"
#: Text of 400 letters, at 1.
_TEXT: Final = b"X\x90\1\0\0" + b"a" * 400 + b"q\1"


def _of_the_list(name: bytes) -> bytes:
    """Calls of one function, each with the list."""
    call = b"h\1h\2R"
    return _LIST + b"c" + name + b"q\1h\0\x85q\2](" + call * TIMES + b"e"


def _in_each_other(depth: int) -> bytes:
    """Checkpoints in checkpoints, the innermost of which holds nothing."""
    data = handmade.legacy(None)
    for _ in range(depth):
        data = handmade.legacy(handmade.Piece(_loaded(data)))
    return _loaded(data)


def _loaded(data: bytes) -> bytes:
    """`_load_from_bytes` of bytes, which is how one checkpoint holds another."""
    return b"ctorch.storage\n_load_from_bytes\n" + _binbytes(data) + b"\x85R"


def _binbytes(data: bytes) -> bytes:
    return b"B" + len(data).to_bytes(4, "little") + data


def _table(key: str) -> handmade.Piece:
    return tensor(storage("LongStorage", 4, key), (2, 2))


#: The arguments of a sparse tensor of which all is remembered, at 2.
_SPARSE: Final = (
    b"ctorch._utils\n_rebuild_sparse_tensor\nq\1"
    + value((handmade.layout("sparse_coo"), (_table("0"), _table("1"), (9, 9, 2))))
    + b"q\2"
)

_BODIES: Final[dict[str, bytes]] = {
    "lists of a list": _of_the_list(b"builtins\nlist\n"),
    "sets of a list": _of_the_list(b"builtins\nset\n"),
    "counters of a list": _of_the_list(b"collections\nCounter\n"),
    "arguments that are a list": _LIST
    + b"csome\nname\nq\1]("
    + b"h\1h\0R" * TIMES
    + b"e",
    "states of many attributes": _DICT
    + b"csome\nname\nq\1)q\2]("
    + b"h\1h\2Rh\0b" * TIMES
    + b"e",
    "names of memoised text": _TEXT + b"](" + b"h\1h\1\x93" * TIMES + b"e",
    "names of one long module": b"X\xa0\x0f\0\0"
    + b"a" * 4_000
    + b"q\0]("
    + b"".join(b"h\0\x8c\2%c%c\x93" % (33 + i // 90, 33 + i % 90) for i in range(4_000))
    + b"e",
    "a long name": b"ca\n" + b"a" * 5_000 + b"\n",
    "one long line": b"V" + b"a" * 16_000 + b"\n",
    "digits of an integer": b"I" + b"7" * 5_000 + b"\n",
    "digits of a long integer": b"L-" + b"7" * 5_000 + b"L\n",
    "digits of a float": b"F0." + b"7" * 5_000 + b"\n",
    "many short lines": b"](" + b"I7\n" * 2 * TIMES + b"e",
    "escapes": b"S'" + b"\\x41\\n\\101" * TIMES + b"'\n",
    "marks": b"(" * 2 * TIMES + b"t" * 2 * TIMES,
    "one-tuples as a key": b"})" + b"\x85" * 2 * TIMES + b"Ns",
    "tuples of themselves as a key": b"})q\0" + b"h\0\x86q\0" * 60 + b"Ns",
    "a key that is used again": b"(K\1K\2tq\0](" + b"}h\0Ns" * TIMES + b"e",
    "equal hashes": b"}("
    + b"".join(
        b"G" + b"\x7f\xf8\0\0\0\0%c%cN" % (i >> 8, i & 255) for i in range(TIMES)
    )
    + b"u",
    "zeros": b"cbuiltins\nbytearray\nJ\0\0\0\x08\x85R",
    "deques in each other": b"ccollections\ndeque\nq\0)R"
    + b"h\0)R" * 2 * TIMES
    + b"a" * 2 * TIMES,
    "deques around each other": b"ccollections\ndeque\nq\0"
    b"0" + b"h\0(" * 2 * TIMES + b"N" + b"l\x85R" * 2 * TIMES,
    "defaultdicts in each other": b"ccollections\ndefaultdict\nq\0)R"
    + b"Nh\0)R" * 2 * TIMES
    + b"s" * 2 * TIMES,
    "checkpoints in each other": _in_each_other(150),
    "checkpoints in each other, beside a long text": b"]("
    + _binbytes(bytes(30_000))
    + _in_each_other(25)
    + b"e",
    "a checkpoint again and again": b"ctorch.storage\n_load_from_bytes\nq\1"
    + _binbytes(handmade.legacy([None] * 20))
    + b"\x85q\2]("
    + b"h\1h\2R" * TIMES
    + b"e",
    "sparse tensors of the same indices": _SPARSE + b"](" + b"h\1h\2R" * TIMES + b"e",
    "calls of what was called": b"csome\nname\n" + b")R" * 2 * TIMES,
    "a large number in the path of an error": b"}\x8b\xb8\x0b\0\0"
    + b"\x7f" * 3_000
    + b"NNa",
    "memo": b"](" + b"]\x94" * TIMES + b"e",
    "pops": b"N0" * 2 * TIMES + b"N",
}

PICKLES: Final = {name: b"\x80\4" + body + b"." for name, body in _BODIES.items()}


# ---------------------------------------------------------------------- archives


def _packed(data: bytes) -> bytes:
    """A DEFLATE stream, as small as can be."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


#: Zeros, and how few bytes they are when packed.
_ZEROS: Final = bytes(1 << 22)
_FEW: Final = _packed(_ZEROS)

_MARKS: Final = b"(" * (1 << 17)


def _storages(count: int, nbytes: int) -> handmade.Piece:
    return value([storage("ByteStorage", nbytes, str(key)) for key in range(count)])


ARCHIVES: Final = {
    "a record that inflates to ever so much": handmade.archive(
        _storages(1, len(_ZEROS)), {"0": Record(_ZEROS, packed=_FEW)}
    ),
    "records that share one that inflates": handmade.archive(
        _storages(8, len(_ZEROS)),
        {
            "0": Record(_ZEROS, packed=_FEW),
            **{
                str(key): Record(_ZEROS, packed=_FEW, like="data/0")
                for key in range(1, 8)
            },
        },
    ),
    "a record that inflates to more than it says": handmade.archive(
        _storages(1, 16),
        {"0": Record(bytes(16), packed=_FEW)},
    ),
    "a pickle that inflates to ever so much": handmade.archive(
        Record(_MARKS, packed=_packed(_MARKS))
    ),
    "an index that inflates": handmade.archive(
        tensor(storage("LongStorage", 2), (2,)),
        {"0": Record(longs(1, 2), packed=_packed(longs(1, 2)))},
    ),
}

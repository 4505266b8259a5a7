"""Pickles that a careless reader pays dearly for: short pieces, many times over."""

from __future__ import annotations

from typing import Final

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
    "one long line": b"V" + b"a" * 16_000 + b"\n",
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
    "calls of what was called": b"csome\nname\n" + b")R" * 2 * TIMES,
    "a large number in the path of an error": b"}\x8b\xb8\x0b\0\0"
    + b"\x7f" * 3_000
    + b"NNa",
    "memo": b"](" + b"]\x94" * TIMES + b"e",
    "pops": b"N0" * 2 * TIMES + b"N",
}

PICKLES: Final = {name: b"\x80\4" + body + b"." for name, body in _BODIES.items()}

"""Mutants of pickles.

Most edits follow the stack, so that the machine that reads the mutant gets past
them and into what comes after. A share of wild ones does not care, and a few
mutants are but bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from ...words import Words
from . import edges, followed, rebuild, wild
from .spelling import pick
from .stack import CODES, Ops, split

__all__ = ["EDITS", "GROWTH", "Edit", "mutate", "split"]

#: Changes opcodes in place, of which there is at least one; false if it changed
#: nothing.
Edit = Callable[[Ops, Random, Words], bool]

#: Edits that keep the stack as it should be, with their weights.
FOLLOWED: Final[dict[Edit, int]] = {
    rebuild.mutate: 22,
    followed.revalue: 10,
    followed.retype: 6,
    followed.other_global: 5,
    followed.other_opcode: 2,
    followed.replace: 8,
    followed.wrap: 4,
    followed.wrap_in_call: 4,
    followed.nest: 2,
    followed.pause: 4,
    followed.remember: 4,
    followed.call_otherwise: 3,
    followed.drop: 4,
    followed.insert: 6,
    followed.swap: 4,
    followed.repeat: 3,
}
#: Edits that do not.
WILD: Final[dict[Edit, int]] = {
    wild.insert: 4,
    wild.splice: 2,
    wild.delete: 2,
    wild.repeat: 2,
    wild.swap: 2,
    wild.replace: 3,
    wild.lie: 2,
    wild.cut: 1,
}
EDITS: Final = FOLLOWED | WILD

_DRAWN: Final = tuple(edit for edit, weight in EDITS.items() for _ in range(weight))

_FRAME: Final = CODES["FRAME"]

#: How many edits make a mutant.
_MANY: Final = (1, 1, 1, 1, 1, 2, 2, 3, 4)
#: How often it may be tried, if many change nothing.
_TRIES: Final = 12
#: The share of mutants for which the pickle is but bytes.
_BYTES: Final = 0.06
#: A mutant is at most this many bytes longer than what it was made of.
GROWTH: Final = 8192


def mutate(data: bytes, random: Random, words: Words) -> bytes:
    """The pickle after one to four edits; any bytes will do."""
    if random.random() < _BYTES:
        return _accident(data, random)
    ops = split(data)
    left, tries = pick(_MANY, random), _TRIES
    while ops and left and tries:
        left -= pick(_DRAWN, random)(ops, random, words)
        tries -= 1
    _announce(ops, random)
    mutant = b"".join(ops)
    return _accident(data, random) if mutant == data else mutant


def _announce(ops: Ops, random: Random) -> None:
    """The first FRAME as long as what follows, mostly."""
    for at in range(min(3, len(ops))):
        op = ops[at]
        if op[0] == _FRAME and len(op) == 9 and random.random() < 0.9:
            size = sum(map(len, ops[at + 1 :]))
            ops[at] = op[:1] + size.to_bytes(8, "little")


def _accident(data: bytes, random: Random) -> bytes:
    """Bytes changed, doubled, lost or put in, whatever they mean."""
    at = int(random.random() * len(data))
    size = 1 << int(random.random() * 6)
    match int(random.random() * 5):
        case 0 if data:
            changed = data[at] ^ pick((1, 2, 4, 8, 16, 32, 64, 128, 255), random)
            return b"%b%c%b" % (data[:at], changed, data[at + 1 :])
        case 1 if data:
            return data[:at] + data[at + size :]
        case 2:
            return data[:at] + pick(edges.BYTES[1:], random) + data[at:]
        case 3 if data:
            return data[: at + size] + data[at:]
    return data[:at] + random.randbytes(size) + data[at:]

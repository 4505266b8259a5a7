"""Edits that know opcodes, and do not care what they leave on the stack."""

from __future__ import annotations

from random import Random
from typing import Final

from conformance.parser.opcodes import BY_CODE

from ...words import Words
from .spelling import lying, opcode, pick
from .stack import ROOM, Ops, anywhere, split

_CODES: Final = tuple(BY_CODE)
_COUNTED: Final = frozenset(
    code for code, row in BY_CODE.items() if row.argument.counted
)
_LONGEST_RUN: Final = 16


def insert(ops: Ops, random: Random, words: Words) -> bool:
    """Any opcode, anywhere."""
    at = int(random.random() * (len(ops) + 1))
    ops.insert(at, opcode(pick(_CODES, random), random, words))
    return True


def splice(ops: Ops, random: Random, words: Words) -> bool:
    """A piece of another pickle, anywhere."""
    if not words.pieces:
        return False
    at = int(random.random() * (len(ops) + 1))
    ops[at:at] = split(pick(words.pieces, random))
    return True


def delete(ops: Ops, random: Random, words: Words) -> bool:
    """A run of opcodes."""
    at, stop = _run(ops, random)
    del ops[at:stop]
    return True


def repeat(ops: Ops, random: Random, words: Words) -> bool:
    """A run of opcodes once more, or often."""
    at, stop = _run(ops, random)
    run = ops[at:stop]
    size = sum(map(len, run))
    ops[at:at] = run * min(pick((1, 1, 1, 2, 30), random), ROOM // size)
    return size <= ROOM


def swap(ops: Ops, random: Random, words: Words) -> bool:
    """Two opcodes in each other's place."""
    at, other = (int(random.random() * len(ops)) for _ in range(2))
    if random.random() < 0.5:
        other = at - 1
    changed = ops[at] != ops[other]
    ops[at], ops[other] = ops[other], ops[at]
    return changed


def replace(ops: Ops, random: Random, words: Words) -> bool:
    """Any opcode in another's place."""
    at = int(random.random() * len(ops))
    before = ops[at]
    ops[at] = opcode(pick(_CODES, random), random, words)
    return ops[at] != before


def lie(ops: Ops, random: Random, words: Words) -> bool:
    """A wrong count before a string of bytes."""
    at = anywhere(ops, _COUNTED, random)
    if at < 0:
        return False
    before = ops[at]
    ops[at] = lying(before, random)
    return ops[at] != before


def cut(ops: Ops, random: Random, words: Words) -> bool:
    """Nothing after some opcode."""
    if len(ops) < 2:
        return False
    del ops[1 + int(random.random() * (len(ops) - 1)) :]
    return True


def _run(ops: Ops, random: Random) -> tuple[int, int]:
    at = int(random.random() * len(ops))
    many = 1 if random.random() < 0.6 else 1 + int(random.random() * _LONGEST_RUN)
    return at, min(at + many, len(ops))

"""How large a value of a pickle is to whoever visits each part as often as it is used.

Sixty-four pairs, each twice the one before, are 2^64 parts to show, to hash or to
compare, and a few hundred bytes in a file.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

from conformance.parser.errors import CheckpointError
from conformance.parser.opcodes import Opcode

from .stream import Data, opcodes_of

#: Nobody counts further.
MOST: Final = 1 << 62


@dataclass(slots=True)
class Weight:
    """The parts of a value, itself among them, each as often as it is used."""

    parts: int = 1


_GET: Final = frozenset({"GET", "BINGET", "LONG_BINGET"})
_PUT: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
#: What takes more parts into a value that is there, and leaves it in its place.
_FILLS: Final = frozenset({"list", "dict", "set"})


def unrolled(pickle: Data) -> int:
    """The parts of the largest value in a pickle, as far as it can be taken apart.

    Nothing is made, and what an opcode does not find on the stack is not missed.
    """
    stack: list[Weight] = []
    memo: dict[bytes, Weight] = {}
    mark = Weight()
    most = 0
    with contextlib.suppress(CheckpointError):
        for row, start, stop in opcodes_of(pickle):
            argument = bytes(pickle[start + 1 : stop])
            if row.name in _GET:
                stack.append(memo.get(_index(row, argument), Weight()))
            elif row.name == "MEMOIZE":
                memo[b"%d" % len(memo)] = stack[-1] if stack else Weight()
            elif row.name in _PUT:
                memo[_index(row, argument)] = stack[-1] if stack else Weight()
            elif row.name == "DUP":
                stack += stack[-1:]
            else:
                _step(row, stack, mark)
            if stack:
                most = max(most, stack[-1].parts)
    return most


def _index(row: Opcode, argument: bytes) -> bytes:
    """A place in the memo, in whatever way it is spelled."""
    if row.argument.lines:
        return argument.strip()
    return b"%d" % int.from_bytes(argument, "little")


def _step(row: Opcode, stack: list[Weight], mark: Weight) -> None:
    before, after = row.before.split(), row.after.split()
    taken: list[Weight] = []
    if "mark" in before:
        while stack and stack[-1] is not mark:
            taken.append(stack.pop())
        del stack[-1:]
        before = before[: before.index("mark")]
    taken += [stack.pop() for _ in before if stack]
    if not after:
        return
    if after == ["mark"]:
        stack.append(mark)
        return
    # The lowest is what is filled.
    filled = taken.pop() if taken and before and before[0] in _FILLS else Weight()
    filled.parts = min(filled.parts + sum(weight.parts for weight in taken), MOST)
    stack.append(filled)

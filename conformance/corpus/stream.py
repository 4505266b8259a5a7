"""A pickle taken apart: which opcodes it has, and where each begins and ends."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.parser.errors import Malformed, Truncated
from conformance.parser.opcodes import BY_CODE, Argument, Opcode

Data = bytes | bytearray | memoryview


def opcodes_of(pickle: Data, start: int = 0) -> Iterator[tuple[Opcode, int, int]]:
    """Each opcode from `start` to STOP, and its bytes: `pickle[start:stop]`.

    Runs nothing, and minds neither frames nor the stack. Raises `Malformed` at
    a byte that is no opcode, and `Truncated` where the bytes end before STOP or
    inside an argument; the error's `offset` is that of the opcode.
    """
    data = bytes(pickle)
    while start < len(data):
        row = BY_CODE.get(data[start])
        if row is None:
            raise Malformed(
                f"byte 0x{data[start]:02x} is no opcode", phase="pickle", offset=start
            )
        stop = _argument_end(row.argument, data, start + 1)
        if stop > len(data):
            raise Truncated(
                f"the pickle ends inside {row.name}'s argument",
                phase="pickle",
                offset=start,
            )
        yield row, start, stop
        if row.name == "STOP":
            return
        start = stop
    raise Truncated(
        "the pickle ends before its STOP opcode", phase="pickle", offset=start
    )


def _argument_end(argument: Argument, data: bytes, start: int) -> int:
    """Where an argument ends; past the data if it is not all there."""
    stop = start + argument.size
    if argument.counted:
        # A count that a reader takes as signed is then too large to be there.
        stop += int.from_bytes(data[start:stop], "little")
    for _ in range(argument.lines):
        newline = data.find(b"\n", stop)
        if newline < 0:
            return len(data) + 1
        stop = newline + 1
    return stop

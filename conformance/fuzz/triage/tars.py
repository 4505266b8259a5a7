"""The tar of torch 0.1: fewer members, fewer rows in them, less in those."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..mutation.pickles.stack import split
from ..mutation.tars import Row, Tar, apart, is_tar, rows
from . import records


def _contents(data: bytes) -> list[bytes]:
    tar = apart(data)
    return [*(member.content for member in tar.members), tar.rest]


def _fill(data: bytes, number: int, content: bytes) -> bytes:
    tar = apart(data)
    if number < len(tar.members):
        tar.members[number].fill(content)
    else:
        tar.rest = content
    return bytes(tar)


def _keep(data: bytes, kept: Sequence[int]) -> bytes:
    tar = apart(data)
    count = len(tar.members)
    members = [tar.members[number] for number in kept if number < count]
    return bytes(Tar(members, tar.rest if count in kept else b""))


MEMBERS: Final = records.Format(is_tar, _contents, _fill, _keep)


def _rows(tar: Tar) -> list[list[Row]]:
    return [rows(member.content) for member in tar.members]


def _row_contents(data: bytes) -> list[bytes]:
    return [bytes(row) for found in _rows(apart(data)) for row in found]


def _fill_row(data: bytes, number: int, content: bytes) -> bytes:
    tar = apart(data)
    for member, found in zip(tar.members, _rows(tar), strict=True):
        if number < len(found):
            found[number] = Row(b"", content)
            member.fill(b"".join(map(bytes, found)))
            break
        number -= len(found)
    return bytes(tar)


def _keep_rows(data: bytes, kept: Sequence[int]) -> bytes:
    tar = apart(data)
    chosen = set(kept)
    number = 0
    for member, found in zip(tar.members, _rows(tar), strict=True):
        numbers = range(number, number + len(found))
        number = numbers.stop
        gone = len(found) - len(chosen.intersection(numbers))
        if gone:
            left = [row for at, row in zip(numbers, found, strict=True) if at in chosen]
            if numbers.start in chosen:
                _count_less(left[0], gone)
            member.fill(b"".join(map(bytes, left)))
    return bytes(tar)


def _count_less(row: Row, gone: int) -> None:
    """The first row says how many there are, in BININT1 or in a byte of LONG1."""
    ops = split(row.pickle)
    for at, op in enumerate(ops):
        if op.startswith((b"K", b"\x8a\1")) and op[-1] >= gone:
            ops[at] = op[:-1] + bytes([op[-1] - gone])
            break
    row.pickle = b"".join(ops)


ROWS: Final = records.Format(is_tar, _row_contents, _fill_row, _keep_rows)

LEVELS: Final = (*records.levels(MEMBERS)[:1], *records.levels(ROWS))

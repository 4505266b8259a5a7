"""Findings told apart by their signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Cluster(Generic[K]):
    """Inputs with one signature: the smallest, of how many.

    `key` says what they share beside the signature, such as the target.
    """

    key: K
    signature: str
    smallest: bytes
    count: int


def cluster(
    inputs: Iterable[tuple[K, bytes]], judge: Callable[[K, bytes], str | None]
) -> tuple[list[Cluster[K]], list[tuple[K, bytes]]]:
    """The clusters, in the order of their first inputs, and those with nothing.

    The same bytes count once; of two of one size the first in the order of
    bytes is the smaller.
    """
    members: dict[tuple[K, str], set[bytes]] = {}
    nothing = []
    for key, data in inputs:
        signature = judge(key, data)
        if signature is None:
            nothing.append((key, data))
        else:
            members.setdefault((key, signature), set()).add(data)
    found = [
        Cluster(key, signature, min(data, key=lambda one: (len(one), one)), len(data))
        for (key, signature), data in members.items()
    ]
    return found, nothing

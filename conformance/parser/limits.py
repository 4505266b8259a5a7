"""What a file may cost. All limits are counted, none is timed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on the work that one file can cause.

    The defaults let every checkpoint through that we know of, and keep time
    and memory linear in the size of the file.
    """

    #: Nodes of one dict key or set member, counted as often as hashing would
    #: visit them: a small DAG of tuples is exponential to hash.
    key_nodes: int = 1_000
    #: Nesting of one dict key or set member; CPython's tuple hash recurses.
    key_depth: int = 100
    #: Keys in one dict or set whose hashes are all equal.
    key_collisions: int = 100
    #: Copies that a pickle may make of its own values (bytes and elements), as
    #: a multiple of its length, plus `copies_base`.
    copies_ratio: int = 32
    copies_base: int = 1 << 20
    #: Bytes that all DEFLATEd records of an archive may inflate to, as a
    #: multiple of the file's size (DEFLATE itself ends at 1032).
    inflate_ratio: int = 1_032
    #: Decimal digits of one integer (protocol 0 writes integers as text, and
    #: turning digits into an integer is quadratic).
    int_digits: int = 4_300
    #: Checkpoints inside checkpoints (`torch.storage._load_from_bytes`).
    nesting: int = 20

"""What a file may cost. All limits are counted, none is timed."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import LimitExceeded


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
    #: Bytes that a DEFLATEd pickle may inflate to: a multiple of its packed
    #: size, or `inflate_base` if that is more. It must lie in memory whole.
    inflate_pickle_ratio: int = 128
    inflate_base: int = 1 << 26
    #: Decimal digits of one integer (protocol 0 writes integers as text, and
    #: turning digits into an integer is quadratic).
    int_digits: int = 4_300
    #: Characters of the full name of one global.
    name_length: int = 4_096
    #: Deques, defaultdicts and numpy arrays of objects that lie directly inside
    #: each other, three deep and more; CPython frees those by recursion.
    chained: int = 500
    #: Checkpoints inside checkpoints (`torch.storage._load_from_bytes`).
    nesting: int = 20


@dataclass(slots=True)
class Budget:
    """How much the pickles of one file may still copy; all of them share it.

    A pickle in the file pays for itself, by its length (`grant`). A checkpoint
    inside a pickle pays nothing: a few bytes can ask for it again and again.
    """

    limits: Limits
    left: int

    @classmethod
    def of(cls, limits: Limits) -> Budget:
        """The budget of a file of which nothing has been read."""
        return cls(limits, limits.copies_base)

    def grant(self, size: int) -> None:
        """More to spend, for a pickle of `size` bytes."""
        self.left += self.limits.copies_ratio * size

    def spend(self, amount: int) -> None:
        """Counts copies that a few bytes of the file ask for."""
        self.left -= amount
        if self.left < 0:
            raise LimitExceeded(
                "the pickle copies its own values too often (Limits.copies_ratio)",
                phase="pickle",
            )

"""A checkpoint is built from the bytes, written, and read back."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from conformance.compare import compare
from conformance.loaders.ours import describe
from conformance.parser import GlobalNotAllowed, Limits

from ..invariants import bounds
from ..invariants.offering import guarded_load
from ..invariants.reading import FULL, WEIGHTS, Mode
from ..invariants.trees import found
from ..mutation import edits
from ..roundtrip.choices import Choices
from ..roundtrip.specs import Expected
from ..roundtrip.storages import Storages
from ..roundtrip.trees import Tree
from ..roundtrip.writing import Form, write
from ..target import Target, Violation
from ..words import Words


def built(data: bytes) -> tuple[bytes, Any]:
    """A file, and the tree that must be read in it."""
    choices = Choices(data)
    forms: tuple[Form, ...] = ("zip", "legacy")
    form, big = choices.pick(forms), choices.often(4)
    tree = Tree(choices, Storages(choices, views=form == "legacy")).root()
    return write(tree, choices, form, big=big), Expected()(tree)


def run(data: bytes, thorough: bool) -> None:
    """What was written is read, value by value, byte by byte, sharing and all."""
    file, tree = built(data)
    _same(tree, _read(file, FULL))
    if thorough:
        try:
            _same(tree, _read(file, WEIGHTS))
        except GlobalNotAllowed:
            return


def _read(file: bytes, mode: Mode) -> Any:
    return guarded_load(io.BytesIO(file), mode, Limits())


def _same(expected: Any, tree: Any) -> None:
    compared = compare(describe(expected), describe(tree), devices=True)
    if not compared.equal:
        first = compared.differences[0]
        told = "\n".join(map(str, compared.differences))
        raise Violation("round trip", told, first.fact)
    for tensor in found(tree).tensors:
        bounds.view(tensor)
        bounds.parts(tensor)
        bounds.elements(tensor)


def mutate(data: bytes, random: Random, words: Words) -> bytes:
    """Other answers to the same questions."""
    return edits.damage(data, random)


#: Bytes of each seed, and how many there are.
_SIZE: Final = 256
_SEEDS: Final = 200


def _seeds() -> Iterator[bytes]:
    """Any bytes will do: hashes, the same everywhere."""
    for number in range(_SEEDS):
        begin = bytes((number & 1, number >> 1 & 7))
        seed = b"".join(
            hashlib.sha256(b"%d %d" % (number, piece)).digest()
            for piece in range(_SIZE // 32)
        )
        yield begin + seed


ROUNDTRIP: Final = Target("roundtrip", run, mutate, _seeds, max_size=1 << 11)

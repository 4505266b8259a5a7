"""What an adapter has probably done, from what came of it: hints for `smoke`.

Each knows the slips that are made in many languages: dtypes by another's names,
shapes innermost first, hashes of the storage instead of its elements.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from conformance.description import Description, Tensor
from conformance.loaders.worker import Crash, Hang
from conformance.parser.dtypes import DTYPES


def no_start(message: str) -> str:
    """What keeps an adapter from starting."""
    if "does not say who it is" in message:
        return (
            "the first line on standard output has to be the answer to `start`; "
            "whatever else is printed goes to standard error"
        )
    if "no answer within" in message:
        return (
            "answer each line as it comes, not at the end of the input, and flush "
            "standard output behind it"
        )
    if "speaks protocol" in message:
        return "`protocol` in the answer is the version that the adapter was made for"
    if "exit status" in message or "SIG" in message:
        return "what it wrote to standard error may say why"
    return "the command is taken apart as a shell does it, and run without a shell"


def failure(ended: object) -> str:
    """What makes an adapter fail at a file."""
    if isinstance(ended, Hang):
        return "flush standard output behind each answer"
    if isinstance(ended, Crash):
        return "answer `rejected` with whatever the loader raises, and go on"
    return "an answer is one line of JSON, with the `id` of its command"


def names(wanted: Sequence[str], found: Sequence[str]) -> str:
    """How tensors got other names; both sorted."""
    if sorted(map(_undecorated, found)) == wanted:
        return "names are keys and indices joined by dots, and nothing else"
    if not found:
        return "no tensors at all: list them, or walk the tree that the loader gives"
    if sorted(name.rpartition(".")[2] for name in wanted) == found:
        return "the keys on the way to a tensor belong to its name"
    return "one entry for each tensor, named by its keys and indices"


def _undecorated(name: str) -> str:
    """A name without what other languages put around its steps."""
    name = name.replace("[", ".").replace("/", ".")
    name = "".join(character for character in name if character not in "'\"]$")
    return name.replace("..", ".").strip(".")


def fact(name: str, tensor: Tensor, found: object) -> str:
    """How a fact other than the hash came to be another."""
    if name == "dtype":
        return f"torch's name for it, without the prefix: `{tensor.dtype}`"
    if name == "shape" and found == tuple(reversed(tensor.shape)):
        return "the outermost dimension comes first"
    if name == "stride":
        return "in elements, not in bytes, and the outermost dimension first"
    return ""


def data(found: str, description: Description, index: int) -> str:
    """What was hashed instead of the elements of a tensor; `found` is the hash."""
    for mistaken, hint in _mistaken(description, index):
        if hashlib.sha256(mistaken).hexdigest() == found:
            return hint
    return (
        "the SHA-256 of the elements as bytes: row-major, little-endian, nothing "
        "between them"
    )


def _mistaken(description: Description, index: int) -> Iterator[tuple[bytes, str]]:
    node = description.nodes[index]
    elements = description.elements[index]()
    assert isinstance(node, Tensor)  # noqa: S101 (for the type checker)
    assert elements is not None  # noqa: S101
    if node.storage is not None:
        storage = description.storages[node.storage]
        raw = b"" if storage.data is None else storage.data.read(0, storage.nbytes)
        start = node.storage_offset * DTYPES[node.dtype].itemsize
        # Of a transposed view, the whole storage is the same: the strides matter.
        if len(raw) == len(elements):
            yield raw, "the strides count: hash the elements row-major, not the storage"
        yield raw, "hash the elements that the tensor shows, not its whole storage"
        run = raw[start : start + len(elements)]
        yield run, "the strides count: elements need not lie one after the other"
        yield raw[: len(elements)], "the offset counts: the first element lies there"
    array = np.frombuffer(elements, DTYPES[node.dtype].numpy).reshape(node.shape)
    yield array.byteswap().tobytes(), "little-endian bytes: these are big-endian"
    yield array.tobytes("F"), "row-major order: these are column by column"
    yield array.astype("<f8").tobytes(), "the bytes in the file's dtype, not widened"
    yield array.astype("<f4").tobytes(), "the bytes in the file's dtype, not converted"
    yield elements.hex().encode(), "the hash of the bytes, not of their digits"
    yield b"", "that is the hash of nothing"

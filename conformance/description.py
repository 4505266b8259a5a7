"""What a loaded checkpoint is, as plain values; knows no reader.

A description is a flat graph: a list of nodes, a list of storages, and
integers that point from one to the other, so that no depth of nesting and no
cycle can hurt whoever walks it. Node 0 is the root. Everything is text and
numbers and goes to JSON and back, except the bytes of the storages, of which
JSON keeps the hash.

Two spellings need a rule:

- a **scalar** is its type and an exact text: equal texts are equal bits;
- **text** that comes from a file doubles its backslashes, and writes a lone
  surrogate (legal in a pickle, not in JSON) as `\\udc80`; see `escape`.

A reader turns its values into nodes with a `Builder`.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, ClassVar, Final, Protocol

import msgspec

#: A key and its value, or an attribute's name and its value: two nodes.
Pair = tuple[int, int]

#: Raised whenever the meaning of a description changes.
VERSION: Final = 1


# ----------------------------------------------------------------------- nodes


class Node(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """A value. `type` is its full name, without `builtins.`."""

    type: str

    @property
    def identity(self) -> bool:
        """Whether it matters which references lead to this very object."""
        return True


class Scalar(Node, frozen=True, tag="scalar", omit_defaults=True):
    """A value without parts; `value` is its exact text.

    `int`: decimal, or hexadecimal (`0x...`) from 2048 bits on; `float`: the
    16 hexadecimal digits of its IEEE 754 bits; `complex`: two of those; `str`:
    see `escape`; `bytes` and `bytearray`: hexadecimal; `global`: the full name
    of a class or function; `torch.dtype`, `torch.layout`, `torch.qscheme`,
    `torch.device`: torch's own spelling; numpy scalars: dtype and bytes.
    """

    value: str = ""

    @property
    def identity(self) -> bool:
        return self.type == "bytearray"


class Sequence(Node, frozen=True, tag="sequence", omit_defaults=True):
    """Values in order: `list`, `tuple`, `torch.Size`, `collections.deque` ...

    Also whatever is made of a fixed row of values: `slice` and `range` (start,
    stop, step), `datetime.datetime` and its family (fields as their
    constructors take them). `parts`: `maxlen` of a deque.
    """

    items: list[int] = []
    parts: dict[str, int] = {}

    #: Everything else that is a sequence here can change.
    MUTABLE: ClassVar[frozenset[str]] = frozenset({"list", "collections.deque"})

    @property
    def identity(self) -> bool:
        return self.type in self.MUTABLE


class Set(Node, frozen=True, tag="set", omit_defaults=True):
    """`set` or `frozenset`; the order of `members` says nothing."""

    members: list[int] = []

    @property
    def identity(self) -> bool:
        return self.type == "set"


class Mapping(Node, frozen=True, tag="mapping", omit_defaults=True):
    """`dict` and its family, in order of insertion.

    `attributes` is the object's `__dict__` (`_metadata` of a state dict);
    `parts`: `default_factory` of a defaultdict.
    """

    pairs: list[Pair] = []
    attributes: list[Pair] = []
    parts: dict[str, int] = {}


class Array(Node, frozen=True, tag="array", omit_defaults=True):
    """A numpy array; `storage` holds its elements row-major.

    `dtype` is numpy's own spelling, with the byte order. An array of objects
    has `items` instead, row-major.
    """

    dtype: str
    shape: tuple[int, ...] = ()
    storage: int | None = None
    items: list[int] = []


class Tensor(Node, frozen=True, tag="tensor", omit_defaults=True):
    """A tensor. `shape`, `stride` and `storage_offset` count elements.

    `dtype` and `layout` are torch's names without the prefix, with `nested`
    for what torch calls strided and nested. `stride` is `None` where there is
    no such thing (sparse, nested, jagged), and so is `storage`. In `shape`,
    -1 is a ragged dimension. `parts` are what the tensor is made of, under
    torch's accessor names (`indices`, `values`, `crow_indices`, `scales`, ...),
    and `state` what a subclass's own `__setstate__` would get. `attributes`
    is the tensor's `__dict__` (and slots).
    """

    dtype: str
    shape: tuple[int, ...] = ()
    stride: tuple[int, ...] | None = None
    storage_offset: int = 0
    storage: int | None = None
    layout: str = "strided"
    device: str = "cpu"
    requires_grad: bool = False
    is_conj: bool = False
    is_neg: bool = False
    parts: dict[str, int] = {}
    attributes: list[Pair] = []
    state: int | None = None


class StorageValue(Node, frozen=True, tag="storage", omit_defaults=True):
    """A storage that stands in the tree by itself (`dtype` if it is typed)."""

    dtype: str | None = None
    storage: int | None = None

    @property
    def identity(self) -> bool:
        # torch makes a new wrapper at will; the storage beneath counts.
        return False


class Object(Node, frozen=True, tag="object", omit_defaults=True):
    """Something else, as the parts it is made from: see `object.__reduce__`.

    `type` names what was called with `args` and `kwargs`; where that was
    itself an object made by a call, `callee` is it. `state` is what
    `__setstate__` would get.
    """

    callee: int | None = None
    args: list[int] = []
    kwargs: list[Pair] = []
    state: int | None = None
    listitems: list[int] = []
    dictitems: list[Pair] = []


AnyNode = Scalar | Sequence | Set | Mapping | Array | Tensor | StorageValue | Object


# -------------------------------------------------------------------- storages


class Bytes(Protocol):
    """Access to the bytes of one storage, wherever they are."""

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`."""

    def digest(self, start: int, stop: int) -> str:
        """The SHA-256 of those bytes, in hexadecimal."""


class InMemory:
    """Bytes at hand."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def read(self, start: int, stop: int) -> bytes:
        return bytes(self._data[start:stop])

    def digest(self, start: int, stop: int) -> str:
        return hashlib.sha256(self._data[start:stop]).hexdigest()


class Storage:
    """A run of bytes that tensors and arrays show.

    `nbytes` is its size, `location` the device tag if the reader knows it
    (informational), `sha256` the hash of all bytes, computed when first asked
    for, or `None` if there are none (torch's `meta` device). `data` gives the
    bytes themselves, or is `None` where only the hash is left.
    """

    __slots__ = ("_sha256", "data", "location", "nbytes")

    def __init__(
        self,
        nbytes: int,
        *,
        data: Bytes | None = None,
        sha256: str | None = None,
        location: str | None = None,
    ) -> None:
        self.nbytes = nbytes
        self.data = data
        self.location = location
        self._sha256 = sha256

    @property
    def sha256(self) -> str | None:
        if self._sha256 is None and self.data is not None:
            self._sha256 = self.data.digest(0, self.nbytes)
        return self._sha256

    @property
    def identity(self) -> bool:
        """Whether it matters who shares it: not where there are no bytes.

        torch 2.13 makes a new empty or `meta` storage for each reference and
        2.15 does not.
        """
        return self.nbytes > 0 and (self.data is not None or self._sha256 is not None)


# ----------------------------------------------------------------- description


class Description:
    """`nodes` and `storages`; `nodes[0]` is the root.

    `elements` gives, for tensors whose reader can tell, a function that
    returns the logical elements row-major, or `None` if it cannot after all; it
    does not survive JSON.
    """

    __slots__ = ("_digests", "elements", "nodes", "storages")

    def __init__(
        self,
        nodes: list[AnyNode],
        storages: list[Storage],
        elements: dict[int, Callable[[], bytes | None]] | None = None,
    ) -> None:
        self.nodes = nodes
        self.storages = storages
        self.elements = {} if elements is None else elements
        self._digests: dict[int, bytes] = {}

    def __eq__(self, other: object) -> bool:
        """Node by node; `compare` tells which differences matter."""
        if not isinstance(other, Description):
            return NotImplemented
        return to_json(self) == to_json(other)

    __hash__ = None  # type: ignore[assignment]

    def digest(self, index: int) -> bytes:
        """A hash of the value of a key or set member, the same for equal ones.

        What has an identity of its own (a tensor, an object) counts as its
        type only. Linear, whatever the nesting and the sharing.
        """
        done = self._digests
        entered: set[int] = set()
        stack = [index]
        while stack:
            here = stack[-1]
            if here in done:
                stack.pop()
                continue
            node = self.nodes[here]
            below = [] if node.identity else children(node)
            if here not in entered:
                entered.add(here)
                stack.extend(
                    child
                    for child in below
                    if child not in done and child not in entered
                )
                continue
            stack.pop()
            digests = [done.get(child, b"") for child in below]
            if isinstance(node, Set):
                digests.sort()
            own = [type(node).__name__, node.type, getattr(node, "value", "")]
            text = msgspec.json.encode(own)
            done[here] = hashlib.sha256(text + b"".join(digests)).digest()
        return done[index]


def children(node: AnyNode) -> list[int]:
    """All nodes that this one refers to, in order, with repetitions."""
    match node:
        case Sequence(items=items, parts=parts):
            return [*items, *parts.values()]
        case Set(members=members):
            return members
        case Mapping(pairs=pairs, attributes=attributes, parts=parts):
            return [*_flat(pairs), *_flat(attributes), *parts.values()]
        case Array(items=items):
            return items
        case Tensor(parts=parts, attributes=attributes, state=state):
            return [*parts.values(), *_flat(attributes), *_some(state)]
        case Object():
            return [
                *_some(node.callee),
                *node.args,
                *_flat(node.kwargs),
                *_some(node.state),
                *node.listitems,
                *_flat(node.dictitems),
            ]
    return []


def _flat(pairs: list[Pair]) -> Iterator[int]:
    return (index for pair in pairs for index in pair)


def _some(index: int | None) -> tuple[int, ...]:
    return () if index is None else (index,)


# --------------------------------------------------------------------- scalars


def escape(text: str) -> str:
    """Text as any JSON library can carry it, without losing a bit."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if text.isascii():
        return text
    # UTF-8 has a place for everything but lone surrogates.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


_ESCAPED: Final = re.compile(r"\\(?:\\|u([0-9a-f]{4}))")


def unescape(text: str) -> str:
    """What `escape` was given."""
    return _ESCAPED.sub(
        lambda found: chr(int(found[1], 16)) if found[1] else "\\", text
    )


def float_bits(value: float) -> str:
    """The bits of a float as 16 hexadecimal digits: sign, exponent, fraction."""
    return struct.pack(">d", value).hex()


def _int(value: int) -> str:
    # Decimal digits cost quadratic time, and Python refuses 4300 of them.
    return str(value) if value.bit_length() < 2048 else hex(value)


#: The exact text of Python's own scalars.
SCALARS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): lambda _: "",
    type(...): lambda _: "",
    type(NotImplemented): lambda _: "",
    bool: str,
    int: _int,
    float: float_bits,
    complex: lambda value: f"{float_bits(value.real)} {float_bits(value.imag)}",
    str: escape,
    bytes: bytes.hex,
}


# --------------------------------------------------------------------- builder


class Builder:
    """Turns a reader's values into nodes, each object once, without recursion.

    `describe` gives the node of one value, which is no plain scalar; it asks
    the builder for the index of every value below with `ref`, and that value's
    turn comes later.
    """

    def __init__(self, describe: Callable[[Any, Builder], AnyNode]) -> None:
        self._describe = describe
        self._nodes: list[AnyNode | None] = []
        self._scalars: dict[tuple[str, str], int] = {}
        self._indices: dict[int, int] = {}
        # Holds on to every value too, so that no id is used twice.
        self._todo: list[tuple[int, Any]] = []
        self._storages: list[Storage] = []
        self._storage_indices: dict[Hashable, int] = {}
        self._elements: dict[int, Callable[[], bytes | None]] = {}
        self._current = 0

    def build(self, root: object) -> Description:
        """The description of `root` and all below it."""
        self.ref(root)
        for index, value in self._todo:  # grows as it goes
            self._current = index
            self._nodes[index] = self._describe(value, self)
        nodes = [node for node in self._nodes if node is not None]  # that is, all
        description = Description(nodes, self._storages, self._elements)
        for node in nodes:
            if isinstance(node, Set):
                node.members.sort(key=lambda member: _set_order(description, member))
        return description

    def ref(self, value: object) -> int:
        """The index of the node of `value`; the same one for the same object."""
        kind = type(value)
        text = SCALARS.get(kind)
        if text is not None:
            return self.scalar(kind.__name__, text(value))
        index = self._indices.get(id(value))
        if index is None:
            index = self._indices[id(value)] = len(self._nodes)
            self._nodes.append(None)
            self._todo.append((index, value))
        return index

    def refs(self, values: Iterable[object]) -> list[int]:
        """The indices of several values."""
        return [self.ref(value) for value in values]

    def pairs(self, items: Iterable[tuple[object, object]]) -> list[Pair]:
        """The indices of keys and values."""
        return [(self.ref(key), self.ref(value)) for key, value in items]

    def scalar(self, type: str, value: str) -> int:
        """The index of a scalar node; equal scalars are one node."""
        index = self._scalars.get((type, value))
        if index is None:
            index = self._scalars[type, value] = len(self._nodes)
            self._nodes.append(Scalar(type=type, value=value))
        return index

    def storage(self, key: Hashable, make: Callable[[], Storage]) -> int:
        """The index of a storage; `key` tells the reader's storages apart."""
        index = self._storage_indices.get(key)
        if index is None:
            index = self._storage_indices[key] = len(self._storages)
            self._storages.append(make())
        return index

    def elements(self, function: Callable[[], bytes | None]) -> None:
        """How to get the logical elements of the tensor being described."""
        self._elements[self._current] = function


def _set_order(description: Description, index: int) -> tuple[str, int, str]:
    node = description.nodes[index]
    if isinstance(node, Scalar):
        return node.type, len(node.value), node.value
    return node.type, 0, description.digest(index).hex()


# ------------------------------------------------------------------------ JSON


class StorageFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What JSON says of a storage: `sha256` is that of all its bytes."""

    nbytes: int
    sha256: str | None = None
    location: str | None = None


class Document(msgspec.Struct, frozen=True):
    """A description as it stands in JSON."""

    version: int
    nodes: list[AnyNode]
    storages: list[StorageFacts]


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Document)


def to_document(description: Description) -> Document:
    """The description as plain values; hashes every storage."""
    storages = [
        StorageFacts(storage.nbytes, storage.sha256, storage.location)
        for storage in description.storages
    ]
    return Document(VERSION, description.nodes, storages)


def to_json(description: Description) -> bytes:
    """The description as one line of JSON; hashes every storage."""
    return _ENCODER.encode(to_document(description))


def from_json(
    text: bytes | str, data: Callable[[int], Bytes | None] | None = None
) -> Description:
    """A description from its JSON.

    `data` gives access to the bytes of a storage by its number, where someone
    still has them. Raises `ValueError` for anything that is no description.
    """
    return from_document(_DECODER.decode(text), data)


def from_document(
    document: Document, data: Callable[[int], Bytes | None] | None = None
) -> Description:
    """The same from a document that has been decoded."""
    if document.version != VERSION:
        raise ValueError(f"description version {document.version}, not {VERSION}")
    storages = [
        Storage(
            facts.nbytes,
            sha256=facts.sha256,
            location=facts.location,
            data=None if data is None or facts.sha256 is None else data(index),
        )
        for index, facts in enumerate(document.storages)
    ]
    nodes = document.nodes
    if not nodes:
        raise ValueError("a description has at least one node")
    for node in nodes:
        storage = getattr(node, "storage", None)
        if storage is not None and not 0 <= storage < len(storages):
            raise ValueError(f"no storage {storage}")
        for child in children(node):
            if not 0 <= child < len(nodes):
                raise ValueError(f"no node {child}")
    return Description(nodes, storages)

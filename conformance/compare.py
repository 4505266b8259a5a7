"""Two descriptions -> their differences, each with its path.

Equal means: the same types in the same order, the same keys and scalars to the
bit, for each tensor the same facts and the same bytes in its whole storage, and
the same sharing: which tensors show one storage, which references are one
object. There is no tolerance.

Identity is compared of whatever can change (lists, dicts, arrays, tensors,
objects), not of tuples, strings and numbers, which Python may share as it
likes; nor of the parts of a tensor, of which torch makes new ones when asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Final

from .description import (
    AnyNode,
    Array,
    Bytes,
    Description,
    Mapping,
    Object,
    Pair,
    Scalar,
    Sequence,
    Set,
    Storage,
    StorageValue,
    Tensor,
)
from .walk import ROOT, SHOWN, Path, attribute_step, key_step, spell, spell_scalar

#: So many bytes are shown where two storages begin to differ.
BYTES: Final = 8

#: The facts of each kind of node that are equal or not, in the order to report.
FACTS: Final[dict[type, tuple[str, ...]]] = {
    Array: ("dtype", "shape"),
    Tensor: (
        "dtype",
        "layout",
        "shape",
        "stride",
        "storage_offset",
        "requires_grad",
        "is_conj",
        "is_neg",
    ),
    StorageValue: ("dtype",),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact that is not the same on both sides.

    `path` is where, `fact` what; `left` and `right` are what each side says,
    ready to show. Reads like `stride (1, 4) != (4, 1) at ['model']['w']`.
    """

    path: str
    fact: str
    left: str
    right: str

    def __str__(self) -> str:
        return f"{self.fact} {self.left} != {self.right} at {self.path}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences up to a limit, in reading order, and how many there are."""

    differences: tuple[Difference, ...]
    total: int

    @property
    def equal(self) -> bool:
        return not self.total


def compare(
    left: Description, right: Description, *, limit: int = 100, devices: bool = False
) -> Comparison:
    """All differences between two descriptions, the first `limit` in full.

    Devices and locations are not compared unless asked for: they are moved
    when a file is loaded elsewhere. Linear in the size of both descriptions.
    """
    return _Comparer(left, right, limit, devices).run()


class _Comparer:
    def __init__(
        self, left: Description, right: Description, limit: int, devices: bool
    ) -> None:
        self.left = left
        self.right = right
        self.limit = limit
        self.devices = devices
        self.found: list[Difference] = []
        self.total = 0
        self.seen: set[tuple[int, int]] = set()
        # An object or storage of one side -> its partner, and where they met.
        self.objects = _Partners()
        self.storages = _Partners()
        # Pairs of nodes still to compare; the last is the next.
        self.todo: list[tuple[int, int, Path, bool]] = [(0, 0, ROOT, True)]

    def run(self) -> Comparison:
        while self.todo:
            below = len(self.todo) - 1
            self.pair(*self.todo.pop())
            # What was added is in reading order; a stack turns it round.
            self.todo[below:] = reversed(self.todo[below:])
        return Comparison(tuple(self.found), self.total)

    def report(self, path: Path, fact: str, left: object, right: object) -> None:
        self.total += 1
        if self.total <= self.limit:
            self.found.append(Difference(str(path), fact, str(left), str(right)))

    def pair(self, a: int, b: int, path: Path, identity: bool) -> None:
        one, other = self.left.nodes[a], self.right.nodes[b]
        if one.type != other.type or type(one) is not type(other):
            self.report(path, "type", _type(one), _type(other))
            if type(one) is not type(other) or isinstance(one, Scalar):
                return
        same = True
        if identity and one.identity and other.identity:
            same = self.partners(self.objects, a, b, path, "object")
        if isinstance(one, Scalar) and isinstance(other, Scalar):
            # Equal scalars are one node, wherever they stand.
            if one.value != other.value:
                self.report(path, one.type, *_both(one, other))
            return
        if (a, b) in self.seen:
            return
        self.seen.add((a, b))
        self.facts(one, other, path)
        if same:
            # Objects that are not each other's partners would be compared
            # over and over, in every combination.
            self.children(one, other, path)

    def partners(self, table: _Partners, a: int, b: int, path: Path, what: str) -> bool:
        """Whether the two belong together; the first meeting decides."""
        before = table.left.setdefault(a, (b, path))
        behind = table.right.setdefault(b, (a, path))
        if before[0] == b and behind[0] == a:
            return True
        self.report(
            path,
            what,
            f"shared with {before[1]}" if before[0] != b else "its own",
            f"shared with {behind[1]}" if behind[0] != a else "its own",
        )
        return False

    # ------------------------------------------------------------------- facts

    def facts(self, one: AnyNode, other: AnyNode, path: Path) -> None:
        for name in FACTS.get(type(one), ()):
            a, b = getattr(one, name), getattr(other, name)
            if a != b:
                self.report(path, name, a, b)
        if isinstance(one, Tensor) and self.devices:
            there = getattr(other, "device", None)
            if one.device != there:
                self.report(path, "device", one.device, there)
        if isinstance(one, Tensor | Array | StorageValue):
            self.storage(one.storage, getattr(other, "storage", None), path)

    def storage(self, a: int | None, b: int | None, path: Path) -> None:
        if a is None or b is None:
            if a is not b:
                self.report(path, "storage", _has(a), _has(b))
            return
        one, other = self.left.storages[a], self.right.storages[b]
        if one.identity and other.identity:
            if self.storages.left.get(a, (None,))[0] == b and (
                self.storages.right.get(b, (None,))[0] == a
            ):
                return
            if not self.partners(self.storages, a, b, path, "storage"):
                return
        if self.devices and one.location != other.location:
            self.report(path, "location", one.location, other.location)
        if one.nbytes != other.nbytes:
            self.report(path, "storage nbytes", one.nbytes, other.nbytes)
        elif one.nbytes and one.sha256 != other.sha256:
            if one.sha256 is None or other.sha256 is None:
                self.report(path, "storage", _filled(one), _filled(other))
            else:
                self.report(path, *_first_difference(one, other))

    # ---------------------------------------------------------------- children

    def children(self, one: AnyNode, other: AnyNode, path: Path) -> None:
        match one, other:
            case Sequence(), Sequence():
                self.items(one.items, other.items, path)
            case Array(), Array():
                self.items(one.items, other.items, path)
            case Set(), Set():
                members = [(member, member) for member in one.members]
                others = [(member, member) for member in other.members]
                self.mapping(members, others, path, "member")
            case Mapping(), Mapping():
                self.mapping(one.pairs, other.pairs, path, "key")
                self.mapping(one.attributes, other.attributes, path, "attribute")
            case Tensor(), Tensor():
                self.mapping(one.attributes, other.attributes, path, "attribute")
                self.child(one.state, other.state, path / ".state")
            case Object(), Object():
                self.child(one.callee, other.callee, path / ".callee")
                self.items(one.args, other.args, path / ".args")
                self.mapping(one.kwargs, other.kwargs, path / ".kwargs", "key")
                self.child(one.state, other.state, path / ".state")
                self.items(one.listitems, other.listitems, path / ".listitems")
                self.mapping(one.dictitems, other.dictitems, path / ".dictitems", "key")
        parts, others_parts = getattr(one, "parts", {}), getattr(other, "parts", {})
        if parts.keys() != others_parts.keys():
            self.report(path, "parts", _names(parts), _names(others_parts))
        for name, part in parts.items():
            if name in others_parts:
                self.todo.append((part, others_parts[name], path / f".{name}", False))

    def child(self, a: int | None, b: int | None, path: Path) -> None:
        if a is not None and b is not None:
            self.todo.append((a, b, path, True))
        elif a is not b:
            self.report(path, "value", _spelled(self.left, a), _spelled(self.right, b))

    def items(self, a: list[int], b: list[int], path: Path) -> None:
        if len(a) != len(b):
            self.report(path, "length", len(a), len(b))
        for number, (one, other) in enumerate(zip(a, b, strict=False)):
            self.todo.append((one, other, path / f"[{number}]", True))

    def mapping(self, a: list[Pair], b: list[Pair], path: Path, what: str) -> None:
        """Two mappings, or two sets: each key with the same key over there."""
        one, other = _tokens(self.left, a), _tokens(self.right, b)
        order = list(one)
        common = order
        if order != list(other):
            common = [token for token in order if token in other]
            for token in order:
                if token not in other:
                    self.report(path, what, spell(self.left, one[token][0]), "nothing")
            missing = [token for token in other if token not in one]
            for token in missing:
                self.report(path, what, "nothing", spell(self.right, other[token][0]))
            if what != "member":
                there = [token for token in other if token in one]
                self.order(one, other, common, there, path, what)
        for token in common:
            (key, value), (other_key, other_value) = one[token], other[token]
            if what == "member":
                step = f"{{{spell(self.left, key)}}}"
            elif what == "attribute":
                step = attribute_step(self.left, key)
            else:
                step = key_step(self.left, key)
            if not isinstance(self.left.nodes[key], Scalar) and what != "member":
                self.todo.append((key, other_key, path / f".key({step[1:-1]})", True))
            self.todo.append((value, other_value, path / step, True))

    def order(
        self,
        one: dict[Hashable, Pair],
        other: dict[Hashable, Pair],
        here: list[Hashable],
        there: list[Hashable],
        path: Path,
        what: str,
    ) -> None:
        for number, (a, b) in enumerate(zip(here, there, strict=True)):
            if a != b:
                self.report(
                    path,
                    f"{what} number {number}",
                    spell(self.left, one[a][0]),
                    spell(self.right, other[b][0]),
                )
                return


class _Partners:
    def __init__(self) -> None:
        self.left: dict[int, tuple[int, Path]] = {}
        self.right: dict[int, tuple[int, Path]] = {}


def _tokens(description: Description, pairs: list[Pair]) -> dict[Hashable, Pair]:
    """Each pair under something that is equal for equal keys on both sides.

    Keys that nothing tells apart (two tensors) are numbered as they come.
    """
    count: Counter[Hashable] = Counter()
    found: dict[Hashable, Pair] = {}
    nodes = description.nodes
    for pair in pairs:
        node = nodes[pair[0]]
        token: Hashable
        if isinstance(node, Scalar) and not node.identity:
            token = (node.type, node.value)
        else:
            token = description.digest(pair[0])
        if token in found:
            count[token] += 1
            token = (token, count[token])
        found[token] = pair
    return found


# --------------------------------------------------------------- words to show


def _type(node: AnyNode) -> str:
    return node.type if not isinstance(node, Object) else f"{node.type} (an object)"


def _has(storage: int | None) -> str:
    return "none" if storage is None else "one"


def _filled(storage: Storage) -> str:
    return "without bytes" if storage.sha256 is None else "with bytes"


def _names(parts: Iterable[str]) -> str:
    return ", ".join(parts) or "none"


def _spelled(description: Description, index: int | None) -> str:
    return "nothing" if index is None else spell(description, index)


def _both(one: Scalar, other: Scalar) -> tuple[str, str]:
    """Two scalars, spelled so that one sees what is different."""
    a, b = spell_scalar(one), spell_scalar(other)
    if a != b:
        return a, b
    if len(one.value) <= SHOWN and len(other.value) <= SHOWN:
        return f"{a} ({one.value})", f"{b} ({other.value})"
    pairs = zip(one.value, other.value, strict=False)
    shorter = min(len(one.value), len(other.value))
    begin = next((i for i, (x, y) in enumerate(pairs) if x != y), shorter)
    return tuple(  # type: ignore[return-value]
        f"{len(text)} characters, from {begin} on {text[begin : begin + 20]!r}"
        for text in (one.value, other.value)
    )


def _first_difference(one: Storage, other: Storage) -> tuple[str, str, str]:
    """Where the bytes of two storages of one size begin to differ."""
    if one.data is None or other.data is None:
        return "storage sha256", str(one.sha256), str(other.sha256)
    try:
        start = _search(one.data, other.data, one.nbytes)
        stop = min(start + BYTES, one.nbytes)
        texts = [side.read(start, stop).hex(" ") for side in (one.data, other.data)]
    except LookupError:
        # A worker that went on to another file has forgotten the bytes.
        return "storage sha256", str(one.sha256), str(other.sha256)
    return f"storage byte {start}", texts[0], texts[1]


def _search(one: Bytes, other: Bytes, nbytes: int) -> int:
    """The first different byte, by halves: one side may be another process."""
    start, stop = 0, nbytes
    while stop - start > 1:
        middle = (start + stop) // 2
        if stop - start <= 1024:
            pairs = zip(one.read(start, stop), other.read(start, stop), strict=True)
            # None, if one side shows memory that others write to.
            return start + next((i for i, (x, y) in enumerate(pairs) if x != y), 0)
        if one.digest(start, middle) != other.digest(start, middle):
            stop = middle
        else:
            start = middle
    return start

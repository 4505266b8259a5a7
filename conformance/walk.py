"""Walks over a description: paths as a Python programmer would spell them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from .description import (
    AnyNode,
    Array,
    Description,
    Mapping,
    Object,
    Pair,
    Scalar,
    Sequence,
    Set,
    Tensor,
    escape,
    unescape,
)

#: Longer text is cut when it is shown.
SHOWN: Final = 200
#: A path shows this many steps at most, of its beginning and of its end.
STEPS: Final = 20


class Path:
    """The way from the root to a node; `str()` spells it (`['model']['w']`).

    Linked to its parent, so that a path as deep as the file costs nothing.
    """

    __slots__ = ("parent", "step")

    def __init__(self, parent: Path | None, step: str) -> None:
        self.parent = parent
        self.step = step

    def __truediv__(self, step: str) -> Path:
        return Path(self, step)

    def __str__(self) -> str:
        steps = []
        here = self
        while here.parent is not None:
            steps.append(here.step)
            here = here.parent
        steps.reverse()
        if len(steps) > 2 * STEPS:
            left_out = len(steps) - 2 * STEPS
            steps[STEPS:-STEPS] = [f"<{left_out} more>"]
        return "".join(steps) or "the root"


ROOT: Final = Path(None, "")


def shown(text: str) -> str:
    """Text on one line, quoted like Python, and short enough to show."""
    quoted = repr(text[: SHOWN + 1])
    return f"{quoted[: SHOWN - 3]}...'" if len(text) > SHOWN else quoted


def spell(description: Description, index: int) -> str:
    """A value in few words, as Python would write it: `'weight'`, `(1, 2)`."""
    node = description.nodes[index]
    if isinstance(node, Scalar):
        return spell_scalar(node)
    if isinstance(node, Sequence) and node.type in ("tuple", "torch.Size"):
        inner = [
            spell_scalar(child) if isinstance(child, Scalar) else f"<{child.type}>"
            for child in (description.nodes[item] for item in node.items[:4])
        ]
        inner += ["..."] * (len(node.items) > 4)
        comma = "," if len(node.items) == 1 else ""
        return f"({', '.join(inner)}{comma})"
    return f"<{shown(node.type)[1:-1]}>"


def spell_scalar(node: Scalar) -> str:
    """A scalar as Python would write it, cut if it is long."""
    match node.type:
        case "str":
            return shown(unescape(node.value))
        case "bytes" | "bytearray":
            return f"{node.type} {node.value[:SHOWN]}" + "..." * (
                len(node.value) > SHOWN
            )
        case "float":
            return repr(_float(node.value))
        case "complex":
            real, _, imag = node.value.partition(" ")
            return repr(complex(_float(real), _float(imag)))
        case "NoneType":
            return "None"
        case "ellipsis":
            return "Ellipsis"
        case "bool" | "int" | "global" | "torch.dtype" | "torch.device":
            return shown(node.value)[1:-1]
    return f"{node.type} {shown(node.value)[1:-1]}".rstrip()


def _float(bits: str) -> float:
    value: float = struct.unpack(">d", bytes.fromhex(bits))[0]
    return value


def key_step(description: Description, key: int) -> str:
    """The step from a mapping to the value under this key."""
    return f"[{spell(description, key)}]"


def attribute_step(description: Description, name: int) -> str:
    """The step from an object to its attribute."""
    node = description.nodes[name]
    if isinstance(node, Scalar) and node.value.isidentifier():
        return f".{node.value}"
    return f".__dict__[{spell(description, name)}]"


def steps(description: Description, node: AnyNode) -> Iterator[tuple[str, int]]:
    """Every value that a node refers to, with the step that leads there.

    A key is a value too where it is more than a scalar.
    """
    match node:
        case Sequence() | Array():
            yield from _numbered("", node.items)
        case Set():
            for member in node.members:
                yield f"{{{spell(description, member)}}}", member
        case Mapping():
            yield from _pair_steps(description, "", node.pairs)
        case Object():
            yield from _optional(".callee", node.callee)
            yield from _numbered(".args", node.args)
            yield from _pair_steps(description, ".kwargs", node.kwargs)
            yield from _optional(".state", node.state)
            yield from _numbered(".listitems", node.listitems)
            yield from _pair_steps(description, ".dictitems", node.dictitems)
    if isinstance(node, Sequence | Mapping | Tensor):
        for name, part in node.parts.items():
            yield f".{name}", part
    if isinstance(node, Mapping | Tensor):
        for name_index, value in node.attributes:
            yield attribute_step(description, name_index), value
    if isinstance(node, Tensor):
        yield from _optional(".state", node.state)


def _numbered(prefix: str, items: list[int]) -> Iterator[tuple[str, int]]:
    return ((f"{prefix}[{number}]", item) for number, item in enumerate(items))


def _optional(step: str, index: int | None) -> Iterator[tuple[str, int]]:
    if index is not None:
        yield step, index


def _pair_steps(
    description: Description, prefix: str, pairs: list[Pair]
) -> Iterator[tuple[str, int]]:
    for key, value in pairs:
        step = key_step(description, key)
        if not isinstance(description.nodes[key], Scalar):
            yield f"{prefix}.key({step[1:-1]})", key
        yield prefix + step, value


def walk(description: Description) -> Iterator[tuple[Path, int]]:
    """Every reference in the tree, in reading order, as path and node index.

    A node is entered once, at its first path; later references to it are
    given, but not what lies below them again.
    """
    entered: set[int] = set()
    yield ROOT, 0
    stack = [(ROOT, steps(description, description.nodes[0]))]
    entered.add(0)
    while stack:
        path, below = stack[-1]
        found = next(below, None)
        if found is None:
            stack.pop()
            continue
        step, index = found
        here = path / step
        yield here, index
        if index not in entered:
            entered.add(index)
            stack.append((here, steps(description, description.nodes[index])))


def tensors(description: Description) -> Iterator[tuple[Path, int, Tensor]]:
    """Every reference to a tensor, as path, node index and node.

    Two names of one tensor are both given; the parts of a sparse or quantized
    tensor come after it.
    """
    for path, index in walk(description):
        node = description.nodes[index]
        if isinstance(node, Tensor):
            yield path, index, node


class FlatTensor(msgspec.Struct, frozen=True):
    """A tensor as the simplest loaders know it.

    `sha256` is the hash of its logical elements, row-major, little-endian, or
    `None` where nobody can tell.
    """

    path: str
    dtype: str
    shape: tuple[int, ...]
    sha256: str | None


def flat(description: Description) -> list[FlatTensor]:
    """All tensors of the tree as a flat list; hashes each one's elements."""
    hashes: dict[int, str] = {}
    found = []
    for path, index, node in tensors(description):
        elements = description.elements.get(index)
        if elements is not None and index not in hashes:
            data = elements()
            if data is not None:
                hashes[index] = hashlib.sha256(data).hexdigest()
        found.append(
            FlatTensor(escape(str(path)), node.dtype, node.shape, hashes.get(index))
        )
    return found

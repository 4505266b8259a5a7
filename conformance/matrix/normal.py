"""Tensors by dotted names: the one form in which every loader's answer is compared.

The rules of the names, which `docs/protocol.md` gives to those who write adapters:

- keys, indices and attributes joined by dots (`model.0.weight`); the root is "";
- a key is its text if it is a string, its digits if it is an int; anything else that
  is a key, and whatever is a member of a set, is the step `*`: names may repeat;
- what an object keeps in its state or `__dict__` is named by the attribute alone
  (`_parameters.weight`), what it was called with `args.0`, `kwargs.x`;
- what is referred to twice is there twice, with all that it holds; what contains
  itself is not entered again inside itself.

What lies behind a tensor (`w.indices`, `w.scales`, attributes of its own) may be left
out, and so may numpy arrays and storages, which some loaders give as tensors.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import math
import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from conformance import description as nodes
from conformance import walk
from conformance.corpus import format as corpus
from conformance.description import AnyNode, Description, Pair, unescape
from conformance.loaders import protocol
from conformance.parser.dtypes import DTYPES

#: A tree in which sharing makes more references than this is entered once only.
UNROLLED: Final = 100_000

#: The step to whatever has no name of its own.
ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor by its name; what is `None` is not known, and not compared.

    `shape`, `stride` and `offset` count elements. `data` is the SHA-256 of its
    elements as the protocol has it; `storage` is the same for tensors that share
    memory. `optional`: may be left out; `vague`: may be there, and nothing of it is
    compared. `type`, `inside` (the type that it is in) and `traits` are for words
    about it.
    """

    name: str
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    data: str | None = None
    stride: tuple[int, ...] | None = None
    offset: int | None = None
    storage: Hashable = None
    optional: bool = False
    vague: bool = False
    type: str = ""
    inside: str = ""
    traits: tuple[str, ...] = ()


#: All tensors, in reading order.
Normal = tuple[Tensor, ...]


def flat(tensors: Sequence[protocol.FlatTensor]) -> Normal:
    """What an adapter lists."""
    return tuple(
        Tensor(
            tensor.name,
            tensor.dtype,
            _numbers(tensor.shape),
            tensor.sha256,
            _numbers(tensor.stride),
            None if tensor.offset is None else int(tensor.offset),
            tensor.storage,
        )
        for tensor in tensors
    )


def _numbers(texts: tuple[str, ...] | None) -> tuple[int, ...] | None:
    return None if texts is None else tuple(map(int, texts))


def answered(answer: corpus.Answer) -> Normal:
    """What a case of the corpus expects."""
    description = answer.description
    if description is not None:
        return expected(description, answer.tensors)
    return _listed(answer.tensors)


# ---------------------------------------------------------------- descriptions


def expected(
    description: Description, hashes: Sequence[walk.FlatTensor] = ()
) -> Normal:
    """The tensors of a whole tree.

    `hashes` is `walk.flat` of the same tree, for the hashes that a description
    alone cannot tell: of it, they are known where a tensor is its whole storage.
    """
    known = {
        index: told.sha256
        for (_, index, _), told in zip(
            walk.tensors(description), hashes, strict=bool(hashes)
        )
    }
    return tuple(
        _tensor(description, index, known.get(index), place)
        for index, place in _places(description)
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """A reference: the last steps to it, where they start, and what it is in."""

    above: _Place | None = None
    steps: tuple[str, ...] = ()
    inside: str = ""
    optional: bool = False

    @property
    def name(self) -> str:
        steps: list[str] = []
        here: _Place | None = self
        while here is not None:
            steps.extend(reversed(here.steps))
            here = here.above
        return ".".join(reversed(steps))


def _tensor(
    description: Description, index: int, sha256: str | None, place: _Place
) -> Tensor:
    node, name = description.nodes[index], place.name
    if not isinstance(node, nodes.Tensor):
        return Tensor(name, optional=True, vague=True)
    number = node.storage
    storage = None if number is None else description.storages[number]
    return Tensor(
        name,
        node.dtype,
        node.shape,
        sha256 or _whole(node, storage),
        node.stride,
        None if node.stride is None else node.storage_offset,
        number if storage is not None and storage.identity else None,
        place.optional,
        type=unescape(node.type),
        inside=place.inside,
        traits=tuple(_traits(node)),
    )


def _whole(node: nodes.Tensor, storage: nodes.Storage | None) -> str | None:
    """The hash of the elements, where they are all of the storage as it is."""
    info = DTYPES.get(node.dtype)
    if info is None or storage is None or storage.sha256 is None:
        return None
    elements = math.prod(node.shape)
    if not elements:
        return hashlib.sha256().hexdigest()
    whole = (
        storage.nbytes == elements * info.itemsize
        and info.per_byte == 1
        and node.storage_offset == 0
        and _contiguous(node)
        and not (node.is_conj or node.is_neg)
    )
    return storage.sha256 if whole else None


def _contiguous(node: nodes.Tensor) -> bool:
    """Whether the elements lie row-major, one after the other."""
    if node.stride is None or 0 in node.shape:
        return True
    steps = itertools.accumulate(
        reversed(node.shape), initial=1, func=lambda a, b: a * b
    )
    dimensions = zip(reversed(node.shape), reversed(node.stride), steps, strict=False)
    return all(size == 1 or stride == step for size, stride, step in dimensions)


def _traits(node: nodes.Tensor) -> Iterator[str]:
    """What readers get wrong about a tensor."""
    if node.layout != "strided":
        yield node.layout
    if node.is_conj:
        yield "conj"
    if node.is_neg:
        yield "neg"
    if not _contiguous(node):
        yield "not contiguous"
    if node.device == "meta":
        yield "meta"


#: What an adapter may list.
_LISTED: Final = (nodes.Tensor, nodes.Array, nodes.StorageValue)

#: Behind these, everything may be left out.
_OPAQUE: Final = (nodes.Tensor, nodes.Array)


def _places(description: Description) -> list[tuple[int, _Place]]:
    """Every reference to what is listed, by all its names if they are not too many."""
    leads = _leading(description)
    found = list(itertools.islice(_references(description, leads, True), UNROLLED + 1))
    if len(found) > UNROLLED:
        found = list(_references(description, leads, False))
    listed = (isinstance(description.nodes[index], _LISTED) for index, _ in found)
    return list(itertools.compress(found, listed))


def _references(
    description: Description, leads: set[int], again: bool
) -> Iterator[tuple[int, _Place]]:
    """References to nodes that lead to what is listed, in reading order.

    A node is entered wherever it is met but inside itself, or once if not `again`.
    """
    if 0 not in leads:
        return
    here = _Place()
    yield 0, here
    entered = {0}
    stack = [(0, here, _steps(description, description.nodes[0]))]
    while stack:
        index, here, below = stack[-1]
        step = next(below, None)
        if step is None:
            stack.pop()
            if again:
                entered.discard(index)
            continue
        names, child = step
        if child not in leads:
            continue
        node = description.nodes[index]
        place = _Place(
            here,
            names,
            unescape(node.type),
            here.optional or isinstance(node, _OPAQUE),
        )
        yield child, place
        if child not in entered:
            entered.add(child)
            below = _steps(description, description.nodes[child])
            stack.append((child, place, below))


def _leading(description: Description) -> set[int]:
    """The nodes that are listed, or lead to one that is."""
    above: dict[int, list[int]] = {}
    for number, node in enumerate(description.nodes):
        for child in nodes.children(node):
            above.setdefault(child, []).append(number)
    found = {
        number
        for number, node in enumerate(description.nodes)
        if isinstance(node, _LISTED)
    }
    todo = list(found)
    while todo:
        for number in above.get(todo.pop(), ()):
            if number not in found:
                found.add(number)
                todo.append(number)
    return found


# ------------------------------------------------------------------------- names


def _steps(
    description: Description, node: AnyNode
) -> Iterator[tuple[tuple[str, ...], int]]:
    """What a node holds, with the steps of the name that lead there."""
    match node:
        case nodes.Sequence() | nodes.Array():
            yield from _indices((), node.items)
        case nodes.Set():
            yield from (((ANY,), member) for member in node.members)
        case nodes.Mapping():
            yield from _keys(description, (), node.pairs)
        case nodes.Object():
            if node.callee is not None:
                yield ("callee",), node.callee
            yield from _indices(("args",), node.args)
            yield from _keys(description, ("kwargs",), node.kwargs)
            yield from _indices((), node.listitems)
            yield from _keys(description, (), node.dictitems)
    if isinstance(node, nodes.Sequence | nodes.Mapping | nodes.Tensor):
        yield from (((name,), part) for name, part in node.parts.items())
    if isinstance(node, nodes.Mapping | nodes.Tensor):
        yield from _keys(description, (), node.attributes)
    if isinstance(node, nodes.Object | nodes.Tensor) and node.state is not None:
        yield from _state(description, node.state)


def _state(
    description: Description, index: int
) -> Iterator[tuple[tuple[str, ...], int]]:
    """What a state puts into an object: a dict, or one and another for slots."""
    node = description.nodes[index]
    dicts = [index]
    if isinstance(node, nodes.Sequence) and len(node.items) == 2:
        dicts = [item for item in node.items if not _is_none(description.nodes[item])]
    states = [description.nodes[each] for each in dicts]
    if all(isinstance(state, nodes.Mapping) for state in states):
        for state in states:
            yield from _steps(description, state)
    else:
        yield ("state",), index


def _is_none(node: AnyNode) -> bool:
    return node.type == "NoneType"


def _indices(
    before: tuple[str, ...], items: list[int]
) -> Iterator[tuple[tuple[str, ...], int]]:
    return (((*before, str(number)), item) for number, item in enumerate(items))


def _keys(
    description: Description, before: tuple[str, ...], pairs: list[Pair]
) -> Iterator[tuple[tuple[str, ...], int]]:
    return (((*before, _key(description.nodes[key])), value) for key, value in pairs)


def _key(node: AnyNode) -> str:
    if isinstance(node, nodes.Scalar) and node.type in ("str", "int"):
        return sayable(unescape(node.value)) if node.type == "str" else node.value
    return ANY


def sayable(text: str) -> str:
    """Text as JSON can carry it: a lone surrogate as six characters, `\\udc80`."""
    return text.encode("utf-8", "backslashreplace").decode()


# -------------------------------------------------------------------- flat lists


def _listed(tensors: Sequence[walk.FlatTensor]) -> Normal:
    """A flat list of the corpus, where it does not have the tree itself."""
    # Behind a tensor, and before the next that is not.
    tensor_path: str | None = None
    found = []
    for told in tensors:
        path = unescape(told.path)
        behind = tensor_path is not None and path.startswith((f"{tensor_path}.",))
        if not behind:
            tensor_path = path
        found.append(
            Tensor(dotted(path), told.dtype, told.shape, told.sha256, optional=behind)
        )
    return tuple(found)


_STEP: Final = re.compile(
    r"""\[(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\]"""
    r"|\[(?P<index>-?\d+)\]|\.state(?=\['|\[\")|\.(?P<name>\w+)"
)


def dotted(path: str) -> str:
    """The name of what lies at a path of `conformance.walk`.

    Raises `ValueError` for paths with keys that are neither text nor number, and
    those that were cut.
    """
    if path == str(walk.ROOT):
        return ""
    names, at = [], 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise ValueError(f"cannot name {path}")
        text, name = found["text"], found["index"] or found["name"]
        if text is not None:
            names.append(sayable(ast.literal_eval(text)))
        elif name is not None:
            names.append(name)
        at = found.end()
    return ".".join(names)

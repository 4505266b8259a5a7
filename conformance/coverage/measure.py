"""What each case of a corpus does, found by reading its file; runs nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from conformance.corpus.format import Case, cases
from conformance.corpus.paths import exercised
from conformance.description import Description, Scalar, Tensor
from conformance.loaders import ours
from conformance.parser import CheckpointError, Storage, Trace, load
from conformance.parser import Tensor as ParsedTensor
from conformance.parser.values import (
    Device,
    DType,
    Global,
    Layout,
    Object,
    QScheme,
    Size,
)

#: Arguments of a call that its signature spells out.
SPELLED: Final = 10


@dataclass(slots=True)
class Measured:
    """A case, and what its file does: every path, and of each call more.

    `paths` are spelled as in `generators/denominators`; `signatures` are the
    types of a call's arguments, and `dtypes` those of the tensor it rebuilds, by
    the name of the call.
    """

    file: Path
    case: Case
    paths: set[str] = field(default_factory=set)
    signatures: dict[str, set[str]] = field(default_factory=dict)
    dtypes: dict[str, set[str]] = field(default_factory=dict)

    def call(self, name: str, args: tuple[Any, ...]) -> None:
        self.signatures.setdefault(name, set()).add(signature(args))
        self.dtypes.setdefault(name, set()).update(dtypes_of(args))


def measure(corpus: Path) -> Iterator[Measured]:
    """Every case of a corpus, read."""
    for file, case in cases(corpus):
        yield read(file, case)


def read(file: Path, case: Case) -> Measured:
    """One case, as far as its file can be read."""
    found = Measured(file, case)
    trace = Trace(pickles=[], on_call=found.call)
    with contextlib.suppress(CheckpointError):
        tree = load(file, weights_only=False, encoding=case.encoding, trace=trace)
        found.paths |= set(_values(ours.describe(tree)))
    found.paths |= exercised(trace)
    return found


# ------------------------------------------------------------------------- calls


def signature(args: tuple[Any, ...]) -> str:
    """The types of a call's arguments: `storage, int, tuple[2], bool`."""
    words = [word(value) for value in args[:SPELLED]]
    if len(args) > SPELLED:
        words.append("...")
    return ", ".join(words)


_WORDS: Final[dict[type, str]] = {
    DType: "dtype",
    Device: "device",
    Layout: "layout",
    Object: "object",
    QScheme: "qscheme",
    Storage: "storage",
    ParsedTensor: "Tensor",
    type(None): "None",
}


def word(value: Any) -> str:
    """The type of an argument, in a word; tuples and sizes with their length."""
    kind = type(value)
    if kind in (tuple, Size):
        return f"{kind.__name__}[{len(value)}]"
    if isinstance(value, Global):
        return "global"
    return _WORDS.get(kind, kind.__name__)


def dtypes_of(args: tuple[Any, ...]) -> set[str]:
    """The dtypes of what a call rebuilds, as far as its arguments tell.

    A dtype that is given as such counts more than that of a tensor, and that
    more than that of a storage, which may be of bytes.
    """
    members = list(_members(args))
    for kind, name in ((DType, "name"), (ParsedTensor, "dtype"), (Storage, "dtype")):
        found = {getattr(value, name) for value in members if type(value) is kind}
        if found:
            return found
    return set()


def _members(args: tuple[Any, ...]) -> Iterator[Any]:
    """The arguments, and those inside a tuple: `_rebuild_from_type_v2` has one."""
    for value in args:
        yield value
        if type(value) is tuple:
            yield from value


# ------------------------------------------------------------------------ values


def _values(description: Description) -> Iterator[str]:
    """What the tensors of a file are, as paths."""
    for node in description.nodes:
        if isinstance(node, Tensor):
            yield f"dtype:{node.dtype}"
            yield f"layout:{node.layout}"
            scheme = node.parts.get("qscheme")
            if scheme is not None:
                value = description.nodes[scheme]
                if isinstance(value, Scalar):
                    yield f"qscheme:{value.value}"
            if node.stride is not None:
                memory_format = format_of(node.shape, node.stride)
                if memory_format is not None:
                    yield f"memory-format:{memory_format}"


def format_of(shape: tuple[int, ...], stride: tuple[int, ...]) -> str | None:
    """The memory format that strides show, and no other; `None` if none.

    Source: `c10/core/MemoryFormat.h`, get_channels_last_strides_2d and _3d.
    """
    orders = {"contiguous_format": tuple(reversed(range(len(shape))))}
    if len(shape) == 4:
        orders["channels_last"] = (1, 3, 2, 0)
    elif len(shape) == 5:
        orders["channels_last_3d"] = (1, 4, 3, 2, 0)
    found = [name for name, order in orders.items() if _dense(shape, stride, order)]
    return found[0] if len(found) == 1 else None


def _dense(shape: tuple[int, ...], stride: tuple[int, ...], order: Any) -> bool:
    """Whether the elements follow each other with the dimensions in this order."""
    expected = 1
    for dimension in order:
        if stride[dimension] != expected:
            return False
        expected *= max(shape[dimension], 1)
    return True

"""What is in a checkpoint, and what it asks for: the facts behind `inspect`.

Only the parser reads the file, so nothing in it runs.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from conformance.description import Description, Object, Scalar, StorageValue, Tensor
from conformance.loaders import ours
from conformance.parser import CheckpointError, Trace, load
from conformance.parser.dtypes import DTYPES
from conformance.parser.globals import CALLS, CONSTANTS, NEW, WEIGHTS_ONLY
from conformance.parser.rebuild import CALLS as REBUILDS
from conformance.walk import walk

#: Modules whose names in a pickle are there to do something to the machine.
#: Not all that is dangerous: it only decides what is shown first.
DANGEROUS: Final = frozenset(
    """bdb code codeop commands ctypes http imp importlib marshal nt os pdb pickle
    pip posix pty runpy shutil socket subprocess sys urllib webbrowser""".split()
)
DANGEROUS_BUILTINS: Final = frozenset(
    """__import__ apply breakpoint compile delattr eval exec execfile getattr globals
    open setattr""".split()
)

#: Classes that are data as arguments of what the parser knows.
ARGUMENTS: Final = frozenset({"numpy.ndarray"})


@dataclass(frozen=True, slots=True)
class Row:
    """One reference to a tensor.

    `nbytes` counts the bytes of its elements (`None` where it has none of its
    own), `storage` numbers the storages, and `shared_with` is the path of the
    first tensor on the same storage; `same_object` says that it is that very
    tensor.
    """

    path: str
    type: str
    dtype: str
    layout: str
    shape: tuple[int, ...]
    nbytes: int | None
    device: str
    requires_grad: bool
    storage: int | None
    shared_with: str | None
    same_object: bool


@dataclass(frozen=True, slots=True)
class Foreign:
    """A global outside torch's `weights_only` allowlist.

    `uses` is how often the pickle names it, `calls` how often it has it
    called. `known` says that the parser reads it as plain data (a numpy array,
    a date), `dangerous` that it is notorious.
    """

    name: str
    uses: int
    calls: int
    known: bool
    dangerous: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a file could not be read, and where."""

    kind: str
    message: str
    phase: str
    offset: int | None
    path: str | None


@dataclass(slots=True)
class Totals:
    """Sums over distinct tensors and storages; all sizes are in bytes.

    `nbytes` is what the tensors show, `storage_nbytes` what lies under them,
    `shared_nbytes` the part of it under more than one tensor.
    """

    tensors: int = 0
    parameters: int = 0
    elements: int = 0
    nbytes: int = 0
    storages: int = 0
    storage_nbytes: int = 0
    shared_nbytes: int = 0


@dataclass(slots=True)
class Inspection:
    """Everything that `inspect` shows.

    `error` is why reading stopped, if it did; the rest then says how far it
    came. `refused` is why `weights_only=True` would not load the file.
    `rebuilds` counts the calls of each rebuild function, `scalars` the values
    that are neither tensors nor containers by their type, `objects` the inert
    objects by the class or function they name.
    """

    file: str
    size: int
    error: Failure | None = None
    refused: Failure | None = None
    containers: list[str] = field(default_factory=list)
    protocols: list[int] = field(default_factory=list)
    byteorder: str | None = None
    rebuilds: dict[str, int] = field(default_factory=dict)
    foreign: list[Foreign] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    dtypes: dict[str, int] = field(default_factory=dict)
    tensors: list[Row] = field(default_factory=list)
    objects: dict[str, int] = field(default_factory=dict)
    scalars: dict[str, int] = field(default_factory=dict)


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Read the file as `weights_only=False` would, running nothing.

    Raises `OSError` if it cannot be opened; a file that is no checkpoint
    gives an `Inspection` with its `error`.
    """
    found = Inspection(file=os.fspath(path), size=_size(Path(path)))
    trace = Trace()
    try:
        _survey(found, ours.load(path, weights_only=False, trace=trace))
    except CheckpointError as error:
        found.error = _failure(error)
    try:
        load(path)
    except CheckpointError as error:
        found.refused = _failure(error)
    found.containers = trace.containers
    found.protocols = trace.protocols
    found.byteorder = trace.byteorder
    calls = trace.calls.most_common()
    found.rebuilds = {name: count for name, count in calls if name in REBUILDS}
    found.foreign = sorted(
        (
            _foreign(name, uses, trace.calls[name])
            for name, uses in trace.globals.items()
            if name not in WEIGHTS_ONLY
        ),
        key=lambda row: (not row.dangerous, row.known, -row.calls, -row.uses),
    )
    return found


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in the folder of a distributed one."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.iterdir() if file.is_file())


def is_dangerous(name: str) -> bool:
    """Whether a global is one of those that attacks are made of."""
    module, _, attribute = name.partition(".")
    if module == "builtins":
        return attribute in DANGEROUS_BUILTINS
    return module in DANGEROUS


def _foreign(name: str, uses: int, calls: int) -> Foreign:
    known = name in CALLS or name in NEW or name in CONSTANTS or name in ARGUMENTS
    return Foreign(name, uses, calls, known, is_dangerous(name))


def _failure(error: CheckpointError) -> Failure:
    return Failure(error.kind, error.message, error.phase, error.offset, error.path)


def _survey(found: Inspection, description: Description) -> None:
    """Fills in what the values of the file say."""
    scalars: Counter[str] = Counter()
    objects: Counter[str] = Counter()
    dtypes: Counter[str] = Counter()
    first: dict[int, str] = {}
    owner: dict[int, str] = {}
    users: Counter[int] = Counter()
    totals = found.totals
    for path, index in walk(description):
        node = description.nodes[index]
        if isinstance(node, Scalar):
            scalars[node.type] += 1
        elif isinstance(node, Object):
            objects[node.type] += index not in first
            first[index] = ""
        elif isinstance(node, Tensor):
            row = _row(node, str(path), first.get(index), owner)
            found.tensors.append(row)
            if row.same_object:
                continue
            first[index] = row.path
            if node.storage is not None:
                owner.setdefault(node.storage, row.path)
                users[node.storage] += 1
            dtypes[node.dtype] += 1
            totals.tensors += 1
            totals.parameters += node.type == "torch.nn.parameter.Parameter"
            if row.nbytes is not None:
                # Where it has none of its own, its parts are counted.
                totals.elements += math.prod(node.shape)
                totals.nbytes += row.nbytes
        elif isinstance(node, StorageValue) and node.storage is not None:
            users.setdefault(node.storage, 0)
    for number, count in users.items():
        nbytes = description.storages[number].nbytes
        totals.storages += 1
        totals.storage_nbytes += nbytes
        totals.shared_nbytes += nbytes if count > 1 else 0
    found.dtypes = dict(dtypes.most_common())
    found.objects = dict(objects.most_common())
    found.scalars = dict(scalars.most_common())


def _row(node: Tensor, path: str, first: str | None, owner: dict[int, str]) -> Row:
    nbytes = None
    shared = first
    if node.storage is not None:
        info = DTYPES[node.dtype]
        nbytes = -(-math.prod(node.shape) // info.per_byte) * info.itemsize
        shared = owner.get(node.storage) if first is None else first
    return Row(
        path=path,
        type=node.type,
        dtype=node.dtype,
        layout=node.layout,
        shape=node.shape,
        nbytes=nbytes,
        device=node.device,
        requires_grad=node.requires_grad,
        storage=node.storage,
        shared_with=shared,
        same_object=first is not None,
    )

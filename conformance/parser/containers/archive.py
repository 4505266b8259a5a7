"""A zip archive of `torch.save`, and its relatives.

`data.pkl` is the pickle, `data/<key>` the storages. The same shape serves
TorchScript (`torch.jit.save`, the lite interpreter's `.ptl`), which adds
`constants.pkl` and `code/`, and C++ (`torch::pickle_save`). torch 1.4's
experimental zip kept its storages under `tensors/<pointer>`. Source:
`_load` in torch/serialization.py (2.13.0, 1.4.0).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..context import Context, record_key, storage_id
from ..errors import CheckpointError, Malformed, NotACheckpoint, Unsupported
from ..tensor import UNKNOWN_SWAP, Source, Storage
from ..unpickler import Unpickler
from ..values import Object
from .zip import ZipArchive

_PICKLE: Final = "data.pkl"
_SCRIPT_MARK: Final = "constants.pkl"

#: Archives that have no `data.pkl`, by a record that they do have.
_RELATIVES: Final = (
    (".data/extern_modules", "a torch.package archive, which is made of code"),
    ("archive_format", "a .pt2 archive of torch.export, which holds a program"),
    ("serialized_exported_program.json", "a program of torch.export"),
    ("model.json", "a TorchScript archive of torch 1.2 or before"),
)


def read(view: memoryview, context: Context) -> tuple[Any, int]:
    """The tree of the archive that begins where `view` does."""
    archive = ZipArchive(view, context.limits)
    script = _SCRIPT_MARK in archive.names()
    context.trace.containers.append("torchscript" if script else "zip")
    if script and context.weights_only:
        raise Unsupported(
            "a TorchScript archive, which torch refuses under weights_only=True; "
            "weights_only=False reads its tensors and still runs nothing"
        )
    if _PICKLE not in archive:
        what = [what for name, what in _RELATIVES if name in archive]
        raise NotACheckpoint(f"this is {(what or ['a zip archive'])[0]}: no {_PICKLE}")
    metadata = archive.metadata()
    context.trace.byteorder = metadata.byteorder
    # Without a record of its own the data is little-endian.
    big = metadata.byteorder == "big"
    tree = _unpickle(archive, context, _PICKLE, _data_folder(archive), big)
    if script:
        constants = _unpickle(archive, context, _SCRIPT_MARK, "constants", big)
        if type(tree) is not Object or type(constants) is not tuple:
            raise Malformed("a TorchScript archive without a module and constants")
        if constants:
            # Literals of the code; the module's own tensors are in its state.
            tree.kwargs = {**tree.kwargs, "constants": constants}
    return tree, len(view)


def _data_folder(archive: ZipArchive) -> str:
    """Where the storages are; torch 1.4 had another name for it."""
    folders = {name.partition("/")[0].lower() for name in archive.names()}
    return "tensors" if "tensors" in folders and "data" not in folders else "data"


def _unpickle(
    archive: ZipArchive, context: Context, name: str, folder: str, big: bool
) -> Any:
    data = bytes(archive.read(name))
    context.grant(len(data))
    base = archive.offset(name)
    machine: Unpickler = context.unpickler(
        data, _persistent_load(archive, context, folder, big), base=base
    )
    try:
        tree = machine.load()
        machine.run_deferred()
    except CheckpointError as error:
        if error.offset is not None and archive.is_packed(name):
            # No byte of the file is the one of the pickle.
            error.message += f" (at {error.offset - base} of the packed pickle)"
            error.offset = base
        raise
    return tree


def _persistent_load(
    archive: ZipArchive, context: Context, folder: str, big: bool
) -> Callable[[Any], Storage]:
    storages: dict[Any, Storage] = {}
    trace = context.trace
    script = _SCRIPT_MARK in archive

    def persistent_load(pid: Any) -> Storage:
        if script and type(pid) is tuple and len(pid) == 6 and pid[5] is None:
            # C++ once wrote what a legacy stream says of storage views.
            pid = pid[:5]
        kind, key, location, numel, _ = storage_id(pid, 5)
        name = record_key(key)
        trace.persistent_ids["storage"] += 1
        known = storages.get(key)
        if known is not None and known.nbytes and known.location != "meta":
            # The first reference decides about the dtype (torch 2.13).
            return known
        # Every empty or meta storage is made anew (torch 2.13).
        info = kind.info
        nbytes = numel * info.itemsize
        source: Source = None
        # C++ writes no bytes of a meta tensor, and asks for none.
        fresh = known is None or (known.nbytes, known.location) != (nbytes, location)
        if fresh and not (script and location == "meta"):
            source = archive.source(f"{folder}/{name}", nbytes)
        swap = 1
        if big:
            swap = UNKNOWN_SWAP if kind.role == "untyped" else info.swap
        storage = Storage(
            info.name,
            nbytes,
            location,
            name,
            None if location == "meta" else source,
            swap=swap,
        )
        trace.storages += 1
        trace.storage_bytes += nbytes
        storages[key] = storage
        return storage

    return persistent_load

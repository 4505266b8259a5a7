"""TorchScript archives, and the live modules that `torch.jit.load` makes of them."""

from __future__ import annotations

from typing import Any, Final

import torch
import torch._weights_only_unpickler
import torch.jit._pickle
import torch.serialization

from conformance.description import (
    AnyNode,
    Builder,
    Object,
    escape,
)
from conformance.loaders.inert import Record

from .globals import inert_pickle

_open_zip: Final = torch.serialization._open_zipfile_reader


def is_torchscript(path: str) -> bool:
    with open(path, "rb") as file:
        if not torch.serialization._is_zipfile(file):
            return False
        with _open_zip(file) as archive:
            return bool(torch.serialization._is_torchscript_zip(archive))


def load_torchscript(path: str, trust: bool, options: dict[str, Any]) -> Any:
    """A TorchScript archive; `torch.jit.load` would run code of the file."""
    options["pickle_module"] = inert_pickle()
    with open(path, "rb") as file, _open_zip(file) as archive:
        record = torch.serialization._load(archive, **options)
        constants = torch.serialization._load(
            _Constants(archive), pickle_file="constants.pkl", **options
        )
    if constants and isinstance(record, Record):
        record.kwargs["constants"] = constants
    if trust and isinstance(record, Record):
        return Script(torch.jit.load(path, map_location="cpu")._c, record)
    return record


class _Constants:
    """An archive as the code's literals see it: their storages lie elsewhere."""

    def __init__(self, archive: Any) -> None:
        self._archive = archive

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)

    def get_storage_from_record(self, name: str, *args: Any) -> Any:
        record = name.replace("data/", "constants/", 1)
        return self._archive.get_storage_from_record(record, *args)


class Script:
    """A module that `torch.jit.load` built, and the names of its attributes.

    The names come from the pickle, as Python cannot list them; the values are
    what TorchScript has.
    """

    def __init__(self, module: Any, record: Record) -> None:
        self.module = module
        self.record = record

    def describe(self, builder: Builder) -> AnyNode:
        state = self.record.state
        if type(state) is dict:
            state = {name: self._value(name, value) for name, value in state.items()}
        return Object(
            type=escape(self.module.qualified_name),
            kwargs=builder.pairs(self.record.kwargs.items()),
            state=None if state is None else builder.ref(state),
        )

    def _value(self, name: str, recorded: Any) -> Any:
        value = self.module.getattr(name)
        if not isinstance(recorded, Record):
            return value
        # Other objects of TorchScript's own are compared as the pickle has them.
        if isinstance(value, torch._C.ScriptModule):
            return Script(value, recorded)
        return recorded

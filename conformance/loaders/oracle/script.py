"""TorchScript archives, and the live modules that `torch.jit.load` makes of them."""

from __future__ import annotations

import functools
import pickle
import types
from typing import Any, ClassVar, Final

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
from conformance.loaders import inert
from conformance.loaders.inert import Named, Record

from .globals import inert_table

_open_zip: Final = torch.serialization._open_zipfile_reader


def is_torchscript(path: str) -> bool:
    with open(path, "rb") as file:
        if not torch.serialization._is_zipfile(file):
            return False
        with _open_zip(file) as archive:
            return bool(torch.serialization._is_torchscript_zip(archive))


def load_torchscript(path: str, trust: bool, options: dict[str, Any]) -> Any:
    """A TorchScript archive; `torch.jit.load` would run code of the file."""
    options["pickle_module"] = _pickle()
    with open(path, "rb") as file, _open_zip(file) as archive:
        record = torch.serialization._load(_Archive(archive), **options)
        constants = torch.serialization._load(
            _Constants(archive), pickle_file="constants.pkl", **options
        )
    if not isinstance(constants, tuple):
        raise TypeError("the constants of a TorchScript archive are no tuple")
    if not isinstance(record, Record):
        # As torch.jit.load: "isObject() INTERNAL ASSERT FAILED".
        raise RuntimeError("the root of a TorchScript archive is no object")
    if constants:
        record.kwargs["constants"] = constants
    if trust:
        return Script(torch.jit.load(path, map_location="cpu")._c, record)
    return record


class _Archive:
    """An archive as C++ reads it, which asks for no bytes of a meta tensor."""

    #: Whether the storage that is asked for next is one of the meta device.
    on_meta: ClassVar[bool] = False

    def __init__(self, archive: Any) -> None:
        self._archive = archive

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)

    def get_storage_from_record(self, name: str, nbytes: int, *args: Any) -> Any:
        if _Archive.on_meta:
            return torch.empty(nbytes, dtype=torch.uint8, device="meta")
        return self._archive.get_storage_from_record(name, nbytes, *args)


class _Constants(_Archive):
    """An archive as the code's literals see it: their storages lie elsewhere."""

    def get_storage_from_record(self, name: str, *args: Any) -> Any:
        return super().get_storage_from_record(
            name.replace("data/", "constants/", 1), *args
        )


#: How the names of TorchScript's own classes begin.
SCRIPT: Final = "__torch__."

#: The machine in Python, of which mypy knows little.
_Unpickler: Any = pickle._Unpickler


class _Machine(_Unpickler):  # type: ignore[misc]
    """The pickle machine, but for two opcodes that in C++ take more."""

    dispatch: ClassVar[dict[int, Any]] = dict(_Unpickler.dispatch)

    def load_reduce(self) -> None:
        args = self.stack.pop()
        callee = self.stack[-1]
        enumeration = isinstance(callee, Named) and callee.full_name.startswith(SCRIPT)
        if enumeration and not isinstance(args, tuple):
            # One of its members: the value stands alone.
            args = (args,)
        if not isinstance(args, tuple | list):
            # Python would take the letters of a string for arguments.
            raise TypeError("the arguments of a call are no tuple")
        self.stack[-1] = callee(*args)

    def load_binpersid(self) -> None:
        pid = self.stack.pop()
        if isinstance(pid, tuple) and len(pid) == 6 and pid[5] is None:
            # Up to 1.4 it said, like a legacy stream, that this is no view.
            pid = pid[:5]
        _Archive.on_meta = isinstance(pid, tuple) and pid[3:4] == ("meta",)
        self.stack.append(self.persistent_load(pid))

    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.BINPERSID[0]] = load_binpersid


@functools.cache
def _pickle() -> Any:
    """The inert machine, with what `torch.jit.load` knows and `torch.load` does not."""
    table = inert_table()
    for name, dtype in vars(torch).items():
        if isinstance(dtype, torch.dtype):
            kind = types.SimpleNamespace(dtype=dtype)
            table.setdefault(f"torch.{_cpp_name(name)}Storage", kind)
    table["torch._utils._rebuild_sparse_tensor"] = _rebuild_sparse_tensor
    return inert.pickle_module(table, _Machine)


def _cpp_name(dtype: str) -> str:
    if dtype.startswith("uint"):
        return "UI" + dtype[2:]
    return {"complex32": "ComplexHalf"}.get(dtype, dtype[:1].upper() + dtype[1:])


#: By the numbers of `c10::Layout`.
_LAYOUTS: Final = {1: torch.sparse_coo, 2: torch.sparse_csr}


def _rebuild_sparse_tensor(
    layout: int, size: Any, requires_grad: bool, *parts: Any
) -> Any:
    """C++ writes the parts without a tuple round them, and hooks behind."""
    data = (*parts[:-1], size)
    tensor = torch._utils._rebuild_sparse_tensor(_LAYOUTS[layout], data)
    return tensor.requires_grad_(requires_grad)


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

"""What is no tensor: sizes, devices, layouts, storages, lists that C++ typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..errors import Malformed, Uninitialised, quote
from ..registry import Table
from ..tensor import Storage
from ..values import Device, Layout, Size
from .checks import as_ints, wrong
from .sparse import COMPRESSED

if TYPE_CHECKING:
    from ..unpickler import Unpickler

CALLS: Final = Table()


@CALLS.named("torch.Size")
def _size(machine: Unpickler, value: Any = ()) -> Size:
    machine.spend(len(value) if isinstance(value, (tuple, list)) else 1)
    return Size(as_ints(machine, value, "a Size"))


@CALLS.named("torch.device")
def _device(machine: Unpickler, kind: Any, index: Any = None) -> Device:
    return device_of(kind, index)


def device_of(kind: Any, index: Any = None) -> Device:
    """`torch.device(kind, index)`."""
    if type(kind) is Device and index is None:
        return kind
    if type(kind) is bytes:  # of Python 2
        kind = kind.decode("ascii", "replace")
    if type(kind) is not str or (index is not None and type(index) is not int):
        raise wrong("a device is a name and a number", kind)
    name, colon, number = kind.partition(":")
    if colon:
        if index is not None or not (number.isascii() and number.isdigit()):
            raise Malformed(f"no device is called {quote(kind)}", phase="rebuild")
        index = int(number[:10])
    plain = name.replace("_", "a")
    if not (plain.isascii() and plain.isalpha()) or not -1 <= (index or 0) < 1 << 15:
        raise Malformed(f"no device is called {quote(kind)}", phase="rebuild")
    return Device(name, None if index == -1 else index)


@CALLS.named("torch.serialization._get_layout")
def _get_layout(machine: Unpickler, name: Any) -> Layout:
    if type(name) is not str or name.removeprefix("torch.") not in LAYOUTS:
        raise Malformed(f"no layout is called {quote(name)}", phase="rebuild")
    return Layout(name.removeprefix("torch."))


LAYOUTS: Final = frozenset(["strided", "sparse_coo", *COMPRESSED, "jagged", "_mkldnn"])


@CALLS.named("torch.storage._load_from_bytes")
def _load_from_bytes(machine: Unpickler, data: Any) -> Any:
    """A storage or tensor that was pickled outside `torch.save`."""
    if type(data) is not bytes:
        raise wrong("a checkpoint inside a checkpoint is bytes", data)
    machine.spend(len(data))
    return machine.nested(data)


def new_storage() -> Storage:
    """`torch.UntypedStorage(nbytes)`, `TypedStorage(numel)`: never filled."""
    raise Uninitialised("a new storage, which nothing fills", phase="rebuild")


@CALLS.named("torch.storage.TypedStorage")
def _typed_storage(machine: Unpickler, *args: Any) -> Storage:
    return new_storage()


@CALLS.named(
    "torch.jit._pickle.build_boollist",
    "torch.jit._pickle.build_doublelist",
    "torch.jit._pickle.build_intlist",
    "torch.jit._pickle.build_tensorlist",
)
def _typed_list(machine: Unpickler, value: Any) -> Any:
    """A list of which C++ knows the element type; Python takes it as it is."""
    return value


@CALLS.named("torch.jit._pickle.restore_type_tag")
def _restore_type_tag(machine: Unpickler, value: Any, type_name: Any) -> Any:
    return value

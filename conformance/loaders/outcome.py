"""What a reader made of a file, in so few words that two readers can be held
against each other thousands of times a second."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import TracebackType
from typing import Final

import msgspec

from conformance.description import Array, Description, StorageValue, Tensor

#: No more of an error's message is kept.
MESSAGE: Final = 4_096


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """A digest of what was loaded, or else the error.

    `error` is its class or kind, `where` the part of the reader that raised it.
    """

    digest: str = ""
    error: str = ""
    where: str = ""
    message: str = ""

    @property
    def loaded(self) -> bool:
        return not self.error

    def __str__(self) -> str:
        return "loads" if self.loaded else f"{self.error} @ {self.where}"


_ENCODER: Final = msgspec.json.Encoder()

#: What `compare` sees in another way than as a value that is equal or not.
_DEVICE: Final = Tensor.__struct_fields__.index("device")
_STORAGE: Final[dict[type, int]] = {
    kind: kind.__struct_fields__.index("storage")
    for kind in (Array, StorageValue, Tensor)
}


def digest(description: Description) -> str:
    """The same for two descriptions only if `compare` finds no difference.

    The other way round, equal descriptions nearly always have equal digests:
    all but those of readers that number their nodes in another order.
    """
    shown: list[tuple[int, int, str | None]] = []
    number = 0
    for storage in description.storages:
        number += storage.identity
        shown.append((storage.identity * number, storage.nbytes, storage.sha256))
    nodes: list[object] = []
    for node in description.nodes:
        kind = type(node)
        values = list(msgspec.structs.astuple(node))
        if kind is Tensor:
            values[_DEVICE] = None
        at = _STORAGE.get(kind)
        if at is not None and values[at] is not None:
            values[at] = shown[values[at]]
        nodes.append((kind.__name__, values))
    return hashlib.sha256(_ENCODER.encode(nodes)).hexdigest()


def outcome(load: Callable[[], Description], package: str) -> Outcome:
    """Loads, whatever comes of it; `package` is that of the reader.

    Lets `MemoryError` pass: it says more of the process than of the file.
    """
    try:
        return Outcome(digest(load()))
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001 (a file may raise anything)
        where = innermost(error.__traceback__, package)
        return Outcome("", type(error).__name__, where, _words(error)[:MESSAGE])


def innermost(traceback: TracebackType | None, package: str) -> str:
    """The last function of a package that an error came from."""
    found = ""
    while traceback is not None:
        frame = traceback.tb_frame
        module = frame.f_globals.get("__name__", "")
        if module == package or module.startswith(f"{package}."):
            found = frame.f_code.co_name
        traceback = traceback.tb_next
    return found


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 (its class is the file's own)
        return "(an exception that has no words)"

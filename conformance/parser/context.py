"""What every container needs to know while it reads: the caller's wishes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from .errors import CheckpointError, LimitExceeded, Malformed, quote
from .limits import Budget, Limits
from .trace import Trace
from .unpickler import Data, Unpickler
from .values import TypedGlobal

#: What it costs to read a checkpoint inside another, however small it is.
_INSIDE: Final = 4_000


@dataclass(frozen=True, slots=True)
class Context:
    """The arguments of `load`, and how deep inside another checkpoint we are.

    `read` is the entry to all containers, for checkpoints inside checkpoints;
    `budget` is one for the whole file, whatever is in it.
    """

    read: Callable[[memoryview, Context], tuple[Any, int]]
    weights_only: bool
    encoding: str
    limits: Limits
    trace: Trace
    budget: Budget
    depth: int = 0

    def grant(self, size: int) -> None:
        """Lets pickles of `size` bytes copy, if they stand in the file itself."""
        if not self.depth:
            self.budget.grant(size)

    def unpickler(
        self,
        data: Data,
        persistent_load: Callable[[Any], Any],
        *,
        position: int = 0,
        base: int = 0,
    ) -> Unpickler:
        """A pickle machine with a memo of its own."""
        return Unpickler(
            data,
            persistent_load=persistent_load,
            nested=self.nested,
            weights_only=self.weights_only,
            encoding=self.encoding,
            limits=self.limits,
            trace=self.trace,
            budget=self.budget,
            position=position,
            base=base,
        )

    def unpickle(
        self, data: Data, *, position: int = 0, base: int = 0
    ) -> tuple[Any, int]:
        """A value that holds no storages, and the position after it."""
        machine = self.unpickler(data, no_persistent_ids, position=position, base=base)
        value = machine.load()
        machine.run_deferred()
        return value, machine.position

    def nested(self, data: bytes) -> Any:
        """A checkpoint inside this one (`torch.storage._load_from_bytes`)."""
        if self.depth >= self.limits.nesting:
            raise LimitExceeded(
                f"{self.depth} checkpoints inside each other (Limits.nesting)",
                phase="rebuild",
            )
        self.budget.spend(_INSIDE)
        inner = replace(
            self,
            # torch reads these with its defaults, whatever the caller asked for.
            encoding="utf-8",
            # It writes them as legacy streams, in which nothing is packed.
            limits=replace(self.limits, inflate_ratio=0),
            depth=self.depth + 1,
        )
        try:
            value, _ = self.read(memoryview(data), inner)
        except CheckpointError as error:
            # The offset that counts is where the file asks for it.
            error.message += " (in a checkpoint inside this one)" * (not self.depth)
            error.offset = error.path = None
            raise
        return value


def no_persistent_ids(pid: Any) -> Any:
    """For pickles that have no storages."""
    raise Malformed("a persistent id where nothing could have one", phase="pickle")


# ------------------------------------------------------------- persistent ids

#: The longest key of a storage: the longest name that a zip record can have ...
_KEY: Final = 0xFFFF
#: ... and the longest that has to be spelled anew wherever it is used.
_SPELLED: Final = 100


def ascii_text(value: Any) -> Any:
    """Python 2's strings under `encoding="bytes"`, where only ASCII can be meant."""
    if type(value) is bytes:
        try:
            return value.decode("ascii")
        except UnicodeDecodeError:
            raise Malformed(
                f"{quote(value)} in a persistent id is not ASCII", phase="pickle"
            ) from None
    return value


def is_id_of(pid: Any, kind: str) -> bool:
    """Whether it is a tuple that begins with this word: `storage` or `module`."""
    if type(pid) is not tuple or not pid:
        return False
    found = ascii_text(pid[0])
    # An array would be compared element by element.
    return type(found) is str and found == kind


def storage_id(pid: Any, length: int) -> tuple[TypedGlobal, Any, str, int, Any]:
    """The parts of `('storage', class, key, location, numel[, view])`, checked."""
    if not is_id_of(pid, "storage"):
        raise Malformed(
            "a persistent id must be a tuple that begins with 'storage'",
            phase="pickle",
        )
    if len(pid) != length:
        raise Malformed(
            f"a persistent id of {len(pid)} parts, not {length}", phase="pickle"
        )
    kind, key, location, numel = pid[1:5]
    if type(kind) is not TypedGlobal:
        raise Malformed("a persistent id without a storage class", phase="pickle")
    location = ascii_text(location)
    if type(location) is not str:
        raise Malformed("the location of a storage must be a string", phase="pickle")
    if type(numel) not in (int, bool) or not 0 <= numel * kind.info.itemsize < 1 << 63:
        raise Malformed(
            "the size of a storage must be a number of elements", phase="pickle"
        )
    return kind, key, location, int(numel), pid[5] if length > 5 else None


#: Plain containers, and what Python's `for` takes from them.
_WALKED: Final = (list, tuple, dict, OrderedDict, set, frozenset, str, bytes)


def walked(value: Any, what: str) -> list[Any]:
    """The members of what torch only walks, where it writes a list."""
    if type(value) not in _WALKED:
        raise Malformed(f"{what} must be a list")
    return list(value)


def record_key(key: Any) -> str:
    """A key as torch spells it in a record's name: `f"data/{key}"`.

    Whatever passes can be hashed and costs little, how often the file uses it.
    """
    if type(key) is str and len(key) <= _KEY:
        return key
    if _short(key):
        return str(key)
    long = " of this size" if isinstance(key, (str, bytes, int)) else ""
    raise Malformed(
        f"a {type(key).__name__}{long} cannot name a storage", phase="pickle"
    )


def _short(key: Any) -> bool:
    if key is None or type(key) in (bool, float):
        return True
    if type(key) in (str, bytes):
        return len(key) <= _SPELLED
    if type(key) is int:
        return key.bit_length() <= 128
    # torch lets tuples pass; ones of tuples could be as deep as the file.
    return (
        type(key) is tuple
        and len(key) < 10
        and all(type(item) is not tuple and _short(item) for item in key)
    )

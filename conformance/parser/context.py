"""What every container needs to know while it reads: the caller's wishes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .errors import LimitExceeded, Malformed
from .limits import Limits
from .trace import Trace
from .unpickler import Data, Unpickler
from .values import TypedGlobal


@dataclass(frozen=True, slots=True)
class Context:
    """The arguments of `load`, and how deep inside another checkpoint we are.

    `read` is the entry to all containers, for checkpoints inside checkpoints;
    `base` the offset in the file of what is being read.
    """

    read: Callable[[memoryview, Context], tuple[Any, int]]
    weights_only: bool
    encoding: str
    limits: Limits
    trace: Trace
    base: int = 0
    depth: int = 0

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
            position=position,
            base=self.base + base,
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
        # torch reads these with its defaults, whatever the caller asked for.
        inner = replace(self, encoding="utf-8", base=0, depth=self.depth + 1)
        value, _ = self.read(memoryview(data), inner)
        return value


def no_persistent_ids(pid: Any) -> Any:
    """For pickles that have no storages."""
    raise Malformed("a persistent id where nothing could have one", phase="pickle")


# ------------------------------------------------------------- persistent ids


def ascii_text(value: Any) -> Any:
    """Python 2's strings under `encoding="bytes"`, where only ASCII can be meant."""
    if type(value) is bytes:
        try:
            return value.decode("ascii")
        except UnicodeDecodeError:
            raise Malformed(
                "a persistent id that is not ASCII", phase="pickle"
            ) from None
    return value


def storage_id(pid: Any, length: int) -> tuple[TypedGlobal, Any, str, int, Any]:
    """The parts of `('storage', class, key, location, numel[, view])`, checked."""
    if type(pid) is not tuple or not pid or ascii_text(pid[0]) != "storage":
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
    if type(numel) is not int:
        if type(numel) is not bool:
            raise Malformed("the size of a storage must be an int", phase="pickle")
        numel = int(numel)
    if numel < 0:
        raise Malformed(f"a storage of {numel} elements", phase="pickle")
    return kind, key, location, numel, pid[5] if length > 5 else None


def record_key(key: Any, depth: int = 4) -> str:
    """A key as torch spells it in a record's name: `f"data/{key}"`."""
    if type(key) is str:
        return key
    if key is None or type(key) in (bool, bytes, float):
        return str(key)
    if type(key) is int and -(1 << 64) < key < 1 << 64:
        return str(key)
    if type(key) is tuple and len(key) < 10 and depth:
        for item in key:
            if type(item) is not str:
                record_key(item, depth - 1)
        return str(key)
    raise Malformed(
        f"a {type(key).__name__} cannot name a storage's record", phase="pickle"
    )

"""The pickle machine alone, without a container around it."""

from __future__ import annotations

from typing import Any

from conformance.parser.unpickler import Data, Unpickler


def persistent_load(pid: Any) -> Any:
    """Stands for the container: shows which persistent id it was asked for."""
    return ("persistent", pid)


def nested(data: bytes) -> Any:
    """Stands for a checkpoint inside the pickle."""
    return ("nested", data)


def machine(data: Data, *, weights_only: bool = False, **options: Any) -> Unpickler:
    """A machine that has not begun; options as in `Unpickler`."""
    return Unpickler(
        data,
        persistent_load=persistent_load,
        nested=nested,
        weights_only=weights_only,
        **options,
    )


def unpickle(data: Data, **options: Any) -> Any:
    """What the pickle holds, as any container would have it read."""
    reader = machine(data, **options)
    value = reader.load()
    reader.run_deferred()
    return value

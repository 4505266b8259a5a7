"""What a file did while it was read, for people who want to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Trace:
    """Filled by `load(..., trace=Trace())`, also when the load fails half-way.

    `containers` lists what was opened, outermost first (`zip`, `torchscript`,
    `legacy`, `tar`, `pickle`, `distcp`), `protocols` the protocol of each pickle
    (0 where it does not say), `byteorder` the archive's own record,
    `globals` how often each global was named, `calls` how often each global
    was called (`REDUCE`, `NEWOBJ`, `OBJ`, `INST`), `kept` how often one of which we
    know what it makes was not made, for its arguments are none that a pickler
    writes, and stayed an `Object`, `builds` how often a value of
    each type was given a state (`BUILD`), `persistent_ids` how often each kind of
    persistent id was met (`storage`; `view`, a storage inside another one;
    `module`, a class with its source; `number`, a row of a legacy tar), and
    `storages` the number of storages and `storage_bytes` their bytes.

    Two are filled on demand, because they cost something: `pickles`, if it is a
    list, with the bytes of each pickle that was read up to its STOP; `on_call`,
    if it is there, is told of every call's name and arguments.
    """

    containers: list[str] = field(default_factory=list)
    protocols: list[int] = field(default_factory=list)
    byteorder: str | None = None
    globals: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    builds: Counter[str] = field(default_factory=Counter)
    persistent_ids: Counter[str] = field(default_factory=Counter)
    storages: int = 0
    storage_bytes: int = 0
    pickles: list[bytes] | None = None
    on_call: Callable[[str, tuple[Any, ...]], None] | None = None

"""What a file did while it was read, for people who want to know."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Trace:
    """Filled by `load(..., trace=Trace())`, also when the load fails half-way.

    `containers` lists what was opened, outermost first (`zip`, `torchscript`,
    `legacy`, `tar`, `pickle`, `distcp`), `protocols` the protocol of each pickle
    (0 where it does not say), `byteorder` the archive's own record,
    `globals` how often each global was named, `calls` how often each global
    was called (`REDUCE`, `NEWOBJ`, `OBJ`, `INST`), and `storages` the number
    of storages and `storage_bytes` their bytes.
    """

    containers: list[str] = field(default_factory=list)
    protocols: list[int] = field(default_factory=list)
    byteorder: str | None = None
    globals: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    storages: int = 0
    storage_bytes: int = 0

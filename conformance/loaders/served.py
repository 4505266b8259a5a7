"""A loader's side of the conversation with whoever runs it in a `worker`.

Requests: `about` (answered with JSON: name and version), `load` (with a JSON
description), `outcome` (with no more than an `Outcome`, and nothing is kept), and
about the last load, by its `ticket`: `read` and `digest` of a range of a
storage's bytes.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from typing import Any, Final

import msgspec

from conformance.description import Bytes, Description, to_json

from .outcome import outcome

#: No more bytes than this are handed out at a time.
READ: Final = 1 << 16


class Served:
    """Answers for a loader: `load(path, ...)` gives a description.

    `name` is that of its package, too.
    """

    def __init__(
        self, name: str, version: str, load: Callable[..., Description]
    ) -> None:
        self._about = {"name": name, "version": version}
        self._load = load
        self._held: tuple[int, Description] | None = None

    def answer(self, request: dict[str, Any]) -> bytes:
        """What a `worker` asks for."""
        match request.pop("do"):
            case "about":
                return json.dumps(self._about).encode()
            case "load":
                # The last file's memory is free before the next is read.
                self._held = None
                gc.collect()
                ticket = request.pop("ticket")
                description = self._load(**request)
                self._held = ticket, description
                return to_json(description)
            case "outcome":
                self._held = None
                found = outcome(lambda: self._load(**request), self._about["name"])
                return msgspec.json.encode(found)
            case "read":
                start, stop = request["start"], request["stop"]
                return self._bytes(request).read(start, min(stop, start + READ))
            case "digest":
                start, stop = request["start"], request["stop"]
                return self._bytes(request).digest(start, stop).encode()
            case what:
                raise ValueError(f"no such request: {what}")

    def _bytes(self, request: dict[str, Any]) -> Bytes:
        if self._held is None or self._held[0] != request["ticket"]:
            raise LookupError("something else is loaded by now")
        data: Bytes | None = self._held[1].storages[request["storage"]].data
        if data is None:
            raise LookupError("a storage without bytes")
        return data

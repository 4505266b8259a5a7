"""The process in which findings are judged: what dies there is not the triage."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec

from ..differential import judge, reference
from ..lookup import find
from ..target import signature
from .facts import facts, torch_alone
from .judges import DIFFERENTIAL, Judgement


def answer(request: dict[str, Any]) -> bytes:
    """For a `worker`: `judge` some bytes for a target, or `facts` about a file."""
    match request["do"]:
        case "judge":
            data = base64.b64decode(request["data"])
            return msgspec.json.encode(judged(request["target"], data))
        case "facts":
            ask = facts if request["ours"] else torch_alone
            return msgspec.json.encode(ask(Path(request["path"]), reference()))
        case what:
            raise ValueError(f"no such request: {what}")


def judged(target: str, data: bytes) -> Judgement:
    """What is wrong with an input, by the target's own invariants."""
    if target == DIFFERENTIAL:
        return _differential(data)
    run = find(target).run
    try:
        run(data, True)
    except BaseException as error:  # noqa: BLE001 (an input may raise anything)
        return Judgement(signature(error))
    return Judgement(None)


def _differential(data: bytes) -> Judgement:
    found = judge(data)
    if found.row is not None:
        return Judgement(None, found.row)
    return Judgement(found.signature)

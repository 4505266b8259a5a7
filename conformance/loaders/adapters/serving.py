"""The loop of the protocol, for adapters in Python; standard library alone.

An adapter is a script beside this file. It runs in whatever environment its
loader is installed in, without torchproof, and so imports this one by its bare
name, from its own folder.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any

#: The version of the protocol that is spoken here.
PROTOCOL = 1

#: What is read in a file: (file, encoding) -> `{"tensors": [...]}`, or
#: `{"description": ...}`. Whatever it raises is the loader's refusal.
Load = Callable[[str, "str | None"], dict[str, Any]]


class Skip(Exception):
    """Raised by `load` for what the loader is not to be asked; says why."""


#: Where commands come from, and answers go.
Streams = tuple[IO[bytes], IO[bytes]]


def serve(load: Load, streams: Streams | None = None, **about: object) -> None:
    """Answers commands until there are no more.

    `streams`: what `apart` has given, if it was needed before. `about`: `name`,
    `version`, `language`, `facts`, and perhaps `homepage` and `issues`, as in the
    protocol.
    """
    commands, answers = streams or apart()
    for line in commands:
        command = json.loads(line)
        kind = command["command"]
        if kind == "stop":
            return
        if kind == "start":
            answer = {"answer": "started", "protocol": PROTOCOL, **about}
        else:
            answer = {**_load(load, command), "id": command["id"]}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def apart() -> Streams:
    """Standard input and output, out of the reach of a loader that prints."""
    commands, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return commands, answers


def _load(load: Load, command: Mapping[str, str]) -> dict[str, Any]:
    try:
        return {"answer": "loaded", **load(command["file"], command.get("encoding"))}
    except Skip as reason:
        return {"answer": "skipped", "reason": str(reason)}
    except Exception as error:  # noqa: BLE001 (whatever the loader raises)
        return {"answer": "rejected", "message": _words(error)}


#: A message can hold the whole file.
LONGEST = 2_000


def _words(error: Exception) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 (its class may be the file's own)
        text = "(an exception without words)"
    return _sayable(f"{type(error).__name__}: {text[:LONGEST]}")


# ---------------------------------------------------------------- flat readers


def tensor(name: str, elements: bytes | None = None, **facts: Any) -> dict[str, Any]:
    """A tensor of the answer `tensors`.

    `elements` are its bytes, row-major and little-endian; `facts` is what else
    the loader tells of it: `dtype`, `shape`, `stride`, `offset`, `storage`.
    """
    told = {name: _text(value) for name, value in facts.items() if value is not None}
    if elements is not None:
        told["sha256"] = hashlib.sha256(elements).hexdigest()
    return {"name": name, **told}


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    return [str(one) for one in value]


#: The key of what has no name of its own.
ANY = object()


def below(value: Any) -> Iterable[tuple[object, Any]]:
    """What a container holds, by key or index, and any object, by attribute."""
    pairs: Iterable[tuple[object, Any]] = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list | tuple | deque):
        pairs = enumerate(value)
    elif isinstance(value, set | frozenset):
        pairs = ((ANY, member) for member in value)
    if isinstance(value, type | types.ModuleType):
        return pairs
    return itertools.chain(pairs, getattr(value, "__dict__", {}).items())


#: A tree that sharing makes larger than this is entered once only.
UNROLLED = 100_000


def find(root: Any, wanted: Callable[[Any], bool]) -> list[tuple[str, Any]]:
    """Every reference in a tree to a value that is wanted, by its dotted name.

    What is referred to twice is there twice, with all below it; what contains
    itself is not entered again inside itself.
    """
    if wanted(root):
        return [("", root)]
    try:
        return list(_find(root, wanted, UNROLLED))
    except OverflowError:
        return list(_find(root, wanted, None))


def _find(
    root: Any, wanted: Callable[[Any], bool], most: int | None
) -> Iterator[tuple[str, Any]]:
    # Held on to, so that no id is used twice.
    entered = {id(root): root}
    steps: list[str] = []
    stack = [(root, iter(below(root)))]
    count = 0
    while stack:
        value, pairs = stack[-1]
        pair = next(pairs, None)
        del steps[len(stack) - 1 :]
        if pair is None:
            stack.pop()
            if most is not None:
                entered.pop(id(value))
            continue
        key, value = pair
        steps.append(_step(key))
        if wanted(value):
            yield ".".join(steps), value
        elif id(value) not in entered:
            count += 1
            if most is not None and count > most:
                raise OverflowError
            entered[id(value)] = value
            stack.append((value, iter(below(value))))


def _step(key: object) -> str:
    if isinstance(key, str):
        return _sayable(key)
    return str(key) if type(key) is int else "*"


def _sayable(text: str) -> str:
    """Text as JSON can carry it."""
    return text.encode("utf-8", "backslashreplace").decode()

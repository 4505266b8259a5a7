"""An adapter that knows the answers, and makes one slip: `slip.py HOW KNOWN`."""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]
HOW, KNOWN = sys.argv[1:]

FACTS = {
    "names only": [],
    "everything": ["dtype", "shape", "data", "stride", "sharing"],
    "storage not told": ["sharing"],
    "storage of each": ["sharing"],
    "scalars in a list": ["scalars"],
    "stride not told": ["stride"],
    "strides in bytes": ["stride"],
}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def floats(data: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(data) // 4}f", data)


def column_major(elements: bytes, shape: list[int]) -> bytes:
    if len(shape) != 2:
        return elements
    rows, columns = shape
    values = floats(elements)
    turned = [values[r * columns + c] for c in range(columns) for r in range(rows)]
    return struct.pack(f"<{len(turned)}f", *turned)


#: What is hashed.
hashed: Callable[[bytes, bytes, list[int]], bytes] = {
    "big-endian": lambda elements, *_: struct.pack(
        f">{len(elements) // 4}f", *floats(elements)
    ),
    "widened": lambda elements, *_: struct.pack(
        f"<{len(elements) // 4}d", *floats(elements)
    ),
    "storage": lambda _, storage, __: storage,
    "column-major": lambda elements, _, shape: column_major(elements, shape),
    "digits": lambda elements, *_: elements.hex().encode(),
    "nothing": lambda *_: b"",
    "something": lambda *_: b"something",
}.get(HOW, lambda elements, *_: elements)

named: Callable[[str], str] = {
    "prefixed": lambda name: f"$.{name}",
    "slashes": lambda name: name.replace(".", "/"),
    "last step": lambda name: name.rpartition(".")[2],
    "upper case": str.upper,
}.get(HOW, str)


def tensor(one: Message, number: int) -> Message:
    elements, storage = bytes.fromhex(one["elements"]), bytes.fromhex(one["bytes"])
    shape = one["shape"]
    made = {
        "name": named(one["name"]),
        "dtype": one["dtype"],
        "shape": [str(size) for size in shape],
        "sha256": digest(hashed(elements, storage, shape)),
        "stride": [str(step) for step in one["stride"]],
        "offset": str(one["offset"]),
        "storage": str(one["storage"]),
    }
    if HOW == "dtype of numpy":
        made["dtype"] = "f4"
    if HOW == "shape reversed":
        made["shape"].reverse()
    if HOW == "strides in bytes":
        made["stride"] = [str(4 * step) for step in one["stride"]]
    if HOW == "storage of each":
        made["storage"] = str(number)
    told = {"stride not told": "stride", "storage not told": "storage"}
    made.pop(told.get(HOW, ""), None)
    return made


def load(command: Message) -> Message:
    file, id = command["file"], command["id"]
    if HOW == "encoding" and "encoding" in command:
        raise SystemExit("what is an encoding?")
    if file not in known:
        if HOW == "dies":
            raise FileNotFoundError(file)
        if HOW == "takes all":
            return {"answer": "loaded", "id": id, "tensors": []}
        return {"answer": "rejected", "id": id, "message": "no"}
    if (HOW == "refuses views" and "transpose" in file) or HOW == "refuses all":
        return {"answer": "rejected", "id": id, "message": "not mine"}
    if HOW == "skips":
        return {"answer": "skipped", "id": id, "reason": "not mine"}
    if HOW == "only once" and int(id) > 6:
        return {"answer": "rejected", "id": id, "message": "out of handles"}
    if HOW == "other ids":
        id = "1000"
    tensors = [tensor(one, number) for number, one in enumerate(known[file])]
    return {"answer": "loaded", "id": id, "tensors": [] if HOW == "none" else tensors}


def write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say(message: Message) -> None:
    write(json.dumps(message))


with open(KNOWN) as text:
    known = json.load(text)
if HOW == "greets":
    write("Loading the library ...")
if HOW == "silent":
    time.sleep(60)
if HOW == "exits":
    raise SystemExit("no such library")
for line in sys.stdin:
    message = json.loads(line)
    if message["command"] == "stop":
        if HOW == "never stops":
            time.sleep(60)
        if HOW == "says goodbye":
            write("{}")
        sys.exit(3 if HOW == "status" else 0)
    if message["command"] == "load":
        say(load(message))
        continue
    say(
        {
            "answer": "started",
            "protocol": 2 if HOW == "protocol 2" else 1,
            "name": "" if HOW == "no name" else "slip",
            "version": "1",
            "language": "Python",
            "facts": FACTS.get(HOW, ["dtype", "shape", "data"]),
        }
    )

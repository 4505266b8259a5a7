"""A loader that looks up what is expected, and an adapter that goes wrong.

    python fake.py HOW [WHERE]

The files whose name has WHERE in it (all, without) go wrong as HOW says; with the
others all is well. It starts quickly: the standard library alone.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Message = dict[str, Any]

STARTED: Message = {
    "answer": "started",
    "protocol": 1,
    "name": "fake",
    "version": "1.0",
    "language": "Python",
    "facts": ["dtype", "shape", "data"],
}


def well(file: Path, id: str) -> Message:
    """The right answer: what the corpus says."""
    cases = json.loads((file.parent / "cases.json").read_bytes())["cases"]
    by_file = {case["file"]: case for case in cases}
    case = by_file[file.name]
    if case["verdict"] != "valid":
        return {"answer": "rejected", "id": id, "message": f"{file.name} is bad"}
    like = case["expected"].get("like", file.name)
    flat = by_file[like]["expected"]["tensors"]
    return {"answer": "loaded", "id": id, "tensors": [tensor(one) for one in flat]}


def tensor(one: Message) -> Message:
    """`['a'][0]` -> `a.0`."""
    steps = re.findall(r"\['(.*?)'\]|\[(\d+)\]", one["path"])
    return {
        "name": ".".join(key or index for key, index in steps),
        "dtype": one["dtype"],
        "shape": [str(size) for size in one["shape"]],
        "sha256": one["sha256"],
    }


# --------------------------------------------------------- right words, wrong facts


def refuses(file: Path, id: str) -> Message:
    return {"answer": "rejected", "id": id, "message": "NotYet: no such thing here"}


def colours(file: Path, id: str) -> Message:
    return {"answer": "rejected", "id": id, "message": "\x1b[31mred\x1b[0m alert"}


def accepts(file: Path, id: str) -> Message:
    return {"answer": "loaded", "id": id, "tensors": []}


def skips(file: Path, id: str) -> Message:
    return {"answer": "skipped", "id": id, "reason": "not my kind"}


def one_bit(file: Path, id: str) -> Message:
    """The data of the last tensor is not quite right."""
    answer = well(file, id)
    last = answer["tensors"][-1]
    digit = int(last["sha256"][0], 16) ^ 1
    last["sha256"] = f"{digit:x}{last['sha256'][1:]}"
    return answer


def drops(file: Path, id: str) -> Message:
    """The last tensor is not there."""
    answer = well(file, id)
    del answer["tensors"][-1]
    return answer


# -------------------------------------------------------------------- no answer


def hangs(file: Path, id: str) -> Message:
    time.sleep(60)
    raise AssertionError("nobody waits that long")


def dies(file: Path, id: str) -> Message:
    sys.stderr.write("about to die\n")
    os.kill(os.getpid(), signal.SIGSEGV)
    return hangs(file, id)


def leaves(file: Path, id: str) -> Message:
    sys.stderr.write("I have had enough\n")
    sys.exit(3)


def shouts(file: Path, id: str) -> Message:
    sys.stderr.write("x" * 10**6)
    sys.exit(" last words")


def mutters(file: Path, id: str) -> Message:
    sys.stderr.write("a warning\n")
    return well(file, id)


def eats(file: Path, id: str) -> Message:
    """Four megabytes at a time, touched; slowly, so that no machine suffers."""
    eaten = []
    while True:
        eaten.append(b"\1" * (4 << 20))
        time.sleep(0.005)


def feeds(file: Path, id: str) -> Message:
    """What it has started eats instead, in a session of its own."""
    program = [sys.executable, __file__, "eats"]
    commands = b'{"command": "start"}\n{"command": "load", "id": "1", "file": "/"}\n'
    with subprocess.Popen(
        program,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        child.communicate(commands)
    return hangs(file, id)


def closes(file: Path, id: str) -> Message:
    """Its standard output, and goes on."""
    os.close(1)
    return hangs(file, id)


def orphans(file: Path, id: str) -> Message:
    """It dies, and what it has started holds its pipes."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    sys.stderr.write(f"{child.pid}\n")
    os._exit(4)


# ------------------------------------------------------------- not the protocol


def garbage(file: Path, id: str) -> Message:
    sys.stdout.write(f"loading {file} ...\n")
    return well(file, id)


def twice(file: Path, id: str) -> Message:
    """In one go, so that it is seen at once."""
    line = json.dumps(well(file, id))
    sys.stdout.write(line + "\n")
    return well(file, id)


def twice_later(file: Path, id: str) -> Message:
    """After a while."""
    answer = well(file, id)
    line = json.dumps(answer) + "\n"
    threading.Timer(0.1, lambda: (sys.stdout.write(line), sys.stdout.flush())).start()
    return answer


def other_id(file: Path, id: str) -> Message:
    return well(file, "another")


def starts_again(file: Path, id: str) -> Message:
    return STARTED


def neither(file: Path, id: str) -> Message:
    return {"answer": "loaded", "id": id}


def both(file: Path, id: str) -> Message:
    one = {"kind": "scalar", "value": "1", "type": "int"}
    description = {"version": 1, "nodes": [one], "storages": []}
    return {"answer": "loaded", "id": id, "tensors": [], "description": description}


def huge(file: Path, id: str) -> Message:
    """A line that does not end."""
    while True:
        sys.stdout.write("x" * (1 << 20))


# ------------------------------------------------------------------------ start


def lies(file: Path, id: str) -> Message:
    """Its version is another whenever it is started; see `main`."""
    return leaves(file, id)


def slow_start() -> None:
    time.sleep(0.6)


def no_start() -> None:
    sys.exit("the library is not installed")


def mute_start() -> None:
    time.sleep(60)


Behaviour = Callable[[Path, str], Message]

FILES: dict[str, Behaviour] = {
    one.__name__: one
    for one in (
        *(well, refuses, colours, accepts, skips, one_bit, drops),
        *(hangs, dies, leaves, shouts, mutters, eats, feeds, closes, orphans),
        *(
            garbage,
            twice,
            twice_later,
            other_id,
            starts_again,
            neither,
            both,
            huge,
            lies,
        ),
    )
}
STARTS: dict[str, Callable[[], None]] = {
    one.__name__: one for one in (slow_start, no_start, mute_start)
}


def answers(how: str, where: str) -> Iterator[Message]:
    behaviour = FILES.get(how, well)
    for line in sys.stdin:
        command = json.loads(line)
        if command["command"] == "stop":
            return
        if command["command"] == "start":
            if how in STARTS:
                STARTS[how]()
            version = str(os.getpid()) if how == "lies" else "1.0"
            protocol = 2 if how == "other_protocol" else 1
            yield {**STARTED, "version": version, "protocol": protocol}
            continue
        file = Path(command["file"])
        yield (behaviour if where in file.name else well)(file, command["id"])


def main() -> None:
    how, where = [*sys.argv[1:], ""][:2]
    for answer in answers(how, where):
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

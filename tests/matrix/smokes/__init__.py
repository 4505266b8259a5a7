"""Adapters with one slip each; `slip.py` is the program."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from conformance.corpus.format import corpus_folder
from conformance.loaders import ours
from conformance.matrix import normal
from conformance.matrix.smoke import FILES
from conformance.walk import flat, tensors

PROGRAM = Path(__file__).with_name("slip.py")


def write_known(to: Path) -> None:
    """What is in the files that smoke asks for, for `slip.py`."""
    known = {}
    for id in FILES:
        path = corpus_folder() / f"{id}.pt"
        description = ours.load(path)
        names = [one.name for one in normal.expected(description, flat(description))]
        known[str(path.absolute())] = [
            {"name": name, **_facts(description, index)}
            for name, (_, index, _) in zip(names, tensors(description), strict=True)
        ]
    to.write_text(json.dumps(known))


def _facts(description: Any, index: int) -> dict[str, Any]:
    node = description.nodes[index]
    storage = description.storages[node.storage]
    return {
        "dtype": node.dtype,
        "shape": node.shape,
        "stride": node.stride,
        "offset": node.storage_offset,
        "storage": node.storage,
        "elements": description.elements[index]().hex(),
        "bytes": storage.data.read(0, storage.nbytes).hex(),
    }


def slip(how: str, known: Path) -> tuple[str, ...]:
    """The command; `-I` and `-S`, since it starts many times."""
    return sys.executable, "-I", "-S", str(PROGRAM), how, str(known)

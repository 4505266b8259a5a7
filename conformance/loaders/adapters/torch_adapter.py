"""`torch.load` in the mode that the arguments name: `--weights-only`, `--mmap`.

Without `--weights-only` nothing that a file asks for is run: its calls are kept
as they are (see `conformance.loaders.oracle`).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

# A script sees its own folder alone.
sys.path.insert(0, str(Path(__file__).parents[3]))

import msgspec

from conformance.description import to_document
from conformance.loaders import oracle, protocol
from conformance.loaders.adapters.serving import serve

MODE = argparse.ArgumentParser(description=__doc__)
MODE.add_argument("--weights-only", action="store_true")
MODE.add_argument("--mmap", action="store_true")


def load(file: str, encoding: str | None) -> dict[str, Any]:
    description = oracle.load(
        file,
        weights_only=mode.weights_only,
        mmap=mode.mmap,
        encoding=encoding or "utf-8",
    )
    return {"description": msgspec.to_builtins(to_document(description))}


if __name__ == "__main__":
    mode = MODE.parse_args()
    serve(
        load,
        name="torch",
        version=json.loads(oracle.answer({"do": "about"}))["version"],
        language="Python",
        facts=protocol.FACTS,
        homepage="https://pytorch.org",
        issues="https://github.com/pytorch/pytorch/issues",
    )

"""torchproof's own parser, as one loader among others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

# A script sees its own folder alone.
sys.path.insert(0, str(Path(__file__).parents[3]))

import msgspec

from conformance import __version__
from conformance.description import to_document
from conformance.loaders import ours, protocol
from conformance.loaders.adapters.serving import serve


def load(file: str, encoding: str | None) -> dict[str, Any]:
    """The whole tree: `weights_only=False` and no more than that is refused."""
    description = ours.load(file, weights_only=False, encoding=encoding or "utf-8")
    return {"description": msgspec.to_builtins(to_document(description))}


if __name__ == "__main__":
    serve(
        load,
        name="torchproof",
        version=__version__,
        language="Python",
        facts=protocol.FACTS,
    )

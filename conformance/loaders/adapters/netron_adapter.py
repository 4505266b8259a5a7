"""Finds netron, and runs `netron_adapter.mjs` on its JavaScript."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    found = importlib.util.find_spec("netron")
    if found is None or found.origin is None:
        sys.exit("netron is not installed in this Python")
    adapter = Path(__file__).with_suffix(".mjs")
    version = importlib.metadata.version("netron")
    command = ["node", str(adapter), str(Path(found.origin).parent), version]
    os.execvp(command[0], command)  # noqa: S606 (no shell is meant)

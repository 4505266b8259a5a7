"""Writes the cases of the divergence ledger into a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import CASES, write

parser = argparse.ArgumentParser(prog="generators.divergences", description=__doc__)
parser.add_argument("folder", type=Path, metavar="DIR")
folder = parser.parse_args().folder
write(folder)
print(f"{len(CASES)} files in {folder}")

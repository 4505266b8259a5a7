"""Writes the cases of the divergence ledger into a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import write

parser = argparse.ArgumentParser(prog="generators.divergences", description=__doc__)
parser.add_argument("folder", type=Path, metavar="DIR")
parser.add_argument(
    "--undisclosed", action="store_true", help="those too that are not to be kept"
)
arguments = parser.parse_args()
files = write(arguments.folder, undisclosed=arguments.undisclosed)
print(f"{len(files)} files in {arguments.folder}")

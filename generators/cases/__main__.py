"""Writes the cases of the corpus into a folder."""

from __future__ import annotations

import argparse
import os
import sys
from fnmatch import fnmatch
from pathlib import Path

# The order of a set of strings, and so the bytes of a file that holds one,
# depends on a seed that is chosen before Python runs any of this.
if os.environ.get("PYTHONHASHSEED") != "0":
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, [sys.executable, "-m", "generators.cases", *sys.argv[1:]])  # noqa: S606

from . import CASES, write

parser = argparse.ArgumentParser(prog="generators.cases", description=__doc__)
parser.add_argument("folder", type=Path, metavar="DIR")
parser.add_argument("--family", action="append", help="only these families")
parser.add_argument("--id", action="append", metavar="GLOB", help="only these ids")
parser.add_argument(
    "--undisclosed", action="store_true", help="those too that are not to be kept"
)
parser.add_argument("--progress", action="store_true", help="say the name of each file")
arguments = parser.parse_args()


def said(file: str) -> None:
    print(file, flush=True)


chosen = [
    case
    for case in CASES.values()
    if (not arguments.family or case.family in arguments.family)
    and (not arguments.id or any(fnmatch(case.id, glob) for glob in arguments.id))
]
arguments.folder.mkdir(parents=True, exist_ok=True)
count = write(
    arguments.folder,
    chosen,
    undisclosed=arguments.undisclosed,
    step=said if arguments.progress else lambda _file: None,
)
if not arguments.progress:
    print(f"{count} files in {arguments.folder}")

"""Writes the files of other releases of torch into a folder, one by one."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from .environment import Missing
from .recipes import RELEASES
from .writing import write

parser = argparse.ArgumentParser(prog="generators.history", description=__doc__)
parser.add_argument(
    "releases", nargs="*", metavar="RELEASE", help=", ".join(RELEASES) + "; or --all"
)
parser.add_argument("--all", action="store_true", help="every release of the list")
parser.add_argument("folder", type=Path, metavar="DIR")
arguments = parser.parse_args()
if unknown := set(arguments.releases) - RELEASES.keys():
    parser.error(f"no recipe for {', '.join(sorted(unknown))}")
names = list(RELEASES) if arguments.all else arguments.releases
if not names:
    parser.error("name a release, or say --all")

# However this ends, the environment goes first.
for end in (signal.SIGINT, signal.SIGTERM):
    signal.signal(end, lambda *_: sys.exit("ended; nothing is left installed"))
failed = False
for number, name in enumerate(names, 1):
    print(f"[{number}/{len(names)}] torch {name} ...", flush=True)
    begin = time.monotonic()
    try:
        files, skipped = write(RELEASES[name], arguments.folder / name)
    except Missing as error:
        failed = True
        print(f"    failed: {error}", file=sys.stderr, flush=True)
        continue
    seconds = time.monotonic() - begin
    print(f"    {files} files, {skipped} skipped, {seconds:.0f} s", flush=True)
sys.exit(failed)

"""Runs the gold script under a release, and writes the manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from .claims import claims
from .environment import Missing, installed
from .recipes import Release

#: The folder that the old interpreters run.
GOLD: Final = Path(__file__).parent / "gold"
MANIFEST: Final = "manifest.json"
#: What every case of this family has in common.
COMMON: Final[dict[str, Any]] = {
    "suffix": ".pt",
    "label": "native",
    "family": "history",
    "links": [],
    "undisclosed": False,
}


def write(release: Release, folder: Path) -> tuple[int, int]:
    """The files of one release in `folder`, and `manifest.json`.

    Gives the number of files and of cases that the release could not save.
    Replaces what was there. Raises `Missing`, and leaves the folder alone.
    """
    with (
        installed(release) as (python, variables),
        tempfile.TemporaryDirectory() as room,
    ):
        # Old files name the file of each module's source: not one of this machine.
        gold, out = Path(room, "gold"), Path(room, "files")
        shutil.copytree(GOLD, gold)
        out.mkdir()
        done = subprocess.run(
            [python, str(gold), str(out), *["--values"] * release.values],
            env=variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise Missing(f"torch {release.name} does not run:\n{done.stderr.strip()}")
        found = manifest(release.name, out)
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(out, folder)
        (folder / MANIFEST).write_text(spelled(found), encoding="utf-8")
        return len(found["cases"]), len(found["skipped"])


def manifest(name: str, folder: Path) -> dict[str, Any]:
    """What the gold script said of a release's files, in the corpus's words."""
    gold = folder / "gold.json"
    said = json.loads(gold.read_text(encoding="ascii"))
    gold.unlink()
    cases = []
    for case in said["cases"]:
        file = case.pop("name")
        data = (folder / f"{file}.pt").read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        cases.append(
            {
                "id": f"history/{name}/{file}",
                **{field: case.pop(field) for field in ("path", "shows")},
                **COMMON,
                **claims(f"{name}/{file}"),
                "sha256": sha256,
                **case,  # flags, encoding, and the answer
            }
        )
    return {
        "provenance": said["provenance"],
        "cases": cases,
        "skipped": dict(sorted(said["skipped"].items())),
    }


def spelled(found: dict[str, Any]) -> str:
    """JSON with one line for each case: indented, the answers would fill pages."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    cases = ",\n  ".join(map(line, found["cases"]))
    skipped = json.dumps(found["skipped"], indent=1, ensure_ascii=False)
    head = f'"provenance": {line(found["provenance"])}'
    return f'{{\n {head},\n "cases": [\n  {cases}\n ],\n "skipped": {skipped}\n}}\n'

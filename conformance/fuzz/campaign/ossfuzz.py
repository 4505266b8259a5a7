"""What OSS-Fuzz and ClusterFuzzLite build: one program for each target.

    python -m conformance.fuzz.campaign.ossfuzz FOLDER

writes into the folder, for every target that needs no torch, `fuzz_<target>.py`,
its libFuzzer options and dictionary, and its seeds as an archive; and the words
of the mutators, `words.json`, which belong beside `engine.py` in each program.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from ..lookup import default_words
from ..target import Target
from ..words import dictionary

_PROGRAM: Final = '''"""{invariant}"""

from conformance.fuzz.campaign.engine import alone

if __name__ == "__main__":
    alone("{name}")
'''

_OPTIONS: Final = """[libfuzzer]
max_len = {max_size}
timeout = 25
"""


def write(folder: Path, targets: Iterable[Target]) -> None:
    """Everything that the build script wants."""
    words = default_words()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.json").write_bytes(msgspec.json.encode(words))
    for target in targets:
        beginning = f"fuzz_{target.name}"
        program = _PROGRAM.format(invariant=target.invariant, name=target.name)
        (folder / f"{beginning}.py").write_text(program)
        options = _OPTIONS.format(max_size=target.max_size)
        (folder / f"{beginning}.options").write_text(options)
        (folder / f"{beginning}.dict").write_text(dictionary(words))
        _write_seeds(folder / f"{beginning}_seed_corpus.zip", target)


def _write_seeds(path: Path, target: Target) -> None:
    seeds = {
        hashlib.sha256(data).hexdigest(): data
        for data in target.seeds()
        if len(data) <= target.max_size
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(seeds.items()):
            # Without a date: the same seeds are the same archive.
            archive.writestr(zipfile.ZipInfo(name), data)


if __name__ == "__main__":
    from ..targets import TARGETS

    write(
        Path(sys.argv[1]),
        [target for target in TARGETS.values() if not target.needs_torch],
    )

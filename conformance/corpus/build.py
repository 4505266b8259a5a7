"""Makes the corpus: the generators write, torch and our parser judge.

Nothing is written over until all of it is there. A case that does not hold to
what its generator claims of it stops the build.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from conformance import __version__
from conformance.loaders.reference import Reference

from .format import (
    CASES,
    FORMAT,
    INDEX,
    SCHEMA,
    Case,
    Directory,
    Index,
    cases,
    decode,
    encode,
    encode_index,
    read_index,
    schema,
)
from .judging import Claim, Judged, Manifest, judge
from .swapping import beside, swap

#: Beside the files of a generator, or of an old release: what is claimed of them.
MANIFEST: Final = "manifest.json"
#: Files of old releases, a directory for each; they cannot be written again.
HISTORY: Final = "history"

#: What torch may take for one case: seconds, and bytes.
TIMEOUT: Final = 10.0
MEMORY: Final = 8 << 30

Step = Callable[[int, int, str], None]


class BuildError(Exception):
    """The corpus cannot be built; the message says why."""


class NoTorch(BuildError):
    """There is no torch to ask."""


@dataclass
class Built:
    """What a build found: problems by the id of the case, and counts."""

    cases: int = 0
    nbytes: int = 0
    torch: str = ""
    problems: dict[str, tuple[str, ...]] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return not (self.problems or self.gone or self.reused)


def build(
    corpus: Path,
    *,
    kept: Path | None = None,
    history: Path | None = None,
    retire: Iterable[str] = (),
    step: Step = lambda _done, _all, _name: None,
) -> Built:
    """Writes the corpus, if every case holds to its claims.

    `history` has manifests of old releases that are to be taken in; those that
    the corpus has already stay, or those of `kept`, if it is given. An id that
    is gone has to be in `retire`. Raises `BuildError` if there is no torch, or a
    generator fails.
    """
    before = _all_ids(corpus)
    for id in retire:
        if id not in before:
            raise BuildError(f"no case is called {id}")
    with tempfile.TemporaryDirectory(prefix="torchproof-") as temporary:
        staging = Path(temporary) / "corpus"
        sources = [_generated(Path(temporary) / "generated")]
        sources += _old_releases((kept or corpus) / HISTORY, history)
        built = _judged(sources, staging, step)
        _ids(built, corpus, before, staging, set(retire))
        if built.good:
            _replace(corpus, staging)
    return built


@dataclass(frozen=True)
class _Source:
    """A folder of files with their manifest; `by` is the release that wrote them."""

    folder: Path
    manifest: Manifest
    by: str = ""


def _generated(folder: Path) -> _Source:
    folder.mkdir()
    command = [sys.executable, "-m", "generators.cases", os.fspath(folder)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    # What goes wrong in it, it says itself.
    done = subprocess.run(
        command, env=environment, stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise BuildError("the generators failed, as said above")
    return _Source(folder, _manifest(folder / MANIFEST))


def _manifest(path: Path) -> Manifest:
    return msgspec.json.decode(path.read_bytes(), type=Manifest)


def _old_releases(kept: Path, fresh: Path | None) -> list[_Source]:
    found: dict[str, _Source] = {}
    for path in sorted(kept.glob(f"*/{CASES}")):
        directory = decode(path.read_bytes())
        by = _release(directory.provenance)
        claims = tuple(_claim(case, by) for case in directory.cases)
        manifest = Manifest(directory.provenance, claims, skipped=directory.skipped)
        found[path.parent.name] = _Source(path.parent, manifest, by)
    for path in sorted(fresh.glob(f"*/{MANIFEST}") if fresh else ()):
        manifest = _manifest(path)
        by = _release(manifest.provenance)
        found[path.parent.name] = _Source(path.parent, manifest, by)
    return list(found.values())


def _release(provenance: dict[str, str]) -> str:
    """How answers name it: without the build's own suffix, as in `2.15.0+cu132`."""
    return f"torch {provenance['torch'].partition('+')[0]}"


def _claim(case: Case, by: str) -> Claim:
    """What was claimed of a case that is in the corpus already."""
    answers = [case.expected, *case.alternatives]
    own = next((found for found in answers if found and by in found.by), None)
    if own is not None and own.value is None:
        raise BuildError(f"{case.id}: its release's answer was too long to be kept")
    return Claim(
        id=case.id,
        suffix=Path(case.file).suffix,
        path=case.path,
        shows=case.shows,
        label=case.label,
        family=HISTORY,
        verdict=case.verdict,
        sha256=case.sha256,
        phase=case.phase,
        reason=case.reason,
        flags=case.flags,
        links=case.links,
        encoding=case.encoding,
        answer=msgspec.Raw(msgspec.json.encode(own.value) if own else b""),
        answer_error="" if own else case.refused_by.get(by, "unknown"),
    )


def _judged(sources: list[_Source], staging: Path, step: Step) -> Built:
    built = Built()
    total = sum(len(source.manifest.cases) for source in sources)
    flags: dict[str, str] = {}
    counts: dict[str, int] = {}
    families: Counter[str] = Counter()
    done = 0
    with Reference(timeout=TIMEOUT, memory=MEMORY) as reference:
        about = reference.about()
        if not isinstance(about, dict):
            raise NoTorch(f"torch is {about}")
        built.torch = about["version"].partition("+")[0]
        for source in sources:
            flags |= source.manifest.flags
            directories: dict[str, list[Judged]] = defaultdict(list)
            for claim in source.manifest.cases:
                step(done, total, claim.id)
                done += 1
                file = _file(source, claim)
                judged = judge(claim, file, reference, by=source.by)
                if judged.problems:
                    built.problems[claim.id] = judged.problems
                families[claim.family] += 1
                name = claim.id.rpartition("/")[0]
                directories[name].append(judged)
                target = staging / name / judged.case.file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
                built.nbytes += target.stat().st_size
            for name, members in sorted(directories.items()):
                counts[name] = len(members)
                ordered = sorted(
                    (one.case for one in members), key=lambda case: case.id
                )
                manifest = source.manifest
                text = encode(
                    Directory(
                        FORMAT, name, manifest.provenance, tuple(ordered),
                        manifest.skipped,
                    )
                )  # fmt: skip
                (staging / name / CASES).write_bytes(text)
                built.nbytes += len(text)
    built.cases = total
    index = Index(
        FORMAT, __version__, f"torch {built.torch}", flags, counts,
        dict(sorted(families.items())),
    )  # fmt: skip
    (staging / INDEX).write_bytes(encode_index(index))
    (staging / SCHEMA).write_bytes(schema() + b"\n")
    return built


def _file(source: _Source, claim: Claim) -> Path:
    """A generator keeps files by id; a directory of the corpus has them flat."""
    nested = source.folder / (claim.id + claim.suffix)
    return nested if nested.exists() else source.folder / nested.name


def _ids(
    built: Built, corpus: Path, before: set[str], staging: Path, retire: set[str]
) -> None:
    """Ids are for ever: none vanishes unnoticed, none comes back."""
    index = read_index(staging)
    if (corpus / INDEX).exists():
        old = read_index(corpus)
        now = _all_ids(staging)
        retired = {*old.retired, *retire}
        built.gone = tuple(sorted(before - now - retired))
        built.reused = tuple(sorted(now & retired))
        index = msgspec.structs.replace(index, retired=tuple(sorted(retired)))
        (staging / INDEX).write_bytes(encode_index(index))


def _all_ids(corpus: Path) -> set[str]:
    return {case.id for _, case in cases(corpus)}


def _replace(corpus: Path, staging: Path) -> None:
    """Puts the new files in place of the old ones, all at once."""
    new = beside(corpus)
    try:
        shutil.copytree(staging, new, dirs_exist_ok=True)
        for paper in (corpus / "README.md", corpus / "LICENSE"):
            if paper.is_file():
                shutil.copyfile(paper, new / paper.name)
        new.chmod(0o755)
        swap(new, corpus)
    finally:
        shutil.rmtree(new, ignore_errors=True)

"""What targets raised: the smallest input for each signature, on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

#: Characters of a message that are kept.
MESSAGE: Final = 2_000


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An input that broke an invariant, beside its bytes (`file`).

    `signature` is what it has in common with others of the same cause,
    `message` what was said of this very input.
    """

    target: str
    signature: str
    message: str
    file: str
    size: int


class Findings:
    """A folder with a folder for each target; any number of processes may add."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, target: str, signature: str, message: str, data: bytes) -> bool:
        """Keeps the input if it is the first or the smallest of its signature."""
        folder = self.folder / target
        name = _hash(signature.encode())
        kept = folder / f"{name}.json"
        old = _read(kept)
        if old is None:
            folder.mkdir(parents=True, exist_ok=True)
        elif old.size <= len(data):
            return False
        # Named by what is in it, so that whoever is last to write the finding,
        # it names bytes that are its own.
        file = f"{name}-{_hash(data)}.bin"
        _write(folder / file, data)
        finding = Finding(target, signature, message[:MESSAGE], file, len(data))
        _write(kept, msgspec.json.format(msgspec.json.encode(finding), indent=1))
        if old is not None and old.file != file:
            (folder / old.file).unlink(missing_ok=True)
        return True

    def of(self, target: str) -> Iterator[Finding]:
        """Every finding of one target."""
        for path in sorted((self.folder / target).glob("*.json")):
            finding = _read(path)
            if finding is not None:
                yield finding

    def path(self, finding: Finding) -> Path:
        """Where its bytes are."""
        return self.folder / finding.target / finding.file

    def __iter__(self) -> Iterator[tuple[Finding, bytes]]:
        """Every finding with its bytes, by target and name."""
        for folder in sorted(path for path in self.folder.glob("*") if path.is_dir()):
            for finding in self.of(folder.name):
                yield finding, self.path(finding).read_bytes()


def described(error: BaseException) -> str:
    """What an exception says, after its type."""
    try:
        words = str(error)
    except Exception as other:  # noqa: BLE001 (its class is not ours)
        words = f"(no words: its __str__ raises {type(other).__name__})"
    return f"{type(error).__name__}: {words}"[:MESSAGE]


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _read(path: Path) -> Finding | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Finding)
    except FileNotFoundError:
        return None


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_bytes(data)
    os.replace(beside, path)

"""A cluster as a case of the corpus: a file, and beside it what is claimed of it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .facts import LOADS, NOT_ASKED, Facts

#: Where a pair becomes a case, and where a file is only replayed.
CASES: Final = "generators/cases/wrong/finds"
REGRESSIONS: Final = "tests/fuzz/regressions"

#: Targets whose inputs are no files that a reader of checkpoints opens.
NO_FILES: Final = frozenset({"folder", "roundtrip"})

#: The reason of a case that a row of the ledger has to explain.
LEDGER: Final = "ledger"

#: Characters of a signature that go into a name.
WORDS: Final = 48

#: Paths that say more come first: what a file calls, then what else it does.
_TELLING: Final = (
    re.compile(r"torch\._utils\._rebuild_"),
    re.compile(r"(?!collections\.OrderedDict$)[\w.]+$"),
    re.compile(r"persistent-id:(?!storage)"),
    re.compile(r"build:"),
    re.compile(r"global:"),
    re.compile(r"persistent-id:|collections\."),
)


@dataclass(frozen=True, slots=True)
class Case:
    """What is proposed for one cluster.

    `target`, `signature`, `count` and `before` (the size in bytes of the smallest
    finding) are the cluster's; `data` is what was made of it, in `asked`
    judgements; `complete` if the budget was enough. `command` shows it again, given
    the file.
    """

    target: str
    signature: str
    count: int
    before: int
    data: bytes
    asked: int
    complete: bool
    facts: Facts
    command: str

    @property
    def name(self) -> str:
        """The same for the same target and signature; safe as the name of a file."""
        text = f"{self.target} {self.signature}".lower()
        words = "_".join(re.findall(r"[a-z0-9]+", text.replace("weights_only", "")))
        if len(words) > WORDS:
            words = words[:WORDS].rpartition("_")[0]
        digest = hashlib.sha256(f"{self.target} {self.signature}".encode())
        return f"{words}_{digest.hexdigest()[:8]}"

    @property
    def file(self) -> str:
        """`.pt` if a reader of checkpoints would open it."""
        return self.name + (".bin" if self.target in NO_FILES else ".pt")

    @property
    def replay(self) -> str:
        """The command that shows it again, beside the file."""
        return f"{self.command} {self.file}"

    @property
    def undisclosed(self) -> bool:
        """Whether it shows a defect of torch that is not to be published yet."""
        return self.facts.secret

    @property
    def path(self) -> str:
        """One of the paths that the file exercises, the most telling."""
        if self.phase == "container":
            return self._container
        for telling in _TELLING:
            for path in self.facts.paths:
                if telling.match(path):
                    return path
        opcodes = [path for path in self.facts.paths if path.startswith("opcode:")]
        return opcodes[-1] if opcodes else self._container

    @property
    def _container(self) -> str:
        known = (path for path in self.facts.paths if path.startswith("container:"))
        guess = "zip" if self.data[:2] == b"PK" else "pickle"
        return next(known, f"container:{guess}")

    @property
    def verdict(self) -> str:
        """`valid` if torch loads it, `invalid` if not; `either` if modes differ.

        Only `weights_only=True` may refuse what is valid.
        """
        said = {mode.name: mode.torch for mode in self.facts.modes}
        if set(said.values()) <= {NOT_ASKED}:
            said = {mode.name: mode.ours for mode in self.facts.modes}
        loads = {name for name, word in said.items() if word == LOADS}
        explained = any(mode.row for mode in self.facts.modes)
        if self.facts.defects or explained:
            return "either"
        if not loads:
            return "invalid"
        full = {name for name in said if name.startswith("full")}
        return "valid" if full <= loads else "either"

    @property
    def phase(self) -> str:
        """Where an invalid file goes wrong; where we take it, a guess."""
        if self.facts.phase is not None:
            return self.facts.phase
        return (
            "rebuild"
            if any("_rebuild_" in name for name in self.facts.paths)
            else "pickle"
        )


def write(case: Case, folder: Path) -> None:
    """The file and, if it can be a case, its claims; see `toml`."""
    (folder / case.file).write_bytes(case.data)
    if case.target not in NO_FILES:
        path = folder / f"{case.name}.toml"
        path.write_text(toml(case), encoding="utf-8")


def toml(case: Case) -> str:
    """The claims, and what is known beside them."""
    lines = [f"# {line}".rstrip() for line in HEAD.splitlines()]
    claims: dict[str, str | bool] = {
        "shows": _shows(case),
        "path": case.path,
        "verdict": case.verdict,
    }
    if case.verdict == "invalid":
        claims["phase"] = case.phase
    if case.verdict == "either":
        claims["reason"] = LEDGER
    if case.undisclosed:
        claims["undisclosed"] = True
        lines += [f"# {line}".rstrip() for line in WARNING.splitlines()]
    lines += ["", *(f"{name} = {_text(value)}" for name, value in claims.items())]
    found = {
        "target": case.target,
        "signature": case.signature,
        "replay": case.replay,
        "ours": case.facts.ours,
        "torch": case.facts.torch,
    }
    lines += [
        "",
        "[found]",
        *(f"{name} = {_text(value)}" for name, value in found.items()),
    ]
    return "\n".join(lines) + "\n"


def _shows(case: Case) -> str:
    """A sentence to begin with."""
    if case.facts.defects:
        return f"A file at which torch {', '.join(case.facts.defects)}."
    if case.facts.torch == NOT_ASKED:
        return "A file that broke a promise of our reader."
    return {
        "valid": "torch loads this file, and so must a reader.",
        "invalid": "torch refuses this file, and so must a reader.",
        "either": "The modes of torch do not agree about this file.",
    }[case.verdict]


def _text(value: str | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # TOML takes JSON's escapes, and wants one more.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


HEAD: Final = """\
Found by fuzzing, made small by `torchproof fuzz triage`. Say in `shows` what it is
that the file shows, and look whether the rest is right; README.md says what next."""

WARNING: Final = """\

UNDISCLOSED: torch must not behave like that. Neither this file nor the other may
be published, or committed, before PyTorch had a report (SECURITY.md)."""

README: Final = f"""\
# What fuzzing found

One pair of files for each kind of finding: the smallest input that still shows it,
and a `.toml` that says what it is, and by which command it is seen again.

1. Run the command. `torchproof check FILE` shows both readers side by side.
2. If it is a bug of ours, mend it, and keep the input for ever: move it to
   `{REGRESSIONS}/TARGET/`.
3. If torch is wrong, or the two differ on purpose, write a row of
   `conformance/divergences.toml`.
4. If others can learn from it, make it a case of the corpus: say in the `.toml`
   what it shows, move both files to `{CASES}/`, and run
   `torchproof corpus build`. The name of the files is the case's id, for ever.

**Undisclosed.** A `.toml` with `undisclosed = true` is about a file at which torch
crashes, hangs, or shows memory. Do not publish it, and do not commit it: report it
to PyTorch first, as SECURITY.md says. For the ledger, write a function that
builds it (see `generators/cases/divergences/`).

Files that end in `.bin` are inputs of a target, and no checkpoints.
"""

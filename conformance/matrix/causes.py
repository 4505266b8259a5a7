"""What a loader said, or got wrong, in words that are the same for each file with it.

Failures with one cause are one line in a report, and one entry in an expectation
file; so the numbers, names, paths and addresses of one file have no place in it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from conformance.corpus.format import Case
from conformance.parser.dtypes import STORAGE_DTYPES

from .normal import Tensor
from .results import Difference

#: No more of a message tells causes apart.
LENGTH: Final = 120

#: Before its own words torch says what it always says, and some loaders colour theirs.
_ADVICE: Final = re.compile(
    r"(?<=UnpicklingError: ).*WeightsUnpickler error:\s*|\x1b\[[0-9;]*m", re.DOTALL
)
_GLOBAL: Final = re.compile(r"\bGLOBAL [\w.]+")
_LATER_LINES: Final = re.compile(r"\s*\n.*", re.DOTALL)
_QUOTED: Final = re.compile(
    r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|`([^`]*)`|\u201c([^\u201d]*)\u201d"
)
_PATH: Final = re.compile(
    r"(?<![\w.])(?:[A-Za-z]:)?[\\/][^\s:,;'\")]*[\\/][^\s:,;'\")]*"
)
_DIGITS: Final = re.compile(r"\b(?:0[xX])?[0-9a-fA-F]{12,}\b|\b0[xX][0-9a-fA-F]+\b")
_NUMBER: Final = re.compile(r"(?<![\w.])[-+]?\d[\d_.]*(?:[eE][-+]?\d+)?(?![\w])")
_ROW: Final = re.compile(r"\bN(?:(?:, ?| )N\b)+,?")


def template(message: str, kept: Collection[str] = ()) -> str:
    """A message without what it says of one file alone.

    What it quotes is left out, but for the words in `kept`.
    """

    def quoted(found: re.Match[str]) -> str:
        return found[0] if next(filter(None, found.groups()), "") in kept else "'...'"

    text = _LATER_LINES.sub("", _ADVICE.sub("", message).strip())
    text = _GLOBAL.sub("GLOBAL ...", _QUOTED.sub(quoted, text))
    text = _PATH.sub("PATH", text)
    text = _NUMBER.sub("N", _DIGITS.sub("N", text))
    return _ROW.sub("N", text)[:LENGTH].strip()


def words(case: Case) -> frozenset[str]:
    """What a message may quote that is said of more files: what the pickle calls."""
    return _STORAGES | {
        part
        for name in (*case.calls, case.path)
        for part in (name, name.rpartition(".")[2])
    }


_STORAGES: Final = frozenset({*STORAGE_DTYPES, "UntypedStorage", "TypedStorage"})


def of_tensor(difference: Difference, tensor: Tensor | None, case: Case) -> str:
    """Why a tensor that is expected is another, or is not there."""
    if tensor is None:
        return "a tensor too many"
    if difference.fact == "there":
        kind = tensor.type.rpartition(".")[2] or "tensor"
        inside = tensor.inside.rpartition(".")[2]
        return f"{kind} in {inside} is missing" if inside else f"{kind} is missing"
    if difference.fact == "dtype":
        return f"dtype {difference.found}, not {difference.expected}"
    if difference.fact == "sharing":
        return "sharing"
    traits = [*tensor.traits, *(["big-endian"] if "big-endian" in case.flags else [])]
    return f"{difference.fact} of {', '.join(traits) or tensor.dtype}"

"""Files that fuzzing found: a pair in `finds/` is a case.

`NAME.pt` is the file, and `NAME.toml` says what is claimed of it: fields of
`registry.Case`, `path` and `shows` among them. Its table `found` tells how the file
came here, and is for people. `torchproof fuzz triage` writes such pairs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..registry import written

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER: Final = Path(__file__).parent / "finds"

#: What may be claimed of a find; the rest is the same for all of them.
CLAIMS: Final = frozenset(
    {"path", "shows", "verdict", "phase", "reason", "flags", "links", "encoding"}
)


def register(folder: Path) -> None:
    """A case for each pair in the folder, by name.

    Raises `ValueError` for a claim that there is not, and for a file that must
    not be published yet: that one is for a function in `divergences/`.
    """
    for path in sorted(folder.glob("*.toml")):
        claims = tomllib.loads(path.read_text(encoding="utf-8"))
        claims.pop("found", None)
        if claims.pop("undisclosed", False):
            raise ValueError(
                f"{path} is undisclosed: a file that breaks torch is not kept here "
                "before its maintainers had a report (SECURITY.md)"
            )
        if not claims.keys() <= CLAIMS:
            raise ValueError(f"{path} claims {sorted(claims.keys() - CLAIMS)}")
        for name in ("flags", "links"):
            claims[name] = tuple(claims.get(name, ()))
        case = _reading(path.with_suffix(".pt"), claims.pop("shows"))
        written(claims.pop("path"), label="built", directory="found", **claims)(case)


def _reading(file: Path, shows: str) -> Callable[[], bytes]:
    def case() -> bytes:
        return file.read_bytes()

    case.__name__, case.__doc__ = file.stem, shows
    return case


register(FOLDER)

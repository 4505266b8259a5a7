"""The list of cases, and the decorators that fill it.

A case is one file. `saved` makes one of a function that returns a value for
`torch.save`, `written` one of a function that returns the file's bytes:

    @saved("torch._utils._rebuild_tensor_v2", formats=(ZIP, LEGACY))
    def transposed() -> object:
        \"\"\"A 2-D tensor transposed: stride (1, 3).\"\"\"
        return torch.arange(6.0).reshape(2, 3).t()

The function's name is the name of the case and its docstring the sentence that
says what it shows. With `each`, one function makes a case for every row of a
table; docstring and path may then name the function's arguments in braces.

The first argument is the *path* that the case exercises. The file is searched
for it afterwards (`conformance/corpus/paths.py`); what does not hold fails.
A path is spelled

- `torch._utils._rebuild_tensor_v2`, a full name: the pickle calls it (REDUCE,
  NEWOBJ, OBJ or INST);
- `global:torch.float16`: the pickle names it;
- `build:torch.Tensor`: BUILD gives a state to a value of this type;
- `persistent-id:storage`, `:view`, `:module`, `:number`;
- `opcode:LONG4`;
- `container:zip`, `legacy`, `tar`, `torchscript`, `pickle`, `distcp`,
  `distributed`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..saving import Format, save
from .flags import FLAGS

#: `native`: torch wrote the file as it is; `repacked`: torch wrote it, and then
#: its container was changed; `built`: made by hand.
Label = Literal["native", "repacked", "built"]

#: `valid`: a reader must load it; `invalid`: it must refuse it; `either`: it may
#: do one or the other, as torch's modes or releases do.
Verdict = Literal["valid", "invalid", "either"]

#: Where an invalid file goes wrong.
Phase = Literal["container", "pickle", "rebuild"]

#: The reason of an `either` case that the divergence ledger explains.
LEDGER: Final = "ledger"

# The formats that cases name; what they are called in the names of files.
ZIP: Final = Format()
LEGACY: Final = Format(container="legacy")
PROTOCOL_3: Final = Format(protocol=3)
PROTOCOL_4: Final = Format(protocol=4)
PROTOCOL_5: Final = Format(protocol=5)
LEGACY_4: Final = Format(container="legacy", protocol=4)
NO_CRC: Final = Format(crc32=False)

NAMES: Final[dict[Format, str]] = {
    ZIP: "",
    LEGACY: ".legacy",
    PROTOCOL_3: ".protocol3",
    PROTOCOL_4: ".protocol4",
    PROTOCOL_5: ".protocol5",
    LEGACY_4: ".legacy4",
    NO_CRC: ".no_crc",
}


@dataclass(frozen=True)
class Case:
    """One file of the corpus: how to make it, and what is claimed of it.

    `id` is the file's path in the corpus without its suffix, and permanent.
    `phase` is for an invalid case, `reason` for one that may go either way.
    `flags` are explained in `flags.py`; `links` lead to
    the threads in which people met the bug. `encoding` is what `torch.load`
    has to be given to read it. An `undisclosed` case is built by the tests and
    never kept.
    """

    id: str
    suffix: str
    path: str
    shows: str
    label: Label
    family: str
    make: Callable[[], bytes] = field(repr=False)
    verdict: Verdict = "valid"
    phase: Phase | None = None
    reason: str = ""
    flags: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    encoding: str = "utf-8"
    undisclosed: bool = False

    @property
    def file(self) -> str:
        """The file's path in the corpus."""
        return self.id + self.suffix


#: Every case by its id, in the order in which they are registered.
CASES: Final[dict[str, Case]] = {}

_LOWER: Final[set[str]] = set()

Rows = Mapping[str, Sequence[Any]]


def saved(
    path: str,
    *,
    formats: Sequence[Format] = (ZIP,),
    each: Rows | None = None,
    directory: str | None = None,
    suffix: str = ".pt",
    **claims: Any,
) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """A case for each format: a file in which `torch.save` keeps the value.

    `directory` is that of the path (`directory_of`) if nothing else is said;
    `claims` are fields of `Case`.
    """

    def register(function: Callable[..., object]) -> Callable[..., object]:
        for name, arguments, texts in _rows(function, each):
            for format in formats:
                make = _saving(function, arguments, format)
                _add(
                    function, name + NAMES[format], texts, path, directory, suffix,
                    make, label="native", **claims,
                )  # fmt: skip
        return function

    return register


def written(
    path: str,
    *,
    label: Label,
    each: Rows | None = None,
    directory: str | None = None,
    suffix: str = ".pt",
    **claims: Any,
) -> Callable[[Callable[..., bytes]], Callable[..., bytes]]:
    """A case whose function returns the bytes of the file."""

    def register(function: Callable[..., bytes]) -> Callable[..., bytes]:
        for name, arguments, texts in _rows(function, each):
            make = _writing(function, arguments)
            _add(
                function, name, texts, path, directory, suffix, make,
                label=label, **claims,
            )  # fmt: skip
        return function

    return register


def directory_of(path: str, family: str) -> str:
    """Rebuild functions have a directory each; the rest is kept by family."""
    found = re.search(r"\._(rebuild_\w+)$", path)
    return found[1] if found else family


def _rows(
    function: Callable[..., Any], each: Rows | None
) -> list[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    name = function.__name__
    if each is None:
        return [(name, (), {})]
    signature = inspect.signature(function)
    return [
        (f"{name}_{key}", tuple(row), {"key": key, **signature.bind(*row).arguments})
        for key, row in each.items()
    ]


def _saving(
    function: Callable[..., object], arguments: tuple[Any, ...], format: Format
) -> Callable[[], bytes]:
    return lambda: save(function(*arguments), format)


def _writing(
    function: Callable[..., bytes], arguments: tuple[Any, ...]
) -> Callable[[], bytes]:
    return lambda: function(*arguments)


def _add(
    function: Callable[..., Any],
    name: str,
    texts: dict[str, Any],
    path: str,
    directory: str | None,
    suffix: str,
    make: Callable[[], bytes],
    **claims: Any,
) -> None:
    family = claims.pop("family", function.__module__.rpartition(".")[2])
    if not function.__doc__:
        raise ValueError(f"{name} does not say what it shows")
    shows = inspect.cleandoc(function.__doc__).replace("\n", " ")
    if texts:
        path, shows = path.format(**texts), shows.format(**texts)
    case = Case(
        f"{directory or directory_of(path, family)}/{name}",
        suffix, path, shows, family=family, make=make, **claims,
    )  # fmt: skip
    # Some file systems do not tell capitals from small letters.
    if case.id.lower() in _LOWER:
        raise ValueError(f"two cases are called {case.id}, but for capitals")
    if (case.phase is None) == (case.verdict == "invalid"):
        raise ValueError(f"{case.id}: a phase is what an invalid case has")
    if bool(case.reason) != (case.verdict == "either"):
        raise ValueError(f"{case.id}: a reason is what an `either` has")
    unknown = set(case.flags) - FLAGS.keys()
    if unknown:
        raise ValueError(f"{case.id}: flags.py does not explain {unknown}")
    CASES[case.id] = case
    _LOWER.add(case.id.lower())

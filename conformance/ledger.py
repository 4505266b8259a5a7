"""The divergence ledger: where torch and we differ on purpose, and why.

`divergences.toml` is the one list. A row says what torch does, what we do and
why, and by which words such a divergence is known again; every row has cases
in the corpus, and the tests fail when one of them no longer
diverges, or when something diverges that no row explains.
"""

from __future__ import annotations

import contextlib
import functools
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from conformance.check import ModeResult
from conformance.corpus.stream import opcodes_of
from conformance.corpus.unrolled import unrolled
from conformance.parser import CheckpointError, Trace, load
from conformance.parser.globals import WEIGHTS_ONLY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DATA: Final = "divergences.toml"


@dataclass(frozen=True, slots=True)
class Row:
    """A known divergence.

    `torch`, `ours` and `why` are for people; `versions` are the releases of
    torch in which it was seen. The row explains a result whose mode is among
    `modes` and whose verdict is among `verdicts`, if torch's answer matches
    `torch_says`, ours matches `ours_says`, and every difference that is shown
    matches `differs` (regular expressions, searched; empty ones always match),
    and if all of `when` is true of the file (see `facts`). Of several
    such rows only those explain that `yields` least. The cases, by their ids, of
    an `undisclosed` row are not among the committed files.
    """

    id: str
    torch: str
    ours: str
    why: str
    versions: str
    modes: tuple[str, ...]
    verdicts: tuple[str, ...]
    cases: tuple[str, ...]
    torch_says: str = ""
    ours_says: str = ""
    differs: str = ""
    when: tuple[str, ...] = ()
    yields: int = 0
    link: str = ""
    undisclosed: bool = False

    def matches(self, result: ModeResult) -> bool:
        """Whether the result reads like this divergence, whatever the file is."""
        return (
            result.mode in self.modes
            and result.verdict.value in self.verdicts
            and bool(re.search(self.torch_says, result.torch or ""))
            and bool(re.search(self.ours_says, result.ours or ""))
            and all(re.search(self.differs, str(found)) for found in result.differences)
        )


@functools.cache
def rows() -> dict[str, Row]:
    """Every row by its id, in the order of the file."""
    text = (resources.files("conformance") / DATA).read_text(encoding="utf-8")
    found: dict[str, Row] = {}
    for table in tomllib.loads(text)["divergence"]:
        row = Row(**{name: _frozen(value) for name, value in table.items()})
        if row.id in found:
            raise ValueError(f"two rows are called {row.id}")
        found[row.id] = row
    return found


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def explaining(file: str, result: ModeResult) -> list[str]:
    """The ids of all rows that explain a divergence; more than one is one too many."""
    found = [row for row in rows().values() if row.matches(result)]
    if any(row.when for row in found):
        known = facts(file)
        found = [row for row in found if known.issuperset(row.when)]
    least = min((row.yields for row in found), default=0)
    return [row.id for row in found if row.yields == least]


def explain(file: str, result: ModeResult) -> str | None:
    """The id of the row that explains a divergence, or `None`."""
    return next(iter(explaining(file, result)), None)


def reason(name: str) -> str:
    """In one line, why torch and we differ; empty for a row that is not there."""
    row = rows().get(name)
    return "" if row is None else row.why


#: Parts of a value, or places of a memo, that take longer than anybody waits.
_MANY: Final = 1 << 20


def facts(file: str) -> set[str]:
    """What is true of a file, in the words that rows use.

    Its containers (`legacy`, `pickle`, `torchscript`, ...), `big-endian`, the
    full names of all that it calls, `kept call` if we know what one of them makes
    and yet keep an inert object, and `kept` with the module of each of these;
    `far memo` if a value goes to a place in the memo beyond all others,
    `frame crossed` if an opcode lies on both sides of a frame's end; `repeating` if
    a value has its parts so often that nobody can visit each of them; `class of
    torch` if it calls a class that torch's list allows and we keep inert; of a zip
    archive also `deflated` (a storage is) and `shared record` (two records have
    the same bytes).
    """
    trace = Trace(pickles=[])
    with contextlib.suppress(CheckpointError):
        load(file, weights_only=False, trace=trace)
    pickles = trace.pickles or ()
    packed = "tar" in trace.containers or _ends_as_zip(file)
    every = (*pickles, *(_records(file) if packed else _stream(file)))
    return {
        *trace.containers,
        *trace.calls,
        *(("kept call",) if trace.kept else ()),
        *(f"kept {name.rpartition('.')[0]}" for name in trace.kept),
        *(("frame crossed",) if any(map(_crosses, pickles)) else ()),
        *(("repeating",) if any(unrolled(data) > _MANY for data in every) else ()),
        *(("far memo",) if any(map(_reaches_far, every)) else ()),
        *(("class of torch",) if _KEPT_CLASSES.intersection(trace.calls) else ()),
        f"{trace.byteorder}-endian",
        *_zip_facts(file),
    }


#: Classes that torch's list allows, and of which we know the name alone.
_KEPT_CLASSES: Final = frozenset(
    name
    for name in WEIGHTS_ONLY
    if name.startswith(("torch.distributed.", "torch._dynamo."))
)


def _ends_as_zip(file: str) -> bool:
    with contextlib.suppress(*_NO_ZIP):
        return zipfile.is_zipfile(file)
    return True


def _stream(file: str) -> Iterator[bytes]:
    """The pickles of a stream, whether a reader would come to them or not."""
    data = Path(file).read_bytes()
    start = 0
    with contextlib.suppress(CheckpointError):
        while start < len(data):
            *_, (_, _, stop) = opcodes_of(data, start)
            yield data[start:stop]
            start = stop
    # As far as it can be taken apart, the last one too.
    yield data[start:]


def _records(file: str) -> Iterator[bytes]:
    """Likewise of an archive; no more of it than the file has bytes."""
    most = Path(file).stat().st_size
    with contextlib.suppress(*_NO_ZIP), zipfile.ZipFile(file) as archive:
        for record in archive.infolist():
            if record.filename.endswith("/data.pkl") and record.file_size < most:
                yield archive.read(record)


def _reaches_far(pickle: bytes) -> bool:
    with contextlib.suppress(CheckpointError, ValueError):
        for row, start, stop in opcodes_of(pickle):
            argument = pickle[start + 1 : stop]
            if row.name == "PUT" and int(argument) > _MANY:
                return True
            if row.name == "LONG_BINPUT" and int.from_bytes(argument, "little") > _MANY:
                return True
    return False


def _crosses(pickle: bytes) -> bool:
    end = 0
    with contextlib.suppress(CheckpointError):
        for row, start, stop in opcodes_of(pickle):
            if start < end < stop:
                return True
            if row.name == "FRAME":
                end = stop + int.from_bytes(pickle[start + 1 : stop], "little")
    return False


#: zipfile has an error of its own only for some of what may be wrong.
_NO_ZIP: Final = (
    *(zipfile.BadZipFile, NotImplementedError, ValueError, struct.error),
    *(EOFError, OSError, RuntimeError, zlib.error),
)


def _zip_facts(file: str) -> set[str]:
    try:
        with zipfile.ZipFile(file) as archive:
            records = archive.infolist()
    except _NO_ZIP:
        return set()
    found = set()
    if any("/data/" in record.filename and record.compress_type for record in records):
        found.add("deflated")
    if len({record.header_offset for record in records}) < len(records):
        found.add("shared record")
    return found

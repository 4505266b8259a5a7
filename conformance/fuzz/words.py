"""The dictionary: what the mutator may put into a file, as plain data."""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Words:
    """What pickles and containers are made of.

    `globals` are (module, name); `pieces` runs of opcodes that leave one value
    on the stack and need none, taken from real pickles; `strings` the strings
    that mean something to a reader: locations, keys, byte orders, encodings;
    `records` names of records in an archive, without the root.
    """

    globals: tuple[Name, ...] = ()
    pieces: tuple[bytes, ...] = ()
    strings: tuple[str, ...] = ()
    records: tuple[str, ...] = ()


#: Of each opcode that ends a piece, how many kinds of pieces are kept.
_KINDS: Final = 80
#: Bytes of a pickle from which pieces are taken; longer ones have no others.
_PICKLE: Final = 3_000
_STRINGS: Final = 300
#: Characters of a string or name, and bytes of a word that libFuzzer takes.
_LONGEST: Final = 64
_DIGITS: Final = 4
#: Of so many archives one is asked for the names of its records.
_ARCHIVES: Final = 10

# ------------------------------------------------------------------------ building
#
# What these functions need is imported by them: whoever has Words needs neither
# the corpus nor the parser.


def build(corpus: Path | None = None) -> Words:
    """The parser's tables and what the corpus is made of; in two or three seconds.

    The same corpus gives the same words.
    """
    from conformance.corpus.format import cases, corpus_folder
    from conformance.corpus.paths import traced

    from .mutation.pickles.stack import split

    names: set[Name] = set(_names_in_tables())
    strings: Counter[str] = Counter()
    records: Counter[str] = Counter()
    pickles: dict[bytes, None] = {}
    folder = corpus_folder() if corpus is None else corpus
    for number, (path, case) in enumerate(cases(folder)):
        pickles.update(dict.fromkeys(traced(path, case.encoding).pickles or ()))
        if number % _ARCHIVES == 0 and case.verdict == "valid":
            records.update(_records(path))
    for pickle in pickles:
        for kind, value in _said(split(pickle)):
            if kind == "global":
                names.add(value)
            else:
                strings[value] += 1
    return Words(
        globals=tuple(sorted(names)),
        pieces=_pieces(pickle for pickle in pickles if len(pickle) <= _PICKLE),
        strings=tuple(sorted(word for word, _ in strings.most_common(_STRINGS))),
        records=tuple(sorted(name for name, count in records.items() if count > 1)),
    )


def cached(path: Path) -> Words:
    """What `build` gives, kept in a file; built anew if what it is made of changed."""
    made_of = _fingerprint()
    with contextlib.suppress(OSError, msgspec.DecodeError):
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        if kept.made_of == made_of:
            return kept.words
    words = build()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(_Kept(made_of, words)))
    return words


class _Kept(msgspec.Struct, frozen=True):
    """`made_of` is the same for the same tables, corpus and builder."""

    made_of: str
    words: Words


def _fingerprint() -> str:
    from conformance.corpus.format import CASES, corpus_folder

    from .mutation.pickles import pieces

    digest = hashlib.sha256(repr(sorted(_names_in_tables())).encode())
    sources = [Path(__file__), Path(pieces.__file__)]
    for path in (*sources, *sorted(corpus_folder().rglob(CASES))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _names_in_tables() -> Iterator[Name]:
    """What the parser knows, and what nobody should."""
    from conformance.parser import globals as known

    from .mutation.pickles import edges

    yield from edges.GLOBALS
    tables = (known.WEIGHTS_ONLY, known.CALLS, known.NEW, known.CONSTANTS)
    for table in tables:
        for full in table:
            module, _, name = full.rpartition(".")
            yield module, name


def _said(ops: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    """The globals that opcodes name, and the short strings that they hold."""
    from .mutation.pickles.spelling import read

    for op in ops:
        told = read(op) if len(op) <= _LONGEST else None
        if told is None:
            continue
        kind, value = told[0].kind, told[1]
        if kind == "global":
            if "".join(value).isascii():
                yield kind, value
        elif kind == "text":
            with contextlib.suppress(UnicodeDecodeError):
                # Not the addresses that are keys in legacy streams.
                if not (value.isdigit() and len(value) > _DIGITS):
                    yield kind, value.decode()


def _pieces(pickles: Iterable[bytes]) -> tuple[bytes, ...]:
    """The shortest of each kind; of every opcode's kinds the most frequent, turn by
    turn for each of its labels."""
    from .mutation.pickles.pieces import pieces

    shortest: dict[tuple[int, str, str], bytes] = {}
    often: Counter[tuple[int, str, str]] = Counter()
    for pickle in pickles:
        for code, kind, label in pieces(pickle):
            key = (code[-1], kind, label)
            if kind == label:
                continue
            often[key] += 1
            known = shortest.get(key)
            if known is None or (len(code), code) < (len(known), known):
                shortest[key] = code
    turns: Counter[tuple[int, str]] = Counter()
    rows = []
    for key, count in sorted(often.items(), key=lambda item: (-item[1], item[0])):
        closer, _, label = key
        turns[closer, label] += 1
        rows.append((closer, turns[closer, label], -count, key))
    kept: Counter[int] = Counter()
    chosen = []
    for closer, _, _, key in sorted(rows):
        kept[closer] += 1
        if kept[closer] <= _KINDS:
            chosen.append(shortest[key])
    return tuple(sorted(set(chosen)))


def _records(path: Path) -> set[str]:
    """The names of an archive's records, without its root; none if it is no archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] for name in archive.namelist()]
    except zipfile.BadZipFile:
        return set()
    return {name for name in names if 0 < len(name) <= _LONGEST}


# ---------------------------------------------------------------- for libFuzzer

#: What begins or ends something, in one container or another.
_SIGNATURES: Final = (
    *(b"PK" + bytes(kind) for kind in ((1, 2), (3, 4), (5, 6), (6, 6), (6, 7), (7, 8))),
    # Of a legacy stream: the magic number and the version, as pickles.
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
    b"\x80\x02M\xe9\x03.",
    b"ustar\x0000",
    b"ustar  \0",
    b"\x80\x02}q\0",
    b"\x80\x04\x95",
)


def dictionary(words: Words) -> str:
    """A dictionary for libFuzzer (`-dict`): opcodes, names, signatures, strings."""
    from conformance.parser.opcodes import OPCODES

    from .mutation.pickles import edges
    from .mutation.pickles.spelling import SPELLINGS, integer, named, write

    numbers = SPELLINGS["int"][:4]
    entries = [
        *_SIGNATURES,
        *(bytes((row.code,)) for row in OPCODES),
        *map(integer, edges.NUMBERS),
        *(write(spelling, 1) for spelling in numbers),
        *map(named, words.globals or edges.GLOBALS),
        *(piece for piece in words.pieces if len(piece) <= _LONGEST // 2),
        *(string.encode("utf-8", "surrogatepass") for string in edges.STRINGS),
        *(string.encode("utf-8", "surrogatepass") for string in words.strings),
        *(name.encode() for name in words.records),
    ]
    lines = [
        '"{}"'.format("".join(f"\\x{byte:02X}" for byte in entry))
        for entry in dict.fromkeys(entries)
        if 0 < len(entry) <= _LONGEST
    ]
    return "\n".join(lines) + "\n"

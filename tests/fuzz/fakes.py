"""Targets with planted bugs, and one without, for the tests of the machinery.

As a program, it is `torchproof` with next to no words, which it need not gather.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Final
from zlib import crc32

from conformance.fuzz.target import Mutate, Target, Violation
from conformance.fuzz.words import Words

WORDS: Final = Words(globals=(("collections", "OrderedDict"),))

#: What no mutant will ever be.
SECRET: Final = b"nobody guesses this"

#: What kills one of the targets, and is a seed of all.
DEADLY: Final = b"another seed"


def seeds() -> Iterable[bytes]:
    return [b"seed", DEADLY]


def mutate(data: bytes, random: Random, words: Words) -> bytes:
    """One byte more, another one, or one less."""
    at = random.randrange(len(data) + 1)
    byte = random.randbytes(random.randrange(2))
    return data[:at] + byte + data[at + random.randrange(2) :]


def lazy(data: bytes, random: Random, words: Words) -> bytes:
    """What it was given."""
    return data


def broken(data: bytes, random: Random, words: Words) -> bytes:
    """Nothing."""
    raise ZeroDivisionError("a mutator must not raise")


def _magic(data: bytes) -> bool:
    """Four steps: luck alone would not find one after the other."""
    for index, byte in enumerate(b"PK\3\4"):
        if data[index : index + 1] != bytes([byte]):
            return False
    return True


def _die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


COUNTED: Final[Counter[str]] = Counter()


def run_empty(data: bytes, thorough: bool) -> None:
    """Nothing happens."""
    COUNTED["magic" if _magic(data) else "not magic"] += 1


def run_violation(data: bytes, thorough: bool) -> None:
    """No input is magic."""
    if _magic(data):
        raise Violation("magic", f"{data[:4]!r} is magic", "the first four bytes")


def run_escape(data: bytes, thorough: bool) -> None:
    """No input escapes, not even from the interpreter."""
    if _magic(data):
        raise SystemExit("magic")


def run_hungry(data: bytes, thorough: bool) -> None:
    """No input is expensive."""
    if _magic(data):
        bytearray(1 << 35)


def run_crash(data: bytes, thorough: bool) -> None:
    """No input kills."""
    if _magic(data):
        _die()


def run_hang(data: bytes, thorough: bool) -> None:
    """No input hangs."""
    if _magic(data):
        while True:
            pass


def run_deadly(data: bytes, thorough: bool) -> None:
    """No seed kills."""
    _magic(data)
    if data == DEADLY:
        _die()


def run_fatal(data: bytes, thorough: bool) -> None:
    """Not everything kills."""
    _magic(data)
    _die()


def run_secret(data: bytes, thorough: bool) -> None:
    """No input is the secret, which comparisons do not give away."""
    _magic(data)
    if len(data) == len(SECRET) and crc32(data) == crc32(SECRET):
        raise Violation("secret", "somebody told")


def run_thorough(data: bytes, thorough: bool) -> None:
    """No input is run thoroughly."""
    _magic(data)
    if thorough:
        raise Violation("thorough", "it was")


def run_parse(data: bytes, thorough: bool) -> None:
    """Nothing but a value or a `CheckpointError` comes of a file."""
    from conformance.parser import CheckpointError, load

    with contextlib.suppress(CheckpointError):
        load(io.BytesIO(data))


def _target(
    name: str, mutate: Mutate = mutate, modules: tuple[str, ...] = (__name__,)
) -> Target:
    return Target(
        name=name,
        run=globals().get(f"run_{name}", run_empty),
        mutate=mutate,
        seeds=seeds,
        max_size=64,
        modules=modules,
        tally=lambda: COUNTED,
    )


empty = _target("empty")
violation = _target("violation")
escape = _target("escape")
hungry = _target("hungry")
crash = _target("crash")
hang = _target("hang")
deadly = _target("deadly")
fatal = _target("fatal")
secret = _target("secret", lazy)
thorough = _target("thorough", lazy)
parse = _target("parse")
unmutable = _target("unmutable", broken)
blind = _target("blind", modules=())


if __name__ == "__main__":
    from conformance import cli
    from conformance.fuzz import lookup

    lookup.default_words = lambda _kept=None: WORDS  # type: ignore[assignment]
    cli.main()

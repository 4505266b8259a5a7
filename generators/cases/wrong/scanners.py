"""Pickles whose calls a scanner for malware does not see, or dies before it says so.

A scanner reads a pickle without running it, and looks for names that do harm;
each file here is of a kind that one is known to have missed. What these files
call does no harm. A reader is safe when it calls nothing that a file names,
however the name is hidden.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ... import handmade
from ...containers import Record, pack
from ...handmade import archive, build, call, legacy, name, storage, tensor
from ..readers.threads import issues, pulls, vulnerabilities
from ..registry import LEDGER, written
from .ambiguous import Records, usual
from .streams import counted, stream, word

INERT: Final = "weights_only=True refuses the name; others may keep the call inert"
CALLS: Final = ("scanner", "forbidden-global", "weights-only-refuses")

PICKLESCAN: Final = "mmaitre314/picklescan"
MODELSCAN: Final = "protectai/modelscan"


def advisories(*ids: str) -> tuple[str, ...]:
    return tuple(f"https://github.com/advisories/{name}" for name in ids)


def linked(
    path: str, rows: Mapping[str, tuple[Any, ...]], *, flags: Sequence[str], **more: Any
) -> Callable[[Callable[..., bytes]], Callable[..., bytes]]:
    """`written` for each of the rows, which begin with links of their own."""

    def register(function: Callable[..., bytes]) -> Callable[..., bytes]:
        for key, (links, *row) in rows.items():
            cve = ("cve",) if any("CVE-" in link for link in links) else ()
            claims = {"links": links, "flags": (*cve, *flags), **more}
            written(path, each={key: row}, **claims)(function)
        return function

    return register


# ---------------------------------------------------------- archives and file names

ZIPS: Final[dict[str, Any]] = {
    "label": "built",
    "directory": "ambiguous",
    "verdict": "either",
    "reason": INERT,
}
ZIP_CALLS: Final = ("ambiguous-zip", "cve", *CALLS)


def calling(callee: str) -> Records:
    """A checkpoint whose pickle calls a function that does no harm."""
    weight = tensor(storage("FloatStorage", 2), (2,))
    return usual(pickle=handmade.dump({"weight": weight, "extra": call(callee, "a")}))


def changed(**more: Any) -> bytes:
    """That checkpoint, with something unusual about its pickle."""
    records = calling("os.path.basename")
    data = records["data.pkl"]
    if isinstance(data, bytes):
        records["data.pkl"] = Record(data, **more)
    return pack(records)


@written(
    "os.path.basename", **ZIPS, flags=ZIP_CALLS, links=vulnerabilities("CVE-2025-1944")
)
def scanner_name() -> bytes:
    """A pickle that calls a function, under another name in its local header."""
    return changed(local={"name": b"archive/notes.txt"})


@written(
    "os.path.basename", **ZIPS, flags=ZIP_CALLS, links=vulnerabilities("CVE-2025-1945")
)
def scanner_flags() -> bytes:
    """A pickle that calls a function, encrypted by its local header alone."""
    return changed(local={"flags": 1})


@written(
    "os.path.basename", **ZIPS, flags=ZIP_CALLS, links=vulnerabilities("CVE-2025-10156")
)
def scanner_checksum() -> bytes:
    """A pickle that calls a function, with a wrong checksum."""
    return changed(crc=0xBAD)


@written(
    "os.path.basename", **{**ZIPS, "reason": LEDGER}, suffix=".bin",
    flags=("cve", *CALLS), links=vulnerabilities("CVE-2025-1889", "CVE-2025-10155"),
)  # fmt: skip
def scanner_suffix() -> bytes:
    """A plain pickle that calls a function, in a file named as a checkpoint is."""
    return handmade.dump({"extra": call("os.path.basename", "a")})


@written(
    "asyncio.events.get_event_loop_policy", **ZIPS, flags=("cve", *CALLS),
    links=vulnerabilities("CVE-2025-10157"),
)  # fmt: skip
def scanner_submodule() -> bytes:
    """A call of a function in a submodule of a module that scanners look for."""
    callee = call("asyncio.events.get_event_loop_policy")
    return handmade.archive({"extra": callee})


# ----------------------------------------------------------- names nobody looked for

HIDDEN: Final[dict[str, Any]] = {
    "label": "built",
    "directory": "forbidden",
    "verdict": "either",
    "reason": INERT,
}

#: Each with its links, as `linked` wants them.
NAMES: Final = {
    "pip": (vulnerabilities("CVE-2025-1716"), "pip.main"),
    "ensurepip": (advisories("GHSA-xp4f-hrf8-rxw7"), "ensurepip._run_pip"),
    "timeit": (advisories("GHSA-v7x6-rv5q-mhwc"), "timeit.timeit"),
    "resolve_name": (advisories("GHSA-vvpj-8cmc-gx39"), "pkgutil.resolve_name"),
    "collect_env": (issues(MODELSCAN, 338), "torch.utils.collect_env.run"),
    "guards": (pulls(MODELSCAN, 313), "torch._dynamo.guards.GuardBuilder.get"),
    "marshal": (pulls(PICKLESCAN, 74), "marshal.loads"),
}


@linked("global:{full}", NAMES, flags=CALLS, **HIDDEN)
def unlisted(full: str) -> bytes:
    """The name {full}, which a scanner's list of harmful names did not have."""
    return archive({"extra": name(full)})


# ------------------------------------------------------------ names that are hidden

HARMLESS: Final = word("torch._utils"), word("_rebuild_tensor_v2")
HARMFUL: Final = word("os"), word("getcwd")


def put(module: bytes, attribute: bytes) -> bytes:
    """BINPUT of two names at 0 and 1."""
    return module + b"q\0" + attribute + b"q\1"


#: STACK_GLOBAL of what is there.
GET: Final = b"h\0h\1\x93"

MEMOS: Final = {
    "put_and_memoize": (
        issues(PICKLESCAN, 14),
        put(*HARMFUL) + b"\x94".join(HARMLESS) + b"\x94" + GET,
        "that BINPUT put into the memo, where MEMOIZE put others",
    ),
    "rewritten": (
        issues(PICKLESCAN, 22),
        put(*HARMLESS) + put(*HARMFUL) + GET,
        "from places in the memo that held a harmless name before",
    ),
    "behind_others": (
        issues(PICKLESCAN, 22),
        put(*HARMFUL) + b"".join(HARMLESS) + b"00" + GET,
        "from the memo, with a harmless name right before it",
    ),
}


@linked("global:os.getcwd", MEMOS, flags=CALLS, **HIDDEN)
def by_memo(program: bytes, what: str) -> bytes:
    """A forbidden function by STACK_GLOBAL of a name {what}."""
    return stream(program)


@written("opcode:BUILD", **{**HIDDEN, "reason": LEDGER},
         flags=(*CALLS, "wrong-target"), links=issues(MODELSCAN, 85))  # fmt: skip
def by_attribute_of_function() -> bytes:
    """BUILD gives a function an attribute, by which GLOBAL then finds a name."""
    given = build(name("numpy.prod"), (None, {"module": "os"}))
    return archive([given, name("numpy.prod.module")])


@written("os.getcwd", **HIDDEN, flags=CALLS)
def called_before_object() -> bytes:
    """A legacy stream that calls a function in a pickle before its object."""
    return legacy({"epoch": 3}, about={"machine": call("os.getcwd")})


# --------------------------------------------------- a call, and then something wrong

CALLED: Final = call("os.getcwd") + pickle.POP

STOPS: Final = {
    "opcode": (pulls(PICKLESCAN, 46), b"\xff", "a byte that is no opcode"),
    "memo": (pulls(MODELSCAN, 348), b"h\7", "an index that is not in the memo"),
    "name_of_ints": (
        pulls(PICKLESCAN, 52),
        b"K\1q\0K\2q\1" + GET,
        "a name of two ints from the memo",
    ),
    "name_of_bytes": (
        pulls(PICKLESCAN, 52),
        counted(b"C", b"os") + counted(b"C", b"getcwd") + b"\x93",
        "a name of bytes",
    ),
    "text": (pulls(PICKLESCAN, 46), counted(b"X", b"\xff"), "text that is no UTF-8"),
    "size": (
        pulls(PICKLESCAN, 46),
        counted(b"X", b"a", 1 << 20),
        "text that ends too soon",
    ),
}


@linked("os.getcwd", STOPS, label="built", directory="forbidden", verdict="invalid",
        phase="pickle", flags=("scanner", "forbidden-global"))  # fmt: skip
def called_then_wrong(program: bytes, what: str) -> bytes:
    """A pickle that calls a function, and goes wrong after it: {what}."""
    return stream(CALLED, b"N", program)

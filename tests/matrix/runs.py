"""Runs that nobody ran: loaders with known faults, and words that want to escape."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone

from conformance.corpus.format import Case
from conformance.loaders.protocol import Fact
from conformance.matrix.results import (
    FORMAT,
    Difference,
    Footer,
    Header,
    Loader,
    Result,
    Run,
    Verdict,
)

#: What would act on a page, a terminal, a table or an XML document.
HOSTILE = (
    "</script><script>window.stolen = 1</script><!-- <img src=x onerror=stolen=1> "
    "\"quoted\" 'twice' & &amp; ]]> | a\\|b `code` \x1b[31mred\x07 \x00 \u202erev "
    "\u2028line\ud800 \ufffe {{ 1 }} @someone #1"
)

WHEN = datetime(2026, 3, 1, 12, 30, tzinfo=timezone.utc)


def case(id: str, path: str, **more: object) -> Case:
    """A case of no file."""
    given = {
        "id": id,
        "file": f"{id.rpartition('/')[2]}.pt",
        "sha256": hashlib.sha256(id.encode()).hexdigest(),
        "shows": f"What {id} shows.",
        "path": path,
        "label": "built",
        "verdict": "valid",
    }
    return Case(**(given | more))  # type: ignore[arg-type]


V2 = "torch._utils._rebuild_tensor_v2"

#: A small corpus: two directories with paths that fail, one where all is well.
CASES = {
    one.id: one
    for one in (
        case("rebuild_tensor_v2/plain", V2),
        case("rebuild_tensor_v2/strided", V2, flags=("non-contiguous",)),
        case(
            "rebuild_tensor_v2/legacy",
            V2,
            containers=("legacy",),
            links=("https://example.org/issues/7", "javascript:stolen=1"),
        ),
        case("rebuild_tensor_v2/cut", V2, verdict="invalid", phase="container"),
        case("dtypes/float64", "global:torch.float64"),
        case("dtypes/int8", "global:torch.int8", verdict="either", reason="Rare."),
        case("scalars/hostile", "builtins.bytes", shows=HOSTILE),
    )
}
FLAGS = {"non-contiguous": "The elements of a tensor do not lie row-major."}


def loader(id: str, facts: Sequence[Fact] = ("dtype", "shape", "data")) -> Loader:
    return Loader(id, id.title(), "1.0", "Python", tuple(facts))


def result(loader: str, case: str, verdict: Verdict, message: str = "") -> Result:
    """Its cause is the message; a wrong one says how."""
    differences: tuple[Difference, ...] = ()
    if verdict is Verdict.WRONG:
        differences = (Difference("layer.weight", "data", "1, 2, 3", "1, 3, 5"),)
        message = ""
    cause = message or ("the data differ" if differences else "")
    total = 3 if differences else 0
    return Result(loader, case, verdict, 0.25, (), message, differences, total, cause)


def run(
    loaders: Iterable[Loader],
    results: Iterable[Result],
    *,
    absent: Mapping[str, str] | None = None,
    complete: bool = True,
) -> Run:
    every = tuple(results)
    header = Header(
        FORMAT,
        "0.1",
        "c0ffee" * 10 + "0000",
        "torch 2.13.0",
        len({one.case for one in every}),
        WHEN,
        "Linux x86_64",
        tuple(loaders),
        dict(absent or {}),
    )
    return Run(header, every, Footer(len(every), 75.0, complete))


def small() -> Run:
    """Three loaders on `CASES`: one perfect, one with faults, one that hardly loads."""
    _, strided, legacy, cut, float64, int8, hostile = CASES
    faults = {
        strided: result("gaps", strided, Verdict.WRONG),
        legacy: result("gaps", legacy, Verdict.REJECTS, "ValueError: no zip"),
        cut: result("gaps", cut, Verdict.ACCEPTS),
        float64: result("gaps", float64, Verdict.MISSING, "w is not there"),
        int8: result("gaps", int8, Verdict.SKIP, "nothing that this loader reports"),
        hostile: result("gaps", hostile, Verdict.CRASH, HOSTILE),
    }
    refusals = {
        legacy: result("no", legacy, Verdict.TIMEOUT, "no answer within 10 s"),
        float64: result("no", float64, Verdict.ERROR, "not the protocol"),
    }
    valid = {id for id, one in CASES.items() if one.verdict == "valid"}
    return run(
        [loader("good"), loader("gaps"), loader("no", ())],
        [
            *(result("good", id, Verdict.PASS) for id in CASES),
            *(faults.get(id, result("gaps", id, Verdict.PASS)) for id in CASES),
            *(
                refusals.get(id, result("no", id, Verdict.REJECTS, "I refuse"))
                if id in valid
                else result("no", id, Verdict.PASS)
                for id in CASES
            ),
        ],
        absent={"far-away": "no module named far_away; pip install far-away"},
    )


# ------------------------------------------------------- a whole corpus, as if run

#: By loader, what it does with a case: the first verdict whose flags, containers or
#: words of the path are the case's.
FAULTS: Mapping[str, Mapping[Verdict, Sequence[str]]] = {
    "all-bits": {},
    "no-strides": {
        Verdict.WRONG: ("non-contiguous", "conj", "neg"),
        Verdict.MISSING: ("_rebuild_parameter",),
        Verdict.REJECTS: ("tar", "sparse", "quantized", "nested", "float64", "int8"),
        Verdict.CRASH: ("bomb",),
    },
    "zip-alone": {
        Verdict.REJECTS: ("legacy", "tar", "torchscript", "device", "objects"),
        Verdict.WRONG: ("big-endian",),
        Verdict.ACCEPTS: ("ambiguous-zip", "truncated"),
    },
    "drops-things": {
        Verdict.MISSING: ("rebuild_from_type", "subclass", "sparse", "dtypes"),
        Verdict.TIMEOUT: ("deep", "doubling"),
        Verdict.ACCEPTS: ("size-lies", "out-of-bounds"),
    },
}


def as_if_run(cases: Mapping[str, Case], copies: int = 1) -> Run:
    """Each loader of `FAULTS`, and copies of it, over a whole corpus."""
    ids = [f"{id}{'' if n == 0 else f'-{n}'}" for n in range(copies) for id in FAULTS]
    results = [
        result(id, one.id, *_answer(id.rstrip("-123456789"), one))
        for id in ids
        for one in cases.values()
    ]
    return run([loader(id) for id in ids], results)


def _answer(loader: str, one: Case) -> tuple[Verdict, str]:
    words = {*one.flags, *one.containers, *one.id.split("/")}
    for verdict, marks in FAULTS[loader].items():
        fits = (verdict is Verdict.ACCEPTS) == (one.verdict == "invalid")
        for mark in marks:
            if fits and (mark in words or mark in one.path):
                return verdict, f"RuntimeError: {mark} is not supported"
    return Verdict.PASS, ""

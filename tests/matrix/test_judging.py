"""A case and an answer -> a verdict, with what was compared and why it failed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from conformance.corpus.format import Answer, Case
from conformance.description import (
    Description,
    Mapping,
    Scalar,
    Storage,
    Tensor,
    to_document,
)
from conformance.loaders.protocol import (
    FACTS,
    Fact,
    FlatTensor,
    Loaded,
    Rejected,
    Skipped,
)
from conformance.loaders.worker import Crash, Hang, OutOfMemory
from conformance.matrix.causes import template, words
from conformance.matrix.judging import Heard, judge
from conformance.matrix.process import Broken
from conformance.matrix.results import Difference, Verdict
from conformance.walk import FlatTensor as Told

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
FLAT: tuple[Fact, ...] = ("dtype", "shape", "data")


def tree(*pairs: tuple[str, str], last: Any = None) -> Description:
    """A dict of float32 tensors of two elements, each on a storage of its own."""
    nodes: list[Any] = [Mapping(type="dict", pairs=[])]
    storages: list[Storage] = []
    for key, digest in pairs:
        nodes[0].pairs.append((len(nodes), len(nodes) + 1))
        nodes += [
            Scalar(type="str", value=key),
            Tensor(
                type="torch.Tensor",
                dtype="float32",
                shape=(2,),
                stride=(1,),
                storage=len(storages),
            ),
        ]
        storages.append(Storage(8, sha256=digest))
    if last is not None:
        nodes[0].pairs.append((len(nodes), len(nodes) + 1))
        nodes += [Scalar(type="str", value="epoch"), last]
    return Description(nodes, storages)


def expecting(description: Description, **fields: Any) -> Answer:
    hashes = [
        Told(f"['{name.value}']", "float32", (2,), storage.sha256)
        for name, storage in zip(
            (node for node in description.nodes if isinstance(node, Scalar)),
            description.storages,
            strict=False,
        )
    ]
    return Answer(("full",), to_document(description), tuple(hashes), **fields)


def case(expected: Answer | None = None, **fields: Any) -> Case:
    usual = {
        "id": "d/x",
        "file": "x.pt",
        "sha256": A,
        "shows": "Something.",
        "path": "torch._utils._rebuild_tensor_v2",
        "label": "native",
        "verdict": "valid",
        "expected": expected,
    }
    return Case(**{**usual, **fields})


TWO = expecting(tree(("w", A), ("b", B)))
NOTHING = expecting(tree(last=Scalar(type="int", value="3")))


def tensor(name: str, digest: str | None = A, **fields: Any) -> FlatTensor:
    told = FlatTensor(name, "float32", ("2",), digest)
    return msgspec.structs.replace(told, **fields)


def loaded(*tensors: FlatTensor) -> Loaded:
    return Loaded("1", tensors)


def verdict(of: Case, answer: Heard, facts: tuple[Fact, ...] = FLAT) -> Verdict:
    return judge(of, answer, facts).verdict


# --------------------------------------------------------------- without a comparison


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("valid", Verdict.REJECTS),
        ("invalid", Verdict.PASS),
        ("either", Verdict.PASS),
    ],
)
def test_a_refusal(kind: str, found: Verdict) -> None:
    judged = judge(case(TWO, verdict=kind), Rejected("1", "Nope: 'w' at 12"), FLAT)
    assert judged.verdict is found
    assert judged.message == "Nope: 'w' at 12"
    assert judged.cause == ("Nope: '...' at N" if kind == "valid" else "")
    assert judged.compared == ()


def test_taking_what_is_invalid() -> None:
    judged = judge(case(verdict="invalid"), loaded(), FLAT)
    assert judged.verdict is Verdict.ACCEPTS
    assert judged.cause == "takes a wrong torch._utils._rebuild_tensor_v2"


@pytest.mark.parametrize("kind", ["valid", "invalid", "either"])
@pytest.mark.parametrize(
    ("answer", "found", "cause"),
    [
        (Skipped("1", "why not"), Verdict.SKIP, ""),
        (Hang(3), Verdict.TIMEOUT, "no answer in time"),
        (OutOfMemory("more than 4,000 MB"), Verdict.CRASH, "out of memory"),
        (Crash(11, 0, ""), Verdict.CRASH, "SIGSEGV"),
        (
            Crash(0, 3, "x\npanic at 0x7f001"),
            Verdict.CRASH,
            "exit status N: panic at N",
        ),
        (Broken("not the protocol: 12"), Verdict.ERROR, "not the protocol: N"),
    ],
)
def test_no_answer_to_compare(
    kind: str, answer: Heard, found: Verdict, cause: str
) -> None:
    judged = judge(case(TWO, verdict=kind), answer, FLAT)
    assert (judged.verdict, judged.cause) == (found, cause)
    assert judged.message


# ------------------------------------------------------------------------ flat lists


def test_the_right_tensors_in_any_order() -> None:
    judged = judge(case(TWO), loaded(tensor("b", B), tensor("w")), FLAT)
    assert judged.verdict is Verdict.PASS
    assert judged.compared == FLAT


def test_a_tensor_that_is_not_there() -> None:
    judged = judge(case(TWO), loaded(tensor("w")), FLAT)
    assert judged.verdict is Verdict.MISSING
    assert judged.differences == (Difference("b", "there", "a tensor", "nothing"),)
    assert judged.cause == "Tensor in dict is missing"


def test_a_tensor_too_many() -> None:
    judged = judge(case(TWO), loaded(tensor("w"), tensor("b", B), tensor("c")), FLAT)
    assert judged.verdict is Verdict.WRONG
    assert judged.differences == (Difference("c", "there", "nothing", "a tensor"),)
    assert judged.cause == "a tensor too many"


def test_under_another_name_is_missing_and_too_many() -> None:
    judged = judge(case(TWO), loaded(tensor("w"), tensor("bias", B)), FLAT)
    assert (judged.verdict, judged.total) == (Verdict.WRONG, 2)


@pytest.mark.parametrize(
    ("fields", "fact", "cause"),
    [
        ({"dtype": "float64"}, "dtype", "dtype float64, not float32"),
        ({"shape": ("1", "2")}, "shape", "shape of float32"),
        ({"sha256": C}, "data", "data of float32"),
    ],
)
def test_a_fact_that_is_wrong(fields: dict[str, Any], fact: Fact, cause: str) -> None:
    bad = loaded(tensor("w"), msgspec.structs.replace(tensor("b", B), **fields))
    judged = judge(case(TWO), bad, FLAT)
    assert (judged.verdict, judged.total, judged.cause) == (Verdict.WRONG, 1, cause)
    assert (judged.differences[0].name, judged.differences[0].fact) == ("b", fact)
    # Nobody is held to what it does not announce ...
    others: tuple[Fact, ...] = tuple(one for one in FLAT if one != fact)
    assert judge(case(TWO), bad, others).compared == others
    assert verdict(case(TWO), bad, others) is Verdict.PASS
    # ... nor to what it does not tell.
    field = "sha256" if fact == "data" else fact
    silent = loaded(tensor("w", **{field: None}), tensor("b", B, **{field: None}))
    assert judge(case(TWO), silent, FLAT).compared == others


def test_wrong_beside_missing_is_wrong() -> None:
    judged = judge(case(TWO), loaded(tensor("w", C)), FLAT)
    assert (judged.verdict, judged.total) == (Verdict.WRONG, 2)
    assert judged.cause == "data of float32"


def test_the_flag_of_the_file_is_in_the_cause() -> None:
    of = case(TWO, flags=("big-endian",))
    judged = judge(of, loaded(tensor("w", C), tensor("b", B)), FLAT)
    assert judged.cause == "data of big-endian"


def test_strides_offsets_and_sharing() -> None:
    facts: tuple[Fact, ...] = ("stride", "sharing")
    w, b = (
        tensor(name, stride=("1",), offset="0", storage=name) for name in ("w", "b")
    )
    judged = judge(case(TWO), loaded(w, b), facts)
    assert (judged.verdict, judged.compared) == (Verdict.PASS, facts)
    for slip, cause in (
        ({"stride": ("2",)}, "stride of float32"),
        ({"offset": "1"}, "stride of float32"),
        ({"storage": "w"}, "sharing"),
    ):
        judged = judge(case(TWO), loaded(w, msgspec.structs.replace(b, **slip)), facts)
        assert (judged.verdict, judged.cause) == (Verdict.WRONG, cause)


def test_sharing_that_is_lost() -> None:
    one = tree(("w", A), ("b", A))
    nodes = [
        msgspec.structs.replace(node, storage=0) if isinstance(node, Tensor) else node
        for node in one.nodes
    ]
    shared = Answer(("full",), to_document(Description(nodes, one.storages[:1])))
    apart = loaded(tensor("w", storage="1"), tensor("b", storage="2"))
    facts: tuple[Fact, ...] = ("sharing",)
    judged = judge(case(shared), apart, facts)
    assert judged.differences == (Difference("b", "sharing", "with w", "not"),)
    together = loaded(tensor("w", storage="1"), tensor("b", storage="1"))
    assert verdict(case(shared), together, facts) is Verdict.PASS


def test_several_of_one_name_are_matched_as_they_fit() -> None:
    twice = expecting(tree(("w", A), ("w", B)))
    assert verdict(case(twice), loaded(tensor("w", B), tensor("w"))) is Verdict.PASS
    assert verdict(case(twice), loaded(tensor("w"), tensor("w"))) is Verdict.WRONG
    assert verdict(case(twice), loaded(tensor("w"))) is Verdict.MISSING


def test_nothing_that_the_loader_reports() -> None:
    judged = judge(case(NOTHING), loaded(), FLAT)
    assert judged.verdict is Verdict.SKIP
    assert "nothing in it" in judged.message
    assert verdict(case(NOTHING), loaded(tensor("x"))) is Verdict.WRONG


def test_what_is_behind_a_tensor_may_be_left_out() -> None:
    sparse = Tensor(
        type="torch.Tensor",
        dtype="float32",
        shape=(2,),
        layout="sparse_coo",
        parts={"values": 1},
    )
    values = Tensor(
        type="torch.Tensor", dtype="float32", shape=(2,), stride=(1,), storage=0
    )
    parts = Description([sparse, values], [Storage(8, sha256=A)])
    of = case(Answer(("full",), to_document(parts)))
    root = tensor("", None)
    assert verdict(of, loaded(root)) is Verdict.PASS
    assert verdict(of, loaded(root, tensor("values"))) is Verdict.PASS
    assert verdict(of, loaded(root, tensor("values", C))) is Verdict.WRONG
    assert verdict(of, loaded(tensor("values"))) is Verdict.MISSING


# ---------------------------------------------------------------------------- either


def test_either_may_be_any_of_the_answers() -> None:
    of = case(
        TWO,
        verdict="either",
        alternatives=(expecting(tree(("w", C), ("b", B))),),
    )
    assert verdict(of, loaded(tensor("w"), tensor("b", B))) is Verdict.PASS
    assert verdict(of, loaded(tensor("w", C), tensor("b", B))) is Verdict.PASS
    judged = judge(of, loaded(tensor("w", B), tensor("b", B)), FLAT)
    assert (judged.verdict, judged.total) == (Verdict.WRONG, 1)
    # A valid file has one answer.
    valid = msgspec.structs.replace(of, verdict="valid")
    assert verdict(valid, loaded(tensor("w", C), tensor("b", B))) is Verdict.WRONG


def test_either_without_an_answer() -> None:
    assert verdict(case(verdict="either"), loaded()) is Verdict.SKIP


# ---------------------------------------------------------------------- descriptions


def whole(description: Description) -> Loaded:
    return Loaded("1", description=to_document(description))


def test_a_description_is_held_to_the_bit() -> None:
    right = tree(("w", A), last=Scalar(type="int", value="3"))
    other = tree(("w", A), last=Scalar(type="int", value="4"))
    of = case(expecting(right))
    judged = judge(of, whole(right), FACTS)
    assert (judged.verdict, judged.compared) == (Verdict.PASS, FACTS)
    judged = judge(of, whole(other), FACTS)
    assert (judged.verdict, judged.cause) == (Verdict.WRONG, "int of a value")
    assert judged.differences == (Difference("['epoch']", "int", "3", "4"),)
    # Who reports no scalars is not held to them.
    assert verdict(of, whole(other)) is Verdict.PASS


def test_a_description_without_a_tensor() -> None:
    judged = judge(case(TWO), whole(tree(("w", A))), FACTS)
    assert judged.verdict is Verdict.MISSING


def test_a_description_where_only_the_list_is_expected() -> None:
    of = case(msgspec.structs.replace(TWO, value=None))
    assert verdict(of, whole(tree(("w", A), ("b", B))), FACTS) is Verdict.PASS
    assert verdict(of, whole(tree(("w", A), ("b", C))), FACTS) is Verdict.WRONG


# ----------------------------------------------------------------------------- causes


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("KeyError: 'model.0.weight'", "KeyError: '...'"),
        ("KeyError: '_rebuild_parameter'", "KeyError: '_rebuild_parameter'"),
        ("no 'FloatStorage' here", "no 'FloatStorage' here"),
        ("bad byte 0x7f at 1024", "bad byte N at N"),
        ("/data/a/b.pt: no such file", "PATH: no such file"),
        (r"C:\tmp\b.pt is gone", "PATH is gone"),
        ("shape (2, 3, 4) and 1.5e-3", "shape (N) and N"),
        ("first line\nsecond 12", "first line"),
        (
            "torch._utils._rebuild_tensor_v2 takes 6",
            "torch._utils._rebuild_tensor_v2 takes N",
        ),
        ("float32 is not int64", "float32 is not int64"),
    ],
)
def test_a_message_without_what_it_says_of_one_file(message: str, cause: str) -> None:
    of = case(calls={"torch._utils._rebuild_parameter": 1})
    assert template(message, words(of)) == cause


def test_a_cause_is_not_long() -> None:
    assert len(template("x" * 1000)) == 120

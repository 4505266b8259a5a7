"""The cases of bugs that people reported, and those of other tables of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

import pytest

from generators.cases import CASES
from generators.cases.readers import reported, reported_views, silent
from generators.cases.registry import LEGACY, ZIP, Case
from generators.cases.writing import bytes_of
from generators.cases.wrong import ambiguous, cut
from generators.saving import save

#: The threads behind the bugs that users of other loaders reported: a row for
#: each bug.
THREADS: Final[tuple[tuple[str, ...], ...]] = (
    ("huggingface/candle/issues/1676", "huggingface/candle/pull/1681"),
    (
        "huggingface/candle/issues/1622",
        "huggingface/candle/pull/3672",
        "tracel-ai/burn/issues/1179",
    ),
    (
        "huggingface/candle/issues/1348",
        "huggingface/candle/issues/2666",
        "tracel-ai/burn/issues/3605",
    ),
    (
        "huggingface/candle/pull/1671",
        "huggingface/candle/issues/1663",
        "huggingface/candle/issues/1104",
    ),
    ("huggingface/candle/pull/1672",),
    ("huggingface/candle/pull/530",),
    ("tracel-ai/burn/issues/5383", "tracel-ai/burn/pull/5392"),
    ("tracel-ai/burn/issues/4896", "tracel-ai/burn/pull/4897"),
    ("tracel-ai/burn/issues/3962",),
    ("tracel-ai/burn/issues/5590", "tracel-ai/burn/pull/5766"),
    ("tracel-ai/burn/issues/5595", "tracel-ai/burn/pull/5664"),
    ("tracel-ai/burn/issues/5712", "tracel-ai/burn/pull/5756"),
    ("tracel-ai/burn/pull/5593",),
    ("tracel-ai/burn/pull/5392",),
    ("tinygrad/tinygrad/pull/13253",),
    ("tinygrad/tinygrad/pull/14771",),
    ("tinygrad/tinygrad/pull/700",),
    (
        "ggml-org/llama.cpp/issues/1842",
        "longyuewangdcu/Chinese-Llama-2/issues/6",
    ),
    (
        "ggml-org/llama.cpp/issues/6779",
        "ggml-org/llama.cpp/issues/1048",
        "GreenBitAI/low_bit_llama/issues/2",
        "ollama/ollama/issues/2515",
    ),
    ("ggml-org/llama.cpp/issues/6071",),
    ("ollama/ollama/issues/5195",),
    (
        "Jittor/jittor/issues/400",
        "Jittor/jittor/pull/445",
        "Jittor/jittor/pull/371",
    ),
    ("PaddlePaddle/PaddleNLP/issues/4699", "PaddlePaddle/PaddleNLP/pull/5128"),
    ("shaltielshmid/TorchSharp.PyBridge/issues/18",),
    ("KerfuffleV2/repugnant-pickle/pull/4",),
    (
        "leejet/stable-diffusion.cpp/pull/289",
        "leejet/stable-diffusion.cpp/issues/855",
        "leejet/stable-diffusion.cpp/issues/1443",
    ),
    ("elixir-nx/bumblebee/issues/62",),
    ("zml/zml/issues/213",),
    (
        "lutzroeder/netron/issues/1302",
        "lutzroeder/netron/issues/1464",
        "lutzroeder/netron/issues/546",
        "lutzroeder/netron/issues/519",
    ),
    ("pytorch/pytorch/issues/67902", "pytorch/pytorch/pull/104027"),
    ("sugarme/gotch/issues/103",),
    (
        "protectai/modelscan/issues/263",
        "advisories/GHSA-w8jq-xcqf-f792",
        "advisories/GHSA-7q5r-7gvp-wc82",
    ),
    ("pytorch/pytorch/issues/184652", "pytorch/pytorch/issues/109791"),
    (
        "safetensors/safetensors/issues/98",
        "safetensors/safetensors/issues/265",
        "huggingface/transformers/issues/38870",
    ),
)

FAMILIES: Final = {
    module.__name__.rpartition(".")[2] for module in (reported, reported_views, silent)
}
CHOSEN: Final = [case for case in CASES.values() if case.family in FAMILIES]


def urls(row: tuple[str, ...]) -> set[str]:
    return {f"https://github.com/{thread}" for thread in row}


def test_there_are_34_bugs() -> None:
    assert len(THREADS) == 34


@pytest.mark.parametrize("row", THREADS, ids=" ".join)
def test_each_bug_has_a_case_with_all_its_threads(row: tuple[str, ...]) -> None:
    assert any(urls(row) <= set(case.links) for case in CHOSEN)


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.id)
def test_a_case_leads_to_threads_or_is_a_finding_of_ours(case: Case) -> None:
    assert case.id.startswith("reported/")
    assert bool(case.links) == ("user-report" in case.flags)
    assert case.links or "silent-failure" in case.flags
    assert set(case.links) <= set().union(*map(urls, THREADS))


# ------------------------------------------------------------- other tables


def test_each_type_of_ambiguous_archive_has_a_case() -> None:
    types = [f"a{n}" for n in range(1, 6)]
    types += [f"b{n}" for n in range(1, 5)] + [f"c{n}" for n in range(1, 6)]
    family = ambiguous.__name__.rpartition(".")[2]
    names = [
        case.id.partition("/")[2] for case in CASES.values() if case.family == family
    ]
    for kind in types:
        assert any(name.startswith(f"{kind}_") for name in names), kind


Walk = Callable[[bytes], Iterator[tuple[str, int]]]


@pytest.mark.parametrize(
    ("file", "walk"),
    [
        pytest.param(save(cut.tree(), ZIP), cut.parts_of_archive, id="archive"),
        pytest.param(save(cut.tree(), LEGACY), cut.parts_of_stream, id="legacy"),
        pytest.param(cut.tar_file(), cut.parts_of_tar, id="tar"),
    ],
)
def test_the_parts_of_a_file_are_in_order_and_fill_it(file: bytes, walk: Walk) -> None:
    places = [*(place for _, place in walk(file)), len(file)]
    assert places[0] == 0
    assert all(one <= two for one, two in pairwise(places))
    assert any(one < two for one, two in pairwise(places))


def test_a_stream_is_cut_at_and_in_each_of_its_parts() -> None:
    parts = [name for name, _ in cut.parts_of_stream(save(cut.tree(), LEGACY))]
    made = {case.shows for case in CASES.values() if case.id.startswith("cut/legacy_")}
    for part in parts:
        assert f"A legacy stream that ends inside {part}." in made
    for part in parts[1:]:
        assert f"A legacy stream that ends before {part}." in made


def test_no_two_cut_files_are_the_same() -> None:
    cuts = [case for case in CASES.values() if case.id.startswith("cut/")]
    lengths = {(case.id.split("_")[0], bytes_of(case)) for case in cuts}
    assert len(lengths) == len(cuts)

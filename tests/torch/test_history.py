"""The gold script of `generators.history`, run with the torch that is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from conformance.description import Description, from_json, to_json
from conformance.loaders import oracle
from generators.history.writing import GOLD


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the gold script writes, and what it says of them."""
    made = tmp_path_factory.mktemp("gold")
    subprocess.run([sys.executable, str(GOLD), str(made), "--values"], check=True)
    return made


def cases(folder: Path) -> list[dict[str, Any]]:
    found = json.loads((folder / "gold.json").read_text("ascii"))
    assert isinstance(found["cases"], list)
    return found["cases"]


def plain(description: Description) -> tuple[list[Any], list[Any]]:
    """Everything in it; unlike the JSON the same whether a default was spelled."""
    text = json.loads(to_json(description))
    return description.nodes, text["storages"]


def test_the_gold_describer_agrees_with_the_oracle(folder: Path) -> None:
    """The answers of old releases are given by the same few lines of code."""
    found = cases(folder)
    assert len(found) > 60
    for case in found:
        path = folder / f"{case['name']}.pt"
        expected = oracle.load(str(path), weights_only=False)
        answer = from_json(json.dumps(case["answer"]))
        assert plain(answer) == plain(expected), case["name"]


def test_what_torch_cannot_do_is_skipped_with_its_own_words(folder: Path) -> None:
    skipped = json.loads((folder / "gold.json").read_text("ascii"))["skipped"]
    assert skipped["complex_parts"].startswith("RuntimeError: Cannot save multiple")
    assert {name for name in skipped if (folder / f"{name}.pt").exists()} == set()

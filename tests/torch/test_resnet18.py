"""ResNet-18, saved four ways: 122 of 122 tensors, each equal in every mode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from conformance import description, parser
from conformance.compare import compare
from conformance.loaders import oracle, ours
from generators import resnet18

TENSORS, COUNTERS, PARAMETERS = 122, 20, 62
PARAMETER = "torch.nn.parameter.Parameter"


class Mode(NamedTuple):
    """A way to call `torch.load`; inert and trusted ones ask for all objects."""

    weights_only: bool
    mmap: bool
    trust: bool


MODES = {
    "weights": Mode(weights_only=True, mmap=False, trust=False),
    "weights-mmap": Mode(weights_only=True, mmap=True, trust=False),
    "inert": Mode(weights_only=False, mmap=False, trust=False),
    "inert-mmap": Mode(weights_only=False, mmap=True, trust=False),
    "trusted": Mode(weights_only=False, mmap=False, trust=True),
    "trusted-mmap": Mode(weights_only=False, mmap=True, trust=True),
}
#: torch maps zip archives only, and `weights_only` refuses whole modules.
LOADS = {
    "resnet18.pth": list(MODES),
    "resnet18_keep_vars.pth": list(MODES),
    "resnet18_module.pth": ["inert", "inert-mmap", "trusted", "trusted-mmap"],
    "resnet18_legacy.pth": ["weights", "inert", "trusted"],
}
CASES = [(name, mode) for name, modes in LOADS.items() for mode in modes]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return resnet18.write(tmp_path_factory.mktemp("resnet18"))


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return resnet18.build()


def named(tree: Any, prefix: str = "") -> Iterator[tuple[str, parser.Tensor]]:
    """The tensors of a state dict, or of an inert module, by their full names."""
    if isinstance(tree, dict):
        yield from ((f"{prefix}{name}", tensor) for name, tensor in tree.items())
        return
    assert isinstance(tree, parser.Object), prefix
    for kind in ("_parameters", "_buffers"):
        for name, tensor in tree.state[kind].items():
            if tensor is not None:
                yield f"{prefix}{name}", tensor
    for name, module in tree.state["_modules"].items():
        yield from named(module, f"{prefix}{name}.")


def octets(tensor: torch.Tensor) -> bytes:
    return tensor.detach().reshape(-1).view(torch.uint8).numpy().tobytes()


def test_the_names_are_these(files: dict[str, Path]) -> None:
    assert files.keys() == LOADS.keys()


@pytest.mark.parametrize("file", LOADS)
def test_every_tensor_has_its_bytes(
    files: dict[str, Path], model: torch.nn.Module, file: str
) -> None:
    """Without the oracle: names, shapes and bytes of the model that was saved."""
    expected = model.state_dict()
    tree = parser.load(files[file], weights_only=file != "resnet18_module.pth")
    found = dict(named(tree))
    assert found.keys() == expected.keys()
    assert len(found) == TENSORS
    assert sum(name.endswith("num_batches_tracked") for name in found) == COUNTERS
    assert len({id(tensor) for tensor in found.values()}) == TENSORS
    for name, tensor in found.items():
        assert tensor.shape == tuple(expected[name].shape), name
        assert tensor.dtype == str(expected[name].dtype).removeprefix("torch."), name
        array = tensor.numpy()
        assert array.shape == tensor.shape, name
        assert array.tobytes() == octets(expected[name]), name


@pytest.mark.parametrize(
    ("file", "parameters"),
    [
        ("resnet18.pth", 0),
        ("resnet18_keep_vars.pth", PARAMETERS),
        ("resnet18_module.pth", PARAMETERS),
        ("resnet18_legacy.pth", 0),
    ],
)
def test_parameters_are_told_from_tensors(
    files: dict[str, Path], model: torch.nn.Module, file: str, parameters: int
) -> None:
    tree = parser.load(files[file], weights_only=file != "resnet18_module.pth")
    found = {name for name, tensor in named(tree) if tensor.type == PARAMETER}
    assert len(found) == parameters
    assert not parameters or found == dict(model.named_parameters()).keys()
    assert all(tensor.requires_grad == (name in found) for name, tensor in named(tree))


@pytest.mark.parametrize(("file", "mode"), CASES)
def test_equal_to_torch(files: dict[str, Path], file: str, mode: str) -> None:
    asked = MODES[mode]
    mine = ours.load(files[file], weights_only=asked.weights_only)
    theirs = oracle.load(str(files[file]), **asked._asdict())
    for found in (mine, theirs):
        tensors = [n for n in found.nodes if isinstance(n, description.Tensor)]
        assert len(tensors) == TENSORS
        assert len(found.storages) == TENSORS
    result = compare(mine, theirs)
    assert result.equal, [str(difference) for difference in result.differences]


def test_weights_only_refuses_the_module(files: dict[str, Path]) -> None:
    """As torch does: the class of the model is no part of the allowlist."""
    with pytest.raises(parser.GlobalNotAllowed, match="ResNet"):
        parser.load(files["resnet18_module.pth"])


def test_the_command_says_what_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resnet18.main([str(tmp_path)])
    said = capsys.readouterr().out
    assert "122 tensors, of them 20 num_batches_tracked, 62 parameters" in said
    for name in LOADS:
        size = (tmp_path / name).stat().st_size
        assert f"{size:,} bytes  {tmp_path / name}" in said


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second = resnet18.build(1).state_dict(), resnet18.build(1).state_dict()
    other = resnet18.build(2).state_dict()
    assert all(octets(first[name]) == octets(second[name]) for name in first)
    assert all(octets(first[name]) != octets(other[name]) for name in first)

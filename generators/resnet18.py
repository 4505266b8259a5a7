"""ResNet-18 with random weights, saved the four ways that people save models.

`python -m generators.resnet18 DIR` writes the four files and says what is in
them. The first three have the same bytes for the same seed and torch; the
legacy stream names its storages by their addresses, so it never has.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import torch

from .vision import models


def build(seed: int = 0) -> torch.nn.Module:
    """torchvision's ResNet-18 where no tensor holds what a reader could guess.

    A fresh model is full of zeros and ones (`running_mean`, `running_var`,
    `num_batches_tracked`): here every float is drawn from a normal
    distribution and every integer from 1 to a million.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: torch.nn.Module = models.resnet18(weights=None)
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.normal_()
            else:
                tensor.random_(1, 1_000_001)
    return model


def _state_dict(model: torch.nn.Module, path: Path) -> None:
    torch.save(model.state_dict(), path)


def _keep_vars(model: torch.nn.Module, path: Path) -> None:
    torch.save(model.state_dict(keep_vars=True), path)


def _module(model: torch.nn.Module, path: Path) -> None:
    torch.save(model, path)


def _legacy(model: torch.nn.Module, path: Path) -> None:
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=False)


#: File name -> how it is written.
WAYS: Final[dict[str, Callable[[torch.nn.Module, Path], None]]] = {
    "resnet18.pth": _state_dict,
    "resnet18_keep_vars.pth": _keep_vars,
    "resnet18_module.pth": _module,
    "resnet18_legacy.pth": _legacy,
}


def write(directory: Path, seed: int = 0) -> dict[str, Path]:
    """Write all four files into `directory`; return their paths by name."""
    directory.mkdir(parents=True, exist_ok=True)
    model = build(seed)
    paths = {name: directory / name for name in WAYS}
    for name, save in WAYS.items():
        save(model, paths[name])
    return paths


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files and say what they hold."""
    parser = argparse.ArgumentParser(
        prog="python -m generators.resnet18", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("directory", type=Path, help="where to write the files")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    paths = write(options.directory, options.seed)
    model = build(options.seed)
    tensors = model.state_dict()
    counters = sum(name.endswith("num_batches_tracked") for name in tensors)
    parameters = len(list(model.parameters()))
    print(
        f"torch {torch.__version__}, seed {options.seed}: {len(tensors)} tensors, "
        f"of them {counters} num_batches_tracked, {parameters} parameters"
    )
    for path in paths.values():
        print(f"{path.stat().st_size:>12,} bytes  {path}")


if __name__ == "__main__":
    main()

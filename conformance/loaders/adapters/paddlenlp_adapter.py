"""PaddleNLP's `load_torch`, of releases that had a reader of their own (to 2.8.1).

Only its module `serialization` is run. What that imports beside numpy (Paddle,
safetensors, the package's own settings) is for other kinds of file, and is
replaced by empty modules: Paddle takes gigabytes.

It runs whatever a file asks for.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from . import serving
else:
    # A script finds what lies beside it.
    import serving

#: The only names of files that `load_torch` takes.
WEIGHTS = "pytorch_model.bin"

#: numpy has no bfloat16, and `load_torch` gives its bits.
BFLOAT16 = "uint16"


def load_torch() -> Callable[[str], Any]:
    """The function, without the package around it."""
    package = importlib.util.find_spec("paddlenlp")
    if package is None or package.origin is None:
        sys.exit("paddlenlp is not installed in this Python")
    for name, members in (
        ("paddle", {}),
        ("safetensors", {"deserialize": None}),
        ("paddlenlp", {}),
        ("paddlenlp.utils", {}),
        (
            "paddlenlp.utils.env",
            {"PYTORCH_WEIGHTS_NAME": WEIGHTS, "SAFE_WEIGHTS_NAME": "none"},
        ),
    ):
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)
    file = Path(package.origin).parent / "utils" / "serialization.py"
    spec = importlib.util.spec_from_file_location("serialization", file)
    if spec is None or spec.loader is None:
        sys.exit(f"there is no {file}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[[str], Any] = module.load_torch
    return function


def load(file: str, _encoding: str | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / WEIGHTS
        link.symlink_to(file)
        found = serving.find(loader(os.fspath(link)), _is_array)
    return {"tensors": [_told(name, array) for name, array in found]}


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _told(name: str, array: np.ndarray[Any, Any]) -> dict[str, Any]:
    dtype = array.dtype.name
    return serving.tensor(
        name,
        array.tobytes(),
        # Its bits are right, and which of the two it is the caller has to know.
        dtype=None if dtype == BFLOAT16 else dtype,
        shape=array.shape,
    )


if __name__ == "__main__":
    loader = load_torch()
    serving.serve(
        load,
        name="PaddleNLP",
        version=importlib.metadata.version("paddlenlp"),
        language="Python",
        facts=("dtype", "shape", "data"),
        homepage="https://paddlenlp.readthedocs.io",
        issues="https://github.com/PaddlePaddle/PaddleNLP/issues",
    )

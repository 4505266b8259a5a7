"""What there is to cover, held against what torch really does."""

from __future__ import annotations

import ast
import collections
import copyreg
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch._weights_only_unpickler
from torch.nested._internal import nested_tensor

from conformance.coverage.denominators import Denominators, ask
from conformance.parser.dtypes import DTYPES
from conformance.parser.opcodes import OPCODES
from generators.denominators import classes, reduces, sources, values


@pytest.fixture(scope="module")
def asked() -> Denominators:
    return ask()


def entries(asked: Denominators, title: str) -> dict[str, tuple[str, ...]]:
    return next(row.entries for row in asked.denominators if row.title == title)


def full_name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


# ------------------------------------------------------------------ rebuild functions


def test_every_rebuild_function_of_a_loaded_module_is_there(
    asked: Denominators,
) -> None:
    """Those in the source are more: of modules that nobody has imported."""
    found = entries(asked, "rebuild functions")
    loaded = {
        f"{name}.{attribute}"
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "torch"
        for attribute, value in list(vars(module).items())
        if attribute.startswith("_rebuild") and value.__module__ == name
    }
    assert len(loaded) > 14
    assert loaded <= found.keys()
    assert "torch._utils._rebuild_xla_tensor" in loaded  # by assignment
    assert all(paths == (name,) for name, paths in found.items())


def test_a_function_in_a_new_file_is_found(tmp_path: Path) -> None:
    package = tmp_path / "torch"
    (package / "new").mkdir(parents=True)
    (package / "new" / "__init__.py").write_text(
        "try:\n    def _rebuild_a(): ...\nexcept OSError:\n    _rebuild_b = None\n"
        "class C:\n    def _rebuild_method(self): ...\n"
    )
    (package / "_utils.py").write_text("async def _rebuild_c(): ...\n")
    assert set(sources.rebuild_functions(package)) == {
        "torch.new._rebuild_a",
        "torch.new._rebuild_b",
        "torch._utils._rebuild_c",
    }


def test_names_at_the_top_of_a_module() -> None:
    text = """
if a:
    x = 1
else:
    y: int = 2
with b:
    def f():
        inner = 3
"""
    assert list(sources.defined(ast.parse(text).body)) == ["x", "y", "f"]


# --------------------------------------------------------------------- reduce methods


def tensors() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dense = torch.eye(3)
        tagged = torch.ones(2)
        tagged.tag = "x"  # type: ignore[attr-defined]
        parameter = torch.nn.Parameter(dense)
        named = torch.nn.Parameter(dense)
        named.tag = "x"  # type: ignore[attr-defined]
        return {
            "plain": dense,
            "v3": torch.ones(2, dtype=torch.uint16),
            "meta": torch.empty(2, device="meta"),
            "quantized": torch.quantize_per_tensor(dense, 1.0, 0, torch.qint8),
            "coo": dense.to_sparse(),
            "csr": dense.to_sparse_csr(),
            "nested": torch.nested.nested_tensor([dense]),
            "attributes": tagged,
            "parameter": parameter,
            "parameter with attributes": named,
            "jagged": torch.nested.nested_tensor([dense], layout=torch.jagged),
            "storage": dense.untyped_storage(),
            "typed storage": torch.TypedStorage([1.0]),
            "uninitialized": torch.nn.UninitializedParameter(),
        }


@pytest.mark.parametrize("kind", tensors())
def test_what_torch_answers_is_a_branch(kind: str, asked: Denominators) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        callee = tensors()[kind].__reduce_ex__(2)[0]
    named = {path for paths in entries(asked, "branches of reduce methods").values()
             for path in paths}  # fmt: skip
    assert full_name(callee) in named


def test_every_return_of_a_tensor_that_names_a_function_is_a_branch(
    asked: Denominators,
) -> None:
    """Counted in another way: by the words after `return (`."""
    source = Path(torch._tensor.__file__).read_text("utf-8")
    body = source[source.index("def _reduce_ex_internal") :]
    body = body[: body.index("\n    def __setstate__")]
    returned = re.findall(r"return \(\s*([\w.]+)", body)
    found = [name for name in entries(asked, "branches of reduce methods")
             if name.startswith("torch.Tensor.__reduce_ex__")]  # fmt: skip
    # One of them names a variable that is set to either of two, and
    # `__reduce_ex__` itself has one more.
    assert returned.count("rebuild_func") == 1
    assert len(found) == len(returned) + 2


def test_jagged_tensors_are_rebuilt_by_a_function_that_is_there(
    asked: Denominators,
) -> None:
    name = full_name(nested_tensor._rebuild_njt)
    assert name in entries(asked, "rebuild functions")
    assert name in entries(asked, "weights_only allowlist")


COPYREG: dict[str, Any] = {
    "builtins.complex": 1j,
    "numpy.ufunc": np.add,
    "numpy._DTypeMeta": np.dtypes.Float64DType,
    "re.Pattern": re.compile("a"),
    "torch.layout": torch.sparse_coo,
    "types.UnionType": int | str,
}


def test_copyreg(asked: Denominators) -> None:
    """What each function of the table answers for a value is among its paths."""
    found = entries(asked, "copyreg")
    assert found.keys() == COPYREG.keys()
    table = {classes.full_name(k): f for k, f in copyreg.dispatch_table.items()}
    for name, value in COPYREG.items():
        answer = table[name](value)
        if isinstance(answer, str):
            assert any(path.endswith(f".{answer}") for path in found[name])
        else:
            assert full_name(answer[0]) in found[name]


def test_a_function_has_the_name_that_old_protocols_give_it() -> None:
    import functools

    assert classes.spellings(functools.reduce) == [
        "_functools.reduce",
        "functools.reduce",
    ]
    assert classes.spellings(collections.OrderedDict) == ["collections.OrderedDict"]


def given(self: Any) -> Any:
    if self:
        return self.other()
    return "a name"


def test_what_cannot_be_read_from_a_return_is_not_made_up() -> None:
    assert list(reduces._Reading(given, dict).branches()) == []


# ----------------------------------------------------------------------------- values


def test_the_allowlist_is_torchs_own(asked: Denominators) -> None:
    found = entries(asked, "weights_only allowlist")
    assert torch._weights_only_unpickler._get_allowed_globals().keys() <= found.keys()
    assert found["torch.float32"] == ("global:torch.float32",)


def test_dtypes_are_those_of_the_parser(asked: Denominators) -> None:
    names = {name.removeprefix("torch.") for name in entries(asked, "dtypes")}
    # Ours knows one of 2.15 too.
    assert names == DTYPES.keys() - {"bcomplex32"}


def test_storage_classes(asked: Denominators) -> None:
    found = entries(asked, "storage classes")
    assert {"torch.FloatStorage", "torch.cuda.FloatStorage"} <= found.keys()
    assert "torch.storage.UntypedStorage" in found


@pytest.mark.parametrize(
    ("title", "prefix", "example"),
    [
        ("layouts", "layout:", torch.sparse_bsr),
        ("quantization schemes", "qscheme:", torch.per_channel_affine),
        ("memory formats", "memory-format:", torch.channels_last_3d),
    ],
)
def test_small_values(
    asked: Denominators, title: str, prefix: str, example: Any
) -> None:
    found = entries(asked, title)
    assert found[str(example)] == (prefix + str(example).removeprefix("torch."),)


def test_opcodes_are_all_of_them(asked: Denominators) -> None:
    assert entries(asked, "opcodes").keys() == {row.name for row in OPCODES}


# ---------------------------------------------------------------------------- classes


def test_classes_are_those_that_pickle_names(asked: Denominators) -> None:
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    for title, value in (
        ("modules", model),
        ("optimizers", optimizer),
        ("schedulers", schedule),
    ):
        assert full_name(type(value)) in entries(asked, title)


def test_torchs_test_databases_are_part_of_it(asked: Denominators) -> None:
    for title, name, attribute, field in (
        ("modules", "common_modules", "module_db", "module_cls"),
        ("optimizers", "common_optimizers", "optim_db", "optim_cls"),
    ):
        database = getattr(classes._database(name), attribute)
        kinds = {full_name(getattr(info, field)) for info in database}
        assert len(kinds) > 12
        assert kinds <= entries(asked, title).keys()


def test_classes_that_pickle_themselves(asked: Denominators) -> None:
    found = entries(asked, "classes that pickle themselves")
    assert "build:torch.Tensor" in found["torch.Tensor"]
    assert "torch.return_types.max" in found["torch.return_types"]
    assert "torch.amp.grad_scaler.GradScaler" in found
    # A subclass has its method from it.
    pipe = "torch.utils.data.datapipes.iter.utils.IterableWrapperIterDataPipe"
    assert pipe in found["torch.utils.data.datapipes.datapipe.IterDataPipe"]


def test_the_answer_is_the_same_every_time(asked: Denominators) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "generators.denominators"],
        capture_output=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    again = json.loads(done.stdout)
    assert again["versions"] == asked.versions
    for one, other in zip(again["denominators"], asked.denominators, strict=True):
        assert {k: tuple(v) for k, v in one["entries"].items()} == other.entries
        assert list(one["entries"]) == list(other.entries)


def test_nothing_is_empty(asked: Denominators) -> None:
    for row in asked.denominators:
        assert row.entries, row.title
        for name, paths in row.entries.items():
            assert paths, (row.title, name)
    assert values.layouts()

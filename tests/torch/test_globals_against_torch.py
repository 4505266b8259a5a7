"""The tables of names against the installed torch."""

from __future__ import annotations

import _compat_pickle
import importlib

import pytest
import torch
from torch import _weights_only_unpickler as theirs

from conformance.parser import globals as known
from conformance.parser import rebuild
from conformance.parser.dtypes import DTYPES, STORAGE_DTYPES
from conformance.parser.values import DType, Global, Layout, QScheme, TypedGlobal

#: torch adds to its list when these are imported; we know all of it at once.
for module in ("torch.distributed.tensor", "torch.nested", "torch._dynamo"):
    importlib.import_module(module)

#: Of torch 2.15.
NEWER = {"torch.bcomplex32"}


def allowed() -> dict[str, object]:
    return {**theirs._get_allowed_globals(), **theirs._get_user_allowed_globals()}


def test_the_allowlist_is_torch_s() -> None:
    assert set(allowed()) == known.WEIGHTS_ONLY - NEWER
    assert not NEWER & set(allowed())


def test_everything_allowed_is_what_torch_has_under_that_name() -> None:
    for full, value in allowed().items():
        module, _, name = full.rpartition(".")
        ours = known.resolve(module, name, weights_only=True)
        if isinstance(value, torch.dtype):
            assert ours == DType(str(value).removeprefix("torch."))
        elif isinstance(value, torch.qscheme):
            assert ours == QScheme(str(value).removeprefix("torch."))
        elif isinstance(value, torch.serialization.StorageType):
            assert type(ours) is TypedGlobal
            assert ours.role == "storage"
            assert f"torch.{ours.info.name}" == str(value.dtype)
        elif value in torch._tensor_classes:
            assert type(ours) is TypedGlobal
            assert ours.role == ("sparse" if ".sparse." in full else "tensor")
            assert f"torch.{ours.info.name}" == str(value.dtype)
        else:
            assert isinstance(ours, Global)
            assert ours.name == full


def test_constants() -> None:
    """Names that pickle itself would find as attributes of torch."""
    constants = {
        name: value
        for name, value in vars(torch).items()
        if isinstance(value, (torch.dtype, torch.layout, torch.qscheme))
    }
    kinds = {torch.dtype: DType, torch.layout: Layout, torch.qscheme: QScheme}
    for name, value in constants.items():
        ours = known.CONSTANTS[f"torch.{name}"]
        assert type(ours) is kinds[type(value)]
        assert str(ours) == str(value)
    torch_s = {name for name in known.CONSTANTS if name.startswith("torch.")}
    assert torch_s - NEWER == {f"torch.{name}" for name in constants}


def test_storage_classes() -> None:
    """weights_only=False knows them by their last name, whatever the module."""
    dtypes = torch.storage._storage_type_to_dtype_map()
    assert {name: f"torch.{info.name}" for name, info in STORAGE_DTYPES.items()} == {
        name: str(dtype) for name, dtype in dtypes.items()
    }
    assert {f"torch.{name}" for name in DTYPES} - NEWER >= set(
        map(str, dtypes.values())
    )


@pytest.mark.parametrize("name", ["IMPORT_MAPPING", "NAME_MAPPING"])
def test_names_of_python_2(name: str) -> None:
    """torch keeps a shorter copy of pickle's own table."""
    copied = getattr(torch._utils, name)
    whole = getattr(_compat_pickle, name)
    assert copied.items() <= whole.items()
    # What only we map is on no allowlist, so that the modes agree all the same.
    for old in set(whole) - set(copied):
        new = whole[old] if isinstance(old, str) else ".".join(whole[old])
        assert not [full for full in allowed() if f"{full}.".startswith(f"{new}.")]


def test_functions_that_we_rebuild_exist() -> None:
    """Or are known to be gone."""
    gone = {
        "torch._utils._rebuild_sparse_csr_tensor",
        "torch._utils._rebuild_mlc_tensor",
        "torch.tensor._rebuild_from_type",
        "torch.tensor._rebuild_from_type_v2",
    }
    for full in rebuild.CALLS:
        module, _, name = full.rpartition(".")
        if full not in gone and not full.startswith("torch.return_types"):
            assert hasattr(importlib.import_module(module), name), full

"""One table of dtypes, and that its columns agree."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from conformance.parser import dtypes
from conformance.parser.dtypes import DTYPES, STORAGE_DTYPES, DTypeInfo

ROWS = list(DTYPES.values())


@pytest.mark.parametrize("info", ROWS, ids=lambda info: info.name)
def test_a_row_agrees_with_itself(info: DTypeInfo) -> None:
    assert DTYPES[info.name] is info
    assert info.numpy.itemsize == info.itemsize
    halves = 2 if info.kind == "complex" else 1
    assert info.swap * halves == info.itemsize
    assert info.differentiable is (info.kind in ("float", "complex"))
    if info.numpy.fields is None:
        assert info.numpy == info.numpy.newbyteorder("<")


def test_each_storage_class_has_one_dtype() -> None:
    named = [info.storage for info in ROWS if info.storage is not None]
    assert len(named) == len(set(named)) == len(STORAGE_DTYPES) == 17
    assert all(STORAGE_DTYPES[name].storage == name for name in named)
    assert STORAGE_DTYPES["FloatStorage"].name == "float32"


def test_packed_dtypes() -> None:
    packed = {info.name: info.per_byte for info in ROWS if info.per_byte > 1}
    assert packed == {"quint4x2": 2, "quint2x4": 4}


@pytest.mark.parametrize("name", ["complex32", "bcomplex32"])
def test_half_complex_numbers_without_ml_dtypes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ml_dtypes has them since 0.6; before, an array of pairs says the same."""
    monkeypatch.delattr(ml_dtypes, name, raising=False)
    found = dtypes._numpy(name)
    assert found.names == ("real", "imag")
    assert found.itemsize == DTYPES[name].itemsize
    part = np.float16 if name == "complex32" else ml_dtypes.bfloat16
    assert found.fields is not None
    assert found.fields["real"][0] == np.dtype(part)

"""One table of dtypes: what torch calls them, how many bytes, what numpy says.

Source: `torch/storage.py` (`_dtype_to_storage_type_map`, `_new_dtypes`) and
`c10/core/ScalarType.h` of torch 2.13.0; `bcomplex32` is new in 2.15.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import ml_dtypes
import numpy as np

Kind = Literal["bool", "int", "float", "complex", "quantized", "bits"]


@dataclass(frozen=True, slots=True)
class DTypeInfo:
    """A row of the table. `itemsize` is in bytes.

    `storage` is the legacy storage class (`FloatStorage`), or `None` for
    dtypes that torch saves in an `UntypedStorage` (`_rebuild_tensor_v3`).
    `numpy` is the array type of the raw elements. `swap` is the unit, in
    bytes, whose order differs between little- and big-endian files.
    `per_byte` is the number of logical elements in a byte, if more than one.
    """

    name: str
    itemsize: int
    kind: Kind
    numpy: np.dtype[np.generic]
    storage: str | None
    swap: int
    per_byte: int = 1

    @property
    def differentiable(self) -> bool:
        """Whether a tensor of this dtype can require gradients."""
        return self.kind in ("float", "complex")


def _numpy(name: str) -> np.dtype[np.generic]:
    """The numpy type of that name, from ml_dtypes where numpy has none."""
    scalar = vars(ml_dtypes).get(name)
    if scalar is None and name in ("complex32", "bcomplex32"):
        # ml_dtypes before 0.6 has no half-precision complex numbers.
        part = np.dtype(np.float16 if name == "complex32" else ml_dtypes.bfloat16)
        return np.dtype([("real", part), ("imag", part)])
    return np.dtype(scalar if scalar is not None else name)


# name, itemsize, kind, numpy type, storage class, swap unit
_ROWS: Final[tuple[tuple[str, int, Kind, str, str | None, int], ...]] = (
    ("float64", 8, "float", "<f8", "DoubleStorage", 8),
    ("float32", 4, "float", "<f4", "FloatStorage", 4),
    ("float16", 2, "float", "<f2", "HalfStorage", 2),
    ("bfloat16", 2, "float", "bfloat16", "BFloat16Storage", 2),
    ("int64", 8, "int", "<i8", "LongStorage", 8),
    ("int32", 4, "int", "<i4", "IntStorage", 4),
    ("int16", 2, "int", "<i2", "ShortStorage", 2),
    ("int8", 1, "int", "|i1", "CharStorage", 1),
    ("uint8", 1, "int", "|u1", "ByteStorage", 1),
    ("bool", 1, "bool", "|b1", "BoolStorage", 1),
    ("complex128", 16, "complex", "<c16", "ComplexDoubleStorage", 8),
    ("complex64", 8, "complex", "<c8", "ComplexFloatStorage", 4),
    ("qint8", 1, "quantized", "|i1", "QInt8Storage", 1),
    ("quint8", 1, "quantized", "|u1", "QUInt8Storage", 1),
    ("qint32", 4, "quantized", "<i4", "QInt32Storage", 4),
    ("quint4x2", 1, "quantized", "|u1", "QUInt4x2Storage", 1),
    ("quint2x4", 1, "quantized", "|u1", "QUInt2x4Storage", 1),
    ("uint16", 2, "int", "<u2", None, 2),
    ("uint32", 4, "int", "<u4", None, 4),
    ("uint64", 8, "int", "<u8", None, 8),
    ("complex32", 4, "complex", "complex32", None, 2),
    ("bcomplex32", 4, "complex", "bcomplex32", None, 2),
    ("float8_e5m2", 1, "float", "float8_e5m2", None, 1),
    ("float8_e4m3fn", 1, "float", "float8_e4m3fn", None, 1),
    ("float8_e5m2fnuz", 1, "float", "float8_e5m2fnuz", None, 1),
    ("float8_e4m3fnuz", 1, "float", "float8_e4m3fnuz", None, 1),
    ("float8_e8m0fnu", 1, "float", "float8_e8m0fnu", None, 1),
    # Two float4 values in a byte, but torch counts bytes as elements.
    ("float4_e2m1fn_x2", 1, "float", "|u1", None, 1),
    ("bits8", 1, "bits", "|u1", None, 1),
    ("bits1x8", 1, "bits", "|u1", None, 1),
    ("bits2x4", 1, "bits", "|u1", None, 1),
    ("bits4x2", 1, "bits", "|u1", None, 1),
    ("bits16", 2, "bits", "<u2", None, 2),
    # No tensor of these can be saved; wrapper subclasses carry them.
    *((f"int{bits}", 1, "int", "|i1", None, 1) for bits in range(1, 8)),
    *((f"uint{bits}", 1, "int", "|u1", None, 1) for bits in range(1, 8)),
)  # fmt: skip

_PER_BYTE: Final = {"quint4x2": 2, "quint2x4": 4}

#: Every dtype by torch's name without the prefix: `"bfloat16"`.
DTYPES: Final[dict[str, DTypeInfo]] = {
    name: DTypeInfo(
        name, itemsize, kind, _numpy(array), storage, swap, _PER_BYTE.get(name, 1)
    )
    for name, itemsize, kind, array, storage, swap in _ROWS
}

#: The legacy storage classes: `"FloatStorage"` -> its dtype.
STORAGE_DTYPES: Final[dict[str, DTypeInfo]] = {
    info.storage: info for info in DTYPES.values() if info.storage is not None
}

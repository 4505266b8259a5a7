"""Every dtype: its edges, without elements, as a scalar, in views; and by name."""

from __future__ import annotations

from typing import Any, Final

import torch

from ...handmade import archive, name
from ..registry import LEGACY, PROTOCOL_4, ZIP, saved, written
from .tensors import V2

V3 = "torch._utils._rebuild_tensor_v3"


# ----------------------------------------------------------------------- edges


def _float(exponent: int, mantissa: int) -> tuple[int, ...]:
    """Bit patterns at the edges of an IEEE float with fields of so many bits."""
    sign = 1 << exponent + mantissa
    infinity = ((1 << exponent) - 1) << mantissa
    quiet = infinity | 1 << mantissa - 1
    return (
        0,
        sign,  # -0.0
        1,  # the smallest subnormal
        (1 << mantissa) - 1,  # the largest
        1 << mantissa,  # the smallest normal
        ((1 << exponent - 1) - 1) << mantissa,  # 1.0
        infinity - 1,  # the largest
        sign | infinity - 1,
        infinity,
        sign | infinity,
        quiet,
        sign | quiet,
        quiet | 5,  # a payload
        infinity | 1,  # a signalling NaN
        sign | infinity | 3,
        sign | infinity | (1 << mantissa) - 1,  # all ones
    )


def _complex(exponent: int, mantissa: int) -> tuple[int, ...]:
    """The same edges as the real part, and in reverse as the imaginary one."""
    width = 1 + exponent + mantissa
    parts = _float(exponent, mantissa)
    return tuple(
        real | imaginary << width
        for real, imaginary in zip(parts, reversed(parts), strict=True)
    )


def _integer(width: int) -> tuple[int, ...]:
    """0, 1, the ends of both the signed and the unsigned numbers, all bytes differ."""
    sign, ones = 1 << width - 1, (1 << width) - 1
    mixed = int.from_bytes(range(1, width // 8 + 1), "big")
    return 0, 1, 2, sign - 1, sign, sign + 1, ones - 1, ones, mixed


_BYTES: Final = tuple(range(256))

#: The dtypes that have a storage class of their own: bit patterns of elements.
OWN: Final[dict[str, tuple[int, ...]]] = {
    "float64": _float(11, 52),
    "float32": _float(8, 23),
    "float16": _float(5, 10),
    "bfloat16": _float(8, 7),
    "int64": _integer(64),
    "int32": _integer(32),
    "int16": _integer(16),
    "int8": _BYTES,
    "uint8": _BYTES,
    "bool": (0, 1, 1, 0, 1, 0, 0, 1),
    "complex128": _complex(11, 52),
    "complex64": _complex(8, 23),
}

#: Those that torch keeps in untyped storages.
UNTYPED: Final[dict[str, tuple[int, ...]]] = {
    "uint16": _integer(16),
    "uint32": _integer(32),
    "uint64": _integer(64),
    "complex32": _complex(5, 10),
    "float8_e5m2": _BYTES,
    "float8_e4m3fn": _BYTES,
    "float8_e5m2fnuz": _BYTES,
    "float8_e4m3fnuz": _BYTES,
    "float8_e8m0fnu": _BYTES,
    "float4_e2m1fn_x2": _BYTES,
    "bits8": _BYTES,
    "bits1x8": _BYTES,
    "bits2x4": _BYTES,
    "bits4x2": _BYTES,
    "bits16": _integer(16),
}


def of_patterns(dtype: str, patterns: tuple[int, ...]) -> torch.Tensor:
    """A vector whose elements have these bits."""
    kind: torch.dtype = getattr(torch, dtype)
    data = b"".join(bits.to_bytes(kind.itemsize, "little") for bits in patterns)
    storage = torch.frombuffer(bytearray(data), dtype=torch.uint8).untyped_storage()
    return view(storage.clone(), kind, 0, (len(patterns),), (1,))


def view(
    storage: torch.UntypedStorage,
    dtype: torch.dtype,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
) -> torch.Tensor:
    """A tensor of any dtype: no operation makes one of bits, and this does."""
    return torch.empty(0, dtype=dtype).set_(storage, offset, size, stride)


def _rows(table: dict[str, tuple[int, ...]]) -> dict[str, tuple[Any, ...]]:
    return {key: (key, patterns) for key, patterns in table.items()}


@saved(V2, each=_rows(OWN), formats=(ZIP, LEGACY), flags=("special-values",))
@saved(V3, each=_rows(UNTYPED), flags=("special-values",))
def edges(dtype: str, patterns: tuple[int, ...]) -> object:
    """Elements of {dtype} at the edges of their type; NaNs, if any, with payloads."""
    return of_patterns(dtype, patterns)


_SHAPES: Final = ("offset", "non-contiguous", "shared-storage", "empty")


@saved(V2, each=_rows(OWN), flags=_SHAPES)
@saved(V3, each=_rows(UNTYPED), flags=_SHAPES)
def shapes(dtype: str, patterns: tuple[int, ...]) -> object:
    """{dtype}: a scalar, no elements, the middle and a transpose of one storage."""
    whole = of_patterns(dtype, patterns[:8])
    storage, kind = whole.untyped_storage(), whole.dtype
    return {
        "scalar": view(storage, kind, 5, (), ()),
        "empty": torch.empty(0, dtype=kind),
        "middle": view(storage, kind, 2, (3,), (1,)),
        "transposed": view(storage, kind, 1, (2, 3), (1, 2)),
    }


@saved(V2, formats=(ZIP, LEGACY), flags=("special-values",))
def bool_of_other_bytes() -> object:
    """Bools whose bytes are 0, 1, 2, 127, 128 and 255."""
    return torch.tensor([0, 1, 2, 127, 128, 255], dtype=torch.uint8).view(torch.bool)


@saved(V2, formats=(ZIP, LEGACY))
def all_with_class() -> object:
    """A tensor of each dtype that has a storage class of its own."""
    return {key: of_patterns(key, patterns[:2]) for key, patterns in OWN.items()}


@saved(V3)
def all_untyped() -> object:
    """A tensor of each dtype that torch keeps in untyped storages."""
    return {key: of_patterns(key, patterns[:2]) for key, patterns in UNTYPED.items()}


@saved(V3, formats=(PROTOCOL_4,))
def uint16_and_float8() -> object:
    """A dict of a uint16 tensor and a float8 one."""
    return {
        "ids": of_patterns("uint16", (1, 0xFFFF)),
        "weight": of_patterns("float8_e4m3fn", (0x38, 0xB8)),
    }


@saved(V3, flags=("shared-storage",))
def one_storage_of_several_dtypes() -> object:
    """uint16, float8 and uint32 tensors on one storage, which has no dtype itself."""
    storage = of_patterns("uint32", (0x04030201, 0x08070605)).untyped_storage()
    return [
        torch.empty(0, dtype=kind).set_(storage)
        for kind in (torch.uint16, torch.float8_e5m2, torch.uint32)
    ]


@saved(V3, flags=("shared-storage", "offset"))
def uint8_and_uint16_on_one_storage() -> object:
    """uint8 and uint16 on one storage, named once as bytes and once untyped."""
    whole = torch.arange(8, dtype=torch.uint8)
    return {"uint8": whole, "uint16": whole.view(torch.uint16)[1:3]}


@saved(
    V3,
    each={"uint16": ("uint16",), "float8_e4m3fn": ("float8_e4m3fn",)},
    formats=(LEGACY,),
    verdict="either",
    reason="torch 2.13 saves it and cannot load it: UntypedStorage has no dtype there.",
    links=("https://github.com/pytorch/pytorch/issues/169763",),
)
def untyped(dtype: str) -> object:
    """A tensor of {dtype} in a legacy stream."""
    return of_patterns(dtype, UNTYPED[dtype][:4])


@saved(
    V3,
    each={"complex32": ("complex32",), "float8_e5m2": ("float8_e5m2",)},
    flags=("requires-grad",),
    verdict="either",
    reason="torch 2.13 saves it and cannot load it: it sets a storage under a leaf.",
)
def requires_grad(dtype: str) -> object:
    """A leaf of {dtype} that requires gradients."""
    return of_patterns(dtype, UNTYPED[dtype][:4]).requires_grad_()


# --------------------------------------------------------------------- by name

#: The 46 dtypes of torch 2.13, as values; tensors of some cannot be saved.
_OBJECTS: Final = {
    "floating": ("float64", "float32", "float16", "bfloat16"),
    "float8": (
        "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
        "float8_e8m0fnu", "float4_e2m1fn_x2",
    ),
    "complex": ("complex128", "complex64", "complex32"),
    "integers": ("int64", "int32", "int16", "int8", "uint8", "bool"),
    "unsigned": ("uint64", "uint32", "uint16"),
    "below_8_bits": tuple(f"{sign}int{n}" for n in range(1, 8) for sign in ("", "u")),
    "quantized": ("qint8", "quint8", "qint32", "quint4x2", "quint2x4"),
    "bits": ("bits8", "bits1x8", "bits2x4", "bits4x2", "bits16"),
}  # fmt: skip


@saved(
    "global:torch.{first}",
    each={key: (names[0], names) for key, names in _OBJECTS.items()},
)
def objects(first: str, names: tuple[str, ...]) -> object:
    """dtypes as values: those called {key}, from {first} on."""
    return {key: getattr(torch, key) for key in names}


@saved("global:torch.float32", formats=(LEGACY, PROTOCOL_4))
def object_as_key() -> object:
    """A dtype that is a key, and comes twice."""
    return {torch.float32: "weights", torch.int64: "ids", "dtype": torch.float32}


@written("global:torch.half", label="built", flags=("weights-only-refuses",))
def aliases() -> bytes:
    """dtypes by their second names, which torch does not write."""
    names = ("half", "float", "double", "short", "int", "long", "cfloat", "cdouble")
    return archive([name(f"torch.{alias}") for alias in names])


@saved("torch.serialization._get_layout", formats=(ZIP, LEGACY, PROTOCOL_4))
def layouts() -> object:
    """All layouts of torch, as values."""
    names = ("strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr",
             "sparse_bsc", "_mkldnn", "jagged")  # fmt: skip
    return [getattr(torch, layout) for layout in names]


@written("global:torch.strided", label="built", flags=("weights-only-refuses",))
def layout_by_name() -> bytes:
    """A layout by its name, as torch does not write it."""
    return archive([name("torch.strided"), name("torch.sparse_coo")])


@saved("global:torch.per_tensor_affine", formats=(ZIP, LEGACY))
def qschemes() -> object:
    """All quantization schemes of torch, as values."""
    return [
        torch.per_tensor_affine, torch.per_channel_affine, torch.per_tensor_symmetric,
        torch.per_channel_symmetric, torch.per_channel_affine_float_qparams,
    ]  # fmt: skip

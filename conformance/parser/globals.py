"""Which GLOBAL means what. Names are looked up in these tables and nowhere else.

`WEIGHTS_ONLY` is torch's own allowlist, as data; a test compares it with the
installed torch. `CALLS` and `NEW` say what REDUCE and NEWOBJ make of a name;
`resolve` says what the name itself is. Source: `_get_allowed_globals` in
torch/_weights_only_unpickler.py, `find_class` in torch/serialization.py (2.13.0).
"""

from __future__ import annotations

import _compat_pickle
from typing import Any, Final

from . import arrays, plain, rebuild
from .dtypes import DTYPES, STORAGE_DTYPES, DTypeInfo
from .errors import GlobalNotAllowed, quote
from .registry import Call
from .values import DType, Global, Layout, QScheme, TypedGlobal

#: What REDUCE makes of a name; any other name makes an inert `Object`.
CALLS: Final[dict[str, Call]] = {**plain.CALLS, **arrays.CALLS, **rebuild.CALLS}
#: What NEWOBJ makes of a name, where that differs.
NEW: Final[dict[str, Call]] = dict(plain.NEW)

# --------------------------------------------------------------- torch's classes

_TENSOR_DTYPES: Final = {
    "DoubleTensor": "float64",
    "FloatTensor": "float32",
    "HalfTensor": "float16",
    "BFloat16Tensor": "bfloat16",
    "LongTensor": "int64",
    "IntTensor": "int32",
    "ShortTensor": "int16",
    "CharTensor": "int8",
    "ByteTensor": "uint8",
    "BoolTensor": "bool",
}


def _cpp_storage(dtype: str) -> str:
    """The storage class that C++ names where Python has none.

    Only TorchScript and `torch::pickle_load` read these (c10/core/ScalarType.h).
    """
    name = dtype.replace("uint", "UInt").replace("complex32", "ComplexHalf")
    return f"{name[0].upper()}{name[1:]}Storage"


def _typed_globals() -> dict[str, tuple[str, str, str, DTypeInfo]]:
    rows: list[tuple[str, str, str, DTypeInfo]] = []
    for name, info in STORAGE_DTYPES.items():
        rows += [(module, name, "storage", info) for module in ("torch", "torch.cuda")]
    for name, dtype in _TENSOR_DTYPES.items():
        info = DTYPES[dtype]
        rows += [(module, name, "tensor", info) for module in ("torch", "torch.cuda")]
        if dtype != "bool":
            rows += [
                (module, name, "sparse", info)
                for module in ("torch.sparse", "torch.cuda.sparse")
            ]
    for module in ("torch.storage", "torch"):
        rows.append((module, "UntypedStorage", "untyped", DTYPES["uint8"]))
    # As torch 1.12 called it.
    rows.append(("torch.storage", "_UntypedStorage", "untyped", DTYPES["uint8"]))
    for info in DTYPES.values():
        if info.storage is None:
            rows.append(("torch", _cpp_storage(info.name), "storage", info))
    return {f"{module}.{name}": (module, name, role, info)
            for module, name, role, info in rows}  # fmt: skip


_TYPED: Final = _typed_globals()

QSCHEMES: Final = (
    "per_tensor_affine",
    "per_channel_affine",
    "per_tensor_symmetric",
    "per_channel_symmetric",
    "per_channel_affine_float_qparams",
)

#: Other names for the same dtype, as attributes of the module `torch`.
_DTYPE_ALIASES: Final = {
    "double": "float64",
    "float": "float32",
    "half": "float16",
    "long": "int64",
    "int": "int32",
    "short": "int16",
    "cdouble": "complex128",
    "cfloat": "complex64",
    "chalf": "complex32",
    "bit": "uint1",
}

#: Names that are values, not something to call.
CONSTANTS: Final[dict[str, Any]] = {
    **plain.CONSTANTS,
    **{f"torch.{name}": DType(name) for name in DTYPES},
    **{f"torch.{alias}": DType(name) for alias, name in _DTYPE_ALIASES.items()},
    **{f"torch.{name}": QScheme(name) for name in QSCHEMES},
    **{f"torch.{name}": Layout(name) for name in rebuild.LAYOUTS},
}

# ------------------------------------------------------------------ the allowlist

_REBUILD: Final = (
    "_rebuild_device_tensor_from_cpu_tensor",
    "_rebuild_device_tensor_from_numpy",
    "_rebuild_meta_tensor_no_storage",
    "_rebuild_nested_tensor",
    "_rebuild_parameter",
    "_rebuild_parameter_with_state",
    "_rebuild_qtensor",
    "_rebuild_sparse_tensor",
    "_rebuild_tensor",
    "_rebuild_tensor_v2",
    "_rebuild_tensor_v3",
    "_rebuild_wrapper_subclass",
)

#: torch's own storage classes on CUDA; quantized ones have none.
_CUDA_STORAGES: Final = frozenset(
    f"torch.cuda.{name}"
    for name, info in STORAGE_DTYPES.items()
    if info.kind != "quantized"
)

#: What torch allows as soon as its own module for it has been imported.
_WHEN_IMPORTED: Final = (
    "torch._dynamo.decorators._DimRange",
    "torch.distributed.device_mesh.DeviceMesh",
    "torch.distributed.tensor.DTensor",
    "torch.distributed.tensor._dtensor_spec.DTensorSpec",
    "torch.distributed.tensor._dtensor_spec.ShardOrderEntry",
    "torch.distributed.tensor._dtensor_spec.TensorMeta",
    "torch.distributed.tensor.placement_types.Partial",
    "torch.distributed.tensor.placement_types.Replicate",
    "torch.distributed.tensor.placement_types.Shard",
    "torch.distributed.tensor.placement_types._StridedShard",
)

#: Full dotted names that `weights_only=True` knows: torch 2.13.0's list once
#: its modules for nested and distributed tensors are imported (here nothing
#: has to be), and `bcomplex32` of 2.15.0.
WEIGHTS_ONLY: Final = frozenset(
    {
        "_codecs.encode",
        "builtins.bytearray",
        "builtins.complex",
        "builtins.set",
        "collections.Counter",
        "collections.OrderedDict",
        "torch.Size",
        "torch.Tensor",
        "torch._tensor._rebuild_from_type_v2",
        "torch.device",
        "torch.distributed._mesh_layout._FlatLayout",
        "torch.distributed._mesh_layout._MeshLayout",
        "torch.nested._internal.nested_tensor.NestedTensor",
        "torch.nested._internal.nested_tensor._rebuild_njt",
        "torch.nn.parameter.Parameter",
        "torch.serialization._get_layout",
        "torch.storage.TypedStorage",
        "torch.storage.UntypedStorage",
        *(f"torch._utils.{name}" for name in _REBUILD),
        *_WHEN_IMPORTED,
        *(f"torch.{name}" for name in DTYPES),
        *(f"torch.{name}" for name in QSCHEMES),
        *(f"torch.{name}" for name in STORAGE_DTYPES),
        *_CUDA_STORAGES,
        *(name for name, row in _TYPED.items() if row[2] in ("tensor", "sparse")),
    }
)


# --------------------------------------------------------------------- look-up


def _modern(module: str, name: str) -> tuple[str, str]:
    """Names of Python 2 as Python 3 has them, as pickle maps them."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        return _compat_pickle.NAME_MAPPING[module, name]
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


def full_name(module: str, name: str) -> str:
    """The full dotted name, in Python 3's spelling."""
    module, name = _modern(module, name)
    return f"{module}.{name}"


def resolve(module: str, name: str, *, weights_only: bool) -> Any:
    """A constant, or a `Global` that stays a name; raises `GlobalNotAllowed`."""
    module, name = _modern(module, name)
    full = f"{module}.{name}"
    if weights_only:
        if full not in WEIGHTS_ONLY:
            error = GlobalNotAllowed(
                f"the pickle names {quote(full)}, which weights_only=True does not "
                "allow; weights_only=False reads it and still runs nothing",
                phase="pickle",
            )
            error.name = full
            raise error
    elif name in STORAGE_DTYPES:
        # torch knows storage classes by their name alone, whatever the module.
        return TypedGlobal(module, name, "storage", STORAGE_DTYPES[name])
    if full in CONSTANTS:
        return CONSTANTS[full]
    if full in _TYPED:
        return TypedGlobal(*_TYPED[full])
    return Global(module, name)

"""torch's rebuild functions, under torch's own names.

Each takes what the pickle would have given torch and answers with a `Tensor`,
`Storage` or small value, after checking in exact integers that every element
lies inside its storage. What a file may call and torch no longer has is here
too: sparse CSR tensors of 1.11 to 1.13, quantized tensors of 1.2, the tensors
of the days before 1.0. Source: `torch/_utils.py`, `torch/_tensor.py` of 2.13.0
and of the releases named.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from . import invariants
from .dtypes import DTYPES, DTypeInfo
from .errors import Malformed, Uninitialised, Unsupported, quote
from .registry import Table
from .tensor import (
    Device,
    DType,
    Global,
    Layout,
    QScheme,
    Size,
    Storage,
    Tensor,
    TypedGlobal,
    extent,
)

if TYPE_CHECKING:
    from .unpickler import Unpickler

CALLS: Final = Table()

TENSOR: Final = "torch.Tensor"
PARAMETER: Final = "torch.nn.parameter.Parameter"

_INT64: Final = 1 << 63


# ---------------------------------------------------------------- checked pieces


def _wrong(what: str, value: Any) -> Malformed:
    return Malformed(f"{what}, not {type(value).__name__}", phase="rebuild")


def _ints(machine: Unpickler, value: Any, what: str) -> tuple[int, ...]:
    """A size or stride: a tuple (or list) of ints that fit 64 bits."""
    if type(value) is not tuple:
        if not isinstance(value, (tuple, list)):
            raise _wrong(f"{what} must be a tuple of ints", value)
        value = tuple(value)
    for number in value:
        if type(number) is not int:
            if type(number) is not bool:
                raise _wrong(f"{what} must be a tuple of ints", number)
            value = tuple(int(number) for number in value)
            break
    if len(value) > 64:
        machine.spend(len(value))
    result: tuple[int, ...] = value
    return result


def _dtype(value: Any) -> DTypeInfo:
    if type(value) is not DType:
        raise _wrong("a dtype is expected", value)
    return DTYPES[value.name]


def _tensor(value: Any, what: str) -> Tensor:
    if type(value) is not Tensor:
        raise _wrong(f"{what} must be a tensor", value)
    return value


def _class_name(value: Any) -> str:
    if not isinstance(value, Global):
        raise _wrong("a class is expected", value)
    return value.name


def _flag(value: Any, what: str) -> bool:
    if type(value) is not bool:
        raise _wrong(f"{what} must be a bool", value)
    return value


def _grad(value: Any, info: DTypeInfo) -> bool:
    """`requires_grad`, which only floating and complex tensors can have."""
    if value is False:
        return False
    if _flag(value, "requires_grad") and not info.differentiable:
        raise Malformed(
            f"a tensor of {info.name} cannot require gradients", phase="rebuild"
        )
    return True


def _counted(shape: tuple[int, ...], stride: tuple[int, ...], offset: int) -> None:
    """Refuses what no 64-bit integer holds, as torch does, even with no elements."""
    count = 1
    for size in shape:
        count *= size
        if count >= 2 * _INT64:
            raise Malformed("the number of elements overflows", phase="rebuild")
    if max(count, offset, *shape, *stride, 0) >= _INT64:
        raise Malformed("a size that no 64-bit integer holds", phase="rebuild")


def _strided(
    machine: Unpickler,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    info: DTypeInfo | None = None,
) -> Tensor:
    """A view of a storage, every element of it inside."""
    if type(storage) is not Storage:
        raise _wrong("a tensor needs a storage", storage)
    if type(offset) is not int:
        offset = int(_flag(offset, "the storage offset"))
    shape = _ints(machine, size, "the size")
    steps = _ints(machine, stride, "the stride")
    return tensor_of(storage, offset, shape, steps, info)


def tensor_of(
    storage: Storage,
    offset: int,
    shape: tuple[int, ...],
    steps: tuple[int, ...],
    info: DTypeInfo | None = None,
) -> Tensor:
    """The same from ints that are known to be ints; `info` if not the storage's."""
    if len(shape) != len(steps):
        raise Malformed(
            f"a size of {len(shape)} dimensions, a stride of {len(steps)}",
            phase="rebuild",
        )
    if info is None:
        info = DTYPES[storage.dtype]
    needed = extent(shape, steps, offset)
    room = storage.nbytes // info.itemsize
    if needed > room:
        raise Malformed(
            f"size {_short(shape)}, stride {_short(steps)}, offset {offset} need "
            f"{needed} elements where the storage has {room}",
            phase="rebuild",
        )
    if needed == 0 or 0 in steps:
        _counted(shape, steps, offset)
    return Tensor(info.name, shape, steps, offset, storage, device=storage.location)


def _short(numbers: tuple[int, ...]) -> str:
    if len(numbers) > 8 or any(abs(number) >= 1 << 80 for number in numbers):
        return f"of {len(numbers)} dimensions"
    return str(numbers)


def _with_hooks(tensor: Tensor, hooks: Any) -> Tensor:
    """Hooks are not saved since 0.4; what an old file has is kept as it stands."""
    if hooks is not None and type(hooks) not in (dict, OrderedDict):
        raise _wrong("backward hooks must be a dict", hooks)
    if hooks:
        tensor._attributes = {**tensor.attributes, "_backward_hooks": hooks}
    return tensor


def _with_metadata(tensor: Tensor, metadata: Any) -> Tensor:
    """The conj and neg bits (`torch._C._set_tensor_metadata`)."""
    if not metadata:
        return tensor
    if type(metadata) is not dict:
        raise _wrong("a tensor's metadata must be a dict", metadata)
    for name, value in metadata.items():
        if name == "conj":
            tensor._is_conj = _flag(value, "conj")
        elif name == "neg":
            tensor._is_neg = _flag(value, "neg")
        else:
            raise Malformed(f"unknown tensor metadata {quote(name)}", phase="rebuild")
    if tensor._is_conj and DTYPES[tensor.dtype].kind != "complex":
        raise Malformed(f"a conj bit on {tensor.dtype}", phase="rebuild")
    return tensor


def _copy(tensor: Tensor) -> Tensor:
    """Another tensor over the same storage, without its Python attributes."""
    return Tensor(
        tensor._dtype,
        tensor._shape,
        tensor._stride,
        tensor._storage_offset,
        tensor._storage,
        tensor._requires_grad,
        tensor._layout,
        tensor._device,
        tensor._is_conj,
        tensor._is_neg,
        tensor._type,
        tensor._parts,
    )


def _with_state(machine: Unpickler, tensor: Tensor, state: Any) -> Tensor:
    """A subclass's attributes, or the state its `__setstate__` would get."""
    attributes = machine.attributes(state)
    if attributes is not None:
        tensor._attributes = {**tensor.attributes, **attributes}
    elif tensor.type in (TENSOR, PARAMETER):
        raise _wrong("a tensor's attributes must be a dict", state)
    else:
        tensor._state = state
    return tensor


# -------------------------------------------------------------- strided tensors


@CALLS.named("torch._utils._rebuild_tensor")
def _rebuild_tensor(
    machine: Unpickler, storage: Any, offset: Any, size: Any, stride: Any
) -> Tensor:
    tensor = _strided(machine, storage, offset, size, stride)
    if DTYPES[tensor.dtype].kind == "quantized":
        raise Malformed(
            f"a plain tensor of {tensor.dtype}, which has no scale", phase="rebuild"
        )
    return tensor


@CALLS.named("torch._utils._rebuild_tensor_v2")
def _rebuild_tensor_v2(
    machine: Unpickler,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    metadata: Any = None,
) -> Tensor:
    tensor = _rebuild_tensor(machine, storage, offset, size, stride)
    if requires_grad is not False:
        tensor._requires_grad = _grad(requires_grad, DTYPES[tensor.dtype])
    if metadata:
        _with_metadata(tensor, metadata)
    return _with_hooks(tensor, hooks)


@CALLS.named("torch._utils._rebuild_tensor_v3")
def _rebuild_tensor_v3(
    machine: Unpickler,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    info = _dtype(dtype)
    if info.kind == "quantized":
        raise Malformed(
            f"a plain tensor of {info.name}, which has no scale", phase="rebuild"
        )
    tensor = _strided(machine, storage, offset, size, stride, info)
    storage.interpret(info.swap)
    tensor._requires_grad = _grad(requires_grad, info)
    _with_metadata(tensor, metadata)
    return _with_hooks(tensor, hooks)


# ------------------------------------------------------ parameters, subclasses


def _parameter(data: Any, requires_grad: Any) -> Tensor:
    """`torch.nn.Parameter(data, requires_grad)`: another tensor on the same bytes."""
    tensor = _copy(_tensor(data, "a Parameter's data"))
    if tensor.type in (TENSOR, PARAMETER):
        tensor._type = PARAMETER
    else:
        # A Parameter of a subclass stays that class (nn/parameter.py).
        kept = data.attributes if data.storage is None else {}
        tensor._attributes = {**kept, "_is_param": True}
    tensor._requires_grad = _grad(requires_grad, DTYPES[tensor.dtype])
    return tensor


@CALLS.named("torch._utils._rebuild_parameter")
def _rebuild_parameter(
    machine: Unpickler, data: Any, requires_grad: Any, hooks: Any
) -> Tensor:
    return _with_hooks(_parameter(data, requires_grad), hooks)


@CALLS.named("torch._utils._rebuild_parameter_with_state")
def _rebuild_parameter_with_state(
    machine: Unpickler, data: Any, requires_grad: Any, hooks: Any, state: Any
) -> Tensor:
    tensor = _with_hooks(_parameter(data, requires_grad), hooks)
    return _with_state(machine, tensor, state)


@CALLS.named("torch._tensor._rebuild_from_type_v2")
def _rebuild_from_type_v2(
    machine: Unpickler, func: Any, new_type: Any, args: Any, state: Any
) -> Any:
    name = _class_name(new_type)
    tensor = machine.call(func, args)
    if type(tensor) is not Tensor:
        return NotImplemented  # rebuilt by a function that nobody knows
    if tensor.type != name:
        tensor = _copy(tensor)
        tensor._type = name
    return _with_state(machine, tensor, state)


@CALLS.named("torch._tensor._rebuild_from_type", "torch.tensor._rebuild_from_type")
def _rebuild_from_type(
    machine: Unpickler, func: Any, new_type: Any, args: Any, state: Any
) -> Any:
    """torch 1.7 to 1.9; a plain tensor's attributes are ignored there too."""
    if _class_name(new_type) == TENSOR:
        return machine.call(func, args)
    return _rebuild_from_type_v2(machine, func, new_type, args, state)


@CALLS.named(PARAMETER, "torch.nn.Parameter")
def _new_parameter(
    machine: Unpickler, data: Any = None, requires_grad: Any = True
) -> Tensor:
    if data is None:
        data = _empty(DTYPES["float32"])
    return _parameter(data, requires_grad)


@CALLS.named("torch.autograd.variable.Variable", "torch.autograd.Variable")
def _variable(machine: Unpickler, data: Any) -> Tensor:
    """A Variable of torch 0.1 to 0.3; BUILD brings `requires_grad`."""
    return _copy(_tensor(data, "a Variable's data"))


def _uninitialized_kind(name: str) -> None:
    @CALLS.named(name)
    def make(machine: Unpickler, requires_grad: Any = True) -> Tensor:
        """Materialised by its first use; a file knows only what it will be."""
        tensor = _empty(DTYPES["float32"])
        tensor._type = name
        tensor._requires_grad = _flag(requires_grad, "requires_grad")
        return tensor


for _name in ("UninitializedParameter", "UninitializedBuffer"):
    _uninitialized_kind(f"torch.nn.parameter.{_name}")


# -------------------------------------------------------------- legacy tensors


def _empty(info: DTypeInfo) -> Tensor:
    return Tensor(info.name, (0,), (1,), 0, Storage(info.name, 0))


def _legacy_tensor(info: DTypeInfo, args: tuple[Any, ...]) -> Tensor:
    """`torch.FloatTensor(...)`, before 1.0; BUILD then gives it a storage."""
    if not args or args == (0,):
        return _empty(info)
    if all(type(size) is int for size in args):
        raise Uninitialised(
            f"a new tensor of size {_short(args)}, which nothing fills", phase="rebuild"
        )
    raise Unsupported(
        f"a legacy tensor made from a {type(args[0]).__name__}", phase="rebuild"
    )


def set_state(machine: Unpickler, tensor: Tensor, state: Any) -> None:
    """BUILD of a tensor (`Tensor.__setstate__`, torch/_tensor.py).

    Four items are the storage, offset, size and stride of a tensor of 0.3;
    five are a Variable's, three a Parameter's.
    """
    if not isinstance(state, tuple) or len(state) not in (3, 4, 5):
        raise Malformed("the state of a tensor is a tuple of 3, 4 or 5", phase="rebuild")
    if len(state) == 4:
        view = _strided(machine, *state)
        if view.dtype != tensor.dtype:
            raise Malformed(
                f"a storage of {view.dtype} in a tensor of {tensor.dtype}",
                phase="rebuild",
            )
        tensor._take_view(view)
        return
    if len(state) == 5:
        data = _tensor(state[0], "a Variable's data")
        if data.dtype != tensor.dtype:
            raise Malformed(
                f"data of {data.dtype} in a Variable of {tensor.dtype}", phase="rebuild"
            )
        tensor._take_view(data)
        state = (state[3], state[4], state[2])
    requires_grad, _, hooks = state
    tensor._requires_grad = _grad(requires_grad, DTYPES[tensor.dtype])
    _with_hooks(tensor, hooks)


# --------------------------------------------------------------------- sparse

_COMPRESSED: Final = {
    "sparse_csr": ("crow_indices", "col_indices"),
    "sparse_csc": ("ccol_indices", "row_indices"),
    "sparse_bsr": ("crow_indices", "col_indices"),
    "sparse_bsc": ("ccol_indices", "row_indices"),
}


@CALLS.named("torch._utils._rebuild_sparse_tensor")
def _rebuild_sparse_tensor(machine: Unpickler, layout: Any, data: Any) -> Tensor:
    if type(layout) is not Layout:
        raise _wrong("a layout is expected", layout)
    if type(data) not in (tuple, list):
        raise _wrong("a sparse tensor is made of a tuple", data)
    if layout.name == "sparse_coo" and len(data) in (3, 4):
        return _coo(machine, *data)
    if layout.name in _COMPRESSED and len(data) == 4:
        return _compressed(machine, layout.name, *data)
    raise Malformed(
        f"a tensor of layout {layout} made of {len(data)} parts", phase="rebuild"
    )


@CALLS.named("torch._utils._rebuild_sparse_csr_tensor")
def _rebuild_sparse_csr_tensor(machine: Unpickler, layout: Any, data: Any) -> Tensor:
    """torch 1.11 to 1.13; no later torch can load it."""
    if type(layout) is not Layout or layout.name not in _COMPRESSED:
        raise _wrong("a compressed sparse layout is expected", layout)
    return _rebuild_sparse_tensor(machine, layout, data)


def _coo(
    machine: Unpickler, indices: Any, values: Any, size: Any, is_coalesced: Any = None
) -> Tensor:
    indices = _tensor(indices, "the indices of a sparse tensor")
    values = _tensor(values, "the values of a sparse tensor")
    shape = _ints(machine, size, "the size")
    coalesced = is_coalesced is not None and _flag(is_coalesced, "is_coalesced")
    invariants.coo_shapes(indices, values, shape)
    machine.defer(lambda: invariants.coo(indices, values, shape, coalesced))
    return Tensor(
        values.dtype,
        shape,
        None,
        layout="sparse_coo",
        device=values.device,
        requires_grad=values.requires_grad,
        parts={"indices": indices, "values": values, "is_coalesced": coalesced},
    )


def _compressed(
    machine: Unpickler, layout: str, compressed: Any, plain: Any, values: Any, size: Any
) -> Tensor:
    names = _COMPRESSED[layout]
    compressed = _tensor(compressed, f"{names[0]} of a sparse tensor")
    plain = _tensor(plain, f"{names[1]} of a sparse tensor")
    values = _tensor(values, "the values of a sparse tensor")
    shape = _ints(machine, size, "the size")
    invariants.compressed_shapes(layout, compressed, plain, values, shape)
    machine.defer(
        lambda: invariants.compressed(layout, compressed, plain, values, shape)
    )
    return Tensor(
        values.dtype,
        shape,
        None,
        layout=layout,
        device=values.device,
        requires_grad=values.requires_grad,
        parts={names[0]: compressed, names[1]: plain, "values": values},
    )


def _legacy_sparse(machine: Unpickler, info: DTypeInfo, args: tuple[Any, ...]) -> Tensor:
    """`torch.sparse.FloatTensor(indices, values, size)`."""
    if len(args) != 3:
        raise Unsupported(
            f"a legacy sparse tensor made from {len(args)} arguments", phase="rebuild"
        )
    tensor = _coo(machine, *args)
    if tensor.dtype != info.name:
        raise Malformed(
            f"values of {tensor.dtype} in a sparse tensor of {info.name}",
            phase="rebuild",
        )
    return tensor


# --------------------------------------------------------------------- nested


@CALLS.named("torch._utils._rebuild_nested_tensor")
def _rebuild_nested_tensor(
    machine: Unpickler, values: Any, sizes: Any, strides: Any, offsets: Any
) -> Tensor:
    values = _tensor(values, "the buffer of a nested tensor")
    parts = {
        "values": values,
        "sizes": _tensor(sizes, "the sizes of a nested tensor"),
        "strides": _tensor(strides, "the strides of a nested tensor"),
        "storage_offsets": _tensor(offsets, "the offsets of a nested tensor"),
    }
    count, dims = invariants.nested_shapes(**parts)
    machine.defer(lambda: invariants.nested(**parts))
    return Tensor(
        values.dtype,
        # The sizes inside differ from component to component.
        (count, *(-1,) * dims),
        None,
        layout="nested",
        device=values.device,
        requires_grad=values.requires_grad,
        parts=parts,
    )


@CALLS.named("torch.nested._internal.nested_tensor._rebuild_njt")
def _rebuild_njt(machine: Unpickler, kwargs: Any) -> Tensor:
    if type(kwargs) is not dict or not {"values", "offsets"} <= kwargs.keys():
        raise Malformed("a jagged tensor needs values and offsets", phase="rebuild")
    values = _tensor(kwargs["values"], "the values of a jagged tensor")
    offsets = _tensor(kwargs["offsets"], "the offsets of a jagged tensor")
    lengths = kwargs.get("lengths")
    if lengths is not None:
        lengths = _tensor(lengths, "the lengths of a jagged tensor")
    ragged = kwargs.get("_ragged_idx", 1)
    invariants.jagged_shapes(values, offsets, lengths, ragged)
    machine.defer(lambda: invariants.jagged(values, offsets, lengths, ragged))
    parts: dict[str, Any] = {"values": values, "offsets": offsets, "lengths": lengths}
    parts["ragged_idx"] = ragged
    parts["metadata_cache"] = kwargs.get("_metadata_cache")
    shape = list(values.shape)
    shape[ragged - 1] = -1  # as ragged as the offsets say
    info = DTYPES[values.dtype]
    return Tensor(
        values.dtype,
        (offsets.shape[0] - 1, *shape),
        None,
        layout="jagged",
        device=values.device,
        requires_grad=_grad(kwargs.get("requires_grad", False), info),
        type="torch.nested._internal.nested_tensor.NestedTensor",
        parts=parts,
    )


# ------------------------------------------------------------------ quantized


@CALLS.named("torch._utils._rebuild_qtensor")
def _rebuild_qtensor(
    machine: Unpickler,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    params: Any,
    *rest: Any,
) -> Tensor:
    """`(..., (qscheme, ...), requires_grad, hooks)`; in 1.2 `(..., scale,
    zero_point, requires_grad, hooks)`."""
    if type(params) in (int, float) and len(rest) == 3:
        params, rest = (QScheme("per_tensor_affine"), params, rest[0]), rest[1:]
    if type(params) is not tuple or len(rest) != 2:
        raise Malformed("a quantized tensor without its scheme", phase="rebuild")
    if type(storage) is Storage and DTYPES[storage.dtype].kind != "quantized":
        raise Malformed(
            f"a quantized tensor in a storage of {storage.dtype}", phase="rebuild"
        )
    tensor = _quantized_view(machine, storage, offset, size, stride)
    tensor._parts = _quantizer(tensor.shape, params)
    tensor._requires_grad = _grad(rest[0], DTYPES[tensor.dtype])
    return _with_hooks(tensor, rest[1])


def _quantized_view(
    machine: Unpickler, storage: Any, offset: Any, size: Any, stride: Any
) -> Tensor:
    per_byte = DTYPES[storage.dtype].per_byte if type(storage) is Storage else 1
    if per_byte == 1:
        return _strided(machine, storage, offset, size, stride)
    # Several elements in a byte: bounds in elements, of a contiguous tensor.
    whole = Storage(storage.dtype, storage.nbytes * per_byte, storage.location)
    view = _strided(machine, whole, offset, size, stride)
    if view.stride != _contiguous(view.shape):
        raise Unsupported(f"a strided tensor of {storage.dtype}", phase="rebuild")
    view._storage = storage
    return view


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    steps = []
    step = 1
    for size in reversed(shape):
        steps.append(step)
        step *= max(size, 1)
    return tuple(reversed(steps))


def _quantizer(shape: tuple[int, ...], params: tuple[Any, ...]) -> dict[str, Any]:
    scheme = params[0] if params else None
    if type(scheme) is not QScheme:
        raise _wrong("a quantization scheme is expected", scheme)
    if scheme.name == "per_tensor_affine" and len(params) == 3:
        scale, zero_point = params[1:]
        if type(scale) not in (int, float) or type(zero_point) is not int:
            raise Malformed("a scale is a float, a zero point an int", phase="rebuild")
        return {"qscheme": scheme.name, "scale": float(scale), "zero_point": zero_point}
    if scheme.name.startswith("per_channel_affine") and len(params) == 4:
        scales, zero_points, axis = params[1:]
        if type(axis) is not int or not 0 <= axis < len(shape):
            raise Malformed(f"a quantized tensor has no axis {quote(str(axis)[:20])}",
                            phase="rebuild")
        for part in (scales, zero_points):
            count = part.numel if type(part) is Tensor else len(_numbers(part))
            if count != shape[axis]:
                raise Malformed(
                    f"{count} scales or zero points for {shape[axis]} channels",
                    phase="rebuild",
                )
        return {
            "qscheme": scheme.name,
            "scales": _channel(scales, "float64"),
            "zero_points": _channel(zero_points, "int64"),
            "axis": axis,
        }
    raise Malformed(
        f"the scheme {scheme} with {len(params) - 1} parameters", phase="rebuild"
    )


def _numbers(value: Any) -> list[Any]:
    if type(value) is not list:
        raise _wrong("scales must be a tensor or a list", value)
    if not all(type(item) in (int, float) for item in value):
        raise Malformed("scales must be numbers", phase="rebuild")
    return value


def _channel(value: Any, dtype: str) -> Tensor:
    """Scales as a tensor; files of 1.3 hold them as a list."""
    if type(value) is Tensor:
        return value
    info = DTYPES[dtype]
    try:
        array = np.array(value, dtype=info.numpy)
    except (OverflowError, ValueError):
        raise Malformed("a zero point that is no 64-bit int", phase="rebuild") from None
    return from_array(array, dtype)


def from_array(array: np.ndarray[Any, Any], dtype: str) -> Tensor:
    """A contiguous tensor around an array of ours."""
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    storage = Storage(dtype, data.nbytes, source=memoryview(data).toreadonly())
    return Tensor(dtype, array.shape, _contiguous(array.shape), 0, storage)


# -------------------------------------------------- no storage, other devices


@CALLS.named("torch._utils._rebuild_meta_tensor_no_storage")
def _rebuild_meta_tensor_no_storage(
    machine: Unpickler, dtype: Any, size: Any, stride: Any, requires_grad: Any
) -> Tensor:
    info = _dtype(dtype)
    shape = _ints(machine, size, "the size")
    steps = _ints(machine, stride, "the stride")
    if len(shape) != len(steps):
        raise Malformed("a size and a stride of different lengths", phase="rebuild")
    nbytes = extent(shape, steps, 0) * info.itemsize
    _counted(shape, steps, nbytes)
    tensor = Tensor(info.name, shape, steps, 0, Storage(info.name, nbytes, "meta"))
    tensor._device = "meta"
    tensor._requires_grad = _grad(requires_grad, info)
    return tensor


@CALLS.named("torch._utils._rebuild_wrapper_subclass")
def _rebuild_wrapper_subclass(
    machine: Unpickler,
    cls: Any,
    dtype: Any,
    size: Any,
    stride: Any,
    offset: Any,
    layout: Any,
    device: Any,
    requires_grad: Any,
) -> Tensor:
    """A tensor that keeps its elements in tensors among its attributes."""
    info = _dtype(dtype)
    shape = _ints(machine, size, "the size")
    steps = None if stride is None else _ints(machine, stride, "the stride")
    if steps is not None and len(shape) != len(steps):
        raise Malformed("a size and a stride of different lengths", phase="rebuild")
    if type(layout) is not Layout or type(offset) is not int:
        raise _wrong("a wrapper subclass needs a layout", layout)
    extent(shape, steps or shape, offset)
    _counted(shape, steps or (), offset)
    return Tensor(
        info.name,
        shape,
        steps,
        offset,
        None,
        _grad(requires_grad, info),
        layout.name,
        _device_tag(device),
        type=_class_name(cls),
    )


def _device_tag(device: Any) -> str:
    if type(device) is not Device and type(device) is not str:
        raise _wrong("a device is expected", device)
    return str(device)


@CALLS.named("torch._utils._rebuild_device_tensor_from_cpu_tensor")
def _rebuild_device_tensor_from_cpu_tensor(
    machine: Unpickler, data: Any, dtype: Any, device: Any, requires_grad: Any
) -> Tensor:
    tensor = _copy(_tensor(data, "the data of a device's tensor"))
    if _dtype(dtype).name != tensor.dtype:
        raise Unsupported(
            f"a tensor of {_dtype(dtype).name} kept as {tensor.dtype}", phase="rebuild"
        )
    tensor._device = _device_tag(device)
    tensor._requires_grad = _grad(requires_grad, DTYPES[tensor.dtype])
    return tensor


@CALLS.named(
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_xla_tensor",
    "torch._utils._rebuild_mlc_tensor",
)
def _rebuild_device_tensor_from_numpy(
    machine: Unpickler, data: Any, dtype: Any, device: Any, requires_grad: Any
) -> Tensor:
    """An XLA tensor; numpy has no bfloat16, so those were kept as float32."""
    info = _dtype(dtype)
    if type(data) is not np.ndarray or data.dtype.hasobject:
        raise _wrong("a device's tensor is kept as a numpy array", data)
    machine.spend(data.nbytes)
    if data.dtype != info.numpy:
        if data.dtype != np.float32 or info.name != "bfloat16":
            raise Unsupported(
                f"a tensor of {info.name} kept as numpy's {data.dtype.str}",
                phase="rebuild",
            )
        data = data.astype(info.numpy)
    tensor = from_array(data, info.name)
    tensor._device = _device_tag(device)
    tensor._requires_grad = _grad(requires_grad, info)
    return tensor


# --------------------------------------------------------------- small values


@CALLS.named("torch.Size")
def _size(machine: Unpickler, value: Any = ()) -> Size:
    machine.spend(len(value) if isinstance(value, (tuple, list)) else 1)
    return Size(_ints(machine, value, "a Size"))


@CALLS.named("torch.device")
def _device(machine: Unpickler, kind: Any, index: Any = None) -> Device:
    if type(kind) is Device and index is None:
        return kind
    if type(kind) is not str or (index is not None and type(index) is not int):
        raise _wrong("a device is a name and a number", kind)
    name, colon, number = kind.partition(":")
    if colon:
        if index is not None or not (number.isascii() and number.isdigit()):
            raise Malformed(f"no device is called {quote(kind)}", phase="rebuild")
        index = int(number[:10])
    if not name.isidentifier() or not -1 <= (index or 0) < 1 << 15:
        raise Malformed(f"no device is called {quote(kind)}", phase="rebuild")
    return Device(name, None if index == -1 else index)


@CALLS.named("torch.serialization._get_layout")
def _get_layout(machine: Unpickler, name: Any) -> Layout:
    if type(name) is not str or name.removeprefix("torch.") not in LAYOUTS:
        raise Malformed(f"no layout is called {quote(name)}", phase="rebuild")
    return Layout(name.removeprefix("torch."))


LAYOUTS: Final = frozenset(["strided", "sparse_coo", *_COMPRESSED, "jagged", "_mkldnn"])


@CALLS.named("torch.storage._load_from_bytes")
def _load_from_bytes(machine: Unpickler, data: Any) -> Any:
    """A storage or tensor that was pickled outside `torch.save`."""
    if type(data) is not bytes:
        raise _wrong("a checkpoint inside a checkpoint is bytes", data)
    machine.spend(len(data))
    return machine.nested(data)


@CALLS.named("torch.storage.UntypedStorage", "torch.UntypedStorage")
def _untyped_storage(machine: Unpickler, size: Any = 0) -> Storage:
    if type(size) is int and size == 0:
        return Storage("uint8", 0)
    raise Uninitialised("a new storage, which nothing fills", phase="rebuild")


@CALLS.named(
    "torch.jit._pickle.build_boollist",
    "torch.jit._pickle.build_doublelist",
    "torch.jit._pickle.build_intlist",
    "torch.jit._pickle.build_tensorlist",
)
def _typed_list(machine: Unpickler, value: Any) -> Any:
    """A list of which C++ knows the element type."""
    if type(value) is not list:
        raise _wrong("a typed list is made of a list", value)
    return value


@CALLS.named("torch.jit._pickle.restore_type_tag")
def _restore_type_tag(machine: Unpickler, value: Any, type_name: Any) -> Any:
    return value


@CALLS.named(TENSOR)
def _new_tensor(machine: Unpickler, *args: Any) -> Tensor:
    return _legacy_tensor(DTYPES["float32"], args)


def typed_call(machine: Unpickler, callee: TypedGlobal, args: tuple[Any, ...]) -> Any:
    """REDUCE or NEWOBJ of one of the classes that name a dtype."""
    if callee.role == "tensor":
        return _legacy_tensor(callee.info, args)
    if callee.role == "sparse":
        return _legacy_sparse(machine, callee.info, args)
    raise Malformed(f"{callee.name} is called, which only names a dtype", phase="rebuild")

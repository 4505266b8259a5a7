"""What torch built -> nodes of a description."""

from __future__ import annotations

import copyreg
import ctypes
import functools
import pickle
import types
from collections.abc import Callable
from typing import Any, Final

import torch
import torch._weights_only_unpickler
import torch.jit._pickle
import torch.serialization

from conformance.description import (
    AnyNode,
    Builder,
    Description,
    InMemory,
    Object,
    Pair,
    Scalar,
    Storage,
    StorageValue,
    Tensor,
    escape,
)
from conformance.loaders import inert, values
from conformance.loaders.inert import Made, Named, Record

from .globals import STATE
from .script import Script


def describe(root: object) -> Description:
    """The description of what `torch.load` returned."""
    return Builder(_describe).build(root)


def _describe(value: Any, builder: Builder) -> AnyNode:
    node = values.describe(value, builder)
    if node is not None:
        return node
    if isinstance(value, torch.Tensor):
        # Python code of a subclass must not answer for its tensor.
        with torch._C.DisableTorchFunctionSubclass():
            return _tensor(value, builder)
    function = _TYPES.get(type(value))
    if function is not None:
        return function(value, builder)
    if isinstance(value, type) and value in _SINGLETONS:
        # Pickle has no name for these.
        args = builder.refs([_SINGLETONS[value]])
        return Object(type="builtins.type", args=args)
    if isinstance(value, type | types.FunctionType):
        return Scalar(type="global", value=_global_name(value))
    return _reduced(value, builder)


_SINGLETONS: Final[dict[type, Any]] = {
    type(value): value for value in (None, ..., NotImplemented)
}


def _global_name(value: Any) -> str:
    if isinstance(value, types.BuiltinFunctionType):
        reduced = value.__reduce__()
        if isinstance(reduced, tuple):  # getattr of its class
            owner, name = reduced[1]
            return f"{_global_name(owner)}.{escape(name)}"
    if getattr(value, "__module__", None) is None:
        # As pickle finds out in which module it lives.
        name = value.__qualname__
        module = pickle.whichmodule(value, name)  # type: ignore[attr-defined]
        return escape(f"{module}.{name}")
    return values.full_name(value)


def _record(value: Record, builder: Builder) -> AnyNode:
    callee = value.callee
    return Object(
        type=escape(value.full_name),
        callee=builder.ref(callee) if isinstance(callee, Record | Made) else None,
        args=builder.refs(value.args),
        kwargs=builder.pairs(value.kwargs.items()),
        state=None if value.state is None else builder.ref(value.state),
        listitems=builder.refs(value.listitems),
        dictitems=builder.pairs(value.dictitems),
    )


def _reduced(value: Any, builder: Builder) -> AnyNode:
    """A live object, as it would pickle itself; runs its own code."""
    try:
        reduce = copyreg.dispatch_table.get(type(value))
        reduced = value.__reduce_ex__(2) if reduce is None else reduce(value)
    except Exception as error:
        kind = values.full_name(type(value))
        message = f"torch loads it, but a {kind} cannot say what it is made of"
        raise TypeError(message) from error
    if isinstance(reduced, str):
        # As pickle finds out in which module it lives.
        module = pickle.whichmodule(value, reduced)  # type: ignore[attr-defined]
        return Scalar(type="global", value=escape(f"{module}.{reduced}"))
    if reduced[0] is getattr and isinstance(reduced[1][0], type):
        # What lies inside a class has a name.
        owner, name = reduced[1]
        name = f"{_global_name(owner)}.{escape(name)}"
        return Scalar(type="global", value=name)
    callee, args, state, listitems, dictitems = (*reduced, None, None, None)[:5]
    kwargs: dict[Any, Any] = {}
    if callee is copyreg.__newobj__:  # type: ignore[attr-defined]
        callee, *args = args
    elif callee is copyreg.__newobj_ex__:  # type: ignore[attr-defined]
        callee, args, kwargs = args
    return Object(
        type=_global_name(callee),
        args=builder.refs(args),
        kwargs=builder.pairs(kwargs.items()),
        state=None if state is None else builder.ref(state),
        listitems=builder.refs(listitems or ()),
        dictitems=builder.pairs(dictitems or ()),
    )


def _typed_storage(value: Any, builder: Builder) -> AnyNode:
    return StorageValue(
        type="torch.storage.TypedStorage",
        dtype=_name(value.dtype),
        storage=_storage(value._untyped_storage, builder),
    )


def _untyped_storage(value: Any, builder: Builder) -> AnyNode:
    return StorageValue(
        type="torch.storage.UntypedStorage", storage=_storage(value, builder)
    )


def _named(type: str) -> Callable[[Any, Builder], AnyNode]:
    return lambda value, _: Scalar(type=type, value=str(value))


_TYPES: Final[dict[type, Callable[[Any, Builder], AnyNode]]] = {
    Named: lambda value, _: Scalar(type="global", value=escape(value.full_name)),
    inert.Function: lambda value, _: Scalar(type="global", value=value.full_name),
    Record: _record,
    Made: lambda value, builder: _record(value.record, builder),
    Script: lambda value, builder: value.describe(builder),
    torch.Size: values.sequence("torch.Size"),
    torch.dtype: _named("torch.dtype"),
    torch.layout: _named("torch.layout"),
    torch.qscheme: _named("torch.qscheme"),
    torch.device: _named("torch.device"),
    # A storage class of the file: torch keeps nothing of it but the dtype.
    torch.serialization.StorageType: lambda value, _: Scalar(
        type="torch.StorageType", value=_name(value.dtype)
    ),
    torch.storage.TypedStorage: _typed_storage,
    torch.storage.UntypedStorage: _untyped_storage,
    memoryview: lambda value, _: Scalar(type="memoryview", value=value.hex()),
}


def _name(value: Any) -> str:
    """A dtype, layout or scheme without torch's prefix."""
    return str(value).removeprefix("torch.")


# ---------------------------------------------------------------------- tensors

#: The accessors of what a sparse tensor is made of, per layout.
_SPARSE: Final = {
    "sparse_coo": {"indices": "_indices", "values": "_values"},
    **{
        layout: {name: name for name in (*names, "values")}
        for layout, names in (
            ("sparse_csr", ("crow_indices", "col_indices")),
            ("sparse_csc", ("ccol_indices", "row_indices")),
            ("sparse_bsr", ("crow_indices", "col_indices")),
            ("sparse_bsc", ("ccol_indices", "row_indices")),
        )
    },
}


def _tensor(tensor: Any, builder: Builder) -> AnyNode:
    layout = _name(tensor.layout)
    facts: dict[str, Any] = {"layout": layout}
    parts: dict[str, Any] = {}
    if layout in _SPARSE:
        # Detached: that the whole requires gradients says nothing of its parts.
        inner = tensor.detach()
        parts = {name: getattr(inner, get)() for name, get in _SPARSE[layout].items()}
        if layout == "sparse_coo":
            parts["is_coalesced"] = tensor.is_coalesced()
        facts["shape"] = tuple(tensor.size())
    elif layout == "jagged":
        parts = {
            name: getattr(tensor, f"_{name}")
            for name in ("values", "offsets", "lengths", "ragged_idx", "metadata_cache")
        }
        facts["shape"] = tuple(
            size if isinstance(size, int) else -1 for size in tensor._size
        )
    elif tensor.is_nested:
        parts = {
            "values": tensor.detach().values(),
            # Detached: what else Python hung on them is not kept by every release.
            "sizes": tensor._nested_tensor_size().detach(),
            "strides": tensor._nested_tensor_strides().detach(),
            "storage_offsets": tensor._nested_tensor_storage_offsets().detach(),
        }
        shape = (tensor.size(0), *(-1,) * (tensor.dim() - 1))
        facts.update(layout="nested", shape=shape)
    else:
        facts.update(
            shape=tuple(tensor.size()),
            stride=tensor.stride(),
            storage_offset=tensor.storage_offset(),
        )
        if tensor.is_quantized:
            parts = _quantizer(tensor)
        if not _is_wrapper(tensor):
            facts["storage"] = _storage(tensor.untyped_storage(), builder)
            builder.elements(functools.partial(_elements, tensor))
    attributes, state = _attributes(tensor, layout, builder)
    return Tensor(
        type=_class_name(tensor),
        dtype=_name(tensor.dtype),
        device=str(tensor.device),
        requires_grad=tensor.requires_grad,
        is_conj=tensor.is_conj(),
        is_neg=tensor.is_neg(),
        parts={name: builder.ref(part) for name, part in parts.items()},
        attributes=attributes,
        state=state,
        **facts,
    )


def _class_name(tensor: Any) -> str:
    kind = type(tensor)
    full_name = getattr(kind, "full_name", None)
    return values.full_name(kind) if full_name is None else escape(full_name)


def _quantizer(tensor: Any) -> dict[str, Any]:
    scheme = tensor.qscheme()
    parts = {"qscheme": _name(scheme)}
    if scheme == torch.per_tensor_affine:
        return {
            **parts,
            "scale": tensor.q_scale(),
            "zero_point": tensor.q_zero_point(),
        }
    return {
        **parts,
        "scales": tensor.q_per_channel_scales().detach(),
        "zero_points": tensor.q_per_channel_zero_points().detach(),
        "axis": tensor.q_per_channel_axis(),
    }


def _is_wrapper(tensor: Any) -> bool:
    """Whether a subclass keeps its elements elsewhere: torch's own test."""
    kind = type(tensor)
    return (
        kind is not torch.Tensor
        and kind.__torch_dispatch__ is not torch.Tensor.__torch_dispatch__
        and tensor.data_ptr() == 0
    )


def _attributes(
    tensor: Any, layout: str, builder: Builder
) -> tuple[list[Pair], int | None]:
    attributes = dict(tensor.__dict__)
    for slot in copyreg._slotnames(type(tensor)):  # type: ignore[attr-defined]
        if hasattr(tensor, slot):
            attributes[slot] = getattr(tensor, slot)
    if layout == "jagged":
        # Made anew, with symbols in them; never saved.
        for name in ("_size", "_strides"):
            attributes.pop(name, None)
    hooks = tensor._backward_hooks
    if hooks is not None and not (isinstance(hooks, dict) and not hooks):
        attributes = {"_backward_hooks": hooks, **attributes}
    state = builder.ref(attributes.pop(STATE)) if STATE in attributes else None
    return builder.pairs(attributes.items()), state


def _elements(tensor: Any) -> bytes:
    """The logical elements, row-major; bytes of integers if quantized."""
    plain = tensor.detach().as_subclass(torch.Tensor)
    if plain.is_quantized:
        plain = plain.int_repr()
    plain = plain.resolve_conj().resolve_neg().contiguous()
    size = plain.element_size()
    start = plain.storage_offset() * size
    data = _memory(plain.untyped_storage())
    return data.read(start, start + plain.numel() * size)


# --------------------------------------------------------------------- storages


def _storage(storage: torch.UntypedStorage, builder: Builder) -> int:
    def make() -> Storage:
        device = storage.device
        return Storage(
            storage.nbytes(),
            data=None if device.type == "meta" else _memory(storage),
            location=str(device),
        )

    # The address of the C++ storage; the builder keeps its users alive.
    return builder.storage(storage._cdata, make)


class _Memory(InMemory):
    """The bytes of a torch storage, where they lie."""

    def __init__(self, storage: torch.UntypedStorage) -> None:
        self._storage = storage
        nbytes = storage.nbytes()
        if nbytes:
            data = (ctypes.c_ubyte * nbytes).from_address(storage.data_ptr())
            super().__init__(memoryview(data).cast("B"))
        else:
            super().__init__(memoryview(b""))


def _memory(storage: torch.UntypedStorage) -> _Memory:
    return _Memory(storage)

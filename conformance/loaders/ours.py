"""The torch-free parser's tree -> description."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, BinaryIO, Final

from conformance import parser
from conformance.description import (
    AnyNode,
    Builder,
    Description,
    InMemory,
    Object,
    Scalar,
    StorageValue,
    Tensor,
    escape,
)
from conformance.description import Storage as DescribedStorage
from conformance.parser import CheckpointError
from conformance.parser.dtypes import DTYPES
from conformance.parser.values import TypedGlobal

from . import values


def load(
    path: str | os.PathLike[str] | BinaryIO,
    *,
    weights_only: bool = True,
    encoding: str = "utf-8",
    limits: parser.Limits | None = None,
    trace: parser.Trace | None = None,
) -> Description:
    """What the parser reads in a file; raises its `CheckpointError`."""
    tree = parser.load(
        path,
        weights_only=weights_only,
        encoding=encoding,
        limits=parser.Limits() if limits is None else limits,
        trace=trace,
    )
    return describe(tree)


def describe(tree: object) -> Description:
    """The description of what `conformance.parser.load` returned.

    Fetches every storage, so that a record that cannot be read is an error
    here and not where its bytes are first compared.
    """
    return Builder(_describe).build(tree)


def _describe(value: Any, builder: Builder) -> AnyNode:
    function = _TYPES.get(type(value))
    if function is not None:
        return function(value, builder)
    node = values.describe(value, builder)
    if node is not None:
        return node
    if isinstance(value, type):
        # The factory of a defaultdict.
        return Scalar(type="global", value=values.full_name(value))
    raise TypeError(f"the parser returned a {values.full_name(type(value))}")


def _tensor(tensor: parser.Tensor, builder: Builder) -> AnyNode:
    storage = None if tensor.storage is None else _storage(tensor.storage, builder)
    if storage is not None and tensor.layout == "strided":
        builder.elements(lambda: _elements(tensor))
    # In the order of the oracle, which numbers the nodes.
    attributes = builder.pairs(tensor.attributes.items())
    state = None if tensor.state is None else builder.ref(tensor.state)
    return Tensor(
        type=escape(tensor.type),
        dtype=tensor.dtype,
        shape=tensor.shape,
        stride=tensor.stride,
        storage_offset=tensor.storage_offset,
        storage=storage,
        layout=tensor.layout,
        device=escape(tensor.device),
        requires_grad=tensor.requires_grad,
        is_conj=tensor.is_conj,
        is_neg=tensor.is_neg,
        parts={name: builder.ref(part) for name, part in tensor.parts.items()},
        attributes=attributes,
        state=state,
    )


#: A view may repeat its storage any number of times: beyond this many bytes
#: its elements are not spelled out.
ELEMENTS: Final = 64 << 20


def _elements(tensor: parser.Tensor) -> bytes | None:
    if tensor.numel * DTYPES[tensor.dtype].itemsize > ELEMENTS:
        return None
    try:
        return tensor.tobytes()
    except CheckpointError:
        return None


def _storage(storage: parser.Storage, builder: Builder) -> int:
    def make() -> DescribedStorage:
        return DescribedStorage(
            storage.nbytes,
            data=InMemory(storage.data) if storage.has_data else None,
            location=escape(storage.location),
        )

    return builder.storage(id(storage), make)


def _object(value: parser.Object, builder: Builder) -> AnyNode:
    callee = value.callee
    return Object(
        type=escape(value.name),
        callee=builder.ref(callee) if isinstance(callee, parser.Object) else None,
        args=builder.refs(value.args),
        kwargs=builder.pairs(value.kwargs.items()),
        state=None if value.state is None else builder.ref(value.state),
        listitems=builder.refs(value.listitems),
        dictitems=builder.pairs(value.dictitems),
    )


def _global(value: parser.Global, _: Builder) -> AnyNode:
    return Scalar(type="global", value=escape(value.name))


def _typed_global(value: TypedGlobal, builder: Builder) -> AnyNode:
    if value.role == "storage":
        # torch keeps nothing of such a class but its dtype.
        return Scalar(type="torch.StorageType", value=value.info.name)
    if value.role == "untyped":
        return Scalar(type="global", value="torch.storage.UntypedStorage")
    return _global(value, builder)


def _storage_value(value: parser.Storage, builder: Builder) -> AnyNode:
    return StorageValue(
        type="torch.storage.TypedStorage",
        dtype=value.dtype,
        storage=_storage(value, builder),
    )


def _named(type: str) -> Callable[[Any, Builder], AnyNode]:
    return lambda value, _: Scalar(type=type, value=str(value))


_TYPES: Final[dict[type, Callable[[Any, Builder], AnyNode]]] = {
    parser.Tensor: _tensor,
    parser.Object: _object,
    parser.Storage: _storage_value,
    parser.Global: _global,
    TypedGlobal: _typed_global,
    parser.DType: _named("torch.dtype"),
    parser.Layout: _named("torch.layout"),
    parser.QScheme: _named("torch.qscheme"),
    parser.Device: _named("torch.device"),
    parser.Size: values.sequence("torch.Size"),
}

"""`torch.load`, in each of its modes -> description; imports torch.

Runs in a `worker`, for torch crashes and hangs on some malformed files. Four
modes: `weights_only` or not, `mmap` or not. With `weights_only=False` torch
runs what the file asks for; so by default its real code is given a pickle
machine that keeps everything but data inert (`inert.py`), and only with `trust`
the whole of `torch.load(weights_only=False)`.
"""

from __future__ import annotations

import copyreg
import ctypes
import functools
import importlib
import importlib.util
import io
import operator
import pickle
import re
import types
import warnings
from collections.abc import Callable
from typing import Any, Final

import torch
import torch._weights_only_unpickler
import torch.jit._pickle
import torch.serialization
from torch.nested._internal import nested_tensor
from torch.nn import parameter

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

from . import inert, values
from .inert import Named, Record
from .served import Served

# --------------------------------------------------------------------- loading


class _ToCPU(dict[Any, Any]):
    """A `map_location` that moves accelerators to the CPU, and nothing else.

    A plain `"cpu"` would move `meta` too, and a function is refused for wrapper
    subclasses; a dict with this `get` works in both of torch's look-ups.
    """

    #: As `torch.serialization._deserialize` tests them, and those of plug-ins.
    ACCELERATORS: Final = re.compile(
        r"(cuda|hip|xpu|hpu|mtia|mps|xla|maia|npu|mlu|musa|privateuseone|ipu|ve|vulkan"
        r"|opencl|opengl|lazy|fpga|ideep)(:|[0-9]|$)"
    )

    def get(self, location: Any, default: Any = None) -> Any:
        return "cpu" if self.ACCELERATORS.match(str(location)) else default


def load(
    path: str,
    *,
    weights_only: bool = True,
    mmap: bool = False,
    trust: bool = False,
    encoding: str = "utf-8",
) -> Description:
    """What torch reads in a file, or what torch raises.

    With `trust` and without `weights_only`, runs whatever the file asks for.
    """
    options: dict[str, Any] = {"map_location": _ToCPU(), "encoding": encoding}
    _reset()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not weights_only and _is_torchscript(path):
                root = _load_torchscript(path, trust, options)
            elif weights_only:
                root = _load_weights(path, mmap, options)
            else:
                if not trust:
                    options["pickle_module"] = _inert_pickle()
                root = torch.load(path, weights_only=False, mmap=mmap, **options)
            return describe(root)
    except (RuntimeError, OSError) as error:
        if _NO_MEMORY.search(str(error)):
            raise MemoryError(str(error)) from None
        raise
    finally:
        _reset()


#: What torch says when it was refused memory; it has no class for that.
_NO_MEMORY: Final = re.compile(
    r"can't allocate memory|not enough memory|bad_alloc|Cannot allocate memory"
)


def _reset() -> None:
    """Forgets what a load that failed has left behind in torch."""
    tls = torch.serialization._serialization_tls
    tls.map_location = None
    # A list of the process in 2.13, of the thread in 2.15.
    for owner, name in (
        (torch._utils, "_sparse_tensors_to_validate"),
        (tls, "sparse_tensors_to_validate"),
    ):
        getattr(owner, name, []).clear()


def _load_weights(path: str, mmap: bool, options: dict[str, Any]) -> Any:
    try:
        return torch.load(path, weights_only=True, mmap=mmap, **options)
    except pickle.UnpicklingError as error:
        # torch allows these classes, but only once their module is imported.
        if "must be imported" not in str(error):
            raise
    importlib.import_module("torch._dynamo")  # and all that it imports
    return torch.load(path, weights_only=True, mmap=mmap, **options)


# ----------------------------------------------------------------- inert loading


@functools.cache
def _inert_pickle() -> Any:
    return inert.pickle_module(_Table(_table()))


class _Table(dict[str, Any]):
    """A table of globals, one of which torch only has when asked."""

    #: Slow to import. Jagged tensors carry this plain dataclass in their
    #: attributes, and torch's own code adds to them.
    LATE: Final = "torch._dynamo.decorators._DimRange"

    def __missing__(self, full_name: str) -> Any:
        if full_name == self.LATE:
            module, _, name = full_name.rpartition(".")
            return getattr(importlib.import_module(module), name)
        if full_name.startswith("torch."):
            _look_up(full_name.split("."))
        raise KeyError(full_name)


def _look_up(parts: list[str]) -> None:
    """Raises what pickle would for a name that this torch does not have.

    Imports nothing for it: a module that nobody has imported yet is taken to
    have what the file wants of it.
    """
    value: Any = torch
    for depth, part in enumerate(parts[1:], 2):
        if not hasattr(value, part):
            module = ".".join(parts[:depth])
            if depth == len(parts) or not isinstance(value, types.ModuleType):
                raise AttributeError(f"Can't get attribute {part!r} on {value!r}")
            if importlib.util.find_spec(module) is None:
                raise ModuleNotFoundError(f"No module named {module!r}")
            return
        value = getattr(value, part)


def _table() -> dict[str, Any]:
    """What is data, or rebuilds it: torch's own allowlist, and a few more."""
    return {
        **torch._weights_only_unpickler._get_allowed_globals(),
        **{
            f"torch.{name}": value
            for name, value in vars(torch).items()
            if isinstance(value, torch.dtype | torch.layout | torch.qscheme)
        },
        **{
            f"torch.jit._pickle.{name}": value
            for name, value in vars(torch.jit._pickle).items()
            if name.startswith(("build_", "restore_"))
        },
        **inert.TABLE,
        "torch.UntypedStorage": torch.UntypedStorage,
        "torch.nn.Parameter": parameter.Parameter,
        "torch.nn.parameter.UninitializedBuffer": parameter.UninitializedBuffer,
        "torch.nn.parameter.UninitializedParameter": parameter.UninitializedParameter,
        "torch.autograd.variable.Variable": torch.autograd.Variable,
        "torch.autograd.Variable": torch.autograd.Variable,
        "torch.nested._internal.nested_tensor.NestedTensor": nested_tensor.NestedTensor,
        "torch.nested._internal.nested_tensor._rebuild_njt": nested_tensor._rebuild_njt,
        "torch._utils._rebuild_xla_tensor": torch._utils._rebuild_xla_tensor,
        "torch._utils._rebuild_wrapper_subclass": _rebuild_wrapper_subclass,
        "torch._tensor._rebuild_from_type": _rebuild_from_type,
        "torch._tensor._rebuild_from_type_v2": _rebuild_from_type_v2,
        "torch.storage._load_from_bytes": _load_from_bytes,
    }


def _load_from_bytes(data: bytes) -> Any:
    """`torch.storage._load_from_bytes`, but as inert inside as outside."""
    file = io.BytesIO(data)
    options: dict[str, Any] = {"map_location": _ToCPU(), "weights_only": False}
    return torch.load(file, pickle_module=_inert_pickle(), **options)


@functools.lru_cache(maxsize=256)
def _tensor_class(named: Named, wrapper: bool) -> type[torch.Tensor]:
    """A subclass of `torch.Tensor` that stands for the file's own."""

    def setstate(self: Any, state: Any) -> None:
        # `_set_obj_state` knows a dict, and a pair of them; what any other
        # state means only the real class knows.
        parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
        if all(part is None or isinstance(part, dict) for part in parts):
            torch._utils._set_obj_state(self, state)
        else:
            self.__dict__[_STATE] = state

    def dispatch(_cls: Any, func: Any, *_: Any) -> Any:
        raise NotImplementedError(f"{func} of {named.full_name}")

    members: dict[str, Any] = {"__setstate__": setstate, "full_name": named.full_name}
    if wrapper:
        members["__torch_dispatch__"] = classmethod(dispatch)
    fill = operator.methodcaller("update", members)
    return types.new_class("Subclass", (torch.Tensor,), {}, fill)


#: Where a minted subclass keeps a state that is no dict.
_STATE: Final = "<state>"


def _rebuild_wrapper_subclass(cls: Any, *args: Any) -> Any:
    if isinstance(cls, Named):
        cls = _tensor_class(cls, True)
    return torch._utils._rebuild_wrapper_subclass(cls, *args)


_FROM_TYPE_V2: Final = Named("torch._tensor", "_rebuild_from_type_v2")


def _rebuild_from_type_v2(func: Any, new_type: Any, args: Any, state: Any) -> Any:
    if not isinstance(new_type, Named):
        return torch._tensor._rebuild_from_type_v2(func, new_type, args, state)
    made = func(*args)
    if not isinstance(made, torch.Tensor):
        # Rebuilt by a function that is kept inert.
        return Record(_FROM_TYPE_V2, (func, new_type, args, state))
    if getattr(type(made), "full_name", None) == new_type.full_name:
        kind: Any = type(made)
    else:
        kind = _tensor_class(new_type, False)
    return torch._tensor._rebuild_from_type_v2(lambda: made, kind, (), state)


def _rebuild_from_type(func: Any, new_type: Any, args: Any, state: Any) -> Any:
    if isinstance(new_type, Named):
        new_type = _tensor_class(new_type, False)
    return torch._tensor._rebuild_from_type(func, new_type, args, state)


# ------------------------------------------------------------------ TorchScript


_open_zip: Final = torch.serialization._open_zipfile_reader


def _is_torchscript(path: str) -> bool:
    with open(path, "rb") as file:
        if not torch.serialization._is_zipfile(file):
            return False
        with _open_zip(file) as archive:
            return bool(torch.serialization._is_torchscript_zip(archive))


def _load_torchscript(path: str, trust: bool, options: dict[str, Any]) -> Any:
    """A TorchScript archive; `torch.jit.load` would run code of the file."""
    options["pickle_module"] = _inert_pickle()
    with open(path, "rb") as file, _open_zip(file) as archive:
        record = torch.serialization._load(archive, **options)
        constants = torch.serialization._load(
            _Constants(archive), pickle_file="constants.pkl", **options
        )
    if constants and isinstance(record, Record):
        record.kwargs["constants"] = constants
    if trust and isinstance(record, Record):
        return _Script(torch.jit.load(path, map_location="cpu")._c, record)
    return record


class _Constants:
    """An archive as the code's literals see it: their storages lie elsewhere."""

    def __init__(self, archive: Any) -> None:
        self._archive = archive

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)

    def get_storage_from_record(self, name: str, *args: Any) -> Any:
        record = name.replace("data/", "constants/", 1)
        return self._archive.get_storage_from_record(record, *args)


class _Script:
    """A module that `torch.jit.load` built, and the names of its attributes.

    The names come from the pickle, as Python cannot list them; the values are
    what TorchScript has.
    """

    def __init__(self, module: Any, record: Record) -> None:
        self.module = module
        self.record = record

    def describe(self, builder: Builder) -> AnyNode:
        state = self.record.state
        if type(state) is dict:
            state = {name: self._value(name, value) for name, value in state.items()}
        return Object(
            type=escape(self.module.qualified_name),
            kwargs=builder.pairs(self.record.kwargs.items()),
            state=None if state is None else builder.ref(state),
        )

    def _value(self, name: str, recorded: Any) -> Any:
        value = self.module.getattr(name)
        if not isinstance(recorded, Record):
            return value
        # Other objects of TorchScript's own are compared as the pickle has them.
        if isinstance(value, torch._C.ScriptModule):
            return _Script(value, recorded)
        return recorded


# ------------------------------------------------------------------- describing


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
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
        return Scalar(type="global", value=_global_name(value))
    return _reduced(value, builder)


def _global_name(value: Any) -> str:
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
        callee=builder.ref(callee) if isinstance(callee, Record) else None,
        args=builder.refs(value.args),
        kwargs=builder.pairs(value.kwargs.items()),
        state=None if value.state is None else builder.ref(value.state),
        listitems=builder.refs(value.listitems),
        dictitems=builder.pairs(value.dictitems),
    )


def _reduced(value: Any, builder: Builder) -> AnyNode:
    """A live object, as it would pickle itself; runs its own code."""
    try:
        reduced = value.__reduce_ex__(2)
    except Exception as error:
        kind = values.full_name(type(value))
        message = f"torch loads it, but a {kind} cannot say what it is made of"
        raise TypeError(message) from error
    if isinstance(reduced, str):
        name = f"{type(value).__module__}.{reduced}"
        return Scalar(type="global", value=escape(name))
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
    _Script: lambda value, builder: value.describe(builder),
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
            "sizes": tensor._nested_tensor_size(),
            "strides": tensor._nested_tensor_strides(),
            "storage_offsets": tensor._nested_tensor_storage_offsets(),
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
        "scales": tensor.q_per_channel_scales(),
        "zero_points": tensor.q_per_channel_zero_points(),
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
    if hooks:
        attributes["_backward_hooks"] = hooks
    state = builder.ref(attributes.pop(_STATE)) if _STATE in attributes else None
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


# ----------------------------------------------------------------------- worker

answer = Served("torch", torch.__version__, load).answer

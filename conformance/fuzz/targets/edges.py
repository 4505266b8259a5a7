"""Files that few writers write, and every reader must take or refuse.

What stands at an edge of the formats, or is of a type that is seldom seen where it
stands: real checkpoints, and so most of the corpus, have little of it. `PICKLES`
stand alone; `ARCHIVES` are whole files.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

from generators.handmade import (
    Piece,
    Record,
    archive,
    build,
    call,
    dump,
    layout,
    longs,
    name,
    new,
    storage,
    tensor,
    untyped_tensor,
    value,
)


def _kept(piece: Piece, index: int) -> Piece:
    """The value, and it goes into the memo."""
    return Piece(piece + b"q%c" % index)


def _again(index: int) -> Piece:
    return Piece(b"h%c" % index)


# ----------------------------------------------------------------------- tensors

#: Two by two zeros, and so many ascending numbers (in the target `machine`).
_TENSOR: Final = tensor(storage("FloatStorage", 4, "0"), (2, 2))
_COMPLEX: Final = tensor(storage("ComplexFloatStorage", 4, "1"), (2, 2))


def _typed(key: str, dtype: str) -> Piece:
    """Four elements of a storage that knows no dtype."""
    return untyped_tensor(storage("UntypedStorage", 64, key), (4,), dtype)


def _longs(count: int, key: str) -> Piece:
    return tensor(storage("LongStorage", count, key), (count,))


def _v2(hooks: Any, *metadata: Any) -> Piece:
    return call(
        "torch._utils._rebuild_tensor_v2",
        *(storage("FloatStorage", 4), 0, (2, 2), (2, 1), False, hooks, *metadata),
    )


def _with_state(state: Any) -> Piece:
    hooks = call("collections.OrderedDict")
    return call(
        "torch._tensor._rebuild_from_type_v2",
        *(name("torch._utils._rebuild_tensor_v2"), name("torch.Tensor")),
        (storage("FloatStorage", 4), 0, (2, 2), (2, 1), False, hooks),
        state,
    )


def _jagged(lengths: Any, **more: Any) -> Piece:
    """Two rows out of eight, at 0 and 1, each of a length of its own."""
    return call(
        "torch.nested._internal.nested_tensor._rebuild_njt",
        {
            "values": tensor(storage("FloatStorage", 16, "0"), (8, 2)),
            "offsets": _longs(3, "1"),
            "lengths": lengths,
            **more,
        },
    )


def _qtensor(scheme: Any) -> Piece:
    data = storage("QInt8Storage", 4)
    hooks = call("collections.OrderedDict")
    return call(
        "torch._utils._rebuild_qtensor",
        *(data, 0, (2, 2), (2, 1), scheme, False, hooks),
    )


_QUANTIZED: Final = _qtensor((name("torch.per_tensor_affine"), 0.5, 1))


def _sparse(indices: Piece, values: Piece) -> Piece:
    return call(
        "torch._utils._rebuild_sparse_tensor",
        layout("sparse_coo"),
        (indices, values, (9, 9), False),
    )


def _table(key: str, location: str = "cpu") -> Piece:
    return tensor(storage("LongStorage", 4, key, location), (2, 2))


_CLASSES: Final = (
    "torch.nn.parameter.Parameter",
    "torch.nn.parameter.Buffer",
    "torch.autograd.variable.Variable",
)

_TENSORS: Final[dict[str, Any]] = {
    **{f"{full} of a tensor alone": call(full, _TENSOR) for full in _CLASSES},
    **{f"{full} with a flag": call(full, _TENSOR, True) for full in _CLASSES},
    "Parameter of nothing": call("torch.nn.parameter.Parameter"),
    "UninitializedParameter": call("torch.nn.parameter.UninitializedParameter"),
    "UninitializedBuffer": call("torch.nn.parameter.UninitializedBuffer", False),
    "Parameter that says its data again": call(
        "torch._utils._rebuild_parameter_with_state",
        *(_TENSOR, True, call("collections.OrderedDict")),
        {"data": _TENSOR, "requires_grad": False, "quant_type": "nf4"},
    ),
    "tensor with a state": _with_state({"note": 7}),
    "tensor with nothing for a state": _with_state(None),
    "jagged": _jagged(None),
    "jagged with lengths": _jagged(_longs(2, "2")),
    "jagged with lengths below zero": _jagged(_longs(2, "-1")),
    "jagged with quantized values": _jagged(None, values=_QUANTIZED),
    "sparse with indices below zero": _sparse(_table("-1"), _longs(2, "0")),
    "sparse with indices that the file lacks": _sparse(
        _table("1", "meta"), tensor(storage("FloatStorage", 2, "2", "meta"), (2,))
    ),
    "complex, conj": call(
        "torch._utils._rebuild_tensor_v2",
        storage("ComplexFloatStorage", 4, "1"),
        *(0, (2, 2), (2, 1), False, call("collections.OrderedDict"), {"conj": True}),
    ),
    "complex, conj and neg": call(
        "torch._utils._rebuild_tensor_v2",
        storage("ComplexFloatStorage", 4, "1"),
        *(0, (2, 2), (2, 1), False, call("collections.OrderedDict")),
        {"conj": True, "neg": True},
    ),
    **{
        f"{kind}, neg": call(
            "torch._utils._rebuild_tensor_v2",
            storage(f"{kind}Storage", 4, "1"),
            *(0, (2, 2), (2, 1), False, call("collections.OrderedDict")),
            {"neg": True},
        )
        for kind in ("Float", "BFloat16", "Int", "Byte", "Bool")
    },
    "no elements": tensor(storage("FloatStorage", 0), (0, 3)),
    "66 dimensions": tensor(storage("FloatStorage", 1), (1,) * 66),
    "no bytes": tensor(storage("FloatStorage", 4, "0", "meta"), (2, 2)),
}

# ----------------------------------------------------------------- numpy's arrays


def _dtype(code: str, *state: Any) -> Piece:
    usual = (3, "<", None, None, None, -1, -1, 0)
    return build(call("numpy.dtype", code, False, True), state or usual)


def _array(shape: tuple[int, ...], kind: Piece, data: Any) -> Piece:
    empty = call(
        "numpy._core.multiarray._reconstruct", name("numpy.ndarray"), (0,), b"b"
    )
    return build(empty, (1, shape, kind, False, data))


def _scalar(kind: Piece, data: Any) -> Piece:
    return call("numpy._core.multiarray.scalar", kind, data)


def _octets(data: bytes) -> Piece:
    """BINBYTES8, which is of protocol 4."""
    return Piece(b"\x8e" + len(data).to_bytes(8, "little") + data)


def _from_buffer(shape: Any, order: str, *axes: Any) -> Piece:
    return call(
        "numpy._core.numeric._frombuffer", _octets(bytes(24)), _F4, shape, order, *axes
    )


def _fields(inner: Piece) -> Piece:
    """A structured dtype of one field."""
    return _dtype("V4", 3, "|", None, ("a",), {"a": (inner, 0)}, 4, 1, 0)


def _fields_in_fields(depth: int) -> Piece:
    kind = _F4
    for _ in range(depth):
        kind = _fields(kind)
    return kind


_F4: Final = _dtype("f4")
_SUBDTYPE: Final = _dtype("V8", 3, "|", (_F4, (2,)), None, None, 8, 4, 0)
_OBJECT: Final = _dtype("O8", 3, "|", None, None, None, -1, -1, 63)
_TWO: Final = _array((2,), _F4, bytes(8))

_ARRAYS: Final[dict[str, Any]] = {
    "array": _TWO,
    "array of 64 dimensions": _array((1,) * 64, _F4, bytes(4)),
    "array of 65 dimensions": _array((1,) * 65, _F4, bytes(4)),
    "array of nothing, in enormous rows": _array((0, 1 << 62, 4), _F4, b""),
    "array of no bytes": _array((0,), _F4, b""),
    "array of text in the place of bytes": _array((2,), _F4, "\u20ac" * 8),
    "array of arrays": _array((1,), _SUBDTYPE, bytes(8)),
    "array of objects": _array((2,), _OBJECT, [None, {}]),
    "array of fields": _array((1,), _fields(_F4), bytes(4)),
    "array of fields in fields": _array((1,), _fields_in_fields(3), bytes(4)),
    "fields in fields, too deep": _fields_in_fields(40),
    "array that is built twice": (
        _kept(_array((500,), _F4, bytes(2000)), 1),
        call(
            "torch._utils._rebuild_device_tensor_from_numpy",
            *(_again(1), name("torch.float32"), "cpu", False),
        ),
        build(_again(1), (1, (2,), _F4, False, bytes(8))),
    ),
    "array by protocol 5": _from_buffer((2, 3), "C"),
    "array by protocol 5, of 65 dimensions": _from_buffer((6, *(1,) * 64), "C"),
    "array by protocol 5, turned": _from_buffer((2, 3), "K", (1, 0)),
    "array by protocol 5, wrongly turned": _from_buffer((2, 3), "K", (1, 1)),
    "scalar of an object": _scalar(_OBJECT, None),
    "scalar of no bytes": _scalar(_dtype("S0", 3, "|", None, None, None, 0, 1, 0), b""),
    "scalar of no character": _scalar(
        _dtype("U1", 3, "<", None, None, None, 4, 4, 8), b"\xff" * 4
    ),
    "dtype that is remembered by no number": Piece(
        call("numpy.dtype", "f4", False, True) + b"p-1\n"
    ),
    "hooks that are an array": _v2(_TWO),
    "metadata that are an array": _v2(None, _TWO),
    "state of a tensor that is an array": _with_state(_TWO),
    "state of an object that is an array": build(new("some.name"), _TWO),
}

# ------------------------------------------ dicts whose attributes shadow methods

#: What readers and their libraries ask of a dict.
_METHODS: Final = (
    "keys values items get pop popitem update setdefault move_to_end copy clear "
    "most_common default_factory __len__ __iter__ __getitem__ __class__ __dict__"
)
_SHADOWS: Final[dict[str, Any]] = dict.fromkeys(_METHODS.split(), 7)


def _shadowed(full: str, *args: Any) -> Piece:
    filled = Piece(call(full, *args) + value("k") + value(1) + b"s")
    return build(filled, _SHADOWS)


_ORDERED: Final = _shadowed("collections.OrderedDict")
_DICTS: Final = {
    "OrderedDict": _ORDERED,
    "Counter": _shadowed("collections.Counter"),
    "defaultdict": _shadowed("collections.defaultdict", name("builtins.list")),
}

_SHADOWED: Final[dict[str, Any]] = {
    **{f"{kind} of shadows": made for kind, made in _DICTS.items()},
    **{
        f"{kind} from shadows": call(f"collections.{kind}", made)
        for kind, made in _DICTS.items()
    },
    "dict from shadows": call("builtins.dict", _ORDERED),
    "deque of shadows": call("collections.deque", [_ORDERED]),
    "set from shadows": call("builtins.set", _ORDERED),
    "hooks that are shadows": _v2(_ORDERED),
    "metadata that are shadows": _v2(None, _ORDERED),
    "state of a tensor that is shadows": _with_state(_ORDERED),
    "state of an object that is shadows": build(new("some.name"), _ORDERED),
    "state of a dict that is shadows": build(_ORDERED, _ORDERED),
    "keywords that are shadows": Piece(
        name("some.name") + value(()) + _ORDERED + b"\x92"
    ),
    "jagged made of shadows": call(
        "torch.nested._internal.nested_tensor._rebuild_njt", _ORDERED
    ),
    "cache of a jagged tensor that is shadows": _jagged(None, _metadata_cache=_ORDERED),
    "fields that are shadows": _dtype("V4", 3, "|", None, ("k",), _ORDERED, 4, 1, 0),
}

# ------------------------------------------------------------------- Python's own

_HUGE: Final = 1 << 5000

_PLAIN: Final[dict[str, Any]] = {
    "range beyond numbers": call("builtins.range", 0, _HUGE, 1),
    "slice beyond numbers": call("builtins.slice", 0, _HUGE, None),
    "float of a number beyond it": call("builtins.float", _HUGE),
    "storage alone": storage("FloatStorage", 4),
    "storage of a number": storage("FloatStorage", 4, 7),
    "storage without a dtype": storage("UntypedStorage", 8, "1"),
    "persistent id of a line": Piece(b"Psome id\n"),
    "persistent id of a number": Piece(value(7) + b"Q"),
}

#: By what they are to people.
PICKLES: Final = {
    what: dump(root)
    for what, root in {**_TENSORS, **_ARRAYS, **_SHADOWED, **_PLAIN}.items()
}

# ---------------------------------------------------------------------- archives

_PACKER: Final = zlib.compressobj(9, zlib.DEFLATED, -15)
_NUMBERS: Final = longs(*range(8))
_PACKED: Final = _PACKER.compress(_NUMBERS) + _PACKER.flush()
_EIGHT: Final = tensor(storage("LongStorage", 8), (8,))

#: miniz looks for the end record in windows of so many bytes, from the end.
_WINDOW: Final = 4096


def _before_a_window(count: int) -> bytes:
    """An archive of two windows; the end record begins so far before the second."""
    comment = bytes(_WINDOW - 22 + count)
    short = archive(_EIGHT, {"0": _NUMBERS}, comment=comment)
    gap = bytes(2 * _WINDOW - len(short))
    return archive(_EIGHT, {"0": _NUMBERS}, comment=comment, gap=gap)


ARCHIVES: Final = {
    "packed": archive(_EIGHT, {"0": Record(_NUMBERS, packed=_PACKED)}),
    "packed, with sizes of 64 bits": archive(
        _EIGHT, {"0": Record(_NUMBERS, packed=_PACKED, zip64=True)}, zip64=True
    ),
    "packed, with sizes behind": archive(
        _EIGHT, {"0": Record(_NUMBERS, packed=_PACKED, follows="signed")}
    ),
    "big-endian": archive(_EIGHT, {"0": _NUMBERS}, byteorder="big"),
    "big-endian, without a dtype": archive(
        _typed("1", "int64"), {"1": _NUMBERS}, byteorder="big"
    ),
    "big-endian, of two dtypes": archive(
        (_typed("1", "int64"), _typed("1", "int32")), {"1": _NUMBERS}, byteorder="big"
    ),
    **{
        f"end record {count} bytes before the last window": _before_a_window(count)
        for count in (-1, 0, 1, 2, 3, 4)
    },
}


def around(pickle: bytes) -> bytes:
    """An archive of a pickle, with storages as the target `machine` has them."""
    filled = {
        **dict.fromkeys("027", bytes(64)),
        "1": _NUMBERS,
        "-1": b"\xff" * 64,
    }
    return archive(pickle, filled)

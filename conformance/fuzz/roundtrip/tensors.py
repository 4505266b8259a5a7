"""Tensors of every layout: any view, any sharing; and torch's small values."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, Final

from conformance.parser import Device, DType, Global, Object, Size, Tensor
from conformance.parser.dtypes import DTYPES, DTypeInfo

from .choices import Choices
from .specs import Call, Name, Spec, named
from .storages import Storages

_UTILS: Final = "torch._utils."

#: dtypes with a storage class of their own, and some without.
_PLAIN: Final = tuple(
    info
    for info in DTYPES.values()
    if info.kind != "quantized"
    and (info.storage or info.kind in ("float", "complex") or info.name == "uint16")
)
_QUANTIZED: Final = tuple(DTYPES[name] for name in ("qint8", "quint8", "qint32"))

#: What can have a neg bit.
_NEGATED: Final = ("float32", "bfloat16", "complex64", "complex128", "int64", "int16")

#: Gives what must be read in place of what is written.
Read = Callable[[Any], Any]


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _hooks() -> Call:
    """The empty OrderedDict that every tensor carries."""
    return Call(named("collections.OrderedDict"), ())


def _view(choices: Choices) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """A size, a stride and an offset."""
    shape = tuple(choices.below(5) for _ in range(choices.below(5)))
    stride = _contiguous(shape)
    match choices.below(4):
        case 1:
            shape, stride = shape[::-1], stride[::-1]
        case 2:
            stride = tuple(choices.below(4) for _ in shape)
    return shape, stride, choices.below(3)


def _numel(shape: tuple[int, ...], stride: tuple[int, ...], offset: int) -> int:
    """The elements that a storage must hold for a view."""
    if 0 in shape:
        return 0
    steps = zip(shape, stride, strict=True)
    return 1 + offset + sum((size - 1) * step for size, step in steps)


class Tensors:
    """Makes tensors over storages that they may share."""

    def __init__(self, choices: Choices, storages: Storages) -> None:
        self._choices = choices
        self._storages = storages

    # ---------------------------------------------------------------- strided

    def strided(self) -> Spec:
        """Any view of any dtype."""
        return self._strided(self._choices.pick(_PLAIN))

    def _strided(self, info: DTypeInfo) -> Spec:
        choices = self._choices
        shape, stride, offset = _view(choices)
        storage = self._storages.one(info, _numel(shape, stride, offset))
        grad = info.differentiable and choices.often(3)
        bits: dict[str, bool] = {}
        if choices.often(4):
            bits |= {"conj": True} if info.kind == "complex" else {}
            bits |= {"neg": True} if info.name in _NEGATED else {}
        args: tuple[Any, ...] = (storage, offset, shape, stride)
        if info.storage is None:
            name = "_rebuild_tensor_v3"
            args += (grad, _hooks(), Name("torch", info.name))
        elif grad or bits or choices.often(2):
            name = "_rebuild_tensor_v2"
            args += (grad, _hooks())
        else:
            name = "_rebuild_tensor"
        if bits:
            args += (bits,)

        def read(expected: Read) -> Tensor:
            return Tensor(
                info.name,
                *(shape, stride, offset, expected(storage), grad),
                device=storage.location,
                is_conj="conj" in bits,
                is_neg="neg" in bits,
            )

        return Spec(Call(named(_UTILS + name), args), read)

    def parameter(self) -> Spec:
        """A Parameter of any view, perhaps with attributes."""
        info = self._choices.pick(_PLAIN)
        data = self._strided(info)
        grad = info.differentiable and self._choices.often(2)
        state = {"tag": 7, "also": [None]} if self._choices.often(3) else None
        name, args = "_rebuild_parameter", [data, grad, _hooks()]
        if state:
            name = "_rebuild_parameter_with_state"
            args.append(state)

        def read(expected: Read) -> Tensor:
            like = expected(data)
            return Tensor(
                like.dtype,
                *(like.shape, like.stride, like.storage_offset, like.storage, grad),
                device=like.device,
                is_conj=like.is_conj,
                is_neg=like.is_neg,
                type="torch.nn.parameter.Parameter",
                attributes=expected(state),
            )

        return Spec(Call(named(_UTILS + name), tuple(args)), read)

    def _of(self, dtype: str, shape: tuple[int, ...], data: bytes) -> Spec:
        """A contiguous tensor of these bytes, in a storage of its own."""
        storage, stride = self._storages.of(DTYPES[dtype], data), _contiguous(shape)

        def read(expected: Read) -> Tensor:
            return Tensor(dtype, shape, stride, 0, expected(storage))

        args = (storage, 0, shape, stride, False, _hooks())
        return Spec(Call(named(f"{_UTILS}_rebuild_tensor_v2"), args), read)

    def _integers(self, *numbers: int, shape: tuple[int, ...] = ()) -> Spec:
        data = b"".join(number.to_bytes(8, "little") for number in numbers)
        return self._of("int64", shape or (len(numbers),), data)

    def _values(self, *shape: int) -> Spec:
        return self._of("float32", shape, self._choices.take(4 * prod(shape)))

    # ---------------------------------------------------------- other layouts

    def quantized(self) -> Spec:
        """Per tensor, or per channel."""
        choices = self._choices
        info = choices.pick(_QUANTIZED)
        shape, stride, offset = _view(choices)
        storage = self._storages.one(info, _numel(shape, stride, offset))
        if shape and choices.often(2):
            axis = choices.below(len(shape))
            channels = shape[axis]
            scheme = "per_channel_affine"
            scales = self._of("float64", (channels,), choices.take(8 * channels))
            zeros = self._integers(*range(channels))
            params = {"scales": scales, "zero_points": zeros, "axis": axis}
        else:
            scheme = "per_tensor_affine"
            params = {"scale": choices.below(9) / 8, "zero_point": choices.below(9)}
        quantizer = (Name("torch", scheme), *params.values())
        args = (storage, offset, shape, stride, quantizer, False, _hooks())

        def read(expected: Read) -> Tensor:
            parts = {name: expected(part) for name, part in params.items()}
            return Tensor(
                info.name,
                *(shape, stride, offset, expected(storage)),
                device=storage.location,
                parts={"qscheme": scheme, **parts},
            )

        return Spec(Call(named(f"{_UTILS}_rebuild_qtensor"), args), read)

    def sparse(self) -> Spec:
        """COO, or rows compressed."""
        choices = self._choices
        rows, columns = 1 + choices.below(4), 1 + choices.below(4)
        cells = [cell for cell in range(rows * columns) if choices.often(3)]
        values = self._values(len(cells))
        at = [cell // columns for cell in cells], [cell % columns for cell in cells]
        parts: dict[str, Any]
        if choices.often(2):
            starts = [sum(row < end for row in at[0]) for end in range(rows + 1)]
            layout = "sparse_csr"
            parts = {
                "crow_indices": self._integers(*starts),
                "col_indices": self._integers(*at[1]),
                "values": values,
            }
            data = (*parts.values(), (rows, columns))
        else:
            layout = "sparse_coo"
            indices = self._integers(*at[0], *at[1], shape=(2, len(cells)))
            parts = {"indices": indices, "values": values}
            coalesced = choices.often(2)
            data = (*parts.values(), (rows, columns), coalesced)
            parts["is_coalesced"] = coalesced
        return self._parted(
            "_rebuild_sparse_tensor", layout, data, parts, rows, columns
        )

    def _parted(
        self, name: str, layout: str, data: Any, parts: dict[str, Any], *shape: int
    ) -> Spec:
        spelled = Call(named("torch.serialization._get_layout"), (f"torch.{layout}",))

        def read(expected: Read) -> Tensor:
            made = {name: expected(part) for name, part in parts.items()}
            return Tensor("float32", shape, None, layout=layout, parts=made)

        return Spec(Call(named(_UTILS + name), (spelled, data)), read)

    def nested(self) -> Spec:
        """Matrices of several sizes in one buffer."""
        sizes = [(self._choices.below(3), 2) for _ in range(1 + self._choices.below(3))]
        starts = [2 * sum(rows for rows, _ in sizes[:at]) for at in range(len(sizes))]
        table = (len(sizes), 2)
        flat = [number for size in sizes for number in size]
        parts = {
            "values": self._values(sum(map(prod, sizes))),
            "sizes": self._integers(*flat, shape=table),
            "strides": self._integers(*(2, 1) * len(sizes), shape=table),
            "storage_offsets": self._integers(*starts),
        }

        def read(expected: Read) -> Tensor:
            made = {name: expected(part) for name, part in parts.items()}
            shape = (len(sizes), -1, -1)
            return Tensor("float32", shape, None, layout="nested", parts=made)

        name = named(f"{_UTILS}_rebuild_nested_tensor")
        return Spec(Call(name, tuple(parts.values())), read)


# ------------------------------------------------------------------ small values


def _dtype(choices: Choices) -> Spec:
    info = choices.pick(_PLAIN)
    return Spec(Name("torch", info.name), lambda _: DType(info.name))


def _device(choices: Choices) -> Spec:
    index = choices.below(3)
    call = Call(named("torch.device"), ("cuda", index))
    return Spec(call, lambda _: Device("cuda", index))


def _size(choices: Choices) -> Spec:
    numbers = tuple(choices.below(9) for _ in range(choices.below(4)))
    call = Call(named("torch.Size"), (numbers,))
    return Spec(call, lambda _: Size(numbers))


def _object(choices: Choices) -> Spec:
    """Something that nobody knows, with a state that is no dict."""
    args, state = (choices.below(9), "text"), [choices.below(9)]

    def read(expected: Read) -> Object:
        made = Object(Global("some.module", "Class"), expected(args))
        made.state = expected(state)
        return made

    return Spec(Call(Name("some.module", "Class"), args, state), read)


SMALL: Final[tuple[Callable[[Choices], Spec], ...]] = (_dtype, _device, _size, _object)

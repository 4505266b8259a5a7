"""What a rebuild function is given, checked before it is believed."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from ..dtypes import DTYPES, DTypeInfo
from ..errors import Malformed
from ..tensor import Tensor
from ..values import DType, Global

if TYPE_CHECKING:
    from ..unpickler import Unpickler

TENSOR: Final = "torch.Tensor"
PARAMETER: Final = "torch.nn.parameter.Parameter"
NESTED_TENSOR: Final = "torch.nested._internal.nested_tensor.NestedTensor"

_INT64: Final = 1 << 63


def wrong(what: str, value: Any) -> Malformed:
    return Malformed(f"{what}, not {type(value).__name__}", phase="rebuild")


def without_scale(dtype: str) -> Malformed:
    return Malformed(f"a plain tensor of {dtype}, which has no scale", phase="rebuild")


def as_int(value: Any, what: str) -> int:
    """An int of 64 bits; arithmetic on longer ones is work that a file asks for."""
    if type(value) is not int:
        raise wrong(f"{what} must be an int", value)
    if not -_INT64 <= value < _INT64:
        raise Malformed(f"{what} does not fit 64 bits", phase="rebuild")
    return value


def as_ints(machine: Unpickler, value: Any, what: str) -> tuple[int, ...]:
    """A size or stride: a tuple (or list) of ints that fit 64 bits."""
    if not isinstance(value, (tuple, list)):
        raise wrong(f"{what} must be a tuple of ints", value)
    if len(value) > 64:
        machine.spend(len(value))
    for number in value:
        if type(number) is not int:
            raise wrong(f"{what} must be a tuple of ints", number)
        if not -_INT64 <= number < _INT64:
            raise Malformed(f"{what} has numbers beyond 64 bits", phase="rebuild")
    return value if type(value) is tuple else tuple(value)


def as_dtype(value: Any) -> DTypeInfo:
    if type(value) is not DType:
        raise wrong("a dtype is expected", value)
    return DTYPES[value.name]


def as_tensor(value: Any, what: str) -> Tensor:
    if type(value) is not Tensor:
        raise wrong(f"{what} must be a tensor", value)
    return value


def as_class(value: Any) -> str:
    if not isinstance(value, Global):
        raise wrong("a class is expected", value)
    return value.name


def as_flag(value: Any, what: str) -> bool:
    if type(value) is not bool:
        raise wrong(f"{what} must be a bool", value)
    return value


def as_grad(value: Any, info: DTypeInfo) -> bool:
    """`requires_grad`, which only floating and complex tensors can have."""
    if value is False:
        return False
    if as_flag(value, "requires_grad") and not info.differentiable:
        raise Malformed(
            f"a tensor of {info.name} cannot require gradients", phase="rebuild"
        )
    return True


def is_nothing(value: Any) -> bool:
    """Whether Python calls it false, without asking what the file built."""
    return type(value) in _FALSE_WHEN_EMPTY and not value


_FALSE_WHEN_EMPTY: Final = frozenset(
    {type(None), bool, int, float, str, bytes, tuple, list, dict, set, OrderedDict}
)


def check_count(shape: tuple[int, ...]) -> None:
    """Refuses more elements than 64 bits count, as torch does, even of none."""
    count = 1
    for size in shape:
        count *= size
        if count >= 2 * _INT64:
            break
    if count >= _INT64:
        raise Malformed("more elements than 64 bits can count", phase="rebuild")


def short(numbers: tuple[int, ...]) -> str:
    """A size or stride for a message."""
    if len(numbers) > 8 or any(number.bit_length() > 64 for number in numbers):
        return f"of {len(numbers)} dimensions"
    return str(numbers)

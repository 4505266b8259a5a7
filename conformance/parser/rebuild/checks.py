"""What a rebuild function is given, checked before it is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..dtypes import DTYPES, DTypeInfo
from ..errors import Malformed
from ..tensor import Tensor
from ..values import DType, Global

if TYPE_CHECKING:
    from ..unpickler import Unpickler

TENSOR: Final = "torch.Tensor"
PARAMETER: Final = "torch.nn.parameter.Parameter"

_INT64: Final = 1 << 63


def wrong(what: str, value: Any) -> Malformed:
    return Malformed(f"{what}, not {type(value).__name__}", phase="rebuild")


def as_ints(machine: Unpickler, value: Any, what: str) -> tuple[int, ...]:
    """A size or stride: a tuple (or list) of ints that fit 64 bits."""
    if type(value) is not tuple:
        if not isinstance(value, (tuple, list)):
            raise wrong(f"{what} must be a tuple of ints", value)
        value = tuple(value)
    for number in value:
        if type(number) is not int:
            if type(number) is not bool:
                raise wrong(f"{what} must be a tuple of ints", number)
            value = tuple(int(number) for number in value)
            break
    if len(value) > 64:
        machine.spend(len(value))
    result: tuple[int, ...] = value
    return result


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


def check_counts(shape: tuple[int, ...], stride: tuple[int, ...], offset: int) -> None:
    """Refuses what no 64-bit integer holds, as torch does, even with no elements."""
    count = 1
    for size in shape:
        count *= size
        if count >= 2 * _INT64:
            raise Malformed("the number of elements overflows", phase="rebuild")
    if max(count, offset, *shape, *stride, 0) >= _INT64:
        raise Malformed("a size that no 64-bit integer holds", phase="rebuild")


def short(numbers: tuple[int, ...]) -> str:
    if len(numbers) > 8 or any(abs(number) >= 1 << 80 for number in numbers):
        return f"of {len(numbers)} dimensions"
    return str(numbers)

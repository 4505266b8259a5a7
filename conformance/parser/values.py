"""Values of the tree that are no tensors: torch's small values, inert objects.

An inert object is what a file names or would have called, kept as its parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NoReturn

from .dtypes import DTypeInfo

# ---------------------------------------------------------------- small values


@dataclass(frozen=True, slots=True)
class DType:
    """A dtype as a value of the tree; `str()` gives torch's spelling."""

    name: str

    def __str__(self) -> str:
        return f"torch.{self.name}"


@dataclass(frozen=True, slots=True)
class Layout:
    """A memory layout as a value of the tree (`torch.sparse_coo`)."""

    name: str

    def __str__(self) -> str:
        return f"torch.{self.name}"


@dataclass(frozen=True, slots=True)
class QScheme:
    """A quantization scheme as a value of the tree (`torch.per_tensor_affine`)."""

    name: str

    def __str__(self) -> str:
        return f"torch.{self.name}"


@dataclass(frozen=True, slots=True)
class Device:
    """A `torch.device` as a value of the tree: `type` and an optional `index`."""

    type: str
    index: int | None = None

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"


class Size(tuple[int, ...]):
    """A `torch.Size`: a tuple of ints under another name."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Size({list(self)})"


# --------------------------------------------------------------- inert objects


class Inert:
    """Something that a file names and that stays a name: calling it raises."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The full dotted name, as the file spells it."""
        raise NotImplementedError

    def __call__(self, *_args: object, **_kwargs: object) -> NoReturn:
        # Python insists on a callable in places (`defaultdict.default_factory`).
        raise TypeError(f"{self.name} comes from a file and is never run")


class Global(Inert):
    """A name in the file (`GLOBAL module name`) that nothing looks up.

    Equal when the full dotted names are.
    """

    __slots__ = ("__weakref__", "_name", "module")

    def __init__(self, module: str, name: str) -> None:
        self.module: Final = module
        self._name: Final = f"{module}.{name}"

    @property
    def name(self) -> str:
        return self._name

    def attribute(self, name: str) -> Global:
        """The name of what would be this one's attribute."""
        return Global(self.module, f"{self._name[len(self.module) + 1 :]}.{name}")

    def __eq__(self, other: object) -> bool:
        return (
            self._name == other._name if isinstance(other, Global) else NotImplemented
        )

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f"Global({self._name!r})"


class TypedGlobal(Global):
    """A class of torch's that names a dtype: `torch.FloatStorage`, `FloatTensor`.

    `role` is `storage`, `untyped` (`UntypedStorage`, of dtype uint8), `tensor`
    or `sparse`.
    """

    __slots__ = ("info", "role")

    def __init__(self, module: str, name: str, role: str, info: DTypeInfo) -> None:
        super().__init__(module, name)
        self.role: Final = role
        self.info: Final = info


class Object(Inert):
    """What a file would have built by calling something, kept as its parts.

    `callee` is the class or function (a `Global`, or an `Object` that itself
    would have been called), `args` and `kwargs` what it would have been given,
    `state` what `__setstate__` would get (`None` if nothing),
    `listitems` what would have been appended and `dictitems` the pairs that
    would have been set, as in `object.__reduce__`.
    """

    __slots__ = (
        "__weakref__",
        "args",
        "callee",
        "dictitems",
        "kwargs",
        "listitems",
        "state",
    )

    def __init__(
        self,
        callee: Global | Object,
        args: tuple[Any, ...] = (),
        kwargs: dict[Any, Any] | None = None,
    ) -> None:
        self.callee = callee
        self.args = args
        self.kwargs: dict[Any, Any] = {} if kwargs is None else kwargs
        self.state: Any = None
        self.listitems: list[Any] = []
        self.dictitems: list[tuple[Any, Any]] = []

    @property
    def name(self) -> str:
        depth = 0
        callee: Global | Object = self.callee
        while isinstance(callee, Object):
            callee = callee.callee
            depth += 1
        return callee.name + "()" * depth

    def __repr__(self) -> str:
        # Not its contents: they may be deep, or lead back here.
        return f"Object({self.name!r})"

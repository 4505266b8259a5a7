"""A pickle machine that runs nothing which is not data.

CPython's own unpickler, given a table: a global in the table is the real thing,
any other becomes a `Named` class, and whatever is made of one is a `Record` of
what it was made from. So a file is read by the real machine, and by torch's
real code around it, without running what the file asks for.
"""

from __future__ import annotations

import _compat_pickle
import codecs
import collections
import copyreg
import datetime
import pathlib
import pickle
import types
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import ml_dtypes
import numpy as np


class Named(type):
    """A global of the file, as a class that nothing can be an instance of.

    A class, because the pickle machine insists on one in places.
    """

    full_name: str

    def __new__(mcs, module: str, name: str) -> Named:
        # The file's name may be no name for a class.
        # torch asks the classes of modules for `dump_patches`.
        members = {"__new__": _record, "dump_patches": False}
        named = super().__new__(mcs, "Named", (), members)
        named.full_name = f"{module}.{name}" if module else name
        return named

    def __init__(cls, *_: str) -> None:
        super().__init__("Named", (), {})


class Record:
    """What would have been made: see `object.__reduce__` for the words."""

    __slots__ = ("args", "callee", "dictitems", "kwargs", "listitems", "state")

    def __init__(
        self,
        callee: Named | Record,
        args: tuple[Any, ...] = (),
        kwargs: dict[Any, Any] | None = None,
    ) -> None:
        self.callee = callee
        self.args = args
        self.kwargs = kwargs or {}
        self.state: Any = None
        self.listitems: list[Any] = []
        self.dictitems: list[tuple[Any, Any]] = []

    @property
    def full_name(self) -> str:
        calls = 0
        callee = self.callee
        while isinstance(callee, Record | Made):
            record = callee.record if isinstance(callee, Made) else callee
            callee = record.callee
            calls += 1
        return callee.full_name + "()" * calls

    # What the pickle machine calls: REDUCE, BUILD, APPEND(S), ADDITEMS, SETITEM(S).

    def __call__(self, *args: Any, **kwargs: Any) -> Record:
        return Record(self, args, kwargs)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, item: Any) -> None:
        self.listitems.append(item)

    def extend(self, items: Any) -> None:
        self.listitems.extend(items)

    def add(self, item: Any) -> None:
        self.listitems.append(item)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.dictitems.append((key, value))


class Made(Named):
    """A class that the file would have made by a call, and the record of it.

    NEWOBJ insists on a class, and takes no record.
    """

    record: Record

    def __new__(mcs, record: Record) -> Named:
        return super().__new__(mcs, "", record.full_name)

    def __init__(cls, record: Record) -> None:
        super().__init__()
        cls.record = record

    def __setstate__(cls, state: Any) -> None:
        cls.record.state = state


#: What makes classes in cloudpickle and dill, under whatever name they are vendored.
_MAKERS: Final = frozenset(
    {
        "_builtin_type",
        "_create_namedtuple",
        "_create_type",
        "_load_type",
        "_make_skeleton_class",
        "_make_skeleton_enum",
    }
)


def _record(callee: Named, *args: Any, **kwargs: Any) -> Record | Made:
    record = Record(callee, args, kwargs)
    maker = callee.full_name.rpartition(".")[2]
    return Made(record) if maker in _MAKERS else record


class Function:
    """A function of the table; BUILD cannot change it for the files to come."""

    __slots__ = ("_function", "full_name")

    def __init__(self, full_name: str, function: Callable[..., Any]) -> None:
        self.full_name = full_name
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __setstate__(self, _: Any) -> None:
        raise pickle.UnpicklingError(f"BUILD of the function {self.full_name}")


def pickle_module(
    table: MutableMapping[str, Any], machine: Any = pickle.Unpickler
) -> Any:
    """Something to give to `torch.load` as its `pickle_module`.

    The functions in `table` are wrapped there.
    """
    for full_name, value in table.items():
        if isinstance(value, types.FunctionType | types.BuiltinFunctionType):
            table[full_name] = Function(full_name, value)

    class Unpickler(machine):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.named: dict[str, Named] = {}

        def find_class(self, module: str, name: str) -> Any:
            if not module or not name:
                # No import has an empty name, and no module an attribute.
                raise ValueError("a global without a name")
            if (module, name) in _compat_pickle.NAME_MAPPING:
                module, name = _compat_pickle.NAME_MAPPING[module, name]
            module = _compat_pickle.IMPORT_MAPPING.get(module, module)
            full_name = f"{module}.{name}"
            try:
                return table[full_name]
            except KeyError:
                if full_name not in self.named:
                    self.named[full_name] = Named(module, name)
                return self.named[full_name]

    def load(file: Any, **kwargs: Any) -> Any:
        return Unpickler(file, **kwargs).load()

    return types.SimpleNamespace(__name__="inert", Unpickler=Unpickler, load=load)


# ------------------------------------------------------------ what counts as data


def _reconstructor(cls: Any, base: Any, state: Any) -> Any:
    """`copyreg._reconstructor`, for protocols 0 and 1."""
    if isinstance(cls, Named):
        return Record(cls, () if base is object else (state,))
    return copyreg._reconstructor(cls, base, state)  # type: ignore[attr-defined]


_GETATTR: Final = Named("builtins", "getattr")


def _getattr(value: Any, name: Any, *default: Any) -> Any:
    """How protocols below 4 name a class inside a class."""
    if not isinstance(name, str) or len(default) > 1:
        raise TypeError("getattr takes a value and a name")
    if isinstance(value, Named | Function):
        outer = value.full_name
    elif isinstance(value, type):
        outer = f"{value.__module__}.{value.__qualname__}"
    else:
        outer = ""
    plain = outer and not default and name.isidentifier()
    if not plain or isinstance(value, Made):
        return Record(_GETATTR, (value, name, *default))
    return Named(outer, name)


def _moment(kind: Any) -> Callable[..., Any]:
    """A date whose time zone may be an object of the file's own."""
    named = Named("datetime", kind.__name__)

    def make(*args: Any) -> Any:
        if any(isinstance(part, Record) for part in args):
            return Record(named, args)
        return kind(*args)

    return make


def _array(core: str) -> Callable[..., Any]:
    named = Named(f"numpy.{core}.multiarray", "_reconstruct")

    def reconstruct(subtype: Any, shape: Any, code: Any) -> Any:
        if subtype is not np.ndarray:
            return Record(named, (subtype, shape, code))
        return np._core.multiarray._reconstruct(subtype, shape, code)  # type: ignore[attr-defined]

    return reconstruct


_NUMPY_SCALARS: Final = {
    f"numpy.{kind.__name__}": kind
    for kind in set(np.sctypeDict.values())
    if kind.__module__ == "numpy"
}
_ML_DTYPES: Final = {
    f"ml_dtypes.{name}": kind
    for name, kind in vars(ml_dtypes).items()
    if isinstance(kind, type) and issubclass(kind, np.generic)
}

_PATHS: Final = {
    "PurePosixPath": pathlib.PurePosixPath,
    "PureWindowsPath": pathlib.PureWindowsPath,
    "PosixPath": pathlib.PosixPath,
    "WindowsPath": pathlib.WindowsPath,
}

#: Full name -> the real thing, for what only holds data or rebuilds it.
TABLE: Final[dict[str, Any]] = {
    # The file chooses the codec under weights_only=True as well.
    "_codecs.encode": codecs.encode,
    "copyreg.__newobj__": copyreg.__newobj__,  # type: ignore[attr-defined]
    "copyreg.__newobj_ex__": copyreg.__newobj_ex__,  # type: ignore[attr-defined]
    "copyreg._reconstructor": _reconstructor,
    **{
        f"builtins.{kind.__name__}": kind
        for kind in (
            bool, bytearray, bytes, complex, dict, float, frozenset, int, list, object,
            range, set, slice, str, tuple,
        )
    },
    "builtins.Ellipsis": ...,
    "builtins.NotImplemented": NotImplemented,
    **{
        f"collections.{kind.__name__}": kind
        for kind in (
            collections.Counter,
            collections.OrderedDict,
            collections.defaultdict,
            collections.deque,
        )
    },
    "builtins.getattr": _getattr,
    **{
        f"datetime.{kind.__name__}": kind
        for kind in (datetime.date, datetime.timedelta, datetime.timezone)
    },
    "datetime.datetime": _moment(datetime.datetime),
    "datetime.time": _moment(datetime.time),
    **{f"pathlib.{name}": kind for name, kind in _PATHS.items()},
    **{f"pathlib._local.{name}": kind for name, kind in _PATHS.items()},
    "numpy.dtype": np.dtype,
    "numpy.ndarray": np.ndarray,
    "numpy._core._internal._convert_to_stringdtype_kwargs": (
        np._core._internal._convert_to_stringdtype_kwargs  # type: ignore[attr-defined]
    ),
    "numpy.record": np.record,
    **{
        f"numpy.{core}.{name}": function
        for core in ("core", "_core")
        for name, function in (
            ("multiarray._reconstruct", _array(core)),
            ("multiarray.scalar", np._core.multiarray.scalar),  # type: ignore[attr-defined]
            ("numeric._frombuffer", np._core.numeric._frombuffer),  # type: ignore[attr-defined]
        )
    },
    **_NUMPY_SCALARS,
    **_ML_DTYPES,
}  # fmt: skip

"""A tree as a pickle, by Python's own pickler; and that in a container."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any, ClassVar, Final, Literal

import numpy as np

from generators.containers import Record, deflate, pack
from generators.handmade import legacy

from .choices import Choices
from .specs import NOTHING, Call, Name, Spec, Stored

Form = Literal["zip", "legacy"]


class _Writer(pickle._Pickler):
    """Python's own pickler, which also writes what nobody could import."""

    # What it has, and its type stubs do not.
    get: Any
    memo: Any
    memoize: Any
    save: Any
    write: Any
    proto: int

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def __init__(self, file: io.BytesIO, protocol: int, form: Form) -> None:
        super().__init__(file, protocol)
        self._form = form
        self._names: dict[tuple[str, str], Name] = {}
        #: Those whose bytes the container must hold, in the order they came.
        self.storages: list[Stored] = []

    def persistent_id(self, obj: Any) -> Any:
        if type(obj) is not Stored:
            return None
        whole = obj if obj.root is None else obj.root
        if whole not in self.storages:
            self.storages.append(whole)
        module = "torch.storage" if whole.kind == "UntypedStorage" else "torch"
        kind = self._named(module, whole.kind)
        pid = ("storage", kind, whole.key, whole.location, whole.numel)
        if self._form == "zip":
            return pid
        if obj.root is None:
            return (*pid, None)
        return (*pid, (obj.key, obj.start // obj.itemsize, obj.numel))

    def save_pers(self, pid: Any) -> None:
        # Protocol 0 would write a line of text.
        self.save(pid, save_persistent_id=False)
        self.write(pickle.BINPERSID)

    def _named(self, module: str, name: str) -> Name:
        return self._names.setdefault((module, name), Name(module, name))

    def save_name(self, obj: Name) -> None:
        name = self._named(obj.module, obj.name)
        if id(name) in self.memo:
            self.write(self.get(self.memo[id(name)][0]))
            return
        if self.proto >= 4:
            self.save(name.module)
            self.save(name.name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{name.module}\n{name.name}\n".encode())
        self.memoize(name)

    def save_call(self, obj: Call) -> None:
        self.save(obj.callee)
        self.save(obj.args)
        self.write(pickle.REDUCE)
        self.memoize(obj)
        if obj.state is not NOTHING:
            self.save(obj.state)
            self.write(pickle.BUILD)

    def save_spec(self, obj: Spec) -> None:
        self.save(obj.written)

    dispatch[Name] = save_name
    dispatch[Call] = save_call
    dispatch[Spec] = save_spec


def write(tree: Any, choices: Choices, form: Form, *, big: bool) -> bytes:
    """A file that holds the tree; `big` turns the bytes of its storages round."""
    protocol = choices.below(pickle.HIGHEST_PROTOCOL + 1)
    file = io.BytesIO()
    writer = _Writer(file, protocol, form)
    writer.dump(tree)
    if form == "legacy":
        numbered = {one.key: (one.numel, one.data) for one in writer.storages}
        return legacy(file.getvalue(), numbered)
    packed = choices.often(4)
    order = {"byteorder": b"big" if big else b"little"}
    # Two storages may have keys that are spelled alike: they have one record.
    stored = {f"data/{one.key}": one for one in writer.storages}
    bodies = {name: _turned(one) if big else one.data for name, one in stored.items()}
    return pack(
        {
            "data.pkl": choices.pick(_RECORDS)(file.getvalue()),
            **(order if big or choices.often(2) else {}),
            **{
                name: _packed(body) if packed else body for name, body in bodies.items()
            },
            "version": b"3\n",
        },
        root=choices.pick(("archive", "a", "r\u00e9" * 20)),
        alignment=choices.pick((1, 64)),
        zip64=choices.often(4),
    )


def _turned(storage: Stored) -> bytes:
    """The bytes of a storage in the other order."""
    if storage.swap == 1:
        return storage.data
    units = np.frombuffer(storage.data, f"<u{storage.swap}")
    return units.astype(f">u{storage.swap}").tobytes()


def _packed(data: bytes) -> Record:
    return Record(data, deflate((data, 1)))


#: Ways to say the same of a record.
_RECORDS: Final[tuple[Callable[[bytes], Record], ...]] = (
    Record,
    lambda data: Record(data, follows="signed"),
    lambda data: Record(data, zip64=True),
    _packed,
)

"""Legacy streams: today's, and forms that torch no longer writes."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final
from unittest import mock

import torch
import torch.serialization

from ...handmade import Piece, archive, call, floats, legacy, name, storage, value
from ...saving import Format, save
from ..registry import written
from ..tensors.storages import typed
from ..wrong.streams import counted

ANY: Final = "container:legacy"
MODULE: Final = "persistent-id:module"


def stream(tree: object, protocol: int = 2) -> bytes:
    """What torch writes when it is asked for the legacy stream."""
    return save(tree, Format(container="legacy", protocol=protocol))


# ----------------------------------------------------------------------- trees


def _nested() -> object:
    return {
        "model": OrderedDict(weight=torch.arange(4.0).reshape(2, 2), bias=None),
        "history": [(1, torch.tensor(0.5)), (2, torch.tensor(0.25))],
        "epoch": 3,
    }


def _shared() -> object:
    base = torch.arange(6.0)
    return [base[1:3], base, base[::2], base[5]]


def _empty() -> object:
    return [torch.empty(0), torch.ones(1), torch.empty(0, 3), torch.empty(0)]


def _dtypes() -> object:
    kinds = (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
        *(torch.bool, torch.complex128, torch.complex64),
    )
    return [torch.tensor([1, 0, n], dtype=kind) for n, kind in enumerate(kinds)]


def _storage() -> object:
    return typed(torch.arange(3.0).untyped_storage(), torch.float32)


TREES: Final[dict[str, tuple[Callable[[], object], str]]] = {
    "nested": (_nested, "dicts, lists and tuples in each other"),
    "of_no_tensors": (lambda: {"lr": 0.1, "epoch": 3}, "a dict without tensors"),
    "of_one_tensor": (lambda: torch.arange(3.0), "a tensor"),
    "of_views": (_shared, "four views of one storage"),
    "of_empty_tensors": (_empty, "tensors without elements, and one that has one"),
    "of_dtypes": (_dtypes, "twelve storages of twelve dtypes"),
    "of_parameters": (
        lambda: dict(torch.nn.Linear(2, 1).named_parameters()),
        "Parameters",
    ),
    "of_state_dict": (
        lambda: torch.nn.BatchNorm1d(2).state_dict(),
        "a state dict with `_metadata`",
    ),
    "of_sparse": (lambda: torch.eye(3).to_sparse(), "a sparse COO tensor"),
    "of_sparse_csr": (lambda: torch.eye(3).to_sparse_csr(), "a sparse CSR tensor"),
    "of_conj": (lambda: torch.tensor([1 + 2j]).conj(), "a conjugated tensor"),
    "of_storage": (_storage, "a storage alone"),
}


@written(ANY, label="native", each=TREES)
def tree(make: Callable[[], object], what: str) -> bytes:
    """A legacy stream, as torch still writes it, of {what}."""
    return stream(make())


# ------------------------------------------------------------------- protocols


@written(ANY, label="native", each={str(n): (n,) for n in (1, 3, 4, 5)})
def protocol(number: int) -> bytes:
    """A legacy stream whose pickles are all of protocol {number}."""
    return stream(_nested(), number)


@written(ANY, label="native")
def protocol_0_of_no_tensors() -> bytes:
    """A legacy stream of protocol 0, which is text, without storages."""
    return stream({"lr": 0.1, "epoch": 3}, 0)


@written(ANY, label="native", verdict="invalid", phase="pickle")
def protocol_0() -> bytes:
    """A tensor by protocol 0: the storage's tuple is written as its `str`."""
    return stream(torch.arange(3.0), 0)


# --------------------------------------------------------------------- modules


def _source(_: object) -> tuple[list[str], int, str]:
    """The source of a module, which torch keeps beside its class."""
    return ["class Module:\n", "    pass\n"], 1, "module.py"


def _of_modules(module: torch.nn.Module, source: Any = _source) -> bytes:
    find = mock.Mock(side_effect=source)
    with mock.patch.object(torch.serialization, "get_source_lines_and_file", find):
        return stream(module)


@written(MODULE, label="native", flags=("weights-only-refuses",))
def module() -> bytes:
    """A whole Linear: its class is a persistent id, with a source (shortened here)."""
    return _of_modules(torch.nn.Linear(2, 1))


@written(MODULE, label="native", flags=("weights-only-refuses",))
def module_without_source() -> bytes:
    """A whole Linear whose source torch did not find."""
    return _of_modules(torch.nn.Linear(2, 1), OSError)


@written(MODULE, label="native", flags=("weights-only-refuses",))
def module_of_modules() -> bytes:
    """A Sequential of two Linear: each class comes once, and then by its memo."""
    return _of_modules(
        torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1))
    )


@written(MODULE, label="built", flags=("weights-only-refuses",))
def module_class_alone() -> bytes:
    """The class of a module, with its source, and nothing made of it."""
    pid = ("module", name("torch.nn.modules.linear.Linear"), "linear.py", "pass\n")
    return legacy(Piece(value(pid) + pickle.BINPERSID))


# ------------------------------------------------------- facts about the machine

ABOUT: Final[dict[str, Any]] = {
    "protocol_version": 1001,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}
ONE_TWO: Final = (2, floats(1.0, 2.0))


def of_floats(key: Any = "0", kind: str = "FloatStorage", numel: int = 2) -> Piece:
    """A storage of a legacy stream that is no view."""
    return storage(kind, numel, key, "cpu", None)


def old(storage: Piece, numel: int = 2) -> Piece:
    """A vector by `_rebuild_tensor`."""
    return call("torch._utils._rebuild_tensor", storage, 0, (numel,), (1,))


@written(
    ANY,
    label="built",
    each={
        "of_big_endian": ({**ABOUT, "little_endian": False},),
        "of_long_longs": ({**ABOUT, "type_sizes": {"short": 2, "int": 4, "long": 8}},),
        "of_more": ({**ABOUT, "torch": "0.1.12"},),
        "of_nothing": ({},),
        "in_a_list": ([1, 2],),
        "none": (Piece(pickle.NONE),),
    },
)
def about(facts: Any) -> bytes:
    """What a stream says of its machine changes nothing: {key}."""
    return legacy(old(of_floats()), {"0": ONE_TWO}, about=facts)


# ----------------------------------------------------------------- end of file


@written(
    ANY,
    label="repacked",
    each={"newline": (b"\n",), "zeros": (bytes(100),), "text": (b"tail of no use",)},
)
def trailing(tail: bytes) -> bytes:
    """Bytes behind a legacy stream, which says nowhere where it ends: {key}."""
    return stream(torch.arange(3.0)) + tail


@written(ANY, label="repacked")
def two_streams() -> bytes:
    """Two legacy streams in a row: a file's reader sees the first."""
    return stream({"epoch": 1}) + stream({"epoch": 2})


@written(ANY, label="repacked", flags=("ambiguous-zip",))
def archive_behind() -> bytes:
    """A legacy stream with a zip archive behind it: the first bytes decide."""
    return stream({"epoch": 1}) + archive({"epoch": 2})


@written(ANY, label="native", flags=("ambiguous-zip",))
def end_record_inside() -> bytes:
    """A storage whose bytes look like the end record of a zip archive."""
    data = b"PK\5\6" + bytes(18)
    return stream(torch.tensor(list(data), dtype=torch.uint8))


# -------------------------------------------------------------------- storages


@written(ANY, label="built", flags=("empty",))
def empty_storages_listed_or_not() -> bytes:
    """Two storages of nothing, one of which the list of keys names."""
    tree = [old(of_floats(key, numel=0), 0) for key in ("0", "1")]
    return legacy(tree, {"0": (0, b"")})


@written(ANY, label="built")
def first_class_wins() -> bytes:
    """One key as a FloatStorage and then as a DoubleStorage: it stays the first."""
    tree = [of_floats(), of_floats(kind="DoubleStorage")]
    return legacy(tree, {"0": ONE_TWO})


@written(ANY, label="built", flags=("weights-only-refuses",))
def storage_class_of_nowhere() -> bytes:
    """A FloatStorage of a module that is none: torch goes by the last name."""
    kind = name("no.such.module.FloatStorage")
    pid = ("storage", kind, "0", "cpu", 2, None)
    return legacy(Piece(value(pid) + pickle.BINPERSID), {"0": ONE_TWO})


@written("torch._utils._rebuild_tensor_v2", label="built", directory="legacies")
def hooks_none() -> bytes:
    """None for the hooks of a tensor, as torch 0.4 wrote it."""
    root = call(
        "torch._utils._rebuild_tensor_v2", of_floats(), 0, (2,), (1,), False, None
    )
    return legacy(root, {"0": ONE_TWO})


@written(ANY, label="built")
def memo_of_each_pickle() -> bytes:
    """Every pickle of a stream has a memo of its own, which begins at 0."""
    facts = Piece(pickle.EMPTY_DICT + pickle.BINPUT + b"\0")
    text = value("x")
    tree = Piece(
        pickle.EMPTY_LIST + pickle.MARK + text + pickle.MEMOIZE + pickle.BINGET + b"\0"
        + pickle.APPENDS
    )  # fmt: skip
    return legacy(tree, about=facts)


# -------------------------------------------------------------------- Python 2


def text_2(text: bytes) -> Piece:
    """A `str` of Python 2."""
    return Piece(counted(pickle.SHORT_BINSTRING, text))


def dict_2(pairs: dict[bytes, Any]) -> Piece:
    """A dict whose keys are of Python 2."""
    items = b"".join(text_2(key) + value(item) for key, item in pairs.items())
    return Piece(pickle.EMPTY_DICT + pickle.MARK + items + pickle.SETITEMS)


def stream_2(root: Any) -> bytes:
    """A stream in which every string is of Python 2; it has one storage, `of_2()`."""
    facts = dict_2({b"protocol_version": 1001, b"little_endian": True})
    return legacy(root, {"0": ONE_TWO}, about=facts, keys=[text_2(b"94071216378176")])


def of_2() -> Piece:
    key, location = text_2(b"94071216378176"), text_2(b"cpu")
    kind = name("torch.FloatStorage")
    pid = (text_2(b"storage"), kind, key, location, 2, None)
    return Piece(value(pid) + pickle.BINPERSID)


@written(ANY, label="built", flags=("python-2",))
def python_2() -> bytes:
    """A state dict of Python 2: keys, locations and names are SHORT_BINSTRING."""
    return stream_2(dict_2({b"weight": old(of_2()), b"name": text_2(b"resnet")}))


@written(ANY, label="built", flags=("python-2",))
def python_2_utf8() -> bytes:
    """A `str` of Python 2 that is UTF-8, as torch takes it for if nothing is said."""
    return stream_2(dict_2({"gewöhnlich".encode(): old(of_2())}))


@written(ANY, label="built", flags=("python-2",), encoding="latin1")
def python_2_latin1() -> bytes:
    """A `str` of Python 2 that is Latin-1, and no UTF-8."""
    return stream_2(dict_2({"gewöhnlich".encode("latin1"): old(of_2())}))


@written(ANY, label="built", flags=("python-2",), encoding="bytes")
def python_2_bytes() -> bytes:
    """Strings of Python 2 that stay bytes, the storage's key among them."""
    return stream_2(dict_2({b"weight": old(of_2()), b"\xff": 1}))


@written(
    ANY,
    label="built",
    flags=("python-2",),
    verdict="either",
    reason="torch refuses it with its own encoding, UTF-8, and reads it as Latin-1.",
)
def python_2_not_utf8() -> bytes:
    """A `str` of Python 2 that is no UTF-8, where nothing says what else it is."""
    return stream_2(dict_2({b"\xff\xfe": old(of_2())}))


@written(ANY, label="built", flags=("python-2",))
def python_2_unicode() -> bytes:
    """A `unicode` of Python 2 between its `str`s."""
    return stream_2([text_2(b"weight"), "gewöhnlich", old(of_2())])


@written(ANY, label="built", flags=("python-2",))
def python_2_ordered_dict() -> bytes:
    """An OrderedDict as protocol 2 of Python 2 writes it: from a list of lists."""
    pairs = [[text_2(b"b"), old(of_2())], [text_2(b"a"), 1]]
    return stream_2(call("collections.OrderedDict", pairs))

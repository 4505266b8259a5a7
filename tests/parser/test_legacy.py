"""Legacy streams: storages, views of storages, and whatever can be wrong."""

from __future__ import annotations

import io
import pickle
import struct
from typing import Any

import pytest

from conformance.parser import (
    CheckpointError,
    Limits,
    Malformed,
    NotACheckpoint,
    Trace,
    Truncated,
    Uninitialised,
    Unsupported,
    load,
)
from tests.builders import arrays, checkpoints
from tests.builders import pickles as p
from tests.builders.legacy import (
    MAGIC,
    class_name,
    dump,
    floats,
    module,
    storage,
    stream,
    tensor,
)
from tests.builders.plain import plain
from tests.builders.streams import CASES, FOUR, TWO, Case, a


def read(data: bytes, **options: Any) -> Any:
    return load(io.BytesIO(data), **options)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_torch_reads(case: Case) -> None:
    tree = read(case.data, encoding=case.encoding, weights_only=not case.unsafe)
    assert plain(tree) == case.expected


def test_one_key_is_one_storage() -> None:
    one, two, view, same, other = read(
        stream([a(), a(), a("v", 1, 2), a("v", 0, 1), a("w", 1, 2)], ("a",), FOUR)
    )
    assert one is two
    assert view is same
    assert len({id(one), id(view), id(other)}) == 3


def test_every_empty_storage_is_made_anew() -> None:
    one, two = read(stream([a(numel=0), a(numel=0)]))
    assert one is not two


def test_views_are_not_copied() -> None:
    data = stream([a(), a("v", 1, 2)], ("a",), FOUR)
    root, view = read(data)
    assert view.data.obj is root.data.obj is data


def test_a_storage_on_meta_keeps_no_bytes() -> None:
    """Those that the file has are passed over."""
    meta, other = read(
        stream([storage("FloatStorage", "a", 4, None, location="meta"), a(key="b")],
               ("a", "b"), FOUR, FOUR)
    )  # fmt: skip
    assert (meta.nbytes, meta.location) == (16, "meta")
    with pytest.raises(Uninitialised, match="has no bytes"):
        _ = meta.data
    assert other.data.nbytes == 16


def test_what_a_storage_is_called() -> None:
    cuda = storage("FloatStorage", "94", 2, ("95", 0, 1), location="cuda:0")
    view = read(stream(cuda, ("94",), TWO))
    assert (view.key, view.location, view.nbytes) == ("95", "cuda:0", 4)


def test_storages_without_a_dtype_of_their_own() -> None:
    """torch writes these streams and cannot read them (torch 1.13 to 2.15)."""
    untyped = storage("torch.storage.UntypedStorage", "a", 4, None)
    name = class_name("torch.uint16")
    call = "torch._utils._rebuild_tensor_v3"
    hooks = p.call("collections.OrderedDict")
    tree = p.call(call, untyped, 0, (2,), (1,), False, hooks, name)
    found = read(stream([tree, untyped], ("a",), (4, struct.pack("<2H", 7, 8))))
    assert plain(found) == [[7, 8], ("uint8", [7, 0, 8, 0])]
    assert found[0].storage is found[1]


def test_sparse_tensors_are_checked_when_their_bytes_are_there() -> None:
    indices = tensor(storage("LongStorage", "i", 2, None), (1, 2), (2, 1))
    values = tensor(storage("FloatStorage", "v", 2, None), (2,))
    layout = p.call("torch.serialization._get_layout", "torch.sparse_coo")
    size = p.call("torch.Size", (3,))
    coo = p.call("torch._utils._rebuild_sparse_tensor", layout, (indices, values, size))
    for last in (2, 3):
        data = stream([coo], ("i", "v"), (2, struct.pack("<2q", 0, last)), TWO)
        if last == 2:
            assert read(data)[0].parts["indices"].numpy().tolist() == [[0, 2]]
            continue
        with pytest.raises(Malformed) as refused:
            read(data)
        assert refused.value.offset == data.index(dump([coo])[2:]) + data[
            data.index(dump([coo])[2:]) :
        ].rindex(b"R")


@pytest.mark.parametrize(
    "source", [(None, None), ("m.py", "class Linear: ..."), (None,), ("a", 1, 0)]
)
def test_the_class_of_a_module(source: tuple[Any, ...]) -> None:
    tree = stream(module("torch.nn.modules.linear.Linear", *source))
    found = read(tree, weights_only=False)
    assert found.name == "torch.nn.modules.linear.Linear"


def test_streams_in_a_row() -> None:
    first = stream(tensor(a(), (4,)), ("a",), FOUR)
    second = stream("no storages", protocol=0)
    third = stream(storage("FloatStorage", "a", 2, None), ("a",), TWO)
    file = io.BytesIO(b"header" + first + second + third + b"tail")
    file.seek(6)
    assert plain(load(file)) == [1, 2, 3, 4]
    assert file.tell() == 6 + len(first)
    assert load(file) == "no storages"
    assert plain(load(file)) == ("float32", [5, 6])
    assert file.read() == b"tail"


def test_what_is_traced() -> None:
    trace = Trace()
    two = stream([a(), a("v", 1, 2), a(key="b", numel=2)], ("a", "b"), FOUR, TWO)
    read(two, trace=trace)
    assert (trace.containers, trace.protocols) == (["legacy"], [2])
    assert (trace.storages, trace.storage_bytes) == (2, 24)
    trace = Trace()
    with pytest.raises(Truncated):
        read(two[:-1], trace=trace)
    assert (trace.containers, trace.protocols) == (["legacy"], [2])


# ------------------------------------------------------------------ what is wrong


def _number(numel: Any) -> bytes:
    return stream(storage("FloatStorage", "a", numel, None), ("a",), (2, TWO[1]))


WRONG = {
    "another version": (stream(1, version=1002), Unsupported, "version"),
    "a version of another type": (stream(1, version="1001"), Unsupported, "version"),
    "no list of keys": (stream(a(), 7, FOUR), Malformed, "must be a list"),
    "a key that is a list": (stream(a(), [[]], FOUR), Malformed, "a list cannot name"),
    "a key too long": (stream(a(key="k" * 65536)), Malformed, "a str of this size"),
    "a key too large": (stream(a(key=1 << 200)), Malformed, "an? int of this size"),
    "a key too deep": (stream(a(key=((),))), Malformed, "a tuple cannot name"),
    "bytes for nothing": (stream(1, ("a",), FOUR), Malformed, "'a', which nothing"),
    # torch reads them into the root once more.
    "bytes for a view": (
        stream(a("v", 1, 2), ("a", "v"), FOUR, TWO),
        Malformed,
        "'v', which nothing",
    ),
    "no bytes": (stream(a()), Uninitialised, "'a' is used"),
    "no bytes under a view": (stream(a("v", 1, 2)), Uninitialised, "'a' is used"),
    "too many elements": (stream(a(), ("a",), floats(*range(5))), Malformed, "say 5"),
    "a negative count": (stream(a(), ("a",), (-1, b"")), Malformed, "say -1"),
    "a huge count": (stream(a(), ("a",), (1 << 62, b"")), Malformed, "say 46"),
    "a huge storage": (_number(1 << 60), Malformed, "say 2"),
    "a larger storage": (_number(1 << 61), Malformed, "number of elements"),
    "a storage beyond printing": (_number(1 << 50_000), Malformed, "number of"),
    "a negative storage": (_number(-1), Malformed, "number of elements"),
    "a storage of a float": (_number(2.0), Malformed, "number of elements"),
    "an id that is text": (
        stream(p.Assembled(p.value("a") + p.BINPERSID)),
        Malformed,
        "begins with 'storage'",
    ),
    "an id of the first protocol": (
        stream(p.Assembled(p.PERSID("a"))),
        Malformed,
        "begins with 'storage'",
    ),
    "an id of something else": (
        stream(p.Assembled(p.args("reduce_package", 1) + p.BINPERSID)),
        Malformed,
        "begins with 'storage'",
    ),
    "an empty id": (
        stream(p.Assembled(p.EMPTY_TUPLE + p.BINPERSID)),
        Malformed,
        "begins with 'storage'",
    ),
    "an id of five parts": (
        stream(storage("FloatStorage", "a", 4)),
        Malformed,
        "5 parts, not 6",
    ),
    "an id of seven parts": (
        stream(storage("FloatStorage", "a", 4, None, None)),
        Malformed,
        "7 parts, not 6",
    ),
    "a module that is none": (
        stream(p.Assembled(p.args("module", 1, None, None) + p.BINPERSID)),
        Malformed,
        "begins with 'storage'",
    ),
    "a module without its source": (
        stream(module("torch.Size")),
        Malformed,
        "begins with 'storage'",
    ),
    "a module with more than its source": (
        stream(module("torch.Size", "a", "b", "c")),
        Malformed,
        "begins with 'storage'",
    ),
    "a class that is text": (
        stream(p.Assembled(p.args("storage", "x", "a", "cpu", 1, None) + p.BINPERSID)),
        Malformed,
        "without a storage class",
    ),
    "a class without a dtype": (
        stream(storage("Size", "a", 1, None)),
        Malformed,
        "without a storage class",
    ),
    "no location": (
        stream(storage("FloatStorage", "a", 4, None, location=None), ("a",), FOUR),
        Malformed,
        "location",
    ),
    "a location that is not ASCII": (
        stream(storage("FloatStorage", "a", 4, None, location=b"\xff"), ("a",), FOUR),
        Malformed,
        "not ASCII",
    ),
    "a view of two parts": (stream(a("v", 1)), Malformed, "key, an offset and a size"),
    "a view that is no tuple": (
        stream(storage("FloatStorage", "a", 4, ["v", 0, 1])),
        Malformed,
        "key, an offset and a size",
    ),
    "a view cut by text": (stream(a("v", "0", 1)), Malformed, "cut by ints"),
    "a view cut to text": (stream(a("v", 0, "1")), Malformed, "cut by ints"),
    "a view without a key": (stream(a([], 0, 1)), Malformed, "a list cannot name"),
    "a tensor beyond its view": (
        stream(tensor(a("v", 1, 2), (3,)), ("a",), FOUR),
        Malformed,
        "3 elements where the storage has 2",
    ),
    "an id in the keys": (
        stream(1, p.Assembled(p.MARK + a() + p.LIST)),
        Malformed,
        "where nothing could",
    ),
    "a memo of another pickle": (
        stream(p.Assembled(p.BINGET(0)), about=p.Assembled(p.NONE + p.BINPUT(0))),
        Malformed,
        "memo",
    ),
}


def test_an_id_that_begins_with_an_array() -> None:
    """Which is compared element by element, and so neither equal nor not."""
    two = arrays.filled((1, (2,), arrays.kind("f8"), False, arrays.TWO))
    array = checkpoints.dump(two)[2:-1]
    data = stream(p.Assembled(p.MARK + array + p.NONE + p.TUPLE + p.BINPERSID))
    with pytest.raises(Malformed, match="begins with 'storage'"):
        load(io.BytesIO(data), weights_only=False)


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name: str) -> None:
    data, kind, message = WRONG[name]
    with pytest.raises(kind, match=message) as refused:
        read(data)
    assert type(refused.value) is kind
    assert "\n" not in str(refused.value)


def test_errors_say_where() -> None:
    data = stream(a(), ("a",), floats(1))
    with pytest.raises(Malformed) as refused:
        read(data)
    assert refused.value.offset == len(data) - len(b"\1\0\0\0\0\0\0\0" + bytes(4))
    tree = {"model": a(key=[])}
    data = stream(tree)
    with pytest.raises(Malformed) as refused:
        read(data)
    assert refused.value.offset == data.index(p.BINPERSID)
    assert refused.value.path == "['model']"
    data = stream(a(), [[]])
    with pytest.raises(Malformed) as refused:
        read(data)
    # The keys are a pickle of their own, the last one.
    assert refused.value.offset == data.rindex(p.PROTO(2))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cut_anywhere(case: Case) -> None:
    for length in range(len(case.data)):
        with pytest.raises(CheckpointError) as refused:
            read(
                case.data[:length],
                encoding=case.encoding,
                weights_only=not case.unsafe,
            )
        assert refused.value.offset is None or refused.value.offset <= length


def test_a_storage_says_what_is_missing() -> None:
    data = stream(a(), ("a",), FOUR)
    with pytest.raises(Truncated, match="16 bytes announced, 15 left"):
        read(data[:-1])
    with pytest.raises(Truncated, match="before the size of a storage"):
        read(data[:-17])


def test_a_chain_of_views_is_not_recursive() -> None:
    count = 5_000
    views = [a("0", 0, 4)] + [a(str(i + 1), 0, 4, key=str(i)) for i in range(count)]
    found = read(stream(views, ("a",), FOUR))
    assert plain(found[-1]) == ("float32", [1, 2, 3, 4])


def test_a_class_that_is_not_allowed() -> None:
    with pytest.raises(CheckpointError) as refused:
        read(stream(module("torch.nn.modules.linear.Linear", None, None)))
    assert refused.value.kind == "GlobalNotAllowed"


# ----------------------------------------------------------------- plain pickles


def test_a_plain_pickle() -> None:
    trace = Trace()
    file = io.BytesIO(pickle.dumps({"a": [1, b"x"]}) + b"tail")
    assert load(file, trace=trace) == {"a": [1, b"x"]}
    assert file.read() == b"tail"
    assert trace.containers == ["pickle"]


@pytest.mark.parametrize("first", [MAGIC + 1, float(MAGIC), True, -MAGIC])
def test_a_plain_pickle_that_is_nearly_a_stream(first: Any) -> None:
    found = read(dump(first) + dump(1001))
    assert (type(found), found) == (type(first), first)


def test_a_plain_pickle_has_no_storages() -> None:
    with pytest.raises(Malformed, match="nothing could have one"):
        read(dump(a()))


def test_what_is_no_pickle() -> None:
    with pytest.raises(NotACheckpoint, match="nor a pickle: 0x00 is no opcode"):
        read(bytes(10))
    # A protocol at its head says that it means to be one.
    with pytest.raises(Malformed):
        read(b"\x80\x02" + bytes(10))


# ------------------------------------------- checkpoints inside of plain pickles


def inside(data: bytes) -> p.Assembled:
    """How a tensor pickles itself outside `torch.save`."""
    return p.call("torch.storage._load_from_bytes", data)


def nested(data: bytes, times: int) -> bytes:
    for _ in range(times):
        data = dump(inside(data))
    return data


def test_a_tensor_in_a_plain_pickle() -> None:
    held = stream(storage("FloatStorage", "a", 4, None), ("a",), FOUR)
    data = dump({"w": tensor(inside(held), (2, 2), (2, 1))})
    trace = Trace()
    found = read(data, weights_only=False, trace=trace)
    assert plain(found) == {"w": [[1, 2], [3, 4]]}
    assert trace.containers == ["legacy", "pickle"]
    with pytest.raises(CheckpointError) as refused:
        read(data)
    assert refused.value.kind == "GlobalNotAllowed"


def test_a_checkpoint_inside_is_read_as_torch_reads_it() -> None:
    """With torch's default encoding, whatever was asked for outside."""
    held = stream(p.Assembled(p.SHORT_BINSTRING("\xe4".encode())))
    data = dump([p.Assembled(p.SHORT_BINSTRING(b"\xe4")), inside(held)])
    assert read(data, weights_only=False, encoding="bytes") == [b"\xe4", "\xe4"]


def test_checkpoints_inside_checkpoints() -> None:
    deep = Limits().nesting
    assert read(nested(dump(7), deep), weights_only=False) == 7
    with pytest.raises(CheckpointError, match="nesting") as refused:
        read(nested(dump(7), deep + 1), weights_only=False)
    assert refused.value.kind == "LimitExceeded"
    # Where the file asks for it, not where it is in there.
    assert refused.value.offset == nested(dump(7), deep + 1).rindex(b"R")
    assert str(refused.value).count("inside this one") == 1


def test_an_error_inside_says_where_it_was_asked_for() -> None:
    data = dump({"w": inside(stream(a()))})
    with pytest.raises(Uninitialised, match="inside this one") as refused:
        read(data, weights_only=False)
    assert refused.value.offset == data.rindex(b"R")
    assert refused.value.path == "['w']"


def many(data: bytes, times: int) -> bytes:
    """The same bytes, loaded again and again for three bytes each."""
    load_from_bytes = class_name("torch.storage._load_from_bytes")
    again = p.BINGET(0) + p.BINGET(1) + p.REDUCE + p.POP
    return p.pickle(
        p.PROTO(3),
        load_from_bytes + p.BINPUT(0) + p.args(data) + p.BINPUT(1) + p.POP + p.POP,
        again * times,
        p.NONE,
    )


def test_loading_the_same_bytes_again_and_again_is_limited() -> None:
    assert read(many(dump(0), 100), weights_only=False) is None
    with pytest.raises(CheckpointError) as refused:
        read(many(dump("x" * 1000), 100_000), weights_only=False)
    assert refused.value.kind == "LimitExceeded"


def test_many_times_many_times_is_limited() -> None:
    """Each level multiplies the work of the one below: 20 of them never end."""
    data = dump(0)
    for _ in range(10):
        data = many(data, 100)
    assert len(data) < 10_000
    with pytest.raises(CheckpointError) as refused:
        read(data, weights_only=False)
    assert refused.value.kind == "LimitExceeded"


def test_copies_inside_are_paid_from_outside() -> None:
    """A small checkpoint that asks for thirty times its size, again and again."""
    zeros = p.call("builtins.bytearray", 800)
    greedy = p.pickle(p.PROTO(2), (zeros + p.POP) * 30, p.NONE)
    assert read(dump(inside(greedy)), weights_only=False) is None
    with pytest.raises(CheckpointError) as refused:
        read(many(greedy, 1000), weights_only=False)
    assert refused.value.kind == "LimitExceeded"


def test_a_name_that_is_loaded_must_be_bytes() -> None:
    with pytest.raises(Malformed):
        read(dump(p.call("torch.storage._load_from_bytes", "x")), weights_only=False)

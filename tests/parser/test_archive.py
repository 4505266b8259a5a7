"""Zip archives as checkpoints: storages, byte order, old layouts, TorchScript."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest

from conformance.parser import (
    CheckpointError,
    Limits,
    Malformed,
    NotACheckpoint,
    Object,
    Trace,
    Uninitialised,
    Unsupported,
    load,
)
from tests.builders import pickles as p
from tests.builders import zips
from tests.builders.checkpoints import dump
from tests.builders.legacy import class_name, floats, python2, storage, tensor
from tests.builders.plain import plain
from tests.builders.zips import DEFLATED

FOUR = floats(1, 2, 3, 4)[1]


def archive(
    tree: Any,
    records: dict[str, bytes] | None = None,
    *,
    root: str = "archive",
    method: int = zips.STORED,
    keep: tuple[str, ...] = ("data.pkl", "byteorder", "version"),
) -> bytes:
    """A tree of assembled opcodes and its records; `keep` of the usual ones."""
    pickle = p.pickle(p.PROTO(2), p.value(tree))
    usual = {"data.pkl": pickle, "byteorder": b"little", "version": b"3\n"}
    named = {name: usual[name] for name in keep}
    return zips.build(
        zips.entries({**named, **(records or {})}, root=root, method=method)
    )


def read(data: bytes, **options: Any) -> Any:
    return load(io.BytesIO(data), **options)


def a(kind: str = "FloatStorage", key: Any = "a", numel: Any = 4, **more: Any) -> Any:
    return storage(kind, key, numel, **more)


def test_a_tensor() -> None:
    trace = Trace()
    found = read(archive(tensor(a(), (2, 2), (2, 1)), {"data/a": FOUR}), trace=trace)
    assert plain(found) == [[1, 2], [3, 4]]
    assert (found.storage.key, found.device) == ("a", "cpu")
    assert (trace.containers, trace.protocols, trace.byteorder) == (
        ["zip"],
        [2],
        "little",
    )
    assert (trace.storages, trace.storage_bytes) == (1, 16)


def test_one_key_is_one_storage() -> None:
    one, two, other = read(
        archive([a(), a(), a(key="b")], {"data/a": FOUR, "data/b": FOUR})
    )
    assert one is two
    assert one is not other


KEYS: list[tuple[Any, str]] = [
    ("0", "data/0"),
    ("a/b", "data/a/b"),
    ("A", "data/a"),
    ("", "data/"),
    ("\xe4", "data/\xe4"),
    (0, "data/0"),
    (-1, "data/-1"),
    (1 << 70, f"data/{1 << 70}"),
    (True, "data/True"),
    (1.5, "data/1.5"),
    (None, "data/None"),
    ((), "data/()"),
    ((1, "x"), "data/(1, 'x')"),
    (b"a", "data/b'a'"),
]


@pytest.mark.parametrize(("key", "name"), KEYS, ids=map(repr, KEYS))
def test_a_key_names_its_record_as_python_spells_it(key: Any, name: str) -> None:
    numel = 0 if name.endswith("/") else 4
    data = archive(a(key=key, numel=numel), {name: FOUR[: 4 * numel]})
    assert plain(read(data)) == ("float32", [1, 2, 3, 4][:numel])


def test_a_number_and_its_digits_are_two_storages_of_one_record() -> None:
    one, two = read(archive([a(key=0), a(key="0")], {"data/0": FOUR}))
    assert one is not two
    assert plain(one) == plain(two)


def test_one_and_true_are_one_storage() -> None:
    one, two = read(archive([a(key=1), a(key=True)], {"data/1": FOUR}))
    assert one is two


def test_the_first_reference_decides_about_the_dtype() -> None:
    data = archive([a(), a("DoubleStorage", numel=99)], {"data/a": FOUR})
    one, two = read(data)
    assert one is two
    assert plain(two) == ("float32", [1, 2, 3, 4])


@pytest.mark.parametrize(("numel", "location"), [(0, "cpu"), (4, "meta")])
def test_empty_and_meta_storages_are_made_anew(numel: int, location: str) -> None:
    reference = a(numel=numel, location=location)
    one, two = read(archive([reference, reference], {"data/a": FOUR[: 4 * numel]}))
    assert one is not two
    assert one.nbytes == two.nbytes == 4 * numel
    assert one.has_data == (location == "cpu")


def test_a_meta_storage_has_no_bytes() -> None:
    found = read(archive(a(location="meta"), {"data/a": FOUR}))
    with pytest.raises(Uninitialised):
        bytes(found.data)


def test_a_storage_in_the_words_of_python_2() -> None:
    pid = p.args(
        python2("storage"), class_name("torch.FloatStorage"), "a", python2("cpu"), 4
    )
    data = archive(p.Assembled(pid + p.BINPERSID), {"data/a": FOUR})
    assert plain(read(data, encoding="bytes")) == ("float32", [1, 2, 3, 4])


def test_a_location_is_kept_and_not_looked_for() -> None:
    """torch raises where it has no such device."""
    for location in ("cuda:3", "nowhere", ""):
        found = read(archive(tensor(a(location=location), (4,)), {"data/a": FOUR}))
        assert found.device == found.storage.location == location


WRONG: dict[str, tuple[Any, type[CheckpointError], str]] = {
    "no record": (a(key="b"), Malformed, "no record 'data/b'"),
    "no record for nothing": (a(key="b", numel=0), Malformed, "no record"),
    "no record for a meta storage": (a(key="b", location="meta"), Malformed, "no rec"),
    "more than the record": (a(numel=5), Malformed, "16 bytes, not 20"),
    "less than the record": (a(numel=3), Malformed, "16 bytes, not 12"),
    "a part of an element": (a("ComplexDoubleStorage", numel=2), Malformed, "not 32"),
    "a size beyond memory": (a(numel=1 << 61), Malformed, "number of elements"),
    "a size beyond printing": (a(numel=1 << 60_000), Malformed, "number of elements"),
    "a negative size": (a(numel=-1), Malformed, "number of elements"),
    "a view": (storage("FloatStorage", "a", 4, None), Malformed, "6 parts, not 5"),
    "a key that is a list": (a(key=["a"]), Malformed, "a list cannot name"),
    "a key that is deep": (a(key=((1,),)), Malformed, "a tuple cannot name"),
    "a key that is long": (a(key="a" * 65536), Malformed, "a str of this size"),
    "a key of long keys": (a(key=(b"a" * 101,)), Malformed, "a tuple cannot name"),
    "a key of many": (a(key=tuple(range(10))), Malformed, "a tuple cannot name"),
    "a key that is no text": (a(key="\ud800"), Malformed, "cannot be a record's name"),
    "an id without its record": (
        p.Assembled(p.NONE + p.BINPERSID),
        Malformed,
        "begins with 'storage'",
    ),
    "a module": (
        p.Assembled(p.args("module", class_name("torch.Size"), "", "") + p.BINPERSID),
        Malformed,
        "begins with 'storage'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name: str) -> None:
    tree, kind, message = WRONG[name]
    data = archive({"w": tree}, {"data/a": FOUR})
    with pytest.raises(kind, match=message) as refused:
        read(data)
    assert type(refused.value) is kind
    assert refused.value.path == "['w']"


def test_errors_count_from_the_beginning_of_the_file() -> None:
    data = archive({"w": a(numel=-1)}, {"data/a": FOUR}, root="a long name of a root")
    with pytest.raises(Malformed) as refused:
        read(data)
    assert refused.value.offset == data.index(p.BINPERSID + p.SETITEMS)


def test_errors_in_a_packed_pickle_count_from_its_record() -> None:
    """A byte of the pickle is none of the file, which may be far shorter."""
    tree = p.Assembled(p.value("\0" * 1000) + p.POP + p.APPEND)
    data = archive(tree, method=DEFLATED)
    with pytest.raises(Malformed) as refused:
        read(data)
    at = data.index(b"data.pkl") + len(b"data.pkl")
    assert refused.value.offset == at
    assert "(at 1008 of the packed pickle)" in str(refused.value)


# --------------------------------------------------------------------- byte order

NATIVE = {
    "DoubleStorage": ("<2d", ">2d", (1.5, -2)),
    "BFloat16Storage": ("<2H", ">2H", (0x3FC0, 0xC000)),
    "LongStorage": ("<2q", ">2q", (1, -2)),
    "ShortStorage": ("<2h", ">2h", (1, -2)),
    "ByteStorage": ("<2B", ">2B", (1, 2)),
    "BoolStorage": ("<2?", ">2?", (True, False)),
    # The halves are swapped, not the whole.
    "ComplexDoubleStorage": ("<4d", ">4d", (1, 2, 3, 4)),
    "ComplexFloatStorage": ("<4f", ">4f", (1, 2, 3, 4)),
}


@pytest.mark.parametrize("kind", NATIVE)
def test_big_endian_storages(kind: str) -> None:
    little, big, numbers = NATIVE[kind]
    reference = a(kind, numel=2)
    for order, code in (("little", little), ("big", big)):
        records = {"data/a": struct.pack(code, *numbers), "byteorder": order.encode()}
        trace = Trace()
        found = read(archive(reference, records), trace=trace)
        assert bytes(found.data) == struct.pack(little, *numbers)
        assert trace.byteorder == order


def test_without_a_record_the_order_is_little() -> None:
    data = archive(a(), {"data/a": FOUR}, keep=("data.pkl", "version"))
    trace = Trace()
    assert plain(read(data, trace=trace)) == ("float32", [1, 2, 3, 4])
    assert trace.byteorder is None


def untyped(dtype: str) -> p.Assembled:
    hooks = p.call("collections.OrderedDict")
    reference = a("torch.storage.UntypedStorage", numel=8)
    call = "torch._utils._rebuild_tensor_v3"
    name = class_name(f"torch.{dtype}")
    return p.call(call, reference, 0, (2,), (1,), False, hooks, name)


def test_big_endian_storages_without_a_dtype() -> None:
    """torch 2.13 does not swap these: it takes them for bytes."""
    records = {"data/a": struct.pack(">2I", 7, 8), "byteorder": b"big"}
    assert plain(read(archive(untyped("uint32"), records))) == [7, 8]


def test_big_endian_storages_of_two_minds() -> None:
    records = {"data/a": struct.pack(">4H", 1, 2, 3, 4), "byteorder": b"big"}
    with pytest.raises(Unsupported, match="dtypes of different sizes"):
        read(archive([untyped("uint16"), untyped("uint32")], records))


def test_a_big_endian_meta_storage() -> None:
    """torch 2.13 dies of these."""
    records = {"data/a": FOUR, "byteorder": b"big"}
    assert not read(archive(a(location="meta"), records)).has_data


@pytest.mark.parametrize(
    ("name", "text"), [("byteorder", b"middle"), (".storage_alignment", b"wide")]
)
def test_records_about_the_archive_are_checked(name: str, text: bytes) -> None:
    with pytest.raises(Malformed, match=r"middle|wide"):
        read(archive(1, {name: text}))


# -------------------------------------------------------------------- old layouts


def test_torch_1_4_kept_its_storages_elsewhere() -> None:
    """Under the address they had; torch itself no longer finds them."""
    key = "94021551934720"
    records = {f"tensors/{key}": FOUR, "version": b"1\n"}
    data = archive(tensor(a(key=key), (4,)), records, keep=("data.pkl", "version"))
    assert plain(read(data)) == [1, 2, 3, 4]


def test_the_old_place_is_not_looked_at_where_there_is_the_new_one() -> None:
    records = {"tensors/a": FOUR, "Data/b": FOUR}
    with pytest.raises(Malformed, match="no record 'data/a'"):
        read(archive(a(), records))
    assert plain(read(archive(a(key="b"), records))) == ("float32", [1, 2, 3, 4])


@pytest.mark.parametrize("root", ["archive", "my.model.v2", "\xe4", "a b"])
def test_the_root_may_have_any_name(root: str) -> None:
    assert plain(read(archive(a(), {"data/a": FOUR}, root=root)))[1] == [1, 2, 3, 4]


# ------------------------------------------------------------------ packed records


def test_packed_records_are_inflated() -> None:
    found = read(archive(a(), {"data/a": FOUR}, method=DEFLATED))
    assert plain(found) == ("float32", [1, 2, 3, 4])


def test_a_packed_pickle_pays_for_what_it_inflates_to() -> None:
    """Many equal tensors pack well, and each is allowed its copies."""
    zeros = p.call("builtins.bytearray", 500) + p.POP
    tree = p.Assembled(zeros * 20_000 + p.NONE)
    assert read(archive(tree, method=DEFLATED), weights_only=False) is None


def test_a_pickle_may_not_inflate_without_end() -> None:
    tree = p.value("\0" * 100_000)
    data = archive(tree, method=DEFLATED)
    assert len(read(data)) == 100_000
    with pytest.raises(CheckpointError) as refused:
        read(data, limits=Limits(inflate_ratio=9))
    assert refused.value.kind == "LimitExceeded"


def inside(data: bytes) -> p.Assembled:
    return p.call("torch.storage._load_from_bytes", data)


def test_an_archive_inside_a_pickle() -> None:
    held = archive(tensor(a(), (4,)), {"data/a": FOUR})
    trace = Trace()
    tree = archive([inside(held)])
    assert plain(read(tree, weights_only=False, trace=trace)) == [[1, 2, 3, 4]]
    assert trace.containers == ["zip", "zip"]


def test_an_archive_inside_a_pickle_is_not_inflated() -> None:
    """A few bytes could ask for it again and again; torch never writes one."""
    held = archive(p.value("x" * 1000), method=DEFLATED)
    with pytest.raises(CheckpointError) as refused:
        read(archive(inside(held)), weights_only=False)
    assert refused.value.kind == "LimitExceeded"


# --------------------------------------------------------------------- TorchScript


def script(tree: bytes, constants: bytes, **records: bytes) -> bytes:
    return zips.build(
        zips.entries(
            {
                "data.pkl": tree,
                "code/__torch__.py": b"class Net(Module): ...",
                "code/__torch__.py.debug_pkl": b"",
                "constants.pkl": constants,
                "version": b"3\n",
                **records,
            }
        )
    )


def module(**state: Any) -> bytes:
    cls = class_name("__torch__.Net")
    new = cls + p.EMPTY_TUPLE + p.NEWOBJ + p.value(state) + p.BUILD
    return p.pickle(p.PROTO(2), new)


def test_torchscript() -> None:
    weight = tensor(a(), (4,))
    bias = tensor(a(), (2,))
    data = script(
        module(weight=weight, training=True),
        p.pickle(p.PROTO(2), p.value((bias,))),
        **{"data/a": FOUR, "constants/a": floats(5, 6, 7, 8)[1]},
    )
    trace = Trace()
    found = read(data, weights_only=False, trace=trace)
    assert isinstance(found, Object)
    assert found.name == "__torch__.Net"
    assert plain(found.state) == {"weight": [1, 2, 3, 4], "training": True}
    # Literals in the code, with storages of their own.
    assert plain(found.kwargs) == {"constants": ([5, 6],)}
    assert trace.containers == ["torchscript"]


def test_torchscript_without_constants() -> None:
    found = read(script(module(training=False), dump(())), weights_only=False)
    assert (found.state, found.kwargs) == ({"training": False}, {})


def test_weights_only_refuses_torchscript_as_torch_does() -> None:
    with pytest.raises(Unsupported, match="weights_only=False reads"):
        read(script(module(), dump(())))


@pytest.mark.parametrize(
    ("tree", "constants"),
    [(dump({}), dump(())), (module(), dump([1])), (module(), dump(None))],
)
def test_torchscript_is_a_module_and_constants(tree: bytes, constants: bytes) -> None:
    with pytest.raises(Malformed, match="without a module and constants"):
        read(script(tree, constants), weights_only=False)


def test_a_member_of_an_enumeration_of_torchscript() -> None:
    """C++ writes its value without a tuple round it."""
    for value in (1, "red", 0.5):
        color = p.Assembled(class_name("__torch__.Color") + p.value(value) + p.REDUCE)
        found = read(script(module(color=color), dump(())), weights_only=False)
        member = found.state["color"]
        assert (member.name, member.args) == ("__torch__.Color", (value,))
        made = p.Assembled(class_name("__torch__.Color") + p.value(value) + p.NEWOBJ)
        with pytest.raises(Malformed, match="arguments must be a tuple"):
            read(script(module(color=made), dump(())), weights_only=False)


def test_a_meta_tensor_of_torchscript_has_an_empty_record() -> None:
    """In other archives the record has to be as long as the storage."""
    reference = a(location="meta")
    data = script(module(w=reference), dump(()), **{"data/a": b""})
    assert not read(data, weights_only=False).state["w"].has_data
    with pytest.raises(Malformed, match="0 bytes, not 16"):
        read(archive(reference, {"data/a": b""}))


def test_what_cpp_writes() -> None:
    """`torch::pickle_save` says of which type each container is."""
    numbers = p.call("torch.jit._pickle.build_intlist", [1, 2])
    tensors = p.call("torch.jit._pickle.build_tensorlist", [tensor(a(), (2,))])
    tree = p.call(
        "torch.jit._pickle.restore_type_tag",
        {"n": numbers, "t": tensors},
        "Dict[str, Any]",
    )
    data = archive(tree, {"data/a": FOUR}, keep=("data.pkl", "version"))
    assert plain(read(data, weights_only=False)) == {"n": [1, 2], "t": [[1, 2]]}
    with pytest.raises(CheckpointError) as refused:
        read(data)
    assert refused.value.kind == "GlobalNotAllowed"


def test_storages_of_cpp() -> None:
    """Python has no class for these; TorchScript reads them back."""
    rows = {
        "UInt16Storage": (struct.pack("<2H", 7, 8), "uint16"),
        "Float8_e5m2Storage": (b"\x3c\x40", "float8_e5m2"),
        "ComplexHalfStorage": (struct.pack("<4e", 1, 2, 3, 4), "complex32"),
        "Bits1x8Storage": (b"\1\2", "bits1x8"),
    }
    for kind, (data, dtype) in rows.items():
        file = archive(tensor(a(kind, numel=2), (2,)), {"data/a": data})
        found = read(file, weights_only=False)
        assert (found.dtype, found.tobytes()) == (dtype, data)
        with pytest.raises(CheckpointError) as refused:
            read(file)
        assert refused.value.kind == "GlobalNotAllowed"


def sparse(layout: Any, *more: Any) -> p.Assembled:
    call = "torch._utils._rebuild_sparse_tensor"
    return p.call(call, layout, (2, 2), *more, p.call("collections.OrderedDict"))


INDICES = tensor(a("LongStorage", "i", 4), (2, 2), (2, 1))
MANY = {
    "data/i": struct.pack("<4q", 0, 1, 1, 0),
    "data/r": struct.pack("<3q", 0, 1, 2),
    "data/a": FOUR,
}
ROWS = tensor(a("LongStorage", "r", 3), (3,))
COLUMNS = tensor(a("LongStorage", "i", 4), (2,))
VALUES = tensor(a(), (2,))


def test_sparse_tensors_of_cpp() -> None:
    """Python's own `_rebuild_sparse_tensor` does not take so many arguments."""
    coo = sparse(1, True, INDICES, VALUES)
    csr = sparse(2, False, ROWS, COLUMNS, VALUES)
    one, two = read(archive([coo, csr], MANY))
    assert (one.layout, one.shape, one.requires_grad) == ("sparse_coo", (2, 2), True)
    assert plain(one.parts) == {
        "indices": [[0, 1], [1, 0]],
        "values": [1, 2],
        "is_coalesced": False,
    }
    assert (two.layout, two.shape, two.requires_grad) == ("sparse_csr", (2, 2), False)
    assert plain(two.parts) == {
        "crow_indices": [0, 1, 2],
        "col_indices": [0, 1],
        "values": [1, 2],
    }


@pytest.mark.parametrize(
    "tree",
    [
        sparse(3, False, INDICES, VALUES),
        sparse(True, False, INDICES, VALUES),
        sparse(2, False, INDICES, VALUES),
        sparse(1, False, INDICES, VALUES, VALUES),
        sparse(1),
    ],
    ids=["another layout", "a bool", "a part less", "a part more", "no parts"],
)
def test_sparse_tensors_that_cpp_does_not_write(tree: Any) -> None:
    with pytest.raises(Malformed, match="sparse tensor of C"):
        read(archive(tree, MANY))


@pytest.mark.parametrize("view", [None, ("v", 0, 1)])
def test_storage_ids_of_old_torchscript(view: Any) -> None:
    """C++ once wrote a sixth part, as in a legacy stream; it was always None."""
    cls = class_name("__torch__.Net")
    state = {"w": tensor(storage("FloatStorage", "a", 4, view), (4,))}
    tree = p.pickle(cls + p.EMPTY_TUPLE + p.NEWOBJ + p.value(state) + p.BUILD)
    data = script(tree, dump(()), **{"data/a": FOUR})
    if view is None:
        assert plain(read(data, weights_only=False).state) == {"w": [1, 2, 3, 4]}
        return
    with pytest.raises(Malformed, match="6 parts, not 5"):
        read(data, weights_only=False)


# ------------------------------------------------------------- archives of others


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (".data/extern_modules", "torch.package"),
        ("archive_format", r"torch\.export"),
        ("serialized_exported_program.json", r"torch\.export"),
        ("model.json", r"torch 1\.2"),
        ("anything", "a zip archive: no data"),
    ],
)
def test_archives_without_a_pickle(record: str, message: str) -> None:
    with pytest.raises(NotACheckpoint, match=message):
        read(archive(1, {record: b""}, keep=("version",)))


def test_a_zip_around_a_checkpoint() -> None:
    """What torch.hub calls the legacy zip: it unpacks it before it loads."""
    data = zips.build([zips.Entry(b"model.pth", archive(1))])
    with pytest.raises(NotACheckpoint, match=r"'model\.pth', is in no folder"):
        read(data)


def test_cut_anywhere() -> None:
    data = archive([a(), tensor(a(), (4,))], {"data/a": FOUR})
    for length in range(len(data)):
        with pytest.raises(CheckpointError):
            read(data[:length])


def test_storages_are_not_copied() -> None:
    data = archive(a(), {"data/a": FOUR})
    assert read(data).data.obj is data

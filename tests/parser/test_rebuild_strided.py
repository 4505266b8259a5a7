"""Plain tensors: `_rebuild_tensor` and its successors, and those of before 1.0.

What torch 2.13 does with each of these was seen by running it; where we refuse
what it takes, the test says so.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from conformance.parser import Object, Storage, Tensor
from tests.builders.checkpoints import (
    Bytes,
    Call,
    Name,
    New,
    floats,
    hooks,
    legacy,
    longs,
    tensor,
    untyped,
)
from tests.builders.rebuilt import rebuilt, refused

SIX = range(6)
V1 = "torch._utils._rebuild_tensor"
V2 = "torch._utils._rebuild_tensor_v2"
V3 = "torch._utils._rebuild_tensor_v3"
PARAMETER = "torch.nn.parameter.Parameter"

MOST = (1 << 63) - 1


def six() -> Bytes:
    return floats(*SIX)


def halves(*pairs: complex) -> Bytes:
    parts = [part for pair in pairs for part in (pair.real, pair.imag)]
    return Bytes("ComplexFloatStorage", struct.pack(f"<{len(parts)}f", *parts))


# ----------------------------------------------------------------------- views


def test_every_fact_of_a_tensor() -> None:
    storage = six()
    read = rebuilt(tensor(storage, (2, 2), (3, 1), 1, True))
    assert type(read) is Tensor
    assert read.type == "torch.Tensor"
    assert (read.dtype, read.layout, read.device) == ("float32", "strided", "cpu")
    assert (read.shape, read.stride, read.storage_offset) == ((2, 2), (3, 1), 1)
    assert (read.requires_grad, read.is_conj, read.is_neg) == (True, False, False)
    assert (read.parts, read.attributes, read.state) == ({}, {}, None)
    assert read.storage is not None
    assert bytes(read.storage.data) == storage.data
    assert read.numpy().tolist() == [[1, 2], [4, 5]]


@pytest.mark.parametrize(
    ("size", "stride", "offset", "elements"),
    [
        ((), (), 5, 5),
        ((6,), (1,), 0, list(SIX)),
        ((2, 3), (1, 2), 0, [[0, 2, 4], [1, 3, 5]]),
        ((2, 2), (1, 1), 3, [[3, 4], [4, 5]]),
        ((3,), (0,), 5, [5, 5, 5]),
        ((2,), (5,), 0, [0, 5]),
        ([2, 2], [2, 1], 1, [[1, 2], [3, 4]]),
        (Call("torch.Size", (2,)), Call("torch.Size", (1,)), 0, [0, 1]),
        # No stride at all is row-major order, as in torch's `set_`.
        ((3, 2), (), 0, [[0, 1], [2, 3], [4, 5]]),
        ([2], [], 4, [4, 5]),
        # No second element, so a stride may be anything ...
        ((1,), (MOST,), 0, [0]),
        # ... and without a first one, the offset too.
        ((0,), (1,), MOST, []),
        ((0, 3), (3, 1), 100, []),
        ((1, 0, 2), (9, 9, 9), 0, [[]]),
    ],
)
@pytest.mark.parametrize("function", [V1, V2])
def test_views(
    function: str, size: Any, stride: Any, offset: Any, elements: Any
) -> None:
    rest = (False, hooks()) if function == V2 else ()
    read = rebuilt(Call(function, six(), offset, size, stride, *rest))
    assert read.numpy().tolist() == elements
    assert type(read.shape) is type(read.stride) is tuple
    assert read.storage_offset == offset


@pytest.mark.parametrize("size", [(1 << 62,), (MOST,), (0, 1 << 62, 1 << 62)])
def test_views_larger_than_memory_cost_nothing(size: tuple[int, ...]) -> None:
    read = rebuilt(tensor(six(), size, (0,) * len(size)))
    assert read.shape == size
    with refused("Unsupported", "numpy has no array"):
        read.numpy()


@pytest.mark.parametrize("rank", [64, 65, 1000])
def test_ranks(rank: int) -> None:
    read = rebuilt(tensor(six(), (1,) * rank))
    assert read.shape == (1,) * rank
    if rank == 64:
        assert read.numpy().shape == (1,) * 64
    else:
        with refused("Unsupported", f"no array of {rank} dimensions"):
            read.numpy()


@pytest.mark.parametrize(
    ("size", "stride", "offset", "match"),
    [
        ((7,), (1,), 0, "need 7 elements where the storage has 6"),
        ((6,), (1,), 1, "need 7 elements"),
        ((2,), (6,), 0, "need 7 elements"),
        ((), (), 6, "need 7 elements"),
        ((2,) * 9, (1,) * 9, 0, r"size of 9 dimensions, stride of 9"),
        ((2, 3), (1,), 0, "2 dimensions, a stride of 1"),
        ((2,), (3, 1), 0, "1 dimensions, a stride of 2"),
        ((-1, 3), (3, 1), 0, "negative size -1"),
        ((2,), (1,), -1, "negative storage offset -1"),
        ((0,), (1,), -1, "negative storage offset -1"),
        ((2,), (-1,), 3, "negative stride -1"),
        # torch puts another stride in its place, where size <= 1.
        ((1,), (-1,), 0, "negative stride -1"),
        ((1 << 62, 1 << 62), (0, 0), 0, "more elements than 64 bits can count"),
        ((1 << 62, 1 << 62, 0), (1, 1, 1), 0, "more elements than 64 bits"),
        ((1 << 62, 2), (0, 0), 0, "more elements than 64 bits"),
        ((1 << 63,), (0,), 0, "the size has numbers beyond 64 bits"),
        ((1,), (1 << 63,), 0, "the stride has numbers beyond 64 bits"),
        ((0,), (1,), 1 << 63, "the storage offset does not fit 64 bits"),
        # An integer whose product alone would take a minute.
        ((1 << 300_000,) * 9, (1 << 300_000,) * 9, 0, "beyond 64 bits"),
        (6, (1,), 0, "the size must be a tuple of ints, not int"),
        ({6}, (1,), 0, "must be a tuple of ints, not set"),
        ((2.0,), (1,), 0, "must be a tuple of ints, not float"),
        ((2,), (None,), 0, "the stride must be a tuple of ints, not NoneType"),
        ((2,), (1,), 1.0, "the storage offset must be an int, not float"),
        ((2,), (1,), None, "the storage offset must be an int, not NoneType"),
        # torch's argument parser takes a bool or a tensor in some of these places.
        ((3, True), (1, 1), 0, "not bool"),
        ((2,), (1,), True, "not bool"),
        ((tensor(longs(2), ()),), (1,), 0, "not Tensor"),
    ],
)
def test_impossible_views(size: Any, stride: Any, offset: Any, match: str) -> None:
    with refused("Malformed", match):
        rebuilt(tensor(six(), size, stride, offset))


def test_an_empty_storage_holds_no_element() -> None:
    assert rebuilt(tensor(floats(), (0,))).numpy().shape == (0,)
    for size in ((), (1,)):
        with refused("Malformed", "need 1 elements where the storage has 0"):
            rebuilt(tensor(floats(), size))


def test_an_odd_byte_is_no_element() -> None:
    assert rebuilt(untyped("uint16", bytes(7), (3,))).numpy().tolist() == [0, 0, 0]
    with refused("Malformed", "need 4 elements where the storage has 3"):
        rebuilt(untyped("uint16", bytes(7), (4,)))


@pytest.mark.parametrize("other", [None, 7, tensor(six(), (1,)), Call("torch.Size")])
def test_a_tensor_needs_a_storage(other: Any) -> None:
    with refused("Malformed", "a tensor needs a storage, not"):
        rebuilt(tensor(other, (1,)))


def test_tensors_share_a_storage() -> None:
    storage = six()
    one, other, third = rebuilt(
        [tensor(storage, (2,)), tensor(storage, (2,), offset=2), tensor(six(), (2,))]
    )
    assert one.storage is other.storage
    assert one.storage is not third.storage


@pytest.mark.parametrize("count", [4, 5, 8])
def test_v2_counts_its_arguments(count: int) -> None:
    arguments = (six(), 0, (2,), (1,), False, hooks(), None, None)
    with refused("Malformed", f"takes 6 to 7 arguments, not {count}"):
        rebuilt(Call(V2, *arguments[:count]))


def test_many_dimensions_again_and_again() -> None:
    """A long size is looked at as often as it is used: that is counted."""
    size = (1,) * 100_000
    one = tensor(six(), size, size)
    with refused("LimitExceeded", "copies_ratio", phase="pickle"):
        rebuilt([Call(V2, *one.args) for _ in range(500)])


# -------------------------------------------------- requires_grad, hooks, bits


def test_requires_grad() -> None:
    assert rebuilt(tensor(six(), (2,), requires_grad=True)).requires_grad
    assert rebuilt(tensor(halves(1j), (1,), requires_grad=True)).requires_grad
    with refused("Malformed", "a tensor of int64 cannot require gradients"):
        rebuilt(tensor(longs(1), (1,), requires_grad=True))


@pytest.mark.parametrize("value", [None, 1, 0, [], "x"])
def test_requires_grad_is_a_bool(value: Any) -> None:
    with refused("Malformed", "requires_grad must be a bool"):
        rebuilt(tensor(six(), (2,), requires_grad=value))


@pytest.mark.parametrize("value", [None, {}, OrderedDict()])
def test_no_hooks(value: Any) -> None:
    """torch itself writes an empty OrderedDict, and wrote None before."""
    read = rebuilt(Call(V2, six(), 0, (2,), (1,), False, value))
    assert read.attributes == {}


@pytest.mark.parametrize("value", [{1: 2}, OrderedDict({1: 2}), [3], 7, "x", [], (), 0])
def test_hooks_of_an_old_file_are_kept(value: Any) -> None:
    read = rebuilt(Call(V2, six(), 0, (2,), (1,), True, value))
    assert read.attributes == {"_backward_hooks": value}


def numbers(*values: float) -> Call:
    """A numpy array, whose truth is a question that raises."""
    about = (3, "<", None, None, None, -1, -1, 0)
    kind = Call("numpy.dtype", "f8", False, True, state=about)
    state = (1, (len(values),), kind, False, struct.pack(f"<{len(values)}d", *values))
    function = "numpy._core.multiarray._reconstruct"
    return Call(function, Name("numpy.ndarray"), (0,), b"b", state=state)


def test_nobody_asks_an_array_whether_it_is_true() -> None:
    read = rebuilt(
        Call(V2, six(), 0, (2,), (1,), False, numbers(1, 2)), weights_only=False
    )
    assert read.attributes["_backward_hooks"].tolist() == [1, 2]
    with refused("Malformed", "metadata must be a dict, not ndarray"):
        rebuilt(tensor(six(), (2,), (1,), 0, False, numbers(1, 2)), weights_only=False)


#: The stored numbers and the bits, and what they come to.
BITS: list[tuple[dict[str, bool], complex]] = [
    ({"conj": True}, 1 - 2j),
    ({"neg": True}, -1 - 2j),
    ({"conj": True, "neg": True}, -1 + 2j),
    # A name that is there sets its bit, whatever it says: torch never looks.
    ({"conj": False}, 1 - 2j),
    ({"neg": False}, -1 - 2j),
]


@pytest.mark.parametrize(("metadata", "number"), BITS)
@pytest.mark.parametrize("function", [V2, V3])
def test_conj_and_neg(function: str, metadata: Any, number: complex) -> None:
    if function == V2:
        tree = tensor(halves(1 + 2j), (1,), (1,), 0, False, metadata)
    else:
        data = struct.pack("<2e", 1, 2)
        tree = untyped("complex32", data, (1,), (1,), 0, False, metadata)
    read = rebuilt(tree)
    assert read.is_conj is ("conj" in metadata)
    assert read.is_neg is ("neg" in metadata)
    assert complex(read.numpy().astype(np.complex64)[0]) == number


def test_metadata_in_any_dict() -> None:
    ordered = Call("collections.OrderedDict", [["neg", True]])
    assert rebuilt(tensor(six(), (2,), (1,), 0, False, ordered)).is_neg


def test_an_attribute_hides_the_metadata() -> None:
    """Whoever calls `items` calls what the file put there."""
    metadata = Call("collections.OrderedDict", [["neg", True]], state={"items": 7})
    assert rebuilt(tensor(six(), (2,), (1,), 0, False, metadata)).is_neg


@pytest.mark.parametrize("nothing", [None, {}, [], 0, ""])
def test_no_metadata(nothing: Any) -> None:
    read = rebuilt(tensor(six(), (2,), (1,), 0, False, nothing))
    assert not read.is_conj
    assert not read.is_neg


@pytest.mark.parametrize(
    ("storage", "metadata", "kind", "match"),
    [
        (six(), {"conj": True}, "Malformed", "a conj bit on float32"),
        (six(), {"conj": False}, "Malformed", "a conj bit on float32"),
        (six(), [1], "Malformed", "metadata must be a dict, not list"),
        (six(), {"neg": []}, "Malformed", "neg must be a bool, not list"),
        (six(), {"neg": "x"}, "Malformed", "neg must be a bool, not str"),
        # What a plug-in for some device keeps there; torch drops it on a CPU.
        (six(), {"npu_format": True}, "Unsupported", "metadata 'npu_format'"),
        (six(), {1: True}, "Unsupported", "the tensor metadata <int>"),
    ],
)
def test_wrong_metadata(storage: Bytes, metadata: Any, kind: str, match: str) -> None:
    with refused(kind, match):
        rebuilt(tensor(storage, (2,), (1,), 0, False, metadata))


# ------------------------------------------------------------------- v3, dtypes


def test_v3_says_the_dtype_itself() -> None:
    storage = Bytes("UntypedStorage", struct.pack("<4H", 1, 2, 3, 65535))
    short, wide, plain = rebuilt(
        [
            untyped("uint16", storage, (3,), (1,), 1),
            untyped("uint32", storage, (2,)),
            tensor(storage, (2,)),
        ]
    )
    assert (short.dtype, short.numpy().tolist()) == ("uint16", [2, 3, 65535])
    assert (wide.dtype, wide.numpy().tolist()) == ("uint32", [0x20001, 0xFFFF0003])
    assert (plain.dtype, plain.numpy().tolist()) == ("uint8", [1, 0])
    assert short.storage is wide.storage is plain.storage
    assert short.storage.dtype == "uint8"


@pytest.mark.parametrize("dtype", ["int4", "uint1", "float4_e2m1fn_x2", "bits16"])
def test_v3_of_any_dtype(dtype: str) -> None:
    read = rebuilt(untyped(dtype, bytes(range(8)), (4,)))
    assert (read.dtype, len(read.tobytes())) == (dtype, 8 if dtype == "bits16" else 4)


@pytest.mark.parametrize("dtype", ["float8_e5m2", "complex32", "float4_e2m1fn_x2"])
def test_v3_with_gradients(dtype: str) -> None:
    """torch saves these and cannot load them: `set_` on a leaf is an error."""
    read = rebuilt(untyped(dtype, bytes(8), (2,), (1,), 0, True))
    assert read.requires_grad


@pytest.mark.parametrize("dtype", ["uint16", "bits8", "int4"])
def test_v3_without_gradients(dtype: str) -> None:
    with refused("Malformed", f"a tensor of {dtype} cannot require gradients"):
        rebuilt(untyped(dtype, bytes(8), (2,), (1,), 0, True))


@pytest.mark.parametrize("other", [None, "uint16", Name("torch.Size"), 7])
def test_v3_needs_a_dtype(other: Any) -> None:
    storage = Bytes("UntypedStorage", bytes(8))
    with refused("Malformed", "a dtype is expected, not"):
        rebuilt(Call(V3, storage, 0, (2,), (1,), False, hooks(), other))


def test_quantized_storages_need_a_quantized_tensor() -> None:
    """torch makes a tensor that nothing can be done with."""
    storage = Bytes("QInt8Storage", b"\1\2")
    for tree in (tensor(storage, (2,)), Call(V1, storage, 0, (2,), (1,))):
        with refused("Malformed", "a plain tensor of qint8"):
            rebuilt(tree)
    with refused("Malformed", "a plain tensor of quint4x2"):
        rebuilt(untyped("quint4x2", bytes(8), (8,)))


# ------------------------------------------------------------------- before 1.0


@pytest.mark.parametrize("name", ["torch.Tensor", "torch.FloatTensor"])
@pytest.mark.parametrize("call", [Call, New])
def test_tensors_of_0_3(name: str, call: type[Call]) -> None:
    read = rebuilt(call(name, state=(six(), 1, (2,), (2,))))
    assert (read.type, read.dtype) == ("torch.Tensor", "float32")
    assert read.numpy().tolist() == [1, 3]


@pytest.mark.parametrize("container", [None, legacy])
def test_every_class_of_0_3(container: Any) -> None:
    options = {} if container is None else {"container": container}
    storage = longs(1, 2, 3)
    for name in ("torch.LongTensor", "torch.cuda.LongTensor"):
        read = rebuilt(Call(name, state=(storage, 1, (2,), (1,))), **options)
        assert (read.dtype, read.numpy().tolist()) == ("int64", [2, 3])


def test_a_new_tensor_is_empty() -> None:
    for args in ((), (0,)):
        read = rebuilt(Call("torch.FloatTensor", *args))
        assert (read.shape, read.stride, read.dtype) == ((0,), (1,), "float32")


@pytest.mark.parametrize(
    ("args", "kind", "match"),
    [
        ((2, 3), "Uninitialised", r"size \(2, 3\), which nothing fills"),
        ((2,) * 9, "Uninitialised", "size of 9 dimensions"),
        (([1.0],), "Unsupported", "a legacy tensor made from a list"),
        ((six(),), "Unsupported", "made from a Storage"),
    ],
)
def test_new_tensors_that_the_file_does_not_fill(
    args: Any, kind: str, match: str
) -> None:
    with refused(kind, match):
        rebuilt(Call("torch.FloatTensor", *args))


def test_a_tensor_built_again_shows_what_it_was_given_last() -> None:
    other = floats(9, 8)
    again = tensor(six(), (2,))
    again.state = (other, 0, (1,), (1,))
    assert rebuilt(again).numpy().tolist() == [9]


@pytest.mark.parametrize(
    ("state", "match"),
    [
        ((longs(1), 0, (1,), (1,)), "a storage of int64 in a tensor of float32"),
        ((six(), 0, (7,), (1,)), "need 7 elements"),
        ((None, 0, (1,), (1,)), "a tensor needs a storage"),
        ((1, 2), "a tuple of 3, 4 or 5"),
        ([six(), 0, (1,), (1,)], "a tuple of 3, 4 or 5"),
        ({}, "a tuple of 3, 4 or 5"),
        (None, "a tuple of 3, 4 or 5"),
        (("x", None, None), "requires_grad must be a bool"),
        ((7, {}, {}, True, False), "a Variable's data must be a tensor"),
        (
            (tensor(longs(1), (1,)), {}, {}, True, False),
            "data of int64 in a Variable of float32",
        ),
    ],
)
def test_wrong_states(state: Any, match: str) -> None:
    with refused("Malformed", match):
        rebuilt(Call("torch.FloatTensor", state=state))


def test_parameters_of_before_0_4() -> None:
    """NEWOBJ of the class, then BUILD of `(requires_grad, _, hooks)`."""
    made = New(PARAMETER, tensor(six(), (2,)), state=(False, None, {1: 2}))
    read = rebuilt(made)
    assert (read.type, read.requires_grad) == (PARAMETER, False)
    assert read.attributes == {"_backward_hooks": {1: 2}}


def test_variables_of_before_0_4() -> None:
    data = tensor(six(), (2,))
    state = (tensor(six(), (3,)), None, {1: 2}, True, False)
    read = rebuilt(
        Call("torch.autograd.variable.Variable", data, state=state), weights_only=False
    )
    assert (read.type, read.requires_grad, read.shape) == ("torch.Tensor", True, (3,))
    assert read.attributes == {"_backward_hooks": {1: 2}}


# --------------------------------------------------------------- typed globals


@pytest.mark.parametrize("name", ["torch.FloatStorage", "torch.cuda.LongStorage"])
def test_a_storage_class_is_only_a_name(name: str) -> None:
    with refused("Malformed", f"'{name}' is called, which only names a dtype"):
        rebuilt(Call(name, 3))


def test_a_storage_in_the_tree() -> None:
    """torch gives an untyped one back as one of uint8."""
    typed, plain = rebuilt([six(), Bytes("UntypedStorage", b"ab")])
    assert (type(typed), typed.dtype, typed.nbytes) == (Storage, "float32", 24)
    assert (type(plain), plain.dtype, bytes(plain.data)) == (Storage, "uint8", b"ab")


def test_globals_beside_a_tensor_stay_inert() -> None:
    read = rebuilt([Call("os.system", "true"), tensor(six(), (1,))], weights_only=False)
    assert type(read[0]) is Object
    assert read[0].name == "os.system"

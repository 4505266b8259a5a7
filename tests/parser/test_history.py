"""What old releases of torch, numpy and Python wrote, and nobody writes any more.

Each test is the smallest form of files that were written by the release it
names and compared, value by value, with what that release says it had saved.
"""

from __future__ import annotations

import io
import struct
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from conformance.parser import Device, Malformed, Tensor, load
from tests.builders import checkpoints
from tests.builders import pickles as p
from tests.builders.checkpoints import Call, Name, longs
from tests.builders.checkpoints import tensor as plain_tensor
from tests.builders.legacy import class_name, floats, python2, storage, stream, tensor
from tests.builders.rebuilt import rebuilt, refused


def read(data: bytes, encoding: str = "utf-8") -> Any:
    return load(io.BytesIO(data), weights_only=False, encoding=encoding)


def built(target: bytes, state: bytes) -> p.Assembled:
    """BUILD of what the first leaves on the stack."""
    return p.Assembled(target + state + p.BUILD)


def python2_call(name: str, *args: Any) -> p.Assembled:
    """REDUCE, its arguments as Python 2 would have pickled them."""
    return p.Assembled(class_name(name) + python2(args) + p.REDUCE)


# ------------------------------------------------- Python 2: torch 1.3.1, numpy 1.16

ENCODINGS = ("utf-8", "ascii", "latin1", "bytes")


def spelled(text: str, encoding: str) -> str | bytes:
    """A string of Python 2, as this encoding brings it in."""
    return text.encode() if encoding == "bytes" else text


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_state_dict_of_python_2(encoding: str) -> None:
    weight = tensor(storage("FloatStorage", "7", 2, None), (2,))
    metadata = python2({"_metadata": {"version": 1}})
    tree = built(python2_call("collections.OrderedDict", [["w", weight]]), metadata)
    found = read(stream(tree, ("7",), floats(1, 2)), encoding)
    assert type(found) is OrderedDict
    assert [*found] == [spelled("w", encoding)]
    assert found[spelled("w", encoding)].numpy().tolist() == [1, 2]
    version = spelled("version", encoding)
    assert vars(found) == {spelled("_metadata", encoding): {version: 1}}


def test_the_name_of_an_attribute_is_text() -> None:
    tree = built(p.call("collections.OrderedDict"), p.value({1: 2}))
    with pytest.raises(Malformed, match="an attribute's name is no string"):
        read(stream(tree))


#: How numpy completes a dtype that is no structure: order, subdtype, names, ...
SIMPLE = ("<", None, None, None, -1, -1, 0)


def python2_dtype(code: str, state: tuple[Any, ...] = SIMPLE) -> p.Assembled:
    return built(python2_call("numpy.dtype", code, 0, 1), python2((3, *state)))


def python2_array(dtype: p.Assembled, shape: tuple[int, ...], data: bytes) -> Any:
    empty = p.args(class_name("numpy.ndarray"), p.value((0,)), python2("b"))
    made = p.GLOBAL("numpy.core.multiarray", "_reconstruct") + empty + p.REDUCE
    return built(made, python2((1, shape, dtype, 0, data)))


STRUCTURE = (
    "|",
    None,
    ("x", "y"),
    {"x": (python2_dtype("u1"), 0), "y": (python2_dtype("i8"), 1)},
    9,
    1,
    0,
)

ARRAYS: dict[str, tuple[p.Assembled, Any]] = {
    "int": (python2_dtype("i4"), np.array([7, 8], "<i4")),
    "big": (python2_dtype("i4", (">", *SIMPLE[1:])), np.array([7, 8], ">i4")),
    "text": (
        python2_dtype("S3", ("|", None, None, None, 3, 1, 0)),
        np.array([b"ab", b"c"], "S3"),
    ),
    "structure": (
        python2_dtype("V9", STRUCTURE),
        np.array([(1, 2), (3, 4)], [("x", "u1"), ("y", "<i8")]),
    ),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_of_python_2(name: str, encoding: str) -> None:
    dtype, expected = ARRAYS[name]
    found = read(stream(python2_array(dtype, (2,), expected.tobytes())), encoding)
    # numpy turns arrays into the order of the machine.
    assert found.dtype == expected.dtype.newbyteorder("=")
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_scalar_of_python_2(encoding: str) -> None:
    data = p.Assembled(p.SHORT_BINSTRING(struct.pack("<i", 7)))
    made = p.call("numpy.core.multiarray.scalar", python2_dtype("i4"), data)
    found = read(stream(made), encoding)
    assert (type(found), found) == (np.int32, 7)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_device_of_python_2(encoding: str) -> None:
    tree = [python2_call("torch.device", "cpu"), python2_call("torch.device", "xla", 1)]
    assert read(stream(tree), encoding) == [Device("cpu"), Device("xla", 1)]


def test_a_device_whose_name_is_no_text() -> None:
    tree = python2_call("torch.device", b"\xe9")
    with pytest.raises(Malformed, match="no device is called"):
        read(stream(tree), "bytes")


# ------------------------------------------------------------ numpy 1.16 to 1.23


def test_records_have_their_own_dtype() -> None:
    state = p.value((3, "|", None, ("a",), {"a": (dtype("i4"), 0)}, 4, 1, 16))
    kind = built(p.call("numpy.dtype", class_name("numpy.record"), False, True), state)
    value = p.call("numpy.core.multiarray.scalar", kind, struct.pack("<i", 7))
    found = read(stream(value))
    assert type(found) is np.record
    assert found.dtype == np.dtype((np.record, [("a", "<i4")]))
    assert found["a"] == 7


def dtype(code: str) -> p.Assembled:
    state = p.value((3, *SIMPLE))
    return built(p.call("numpy.dtype", code, False, True), state)


def test_a_dtype_in_the_memo_is_the_one_that_was_built() -> None:
    first = p.call("numpy.dtype", "i4", False, True) + p.BINPUT(5)
    big = built(first, p.value((3, ">", *SIMPLE[1:])))
    again = p.Assembled(p.BINGET(5))
    one, other = read(stream([big, again]))
    assert one is other
    assert one == np.dtype(">i4")


# ------------------------------------------------------------------------ torch 2.4

NESTED_TENSOR = "torch.nested._internal.nested_tensor.NestedTensor"


def jagged(state: Any, *args: Any) -> Call:
    """The class itself is called; all but two of its facts are attributes."""
    kind = Name(NESTED_TENSOR)
    return Call("torch._tensor._rebuild_from_type_v2", kind, kind, args, state)


def values() -> Call:
    return plain_tensor(checkpoints.floats(*range(6)), (3, 2))


def offsets(*numbers: int) -> Call:
    return plain_tensor(longs(*numbers), (len(numbers),))


def test_a_jagged_tensor() -> None:
    cache = {"max_seqlen": 2}
    state = {"_ragged_idx": 1, "_lengths": None, "_metadata_cache": cache, "_tag": 7}
    found = rebuilt(jagged(state, values(), offsets(0, 1, 3)))
    assert (found.type, found.layout) == (NESTED_TENSOR, "jagged")
    assert (found.shape, found.requires_grad) == ((2, -1, 2), False)
    assert found.parts["values"].numpy().tolist() == [[0, 1], [2, 3], [4, 5]]
    assert found.parts["offsets"].numpy().tolist() == [0, 1, 3]
    assert found.parts["lengths"] is None
    assert found.parts["metadata_cache"] == cache
    assert found.attributes == state


def test_a_jagged_tensor_with_holes() -> None:
    state = {"_ragged_idx": 2, "_lengths": offsets(1, 1)}
    found = rebuilt(jagged(state, values(), offsets(0, 1, 2)))
    assert (found.shape, found.parts["ragged_idx"]) == ((2, 3, -1), 2)
    assert found.parts["lengths"].numpy().tolist() == [1, 1]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (jagged({}, values()), "made of values and offsets"),
        (jagged({}, values(), offsets(0, 1, 4)), "lie outside"),
        (jagged({"_lengths": 3}, values(), offsets(0, 1, 3)), "the lengths of"),
        (jagged({"_metadata_cache": 3}, values(), offsets(0, 1, 3)), "must be a dict"),
    ],
)
def test_a_wrong_jagged_tensor(made: Call, message: str) -> None:
    with refused("Malformed", message):
        rebuilt(made)


# ----------------------------------------------------------------- torch 1.8 to 1.12


def test_an_untyped_storage_of_torch_1_12() -> None:
    value = storage("torch.storage._UntypedStorage", "0", 3, None)
    found = read(stream(value, ("0",), (3, b"abc")))
    assert (found.dtype, bytes(found.data)) == ("uint8", b"abc")


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("UninitializedParameter", {}),
        ("UninitializedBuffer", {"persistent": True, "_is_buffer": True}),
    ],
)
def test_what_a_lazy_module_has_yet_to_make(
    name: str, attributes: dict[str, bool]
) -> None:
    found = read(stream(p.call(f"torch.nn.parameter.{name}", False)))
    assert type(found) is Tensor
    assert (found.type, found.shape) == (f"torch.nn.parameter.{name}", (0,))
    assert found.attributes == attributes

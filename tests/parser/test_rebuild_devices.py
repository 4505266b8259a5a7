"""Tensors without a storage, tensors of other devices, and the small values."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from conformance.parser import Device, Layout, Size, Storage
from tests.builders.checkpoints import (
    Bytes,
    Call,
    Name,
    New,
    floats,
    legacy,
    longs,
    tensor,
    zipped,
)
from tests.builders.rebuilt import rebuilt, refused

META = "torch._utils._rebuild_meta_tensor_no_storage"
FROM_CPU = "torch._utils._rebuild_device_tensor_from_cpu_tensor"
FROM_NUMPY = (
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_xla_tensor",
    "torch._utils._rebuild_mlc_tensor",
)


def dtype(name: str) -> Name:
    return Name(f"torch.{name}")


# ------------------------------------------------------------------------- meta


@pytest.mark.parametrize(
    ("name", "size", "stride", "nbytes"),
    [
        ("float32", (2, 3), (3, 1), 24),
        ("bfloat16", (2, 3), (1, 2), 12),
        ("float64", (), (), 8),
        ("int4", [4], [1], 4),
        ("float32", (2, 3), (0, 1), 12),
        ("float32", (0, 5), (5, 1), 0),
        ("float32", (1 << 60,), (1,), 1 << 62),
    ],
)
def test_meta(name: str, size: Any, stride: Any, nbytes: int) -> None:
    read = rebuilt(Call(META, dtype(name), size, stride, False))
    assert (read.dtype, read.device, read.layout) == (name, "meta", "strided")
    assert (read.shape, read.stride) == (tuple(size), tuple(stride))
    assert (read.storage.nbytes, read.storage.location) == (nbytes, "meta")
    if nbytes:
        with refused("Uninitialised", "on 'meta' has no bytes"):
            read.numpy()


def test_meta_with_gradients() -> None:
    assert rebuilt(Call(META, dtype("float32"), (2,), (1,), True)).requires_grad
    with refused("Malformed", "int32 cannot require gradients"):
        rebuilt(Call(META, dtype("int32"), (2,), (1,), True))


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ((dtype("float32"), (2,), (1, 1), False), "of different lengths"),
        ((dtype("float32"), (-2,), (1,), False), "negative size"),
        ((dtype("float32"), (1,), (-1,), False), "negative stride"),
        ((dtype("float32"), (1 << 61,), (1,), False), "size of a storage does not fit"),
        ((dtype("float32"), (1 << 62, 4), (0, 0), False), "more elements than 64 bits"),
        ((dtype("float32"), 2, (1,), False), "the size must be a tuple"),
        ((7, (2,), (1,), False), "a dtype is expected, not int"),
        ((dtype("qint8"), (4,), (1,), False), "of qint8, which has no scale"),
        ((dtype("float32"), (2,), (1,), None), "requires_grad must be a bool"),
    ],
)
def test_wrong_meta(args: Any, match: str) -> None:
    with refused("Malformed", match):
        rebuilt(Call(META, *args))


# ---------------------------------------------------------------- other devices


@pytest.mark.parametrize("device", ["xla:0", Call("torch.device", "xla", 0)])
def test_from_a_tensor_of_the_cpu(device: Any) -> None:
    made = Call(FROM_CPU, tensor(floats(1, 2), (2,)), dtype("float32"), device, True)
    read = rebuilt(made)
    assert (read.device, read.requires_grad) == ("xla:0", True)
    assert read.numpy().tolist() == [1, 2]


def array(kind: str, data: bytes, shape: Any) -> Call:
    order = "|" if kind[1:] == "1" or kind[0] == "O" else "<"
    flags = 63 if kind[0] == "O" else 0
    state = (3, order, None, None, None, -1, -1, flags)
    spec = Call("numpy.dtype", kind, False, True, state=state)
    contents: Any = [None] * shape[0] if kind[0] == "O" else data
    return Call(
        "numpy.core.multiarray._reconstruct",
        *(Name("numpy.ndarray"), (0,), b"b"),
        state=(1, shape, spec, False, contents),
    )


@pytest.mark.parametrize("function", FROM_NUMPY)
@pytest.mark.parametrize(
    ("name", "kind", "data", "shape", "numbers"),
    [
        ("float32", "f4", struct.pack("<2f", 1, 2), (2,), [1, 2]),
        ("int64", "i8", struct.pack("<q", 7), (), 7),
        ("bool", "b1", b"\1\0", (2, 1), [[True], [False]]),
        # numpy has no bfloat16.
        ("bfloat16", "f4", struct.pack("<2f", 1, -2.5), (2,), [1, -2.5]),
        ("float32", "f4", b"", (0, 3), []),
    ],
)
def test_from_numpy(
    function: str, name: str, kind: str, data: bytes, shape: Any, numbers: Any
) -> None:
    made = Call(function, array(kind, data, shape), dtype(name), "xla:1", False)
    read = rebuilt(made, weights_only=False)
    assert (read.dtype, read.device, read.shape) == (name, "xla:1", shape)
    assert read.numpy().tolist() == numbers
    assert read.numpy().shape == shape
    assert read.storage.nbytes == len(read.tobytes())


FOUR = struct.pack("<2f", 1, 2)


@pytest.mark.parametrize(
    ("tree", "kind", "match"),
    [
        (
            Call(FROM_CPU, tensor(floats(1), (1,)), dtype("float64"), "xla:0", False),
            *("Unsupported", "a tensor of float64 kept as float32"),
        ),
        (
            Call(FROM_CPU, 7, dtype("float64"), "xla:0", False),
            *("Malformed", "must be a tensor, not int"),
        ),
        (
            Call(FROM_CPU, tensor(floats(1), (1,)), dtype("float32"), 0, False),
            *("Malformed", "a device is a name and a number, not int"),
        ),
        (
            Call(FROM_NUMPY[0], array("f4", FOUR, (2,)), dtype("float64"), "x", False),
            *("Unsupported", "a tensor of float64 kept as numpy's <f4"),
        ),
        (
            Call(FROM_NUMPY[0], array("O8", b"", (2,)), dtype("int64"), "x", False),
            *("Malformed", "kept as a numpy array, not ndarray"),
        ),
        (
            Call(FROM_NUMPY[0], [1, 2], dtype("int64"), "x", False),
            *("Malformed", "kept as a numpy array, not list"),
        ),
        # An array that BUILD has not come to yet.
        (
            Call(
                FROM_NUMPY[0],
                Call(
                    "numpy.core.multiarray._reconstruct",
                    *(Name("numpy.ndarray"), (0,), b"b"),
                ),
                *(dtype("int8"), "x", False),
            ),
            *("Malformed", "kept as a numpy array, not ndarray"),
        ),
    ],
)
def test_wrong_devices(tree: Call, kind: str, match: str) -> None:
    with refused(kind, match):
        rebuilt(tree, weights_only=False)


def test_the_same_array_again_and_again() -> None:
    one = array("f8", bytes(80_000), (10_000,))
    made = [Call(FROM_NUMPY[0], one, dtype("float64"), "x", False) for _ in range(500)]
    with refused("LimitExceeded", "copies_ratio", phase="pickle"):
        rebuilt(made, weights_only=False)


# ------------------------------------------------------------------ small values


@pytest.mark.parametrize(
    ("args", "numbers"), [((), ()), (((2, 3),), (2, 3)), (([4],), (4,)), ((((),)), ())]
)
@pytest.mark.parametrize("call", [Call, New])
def test_sizes(call: type[Call], args: Any, numbers: Any) -> None:
    read = rebuilt(call("torch.Size", *args))
    assert type(read) is Size
    assert read == numbers


@pytest.mark.parametrize("argument", [7, (1.0,), (None,), (1 << 63,), {}, (True,)])
def test_wrong_sizes(argument: Any) -> None:
    with refused("Malformed", "a Size"):
        rebuilt(Call("torch.Size", argument))


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("cpu",), "cpu"),
        (("cuda", 1), "cuda:1"),
        (("cuda:1",), "cuda:1"),
        (("cuda", -1), "cuda"),
        (("anything", 7), "anything:7"),
        ((b"cpu",), "cpu"),
        ((Call("torch.device", "xla", 3),), "xla:3"),
    ],
)
def test_devices(args: Any, text: str) -> None:
    read = rebuilt(Call("torch.device", *args))
    assert type(read) is Device
    assert str(read) == text


@pytest.mark.parametrize(
    "args",
    [
        *(("",), ("cuda:",), ("cuda:x",), ("cuda:-1",), ("cuda:1", 1), ("a b",)),
        *(("cuda", 1 << 20), ("cuda", -2), ("cuda:99999999999",), ("cuda:\u0661",)),
        *((7,), ("cuda", "1"), (None,), (Call("torch.device", "cpu"), 1)),
    ],
)
def test_wrong_devices_by_name(args: Any) -> None:
    with refused("Malformed", "device"):
        rebuilt(Call("torch.device", *args))


@pytest.mark.parametrize("name", ["strided", "sparse_coo", "sparse_bsc", "jagged"])
def test_layouts(name: str) -> None:
    read = rebuilt(Call("torch.serialization._get_layout", f"torch.{name}"))
    assert read == Layout(name)


@pytest.mark.parametrize("name", ["torch.nope", "", 7, None, ("torch.strided",)])
def test_wrong_layouts(name: Any) -> None:
    with refused("Malformed", "no layout is called"):
        rebuilt(Call("torch.serialization._get_layout", name))


@pytest.mark.parametrize(
    "name",
    [
        *("torch.storage.UntypedStorage", "torch.storage.TypedStorage"),
        "torch.UntypedStorage",
    ],
)
@pytest.mark.parametrize("args", [(), (0,), (4,), ([1],)])
def test_a_new_storage_is_filled_by_nothing(name: str, args: Any) -> None:
    with refused("Uninitialised", "a new storage, which nothing fills"):
        rebuilt(Call(name, *args), weights_only=False)


@pytest.mark.parametrize("container", [zipped, legacy])
def test_a_checkpoint_inside_a_checkpoint(container: Any) -> None:
    """What `pickle.dumps` makes of a storage: `torch.save`, in bytes."""
    inner = container([tensor(longs(1, 2), (2,)), floats(1)])
    outer = [Call("torch.storage._load_from_bytes", inner), 7]
    (numbers, storage), seven = rebuilt(outer, weights_only=False)
    assert numbers.numpy().tolist() == [1, 2]
    assert (type(storage), seven) == (Storage, 7)
    with refused("Malformed", "a checkpoint inside a checkpoint is bytes, not str"):
        rebuilt(Call("torch.storage._load_from_bytes", "x"), weights_only=False)


LISTS = ("build_boollist", "build_doublelist", "build_intlist", "build_tensorlist")


@pytest.mark.parametrize("name", LISTS)
def test_lists_that_cpp_typed(name: str) -> None:
    full = f"torch.jit._pickle.{name}"
    for value in ([1, 2], (1, 2), None):
        assert rebuilt(Call(full, value), weights_only=False) == value


def test_values_that_cpp_typed() -> None:
    full = "torch.jit._pickle.restore_type_tag"
    tree = [Call(full, {"a": 1}, "Dict[str, int]"), Bytes("FloatStorage", FOUR)]
    read, storage = rebuilt(tree, weights_only=False)
    assert read == {"a": 1}
    assert np.frombuffer(storage.data, "<f4").tolist() == [1, 2]

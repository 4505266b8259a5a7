"""What other libraries write into checkpoints, in the forms they write it."""

from __future__ import annotations

import io
from typing import Any

import pytest

from conformance.parser import CheckpointError, Global, Limits, Object, Tensor, load
from tests.builders import checkpoints, legacy, zips
from tests.builders import pickles as p
from tests.builders.checkpoints import Call, Name, New, floats, hooks, longs, tensor
from tests.builders.machine import unpickle
from tests.builders.rebuilt import rebuilt, refused

PARAMETER = "torch.nn.parameter.Parameter"


def inner(name: str, attribute: Any) -> Call:
    """How protocols below 4 spell a class inside a class."""
    return Call("__builtin__.getattr", Name(name), attribute)


# ------------------------------------------------------------ names inside names


def test_a_class_inside_a_class_is_a_name() -> None:
    # torch.relu and its like are written so as well.
    relu = inner("torch._C._VariableFunctionsClass", "relu")
    found = unpickle(checkpoints.dump(relu))
    assert found == Global("torch._C", "_VariableFunctionsClass.relu")
    assert found.module == "torch._C"


def test_both_spellings_of_a_class_inside_a_class_are_equal() -> None:
    new = p.pickle(p.BINUNICODE("a.b"), p.BINUNICODE("Outer.Inner"), p.STACK_GLOBAL)
    assert unpickle(checkpoints.dump(inner("a.b.Outer", "Inner"))) == unpickle(new)


def test_an_instance_of_a_class_inside_a_class() -> None:
    deeper = Call("__builtin__.getattr", inner("a.Outer", "Inner"), "Innermost")
    found = unpickle(checkpoints.dump(New(deeper, state={"x": 1})))
    assert (found.name, found.state) == ("a.Outer.Inner.Innermost", {"x": 1})
    assert isinstance(found.callee, Global)


def test_a_tensor_of_a_class_inside_a_class() -> None:
    found = rebuilt(
        Call(
            "torch._tensor._rebuild_from_type_v2",
            Name("torch._utils._rebuild_tensor_v2"),
            inner("a.Outer", "Inner"),
            tensor(floats(1, 2), (2,)).args,
            {"unit": "m"},
        ),
        weights_only=False,
    )
    assert (found.type, found.attributes) == ("a.Outer.Inner", {"unit": "m"})
    assert found.numpy().tolist() == [1, 2]


@pytest.mark.parametrize(
    "args",
    [
        ("text", "join"),
        (Name("a.B"), "no name"),
        (Name("a.B"), "c", None),
        (Name("a.B"), "x" * Limits().name_length),
        (Name("torch.FloatStorage"), "x"),
        (Call("a.make"), "x"),
    ],
    ids=["of text", "no name", "default", "too long", "storage", "made"],
)
def test_any_other_getattr_is_an_object(args: tuple[Any, ...]) -> None:
    found = unpickle(checkpoints.dump(Call("builtins.getattr", *args)))
    assert type(found) is Object
    assert (found.name, len(found.args)) == ("builtins.getattr", len(args))


def test_names_that_grow_are_paid_for() -> None:
    # Each adds 4,000 characters to the memory, and 13 bytes to the file.
    outer = p.GLOBAL("builtins", "getattr") + p.BINPUT(0)
    outer += p.GLOBAL("m", "n" * 4_000) + p.BINPUT(1) + p.BINUNICODE("x") + p.BINPUT(2)
    once = p.BINGET(0) + p.BINGET(1) + p.BINGET(2) + p.TUPLE2 + p.REDUCE
    with pytest.raises(CheckpointError, match="copies its own values"):
        unpickle(p.pickle(outer, p.EMPTY_LIST, p.MARK, once * 2_000, p.APPENDS))


# ------------------------------------------------------- modules made by a call


def test_the_source_of_a_module_class_that_a_file_makes() -> None:
    # cloudpickle and dill write classes, not only their names.
    made = p.call("cloudpickle.cloudpickle._make_skeleton_class", "Net")
    pid = legacy.persistent("module", made, "net.py", "class Net: ...")
    data = legacy.stream(p.Assembled(pid + p.EMPTY_TUPLE + p.NEWOBJ))
    found = load(io.BytesIO(data), weights_only=False)
    assert found.name == "cloudpickle.cloudpickle._make_skeleton_class()"
    assert isinstance(found.callee, Object)


# ------------------------------------------------------------- bitsandbytes


def one() -> Call:
    return tensor(floats(1), (1,))


def four_bit(data: Any, **state: Any) -> Call:
    """A Parameter whose state says again what it is made of."""
    return Call(
        "torch._utils._rebuild_parameter_with_state",
        *(tensor(floats(1, 2), (2,)), False, hooks()),
        {"data": data, "requires_grad": False, "blocksize": 64, **state},
    )


def test_a_parameter_whose_state_has_its_data() -> None:
    data = tensor(floats(3, 4, 5), (3,))
    found = rebuilt([four_bit(data, requires_grad=True), data])
    parameter, plain = found
    assert isinstance(parameter, Tensor)
    assert parameter.storage is plain.storage
    assert parameter.numpy().tolist() == [3, 4, 5]
    assert (parameter.type, parameter.requires_grad) == (PARAMETER, True)
    assert parameter.attributes == {"blocksize": 64}


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        (four_bit(7), "data"),
        (four_bit(tensor(longs(1), (1,))), "data"),
        (four_bit(one(), requires_grad=1), "requires_grad"),
        (four_bit(one(), grad=None), "grad"),
    ],
    ids=["int", "dtype", "requires_grad", "grad"],
)
def test_what_the_state_of_a_parameter_cannot_say(parameter: Call, name: str) -> None:
    with refused("Unsupported", f"an attribute called '{name}'"):
        rebuilt(parameter)


# --------------------------------------------------------------------- numpy


def test_a_numpy_array_of_a_dtype_that_is_an_object() -> None:
    strings = Call("numpy.dtypes.StringDType")
    array = Call(
        "numpy._core.multiarray._reconstruct",
        *(Name("numpy.ndarray"), (0,), b"b"),
        state=(1, (1,), strings, False, ["a"]),
    )
    with refused("Unsupported", "a numpy array of 'numpy.dtypes.StringDType'"):
        rebuilt(array, weights_only=False)


def test_an_npz_file_is_no_checkpoint() -> None:
    data = zips.build([zips.Entry(b"a.npy", b"\x93NUMPY")])
    with pytest.raises(CheckpointError, match=r"a \.npz file of numpy"):
        load(io.BytesIO(data))

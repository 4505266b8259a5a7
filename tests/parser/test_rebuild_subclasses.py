"""Parameters, tensors with attributes, and tensors of any other class."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

from conformance.parser import CheckpointError, Object, Trace
from conformance.parser.rebuild.views import PROPERTIES
from tests.builders import pickles as p
from tests.builders.checkpoints import Call, Name, floats, hooks, longs, tensor
from tests.builders.machine import unpickle
from tests.builders.rebuilt import rebuilt, refused

TENSOR = "torch.Tensor"
PARAMETER = "torch.nn.parameter.Parameter"
V2 = "torch._utils._rebuild_tensor_v2"
FROM_TYPE = "torch._tensor._rebuild_from_type_v2"
OLD = ("torch._tensor._rebuild_from_type", "torch.tensor._rebuild_from_type")


def two() -> Call:
    return tensor(floats(1, 2), (2,))


def parameter(data: Any, requires_grad: Any = True, *state: Any) -> Call:
    function = "_rebuild_parameter_with_state" if state else "_rebuild_parameter"
    return Call(f"torch._utils.{function}", data, requires_grad, hooks(), *state)


def typed(
    name: str, state: Any, made: Call | None = None, how: str = FROM_TYPE
) -> Call:
    """`made` (a plain tensor) as an instance of the class of that name."""
    made = two() if made is None else made
    return Call(how, made.callee, Name(name), made.args, state)


def wrapped(name: str, **other: Any) -> Call:
    """A tensor that keeps its elements in others."""
    usual = {
        "dtype": Name("torch.float32"),
        "size": (2, 3),
        "stride": (3, 1),
        "offset": 0,
        "layout": Call("torch.serialization._get_layout", "torch.strided"),
        "device": Call("torch.device", "cpu"),
        "requires_grad": False,
    }
    arguments = (usual | other).values()
    return Call("torch._utils._rebuild_wrapper_subclass", Name(name), *arguments)


# ------------------------------------------------------------------- parameters


def test_a_parameter_is_another_tensor_on_the_same_bytes() -> None:
    data = two()
    plain, read = rebuilt([data, parameter(data)])
    assert (plain.type, plain.requires_grad) == (TENSOR, False)
    assert (read.type, read.requires_grad) == (PARAMETER, True)
    assert read is not plain
    assert read.storage is plain.storage
    assert read.numpy().tolist() == [1, 2]


@pytest.mark.parametrize("inner", [True, False])
def test_the_parameter_says_whether_it_requires_gradients(inner: bool) -> None:
    data = tensor(floats(1, 2), (2,), (1,), 0, inner)
    assert not rebuilt(parameter(data, False)).requires_grad
    assert rebuilt(parameter(data, True)).requires_grad
    assert rebuilt(parameter(parameter(data, inner), True)).type == PARAMETER


def test_a_parameter_of_nothing() -> None:
    for tree in (Call(PARAMETER), parameter(None)):
        read = rebuilt(tree)
        assert (read.type, read.shape, read.requires_grad) == (PARAMETER, (0,), True)


@pytest.mark.parametrize(
    ("tree", "match"),
    [
        (parameter(7), "a Parameter's data must be a tensor, not int"),
        (parameter(two(), 1), "requires_grad must be a bool, not int"),
        (parameter(two(), None), "requires_grad must be a bool"),
        (parameter(tensor(longs(1), (1,))), "int64 cannot require gradients"),
        (parameter(two(), True, 7), "attributes must be a dict, not int"),
        (parameter(two(), True, [1]), "attributes must be a dict, not list"),
        (parameter(two(), True, ({},)), "attributes must be a dict, not tuple"),
        (parameter(two(), True, {1: 2}), "attribute's name is no string"),
        (Call("torch.autograd.Variable", 7), "a Variable's data must be a tensor"),
    ],
)
def test_wrong_parameters(tree: Call, match: str) -> None:
    with refused("Malformed", match):
        rebuilt(tree, weights_only=False)


def test_integers_that_need_no_gradients_are_parameters_too() -> None:
    assert rebuilt(parameter(tensor(longs(1), (1,)), False)).dtype == "int64"


@pytest.mark.parametrize(
    ("state", "attributes"),
    [
        (None, {}),
        ({}, {}),
        ({"a": 1}, {"a": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (({"a": 1}, {"b": 2}), {"a": 1, "b": 2}),
        ((None, {"b": 2}), {"b": 2}),
        ((None, None), {}),
    ],
)
def test_attributes(state: Any, attributes: Any) -> None:
    """A dict, nothing, or both the dict and the slots."""
    assert rebuilt(parameter(two(), True, state)).attributes == attributes
    assert rebuilt(typed(TENSOR, state)).attributes == attributes


def test_attributes_are_of_the_parameter_and_not_of_its_data() -> None:
    data = typed(TENSOR, {"a": 1})
    plain, read = rebuilt([data, parameter(data)])
    assert (plain.attributes, read.attributes) == ({"a": 1}, {})


@pytest.mark.parametrize(
    "name", ["data", "requires_grad", "shape", "__class__", "grad"]
)
def test_attributes_that_every_tensor_has(name: str) -> None:
    """torch would set them, whatever that does, or refuse to."""
    assert name in PROPERTIES
    for tree in (parameter(two(), True, {name: 1}), typed(TENSOR, (None, {name: 1}))):
        with refused("Unsupported", f"an attribute called '{name}'"):
            rebuilt(tree)
    with refused("Malformed", "a tensor's attribute is no string"):
        rebuilt(typed(TENSOR, {name.encode(): 1}))
    # What a class of the file's own makes of that name, only that class knows.
    read = rebuilt(typed("my.Sub", {name: 1}), weights_only=False)
    assert read.attributes == {name: 1}


# ------------------------------------------------------------------ other classes


@pytest.mark.parametrize("grad", [True, False])
def test_a_state_says_whether_a_subclass_requires_gradients(grad: bool) -> None:
    """To set this attribute is to change the tensor."""
    state = {"requires_grad": grad, "a": 1}
    read = rebuilt(typed("my.Sub", state), weights_only=False)
    assert (read.requires_grad, read.attributes) == (grad, {"a": 1})


def test_a_subclass() -> None:
    read = rebuilt(typed("my.Sub", {"a": [1]}), weights_only=False)
    assert (read.type, read.attributes, read.state) == ("my.Sub", {"a": [1]}, None)
    assert read.numpy().tolist() == [1, 2]
    with refused("GlobalNotAllowed", "'my.Sub'", phase="pickle"):
        rebuilt(typed("my.Sub", {"a": [1]}))


@pytest.mark.parametrize("state", [7, [1], ({"a": 1},), "x"])
def test_a_state_that_only_the_class_understands(state: Any) -> None:
    read = rebuilt(typed("my.Sub", state), weights_only=False)
    assert (read.attributes, read.state) == ({}, state)
    with refused("Malformed", "attributes must be a dict"):
        rebuilt(typed(TENSOR, state))


def test_parameters_by_their_class() -> None:
    read = rebuilt(typed(PARAMETER, {"a": 1}))
    assert (read.type, read.attributes) == (PARAMETER, {"a": 1})
    back = rebuilt(typed(TENSOR, {"a": 1}, parameter(two())))
    assert (back.type, back.requires_grad) == (TENSOR, True)


def test_a_parameter_of_a_subclass_stays_that_class() -> None:
    """torch marks it; what `detach` keeps, only a class without storage may say."""
    inner = typed("my.Sub", {"a": 1})
    read = rebuilt(parameter(inner, True, {"b": 2}), weights_only=False)
    assert (read.type, read.attributes) == ("my.Sub", {"_is_param": True, "b": 2})
    inner = typed("my.Wrap", {"a": 1}, wrapped("my.Wrap"))
    read = rebuilt(parameter(inner), weights_only=False)
    assert (read.type, read.attributes) == ("my.Wrap", {"a": 1, "_is_param": True})


@pytest.mark.parametrize("how", OLD)
def test_the_old_form(how: str) -> None:
    read = rebuilt(typed("my.Sub", {"a": 1}, how=how), weights_only=False)
    assert (read.type, read.attributes) == ("my.Sub", {"a": 1})
    # A plain tensor is left alone, as torch does.
    read = rebuilt(typed(TENSOR, {"a": 1}, how=how), weights_only=False)
    assert (read.type, read.attributes) == (TENSOR, {})
    for state in (None, ({"a": 1}, {"b": 2})):
        with refused("Malformed", "attributes must be a dict"):
            rebuilt(typed("my.Sub", state, how=how), weights_only=False)


def test_one_inside_another() -> None:
    inner = typed("my.Sub", {"a": 1})
    outer = typed("my.Sub", {"b": 2}, inner)
    read = rebuilt(outer, weights_only=False)
    assert (read.type, read.attributes) == ("my.Sub", {"a": 1, "b": 2})
    # Another class is another object, which begins without attributes.
    read = rebuilt(typed("my.Other", {"b": 2}, inner), weights_only=False)
    assert (read.type, read.attributes) == ("my.Other", {"b": 2})
    # The old form sets the whole `__dict__`.
    read = rebuilt(typed("my.Sub", {"b": 2}, inner, OLD[0]), weights_only=False)
    assert (read.type, read.attributes) == ("my.Sub", {"b": 2})


@pytest.mark.parametrize("depth", [1, 20_000])
def test_as_many_inside_each_other_as_the_file_likes(depth: int) -> None:
    stream = p.pickle(
        *(p.GLOBAL("torch._tensor", "_rebuild_from_type_v2"), p.BINPUT(0)),
        *(p.GLOBAL("torch", "Tensor"), p.BINPUT(1), p.BINGET(0)),
        *[p.MARK + p.BINGET(0) + p.BINGET(1)] * depth,
        *(p.MARK, p.GLOBAL("torch.nn.parameter", "Parameter"), p.BINGET(1)),
        *(p.EMPTY_TUPLE, p.NONE, p.TUPLE),
        *[p.NONE + p.TUPLE] * depth,
        p.REDUCE,
    )
    assert unpickle(stream).type == TENSOR


@pytest.mark.parametrize(
    ("made", "match"),
    [
        (Call("torch.Size", (1, 2)), "what 'torch.Size' makes must be a tensor"),
        (Call("torch.device", "cpu"), "must be a tensor, not Device"),
    ],
)
def test_a_class_for_what_is_no_tensor(made: Call, match: str) -> None:
    with refused("Malformed", match):
        rebuilt(typed(TENSOR, None, made))


@pytest.mark.parametrize("name", ["my.function", "torch.my.function", "builtins.list"])
def test_a_function_that_nobody_knows(name: str) -> None:
    read = rebuilt(typed("my.Sub", {"a": 1}, Call(name, 1)), weights_only=False)
    assert type(read) is Object
    assert read.name == FROM_TYPE
    assert [type(part).__name__ for part in read.args] == [
        *("Global", "Global", "tuple", "dict"),
    ]
    assert rebuilt(typed("my.Sub", {}, Call(Call("a.b"), 1)), weights_only=False).args


@pytest.mark.parametrize("args", [(), (1,), (1, 2, 3), (1, 2, 3, 4, 5)])
def test_four_arguments(args: Any) -> None:
    with refused("Malformed", "takes 4 arguments"):
        rebuilt(Call(FROM_TYPE, *args))
    with refused("Malformed", "takes 4 arguments"):
        rebuilt(Call(FROM_TYPE, Name(FROM_TYPE), Name(TENSOR), args, None))


def test_the_class_is_a_class() -> None:
    with refused("Malformed", "a class is expected, not int"):
        rebuilt(Call(FROM_TYPE, Name(V2), 7, (), None))


def test_the_function_is_a_function() -> None:
    with refused("Malformed", "a function is expected, not int"):
        rebuilt(Call(FROM_TYPE, 7, Name(TENSOR), (), None))


def test_the_function_inside_is_counted_too() -> None:
    trace = Trace()
    rebuilt(typed(TENSOR, {"a": 1}), trace=trace)
    assert trace.calls[FROM_TYPE] == trace.calls[V2] == 1


def test_a_failure_inside_says_what_failed() -> None:
    with pytest.raises(
        CheckpointError, match="need 2 elements where the storage has 1"
    ):
        rebuilt(typed(TENSOR, None, tensor(floats(1), (2,))))


# ----------------------------------------------------------- wrappers and lazy ones


def test_a_wrapper() -> None:
    parts = {"a": two(), "b": two()}
    made = typed("my.Wrap", parts, wrapped("my.Wrap", offset=7, requires_grad=True))
    read = rebuilt(made, weights_only=False)
    assert (read.type, read.dtype, read.device) == ("my.Wrap", "float32", "cpu")
    assert (read.shape, read.stride, read.storage_offset) == ((2, 3), (3, 1), 7)
    assert read.storage is None
    assert read.requires_grad
    assert read.attributes["b"].numpy().tolist() == [1, 2]
    with refused("Uninitialised", "my.Wrap' on 'cpu' holds no elements"):
        read.numpy()


def test_a_wrapper_of_any_layout_and_device() -> None:
    layout = Call("torch.serialization._get_layout", "torch.sparse_coo")
    made = wrapped("my.Wrap", layout=layout, device="cuda:1", dtype=Name("torch.int4"))
    read = rebuilt(made, weights_only=False)
    assert (read.layout, read.device, read.dtype) == ("sparse_coo", "cuda:1", "int4")


@pytest.mark.parametrize(
    ("other", "match"),
    [
        ({"stride": None}, "the stride must be a tuple of ints"),
        ({"stride": (1,)}, "a size and a stride of different lengths"),
        ({"stride": (-3, 1)}, "negative stride"),
        ({"size": (-2, 3)}, "negative size"),
        ({"size": (1 << 62, 4)}, "more elements than 64 bits can count"),
        ({"offset": -1}, "negative storage offset"),
        ({"offset": None}, "the storage offset must be an int"),
        ({"dtype": None}, "a dtype is expected"),
        ({"layout": "torch.strided"}, "a wrapper subclass needs a layout"),
        (
            {"layout": Call("torch.serialization._get_layout", "torch.sparse_csr")},
            "a wrapper subclass of layout torch.sparse_csr",
        ),
        ({"device": None}, "a device is a name and a number"),
        ({"requires_grad": None}, "requires_grad must be a bool"),
    ],
)
def test_wrong_wrappers(other: dict[str, Any], match: str) -> None:
    with refused("Malformed", match):
        rebuilt(wrapped("my.Wrap", **other), weights_only=False)


@pytest.mark.parametrize("name", [TENSOR, PARAMETER])
def test_plain_classes_wrap_nothing(name: str) -> None:
    with refused("Malformed", "wraps no other tensors"):
        rebuilt(wrapped(name))


@pytest.mark.parametrize(
    ("name", "usual", "attributes"),
    [
        ("UninitializedParameter", True, {}),
        ("UninitializedBuffer", False, {"persistent": True, "_is_buffer": True}),
    ],
)
def test_lazy_ones(name: str, usual: bool, attributes: dict[str, Any]) -> None:
    full = f"torch.nn.parameter.{name}"
    read = rebuilt(Call(full, not usual), weights_only=False)
    assert (read.type, read.shape, read.requires_grad) == (full, (0,), not usual)
    assert read.attributes == attributes
    assert rebuilt(Call(full), weights_only=False).requires_grad is usual
    with refused("Malformed", "requires_grad must be a bool"):
        rebuilt(Call(full, 1), weights_only=False)


def test_a_state_that_is_nothing_sets_no_attributes() -> None:
    made = Call("torch._utils._rebuild_parameter_with_state", tensor(floats(1), (1,)))
    made.args = (*made.args, True, None, False)
    assert rebuilt(made).attributes == {}

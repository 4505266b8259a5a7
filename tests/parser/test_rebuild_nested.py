"""Nested tensors, strided and jagged, every component inside its buffer."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from conformance.parser import Tensor
from tests.builders.checkpoints import Bytes, Call, Name, floats, legacy, longs, tensor
from tests.builders.rebuilt import rebuilt, refused

JAGGED = "torch.nested._internal.nested_tensor"
PARAMETER = "torch._utils._rebuild_parameter"


def table(rows: int, columns: int, *numbers: int) -> Call:
    return tensor(longs(*numbers), (rows, columns))


def row(*numbers: int) -> Call:
    return tensor(longs(*numbers), (len(numbers),))


def turned() -> Call:
    """A table whose columns lie one after the other."""
    return tensor(longs(2, 2, 2, 3), (2, 2), (1, 2))


def narrow(*numbers: int) -> Call:
    data = struct.pack(f"<{len(numbers)}i", *numbers)
    return tensor(Bytes("IntStorage", data), (len(numbers),))


def buffer(count: int, requires_grad: bool = False) -> Call:
    return tensor(floats(*range(count)), (count,), (1,), 0, requires_grad)


def nested(
    values: Any = None, sizes: Any = None, strides: Any = None, offsets: Any = None
) -> Call:
    """One component of 2 x 2 and one of 2 x 3, if nothing else is said."""
    return Call(
        "torch._utils._rebuild_nested_tensor",
        buffer(10) if values is None else values,
        table(2, 2, 2, 2, 2, 3) if sizes is None else sizes,
        table(2, 2, 2, 1, 3, 1) if strides is None else strides,
        row(0, 4) if offsets is None else offsets,
    )


def in_a_legacy_stream(tree: Any) -> Any:
    return rebuilt(tree, container=legacy)


# ---------------------------------------------------------------------- strided


@pytest.mark.parametrize("container", [rebuilt, in_a_legacy_stream])
def test_nested(container: Any) -> None:
    read = container(nested(buffer(10, True)))
    assert (read.layout, read.shape, read.stride) == ("nested", (2, -1, -1), None)
    assert (read.dtype, read.requires_grad, read.numel) == ("float32", True, 10)
    assert list(read.parts) == ["values", "sizes", "strides", "storage_offsets"]
    assert read.parts["values"].numpy().tolist() == list(range(10))
    assert not read.parts["values"].requires_grad
    assert read.parts["storage_offsets"].numpy().tolist() == [0, 4]
    with refused("Unsupported", "a nested tensor has no array of its own"):
        read.numpy()


def test_a_parameter_of_a_nested_tensor() -> None:
    read = rebuilt(Call(PARAMETER, nested(), True, None))
    assert (read.layout, read.requires_grad) == ("nested", True)


def test_components_without_dimensions() -> None:
    made = nested(buffer(2), table(2, 0), table(2, 0), row(0, 1))
    assert rebuilt(made).shape == (2,)


def test_components_without_elements() -> None:
    sizes, strides = table(2, 2, 0, 2, 0, 3), table(2, 2, 2, 1, 3, 1)
    assert rebuilt(nested(buffer(0), sizes, strides, row(0, 0))).shape == (2, -1, -1)


def test_no_components() -> None:
    """torch writes sizes and strides of no meaning, and cannot load them."""
    number = tensor(floats(1), ())
    read = rebuilt(nested(buffer(0), number, number, row()))
    assert (read.shape, read.layout) == ((0,), "nested")


@pytest.mark.parametrize(
    ("parts", "kind", "match"),
    [
        ({"values": buffer(9)}, "Malformed", "lies outside its buffer"),
        ({"offsets": row(0, 5)}, "Malformed", "lies outside its buffer"),
        ({"sizes": table(2, 2, 2, 2, -2, 3)}, "Malformed", "negative size -2"),
        ({"strides": table(2, 2, 2, 1, 3, -1)}, "Malformed", "negative stride -1"),
        ({"offsets": row(0, -4)}, "Malformed", "negative storage offset -4"),
        ({"offsets": row(0, 4, 5)}, "Malformed", "make no nested tensor"),
        ({"offsets": table(1, 2, 0, 4)}, "Malformed", "make no nested tensor"),
        ({"strides": table(1, 2, 2, 1)}, "Malformed", "make no nested tensor"),
        ({"sizes": row(), "strides": row()}, "Malformed", "make no nested tensor"),
        ({"sizes": turned()}, "Malformed", "must be contiguous"),
        ({"strides": turned()}, "Malformed", "must be contiguous"),
        (
            {"sizes": tensor(floats(2, 2, 2, 3), (2, 2))},
            *("Malformed", "the sizes .* must be a tensor of int64, not float32"),
        ),
        ({"strides": narrow(2, 1, 3, 1)}, "Malformed", "make no nested tensor"),
        ({"offsets": narrow(0, 4)}, "Malformed", "offsets .* of int64, not int32"),
        ({"values": 7}, "Malformed", "the buffer .* must be a tensor"),
        (
            {"sizes": [[2, 2], [2, 3]]},
            "Malformed",
            "sizes .* must be a tensor, not list",
        ),
        ({"values": nested()}, "Malformed", "the buffer .* must be strided"),
        # torch shows the whole storage, whatever the buffer is a view of.
        (
            {"values": tensor(floats(*range(12)), (10,), (1,), 2)},
            *("Malformed", "must be a whole storage"),
        ),
        (
            {"values": tensor(floats(*range(20)), (10,), (2,))},
            *("Malformed", "must be a whole storage"),
        ),
        (
            {"values": tensor(floats(*range(10)), (5, 2))},
            *("Malformed", "must be a whole storage"),
        ),
        (
            {
                "values": tensor(
                    floats(*range(10)), (10,), (1,), 0, False, {"neg": True}
                )
            },
            *("Unsupported", "the buffer .* with a conj or neg bit"),
        ),
        # As many dimensions as a single number can claim.
        (
            {
                "sizes": tensor(longs(), (0, 1 << 40), (1 << 40, 1)),
                "strides": tensor(longs(), (0, 1 << 40), (1 << 40, 1)),
                "offsets": row(),
            },
            *("LimitExceeded", "copies_ratio"),
        ),
        (
            {
                "sizes": table(40, 1, *[1] * 40),
                "strides": table(40, 1, *[1] * 40),
                "offsets": tensor(longs(0), (40,), (0,)),
            },
            *("LimitExceeded", "the same indices are looked at too often"),
        ),
    ],
)
def test_wrong_nested(parts: dict[str, Any], kind: str, match: str) -> None:
    phase = "pickle" if match == "copies_ratio" else "rebuild"
    with refused(kind, match, phase):
        rebuilt(nested(**parts))


def meta(dtype: str, *shape: int) -> Call:
    stride = (shape[-1], 1)[-len(shape) :]
    name = "torch._utils._rebuild_meta_tensor_no_storage"
    return Call(name, Name(f"torch.{dtype}"), shape, stride, False)


def test_meta_ones_have_no_numbers_to_check() -> None:
    sizes = meta("int64", 2, 2)
    read = rebuilt(nested(meta("float32", 10), sizes, sizes, meta("int64", 2)))
    assert (read.device, read.shape) == ("meta", (2, -1, -1))
    with refused("Malformed", "parts on several devices"):
        rebuilt(nested(sizes=sizes))


# ----------------------------------------------------------------------- jagged


def jagged(**kwargs: Any) -> Call:
    """Values of 3 x 2 in two runs, if nothing else is said."""
    usual = {"values": tensor(floats(*range(6)), (3, 2)), "offsets": row(0, 1, 3)}
    return Call(f"{JAGGED}._rebuild_njt", usual | kwargs)


@pytest.mark.parametrize("container", [rebuilt, in_a_legacy_stream])
def test_jagged(container: Any) -> None:
    read = container(jagged(requires_grad=True))
    assert (read.layout, read.shape, read.stride) == ("jagged", (2, -1, 2), None)
    assert read.type == f"{JAGGED}.NestedTensor"
    assert (read.dtype, read.requires_grad, read.numel) == ("float32", True, 6)
    assert read.parts["lengths"] is None
    assert (read.parts["ragged_idx"], read.parts["metadata_cache"]) == (1, {})
    with refused("Unsupported", "a jagged tensor has no array of its own"):
        read.numpy()


@pytest.mark.parametrize(
    ("kwargs", "shape"),
    [
        ({"offsets": narrow(0, 1, 3)}, (2, -1, 2)),
        ({"offsets": row(0)}, (0, -1, 2)),
        ({"offsets": row(1, 1, 2)}, (2, -1, 2)),
        ({"lengths": row(1, 1), "_ragged_idx": 1}, (2, -1, 2)),
        ({"lengths": narrow(0, 2), "_metadata_cache": None}, (2, -1, 2)),
        ({"offsets": row(0, 2), "_ragged_idx": 2}, (1, 3, -1)),
        ({"values": tensor(floats(*range(6)), (3, 2), (1, 3))}, (2, -1, 2)),
    ],
)
def test_jagged_of_many_shapes(kwargs: dict[str, Any], shape: tuple[int, ...]) -> None:
    assert rebuilt(jagged(**kwargs)).shape == shape


def test_the_parts_are_the_very_objects() -> None:
    """Unlike those of other layouts: a jagged tensor keeps them as attributes."""
    values, offsets = tensor(floats(*range(6)), (3, 2)), row(0, 1, 3)
    cache = {"max_seqlen": tensor(floats(), (2, 0))}
    made = jagged(values=values, offsets=offsets, _metadata_cache=cache)
    one, other, read, known = rebuilt([values, offsets, made, cache])
    assert read.parts["values"] is one
    assert read.parts["offsets"] is other
    assert read.parts["metadata_cache"] is known


def test_jagged_on_meta() -> None:
    offsets, values = meta("int64", 3), meta("float32", 3, 2)
    read = rebuilt(jagged(values=values, offsets=offsets))
    assert (read.device, read.shape) == ("meta", (2, -1, 2))


def test_as_torch_writes_it() -> None:
    values = tensor(floats(*range(6)), (3, 2))
    offsets = row(0, 1, 3)
    state = {"_values": values, "_offsets": offsets, "_ragged_idx": 1}
    made = jagged(values=values, offsets=offsets)
    read = rebuilt(
        Call(
            "torch._tensor._rebuild_from_type_v2",
            *(made.callee, Name(f"{JAGGED}.NestedTensor"), made.args, state),
        )
    )
    assert read.attributes["_values"] is read.parts["values"]
    assert type(read.attributes["_offsets"]) is Tensor


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"offsets": row(0, 1, 4)}, "the offsets .* lie outside its values"),
        ({"offsets": row(0, 2, 1)}, "the offsets .* lie outside its values"),
        ({"offsets": row(-1, 1, 3)}, "the offsets .* lie outside its values"),
        ({"lengths": row(1, 3)}, "a component of a jagged tensor lies outside"),
        ({"lengths": row(-1, 1)}, "a component of a jagged tensor lies outside"),
        ({"lengths": row(1)}, "do not match its offsets"),
        ({"lengths": tensor(floats(1, 1), (2,))}, "lengths .* of int64, not float32"),
        ({"lengths": 7}, "lengths .* must be a tensor, not int"),
        ({"offsets": tensor(floats(0, 1, 3), (3,))}, "offsets .* of int64"),
        ({"offsets": row()}, "make no jagged tensor"),
        ({"offsets": table(1, 3, 0, 1, 3)}, "make no jagged tensor"),
        ({"offsets": None}, "offsets .* must be a tensor, not NoneType"),
        ({"values": None}, "values .* must be a tensor, not NoneType"),
        ({"values": tensor(floats(1), ())}, "make no jagged tensor"),
        ({"values": jagged()}, "the values .* must be strided"),
        ({"_ragged_idx": 0}, "make no jagged tensor"),
        ({"_ragged_idx": 3}, "make no jagged tensor"),
        ({"_ragged_idx": None}, "the ragged dimension must be an int"),
        ({"_metadata_cache": []}, "the cache .* must be a dict, not list"),
        ({"requires_grad": 1}, "requires_grad must be a bool"),
        ({"something": 7}, "not made of these"),
    ],
)
def test_wrong_jagged(kwargs: dict[str, Any], match: str) -> None:
    with refused("Malformed", match):
        rebuilt(jagged(**kwargs))


@pytest.mark.parametrize("argument", [{}, {"values": 1}, {1: 2}, [], None])
def test_what_makes_no_jagged_tensor(argument: Any) -> None:
    with refused("Malformed", "jagged tensor"):
        rebuilt(Call(f"{JAGGED}._rebuild_njt", argument))


def test_an_attribute_hides_the_keys() -> None:
    """Python would call it, as torch does."""
    kwargs = Call("collections.OrderedDict", state={"keys": []})
    with refused("Malformed", "whose keys an attribute hides"):
        rebuilt(Call(f"{JAGGED}._rebuild_njt", kwargs))


def test_a_part_that_changes_later() -> None:
    """What was checked is what was there, not what BUILD makes of the part."""
    offsets = row(0, 1, 3)
    made = jagged(offsets=offsets)
    wide = (longs(0, 1, 2, 3), 0, (2, 2), (2, 1))
    late = Call("torch.LongTensor", state=wide)
    assert rebuilt([made, late])[0].shape == (2, -1, 2)
    offsets.state = wide
    with refused("Malformed", "make no jagged tensor"):
        rebuilt([made])


def test_the_class_of_a_jagged_tensor_takes_two() -> None:
    for args in ((), (7,)):
        with refused("Malformed", "a jagged tensor is made of values and offsets"):
            rebuilt(Call("torch.nested._internal.nested_tensor.NestedTensor", *args))

"""Python's own containers: order, types of keys, sharing, cycles."""

from __future__ import annotations

from collections import (
    Counter,
    OrderedDict,
)
from typing import Any

import torch

from .. import things
from ..registry import LEGACY, PROTOCOL_4, PROTOCOL_5, ZIP, saved

REFUSED = ("weights-only-refuses",)
ALIAS = ("alias",)
CYCLE = ("cycle",)


# ------------------------------------------------------------------------ lists


@saved("opcode:EMPTY_LIST")
def list_empty() -> object:
    """An empty list: nothing is appended to it."""
    return []


@saved("opcode:APPEND", formats=(ZIP, LEGACY))
def list_of_one() -> object:
    """A list of one item, which has an opcode of its own."""
    return [torch.arange(2.0)]


@saved("opcode:APPENDS", formats=(ZIP, PROTOCOL_4))
def list_of_two() -> object:
    """A list of two tensors."""
    return [torch.arange(2.0), torch.arange(3)]


@saved("opcode:APPENDS", flags=("many",))
def list_long() -> object:
    """A list of 1,001 integers, in two batches; the last is another one."""
    return [0] * 1000 + [1]


@saved("opcode:APPENDS", flags=ALIAS)
def list_twice() -> object:
    """One list in two places, filled before the second is met."""
    inner = [1, 2]
    return [inner, inner]


@saved("opcode:APPENDS")
def list_equal() -> object:
    """Two lists that are equal, and not one."""
    return [[1, 2], [1, 2]]


@saved("opcode:APPEND", flags=CYCLE)
def list_in_itself() -> object:
    """A list whose only item is the list."""
    tree: list[Any] = []
    tree.append(tree)
    return tree


@saved("opcode:APPENDS")
def list_deep() -> object:
    """Lists in each other, 40 deep, with a tensor inside the last."""
    tree: Any = [0, torch.arange(2.0)]
    for depth in range(1, 40):
        tree = [depth, tree]
    return tree


@saved("opcode:LONG_BINGET", flags=(*ALIAS, "many"))
def list_after_many() -> object:
    """A list that is fetched from the memo at an index above 255."""
    inner = ["shared"]
    return [*(f"key {number}" for number in range(300)), inner, inner]


# ----------------------------------------------------------------------- tuples


@saved("opcode:EMPTY_TUPLE")
def tuple_empty() -> object:
    """An empty tuple."""
    return ()


TUPLES = {
    "one": ((torch.float32,), "TUPLE1"),
    "two": ((1, "b"), "TUPLE2"),
    "three": ((1, "b", None), "TUPLE3"),
    "four": ((1, "b", None, 2.5), "TUPLE"),
}


@saved("opcode:{opcode}", each=TUPLES)
def tuple_of(value: object, opcode: str) -> object:
    """A tuple of {key} items: opcode {opcode}."""
    return value


@saved("opcode:TUPLE2")
def tuple_of_tensors() -> object:
    """A tuple of a tensor and a Parameter, as `torch.save` is often given."""
    return torch.arange(2.0), torch.nn.Parameter(torch.zeros(1))


@saved("opcode:BINGET", flags=ALIAS)
def tuple_twice() -> object:
    """One tuple in two places."""
    inner = (1, (2,))
    return [inner, inner]


@saved("opcode:POP", flags=CYCLE)
def tuple_in_itself() -> object:
    """A tuple of two that contains itself by way of a list."""
    inner: list[Any] = []
    knot = (inner, 1)
    inner.append(knot)
    return knot


@saved("opcode:POP_MARK", flags=CYCLE)
def tuple_of_four_in_itself() -> object:
    """A tuple of four that contains itself by way of a dict."""
    inner: dict[str, Any] = {}
    knot = (1, inner, 2, 3)
    inner["again"] = knot
    return knot


@saved("opcode:EMPTY_TUPLE", flags=("empty",))
def tuples_empty_of_shapes() -> object:
    """The empty tuple as a shape and a stride, and as a value."""
    return {"scalar": torch.tensor(1.5), "nothing": (), "again": ()}


# ------------------------------------------------------------------------ dicts


@saved("opcode:EMPTY_DICT", formats=(ZIP, LEGACY, PROTOCOL_5))
def dict_empty() -> object:
    """An empty dict: nothing is set in it."""
    return {}


@saved("opcode:SETITEM", formats=(ZIP, LEGACY))
def dict_of_one() -> object:
    """A dict of one entry, which has an opcode of its own."""
    return {"weight": torch.arange(2.0)}


@saved("opcode:SETITEMS", formats=(ZIP, PROTOCOL_4))
def dict_of_two() -> object:
    """A dict of two entries, not in alphabetical order."""
    return {"weight": torch.arange(2.0), "bias": torch.arange(1.0)}


@saved("opcode:SETITEMS", flags=("many",))
def dict_long() -> object:
    """A dict of 1,001 entries, in two batches."""
    return dict.fromkeys(range(1001))


KEYS: dict[str, tuple[Any, Any, str]] = {
    "int": (3, -1, "integers"),
    "float": (0.5, float("inf"), "floats"),
    "bool": (True, False, "booleans"),
    "none": (None, "None", "None, and the str 'None'"),
    "bytes": (b"w", "w", "bytes, and a str of the same letter"),
    "tuple": ((0, "w"), (), "tuples"),
    "nested_tuple": (((1, (2,)), None), ((1, (3,)), None), "tuples in tuples"),
    "complex": (1j, 2j, "complex numbers"),
    "str_empty": ("", " ", "an empty str, and a space"),
    "dots": ("a.b", "a/b", "strings with a dot and a slash"),
    "digits": ("0", 0, "the str '0', and the integer 0"),
    "large": (2**64, -(2**64), "integers that no machine holds"),
    "nan": (float("nan"), 0.0, "a NaN, which equals nothing"),
    "dtype": (torch.float32, torch.int64, "dtypes"),
    "size": (torch.Size([2]), torch.Size([]), "sizes"),
}


@saved("opcode:SETITEMS", each=KEYS)
def dict_keys(first: Any, second: Any, what: str) -> object:
    """A dict whose keys are {what}."""
    return {first: torch.arange(2.0), second: torch.arange(3.0)}


@saved("opcode:SETITEMS")
def dict_keys_mixed() -> object:
    """A dict whose keys are of six types, in an order of its own."""
    return {"b": 1, 2: 2, "a": 3, (): 4, None: 5, 1.5: 6, b"a": 7}


@saved("opcode:SETITEMS", flags=REFUSED)
def dict_keys_frozenset() -> object:
    """A dict whose keys are frozensets."""
    return {frozenset([1]): "one", frozenset(): "none"}


@saved("opcode:SETITEMS", flags=REFUSED)
def dict_keys_things() -> object:
    """A dict whose keys are a member of an enum, and a class."""
    return {things.Color.RED: 1, things.Plain: 2}


@saved("opcode:SETITEMS")
def dict_keys_tensors() -> object:
    """A dict whose keys are tensors: they hash by identity."""
    return {torch.arange(2.0): "first", torch.arange(2.0): "second"}


@saved("opcode:SETITEMS", formats=(ZIP, LEGACY), flags=ALIAS)
def dict_twice() -> object:
    """One dict of tensors under two keys, filled before the second is met."""
    inner = {"weight": torch.arange(2.0), "bias": torch.arange(1.0)}
    return {"model": inner, "ema": inner}


@saved("opcode:SETITEM", flags=ALIAS)
def dict_of_one_twice() -> object:
    """One dict of one entry in two places."""
    inner = {"weight": torch.arange(2.0)}
    return [inner, inner]


@saved("opcode:BINGET", flags=ALIAS)
def dict_twice_empty() -> object:
    """One empty dict in two places."""
    inner: dict[str, Any] = {}
    return [inner, inner]


@saved("opcode:SETITEM", flags=CYCLE)
def dict_in_itself() -> object:
    """A dict whose only value is the dict."""
    tree: dict[str, Any] = {}
    tree["self"] = tree
    return tree


@saved("opcode:SETITEMS", flags=CYCLE)
def dict_and_list_in_each_other() -> object:
    """A dict in a list in the dict, with a tensor beside."""
    tree: dict[str, Any] = {"weight": torch.arange(2.0)}
    tree["parents"] = [tree]
    return tree


@saved("opcode:SETITEMS", formats=(ZIP, LEGACY))
def dict_nested() -> object:
    """Dicts, lists and tuples in each other, with a tensor at each end."""
    return {
        "model": {"a": {"b": {"c": torch.arange(1.0)}}},
        "list": [torch.arange(2.0), (torch.arange(3.0), {"d": [torch.arange(4.0)]})],
        "step": 7,
    }


# --------------------------------------------------------- collections' mappings


@saved("collections.OrderedDict", formats=(ZIP, LEGACY, PROTOCOL_4))
def ordered_dict() -> object:
    """An OrderedDict of two tensors."""
    return OrderedDict(weight=torch.arange(2.0), bias=torch.arange(1.0))


@saved("collections.OrderedDict")
def ordered_dict_empty() -> object:
    """An empty OrderedDict."""
    return OrderedDict()


@saved("collections.OrderedDict")
def ordered_dict_moved() -> object:
    """An OrderedDict whose first key was moved to its end."""
    tree = OrderedDict(a=1, b=2, c=3)
    tree.move_to_end("a")
    return tree


@saved("build:collections.OrderedDict", formats=(ZIP, LEGACY), flags=("attributes",))
def ordered_dict_metadata() -> object:
    """An OrderedDict with the `_metadata` of a state dict, an attribute."""
    tree: Any = OrderedDict(weight=torch.arange(2.0))
    tree._metadata = OrderedDict([("", {"version": 1}), ("layer", {"version": 2})])
    return tree


@saved("build:collections.OrderedDict", flags=("attributes",))
def ordered_dict_attributes() -> object:
    """An OrderedDict with attributes: a tensor, and one named like a method."""
    tree: Any = OrderedDict(a=1)
    tree.scale = torch.arange(1.0)
    tree.keys = ["not", "a", "method"]
    return tree


@saved("build:collections.OrderedDict", flags=(*CYCLE, "attributes"))
def ordered_dict_attribute_is_itself() -> object:
    """An OrderedDict with an attribute that is the OrderedDict."""
    tree: Any = OrderedDict(a=1)
    tree.parent = tree
    return tree


@saved("collections.OrderedDict", flags=CYCLE)
def ordered_dict_in_itself() -> object:
    """An OrderedDict that contains itself."""
    tree: OrderedDict[str, Any] = OrderedDict()
    tree["self"] = tree
    return tree


@saved("collections.OrderedDict", flags=ALIAS)
def ordered_dict_twice() -> object:
    """One OrderedDict of tensors under two keys."""
    inner = OrderedDict(weight=torch.arange(2.0), bias=torch.arange(1.0))
    return {"model": inner, "ema": inner}


@saved("collections.Counter", formats=(ZIP, PROTOCOL_4))
def counter() -> object:
    """A Counter, as a scheduler with milestones has one."""
    return Counter({30: 1, 80: 2})


@saved("collections.Counter")
def counter_empty() -> object:
    """An empty Counter."""
    return Counter()


@saved("collections.Counter")
def counter_of_others() -> object:
    """A Counter whose counts are below zero, and no integers."""
    return Counter({"a": -1, "b": 0, "c": 0.5})


# ------------------------------------------------------------------------- sets


@saved("builtins.set", formats=(ZIP, LEGACY))
def set_of_integers() -> object:
    """A set of integers: protocol 2 calls `set` with a list."""
    return {1, 2, 3}


@saved("builtins.set")
def set_empty() -> object:
    """An empty set."""
    return set()


SET_MEMBERS: dict[str, tuple[Any, str]] = {
    "text": ("a", "a str"),
    "tuple": ((1, ("a", None)), "a tuple"),
    "none": (None, "None"),
    "bytes": (b"a", "bytes"),
    "large": (2**70, "an integer that no machine holds"),
}


@saved("builtins.set", each=SET_MEMBERS)
def set_of(member: Any, what: str) -> object:
    """A set of one member: {what}."""
    return {member}


@saved("builtins.set", flags=ALIAS)
def set_twice() -> object:
    """One set in two places."""
    members = {1}
    return [members, members]


@saved("opcode:ADDITEMS", formats=(PROTOCOL_4,))
def set_added() -> object:
    """A set of integers: protocol 4 adds the members to an empty set."""
    return {1, 2, 3}


@saved("opcode:ADDITEMS", formats=(PROTOCOL_4,), flags=("many",))
def set_long() -> object:
    """A set of 1,001 integers, in two batches."""
    return set(range(1001))


@saved("builtins.frozenset", flags=REFUSED)
def frozenset_of_integers() -> object:
    """A frozenset of integers: protocol 2 calls `frozenset` with a list."""
    return frozenset({1, 2})


@saved("builtins.frozenset", flags=REFUSED)
def frozenset_empty() -> object:
    """An empty frozenset."""
    return frozenset()


@saved("builtins.frozenset", flags=REFUSED)
def frozenset_nested() -> object:
    """A frozenset in a frozenset."""
    return frozenset({frozenset({1})})


@saved("opcode:FROZENSET", formats=(PROTOCOL_4,))
def frozenset_of_stack() -> object:
    """A frozenset of integers: protocol 4 makes it of what lies on the stack."""
    return frozenset({1, 2})


@saved("opcode:FROZENSET", formats=(PROTOCOL_4,), flags=(*REFUSED, "cycle"))
def frozenset_in_itself() -> object:
    """A frozenset of an object that has the frozenset as an attribute."""
    member = things.Plain()
    knot = frozenset({member})
    vars(member)["knot"] = knot
    return knot


# ------------------------------------------------------- ranges, slices and sizes


RANGES = {
    "plain": (range(5), "five numbers"),
    "empty": (range(0), "nothing"),
    "negative": (range(10, -10, -3), "numbers that fall"),
    "large": (range(2**64, 2**64 + 2), "two large numbers"),
}


@saved("builtins.range", each=RANGES, flags=REFUSED)
def range_of(value: range, what: str) -> object:
    """A range of {what}."""
    return value


SLICES = {
    "stop": (slice(3), "only an end"),
    "all": (slice(None), "neither beginning nor end"),
    "step": (slice(1, -1, 2), "beginning, end and step"),
}


@saved("builtins.slice", each=SLICES, flags=REFUSED)
def slice_with(value: slice, what: str) -> object:
    """A slice with {what}."""
    return value


SIZES = {
    "plain": ((2, 3), "two dimensions"),
    "scalar": ((), "no dimensions"),
    "large": ((2**40, 0), "more elements than memory has bytes, and none"),
}


@saved("torch.Size", each=SIZES)
def size(sizes: tuple[int, ...], what: str) -> object:
    """A `torch.Size` of {what}: no plain tuple."""
    return torch.Size(sizes)


@saved("torch.Size", formats=(LEGACY, PROTOCOL_4))
def size_beside_tuple() -> object:
    """A `torch.Size`, and the tuple that it equals."""
    return [torch.Size([2, 3]), (2, 3)]


# ------------------------------------------------------------- tuples with names


@saved(f"{things.__name__}.Pair", flags=REFUSED)
def namedtuple_of_tensors() -> object:
    """A namedtuple of two tensors: NEWOBJ of its class."""
    return things.Pair(torch.arange(2.0), torch.arange(1.0))


RETURNS = {
    "max": (lambda: torch.max(torch.arange(3.0), 0), "a maximum and its index"),
    "sort": (lambda: torch.sort(torch.tensor([2.0, 1.0])), "values and indices"),
    "slogdet": (lambda: torch.slogdet(torch.eye(2)), "a sign and a logarithm"),
}


@saved("torch.return_types.{key}", each=RETURNS, flags=REFUSED)
def returned(make: Any, what: str) -> object:
    """What `torch.{key}` returns: {what}, as a tuple with names."""
    return make()

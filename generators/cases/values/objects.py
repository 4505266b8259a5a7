"""Objects of classes: kept as what they are made of."""

from __future__ import annotations

import argparse
import builtins
import collections
import functools
import math
import types
from typing import Any, Final

import torch

from ...handmade import archive, build, call, name
from ...saving import Format, save
from .. import things
from ..registry import (
    LEGACY,
    LEGACY_4,
    PROTOCOL_4,
    PROTOCOL_5,
    ZIP,
    saved,
    written,
)

REFUSED: Final = ("weights-only-refuses",)
HERE: Final = things.__name__


# -------------------------------------------------------- attributes and slots


@saved(f"{HERE}.Plain", formats=(ZIP, LEGACY, PROTOCOL_4, PROTOCOL_5), flags=REFUSED)
def plain() -> object:
    """An object with attributes, one of them a tensor: NEWOBJ, and BUILD of a dict."""
    return things.Plain(rate=0.5, weight=torch.arange(2.0))


@saved(f"{HERE}.Plain", flags=REFUSED)
def plain_without_state() -> object:
    """An object without attributes: nothing is built."""
    return things.Plain()


@saved(f"{HERE}.Plain", flags=(*REFUSED, "cycle"))
def plain_in_itself() -> object:
    """An object that is an attribute of itself."""
    thing = things.Plain()
    vars(thing)["self"] = thing
    return thing


@saved(f"{HERE}.Plain", flags=(*REFUSED, "alias"))
def plain_twice() -> object:
    """One object in two places, and another one with the same attributes."""
    thing = things.Plain(rate=0.5)
    return [thing, thing, things.Plain(rate=0.5)]


@saved(f"build:{HERE}.Plain", flags=REFUSED)
def plain_with_odd_attributes() -> object:
    """An object whose attributes have names that no program could write."""
    return things.Plain(**{"a.b": 1, "": 2, "class": 3, "__class__x": 4})


@saved(f"{HERE}.Slots", formats=(ZIP, PROTOCOL_4), flags=REFUSED)
def slots() -> object:
    """An object of slots: its state is a pair of None and a dict."""
    return things.Slots(torch.arange(2.0))


@saved(f"{HERE}.SlotsAndDict", flags=REFUSED)
def slots_and_dict() -> object:
    """An object of slots and attributes: its state is a pair of two dicts."""
    return things.SlotsAndDict(1, rate=0.5)


STATES: dict[str, tuple[Any, str]] = {
    "int": (7, "an integer"),
    "zero": (0, "the integer 0, which is built too"),
    "false": (False, "False, which is built too"),
    "str": ("state", "a str"),
    "list": ([1, 2], "a list"),
    "tuple": ((1, 2, 3), "a tuple of three"),
    "pair": ((1, 2), "a pair that is no pair of dicts"),
    "dict_of_int": ({1: 2}, "a dict whose keys are no strings"),
    "tensor": (torch.arange(2.0), "a tensor"),
}


@saved(f"build:{HERE}.State", each=STATES, flags=REFUSED)
def state(state: Any, what: str) -> object:
    """An object whose state is {what}: what that means only its class knows."""
    return things.State(state)


@saved(f"{HERE}.State", flags=(*REFUSED, "cycle"))
def state_is_itself() -> object:
    """An object whose state is a list that contains the object."""
    thing = things.State([])
    thing.state.append(thing)
    return thing


@saved(f"{HERE}.Outer.Inner", formats=(ZIP, LEGACY, PROTOCOL_4), flags=REFUSED)
def class_inside() -> object:
    """An object of a class inside a class: protocol 2 asks `getattr` for it."""
    return things.Outer.Inner(rate=0.5)


@saved(f"{HERE}.Outer.Inner.Innermost", formats=(ZIP, PROTOCOL_4), flags=REFUSED)
def class_inside_inside() -> object:
    """An object of a class inside a class inside a class."""
    return things.Outer.Inner.Innermost()


@saved(f"{HERE}.Box", flags=REFUSED)
def generic() -> object:
    """An object of a generic class, which was asked for with a type."""
    return things.Box[int](7)


# ------------------------------------------------ how it says what it is made of


@saved(f"{HERE}.ByCall", formats=(ZIP, PROTOCOL_4), flags=REFUSED)
def by_call() -> object:
    """An object that a call of its class makes: REDUCE with two arguments."""
    return things.ByCall(torch.arange(2.0), "b")


@saved(f"{HERE}.ByCall", flags=REFUSED)
def by_call_without_arguments() -> object:
    """An object that a call of its class without arguments makes."""
    return things.ByCall()


@saved(f"{HERE}.ByCall", flags=(*REFUSED, "cycle"))
def by_call_of_itself() -> object:
    """An object made of a list that contains an object made of that list."""
    inner: list[Any] = []
    thing = things.ByCallAndState(inner)
    inner.append(things.ByCall(inner))
    return thing


@saved(f"build:{HERE}.ByCallAndState", flags=REFUSED)
def by_call_and_state() -> object:
    """An object that a call makes, and that is given a state then."""
    return things.ByCallAndState(1)


@saved(f"global:{HERE}.BY_NAME", flags=REFUSED)
def by_name() -> object:
    """An object that a module has under a name: only the name is written."""
    return things.BY_NAME


def _parts(items: list[Any], pairs: dict[Any, Any]) -> things.Parts:
    made = things.Parts()
    made.items, made.pairs = items, pairs
    return made


PARTS: dict[str, tuple[list[Any], dict[Any, Any], str, str]] = {
    "one_item": ([1], {}, "APPEND", "one item"),
    "items": ([1, 2, 3], {}, "APPENDS", "three items"),
    "one_entry": ([], {"a": 1}, "SETITEM", "one entry"),
    "entries": ([], {"a": 1, 2: "b"}, "SETITEMS", "two entries"),
    "both": ([1, 2], {"a": 1, "b": 2}, "SETITEMS", "two items and two entries"),
}


@saved("opcode:{opcode}", each=PARTS, flags=REFUSED)
def parts(items: list[Any], pairs: dict[Any, Any], opcode: str, what: str) -> object:
    """An object that is no list and no dict, to which pickle adds {what}."""
    return _parts(items, pairs)


@saved("opcode:POP", formats=(ZIP, PROTOCOL_4), flags=REFUSED)
def by_setter() -> object:
    """An object to which a function gives its state; what that returns is dropped."""
    return things.BySetter()


@saved(f"{HERE}.NewArguments", formats=(ZIP, PROTOCOL_4), flags=REFUSED)
def new_arguments() -> object:
    """An object whose `__new__` wants arguments: NEWOBJ with a tuple of them."""
    return things.NewArguments(1, torch.arange(2.0))


@saved("functools.partial", flags=REFUSED)
def new_keywords() -> object:
    """An object whose `__new__` wants a keyword: protocol 2 calls a `partial` of it."""
    return things.NewKeywords(size=7)


@saved("opcode:NEWOBJ_EX", formats=(PROTOCOL_4,), flags=REFUSED)
def new_keywords_with_opcode() -> object:
    """An object whose `__new__` wants a keyword: protocol 4 has NEWOBJ_EX."""
    return things.NewKeywords(size=7)


OLD: dict[str, tuple[Any, str]] = {
    "object": (lambda: things.Plain(rate=0.5), "an object"),
    "list": (lambda: things.List([1, 2]), "a list of another class"),
    "int": (lambda: things.Int(7), "an int of another class"),
}


@written("copyreg._reconstructor", label="native", each=OLD, flags=REFUSED)
def reconstructor(make: Any, what: str) -> bytes:
    """What protocol 1 makes of {what}: a call of `copyreg._reconstructor`."""
    return save(make(), Format(protocol=1))


@written("copyreg.__newobj__", label="built", flags=REFUSED)
def newobj_by_name() -> bytes:
    """`copyreg.__newobj__` by name, where pickle has an opcode."""
    return archive(
        build(call("copyreg.__newobj__", name(f"{HERE}.Plain")), {"rate": 0.5})
    )


@written("copyreg.__newobj_ex__", label="built", flags=REFUSED)
def newobj_ex_by_name() -> bytes:
    """`copyreg.__newobj_ex__` by name, as protocols below 2 would have it."""
    kind = name(f"{HERE}.NewKeywords")
    return archive(call("copyreg.__newobj_ex__", kind, (), {"size": 7}))


# ------------------------------------------------------- subclasses of builtins


def _with(value: Any, **attributes: Any) -> Any:
    vars(value).update(attributes)
    return value


SUBCLASSES: dict[str, tuple[Any, str]] = {
    "List": (lambda: things.List([1, torch.arange(2.0)]), "a list"),
    "Dict": (lambda: things.Dict(a=1, b=torch.arange(2.0)), "a dict"),
    "Ordered": (lambda: things.Ordered(a=1), "an OrderedDict"),
    "Tuple": (lambda: things.Tuple((1, 2)), "a tuple"),
    "Set": (lambda: things.Set({1, 2}), "a set"),
    "Int": (lambda: things.Int(7), "an int"),
    "Float": (lambda: things.Float(0.5), "a float"),
    "Str": (lambda: things.Str("text"), "a str"),
    "Bytes": (lambda: things.Bytes(b"\0\xff"), "bytes"),
    "Bytearray": (lambda: things.Bytearray(b"\0\xff"), "a bytearray"),
}


@saved(f"{HERE}.{{key}}", each=SUBCLASSES, flags=REFUSED)
def subclass_of(make: Any, what: str) -> object:
    """An object of a class made from {what}, with an attribute."""
    return _with(make(), unit="m")


@saved(f"{HERE}.List", formats=(PROTOCOL_4,), flags=REFUSED)
def subclass_without_attributes() -> object:
    """An object of a class made from a list, without attributes."""
    return things.List([1, 2])


@saved(f"{HERE}.Wrapped", flags=REFUSED)
def mapping_around_dict() -> object:
    """An object of a class made from UserDict."""
    return things.Wrapped(a=torch.arange(2.0))


@saved(f"{HERE}.WrappedList", flags=REFUSED)
def sequence_around_list() -> object:
    """An object of a class made from UserList."""
    return things.WrappedList([1, 2])


# ------------------------------------------------------------------------ records


@saved(f"{HERE}.Point", formats=(ZIP, PROTOCOL_4), flags=REFUSED)
def named_tuple() -> object:
    """A NamedTuple of a tensor and a number."""
    return things.Point(torch.arange(2.0), 1)


ENUMS: dict[str, tuple[Any, str]] = {
    "Color": (things.Color.RED, "an Enum: its class is called with the value"),
    "Level": (things.Level.HIGH, "an IntEnum"),
    "Mode": (things.Mode.READ, "a Flag"),
    "Word": (things.Word.ADAM, "an Enum of strings"),
}


@saved(f"{HERE}.{{key}}", each=ENUMS, flags=REFUSED)
def member_of(value: Any, what: str) -> object:
    """A member of {what}."""
    return value


@saved(f"{HERE}.Config", formats=(ZIP, PROTOCOL_4), flags=REFUSED)
def dataclass() -> object:
    """A dataclass of settings."""
    return things.Config(0.5, [1, 2])


@saved(f"{HERE}.Frozen", flags=REFUSED)
def dataclass_frozen() -> object:
    """A frozen dataclass: BUILD fills it all the same."""
    return things.Frozen(0.5)


@saved(f"{HERE}.FrozenSlots", flags=REFUSED)
def dataclass_frozen_slots() -> object:
    """A frozen dataclass of slots: its state is a list."""
    return things.FrozenSlots(0.5, "net")


@saved("argparse.Namespace", formats=(ZIP, LEGACY, PROTOCOL_4), flags=REFUSED)
def arguments() -> object:
    """An `argparse.Namespace`: the settings of a run, as many checkpoints have them."""
    return argparse.Namespace(lr=0.5, layers=[1, 2], device=torch.device("cpu"))


# ------------------------------------------------------------ names as values


NAMES: dict[str, tuple[Any, str, str]] = {
    "class": (things.Plain, f"{HERE}.Plain", "a class"),
    "class_of_module": (torch.nn.Linear, "torch.nn.modules.linear.Linear", "a module"),
    "class_builtin": (int, "builtins.int", "a class of Python's own"),
    "function": (things.double, f"{HERE}.double", "a function"),
    "function_builtin": (len, "builtins.len", "a function of Python's own"),
    "function_of_torch": (
        torch.nn.functional.relu,
        "torch.nn.functional.relu",
        "an activation",
    ),
    "function_of_math": (math.sqrt, "math.sqrt", "a function written in C"),
    "exception": (ValueError, "builtins.ValueError", "an exception"),
    "enum": (things.Color, f"{HERE}.Color", "an enum"),
}


@saved("global:{name}", each=NAMES, flags=REFUSED)
def named(value: object, name: str, what: str) -> object:
    """The name of {what} as a value: nothing is called."""
    return value


@saved("global:collections.OrderedDict")
def named_and_allowed() -> object:
    """OrderedDict itself as a value, which weights_only=True allows."""
    return collections.OrderedDict


@saved("global:torch.nn.modules.linear.Linear", formats=(PROTOCOL_4,), flags=REFUSED)
def named_twice() -> object:
    """One class in two places: the second is fetched from the memo."""
    return [torch.nn.Linear, torch.nn.Linear]


METHODS: dict[str, tuple[Any, str]] = {
    "of_class": (things.Outer.make, "a class method"),
    "static": (things.Outer.add, "a static method"),
    "unbound": (things.Outer.method, "a method of a class"),
    "of_object": (things.Outer().method, "a method of an object"),
    "of_type": (dict.get, "a method of a type of Python's own"),
    "of_str": ("a".upper, "a method of a str"),
    "of_torch": (torch.relu, "a function that torch keeps inside a class"),
    "of_tensor": (torch.Tensor.add, "a method of tensors"),
}


@saved("builtins.getattr", each=METHODS, flags=REFUSED)
def method(value: object, what: str) -> object:
    """As a value: {what}; protocol 2 asks `getattr` for it."""
    return value


@saved(f"global:{HERE}.Outer.add", formats=(PROTOCOL_4,), flags=REFUSED)
def method_by_dotted_name() -> object:
    """A static method: protocol 4 writes a name with a dot in it."""
    return things.Outer.add


@saved("functools.partial", formats=(ZIP, PROTOCOL_4), flags=REFUSED)
def partial() -> object:
    """A `functools.partial` of an activation, with a keyword."""
    return functools.partial(torch.nn.functional.relu, inplace=True)


# ------------------------------------------------------------------ torch's own


DEVICES = {
    "cpu": (torch.device("cpu"), "the processor"),
    "cpu_0": (torch.device("cpu", 0), "the processor, with an index"),
    "cuda": (torch.device("cuda"), "a graphics card, whichever"),
    "cuda_1": (torch.device("cuda", 1), "the second graphics card"),
    "meta": (torch.device("meta"), "no memory at all"),
    "mps": (torch.device("mps"), "the graphics part of a Mac"),
}


@saved("torch.device", each=DEVICES)
def device(value: torch.device, what: str) -> object:
    """A `torch.device`: {what}."""
    return value


@saved("torch.device", formats=(LEGACY, PROTOCOL_4, LEGACY_4))
def device_beside_text() -> object:
    """A `torch.device`, and the str that spells it."""
    return [torch.device("cuda", 1), "cuda:1"]


TORCH_NAMES: dict[str, tuple[Any, str]] = {
    "float32": (torch.float32, "a dtype"),
    "uint4": (torch.uint4, "of which no tensor can be saved"),  # type: ignore[attr-defined]
    "per_tensor_affine": (torch.per_tensor_affine, "a scheme of quantization"),
}


@saved("global:torch.{key}", each=TORCH_NAMES)
def torch_constant(value: object, what: str) -> object:
    """`torch.{key}`: {what}, alone at the root."""
    return value


@saved("torch.serialization._get_layout")
def layouts() -> object:
    """The names of two layouts: `_get_layout` is called with them."""
    return [torch.strided, torch.sparse_coo]


@saved("torch._C.Generator", flags=REFUSED)
def generator() -> object:
    """torch's random number generator: its seed, and 5 kB of state as a tensor."""
    return torch.Generator().manual_seed(7)


@saved("torch._utils._rebuild_tensor_v2", directory="objects")
def generator_state() -> object:
    """The state of a random number generator, as checkpoints keep it: bytes."""
    return {"rng": torch.Generator().manual_seed(7).get_state(), "epoch": 3}


TORCH: dict[str, tuple[Any, str, str]] = {
    "normal": (
        lambda: torch.distributions.Normal(torch.zeros(2), torch.ones(2)),
        "torch.distributions.normal.Normal",
        "a distribution",
    ),
    "tensor_dataset": (
        lambda: torch.utils.data.TensorDataset(torch.arange(2.0), torch.arange(2)),
        "torch.utils.data.dataset.TensorDataset",
        "a data set of two tensors",
    ),
    "subset": (
        lambda: torch.utils.data.Subset([5, 6, 7], [0, 2]),  # type: ignore[arg-type]
        "torch.utils.data.dataset.Subset",
        "two items of a data set",
    ),
    "packed_sequence": (
        lambda: torch.nn.utils.rnn.pack_sequence([torch.arange(2.0), torch.ones(1)]),
        "torch.nn.utils.rnn.PackedSequence",
        "sequences of two lengths, packed",
    ),
    "incompatible_keys": (
        lambda: torch.nn.Linear(1, 1).load_state_dict({}, strict=False),
        "torch.nn.modules.module._IncompatibleKeys",
        "what `load_state_dict` returns",
    ),
}


@saved("{path}", each=TORCH, flags=REFUSED)
def torch_object(make: Any, path: str, what: str) -> object:
    """An object of torch's own: {what}, `{path}`."""
    return make()


@saved("torch.fx.graph_module.reduce_graph_module", flags=REFUSED)
def graph_module() -> object:
    """A traced module: Python source that torch would compile and run."""
    return torch.fx.symbolic_trace(torch.nn.Sequential(torch.nn.Linear(1, 1)))


@saved("builtins.object", flags=REFUSED)
def bare_object() -> object:
    """An instance of `object`: nothing but its identity."""
    return builtins.object()


@saved("types.SimpleNamespace", flags=(*REFUSED, "alias"))
def shared_between_objects() -> object:
    """Two objects with one tensor and one list."""
    weight, log = torch.arange(2.0), [1]
    return [
        types.SimpleNamespace(weight=weight, log=log),
        argparse.Namespace(weight=weight, log=log),
    ]

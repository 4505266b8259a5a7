"""Values of Python's own types: what pickle wrote comes back as itself."""

from __future__ import annotations

import datetime
import math
import pathlib
import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

import pytest

from conformance.parser.errors import CheckpointError, LimitExceeded, Malformed
from conformance.parser.limits import Limits
from conformance.parser.values import Object
from tests.builders import pickles as p
from tests.builders.machine import unpickle
from tests.builders.reference import facts

UTC = datetime.timezone.utc
ZONE = datetime.timezone(datetime.timedelta(hours=-5, minutes=30), "far")


def with_attributes() -> OrderedDict[str, int]:
    ordered = OrderedDict(b=1, a=2)
    ordered._metadata = OrderedDict(version=1)  # type: ignore[attr-defined]
    return ordered


def limited() -> deque[int]:
    return deque([1, 2, 3], maxlen=3)


def with_factories() -> list[Any]:
    kinds: Any = (dict, float, int, list, set, str, tuple, OrderedDict, None)
    return [defaultdict(kind, {1: 2}) for kind in kinds]


#: Everything here comes back as itself, in every protocol.
VALUES: dict[str, Any] = {
    "none and bools": [None, True, False],
    "ellipsis": [..., NotImplemented],
    "ints": [0, -1, 255, 256, 65535, 65536, -(1 << 31), (1 << 31) - 1, 1 << 63],
    "long ints": [1 << 2039, -(1 << 2039), 1 << 2040, 1 << 9000],
    "floats": [0.0, -0.0, 1.5, -1e308, 5e-324, math.inf, -math.inf],
    "complex": [1 + 2j, complex(-0.0, math.inf)],
    "text": ["", "a", "\xe9\n\\", "\U0001f600\ud800", "x" * 256, "y" * 70_000],
    "bytes": [b"", b"a", bytes(range(256)), b"z" * 70_000],
    "bytearrays": [bytearray(), bytearray(b"a\xff"), bytearray(300)],
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), ((), ((1,),))],
    "lists": [[], [1], [[2], [3, [4]]], list(range(3000))],
    "dicts": [{}, {"a": 1}, {1: {2: {}}}, {(1, "a"): b"b"}, dict.fromkeys(range(3000))],
    "sets": [set(), {1}, {"a", None, 1.5}, set(range(2000))],
    "frozensets": [frozenset(), frozenset({1}), frozenset({frozenset({(1, 2)})})],
    "ordered": [OrderedDict(), OrderedDict(b=1, a=2), with_attributes()],
    "counters": [Counter(), Counter("hello"), Counter({(1, 2): -3})],
    "deques": [deque(), deque([1, [2]]), limited(), deque(maxlen=0)],
    "defaultdicts": with_factories(),
    "slices": [slice(1), slice(None, -1, 2), slice(None, None, None)],
    "ranges": [range(3), range(1, 10, 2), range(5, 0, -1), range(0)],
    "dates": [datetime.date(2024, 2, 29), datetime.date.min, datetime.date.max],
    "times": [
        datetime.time(1, 2, 3, 4),
        datetime.time(23, 59, tzinfo=UTC),
        datetime.time(tzinfo=ZONE),
    ],
    "datetimes": [
        datetime.datetime(2024, 2, 29, 1, 2, 3, 4),  # noqa: DTZ001
        datetime.datetime(1, 1, 1, tzinfo=UTC),
        datetime.datetime(9999, 12, 31, tzinfo=ZONE),
    ],
    "time differences": [datetime.timedelta(-1, 2, 3), datetime.timedelta.max],
    "time zones": [UTC, ZONE, datetime.timezone(datetime.timedelta(hours=1))],
    "paths": [
        pathlib.PurePosixPath("/a/b"),
        pathlib.PureWindowsPath("C:\\a"),
        pathlib.Path("a", "b"),
        pathlib.PurePosixPath(),
    ],
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", VALUES)
def test_comes_back(name: str, protocol: int) -> None:
    value = VALUES[name]
    data = pickle.dumps(value, protocol)
    expected = facts(pickle.loads(data))
    assert facts(unpickle(data)) == expected
    assert facts(unpickle(memoryview(data))) == expected


def test_nan_keeps_its_bits() -> None:
    bits = bytes.fromhex("7ff4000000abcdef")
    data = p.pickle(b"G" + bits)
    assert facts(unpickle(data)) == [("float", bits)]


def test_a_factory_that_is_no_plain_type_stays_a_name() -> None:
    counts = unpickle(p.pickle(p.call("collections.defaultdict", GETPID)))
    assert counts.default_factory.name == "os.getpid"
    with pytest.raises(TypeError, match=r"os.getpid comes from a file and is never"):
        counts["missing"]
    assert not counts


GETPID = p.Assembled(p.GLOBAL("os", "getpid"))


# ------------------------------------------------------ shared and recursive


def recursive() -> dict[str, Any]:
    listed: list[Any] = []
    listed.append(listed)
    keyed: dict[str, Any] = {}
    keyed["me"] = keyed
    inside: list[Any] = []
    pair = (inside, 1)
    inside.append(pair)
    ordered: OrderedDict[str, Any] = OrderedDict()
    ordered["me"] = ordered
    queue: deque[Any] = deque()
    queue.append(queue)
    shared = [1]
    return {
        "list": listed,
        "dict": keyed,
        "tuple in itself": pair,
        "ordered": ordered,
        "deque": queue,
        "shared": [shared, shared, (shared, [shared])],
    }


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", recursive())
def test_shared_and_recursive(name: str, protocol: int) -> None:
    data = pickle.dumps(recursive()[name], protocol)
    assert facts(unpickle(data)) == facts(pickle.loads(data))


def test_an_attribute_of_itself() -> None:
    ordered: Any = OrderedDict()
    ordered.me = ordered
    again = unpickle(pickle.dumps(ordered, 2))
    assert again.me is again


# ------------------------------------------------------------------ Python 2


def old_name(name: str, *args: Any) -> bytes:
    """As Python 2 wrote it: protocol 2 and a module that is no more."""
    return p.pickle(p.PROTO(2), p.call(name, *args))


def py2(text: bytes) -> p.Assembled:
    return p.Assembled(p.SHORT_BINSTRING(text))


PYTHON_2 = {
    "set": (old_name("__builtin__.set", [1, 2]), {1, 2}),
    "frozenset": (old_name("__builtin__.frozenset", [1]), frozenset({1})),
    "bytearray": (
        old_name("__builtin__.bytearray", "\xe9", "latin-1"),
        bytearray(b"\xe9"),
    ),
    "xrange": (old_name("__builtin__.xrange", 0, 3, 1), range(3)),
    "unicode": (old_name("__builtin__.unicode", "a"), "a"),
    "long": (old_name("__builtin__.long", 5), 5),
    "complex": (old_name("__builtin__.complex", 1.0, 2.0), 1 + 2j),
    "slice": (old_name("__builtin__.slice", None, 3, None), slice(3)),
    "counter": (old_name("collections.Counter", {"a": 2}), Counter("aa")),
    "counted": (old_name("collections.Counter", ["a", "a"]), Counter("aa")),
    "pairs": (
        old_name("collections.OrderedDict", [["b", 1], ["a", 2]]),
        OrderedDict(b=1, a=2),
    ),
    "date": (
        old_name("datetime.date", py2(b"\x07\xe8\x02\x1d")),
        datetime.date(2024, 2, 29),
    ),
    "datetime": (
        old_name("datetime.datetime", py2(b"\x07\xe8\x02\x1d\x01\x02\x03\x00\x00\x04")),
        datetime.datetime(2024, 2, 29, 1, 2, 3, 4),  # noqa: DTZ001
    ),
    "time": (
        old_name("datetime.time", py2(b"\x01\x02\x03\x00\x00\x04")),
        datetime.time(1, 2, 3, 4),
    ),
}


@pytest.mark.parametrize("name", PYTHON_2)
def test_written_by_python_2(name: str) -> None:
    data, expected = PYTHON_2[name]
    assert facts(unpickle(data, encoding="latin-1")) == facts(expected)
    assert facts(pickle.loads(data, encoding="latin-1")) == facts(expected)


# ------------------------------------------------- instances, as copyreg has them


def cls(name: str) -> p.Assembled:
    module, _, attribute = name.rpartition(".")
    return p.Assembled(p.GLOBAL(module, attribute))


def test_reconstructor() -> None:
    """Protocols 0 and 1: a class, its plain base, and what the base holds."""
    plain = "copyreg._reconstructor", cls("collections.OrderedDict")
    assert unpickle(p.pickle(p.call(*plain, cls("builtins.object"), None))) == {}
    made = unpickle(
        p.pickle(
            p.call("copy_reg._reconstructor", cls("a.B"), cls("builtins.object"), None)
        )
    )
    assert (made.name, made.args) == ("a.B", ())
    made = unpickle(
        p.pickle(
            p.call("copyreg._reconstructor", cls("a.B"), cls("builtins.dict"), {"x": 1})
        )
    )
    assert made.args == ({"x": 1},)
    with pytest.raises(Malformed, match="two classes"):
        unpickle(p.pickle(p.call("copyreg._reconstructor", 1, 2, None)))


@pytest.mark.parametrize("name", ["_reconstructor", "__newobj__", "__newobj_ex__"])
def test_functions_of_copyreg_do_not_call_each_other(name: str) -> None:
    """Or a line of them would be a recursion as deep as the file likes."""
    for other in ("__newobj__", "__newobj_ex__", "_reconstructor"):
        args: tuple[Any, ...] = cls(f"copyreg.{other}"), (), {}
        if name == "_reconstructor":
            args = cls(f"copyreg.{other}"), cls("builtins.object"), None
        with pytest.raises(Malformed, match="is no class"):
            unpickle(p.pickle(p.call(f"copyreg.{name}", *args)))
    odd = p.Assembled(p.value("copyreg") + p.value("a\nb") + p.STACK_GLOBAL)
    with pytest.raises(Malformed, match=r"'copyreg.a\\nb' is no class"):
        unpickle(p.pickle(p.call("copyreg.__newobj__", odd)))
    line = [cls("copyreg.__newobj__")] * 10_000
    with pytest.raises(Malformed, match="is no class"):
        unpickle(p.pickle(p.call("copyreg.__newobj__", *line)))


def test_newobj_by_name() -> None:
    made = unpickle(p.pickle(p.call("copyreg.__newobj__", cls("a.B"), 1)))
    assert (made.name, made.args, made.kwargs) == ("a.B", (1,), {})
    name = "copyreg.__newobj_ex__"
    made = unpickle(p.pickle(p.call(name, cls("a.B"), (1,), {"k": 2})))
    assert (made.name, made.args, made.kwargs) == ("a.B", (1,), {"k": 2})
    made = unpickle(p.pickle(p.call(name, cls("builtins.list"), ([1],), {})))
    assert made == []
    with pytest.raises(Malformed, match="needs a dict"):
        unpickle(p.pickle(p.call(name, cls("a.B"), (1,), None)))


NEW = {
    "builtins.list": [],
    "builtins.dict": {},
    "builtins.set": set(),
    "builtins.bytearray": bytearray(),
    "collections.OrderedDict": OrderedDict(),
    "collections.Counter": Counter(),
    "collections.defaultdict": defaultdict(),
    "collections.deque": deque(),
    # These are filled by `__new__`.
    "builtins.tuple": (1, 2),
    "builtins.frozenset": frozenset({1, 2}),
}


@pytest.mark.parametrize("name", NEW)
def test_newobj(name: str) -> None:
    data = p.pickle(cls(name), p.args([1, 2]), p.NEWOBJ)
    assert facts(unpickle(data)) == facts(pickle.loads(data)) == facts(NEW[name])


# --------------------------------------------- calls that no pickled value makes

INERT: list[tuple[str, tuple[Any, ...]]] = [
    ("builtins.list", ("text",)),
    ("builtins.tuple", ("text",)),
    ("builtins.set", ("text",)),
    ("builtins.frozenset", ({},)),
    ("builtins.dict", ("",)),
    ("builtins.object", ()),
    ("collections.OrderedDict", ("text",)),
    ("collections.Counter", ("text",)),
    ("collections.deque", ("text",)),
    ("collections.defaultdict", (None, "")),
    ("builtins.bytes", (5,)),
    ("builtins.bytearray", ({},)),
    ("builtins.complex", ("1+2j",)),
    ("builtins.int", ("5",)),
    ("builtins.float", ("nan",)),
    ("builtins.bool", ([],)),
    ("builtins.str", (5,)),
    ("builtins.slice", ([], 1, 2)),
    ("builtins.slice", (1 << 5000, 1, 2)),
    ("builtins.range", (1 << 5000,)),
    ("datetime.datetime", (b"1234567890", GETPID)),
    ("datetime.datetime", (2024, 1, [])),
    ("datetime.date", ([],)),
    ("datetime.time", (1, 2, GETPID)),
]


@pytest.mark.parametrize(("name", "args"), INERT, ids=str)
def test_stays_inert(name: str, args: tuple[Any, ...]) -> None:
    made = unpickle(p.pickle(p.call(name, *args)))
    assert type(made) is Object
    assert made.name == name
    assert len(made.args) == len(args)


REFUSED: list[tuple[str, tuple[Any, ...], str]] = [
    ("builtins.dict", (5,), "a int has no members"),
    ("builtins.set", (None,), "a NoneType has no members"),
    ("builtins.object", (5,), "object.. takes no arguments"),
    ("builtins.getattr", ("x",), "getattr takes a value and a name"),
    ("builtins.getattr", ("x", 5), "getattr takes a value and a name"),
    ("builtins.list", (1, 2), "takes 0 to 1 arguments, not 2"),
    ("builtins.slice", (1,), "takes 3 arguments, not 1"),
    ("builtins.set", ([[]],), "a list cannot be a key"),
    ("builtins.dict", ([1],), "made of pairs"),
    ("builtins.dict", ([(1, 2, 3)],), "made of pairs"),
    ("builtins.dict", ([({}, 1)],), "a dict cannot be a key"),
    ("collections.Counter", ([[]],), "a list cannot be a key"),
    ("collections.defaultdict", (5,), "must be callable, not int"),
    ("collections.deque", ((), -1), "must be a size"),
    ("collections.deque", ((), 1.5), "must be a size"),
    ("collections.deque", ((), 1 << 63), "must be a size"),
    ("builtins.bytes", ([256],), "ints below 256"),
    ("builtins.bytes", ([-1],), "ints below 256"),
    ("builtins.bytes", ([True],), "ints below 256"),
    ("builtins.bytearray", (-1,), "negative size"),
    ("builtins.complex", (1 << 2000, 0), "too large for a complex"),
    ("builtins.range", ("a",), "made of ints"),
    ("builtins.range", (0, 1, 0), "step 0"),
    ("_codecs.encode", (b"a", "latin1"), "needs two strings"),
    ("_codecs.encode", ("a", None), "needs two strings"),
    ("_codecs.encode", ("\xe9", "ascii"), "does not fit ascii"),
    ("_codecs.encode", ("\u20ac", "latin1"), "does not fit latin-1"),
    ("_codecs.encode", ("\ud800", "utf-8"), "does not fit utf-8"),
    ("builtins.bytes", (b"", "latin1"), "needs two strings"),
    ("datetime.date", ("\u20ac",), "no bytes"),
    ("datetime.date", (2024, 13, 1), "date refuses"),
    ("datetime.date", (1 << 80, 1, 1), "date refuses"),
    ("datetime.datetime", (b"short",), "datetime refuses"),
    ("datetime.datetime", (2024, 1, 1, 25), "datetime refuses"),
    ("datetime.time", (b"\xff" * 6,), "time refuses"),
    ("datetime.timedelta", (1 << 40,), "timedelta refuses"),
    ("datetime.timedelta", (1 << 5000,), "small numbers"),
    ("datetime.timedelta", ("1",), "small numbers"),
    ("datetime.timedelta", (math.nan,), "timedelta refuses"),
    ("datetime.timezone", (5,), "timezone refuses"),
    ("pathlib.PosixPath", ("a", 5), "made of strings"),
]


@pytest.mark.parametrize(("name", "args", "message"), REFUSED, ids=str)
def test_refused(name: str, args: tuple[Any, ...], message: str) -> None:
    with pytest.raises(Malformed, match=message) as refused:
        unpickle(p.pickle(p.NONE, p.call(name, *args)))
    assert refused.value.offset == len(p.pickle(p.call(name, *args))) - 1
    assert "\n" not in str(refused.value)


def test_numbers_as_themselves() -> None:
    """What `__reduce__` of a subclass's base gives."""
    for name, value in (
        ("builtins.int", 5),
        ("builtins.float", 1.5),
        ("builtins.bool", True),
        ("builtins.str", "a"),
        ("builtins.bytes", b"a"),
        ("builtins.complex", 5),
    ):
        kind = name.rpartition(".")[2]
        assert type(unpickle(p.pickle(p.call(name, value)))).__name__ == kind
    complicated = p.Assembled(p.call("builtins.complex", 1.0, 2.0))
    assert unpickle(p.pickle(p.call("builtins.complex", complicated))) == 1 + 2j
    assert unpickle(p.pickle(p.call("builtins.bytes", [1, 2]))) == b"\1\2"
    assert unpickle(p.pickle(p.call("builtins.bytes", bytearray(b"a")))) == b"a"
    assert unpickle(p.pickle(p.call("builtins.bytearray", True))).name
    assert unpickle(p.pickle(p.call("builtins.range", 3))) == range(3)


CODECS = "utf-16 utf-7 punycode idna hex rot13 zlib bz2 raw_unicode_escape mbcs cp037"


@pytest.mark.parametrize("codec", [*CODECS.split(), "bytes", "", "l" * 100_000])
def test_codecs_that_a_file_may_not_choose(codec: str) -> None:
    for name in ("_codecs.encode", "builtins.bytes", "builtins.bytearray"):
        with pytest.raises(CheckpointError, match="the codec") as refused:
            unpickle(p.pickle(p.call(name, "a", codec)))
        assert refused.value.kind == "Unsupported"
        assert len(str(refused.value)) < 200


@pytest.mark.parametrize("codec", ["latin1", "LATIN-1", "ascii", "utf8", "UTF-8"])
def test_codecs_that_it_may(codec: str) -> None:
    for name in ("_codecs.encode", "builtins.bytes", "builtins.bytearray"):
        data = p.pickle(p.call(name, "abc", codec))
        assert facts(unpickle(data)) == facts(pickle.loads(data))


def test_zeros_cost_what_the_file_weighs() -> None:
    """`bytearray(n)` is how protocol 2 and below spell an empty one of size n."""
    assert unpickle(p.pickle(p.call("builtins.bytearray", 10))) == bytearray(10)
    for size in (1 << 30, 1 << 100_000):
        with pytest.raises(LimitExceeded, match="more zeros than the pickle's"):
            unpickle(p.pickle(p.call("builtins.bytearray", size)))


# ------------------------------------------------------------------ BUILD


def test_build_sets_attributes() -> None:
    for name in ("collections.OrderedDict", "collections.Counter"):
        for state, expected in (
            (None, {}),
            ({}, {}),
            ({"a": 1}, {"a": 1}),
            ((None, {"a": 1}), {"a": 1}),
            (({"a": 1}, {"b": 2}), {"a": 1, "b": 2}),
        ):
            data = p.pickle(p.call(name), p.value(state), p.BUILD)
            assert unpickle(data).__dict__ == expected
            assert pickle.loads(data).__dict__ == expected


@pytest.mark.parametrize(
    ("target", "state", "message"),
    [
        (p.call("collections.OrderedDict"), 5, "is a dict, not int"),
        (p.call("collections.OrderedDict"), ({}, {}, {}), "is a dict, not tuple"),
        (p.call("collections.OrderedDict"), ({}, None), "is a dict, not tuple"),
        (p.call("collections.OrderedDict"), {1: 2}, "name is no string"),
        (p.value([]), {"a": 1}, "BUILD of a list"),
        (p.value({}), {"a": 1}, "BUILD of a dict"),
        (p.value(None), {"a": 1}, "BUILD of a NoneType"),
        (p.GLOBAL("os", "system"), {"a": 1}, "BUILD of a Global"),
    ],
)
def test_build_refused(target: bytes, state: Any, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        unpickle(p.pickle(target, p.value(state), p.BUILD))


# ------------------------------------------------------------------ copies

BIG = [0] * 5000


@pytest.mark.parametrize(
    "name",
    "list tuple set frozenset dict bytes bytearray".split(),
)
def test_copies_of_one_list_are_counted(name: str) -> None:
    """Four bytes of the file ask for a copy of all its members."""
    source: Any = [(0, 0)] * 5000 if name == "dict" else BIG
    again = cls(f"builtins.{name}") + p.BINGET(0) + p.TUPLE1 + p.REDUCE
    data = p.value(source) + p.BINPUT(0) + again * 1000
    limits = Limits(copies_base=0, copies_ratio=1)
    with pytest.raises(LimitExceeded, match=r"Limits.copies_ratio"):
        unpickle(p.pickle(data), limits=limits)


def test_copies_of_text_are_counted() -> None:
    limits = Limits(copies_base=0, copies_ratio=1)
    text = p.value("a/" * 5000) + p.BINPUT(0)
    path = cls("pathlib.PurePosixPath") + p.BINGET(0) + p.TUPLE1 + p.REDUCE
    encoded = (
        cls("_codecs.encode") + p.BINGET(0) + p.value("ascii") + p.TUPLE2 + p.REDUCE
    )
    for again in (path, encoded):
        with pytest.raises(LimitExceeded, match=r"Limits.copies_ratio"):
            unpickle(p.pickle(text, again * 1000), limits=limits)


HIDDEN = p.call("collections.OrderedDict") + p.value({"keys": 7}) + p.BUILD


def test_an_attribute_hides_the_keys() -> None:
    """`dict()` and `__dict__.update` would call it, C pickle's BUILD does not."""
    with pytest.raises(Malformed, match="whose keys an attribute hides"):
        unpickle(p.pickle(p.GLOBAL("builtins", "dict"), HIDDEN, p.TUPLE1, p.REDUCE))
    counter = p.call("collections.Counter") + p.value({"keys": 7}) + p.BUILD
    copied = p.pickle(p.GLOBAL("builtins", "dict"), counter, p.TUPLE1, p.REDUCE)
    assert unpickle(copied) == {}
    built = p.pickle(p.call("collections.OrderedDict"), HIDDEN, p.BUILD)
    assert vars(unpickle(built)) == {}
    with pytest.raises(Malformed, match="whose keys an attribute hides"):
        unpickle(built, weights_only=True)

"""Which name means what: a table, and never an import."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.parser import arrays, plain, rebuild
from conformance.parser import globals as known
from conformance.parser.errors import GlobalNotAllowed, Malformed
from conformance.parser.registry import ANY, Call, Table
from conformance.parser.trace import Trace
from conformance.parser.values import (
    Device,
    DType,
    Global,
    Inert,
    Layout,
    Object,
    QScheme,
    Size,
    TypedGlobal,
)
from tests.builders import pickles as p
from tests.builders.machine import machine, unpickle


def resolve(full: str, *, weights_only: bool) -> Any:
    module, _, name = full.rpartition(".")
    return known.resolve(module, name, weights_only=weights_only)


# ------------------------------------------------------------------ what names mean

MEANINGS: dict[str, Any] = {
    "torch.float32": DType("float32"),
    "torch.int7": DType("int7"),
    "torch.strided": Layout("strided"),
    "torch.sparse_bsc": Layout("sparse_bsc"),
    "torch.per_tensor_affine": QScheme("per_tensor_affine"),
    "builtins.Ellipsis": ...,
    "builtins.NotImplemented": NotImplemented,
    "__builtin__.Ellipsis": ...,
    "torch.float": DType("float32"),
    "torch.chalf": DType("complex32"),
}


@pytest.mark.parametrize("full", MEANINGS)
def test_constants(full: str) -> None:
    assert resolve(full, weights_only=False) == MEANINGS[full]


TYPED = {
    "torch.FloatStorage": ("storage", "float32"),
    "torch.cuda.HalfStorage": ("storage", "float16"),
    "torch.QInt8Storage": ("storage", "qint8"),
    "torch.BFloat16Tensor": ("tensor", "bfloat16"),
    "torch.cuda.BoolTensor": ("tensor", "bool"),
    "torch.sparse.DoubleTensor": ("sparse", "float64"),
    "torch.cuda.sparse.LongTensor": ("sparse", "int64"),
    "torch.storage.UntypedStorage": ("untyped", "uint8"),
}


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("full", TYPED)
def test_classes_that_name_a_dtype(full: str, weights_only: bool) -> None:
    named = resolve(full, weights_only=weights_only)
    assert type(named) is TypedGlobal
    assert (named.role, named.info.name) == TYPED[full]
    assert named.name == full


def test_a_storage_class_of_any_module() -> None:
    """torch knows these by their last name alone, except under weights_only."""
    for module in ("no.such.module", "", "os"):
        named = known.resolve(module, "FloatStorage", weights_only=False)
        assert (named.role, named.info.name) == ("storage", "float32")
        with pytest.raises(GlobalNotAllowed):
            known.resolve(module, "FloatStorage", weights_only=True)


def test_any_other_name_stays_a_name() -> None:
    for full in ("os.system", "builtins.eval", "torch.nn.Linear", "a.b.c", "x."):
        named = resolve(full, weights_only=False)
        assert type(named) is Global
        assert named.name == full
        assert repr(named) == f"Global({full!r})"
        with pytest.raises(TypeError, match="comes from a file and is never run"):
            named()


def test_a_name_without_a_module_is_another_name() -> None:
    assert known.resolve("", "builtins.set", weights_only=False).name != "builtins.set"
    made = unpickle(p.pickle(p.call(".builtins.set", [1])))
    assert type(made) is Object


def test_names_are_values() -> None:
    one, same, other = (known.resolve("a", name, weights_only=False) for name in "bbc")
    assert one == same != other
    assert len({one, same, other}) == 2
    assert one != "a.b"


def test_small_values_in_torch_s_spelling() -> None:
    for small in (DType("float32"), Layout("strided"), QScheme("per_tensor_affine")):
        assert str(small) == f"torch.{small.name}"
        assert len({small, type(small)(small.name), small.name}) == 2
    assert str(Device("cpu")) == "cpu"
    assert str(Device("cuda", 1)) == "cuda:1"
    assert repr(Size((2, 3))) == "Size([2, 3])"
    assert Size((2, 3)) == (2, 3)


def test_objects_and_their_names() -> None:
    one = Object(Global("a", "b"), (1,), {"k": 2})
    assert (one.name, one.args, one.kwargs) == ("a.b", (1,), {"k": 2})
    assert repr(one) == "Object('a.b')"
    called = Object(Object(one))
    assert called.name == "a.b()()"
    assert called.kwargs == {}
    with pytest.raises(TypeError, match=r"a\.b\(\)\(\) comes from a file"):
        called()
    with pytest.raises(NotImplementedError):
        Inert().name  # noqa: B018 - each kind has a name of its own


# ------------------------------------------------------------------ Python 2

PYTHON_2 = {
    "__builtin__.set": "builtins.set",
    "__builtin__.xrange": "builtins.range",
    "__builtin__.unicode": "builtins.str",
    "__builtin__.long": "builtins.int",
    "copy_reg._reconstructor": "copyreg._reconstructor",
    "UserDict.UserDict": "collections.UserDict",
    "itertools.izip": "builtins.zip",
    "cPickle.loads": "pickle.loads",
    "commands.getoutput": "subprocess.getoutput",
    "torch.Tensor": "torch.Tensor",
}


@pytest.mark.parametrize("old", PYTHON_2)
def test_names_of_python_2(old: str) -> None:
    module, _, name = old.rpartition(".")
    assert known.full_name(module, name) == PYTHON_2[old]


# ------------------------------------------------------------------ the allowlist


def test_what_weights_only_allows_has_a_meaning() -> None:
    """Nothing on the list comes out as an inert object."""
    for full in known.WEIGHTS_ONLY:
        named = resolve(full, weights_only=True)
        assert not isinstance(named, Object)
        if type(named) is Global and full in known.CALLS:
            assert isinstance(known.CALLS[full], Call)


NOT_ALLOWED = """
builtins.eval builtins.exec builtins.getattr builtins.__import__ builtins.open
__builtin__.eval builtins.compile builtins.bytes builtins.frozenset builtins.range
os.system posix.system nt.system sys.modules subprocess.Popen commands.getoutput
importlib.import_module pickle.loads cPickle.loads marshal.loads shutil.rmtree
torch.load torch.jit.load torch.hub.load torch.storage._load_from_bytes
torch._tensor._rebuild_from_type torch.nn.modules.linear.Linear
collections.defaultdict collections.deque datetime.datetime pathlib.PosixPath
numpy.ndarray numpy.core.multiarray._reconstruct numpy.dtype copyreg._reconstructor
torch.float torch.UntypedStorage torch.QInt8Storagex torch.Tensor.numpy
""".split()


@pytest.mark.parametrize("full", NOT_ALLOWED)
def test_not_allowed(full: str) -> None:
    module, _, name = full.rpartition(".")
    pickle = p.pickle(p.NONE, p.GLOBAL(module, name))
    with pytest.raises(GlobalNotAllowed) as refused:
        unpickle(pickle, weights_only=True)
    error = refused.value
    assert error.name == known.full_name(module, name)
    assert error.name in error.message
    assert (error.phase, error.offset, error.kind) == ("pickle", 1, "GlobalNotAllowed")
    assert unpickle(pickle, weights_only=False) is not None


def test_a_name_in_a_message_is_short_and_on_one_line() -> None:
    for name in ("a\nb", "a" * 2000, "\x1b[31mred", "caf\xe9\u2028", "\ud800"):
        for module, attribute in ((name, "x"), ("x", name)):
            with pytest.raises(GlobalNotAllowed) as refused:
                known.resolve(module, attribute, weights_only=True)
            text = str(refused.value)
            assert text.isascii()
            assert text.isprintable()
            assert len(text) < 250


def test_every_mention_is_counted() -> None:
    trace = Trace()
    named = p.GLOBAL("copy_reg", "x")
    stacked = p.value("copyreg") + p.value("x") + p.STACK_GLOBAL
    unpickle(p.pickle(named, named, stacked, p.EMPTY_TUPLE, p.REDUCE), trace=trace)
    assert trace.globals == {"copyreg.x": 3}
    assert trace.calls == {"copyreg.x": 1}
    trace = Trace()
    with pytest.raises(GlobalNotAllowed):
        unpickle(p.pickle(named), weights_only=True, trace=trace)
    assert trace.globals == {"copyreg.x": 1}


# ------------------------------------------------------------------ the tables


def test_every_function_stands_under_one_name() -> None:
    assert sum(map(len, (plain.CALLS, arrays.CALLS, rebuild.CALLS))) == len(known.CALLS)
    for name, call in {**known.CALLS, **known.NEW}.items():
        assert 0 <= call.least <= call.most
        assert name == known.full_name(*name.rsplit(".", 1))


def test_table() -> None:
    table = Table()

    @table.named("a.fixed", "b.fixed")
    def fixed(machine: Any, one: Any, two: Any = 2) -> Any:
        return one, two

    @table.named("a.open")
    def opened(machine: Any, one: Any, *rest: Any) -> Any:
        return one, rest

    @table.named("a.none")
    def none(machine: Any) -> Any:
        return "none"

    assert set(table) == {"a.fixed", "b.fixed", "a.open", "a.none"}
    assert table["a.fixed"] == Call(fixed, 1, 2) == table["b.fixed"]
    assert table["a.open"] == Call(opened, 1, ANY)
    reader = machine(b"")
    assert table["a.fixed"]("a.fixed", reader, (1,)) == (1, 2)
    assert table["a.open"]("a.open", reader, (1, 2, 3)) == (1, (2, 3))
    for name, args, message in (
        ("a.fixed", (), "a.fixed takes 1 to 2 arguments, not 0"),
        ("a.fixed", (1, 2, 3), "a.fixed takes 1 to 2 arguments, not 3"),
        ("a.open", (), "a.open takes at least 1 argument, not 0"),
        ("a.none", (1,), "a.none takes 0 arguments, not 1"),
    ):
        with pytest.raises(Malformed, match=message) as refused:
            table[name](name, reader, args)
        assert refused.value.phase == "rebuild"
    assert table["a.none"]("a.none", reader, ()) == "none"
    table["a.one"] = Call(none, 1, 1)
    with pytest.raises(Malformed, match=r"takes 1 argument, not 0"):
        table["a.one"]("a.one", reader, ())

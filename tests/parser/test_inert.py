"""Nothing that a pickle names is imported, looked up or called."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from conformance.parser.errors import CheckpointError, GlobalNotAllowed
from conformance.parser.globals import full_name
from conformance.parser.values import Global, Object
from tests.builders import pickles as p
from tests.builders.machine import unpickle

#: What an exploit would call, and with what.
EXPLOITS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("os", "system", ("touch pwned",)),
    ("posix", "system", ("touch pwned",)),
    ("nt", "system", ("touch pwned",)),
    ("builtins", "eval", ("open('pwned', 'w')",)),
    ("builtins", "exec", ("open('pwned', 'w')",)),
    ("__builtin__", "eval", ("open('pwned', 'w')",)),
    ("builtins", "setattr", ("", "join", 1)),
    ("builtins", "__import__", ("antigravity",)),
    ("builtins", "open", ("pwned", "w")),
    ("importlib", "import_module", ("antigravity",)),
    ("subprocess", "Popen", (["touch", "pwned"],)),
    ("commands", "getoutput", ("touch pwned",)),
    ("pkgutil", "resolve_name", ("os:system",)),
    ("operator", "attrgetter", ("__class__",)),
    ("functools", "partial", (1,)),
    ("pickle", "loads", (b"cos\nsystem\n.",)),
    ("_io", "open_code", ("pwned",)),
    ("shutil", "rmtree", ("pwned",)),
    ("torch", "load", ("pwned",)),
    ("torch.jit", "load", ("pwned",)),
    ("torch.fx.graph_module", "reduce_graph_module", ({}, "import antigravity")),
    ("no.such.module", "anything", ()),
    # Dotted, which pickle reads since protocol 4.
    ("os", "path.os.system", ("touch pwned",)),
    ("collections", "OrderedDict.__class__", ()),
    ("torch", "Tensor.__init__.__globals__", ()),
    (".", "os.system", ("touch pwned",)),
    ("os.system", ".", ("touch pwned",)),
]


def spellings(module: str, name: str, args: tuple[Any, ...]) -> dict[str, bytes]:
    """Every way in which a pickle can ask for a call."""
    named = p.GLOBAL(module, name)
    stacked = p.value(module) + p.value(name) + p.STACK_GLOBAL
    values = b"".join(map(p.value, args))
    kwargs = p.value({"shell": True})
    return {
        "GLOBAL REDUCE": named + p.args(*args) + p.REDUCE,
        "STACK_GLOBAL REDUCE": stacked + p.args(*args) + p.REDUCE,
        "INST": p.MARK + values + p.INST(module, name),
        "OBJ": p.MARK + named + values + p.OBJ,
        "NEWOBJ": named + p.args(*args) + p.NEWOBJ,
        "NEWOBJ_EX": named + p.args(*args) + kwargs + p.NEWOBJ_EX,
        "EMPTY NEWOBJ_EX": named + p.args(*args) + p.EMPTY_DICT + p.NEWOBJ_EX,
        "BUILD": named + p.args(*args) + p.REDUCE + kwargs + p.BUILD,
        "__newobj__": p.call("copyreg.__newobj__", p.Assembled(named), *args),
        "__newobj_ex__": p.call("copyreg.__newobj_ex__", p.Assembled(named), args, {}),
        "_reconstructor": p.call(
            "copyreg._reconstructor",
            p.Assembled(named),
            p.Assembled(p.GLOBAL("builtins", "object")),
            None,
        ),
        "a call's call": named + p.args(*args) + p.REDUCE + p.args(1) + p.REDUCE,
        "default_factory": p.call("collections.defaultdict", p.Assembled(named)),
        "memo": named + p.BINPUT(0) + p.POP + p.BINGET(0) + p.args(*args) + p.REDUCE,
    }


@pytest.mark.parametrize(
    ("module", "name", "args"), EXPLOITS, ids=[f"{e[0]}-{e[1]}" for e in EXPLOITS]
)
def test_stays_inert(module: str, name: str, args: tuple[Any, ...]) -> None:
    for spelling, stream in spellings(module, name, args).items():
        data = p.pickle(stream)
        made = unpickle(data)
        full = full_name(module, name)
        if spelling == "default_factory":
            assert made.default_factory == Global(*_split(full))
            with pytest.raises(TypeError):
                made["missing"]
            continue
        assert type(made) is Object
        assert made.name.removesuffix("()") == full
        with pytest.raises(TypeError, match="is never run"):
            made()
        with pytest.raises(CheckpointError) as refused:
            unpickle(data, weights_only=True)
        # Whichever name comes first; none of these is on the allowlist.
        assert refused.value.kind == "GlobalNotAllowed"
        assert "\n" not in str(refused.value)


def _split(full: str) -> tuple[str, str]:
    module, _, name = full.rpartition(".")
    return module, name


def test_what_stays_inert_is_not_lost() -> None:
    made = unpickle(p.pickle(spellings("os", "system", ("ls",))["NEWOBJ_EX"]))
    assert (made.args, made.kwargs) == (("ls",), {"shell": True})
    made = unpickle(p.pickle(spellings("os", "system", ("ls",))["a call's call"]))
    assert (made.name, made.args, made.callee.args) == ("os.system()", (1,), ("ls",))


def test_attributes_are_no_way_in() -> None:
    """BUILD writes into `__dict__` of an OrderedDict, and that is where it ends."""
    state = {"__class__": 1, "items": 2, "__reduce__": 3, "__dict__": 4}
    made = unpickle(
        p.pickle(p.call("collections.OrderedDict"), p.value(state), p.BUILD)
    )
    assert type(made) is not int
    assert vars(made) == state
    assert dict(made) == {}


def test_extensions_are_not_looked_up() -> None:
    import copyreg

    copyreg.add_extension("os", "system", 7)
    try:
        for opcode in (p.EXT1(7), p.EXT2(7), p.EXT4(7)):
            for weights_only in (True, False):
                with pytest.raises(CheckpointError, match="extension code 7"):
                    unpickle(p.pickle(opcode), weights_only=weights_only)
    finally:
        copyreg.remove_extension("os", "system", 7)


def test_names_of_extensions_do_not_reach_python() -> None:
    for weights_only in (True, False):
        data = p.pickle(p.call("copyreg.add_extension", "os", "system", 7))
        if weights_only:
            with pytest.raises(GlobalNotAllowed):
                unpickle(data, weights_only=True)
        else:
            assert type(unpickle(data)) is Object


# ------------------------------------------------------------- seen from outside

WATCH = """
import pickle, sys, datetime, pathlib
from collections import Counter, OrderedDict, defaultdict, deque

import numpy as np

from conformance.parser.errors import CheckpointError
from tests.builders.machine import unpickle
from tests.parser.test_inert import EXPLOITS, spellings
from tests.parser.test_unpickler import STREAMS

pickles = [
    stream + b"."
    for exploit in EXPLOITS
    for stream in spellings(*exploit).values()
]
pickles += [stream + b"." for streams in STREAMS.values() for stream in streams]
values = [
    Counter("a"), OrderedDict(a=1), defaultdict(list), deque([1]), {1}, b"x" * 300,
    datetime.datetime(2024, 1, 1), datetime.timezone.utc, pathlib.Path("a"), 1j,
    slice(1), range(3), ..., np.arange(3), np.float64(1), np.array(["a"]),
    np.array(["2020"], dtype="M8[D]"), np.zeros(2, dtype=[("a", ">i4")]),
]
pickles += [pickle.dumps(value, n) for value in values for n in range(6)]
events = []
watching = False

def hook(event, args):
    if watching and event != "builtins.id":  # ours, of containers
        events.append((event, repr(args)[:200]))

sys.addaudithook(hook)
loaded = set(sys.modules)
read = 0
for weights_only in (False, True):
    for data in pickles:
        watching = True
        try:
            unpickle(data, weights_only=weights_only, encoding="latin-1")
            read += 1
        except CheckpointError:
            pass
        finally:
            watching = False
print(read, sorted(set(sys.modules) - loaded), sorted(set(events)))
"""


def test_no_event_that_python_audits(tmp_path: Any) -> None:
    """No import, open, exec, compile, attribute of a code object, or process."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, os.getcwd()])},
    )
    assert done.returncode == 0, done.stderr
    read, modules, events = done.stdout.split(" ", 2)
    assert int(read) > 400
    assert modules == "[]"
    assert events == "[]\n"
    assert list(tmp_path.iterdir()) == []

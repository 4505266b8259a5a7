"""Globals that weights_only=True does not allow, in every spelling.

What they name is harmless: it would show that it was run, and no more.
"""

from __future__ import annotations

import pickle
from typing import Any, Final

from ...handmade import (
    Piece,
    archive,
    build,
    call,
    dump,
    floats,
    legacy,
    name,
    new,
    storage,
    tensor,
    value,
)
from ..registry import written
from .streams import HOOKS, counted, reduce, stack_global, stream

FORBIDDEN: Final[dict[str, Any]] = {
    "label": "built",
    "verdict": "either",
    "reason": "weights_only=True refuses what it names; a reader that loads the file "
    "keeps it as a name, and runs nothing",
    "flags": ("forbidden-global", "weights-only-refuses"),
}
ONE: Final = {"0": floats(1.0)}

# ------------------------------------------------------------------- every opcode

GETCWD: Final = name("os.getcwd")
OPCODES = {
    "global": ("GLOBAL", "global:os.getcwd", GETCWD),
    "stack_global": (
        "STACK_GLOBAL", "global:os.getcwd", stack_global("os", "getcwd"),
    ),
    "stack_global_of_unicode": (
        "STACK_GLOBAL of UNICODE", "global:os.getcwd", b"Vo\\u0073\nVgetcwd\n\x93",
    ),
    "stack_global_of_string": (
        "STACK_GLOBAL of STRING", "global:os.getcwd", b"S'o\\x73'\nS'getcwd'\n\x93",
    ),
    "stack_global_of_memo": (
        "STACK_GLOBAL of the memo", "global:os.getcwd",
        b"X\6\0\0\0getcwdq\x000X\2\0\0\0osh\0\x93",
    ),
    "reduce": ("REDUCE", "os.getcwd", call("os.getcwd")),
    "inst": ("INST", "os.getcwd", b"(ios\ngetcwd\n"),
    "obj": ("OBJ", "os.getcwd", b"(" + GETCWD + pickle.OBJ),
    "newobj": ("NEWOBJ", "builtins.print", new("builtins.print", "run")),
    "newobj_ex": (
        "NEWOBJ_EX", "builtins.print",
        name("builtins.print") + value(("run",)) + value({"end": ""}) + b"\x92",
    ),
    "build": (
        "BUILD", "build:uuid.UUID", build(new("uuid.UUID"), {"__class__": GETCWD}),
    ),
    "build_slots": (
        "BUILD with slots", "build:uuid.UUID",
        build(new("uuid.UUID"), (None, {"int": GETCWD})),
    ),
    "popped": ("REDUCE and POP", "os.getcwd", call("os.getcwd") + b"0N"),
}  # fmt: skip


@written("{path}", each=OPCODES, **FORBIDDEN)
def by(opcode: str, path: str, program: bytes) -> bytes:
    """A forbidden function by {opcode}."""
    return stream(program)


# ------------------------------------------------------------------- every module

NAMES = {
    "os": "os.getcwd",
    "posix": "posix.getpid",
    "nt": "nt.getpid",
    "sys": "sys.getrefcount",
    "builtins": "builtins.print",
    "builtins_exec": "builtins.exec",
    "builtins_eval": "builtins.eval",
    "builtins_import": "builtins.__import__",
    "builtins_type": "builtins.type",
    "builtins_object": "builtins.object",
    "subprocess": "subprocess.Popen",
    "socket": "socket.gethostname",
    "importlib": "importlib.import_module",
    "operator": "operator.attrgetter",
    "pkgutil": "pkgutil.resolve_name",
    "functools": "functools.partial",
    "types": "types.FunctionType",
    "runpy": "runpy.run_path",
    "pickle": "pickle.loads",
    "codecs_decode": "_codecs.decode",
    "copyreg": "copyreg.add_extension",
    "torch_load": "torch.load",
    "torch_serialization_load": "torch.serialization.load",
    "torch_jit_load": "torch.jit.load",
    "torch_hub": "torch.hub.load",
    "torch_dynamo": "torch._dynamo.optimize",
    "torch_inductor": "torch._inductor.codecache.PyCodeCache",
    "torch_fx": "torch.fx.graph_module.reduce_graph_module",
    "torch_safe_globals": "torch.serialization.add_safe_globals",
    "torch_distributed": "torch.distributed.rpc.rpc_sync",
    "torch_storage": "torch.storage._load_from_bytes",
    "numpy_load": "numpy.load",
    "numpy_array": "numpy.ndarray",
    "linear": "torch.nn.modules.linear.Linear",
    "unknown": "no.such.module.attribute",
}


@written(
    "global:{full}", each={key: (full,) for key, full in NAMES.items()}, **FORBIDDEN
)
def name_of(full: str) -> bytes:
    """A value among weights that is nothing but the name {full}."""
    return archive({"weight": _weight(), "more": name(full)}, ONE)


def _weight() -> Piece:
    return tensor(storage("FloatStorage", 1), (1,))


PYTHON_2 = {
    "builtin": ("__builtin__.apply", "builtins.apply"),
    "builtin_long": ("__builtin__.long", "builtins.int"),
    "builtin_reduce": ("__builtin__.reduce", "functools.reduce"),
    "copy_reg": ("copy_reg._reconstructor", "copyreg._reconstructor"),
    "exceptions": ("exceptions.SystemExit", "builtins.SystemExit"),
    "commands": ("commands.getoutput", "subprocess.getoutput"),
    "cpickle": ("cPickle.loads", "pickle.loads"),
    "urllib2": ("urllib2.urlopen", "urllib.request.urlopen"),
}


@written("global:{now}", each=PYTHON_2, **FORBIDDEN)
def python_2_name(then: str, now: str) -> bytes:
    """{then}, as Python 2 calls what is now {now}."""
    return archive([name(then)])


# --------------------------------------------------------------- names of any kind

SPELLINGS = {
    "attribute_of_allowed": ("collections", "OrderedDict.fromkeys"),
    "globals_of_allowed": ("torch._utils", "_rebuild_tensor_v2.__globals__"),
    "class_of_allowed": ("collections", "OrderedDict.__class__"),
    "subclasses": ("builtins", "object.__subclasses__"),
    "module_in_name": ("torch", "serialization.os.getcwd"),
    "module_of_module": ("torch.serialization.os", "getcwd"),
    "name_empty": ("os", ""),
    "space": ("collections", "OrderedDict "),
    "carriage_return": ("collections\r", "OrderedDict"),
    "newline": ("collections", "OrderedDict\nos"),
    "nul": ("collections", "OrderedDict\0"),
    "lookalike": ("collections", "\u041erderedDict"),
    "lookalike_fullwidth": ("collections", "\uff2frderedDict"),
    "capitals": ("Collections", "OrderedDict"),
    "escape": ("collections", "\x1b[2JOrderedDict"),
    "right_to_left": ("collections", "\u202eOrderedDict"),
    "surrogate": ("collections", "\ud800OrderedDict"),
    "dots": ("..", "OrderedDict"),
    "slash": ("torch/_utils", "_rebuild_tensor_v2"),
    "long": ("a" * 2000, "b" * 2000),
}


@written("container:zip", each=SPELLINGS, **FORBIDDEN)
def spelling(module: str, attribute: str) -> bytes:
    """STACK_GLOBAL of the module {module!r:.40} and the name {attribute!r:.40}."""
    parts = (
        counted(pickle.BINUNICODE, text.encode("utf-8", "surrogatepass"))
        for text in (module, attribute)
    )
    return stream(*parts, pickle.STACK_GLOBAL)


LINES = {
    "carriage_return": (b"collections\r\nOrderedDict\r\n", "lines that end as in DOS"),
    "space": (b"collections \nOrderedDict\n", "a space before the newline"),
    "dotted": (b"collections\nOrderedDict.fromkeys\n", "a dot in the name"),
}


@written("opcode:GLOBAL", each=LINES, **FORBIDDEN)
def lines(text: bytes, what: str) -> bytes:
    """GLOBAL with {what}."""
    return stream(pickle.GLOBAL, text)


# -------------------------------------------------------------------- every place

GETATTR: Final = call("builtins.getattr", name("torch.serialization"), "os")
CHAINS = {
    "getattr": (
        "builtins.getattr",
        reduce(call("builtins.getattr", GETATTR, "getcwd")),
    ),
    "getattr_of_allowed": (
        "builtins.getattr",
        call("builtins.getattr", name("collections.OrderedDict"), "fromkeys"),
    ),
    "import_module": (
        "importlib.import_module",
        call("builtins.getattr", call("importlib.import_module", "os"), "getcwd"),
    ),
    "attrgetter": (
        "operator.attrgetter",
        reduce(call("operator.attrgetter", "os.getcwd"), name("torch.serialization")),
    ),
    "methodcaller": (
        "operator.methodcaller",
        reduce(
            call("operator.methodcaller", "getcwd"), call("builtins.__import__", "os")
        ),
    ),
    "resolve_name": (
        "pkgutil.resolve_name",
        reduce(call("pkgutil.resolve_name", "os:getcwd")),
    ),
    "partial": ("functools.partial", reduce(call("functools.partial", GETCWD))),
    "copyreg": (
        "copyreg._reconstructor",
        call("copyreg._reconstructor", GETCWD, name("builtins.object"), None),
    ),
    "newobj_of_copyreg": (
        "copyreg.__newobj__",
        call("copyreg.__newobj__", name("builtins.print"), "run"),
    ),
    "print_of_print": (
        "builtins.print",
        call("builtins.print", call("builtins.print", "run")),
    ),
    "load_from_bytes": (
        "torch.storage._load_from_bytes",
        call(
            "torch.storage._load_from_bytes",
            Piece(counted(pickle.SHORT_BINBYTES, legacy(call("os.getcwd")))),
        ),
    ),
    "pickle_loads": (
        "pickle.loads",
        call(
            "pickle.loads",
            Piece(counted(pickle.SHORT_BINBYTES, dump(call("os.getcwd")))),
        ),
    ),
}


@written("{path}", each=CHAINS, **FORBIDDEN)
def chain(path: str, program: Piece) -> bytes:
    """A forbidden function, reached by {path}."""
    return archive([program])


V2: Final = "torch._utils._rebuild_tensor_v2"
FROM_TYPE: Final = "torch._tensor._rebuild_from_type_v2"
ARGUMENTS: Final = (storage("FloatStorage", 1), 0, (1,), (1,), False, HOOKS)
PLACES = {
    "key": ("os.getcwd", {call("os.getcwd"): 1}, "the key of a dict"),
    "hook": (
        "os.getcwd",
        call(V2, *ARGUMENTS[:5], call("os.getcwd")),
        "the hooks of a tensor",
    ),
    "item": (
        "os.getcwd",
        [call("os.getcwd"), _weight()],
        "an item of a list before a tensor",
    ),
    "from_type": (
        FROM_TYPE,
        call(FROM_TYPE, GETCWD, name("uuid.UUID"), (), {}),
        "the function that makes a tensor",
    ),
    "type": (
        FROM_TYPE,
        call(FROM_TYPE, name(V2), GETCWD, ARGUMENTS, {}),
        "the class of a tensor",
    ),
    "attribute": (
        FROM_TYPE,
        call(
            FROM_TYPE, name(V2), name("torch.Tensor"),
            ARGUMENTS, {"note": call("os.getcwd")},
        ),
        "an attribute of a tensor",
    ),
    "factory": (
        "collections.defaultdict",
        call("collections.defaultdict", GETCWD),
        "the factory of a defaultdict",
    ),
    "metadata": (
        "os.getcwd",
        build(call("collections.OrderedDict"), {"_metadata": call("os.getcwd")}),
        "the metadata of a state dict",
    ),
}  # fmt: skip


@written("{path}", each=PLACES, **FORBIDDEN)
def place(path: str, root: Any, where: str) -> bytes:
    """A forbidden function as {where}."""
    return archive(root, ONE)


INSIDE = {
    "class": (("storage", name("os.getcwd"), "0", "cpu", 1), "class"),
    "key": (
        ("storage", name("torch.FloatStorage"), call("os.getcwd"), "cpu", 1),
        "key",
    ),
    "location": (
        ("storage", name("torch.FloatStorage"), "0", call("os.getcwd"), 1),
        "location",
    ),
}


@written(
    "opcode:BINPERSID", each=INSIDE, label="built", verdict="invalid", phase="pickle",
    flags=("forbidden-global", "weights-only-refuses"),
)  # fmt: skip
def in_persistent_id(pid: Any, where: str) -> bytes:
    """A persistent id with a forbidden function as the {where} of its storage."""
    return archive(Piece(value(pid) + pickle.BINPERSID), ONE)


# ------------------------------------------------- other names of what is allowed

RENAMED = {
    "parameter": (
        "torch.nn.Parameter", call("torch.nn.Parameter", _weight(), True),
    ),
    "untyped_storage": (
        "global:torch.UntypedStorage",
        Piece(
            value(("storage", name("torch.UntypedStorage"), "0", "cpu", 4))
            + pickle.BINPERSID
        ),
    ),
    "storage_of_any_module": (
        "global:no.such.FloatStorage",
        Piece(
            value(("storage", name("no.such.FloatStorage"), "0", "cpu", 1))
            + pickle.BINPERSID
        ),
    ),
    "dtype": ("global:torch.float", name("torch.float")),
    "layout": ("global:torch.strided", name("torch.strided")),
    "from_type_of_1_8": (
        "torch.tensor._rebuild_from_type_v2",
        call(
            "torch.tensor._rebuild_from_type_v2",
            *(name(V2), name("torch.Tensor"), ARGUMENTS, {}),
        ),
    ),
    "int": ("builtins.int", call("builtins.int", 7)),
    "bytes": ("builtins.bytes", call("builtins.bytes")),
    "xla": (
        "global:torch._utils._rebuild_xla_tensor",
        name("torch._utils._rebuild_xla_tensor"),
    ),
}  # fmt: skip


@written("{path}", each=RENAMED, label="built", flags=("weights-only-refuses",))
def another_name(path: str, root: Piece) -> bytes:
    """A harmless name that weights_only=True does not know (`{path}`)."""
    return archive([root], ONE)

"""TorchScript archives, and those that C++ writes.

What `torch.jit` writes holds the folders of this machine, in records that say
which line of Python an instruction came from. They are left out, which is what
`repacked` means here.
"""

from __future__ import annotations

import enum
import functools
import io
import re
import warnings
from collections.abc import Callable
from typing import Any, Final

import torch
from torch.package.package_exporter import PackageExporter

from ...containers import pack
from ...repacking import unpack
from ..registry import LEDGER, written

SCRIPT: Final = "container:torchscript"
#: torch refuses all of these under weights_only=True.
CLAIMS: Final[dict[str, Any]] = {
    "label": "repacked",
    "flags": ("weights-only-refuses",),
}
CPP: Final[dict[str, Any]] = {"label": "native", "flags": ("weights-only-refuses",)}


class Affine(torch.nn.Module):
    """A Parameter, a buffer, and a literal in the code."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([[1.0, 2.0]]))
        self.register_buffer("bias", torch.tensor([0.5]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * self.weight + self.bias  # type: ignore[operator]
        return x + torch.tensor([3.0, 4.0])


class Deep(torch.nn.Module):
    """Modules in a list, two of which share a Parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([Affine(), Affine()])
        self.layers[1].weight = self.layers[0].weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class Keeping(torch.nn.Module):
    """Whatever is set on it."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def saved(
    make: Callable[[], Any],
    write: Callable[[Any, Any], None] = torch.jit.save,
) -> bytes:
    """What torch writes of a script, without the records that name folders."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _forget()
        write(make(), file)
    records = {
        _renumbered(name.encode()).decode(): _renumbered(data)
        for name, data in unpack(file.getvalue()).items()
        if not name.endswith((".debug_pkl", "serialization_id"))
    }
    return pack(records, alignment=64)


def _renumbered(text: bytes) -> bytes:
    """The names of classes that torch copied, which it counts as long as it runs."""
    return re.sub(rb"___torch_mangle_\d+", b"___torch_mangle_0", text)


def _forget() -> None:
    """Classes that were scripted before, on which the names of others depend."""
    torch._C._jit_clear_class_registry()
    torch.jit._recursive.concrete_type_store = torch.jit._recursive.ConcreteTypeStore()
    torch.jit._state._clear_class_state()


def script(module: torch.nn.Module) -> Any:
    return torch.jit.script(module)


def pickle_save(value: Any) -> bytes:
    """What C++ writes of a value."""
    data: bytes = torch._C._pickle_save(value)
    return data


def _shared() -> list[torch.Tensor]:
    base = torch.arange(4.0)
    return [base, base[1:3], base[::2]]


def _of(dtype: str) -> torch.Tensor:
    return torch.tensor([1.0, 0.0, 2.0]).to(getattr(torch, dtype))


def _sparse(layout: torch.layout) -> torch.Tensor:
    return torch.tensor([[1.0, 0.0], [0.0, 2.0]]).to_sparse(layout=layout)


def keeping(**attributes: Any) -> bytes:
    return saved(lambda: script(Keeping(**attributes)))


# --------------------------------------------------------------------- modules


@written(SCRIPT, **CLAIMS)
def scripted() -> bytes:
    """A scripted module with a Parameter, a buffer and a literal in its code."""
    return saved(lambda: script(Affine()))


@written(SCRIPT, **CLAIMS)
def traced() -> bytes:
    """The same module, traced: its literal is a tensor among the constants."""
    return saved(lambda: torch.jit.trace(Affine(), torch.ones(2)))


@written(SCRIPT, **CLAIMS)
def frozen() -> bytes:
    """A frozen module: all its tensors are constants of the code."""
    return saved(lambda: torch.jit.freeze(script(Affine().eval())))


@written(SCRIPT, **CLAIMS)
def modules_in_each_other() -> bytes:
    """Modules in a list, two of which share a Parameter."""
    return saved(lambda: script(Deep()))


@written(SCRIPT, **CLAIMS)
def function() -> bytes:
    """A module without tensors."""
    return keeping()


@written(SCRIPT, **CLAIMS)
def training() -> bytes:
    """A module in eval mode, whose one attribute is `training`."""
    return saved(lambda: script(Keeping().eval()))


@written(SCRIPT, **CLAIMS)
def extra_files() -> bytes:
    """An archive with files of the user's own under `extra/`."""

    def write(module: Any, file: Any) -> None:
        torch.jit.save(module, file, _extra_files={"notes.txt": "hello"})

    return saved(lambda: script(Affine()), write)


@written(SCRIPT, suffix=".ptl", **CLAIMS)
def lite() -> bytes:
    """An archive for the lite interpreter, with `bytecode.pkl`."""

    def write(module: Any, file: Any) -> None:
        file.write(module._save_to_buffer_for_lite_interpreter())

    return saved(lambda: script(Affine()), write)


@written(SCRIPT, **CLAIMS)
def quantized() -> bytes:
    """A quantized Linear: its packed weights are an object that only C++ knows."""

    def make() -> Any:
        layer = torch.ao.nn.quantized.Linear(2, 1)
        weight = torch.quantize_per_tensor(
            torch.tensor([[1.0, 2.0]]), 0.5, 0, torch.qint8
        )
        layer.set_weight_bias(weight, torch.tensor([0.25]))
        return script(layer)

    return saved(make)


# ---------------------------------------------------------------------- values

PICKLE: Final = "torch.jit._pickle"

#: By name: a path, and a value that C++ writes by it.
Values = dict[str, tuple[str, Callable[[], Any], str]]

#: Those that C++ writes by functions which weights_only=True does not know.
TAGGED: Final[Values] = {
    "ints": (f"{PICKLE}.build_intlist", lambda: [1, -2], "a list of ints"),
    "floats": (f"{PICKLE}.build_doublelist", lambda: [1.5], "a list of floats"),
    "bools": (f"{PICKLE}.build_boollist", lambda: [True, False], "a list of bools"),
    "tensors": (
        f"{PICKLE}.build_tensorlist",
        lambda: [torch.ones(1), torch.zeros(2)],
        "a list of tensors",
    ),
    "strings": (f"{PICKLE}.restore_type_tag", lambda: ["a", "b"], "a list of strings"),
    "lists": (f"{PICKLE}.restore_type_tag", lambda: [[1], [2, 3]], "a list of lists"),
    "dict_of_numbers": (
        f"{PICKLE}.restore_type_tag", lambda: {"lr": 0.5, "decay": 0.0},
        "a dict of floats",
    ),
    "dict_of_tensors": (
        f"{PICKLE}.restore_type_tag", lambda: {1: torch.ones(1), 2: torch.zeros(2)},
        "a dict of tensors by ints",
    ),
    "conj": (
        f"{PICKLE}.restore_type_tag", lambda: torch.tensor([1 + 2j]).conj(),
        "a conjugated tensor",
    ),
    "neg": (
        f"{PICKLE}.restore_type_tag", lambda: torch.tensor([1 + 2j]).conj().imag,
        "a negated tensor",
    ),
    "tensors_on_one_storage": (
        f"{PICKLE}.build_tensorlist", _shared, "three views of one storage",
    ),
}  # fmt: skip

#: Those that it writes as Python does.
PLAIN: Final[Values] = {
    "tuple": (
        "opcode:TUPLE", lambda: (1, "x", 2.5, True), "a tuple of several types",
    ),
    "none": ("opcode:NONE", lambda: None, "None"),
    "device": ("torch.device", lambda: torch.device("cuda", 1), "a device"),
    "complex": ("builtins.complex", lambda: 1 + 2j, "a complex number"),
    "dtype": ("opcode:BININT1", lambda: torch.float16, "a dtype, which is a number"),
    "tensor": (
        "torch._utils._rebuild_tensor_v2", lambda: torch.arange(6.0)[1:5:2],
        "a view of a tensor",
    ),
    "requires_grad": (
        "torch._utils._rebuild_tensor_v2", lambda: torch.ones(1, requires_grad=True),
        "a tensor that requires gradients",
    ),
    "empty": ("torch._utils._rebuild_tensor_v2", lambda: torch.empty(0, 3),
              "a tensor without elements"),
    "quantized": (
        "torch._utils._rebuild_qtensor",
        lambda: torch.quantize_per_tensor(torch.ones(2), 0.5, 1, torch.qint8),
        "a quantized tensor",
    ),
    **{
        dtype: (
            "torch._utils._rebuild_tensor_v2",
            functools.partial(_of, dtype),
            f"a tensor of {dtype}",
        )
        for dtype in ("float64", "float16", "bfloat16", "int32", "bool", "complex64")
    },
}  # fmt: skip

#: Dtypes for whose storages torch has classes in C++ alone.
WIDE: Final = {
    dtype: (dtype,)
    for dtype in (
        *("uint16", "uint32", "uint64", "complex32", "float8_e5m2", "float8_e4m3fn"),
        *("float8_e5m2fnuz", "float8_e4m3fnuz", "float8_e8m0fnu"),
    )
}


SPARSE: Final = {
    "coo": (torch.sparse_coo,),
    "csr": (torch.sparse_csr,),
}


@written("{path}", directory="scripts", each={**TAGGED, **PLAIN}, **CLAIMS)
def attribute(path: str, make: Callable[[], Any], what: str) -> bytes:
    """A TorchScript module with an attribute that is {what}."""
    return keeping(value=make())


@written("{path}", directory="scripts", each=TAGGED, **CPP)
def cpp(path: str, make: Callable[[], Any], what: str) -> bytes:
    """What `torch::pickle_save` of C++ writes of {what}: a type with each list."""
    return pickle_save(make())


@written("{path}", directory="scripts", each=PLAIN, label="native")
def cpp_plain(path: str, make: Callable[[], Any], what: str) -> bytes:
    """What `torch::pickle_save` of C++ writes of {what}."""
    return pickle_save(make())


@written(SCRIPT, each=WIDE, **CLAIMS)
def attribute_of_wide(dtype: str) -> bytes:
    """A TorchScript module with a tensor of {dtype}, by a class of C++ alone."""
    return keeping(value=_of(dtype))


@written(
    "torch._utils._rebuild_tensor_v2", directory="scripts",
    each=WIDE, verdict="either", reason=LEDGER, **CPP,
)  # fmt: skip
def cpp_of_wide(dtype: str) -> bytes:
    """What C++ writes of a tensor of {dtype}: a storage class of C++ alone."""
    return pickle_save(_of(dtype))


@written(SCRIPT, each=SPARSE, **CLAIMS)
def attribute_of_sparse(layout: torch.layout) -> bytes:
    """A TorchScript module with a {layout} tensor, whose parts are not in a tuple."""
    return keeping(value=_sparse(layout))


@written(
    "torch._utils._rebuild_sparse_tensor", directory="scripts",
    each=SPARSE, verdict="either", reason=LEDGER, label="native",
)  # fmt: skip
def cpp_of_sparse(layout: torch.layout) -> bytes:
    """What C++ writes of a {layout} tensor: its parts are not in a tuple."""
    return pickle_save(_sparse(layout))


@written(f"{PICKLE}.build_tensorlist", directory="scripts", **CPP)
def cpp_tree() -> bytes:
    """What C++ writes of dicts and lists in each other: each with its type."""
    return pickle_save({"b": {"x": [torch.ones(1)]}, "a": {"y": [torch.zeros(2)]}})


class Color(enum.Enum):
    RED = 1


class Mode(enum.Enum):
    FAST = "fast"


@written(SCRIPT, each={"int": (Color.RED,), "str": (Mode.FAST,)}, **CLAIMS)
def attribute_enum(member: enum.Enum) -> bytes:
    """A TorchScript module with {member}: REDUCE of a value that is in no tuple."""
    return keeping(value=member)


@written(SCRIPT, **CLAIMS)
def attribute_meta() -> bytes:
    """A TorchScript module with a tensor of `meta`, whose record is empty."""
    return keeping(value=torch.empty(2, 3, device="meta"))


# ------------------------------------------------------------------- relatives


@written(
    "container:zip", label="repacked", verdict="invalid", phase="container",
    flags=("weights-only-refuses",),
)  # fmt: skip
def package() -> bytes:
    """A `torch.package` archive: code and pickles, and no `data.pkl` at its root."""
    file = io.BytesIO()
    with PackageExporter(file) as exporter:
        exporter.save_pickle("weights", "state.pkl", {"weight": torch.ones(1)})
    return pack(unpack(file.getvalue()))


@written(
    "container:zip", label="built", verdict="invalid", phase="container",
    each={
        "export": (("archive_format", "models/model.json", "data/weights/weight_0"),),
        "export_of_2_1": (("serialized_exported_program.json", "version"),),
        "script_of_1_2": (("model.json", "tensors/0", "version"),),
        "model_archive": (("MAR-INF/MANIFEST.json", "model.pth"),),
    },
)  # fmt: skip
def program(names: tuple[str, ...]) -> bytes:
    """An archive of something else, with the records {names}."""
    return pack({**dict.fromkeys(names, b"pt2"), "version": b"3\n"})

"""What other loaders read wrongly, or drop, without an error.

Found by running or reading them; the cases that people reported as well are in
`reported.py` and `reported_views.py`.
"""

from __future__ import annotations

import argparse
import pickle
from collections import OrderedDict
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from ... import handmade, repacking
from ...containers import Record, pack
from ...handmade import call, floats, storage, tensor, value
from ...saving import save
from ..files import tarring
from ..registry import LEDGER, LEGACY, ZIP, saved, written
from .threads import count

V2: Final = "torch._utils._rebuild_tensor_v2"
V3: Final = "torch._utils._rebuild_tensor_v3"


#: A tensor of two elements in the storage "0".
WEIGHT: Final = tensor(storage("FloatStorage", 2), (2,))


def claims(*flags: str) -> dict[str, Any]:
    """What all cases here have."""
    return {"directory": "reported", "flags": ("silent-failure", *flags)}


# ------------------------------------------------------------------ byte order

BIG: Final[dict[str, tuple[str, int]]] = {
    "float16": ("float16", 2),
    "float32": ("float32", 4),
    "int64": ("int64", 8),
    "complex64": ("complex64", 4),
}


@written(V2, label="repacked", each=BIG, **claims("big-endian"))
def big_endian(dtype: str, unit: int) -> bytes:
    """A tensor of {dtype} in an archive that a big-endian machine wrote."""
    file = save({"weight": count(2, 3, dtype=getattr(torch, dtype))})
    return repacking.big_endian(file, {"0": unit})


# ------------------------------------------------------------ strides and offsets


@saved(V2, **claims("non-contiguous"))
def every_other_column() -> object:
    """Every second column of a matrix, `x[:, ::2]`."""
    return {"weight": count(3, 4)[:, ::2]}


@saved(V2, formats=(ZIP, LEGACY), **claims("non-contiguous", "offset"))
def block_of_columns() -> object:
    """Two columns out of the middle of a matrix, `x[:, 1:3]`."""
    return {"weight": count(3, 4)[:, 1:3]}


@saved(V2, **claims("non-contiguous"))
def every_other_row() -> object:
    """Every second row of a matrix, `x[::2]`."""
    return {"weight": count(4, 3)[::2]}


@saved(V2, **claims("non-contiguous"))
def every_other_element() -> object:
    """Every second element of a vector, `x[::2]`."""
    return {"weight": count(8)[::2]}


@saved(V2, **claims("non-contiguous"))
def expanded() -> object:
    """A row that is expanded to a matrix: stride (0, 1)."""
    return {"weight": count(3).expand(4, 3)}


@saved(V2, **claims("non-contiguous"))
def first_stride_one() -> object:
    """Stride (1, 8, 2): the first is 1, and yet it is not column-major."""
    return {"weight": count(3, 4, 2).permute(2, 0, 1)}


@saved(V2, formats=(ZIP, LEGACY), **claims("offset"))
def scalar_of_vector() -> object:
    """A tensor without dimensions that is one element of a larger storage."""
    return {"scale": count(5)[3]}


@saved(V2, **claims())
def six_dimensions() -> object:
    """A tensor of six dimensions."""
    return {"weight": count(1, 2, 1, 3, 1, 2)}


@saved(V2, **claims("conj"))
def conjugated() -> object:
    """A complex tensor that is marked as conjugated, and not computed."""
    return {"weight": torch.tensor([1 + 2j, 3 - 4j]).conj()}


@saved(V2, **claims("neg", "non-contiguous", "offset"))
def negated() -> object:
    """The imaginary part of a conjugated tensor, which is marked as negated."""
    return {"weight": torch.tensor([1 + 2j, 3 - 4j]).conj().imag}


# ---------------------------------------------------------------- kinds of tensor


@saved(V2, **claims("special-values"))
def wide_numbers() -> object:
    """Float64 and int64 elements that no float32 or int32 can hold."""
    return {
        "float64": torch.tensor([0.1, 1e300], dtype=torch.float64),
        "int64": torch.tensor([2**62 + 1, -(2**40)]),
    }


@saved(
    V3,
    each={
        name: (name,)
        for name in ("uint16", "uint32", "uint64", "float8_e4m3fn", "complex32")
    },
    **claims(),
)
def dtype_as_argument(dtype: str) -> object:
    """A tensor of {dtype}, whose dtype is an argument and no storage class."""
    kind = getattr(torch, dtype)
    numbers = np.arange(3 * kind.itemsize, dtype=np.uint8)
    return {"weight": torch.from_numpy(numbers).view(kind)}


@saved(
    "torch._utils._rebuild_parameter_with_state",
    **claims("attributes", "requires-grad"),
)
def parameter_with_attribute() -> object:
    """A Parameter with an attribute of its own, beside one without."""
    weight = nn.Parameter(count(2, 3))
    weight.shard = 1  # type: ignore[attr-defined]
    return {"weight": weight, "bias": nn.Parameter(count(2))}


@saved("torch._tensor._rebuild_from_type_v2", **claims("attributes"))
def tensor_with_attribute() -> object:
    """A tensor with an attribute of its own, beside one without."""
    weight = count(2, 3)
    weight.shard = 1  # type: ignore[attr-defined]
    return {"weight": weight, "bias": count(2)}


@saved("torch._tensor._rebuild_from_type_v2", **claims("attributes"))
def buffer() -> object:
    """An `nn.Buffer` beside a Parameter."""
    return {"mean": nn.Buffer(count(2)), "weight": nn.Parameter(count(2))}


@saved("torch._utils._rebuild_sparse_tensor", **claims())
def sparse_coo() -> object:
    """A sparse COO tensor beside a dense one."""
    return {"graph": torch.eye(3).to_sparse(), "weight": count(2)}


WRAPPER: Final = "torch._utils._rebuild_wrapper_subclass"


@written(WRAPPER, label="built", **claims("weights-only-refuses"))
def wrapper_subclass() -> bytes:
    """A wrapper without elements of its own, beside a tensor that has some."""
    wrapper = call(
        WRAPPER,
        *(handmade.name("somewhere.Wrapper"), handmade.name("torch.float32")),
        *((2, 3), (3, 1), 0, call("torch.serialization._get_layout", "torch.strided")),
        *(call("torch.device", "cpu"), False),
    )
    return handmade.archive({"one": wrapper, "weight": WEIGHT}, {"0": floats(1.0, 2.0)})


@saved(
    "torch._utils._rebuild_sparse_tensor",
    each={"csr": ("CSR",), "csc": ("CSC",), "bsr": ("BSR",), "bsc": ("BSC",)},
    **claims(),
)
def sparse(layout: str) -> object:
    """A sparse {layout} tensor beside a dense one."""
    dense = torch.eye(4)
    block = ((2, 2),) if layout.startswith("B") else ()
    convert = getattr(dense, f"to_sparse_{layout.lower()}")
    return {"graph": convert(*block), "weight": count(2)}


@saved("torch._utils._rebuild_qtensor", **claims())
def qint8_beside_quint8() -> object:
    """The bytes 128 to 255 as qint8, where they are negative, and as quint8."""
    steps = torch.linspace(-64.0, -0.5, 128)
    return {
        "qint8": torch.quantize_per_tensor(steps, 0.5, 0, torch.qint8),
        "quint8": torch.quantize_per_tensor(steps, 0.5, 256 - 1, torch.quint8),
    }


@saved("torch._utils._rebuild_nested_tensor", **claims())
def nested_strided() -> object:
    """A nested tensor of two components, beside a dense one."""
    nested = torch.nested.nested_tensor([count(2), count(3)])
    return {"batch": nested, "weight": count(2)}


@saved("torch.nested._internal.nested_tensor._rebuild_njt", **claims())
def nested_jagged() -> object:
    """A jagged nested tensor of two components, beside a dense one."""
    nested = torch.nested.nested_tensor([count(2), count(3)], layout=torch.jagged)
    return {"batch": nested, "weight": count(2)}


@saved(
    "persistent-id:storage", each={"typed": (True,), "untyped": (False,)}, **claims()
)
def storage_as_value(typed: bool) -> object:
    """A storage that is no part of a tensor (typed: {typed}), beside a tensor."""
    weight = count(3)
    kept: object = weight.storage() if typed else torch.UntypedStorage([1, 2, 3])
    return {"storage": kept, "weight": weight}


# ------------------------------------------------------------------------- trees


def filled(kind: str) -> Any:
    match kind:
        case "dict":
            return {"weight": count(2), "bias": count(3)}
        case "ordered_dict":
            return OrderedDict(weight=count(2), bias=count(3))
    return [count(2), count(3)]


@saved(
    V2,
    each={"dict": ("dict",), "ordered_dict": ("ordered_dict",), "list": ("list",)},
    **claims("alias"),
)
def shared_twice(kind: str) -> object:
    """One {kind} of tensors under two names: it enters the memo before its items."""
    shared = filled(kind)
    return {"model": shared, "ema": shared}


@saved("opcode:SETITEM", **claims("alias"))
def shared_dict_of_one_twice() -> object:
    """A dict with one entry under two names: filled by SETITEM."""
    shared = {"weight": count(2)}
    return {"model": shared, "ema": shared}


@saved(V2, **claims())
def same_names_in_two_dicts() -> object:
    """Two state dicts whose tensors have the same names."""
    return {"generator": {"weight": count(2)}, "critic": {"weight": count(3)}}


METADATA: Final[dict[str, tuple[str, str]]] = {
    "size": ("torch.Size", "torch.Size"),
    "device": ("torch.device", "torch.device"),
    "dtype": ("global:torch.bfloat16", "torch.dtype"),
}


@saved("{path}", each=METADATA, **claims())
def metadata_of(path: str, what: str) -> object:
    """A {what} among the metadata beside a tensor."""
    values = {
        "torch.Size": torch.Size([2, 3]),
        "torch.device": torch.device("cpu"),
        "torch.dtype": torch.bfloat16,
    }
    return {"meta": values[what], "weight": count(2)}


@saved(
    "{path}",
    each={
        "numpy_scalar": ("numpy._core.multiarray.scalar", "numpy scalar"),
        "namespace": ("argparse.Namespace", "namespace of arguments"),
    },
    **claims("weights-only-refuses"),
)
def metadata_with(path: str, what: str) -> object:
    """A {what} among the metadata beside a tensor."""
    extra = np.float64(0.5) if "numpy" in what else argparse.Namespace(lr=0.5)
    return {"meta": extra, "weight": count(2)}


@saved(V2, **claims())
def extra_state() -> object:
    """A state dict whose `_extra_state` is no tensor."""
    return OrderedDict({"weight": count(2), "_extra_state": {"scale": 0.5, "seen": 3}})


@saved("opcode:BINFLOAT", **claims("special-values"))
def scalars_beside_tensor() -> object:
    """Floats, negative and large integers, and None, beside a tensor."""
    return {
        "lr": 0.1,
        "steps": [-1, -129, -32769, 2**31, -(2**31) - 1, 2**53 + 1, -(2**63)],
        "best": None,
        "weight": count(2),
    }


@saved("opcode:LONG1", **claims("special-values"))
def integers_of_9_bytes() -> object:
    """Integers that need nine bytes in LONG1, one of them negative."""
    return {"seed": 2**64 + 1, "other": -(2**70), "weight": count(2)}


def one_tensor(*pairs: bytes) -> bytes:
    """A pickle of a dict by the opcodes MARK and DICT."""
    return b"\x80\x02" + pickle.MARK + b"".join(pairs) + pickle.DICT + pickle.STOP


@written("opcode:DICT", label="built", **claims())
def dict_opcode() -> bytes:
    """A dict that DICT makes of all its items at once."""
    pickled = one_tensor(value("weight"), WEIGHT, value("epoch"), value(3))
    return handmade.archive(pickled, {"0": floats(1.0, 2.0)})


@written("opcode:UNICODE", label="built", **claims())
def unicode_opcode() -> bytes:
    """A legacy stream whose key is a line of text, by UNICODE."""
    shown = tensor(storage("FloatStorage", 2, "0", "cpu", None), (2,))
    pickled = one_tensor(b"Vweight\n", shown)
    return handmade.legacy(pickled, {"0": (2, floats(1.0, 2.0))})


# ---------------------------------------------------------------------- containers


@written("container:tar", label="built", **claims())
def tar_of_two_dtypes() -> bytes:
    """A legacy tar with storages of two dtypes, whose elements are equally large."""
    floating = ("FloatStorage", 2, floats(1.0, 2.0))
    whole = ("IntStorage", 2, (3).to_bytes(4, "little") + (4).to_bytes(4, "little"))
    return tarring.tar(
        tarring.members(
            {"weight": tarring.number(3), "steps": tarring.number(4)},
            {1: floating, 2: whole},
            {
                3: tarring.Shown(1, (2,)),
                4: tarring.Shown(2, (2,), type="IntTensor"),
            },
        )
    )


NET: Final = """class Net(Module):
  __parameters__ = ["weight", ]
  __buffers__ = []
  training : bool
  weight : Tensor
"""


@written("container:torchscript", label="built", **claims("weights-only-refuses"))
def script_of_own_class() -> bytes:
    """A TorchScript archive whose root is of the class `__torch__.Net`."""
    state = {"training": True, "weight": WEIGHT}
    root = handmade.build(handmade.new("__torch__.Net"), state)
    return pack(
        {
            "data.pkl": handmade.dump(root),
            "code/__torch__.py": NET.encode(),
            "constants.pkl": handmade.dump(()),
            "data/0": floats(1.0, 2.0),
            "version": b"3\n",
        }
    )


@written(
    "container:zip", label="repacked", verdict="invalid", phase="container", **claims()
)
def records_in_no_folder() -> bytes:
    """An archive whose records lie at the root, in no folder."""
    return renamed("")


@written(
    "container:zip", label="repacked", verdict="invalid", phase="container", **claims()
)
def records_in_folder_of_folder() -> bytes:
    """An archive whose records lie in a folder inside another one."""
    return renamed("some/folder/")


def renamed(root: str) -> bytes:
    """An archive whose records have other names."""
    records = {}
    for label, data in repacking.unpack(save({"weight": count(2)})).items():
        name = {"name": (root + label).encode()}
        records[label] = Record(data, local=name, fields=name)
    return pack(records)


@written(
    "container:zip", label="repacked", verdict="invalid", phase="container", **claims()
)
def bytes_before_archive() -> bytes:
    """An archive behind a few other bytes."""
    return b"\0\0\0\x0cjunk" + save({"weight": count(2)})


@written(
    "container:zip", label="repacked", verdict="invalid", phase="container", **claims()
)
def storage_missing() -> bytes:
    """An archive without the record of one of its two storages."""
    records = repacking.unpack(save({"weight": count(2), "bias": count(3)}))
    del records["data/1"]
    return pack(records)


@written(
    "container:zip", label="repacked", verdict="either", reason=LEDGER,
    **claims("size-lies"),
)  # fmt: skip
def storage_short() -> bytes:
    """An archive with a storage of 3 elements whose record has 2."""
    records = repacking.unpack(save({"weight": count(2), "bias": count(3)}))
    return pack({**records, "data/1": records["data/1"][:8]})


@written(
    "os.getcwd", label="built", verdict="either", **claims("forbidden-global"),
    reason="a reader may keep the call inert; weights_only=True refuses its name",
)  # fmt: skip
def calls_a_function() -> bytes:
    """A call of `os.getcwd` beside a tensor, which some readers would run."""
    root = {"weight": WEIGHT, "path": call("os.getcwd")}
    return handmade.archive(root, {"0": floats(1.0, 2.0)})

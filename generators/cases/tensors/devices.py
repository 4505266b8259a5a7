"""Meta tensors, and tensors of devices that are not there.

A tag names the device of a storage; the oracle moves what it tags to the CPU
(`conformance/loaders/oracle/map_location.py`), and so `valid` says that the
bytes are read, wherever they are put.

On a machine without accelerators torch still writes their tags, if it saves
fake tensors under `skip_data`: such storages are holes, and read as zeros. They
can be larger than 4 GiB that way; no such file is kept, but `headers.py` has the
records of zip64 that it would have.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ...handmade import Piece, archive, call, floats, legacy, name, storage, tensor
from ...handmade import value as piece
from ...saving import save
from ..registry import LEGACY, ZIP, saved, written

META: Final = "torch._utils._rebuild_meta_tensor_no_storage"
V2: Final = "torch._utils._rebuild_tensor_v2"
FROM_CPU: Final = "torch._utils._rebuild_device_tensor_from_cpu_tensor"
FROM_NUMPY: Final = "torch._utils._rebuild_device_tensor_from_numpy"
XLA: Final = "torch._utils._rebuild_xla_tensor"


# ------------------------------------------------------------------------- meta


def meta(*size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A tensor of this size without elements."""
    return torch.empty(size, dtype=dtype, device="meta")


@saved(META, formats=(ZIP, LEGACY))
def meta_matrix() -> object:
    """A meta tensor: dtype, size and stride, and no storage in the file."""
    return meta(2, 3)


@saved(
    META,
    flags=("silent-failure", "user-report"),
    links=("https://github.com/ggml-org/llama.cpp/issues/1842",),
)
def meta_beside_real() -> object:
    """A meta tensor beside a real one, as half-initialised models have them."""
    return OrderedDict(weight=torch.arange(6.0).reshape(2, 3), inv_freq=meta(3))


@saved(
    META,
    each={
        "bfloat16": (torch.bfloat16,),
        "float8_e4m3fn": (torch.float8_e4m3fn,),
        "complex64": (torch.complex64,),
        "uint64": (torch.uint64,),
        "bool": (torch.bool,),
    },
)
def meta_of(dtype: torch.dtype) -> object:
    """A meta tensor of {key}."""
    return meta(2, dtype=dtype)


@saved(META)
def meta_scalar() -> object:
    """A meta tensor without dimensions."""
    return meta()


@saved(META, flags=("empty",))
def meta_empty() -> object:
    """A meta tensor of size (0, 3)."""
    return meta(0, 3)


@saved(META, flags=("non-contiguous",))
def meta_transposed() -> object:
    """A meta tensor transposed: stride (1, 3)."""
    return meta(2, 3).t()


@saved(META, flags=("non-contiguous",))
def meta_expanded() -> object:
    """A meta tensor of size (4, 3) and stride (0, 1)."""
    return meta(3).expand(4, 3)


@saved(META)
def meta_large() -> object:
    """A meta tensor of a terabyte, in a kilobyte: its size is no claim on memory."""
    return meta(1 << 20, 1 << 18)


@saved(META, flags=("requires-grad",))
def meta_requires_grad() -> object:
    """A meta tensor that requires gradients."""
    return meta(2).requires_grad_()


@saved("torch._utils._rebuild_parameter", flags=("requires-grad",))
def parameter_on_meta() -> object:
    """A Parameter on the meta device."""
    return torch.nn.Parameter(meta(2))


@saved(META)
def meta_shared() -> object:
    """Two meta tensors that shared a storage: in the file they are strangers."""
    base = meta(2, 3)
    return [base, base[1]]


@saved(META)
def meta_of_coo() -> object:
    """A COO tensor on the meta device: the file says that it is strided."""
    return torch.sparse_coo_tensor(
        torch.tensor([[0, 1]]), torch.ones(2), (2,), device="meta"
    )


@saved(META)
def meta_module() -> object:
    """The state dict of a Linear on the meta device."""
    return torch.nn.Linear(3, 2, device="meta").state_dict()


# ------------------------------------------------------------ tags of torch itself


def fake(*devices: str) -> list[torch.Tensor]:
    """A tensor of three elements on each of the devices, which need not be there."""
    with FakeTensorMode():
        return [torch.zeros(3, device=device) for device in devices]


def holes(tree: object) -> bytes:
    """The file in which `torch.save` leaves holes where the elements would be."""
    with torch.serialization.skip_data(materialize_fake_tensors=True):
        return save(tree)


@written(
    V2,
    label="native",
    flags=("device",),
    each={
        "cuda_0": ("cuda:0",),
        "cuda_1": ("cuda:1",),
        "mps": ("mps:0",),
        "xpu": ("xpu:0",),
        "hpu": ("hpu:0",),
        "privateuseone": ("privateuseone:0",),
    },
)
def skipped(device: str) -> bytes:
    """A tensor of {device}, saved by `skip_data`: all of its elements are zeros."""
    return holes(fake(device)[0])


@written(V2, label="native", flags=("device",))
def skipped_cpu_and_cuda() -> bytes:
    """A tensor of the CPU beside one of cuda:0, saved by `skip_data`."""
    return holes(dict(zip(("cpu", "cuda"), fake("cpu", "cuda:0"), strict=True)))


@written(V2, label="native", flags=("device", "shared-storage", "offset"))
def skipped_shared() -> bytes:
    """Two tensors of cuda:0 that share a storage, saved by `skip_data`."""
    with FakeTensorMode():
        base = torch.zeros(3, device="cuda:0")
        tail = base.as_strided((2,), (1,), 1)
    return holes([base, tail])


@written("torch._utils._rebuild_tensor_v3", label="native", flags=("device",))
def skipped_float8() -> bytes:
    """A float8 tensor of cuda:0, saved by `skip_data`."""
    with FakeTensorMode():
        return holes(torch.empty(3, dtype=torch.float8_e4m3fn, device="cuda:0"))


# ---------------------------------------------------------------- tags by hand

#: As torch 2.13 and its plug-ins tag storages, and as torch did once.
TAGS: Final = {
    "cuda": ("cuda",),
    "cuda_0": ("cuda:0",),
    "cuda_7": ("cuda:7",),
    "mps": ("mps",),
    "xpu": ("xpu:1",),
    "hpu": ("hpu",),
    "mtia": ("mtia:0",),
    "npu": ("npu:0",),
    "privateuseone": ("privateuseone",),
}


@written("persistent-id:storage", label="built", flags=("device",), each=TAGS)
def tag(location: str) -> bytes:
    """A tensor whose storage is tagged {location}."""
    root = tensor(storage("FloatStorage", 2, "0", location), (2,))
    return archive(root, {"0": floats(1.0, 2.0)})


@written("persistent-id:storage", label="built", flags=("device",))
def tag_in_legacy() -> bytes:
    """A tensor whose storage is tagged cuda:0, in a legacy stream."""
    root = tensor(storage("FloatStorage", 2, "0", "cuda:0", None), (2,))
    return legacy(root, {"0": (2, floats(1.0, 2.0))})


@written("persistent-id:storage", label="built", flags=("device",))
def tags_mixed() -> bytes:
    """Three tensors, one of the CPU and the others of two GPUs."""
    root = [
        tensor(storage("FloatStorage", 1, key, location), (1,))
        for key, location in (("0", "cpu"), ("1", "cuda:0"), ("2", "cuda:1"))
    ]
    return archive(root, {"0": floats(0.0), "1": floats(1.0), "2": floats(2.0)})


@written("persistent-id:storage", label="built", flags=("device",))
def tag_meta() -> bytes:
    """A tensor whose storage is tagged meta: its bytes are there, and not wanted."""
    root = tensor(storage("FloatStorage", 2, "0", "meta"), (2,))
    return archive(root, {"0": floats(1.0, 2.0)})


# ------------------------------------------------------------ CUDA's own classes

#: The storage classes of CUDA, and the elements 1 and 2 of each.
CUDA_STORAGES: Final = {
    kind: (kind, dtype)
    for kind, dtype in (
        ("DoubleStorage", torch.float64),
        ("FloatStorage", torch.float32),
        ("HalfStorage", torch.float16),
        ("BFloat16Storage", torch.bfloat16),
        ("LongStorage", torch.int64),
        ("IntStorage", torch.int32),
        ("ShortStorage", torch.int16),
        ("CharStorage", torch.int8),
        ("ByteStorage", torch.uint8),
        ("BoolStorage", torch.bool),
        ("ComplexDoubleStorage", torch.complex128),
        ("ComplexFloatStorage", torch.complex64),
    )
}


@written(
    "global:torch.cuda.{key}", label="built", flags=("device",), each=CUDA_STORAGES
)
def cuda(kind: str, dtype: torch.dtype) -> bytes:
    """A tensor in a `torch.cuda.{key}`, as torch once called the storages of GPUs."""
    octets = torch.tensor([1, 2]).to(dtype).view(torch.uint8).numpy().tobytes()
    pid = ("storage", name(f"torch.cuda.{kind}"), "0", "cuda:0", 2)
    root = tensor(Piece(piece(pid) + b"Q"), (2,))
    return archive(root, {"0": octets})


@written("global:torch.cuda.FloatTensor", label="built")
def cuda_tensor_types() -> bytes:
    """The old types of tensors on CUDA, as values in a list."""
    kinds = "Double Float Half BFloat16 Long Int Short Char Byte Bool"
    return archive([name(f"torch.cuda.{kind}Tensor") for kind in kinds.split()])


@written("global:torch.cuda.sparse.FloatTensor", label="built")
def cuda_sparse_tensor_types() -> bytes:
    """The old types of sparse tensors on CUDA, as values in a list."""
    kinds = "Double Float Half BFloat16 Long Int Short Char Byte"
    return archive([name(f"torch.cuda.sparse.{kind}Tensor") for kind in kinds.split()])


# --------------------------------------------------- devices that keep no storage


@written(
    FROM_CPU,
    label="built",
    flags=("device",),
    each={"xla": ("xla:0",), "mtia": ("mtia:0",), "maia": ("maia:0",)},
)
def from_cpu(device: str) -> bytes:
    """A tensor of {device}, kept as a tensor of the CPU."""
    data = tensor(storage("FloatStorage", 2), (2,))
    root = call(FROM_CPU, data, name("torch.float32"), device, False)
    return archive(root, {"0": floats(1.0, 2.0)})


@written(FROM_CPU, label="built", flags=("device", "requires-grad"))
def from_cpu_requires_grad() -> bytes:
    """A tensor of xla:0 that requires gradients; the one on the CPU does not."""
    data = tensor(storage("FloatStorage", 2), (2,))
    root = call(FROM_CPU, data, name("torch.float32"), "xla:0", True)
    return archive(root, {"0": floats(1.0, 2.0)})


@written(FROM_CPU, label="built", flags=("device", "alias"))
def from_cpu_twice() -> bytes:
    """A tensor of xla:0, twice in a list."""
    data = tensor(storage("FloatStorage", 2), (2,))
    one = call(FROM_CPU, data, name("torch.float32"), "xla:0", False) + b"q\0"
    return archive([Piece(one), Piece(b"h\0")], {"0": floats(1.0, 2.0)})


@written(
    FROM_NUMPY,
    label="built",
    flags=("device", "weights-only-refuses"),
    each={
        "float32": (np.float32,),
        "int64": (np.int64,),
        "bool": (np.bool_,),
    },
)
def from_numpy(dtype: Any) -> bytes:
    """A tensor of xla:0 and {key}, kept as a numpy array, as older torch did."""
    return _of_array(
        FROM_NUMPY, np.array([[1, 0, 2]], dtype), f"torch.{np.dtype(dtype)}"
    )


@written(FROM_NUMPY, label="built", flags=("device", "weights-only-refuses"))
def from_numpy_bfloat16() -> bytes:
    """A bfloat16 tensor of xla:0, kept as a numpy array of float32."""
    return _of_array(FROM_NUMPY, np.array([1.0, -2.5], np.float32), "torch.bfloat16")


@written(FROM_NUMPY, label="built", flags=("device", "weights-only-refuses"))
def from_numpy_requires_grad() -> bytes:
    """A tensor of xla:0 that requires gradients, kept as a numpy array."""
    array = np.array([1.0, 2.0], np.float32)
    return _of_array(FROM_NUMPY, array, "torch.float32", True)


@written(XLA, label="built", flags=("device", "weights-only-refuses"))
def xla_tensor() -> bytes:
    """A tensor of xla:0 by `_rebuild_xla_tensor`, the older name of the function."""
    return _of_array(XLA, np.array([1.0, 2.0], np.float32), "torch.float32")


def _of_array(
    function: str, array: np.ndarray[Any, Any], dtype: str, requires_grad: bool = False
) -> bytes:
    return archive(call(function, array, name(dtype), "xla:0", requires_grad))

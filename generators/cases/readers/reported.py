"""Bugs that users of other loaders have met, at least a case each.

The links of a case lead to the threads.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from ... import handmade, repacking
from ...containers import Record, deflate, pack
from ...handmade import floats, storage, tensor
from ...saving import save
from ..registry import (
    LEDGER,
    LEGACY,
    LEGACY_4,
    NO_CRC,
    PROTOCOL_3,
    PROTOCOL_4,
    PROTOCOL_5,
    ZIP,
    saved,
    written,
)
from .threads import claims, count, issues, pulls

V2: Final = "torch._utils._rebuild_tensor_v2"
PARAMETER: Final = "torch._utils._rebuild_parameter"


# ----------------------------------------------------------- parameters, dtypes


@saved(
    PARAMETER,
    formats=(ZIP, LEGACY),
    **claims(
        issues("huggingface/candle", 1676) + pulls("huggingface/candle", 1681),
        "requires-grad",
        "silent-failure",
    ),
)
def parameters_beside_buffers() -> object:
    """A state dict of Parameters and buffers, with an int64 without dimensions."""
    return nn.BatchNorm1d(3).state_dict(keep_vars=True)


BOOL: Final = (
    issues("huggingface/candle", 1622)
    + pulls("huggingface/candle", 3672)
    + issues("tracel-ai/burn", 1179)
)


@saved("global:torch.BoolStorage", **claims(BOOL, "silent-failure"))
def bool_mask() -> object:
    """A tensor of bools beside one of floats."""
    return {"mask": torch.tensor([True, False, True]), "weight": count(3)}


DTYPES: Final = (
    issues("ggml-org/llama.cpp", 6779, 1048)
    + issues("GreenBitAI/low_bit_llama", 2)
    + issues("ollama/ollama", 2515)
)
STORAGES: Final[dict[str, torch.dtype]] = {
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}


@saved(
    "global:torch.{kind}",
    each={kind.removesuffix("Storage").lower(): (kind,) for kind in STORAGES},
    **claims(DTYPES),
)
def storage_of(kind: str) -> object:
    """A tensor in a {kind}."""
    return {"weight": count(2, 3, dtype=STORAGES[kind])}


@saved(V2, formats=(ZIP, LEGACY), **claims(BOOL + DTYPES))
def every_storage() -> object:
    """Tensors of twelve dtypes in one dict, each in a storage of another class."""
    return {kind: count(2, 3, dtype=dtype) for kind, dtype in STORAGES.items()}


@saved(
    V2,
    formats=(ZIP, LEGACY),
    **claims(
        pulls("leejet/stable-diffusion.cpp", 289)
        + issues("leejet/stable-diffusion.cpp", 855, 1443),
        "silent-failure",
    ),
)
def dtype_from_memo() -> object:
    """Three float16 tensors: the second and third take HalfStorage from the memo."""
    tensors = {name: count(2, 2, dtype=torch.float16) for name in ("a", "b", "c")}
    return {**tensors, "d": count(2, 2)}


# ------------------------------------------------------------ containers, pickle


@saved(
    V2,
    formats=(ZIP, LEGACY),
    **claims(issues("huggingface/candle", 1348, 2666) + issues("tracel-ai/burn", 3605)),
)
def state_dict() -> object:
    """The state dict of a linear layer: an OrderedDict that carries `_metadata`."""
    return nn.Linear(3, 2).state_dict()


@saved(
    V2,
    formats=(PROTOCOL_3, PROTOCOL_4, PROTOCOL_5, LEGACY_4),
    **claims(issues("zml/zml", 213)),
)
def every_protocol() -> object:
    """A dict of two tensors, saved by another pickle protocol than 2."""
    return {"weight": count(2, 3), "bias": count(2)}


WRAPPED: Final = pulls("huggingface/candle", 1671) + issues(
    "huggingface/candle", 1663, 1104
)


@saved(
    V2,
    each={
        key: (key,)
        for key in ("model", "model_state_dict", "state_dict", "params_ema", "module")
    },
    **claims(WRAPPED, "silent-failure"),
)
def wrapped_under(key: str) -> object:
    """A checkpoint whose state dict stands under {key!r}, beside the epoch."""
    return {"epoch": 3, key: nn.Linear(3, 2).state_dict()}


LIBTORCH: Final = """class Module(Module):
  __parameters__ = ["weight", ]
  __buffers__ = []
  training : bool
  weight : Tensor
"""


@written(
    "container:torchscript",
    label="built",
    **claims(pulls("huggingface/candle", 530)),
)
def libtorch_archive() -> bytes:
    """An archive as C++ `torch::save` writes it: a `__torch__.Module`."""
    weight = tensor(storage("FloatStorage", 6), (2, 3))
    state = {"training": True, "weight": weight}
    return pack(
        {
            "data/0": floats(*range(6)),
            "data.pkl": handmade.dump(
                handmade.build(handmade.new("__torch__.Module"), state)
            ),
            "code/__torch__.py": LIBTORCH.encode(),
            "constants.pkl": handmade.dump(()),
            "version": b"3\n",
        }
    )


CHECKSUMS: Final = issues("tracel-ai/burn", 5712) + pulls("tracel-ai/burn", 5756)


@saved(V2, formats=(NO_CRC,), **claims(CHECKSUMS, "crc-zero"))
def checksums() -> object:
    """A state dict, saved with `compute_crc32=False`."""
    return {"weight": count(2, 3)}


@written(V2, label="repacked", verdict="either", reason=LEDGER,
         **claims(CHECKSUMS, "crc-zero", "deflate"))  # fmt: skip
def checksums_zero_deflated() -> bytes:
    """An archive of DEFLATEd records, with zeros for all checksums."""
    records = repacking.unpack(save({"weight": count(2, 3)}))
    return pack(
        {
            name: Record(data, deflate((data, 1)), crc=0)
            for name, data in records.items()
        }
    )


@written(
    V2,
    label="native",
    suffix=".bin",
    each={"pytorch_model": ("pytorch_model",), "model_v2": ("model.v2",)},
    **claims(issues("ollama/ollama", 5195)),
)
def root_named_after_file(stem: str) -> bytes:
    """An archive that was saved as {stem}.bin, the name of its root folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{stem}.bin"
        torch.save({"weight": count(2, 3)}, path)
        return path.read_bytes()


@written(
    V2,
    label="repacked",
    each={
        "signed": ("with a signature", {"follows": "signed"}),
        "bare": ("without a signature", {"follows": "bare"}),
        "of_64_bits": ("of 64 bits", {"follows": "signed", "zip64": True}),
    },
    **claims(issues("elixir-nx/bumblebee", 62)),
)
def descriptors(what: str, more: dict[str, Any]) -> bytes:
    """An archive with a data descriptor {what} behind each record."""
    records = repacking.unpack(save({"weight": count(2, 3)}))
    return pack({name: Record(data, **more) for name, data in records.items()})


SCANNED: Final = (
    *issues("protectai/modelscan", 263),
    "https://github.com/advisories/GHSA-w8jq-xcqf-f792",
    "https://github.com/advisories/GHSA-7q5r-7gvp-wc82",
)


@written(
    V2,
    label="repacked",
    each={
        "crc_wrong": ("has a wrong checksum", {"crc": 0xBAD}),
        "flags_encrypted_locally": (
            "says in its local header that it is encrypted",
            {"local": {"flags": 1}},
        ),
    },
    **claims(SCANNED, "ambiguous-zip"),
)
def scanner(what: str, more: dict[str, Any]) -> bytes:
    """An archive whose pickle {what}: torch reads it, Python's zipfile does not."""
    records = repacking.unpack(save({"weight": count(2, 3)}))
    changed: dict[str, bytes | Record] = {**records}
    changed["data.pkl"] = Record(records["data.pkl"], **more)
    return pack(changed)


# ------------------------------------------------------------------------- trees


@saved(V2, **claims(issues("tracel-ai/burn", 3962), "silent-failure"))
def integer_keys() -> object:
    """A dict with integers as keys, filled by SETITEMS."""
    return {0: count(2), 1: count(3)}


@saved("opcode:SETITEM", **claims(issues("tracel-ai/burn", 3962), "silent-failure"))
def integer_key() -> object:
    """A dict with one integer as its key, filled by SETITEM."""
    return {7: count(2)}


MODULE: Final = issues("tracel-ai/burn", 5590) + pulls("tracel-ai/burn", 5766)


@saved(
    "torch.nn.modules.linear.Linear",
    **claims(MODULE, "weights-only-refuses", "alias", "silent-failure"),
)
def whole_module() -> object:
    """A module by `torch.save(model)`: a layer twice, and a non-persistent buffer."""
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    model.register_buffer("mask", torch.tensor([True, False]), persistent=False)
    return model


@saved(
    "torch.nn.modules.sparse.Embedding",
    **claims(issues("ggml-org/llama.cpp", 6071), "weights-only-refuses"),
)
def whole_embedding() -> object:
    """An embedding by `torch.save(model)`."""
    return nn.Embedding(4, 3)


LISTS: Final = issues("tracel-ai/burn", 5595) + pulls("tracel-ai/burn", 5664)


@saved(
    V2,
    each={
        "list": ([[1.0, 2.0], [3.0]],),
        "tuple": (([1.0, 2.0], [3.0], [4.0], [5.0]),),
        "dict_in_list": ([{"a": [1.0]}, {"a": [2.0]}],),
        "list_in_tuple_in_list": ([([[1.0], [2.0]], "name")],),
    },
    **claims(LISTS, "silent-failure"),
)
def tensors_in(shape: Any) -> object:
    """Tensors in the place of the inner lists of {shape}."""

    def filled(value: Any) -> Any:
        match value:
            case [float(), *_]:
                return torch.tensor(value)
            case list():
                return [filled(item) for item in value]
            case tuple():
                return tuple(filled(item) for item in value)
            case dict():
                return {key: filled(item) for key, item in value.items()}
        return value

    return {"layers": filled(shape)}


@saved(
    "torch._utils._rebuild_meta_tensor_no_storage",
    **claims(
        issues("ggml-org/llama.cpp", 1842)
        + issues("longyuewangdcu/Chinese-Llama-2", 6),
        "silent-failure",
    ),
)
def meta_beside_real() -> object:
    """A meta tensor, which has no elements, beside a real one."""
    return {"real": count(2, 3), "meta": torch.empty(2, 3, device="meta")}


@saved(
    V2,
    **claims(
        pulls("KerfuffleV2/repugnant-pickle", 4), "many", "alias", "silent-failure"
    ),
)
def keys_beyond_1000() -> object:
    """A dict of 1,001 keys, written in two batches; the last has its own tensor."""
    weight = count(2)
    return {**{str(key): weight for key in range(1000)}, "last": count(3)}


NETRON: Final = issues("lutzroeder/netron", 1302, 1464, 546, 519)


@saved(V2, **claims(NETRON))
def tuple_at_root() -> object:
    """A tuple at the root: a tensor, a dict with one, and a number."""
    return (count(2), {"weight": count(3)}, 4)


@saved("argparse.Namespace", **claims(NETRON, "weights-only-refuses"))
def object_at_root() -> object:
    """An object at the root that is neither a module nor a dict."""
    return argparse.Namespace(epoch=3, weight=count(2))


@saved("torch._utils._rebuild_qtensor", **claims(NETRON, "silent-failure"))
def quantized_weights() -> object:
    """Weights of a quantized layer, by tensor and by channel, with scale and zero."""
    weight = count(2, 3) / 4
    scales, zeros = torch.tensor([0.5, 0.25]), torch.tensor([0, 1])
    return {
        "weight": torch.quantize_per_tensor(weight, 0.5, 2, torch.qint8),
        "channels": torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8),
        "scale": torch.tensor(0.5),
        "zero_point": torch.tensor(2),
    }


SINGLE: Final = issues("pytorch/pytorch", 67902) + pulls("pytorch/pytorch", 104027)


@saved("opcode:SETITEM", formats=(ZIP, LEGACY), **claims(SINGLE))
def one_entry_dict() -> object:
    """A dict with one entry, which pickle fills by SETITEM."""
    return {"weight": count(2)}


@saved("opcode:APPEND", formats=(ZIP, LEGACY), **claims(SINGLE))
def one_entry_list() -> object:
    """A list with one entry, which pickle fills by APPEND."""
    return [count(2)]


@saved("opcode:EMPTY_DICT", **claims(issues("sugarme/gotch", 103)))
def plain_dict() -> object:
    """A plain dict at the root, where others have an OrderedDict."""
    return {"weight": count(2, 3), "bias": count(2)}

"""Bugs that users of other loaders have met in strides, offsets and storages.

The links of a case lead to the threads.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import Final

import torch

from ... import handmade
from ...handmade import call, floats, storage, tensor
from ..files import tarring
from ..registry import LEGACY, ZIP, saved, written
from .threads import claims, count, issues, pulls

V1: Final = "torch._utils._rebuild_tensor"
V2: Final = "torch._utils._rebuild_tensor_v2"

FORTRAN: Final = pulls("huggingface/candle", 1672)


@saved(
    V2,
    each={"2d": ((2, 3),), "3d": ((2, 3, 4),), "4d": ((2, 3, 4, 2),)},
    **claims(FORTRAN, "non-contiguous", "silent-failure"),
)
def fortran_contiguous(size: tuple[int, ...]) -> object:
    """A tensor of size {size} whose first dimension is the one without gaps."""
    backwards = tuple(reversed(range(len(size))))
    return {"weight": count(*(size[i] for i in backwards)).permute(backwards)}


@saved(
    V2,
    each={
        "".join(map(str, order)): (order,)
        for order in itertools.permutations(range(3))
        if order not in ((0, 1, 2), (2, 1, 0))
    },
    **claims(FORTRAN, "non-contiguous", "silent-failure"),
)
def permuted(order: tuple[int, ...]) -> object:
    """A tensor of three dimensions, permuted by {order}."""
    return {"weight": count(2, 3, 4).permute(order)}


@saved(V2, **claims(FORTRAN, "non-contiguous", "shared-storage", "silent-failure"))
def permuted_4d() -> object:
    """All 24 permutations of a tensor of four dimensions, in one storage."""
    whole = count(2, 3, 4, 2)
    orders = itertools.permutations(range(4))
    return {"".join(map(str, order)): whole.permute(order) for order in orders}


@saved(
    V2,
    each={
        name: (name,)
        for name in ("float32", "float16", "bfloat16", "float64", "int64", "uint8")
    },
    **claims(
        issues("tracel-ai/burn", 5383) + pulls("tracel-ai/burn", 5392),
        "non-contiguous",
        "silent-failure",
    ),
)
def channels_last(dtype: str) -> object:
    """A convolution's weight of {dtype} in the memory format channels_last."""
    weight = count(2, 3, 2, 2, dtype=getattr(torch, dtype))
    return {"weight": weight.to(memory_format=torch.channels_last)}


@saved(
    V2,
    formats=(ZIP, LEGACY),
    **claims(
        issues("Jittor/jittor", 400) + pulls("Jittor/jittor", 445, 371),
        "non-contiguous",
        "silent-failure",
    ),
)
def transposed_weight() -> object:
    """The weight `fc.weight` transposed by `t()`, beside a bias."""
    return OrderedDict({"fc.weight": count(3, 2).t(), "fc.bias": count(2)})


@saved(
    V2,
    formats=(ZIP, LEGACY),
    **claims(
        issues("tracel-ai/burn", 4896) + pulls("tracel-ai/burn", 4897),
        "offset",
        "shared-storage",
    ),
)
def storages_larger_than_shapes() -> object:
    """Slices that were not cloned: two storages hold more than the shapes say."""
    return {
        "head": count(10, 2)[:3],
        "tail": count(20)[16:],
        "whole": torch.tensor([7, 8]),
    }


SHARED: Final = claims(
    pulls("tinygrad/tinygrad", 14771), "offset", "shared-storage", "alias"
)


@saved(V2, formats=(ZIP, LEGACY), **SHARED)
def slice_beside_whole() -> object:
    """`{'a': a, 'b': a[5:]}`: a tensor, and a part of it."""
    whole = count(100)
    return {"a": whole, "b": whole[5:]}


@written("container:tar", label="built", **SHARED)
def slice_beside_whole_tar() -> bytes:
    """`{'a': a, 'b': a[5:]}` in a legacy tar."""
    return tarring.tar(
        tarring.members(
            {"a": tarring.number(2), "b": tarring.number(3)},
            {1: ("FloatStorage", 100, floats(*range(100)))},
            {2: tarring.Shown(1, (100,)), 3: tarring.Shown(1, (95,), offset=5)},
        )
    )


@saved(
    V2,
    formats=(ZIP, LEGACY),
    **claims(pulls("tinygrad/tinygrad", 700), "offset", "shared-storage"),
)
def views_at_offsets() -> object:
    """Three equally large tensors that lie one after the other in one storage."""
    return dict(zip("qkv", count(3, 2, 4), strict=True))


@saved(
    V2,
    formats=(ZIP, LEGACY),
    **claims(issues("shaltielshmid/TorchSharp.PyBridge", 18), "offset"),
)
def view_at_offset_256() -> object:
    """A tensor of size (4, 256) that begins at element 256 of its storage."""
    return {"tokens": count(5, 256, dtype=torch.int16)[1:]}


VIEWS: Final = claims(pulls("tracel-ai/burn", 5593), "shared-storage", "offset")


def view_of_four(size: int) -> bytes:
    """A legacy stream: a storage of 4, and a view of 2 from its element 1 on."""
    whole = storage("FloatStorage", 4, "1", "cpu", None)
    view = storage("FloatStorage", 4, "1", "cpu", ("2", 1, 2))
    root = {"whole": tensor(whole, (4,)), "part": tensor(view, (size,))}
    return handmade.legacy(root, {"1": (4, floats(1.0, 2.0, 3.0, 4.0))})


@written("persistent-id:view", label="built", **VIEWS)
def storage_view() -> bytes:
    """A tensor in a storage view, which is a part of another storage."""
    return view_of_four(2)


@written(
    "persistent-id:view", label="built", verdict="invalid", phase="rebuild", **VIEWS
)
def storage_view_too_small() -> bytes:
    """A tensor of 3 elements in a storage view of 2, whose storage has 4."""
    return view_of_four(3)


@written(
    V1,
    label="built",
    each={"zip": ("an archive", True), "legacy": ("a legacy stream", False)},
    **claims(pulls("tracel-ai/burn", 5392), "silent-failure"),
)
def rebuild_tensor_v1(what: str, zipped: bool) -> bytes:
    """A transposed tensor by `_rebuild_tensor`, as before torch 0.4, in {what}."""
    data = floats(*range(6))
    one = storage("FloatStorage", 6, "0", "cpu", *(() if zipped else (None,)))
    root = {"weight": call(V1, one, 0, (3, 2), (1, 3))}
    if zipped:
        return handmade.archive(root, {"0": data})
    return handmade.legacy(root, {"0": (6, data)})


@written(V1, label="built", **claims(pulls("tinygrad/tinygrad", 13253)))
def state_dict_before_0_4() -> bytes:
    """A legacy stream with an OrderedDict of tensors by `_rebuild_tensor`."""
    sizes = {"features.0.weight": (2, 3), "features.0.bias": (2,), "classifier": (4,)}
    pairs = []
    contents = {}
    for key, (name, size) in enumerate(sizes.items(), 1):
        numel = torch.Size(size).numel()
        contents[str(key)] = (numel, floats(*range(key, key + numel)))
        one = storage("FloatStorage", numel, str(key), "cpu", None)
        pairs.append([name, call(V1, one, 0, size, handmade.stride_of(size))])
    return handmade.legacy(call("collections.OrderedDict", pairs), contents)


@saved(
    V2,
    **claims(
        issues("PaddlePaddle/PaddleNLP", 4699) + pulls("PaddlePaddle/PaddleNLP", 5128)
    ),
)
def twelve_storages() -> object:
    """Twelve storages of different sizes: data/10 does not come before data/2."""
    return {f"layer{i}": count(i + 1) for i in range(12)}


@saved(
    V2,
    formats=(ZIP, LEGACY),
    **claims(
        issues("safetensors/safetensors", 98, 265)
        + issues("huggingface/transformers", 38870),
        "alias",
    ),
)
def tied_weights() -> object:
    """One tensor under two names."""
    weight = count(4, 2)
    return {"embedding.weight": weight, "head.weight": weight}


@saved(
    V2,
    **claims(
        issues("safetensors/safetensors", 98, 265)
        + issues("huggingface/transformers", 38870),
        "shared-storage",
        "offset",
    ),
)
def partial_overlap() -> object:
    """Two tensors that overlap in a part of one storage."""
    whole = count(10)
    return {"a": whole[:6], "b": whole[4:]}


OUTSIDE: Final = claims(issues("pytorch/pytorch", 184652, 109791), "out-of-bounds")


@written(V2, label="built", verdict="invalid", phase="rebuild", **OUTSIDE)
def stride_outside() -> bytes:
    """A tensor of size (2, 2) and stride (100, 1) in a storage of 4 elements."""
    root = tensor(storage("FloatStorage", 4), (2, 2), (100, 1))
    return handmade.archive(root, {"0": floats(*range(4))})


@written(
    "torch._utils._rebuild_qtensor",
    label="built",
    verdict="invalid",
    phase="rebuild",
    each={"stride": (0, 100), "offset": (100, 1)},
    **OUTSIDE,
)
def quantized_outside(offset: int, stride: int) -> bytes:
    """A quantized tensor of 2 elements at {offset}, stride {stride}, in 4 bytes."""
    scheme = (handmade.name("torch.per_tensor_affine"), 0.5, 0)
    one = storage("QInt8Storage", 4)
    hooks = call("collections.OrderedDict")
    args = (one, offset, (2,), (stride,), scheme, False, hooks)
    root = call("torch._utils._rebuild_qtensor", *args)
    return handmade.archive(root, {"0": bytes(range(4))})

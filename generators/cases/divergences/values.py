"""Plain values: conversions, codecs, paths, dtypes, devices."""

from __future__ import annotations

from ...handmade import archive, build, call, floats, name, storage, tensor
from .registry import case


@case("builtins.complex")
def complex_of_text() -> bytes:
    """`complex('1+2j')`, where pickle writes two floats."""
    return archive(call("builtins.complex", "1+2j"))


@case("builtins.int")
def int_of_text() -> bytes:
    """`int('7')`, which no pickle of an int needs."""
    return archive(call("builtins.int", "7"))


@case("builtins.set")
def set_of_text() -> bytes:
    """`set('abc')`, where pickle writes a list of the members."""
    return archive(call("builtins.set", "abc"))


@case("_codecs.encode")
def codec_rot13() -> bytes:
    """`_codecs.encode('abc', 'rot13')`, where pickle only ever writes latin1."""
    return archive(call("_codecs.encode", "abc", "rot13"))


@case("_codecs.encode")
def codec_utf16() -> bytes:
    """`_codecs.encode('abc', 'utf-16-le')`."""
    return archive(call("_codecs.encode", "abc", "utf-16-le"))


@case("pathlib.WindowsPath")
def windows_path() -> bytes:
    """A `pathlib.WindowsPath`."""
    return archive(call("pathlib.WindowsPath", "C:\\", "model.pt"))


@case("persistent-id:storage")
def unknown_location() -> bytes:
    """A storage whose location is `zzz`."""
    root = {"weight": tensor(storage("FloatStorage", 1, "0", "zzz"), (1,))}
    return archive(root, {"0": floats(1.0)})


@case("torch.device")
def unknown_device() -> bytes:
    """`torch.device('npu', 1)`: the device of a plug-in."""
    return archive(call("torch.device", "npu", 1))


@case("global:torch.bcomplex32")
def bcomplex32() -> bytes:
    """The dtype `torch.bcomplex32`, which is new in torch 2.15."""
    return archive(name("torch.bcomplex32"))


@case("numpy.dtype")
def numpy_dtype_of_text() -> bytes:
    """`numpy.dtype('i4,f8')`, where numpy writes the fields as a state."""
    return archive(call("numpy.dtype", "i4,f8"))


@case("torch.nn.modules.linear._LinearWithBias")
def removed_class() -> bytes:
    """An instance of `torch.nn.modules.linear._LinearWithBias` of torch 1.4 to 1.8."""
    made = call(
        "copyreg._reconstructor",
        name("torch.nn.modules.linear._LinearWithBias"),
        name("builtins.object"),
        None,
    )
    return archive(build(made, {"in_features": 1}))


@case("numpy._core.multiarray._reconstruct")
def numpy_string_array() -> bytes:
    """An array of numpy 2's strings of any length (StringDType)."""
    kind = call("numpy._core._internal._convert_to_stringdtype_kwargs", 1)
    reconstruct = "numpy._core.multiarray._reconstruct"
    empty = call(reconstruct, name("numpy.ndarray"), (0,), "b")
    return archive(build(empty, (1, (1,), kind, False, ["a"])))

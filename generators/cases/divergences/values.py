"""Plain values: conversions, codecs, paths, dtypes, devices."""

from __future__ import annotations

from ...handmade import Piece, archive, build, call, floats, name, storage, tensor
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


@case("_codecs.encode")
def codec_with_errors() -> bytes:
    """`_codecs.encode('abc', 'latin1', 'strict')`: with a rule for errors."""
    return archive(call("_codecs.encode", "abc", "latin1", "strict"))


@case("collections.OrderedDict")
def ordered_dict_of_class() -> bytes:
    """`OrderedDict(torch.Tensor)`, where pickle writes pairs: it fails."""
    return archive(call("collections.OrderedDict", name("torch.Tensor")))


@case("collections.OrderedDict")
def ordered_dict_of_texts() -> bytes:
    """`OrderedDict(['ab'])`, where pickle writes a pair: `a` is the key."""
    return archive(call("collections.OrderedDict", ["ab"]))


@case("collections.deque")
def deque_of_false() -> bytes:
    """`deque((), False)`: a length of False, which is 0."""
    return archive(call("collections.deque", (), False))


@case("pathlib.PurePosixPath")
def path_of_path() -> bytes:
    """A path of which one part is a path."""
    kind = "pathlib.PurePosixPath"
    return archive(call(kind, call(kind, "a"), "b"))


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


def scalar(code: str, *state: object) -> bytes:
    """A numpy scalar of two bytes, and its dtype's state."""
    kind = build(call("numpy.dtype", code, False, True), state)
    return archive(call("numpy._core.multiarray.scalar", kind, Piece(b"C\x02ab")))


@case("numpy.dtype")
def numpy_dtype_of_five() -> bytes:
    """A numpy dtype with a state of five items, as numpy wrote before 1.0."""
    return scalar("i2", "<", None, None, -1, -1)


@case("numpy.dtype")
def numpy_dtype_of_objects() -> bytes:
    """A numpy dtype of float64 whose flags say that it holds objects."""
    kind = call("numpy.dtype", "f8", False, True)
    return archive(build(kind, (3, "<", None, None, None, -1, -1, 63)))


@case("numpy.dtype")
def numpy_string_dtype_grows() -> bytes:
    """A numpy dtype of strings of one byte, of two according to its state."""
    return scalar("S1", 3, "|", None, None, None, 2, 1, 0)


@case("numpy._core.multiarray.scalar")
def numpy_scalar_of_more() -> bytes:
    """A numpy scalar of one byte that is given two."""
    return scalar("i1", 3, "|", None, None, None, -1, -1, 0)

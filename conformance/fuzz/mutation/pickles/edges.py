"""Values at the edges: where readers of pickles have been wrong before.

Plain tables. Nothing here is valid or invalid by itself: it is what an argument
can be made, whatever it was.
"""

from __future__ import annotations

from typing import Final

#: Around the widths that counts, offsets and opcodes have.
NUMBERS: Final = (
    0, 1, 2, 3, 4, 7, 8, 9, -1, -2, -8,
    127, 128, 129, 255, 256, 257, -127, -128, -129, -255, -256,
    32_767, 32_768, 65_535, 65_536, -32_768, -32_769,
    2**31 - 1, 2**31, 2**31 + 1, -(2**31), -(2**31) - 1, 2**32 - 1, 2**32, 2**32 + 1,
    2**53, 2**60, 2**61, 2**62, 2**63 - 2, 2**63 - 1, 2**63, 2**63 + 1,
    -(2**63), -(2**63) - 1, 2**64 - 1, 2**64, 2**64 + 1, 2**127, 2**128, -(2**64),
    2**1000, 2**2039 - 1, -(2**2039),
    0x1950A86A20F9469CFC6C, 1001,
)  # fmt: skip

#: Those that fit into 64 bits, as sizes are.
SIZES: Final = tuple(number for number in NUMBERS if -1 <= number < 2**64)

FLOATS: Final = (
    0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, 5e-324, 1.7976931348623157e308, 3.5e38,
    float("inf"), float("-inf"), float("nan"), 2.0**63, 2.0**53 + 2, 1e16,
)  # fmt: skip

#: Shapes, strides and the like whose product, or sum, is the trouble.
SHAPES: Final[tuple[tuple[int, ...], ...]] = (
    (),
    (0,),
    (1,) * 65,
    (2**31, 2**31),
    (2**32, 2**32),
    (2**32, 2**31, 2),
    (2**62, 4),
    (2**62, 4, 0),
    (0, 2**63 - 1, 2**63 - 1),
    (2**63 - 1, 2),
    (3, 2**63 // 3 + 1),
    (-1, -1),
    (-1, 2),
    (2**61,),
    (0, -1),
)

#: Where a storage may say that it lies.
LOCATIONS: Final = (
    "cpu", "cpu:0", "cpu:1", "cuda", "cuda:0", "cuda:1", "cuda:", "cuda:-1",
    "cuda:junk", "cuda:99999999999999999999", "meta", "mps", "mps:0", "xpu:0",
    "hpu", "xla:0", "privateuseone:0", "junk", "CPU", "",
)  # fmt: skip

#: Strings that mean something somewhere, or whose characters do.
STRINGS: Final = (
    *LOCATIONS,
    "storage", "module", "view", "resource", "0", "1", "00", "-1", "0x10", "1e3",
    "../0", "/0", "data/0", "0/", ".", "..", "a/b", "\\", "data.pkl", "byteorder",
    "little", "big", "version", "latin1", "utf-8", "ascii", "punycode", "hex",
    "_metadata", "_backward_hooks", "requires_grad", "items", "__dict__",
    "__class__", "__reduce__", "__setstate__", "__init__", "__globals__", "conj",
    "neg", "torch.strided", "torch.sparse_coo", "torch.sparse_csr", "torch.jagged",
    "torch._mkldnn", "torch.float32", "f4", "<f4", ">f8", "|O", "O8", "V16", "M8[ns]",
    "a" * 255, "a" * 256, "9" * 400, "é", "\u2028", "\ud800", "\udcff", "\0", "a\0b",
    "a\nb", "\r", "'", '"', "%s%n", "\U0001f600",
)  # fmt: skip

BYTES: Final = (
    b"", b"\0", b"\xff", b"\x80", b"\0" * 8, b"\xff" * 8, b"\x80\x02N.", b"PK\3\4",
    b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\n", b"\\", b"\0" * 255,
    b"\0" * 256,
)  # fmt: skip


def _names(module: str, names: str) -> tuple[tuple[str, str], ...]:
    return tuple((module, name) for name in names.split())


DTYPES: Final = _names(
    "torch",
    "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex128 "
    "complex64 complex32 uint16 uint32 uint64 qint8 quint8 qint32 quint4x2 quint2x4 "
    "float8_e5m2 float8_e4m3fn float8_e5m2fnuz float8_e4m3fnuz float8_e8m0fnu "
    "float4_e2m1fn_x2 bits8 bits1x8 bits2x4 bits4x2 bits16 int4 uint1 uint7",
)
STORAGES: Final = (
    *_names(
        "torch",
        "DoubleStorage FloatStorage HalfStorage BFloat16Storage LongStorage IntStorage "
        "ShortStorage CharStorage ByteStorage BoolStorage ComplexDoubleStorage "
        "ComplexFloatStorage QInt8Storage QUInt8Storage QInt32Storage QUInt4x2Storage "
        "QUInt2x4Storage UntypedStorage",
    ),
    *_names("torch.cuda", "FloatStorage LongStorage"),
    *_names("torch.storage", "UntypedStorage TypedStorage _UntypedStorage"),
)
LAYOUTS: Final = _names(
    "torch",
    "strided sparse_coo sparse_csr sparse_csc sparse_bsr sparse_bsc _mkldnn jagged",
)
QSCHEMES: Final = _names(
    "torch",
    "per_tensor_affine per_channel_affine per_tensor_symmetric per_channel_symmetric "
    "per_channel_affine_float_qparams",
)
REBUILDS: Final = (
    *_names(
        "torch._utils",
        "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter "
        "_rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor "
        "_rebuild_sparse_csr_tensor _rebuild_nested_tensor "
        "_rebuild_meta_tensor_no_storage _rebuild_wrapper_subclass "
        "_rebuild_device_tensor_from_numpy _rebuild_device_tensor_from_cpu_tensor",
    ),
    *_names("torch._tensor", "_rebuild_from_type_v2 _rebuild_from_type"),
    *_names("torch.serialization", "_get_layout"),
    *_names("torch.storage", "_load_from_bytes"),
    *_names("torch.nested._internal.nested_tensor", "_rebuild_njt NestedTensor"),
)
TENSORS: Final = (
    *_names("torch", "Tensor FloatTensor LongTensor BoolTensor Size device"),
    *_names("torch.sparse", "FloatTensor"),
    *_names("torch.nn.parameter", "Parameter Buffer UninitializedParameter"),
)
CONTAINERS: Final = (
    *_names("collections", "OrderedDict defaultdict Counter deque namedtuple"),
    *_names("builtins", "set frozenset list dict tuple bytearray complex int object"),
    *_names("__builtin__", "set dict long unicode"),
    *_names("_codecs", "encode"),
)
ARRAYS: Final = (
    *_names("numpy", "dtype ndarray"),
    *_names("numpy._core.multiarray", "_reconstruct scalar"),
    *_names("numpy.core.multiarray", "_reconstruct scalar"),
    *_names("numpy.random._pickle", "__randomstate_ctor"),
)
#: What no reader may let a file do.
DANGEROUS: Final = (
    *_names("os", "system getcwd"),
    *_names("posix", "system"),
    *_names("builtins", "eval exec getattr __import__ open print"),
    *_names("__builtin__", "eval apply"),
    *_names("pickle", "loads"),
    *_names("torch", "load"),
    *_names("torch.jit", "load"),
    *_names("copyreg", "_reconstructor"),
    *_names("copy_reg", "_reconstructor"),
    *_names("functools", "partial"),
    *_names("operator", "attrgetter methodcaller"),
    *_names("subprocess", "Popen"),
    *_names("", "x"),
    *_names("__main__", "x"),
)

#: Globals that stand for each other: one of them for another is a mistake that
#: still means something.
KINDS: Final = (
    DTYPES,
    STORAGES,
    LAYOUTS,
    QSCHEMES,
    REBUILDS,
    TENSORS,
    CONTAINERS,
    ARRAYS,
    DANGEROUS,
)
#: Those that are functions or classes, not values.
CALLABLE: Final = (*REBUILDS, *TENSORS, *CONTAINERS, *ARRAYS, *DANGEROUS)
GLOBALS: Final = tuple(name for kind in KINDS for name in kind)

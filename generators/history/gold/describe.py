"""What a release of torch loaded, as a description (version 1) in plain JSON.

The same nodes in the same order as `conformance.loaders.oracle` gives; that
module's words are explained in `conformance/description.py`. Runs on Python 2.7
and on torch 1.0, so it asks before it uses anything newer.
"""

from __future__ import print_function

import binascii
import collections
import ctypes
import datetime
import hashlib
import pickle
import pickletools
import struct
import sys
import types
import zipfile

import numpy as np
import torch

PY2 = sys.version_info[0] == 2
TEXT = type(b"".decode("ascii"))
if PY2:
    import copy_reg as copyreg

    import python2
else:
    import copyreg


def describe(root, encoding="utf-8"):
    """`encoding` is what Python 3 would be given to read strings of Python 2."""
    return Builder(encoding).build(root)


class Script(object):
    """A Linear that `torch.jit.load` read in this file, to be described as a record.

    The order of its attributes is that of the file: the module has none.
    """

    names = {"weight", "bias", "training", "_is_full_backward_hook"}

    def __init__(self, path):
        self.path = path
        self.module = torch.jit.load(path)

    def node(self, builder):
        record = getattr(self.module, "_c", None)
        if not hasattr(record, "_type"):
            raise TypeError("this release does not tell the class of such a module")
        with zipfile.ZipFile(self.path) as archive:
            records = archive.namelist()
            record_name = next(name for name in records if name.endswith("/data.pkl"))
            texts = [
                text for _, text, _ in pickletools.genops(archive.read(record_name))
            ]
        found = [text for text in texts if text in self.names]
        state = dict((name, getattr(self.module, name)) for name in found)
        return made("object", type=str(record._type()), state=builder.ref(state))


class Builder(object):
    def __init__(self, encoding):
        self.encoding = encoding
        self.nodes = []
        self.scalars = {}
        self.indices = {}
        self.todo = []  # holds on to every value too, so that no id is used twice
        self.storages = []
        self.storage_indices = {}

    def build(self, root):
        self.ref(root)
        for index, value in self.todo:  # grows as it goes
            self.nodes[index] = node(value, self)
        return {"version": 1, "nodes": self.nodes, "storages": self.storages}

    def ref(self, value):
        named = self.plain(value)
        if named is not None:
            return self.scalar(*named)
        index = self.indices.get(id(value))
        if index is None:
            index = self.indices[id(value)] = len(self.nodes)
            self.nodes.append(None)
            self.todo.append((index, value))
        return index

    def refs(self, values):
        return [self.ref(value) for value in values]

    def pairs(self, items):
        return [[self.ref(key), self.ref(value)] for key, value in items]

    def scalar(self, kind, text):
        index = self.scalars.get((kind, text))
        if index is None:
            index = self.scalars[kind, text] = len(self.nodes)
            self.nodes.append(made("scalar", type=kind, value=text))
        return index

    def plain(self, value):
        """The type and exact text of Python's own scalars."""
        kind = type(value)
        if value is None or value is Ellipsis or value is NotImplemented:
            return kind.__name__, ""
        if PY2 and kind is str:
            value = value.decode(self.encoding)
            kind = TEXT
        if kind is bool:
            return "bool", str(value)
        if kind is int or kind.__name__ == "long":
            number = str(value) if value.bit_length() < 2048 else "%#x" % value
            return "int", number.rstrip("L")
        if kind is float:
            return "float", bits(value)
        if kind is complex:
            return "complex", bits(value.real) + " " + bits(value.imag)
        if kind is TEXT:
            return "str", escape(value)
        if kind is bytes:
            return "bytes", hexed(value)
        return None

    def storage(self, key, read, nbytes, location=None):
        """`read()` gives the bytes, or `None` where there are none."""
        index = self.storage_indices.get(key)
        if index is None:
            index = self.storage_indices[key] = len(self.storages)
            facts = {"nbytes": nbytes}
            data = read()
            if data is not None:
                facts["sha256"] = hashlib.sha256(data).hexdigest()
            if location is not None:
                facts["location"] = location
            self.storages.append(facts)
        return index


def made(kind, **facts):
    """A node without the facts that are as usual."""
    result = {"kind": kind}
    for name, value in facts.items():
        if value is not None and value != [] and value != {} and value is not False:
            result[name] = value
    return result


def hexed(data):
    return binascii.hexlify(bytes(data)).decode("ascii")


def bits(value):
    return hexed(struct.pack(">d", value))


def escape(text):
    text = text.replace("\\", "\\\\")
    return text if PY2 else text.encode("utf-8", "backslashreplace").decode("utf-8")


#: As Python 3 reads the names in pickles of Python 2.
MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg", "exceptions": "builtins"}
NAMES = {"builtins.unicode": "builtins.str", "builtins.xrange": "builtins.range"}
#: As numpy 2 calls its types.
SCALARS = {"bool_": "bool", "unicode_": "str_", "string_": "bytes_"}


def full_name(value):
    name = getattr(value, "__qualname__", None) or value.__name__
    module = getattr(value, "__module__", None)
    if module is None:
        module = pickle.whichmodule(value, name)
    name = MODULES.get(module, module) + "." + name
    return NAMES.get(name, name)


# ----------------------------------------------------------------- plain values


def node(value, builder):
    kind = type(value)
    if kind in TYPES:
        return TYPES[kind](value, builder)
    if isinstance(value, np.generic):
        name = SCALARS.get(kind.__name__, kind.__name__)
        text = spelled(value.dtype) + " " + hexed(value.tobytes())
        return made("scalar", type="numpy." + name, value=text)
    if isinstance(value, np.dtype):
        return made("scalar", type="numpy.dtype", value=spelled(value))
    if kind.__module__.partition(".")[0] == "pathlib":
        return made("scalar", type="pathlib." + kind.__name__, value=escape(str(value)))
    if isinstance(value, torch.Tensor):
        return tensor(value, builder)
    if isinstance(value, STORAGES):
        return storage_value(value, builder)
    if isinstance(value, type(torch.float32)):
        return made("scalar", type="torch.dtype", value=str(value))
    if isinstance(value, CALLABLE):
        return made("scalar", type="global", value=full_name(value))
    return reduced(value, builder)


def sequence(name, *fields):
    def describe(value, builder):
        # Python 2 has no `fold`.
        row = [getattr(value, field, 0) for field in fields] if fields else value
        return made("sequence", type=name, items=builder.refs(row))

    return describe


def mapping(name):
    def describe(value, builder):
        parts = {}
        if isinstance(value, collections.defaultdict):
            parts["default_factory"] = builder.ref(value.default_factory)
        pairs = builder.pairs(python2.items(value) if PY2 else value.items())
        attributes = [
            (key, attribute)
            for key, attribute in getattr(value, "__dict__", {}).items()
            if not key.startswith("_OrderedDict__")  # Python 2's own links
        ]
        return made(
            "mapping",
            type=name,
            pairs=pairs,
            attributes=builder.pairs(attributes),
            parts=parts,
        )

    return describe


def members(name):
    def describe(value, builder):
        ordered = sorted(value, key=lambda member: (type(member).__name__, member))
        return made("set", type=name, members=builder.refs(ordered))

    return describe


def deque(value, builder):
    items = builder.refs(value)
    parts = {"maxlen": builder.ref(value.maxlen)}
    return made("sequence", type="collections.deque", items=items, parts=parts)


def timezone(value, builder):
    items = builder.refs(value.__getinitargs__())
    return made("sequence", type="datetime.timezone", items=items)


def array(value, builder):
    facts = {"type": "numpy.ndarray", "dtype": spelled(value.dtype)}
    if value.dtype.hasobject:
        facts["items"] = builder.refs(value.ravel().tolist())
    elif value.nbytes:
        facts["storage"] = builder.storage(id(value), value.tobytes, value.nbytes)
    return made("array", shape=list(value.shape), **facts)


def spelled(dtype):
    if dtype.fields is not None or dtype.subdtype is not None:
        return repr(dtype)[6:-1]
    return dtype.str


def old_range(value, builder):
    return made("sequence", type="range", items=builder.refs(value.__reduce__()[1]))


def old_instance(value, builder):
    """An instance of a class of Python 2 that does not inherit from `object`."""
    get = getattr(value, "__getinitargs__", tuple)
    args, state = builder.refs(get()), builder.ref(value.__dict__)
    return made("object", type=full_name(value.__class__), args=args, state=state)


DATE = ("year", "month", "day")
TIME = ("hour", "minute", "second", "microsecond", "tzinfo", "fold")
DELTA = ("days", "seconds", "microseconds")
RANGE = ("start", "stop", "step")

TYPES = {
    list: sequence("list"),
    tuple: sequence("tuple"),
    set: members("set"),
    frozenset: members("frozenset"),
    dict: mapping("dict"),
    collections.OrderedDict: mapping("collections.OrderedDict"),
    collections.Counter: mapping("collections.Counter"),
    collections.defaultdict: mapping("collections.defaultdict"),
    collections.deque: deque,
    bytearray: lambda value, _: made("scalar", type="bytearray", value=hexed(value)),
    slice: sequence("slice", *RANGE),
    datetime.date: sequence("datetime.date", *DATE),
    datetime.time: sequence("datetime.time", *TIME),
    datetime.datetime: sequence("datetime.datetime", *(DATE + TIME)),
    datetime.timedelta: sequence("datetime.timedelta", *DELTA),
    np.ndarray: array,
    torch.Size: sequence("torch.Size"),
    Script: lambda value, builder: value.node(builder),
}
for name in ("device", "layout", "qscheme"):
    if hasattr(torch, name):
        TYPES[getattr(torch, name)] = lambda value, _, name=name: made(
            "scalar", type="torch." + name, value=str(value)
        )
CALLABLE = (type, types.FunctionType, types.BuiltinFunctionType)
if PY2:
    TYPES[xrange] = old_range  # noqa: F821
    TYPES[types.InstanceType] = old_instance
    CALLABLE += (types.ClassType,)
else:
    TYPES[range] = sequence("range", *RANGE)
    TYPES[datetime.timezone] = timezone


def reduced(value, builder):
    """A live object, as it would pickle itself."""
    reduce = copyreg.dispatch_table.get(type(value))
    found = reduce(value) if reduce else value.__reduce_ex__(2)
    if not isinstance(found, tuple):
        name = pickle.whichmodule(value, found) + "." + found
        return made("scalar", type="global", value=name)
    callee, args, state, listitems, dictitems = (tuple(found) + (None,) * 3)[:5]
    kwargs = {}
    if callee is getattr and isinstance(args[0], type):
        name = full_name(args[0]) + "." + args[1]
        return made("scalar", type="global", value=name)
    if callee.__name__ == "__newobj__":
        callee, args = args[0], args[1:]
    elif callee.__name__ == "__newobj_ex__":
        callee, args, kwargs = args
    facts = [
        ("args", builder.refs(args)),
        ("kwargs", builder.pairs(kwargs.items())),
        ("state", None if state is None else builder.ref(state)),
        ("listitems", builder.refs(listitems or ())),
        ("dictitems", builder.pairs(dictitems or ())),
    ]
    return made("object", type=full_name(callee), **dict(facts))


# --------------------------------------------------------------- torch's values

#: The classes of typed storages, before storages told their dtype.
STORAGE_DTYPES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2",
}
STORAGES = tuple(
    getattr(torch.storage, name)
    for name in ("_StorageBase", "TypedStorage", "_TypedStorage")
    if hasattr(torch.storage, name)
)
#: The accessors of what a sparse tensor is made of, per layout.
SPARSE = {
    "sparse_coo": ("_indices", "_values"),
    "sparse_csr": ("crow_indices", "col_indices", "values"),
    "sparse_csc": ("ccol_indices", "row_indices", "values"),
    "sparse_bsr": ("crow_indices", "col_indices", "values"),
    "sparse_bsc": ("ccol_indices", "row_indices", "values"),
}
JAGGED = ("values", "offsets", "lengths", "ragged_idx", "metadata_cache")


def short(value):
    return str(value).replace("torch.", "")


def untyped(storage):
    """The storage under a typed one, where the release knows the difference."""
    for name in ("_untyped_storage", "_storage"):
        if hasattr(storage, name):
            return getattr(storage, name)
    return storage


def storage_index(storage, builder):
    storage = untyped(storage)
    if hasattr(storage, "nbytes"):
        nbytes = storage.nbytes()
    else:
        nbytes = storage.size() * storage.element_size()
    device = str(getattr(storage, "device", "cpu"))

    def read():
        if device == "meta":
            return None
        return ctypes.string_at(storage.data_ptr(), nbytes) if nbytes else b""

    return builder.storage(storage._cdata, read, nbytes, device)


def storage_value(value, builder):
    name = type(value).__name__
    facts = {"type": "torch.storage.UntypedStorage"}
    if name in STORAGE_DTYPES or hasattr(value, "dtype"):
        dtype = STORAGE_DTYPES[name] if name in STORAGE_DTYPES else short(value.dtype)
        facts = {"type": "torch.storage.TypedStorage", "dtype": dtype}
    return made("storage", storage=storage_index(value, builder), **facts)


def tensor(value, builder):
    layout = short(value.layout)
    nested = getattr(value, "is_nested", False)
    attributes = dict(value.__dict__)
    parts = []
    facts = {}
    if layout in SPARSE:
        inner = value.detach()
        parts = [(get.strip("_"), getattr(inner, get)()) for get in SPARSE[layout]]
        if layout == "sparse_coo":
            parts.append(("is_coalesced", value.is_coalesced()))
        facts["shape"] = list(value.size())
    elif layout == "jagged":
        parts = [(name, getattr(value, "_" + name)) for name in JAGGED]
        sizes = value._size
        facts["shape"] = [size if isinstance(size, int) else -1 for size in sizes]
        for made_anew in ("_size", "_strides"):
            attributes.pop(made_anew, None)
    elif nested:
        layout = "nested"
        parts = nested_parts(value)
        facts["shape"] = [value.size(0)] + [-1] * (value.dim() - 1)
    else:
        facts["shape"] = list(value.size())
        facts["stride"] = list(value.stride())
        facts["storage_offset"] = value.storage_offset() or None
        if getattr(value, "is_quantized", False):
            parts = quantizer(value)
        facts["storage"] = tensor_storage(value, builder)
    facts["attributes"] = builder.pairs(attributes.items())
    facts["parts"] = dict((name, builder.ref(part)) for name, part in parts)
    facts.update(
        type=full_name(type(value)),
        dtype=short(value.dtype),
        device=str(value.device) if str(value.device) != "cpu" else None,
        layout=layout if layout != "strided" else None,
        requires_grad=value.requires_grad,
        is_conj=hasattr(value, "is_conj") and value.is_conj(),
        is_neg=hasattr(value, "is_neg") and value.is_neg(),
    )
    result = made("tensor", **facts)
    if facts.get("stride") == []:
        result["stride"] = []  # where nothing would mean: no such thing
    return result


def tensor_storage(value, builder):
    if hasattr(value, "untyped_storage"):
        return storage_index(value.untyped_storage(), builder)
    if str(value.device) == "meta":  # which had no storages to show before 2.0
        spans = [(n - 1) * step for n, step in zip(value.size(), value.stride())]
        nbytes = value.element_size() * (1 + sum(spans)) if value.numel() else 0
        return builder.storage(id(value), lambda: None, nbytes, "meta")
    return storage_index(value.storage(), builder)


def nested_parts(value):
    return [
        ("values", value.detach().values()),
        ("sizes", value._nested_tensor_size()),
        ("strides", value._nested_tensor_strides()),
        ("storage_offsets", value._nested_tensor_storage_offsets()),
    ]


def quantizer(value):
    scheme = "per_tensor_affine"
    if hasattr(value, "qscheme"):  # 1.2 has one scheme alone
        scheme = short(value.qscheme())
    names = ("scales", "zero_points", "axis")
    parts = [(name, "q_per_channel_" + name) for name in names]
    if scheme == "per_tensor_affine":
        parts = [("scale", "q_scale"), ("zero_point", "q_zero_point")]
    found = [(name, getattr(value, get)()) for name, get in parts]
    return [("qscheme", scheme)] + found

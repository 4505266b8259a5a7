"""The pickle machine: opcodes, the memo, arguments and states."""

from __future__ import annotations

import io
import pickle
import struct

import torch

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
from .registry import case

ONE = {"0": floats(1.0)}


def saved(tree: object, protocol: int) -> bytes:
    """What `torch.save` writes."""
    file = io.BytesIO()
    torch.save(tree, file, pickle_protocol=protocol)
    return file.getvalue()


@case("opcode:FRAME", valid=True)
def protocol_4() -> bytes:
    """A state dict that torch itself saved with pickle protocol 4."""
    return saved({"weight": torch.arange(4.0)}, 4)


@case("opcode:FRAME")
def frame_crossed() -> bytes:
    """A frame that ends in the middle of a string."""
    text = pickle.SHORT_BINUNICODE + b"\5epoch" + pickle.STOP
    frame = pickle.FRAME + struct.pack("<Q", 4)
    return archive(pickle.PROTO + b"\4" + frame + text)


@case("opcode:BYTEARRAY8", valid=True)
def protocol_5() -> bytes:
    """A bytearray and a tensor that torch itself saved with pickle protocol 5."""
    return saved({"data": bytearray(b"abc"), "weight": torch.arange(4.0)}, 5)


@case("opcode:LONG4", valid=True)
def long4() -> bytes:
    """An integer of 256 bytes, for which protocol 2 has LONG4."""
    return archive({"big": 1 << 2040})


@case("opcode:DICT", valid=True)
def text_opcodes() -> bytes:
    """A dict of protocol 0: INT, LONG, FLOAT, STRING, UNICODE, DICT, GET, PUT."""
    parts = (
        b"I1\n", b"L2L\n", b"F0.5\n", b"S'text'\np0\n", b"Vtext\n", b"g0\n",
    )  # fmt: skip
    keys = (f"V{number}\n".encode() for number in range(len(parts)))
    pairs = b"".join(key + part for key, part in zip(keys, parts, strict=True))
    return archive(pickle.MARK + pairs + pickle.DICT + pickle.STOP)


@case("opcode:ADDITEMS", valid=True)
def set_by_additems() -> bytes:
    """A set that is filled by ADDITEMS."""
    return archive(
        Piece(pickle.EMPTY_SET + pickle.MARK + value(1) + value(2) + pickle.ADDITEMS)
    )


@case("opcode:PROTO")
def protocol_9() -> bytes:
    """A pickle that says it is of protocol 9, and uses opcodes of 2."""
    return archive(dump({"weight": tensor(storage("FloatStorage", 1), (1,))}, 9), ONE)


@case("opcode:PUT")
def memo_index_huge() -> bytes:
    """A value that is put into the memo at index 2^61."""
    return archive(b"I7\np2305843009213693952\n.")


@case("opcode:REDUCE")
def arguments_in_a_list() -> bytes:
    """REDUCE whose arguments are a list and no tuple."""
    return archive(Piece(name("collections.OrderedDict") + value([]) + pickle.REDUCE))


@case("build:collections.OrderedDict")
def ordered_dict_built_with_none() -> bytes:
    """BUILD of an OrderedDict with None."""
    return archive(build(call("collections.OrderedDict"), None))


@case("build:collections.OrderedDict")
def ordered_dict_built_with_pair() -> bytes:
    """BUILD of an OrderedDict with a dict and slots: `(None, {'a': 1})`."""
    return archive(build(call("collections.OrderedDict"), (None, {"a": 1})))


@case("build:collections.OrderedDict")
def ordered_dict_built_with_pairs() -> bytes:
    """BUILD of an OrderedDict with a list of pairs, of which there are none."""
    return archive(build(call("collections.OrderedDict"), []))


@case("opcode:NEWOBJ")
def newobj_of_function() -> bytes:
    """NEWOBJ of a function: `_codecs.encode`."""
    return archive(new("_codecs.encode", "abc", "latin1"))


@case("opcode:NEWOBJ")
def newobj_of_what_a_call_made() -> bytes:
    """NEWOBJ of what a call made, which may be a class."""
    made = call("builtins.getattr", name("uuid.UUID"), "int", None)
    return archive(Piece(made + pickle.EMPTY_TUPLE + pickle.NEWOBJ))


@case("opcode:BUILD")
def built_twice() -> bytes:
    """An object that BUILD gives a state twice."""
    return archive(build(build(new("uuid.UUID"), {"int": 1}), {"int": 2}))


@case("opcode:SETITEM")
def setitem_on_list() -> bytes:
    """SETITEM on a list: its first item is replaced."""
    return archive(Piece(value([1]) + value(0) + value(2) + pickle.SETITEM))


@case("builtins.bytearray")
def append_to_bytearray() -> bytes:
    """APPENDS to a bytearray."""
    begin = call("builtins.bytearray")
    return archive(Piece(begin + pickle.MARK + value(65) + pickle.APPENDS))


@case("opcode:SETITEM")
def setitem_on_array() -> bytes:
    """SETITEM on a numpy array: its only element is replaced."""
    dtype = build(
        call("numpy.dtype", "u1", False, True), (3, "|", None, None, None, -1, -1, 0)
    )
    begin = call("numpy.ndarray", (0,), dtype)
    begin = call(
        "numpy._core.multiarray._reconstruct", name("numpy.ndarray"), (0,), "b"
    )
    array = build(begin, (1, (1,), dtype, False, Piece(b"C\x01a")))
    return archive(Piece(array + value(0) + value(66) + pickle.SETITEM))


@case("opcode:READONLY_BUFFER")
def readonly_bytearray() -> bytes:
    """READONLY_BUFFER of a bytearray."""
    return archive(
        Piece(pickle.BYTEARRAY8 + struct.pack("<Q", 1) + b"a" + pickle.READONLY_BUFFER)
    )


@case("persistent-id:module")
def module_of_allowed_class() -> bytes:
    """A legacy stream with the persistent id `('module', torch.Size, ...)`."""
    pid = ("module", name("torch.Size"), "size.py", "class Size: pass")
    return legacy(Piece(value(pid) + pickle.BINPERSID))


@case("opcode:BUILD")
def attribute_named_by_int() -> bytes:
    """BUILD of an OrderedDict with `{1: 2}`: an attribute whose name is no string."""
    return archive(build(call("collections.OrderedDict"), {1: 2}))


@case("opcode:INT")
def integer_octal() -> bytes:
    """An integer of protocol 0 in digits that C pickle takes for octal."""
    return archive(b"I010\n" + pickle.STOP)


@case("opcode:APPENDS")
def nothing_appended() -> bytes:
    """APPENDS of no items to what is no list."""
    return archive(pickle.NONE + pickle.MARK + pickle.APPENDS + pickle.STOP)


@case("opcode:BUILD")
def list_built_with_none() -> bytes:
    """BUILD of a list with the state None."""
    return archive(pickle.EMPTY_LIST + pickle.NONE + pickle.BUILD + pickle.STOP)


@case("opcode:BUILD")
def set_built_with_none() -> bytes:
    """BUILD of a set, which weights_only=True allows, with the state None."""
    return archive(build(call("builtins.set", [1]), None))


@case("opcode:REDUCE")
def arguments_in_a_dict() -> bytes:
    """REDUCE whose arguments are the keys of a dict, of which there are none."""
    return archive(name("builtins.set") + pickle.EMPTY_DICT + pickle.REDUCE + b".")

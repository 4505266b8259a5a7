"""Legacy streams, piece by piece, as torch 0.1.10 to today wrote them.

A stream is five pickles and then, for each key, a count and raw bytes. The
tree and the persistent ids are assembled opcodes (`pickles`), so that any part
can be wrong. Standard library only.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from tests.builders import pickles as p

MAGIC: Final = 0x1950A86A20F9469CFC6C
VERSION: Final = 1001
ABOUT: Final = {
    "protocol_version": VERSION,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}


def persistent(*parts: Any) -> p.Assembled:
    """A persistent id, which is a tuple."""
    return p.Assembled(p.args(*parts) + p.BINPERSID)


def class_name(full: str) -> p.Assembled:
    """A GLOBAL; the last dot divides module and name."""
    module, _, name = full.rpartition(".")
    return p.Assembled(p.GLOBAL(module, name))


def storage(
    kind: str, key: Any, numel: Any, *view: Any, location: Any = "cpu"
) -> p.Assembled:
    """The id of a storage. A legacy stream has one part more, the `view`:
    `None`, or its own key, an offset and a size in elements.
    """
    cls = class_name(kind if "." in kind else f"torch.{kind}")
    return persistent("storage", cls, key, location, numel, *view)


def module(cls: str, *source: Any) -> p.Assembled:
    """The id of a module's class: the file it came from, and its source code."""
    return persistent("module", class_name(cls), *source)


def tensor(storage: Any, size: Any, stride: Any = (1,), offset: Any = 0) -> p.Assembled:
    """`_rebuild_tensor`, the oldest of them."""
    return p.call("torch._utils._rebuild_tensor", storage, offset, size, stride)


def floats(*numbers: float) -> tuple[int, bytes]:
    """What a storage of float32 holds: its count, its bytes."""
    return len(numbers), struct.pack(f"<{len(numbers)}f", *numbers)


def dump(tree: Any, protocol: int = 2) -> bytes:
    """One pickle."""
    begin = p.PROTO(protocol) if protocol >= 2 else b""
    return p.pickle(begin, p.value(tree))


def stream(
    tree: Any,
    keys: Any = (),
    *contents: tuple[int, bytes],
    protocol: int = 2,
    magic: Any = MAGIC,
    version: Any = VERSION,
    about: Any = ABOUT,
) -> bytes:
    """A whole stream; `contents` are counts and bytes, in the order of `keys`."""
    if isinstance(keys, tuple):
        keys = list(keys)
    head = (magic, version, about, tree, keys)
    return b"".join(dump(part, protocol) for part in head) + b"".join(
        struct.pack("<q", count) + data for count, data in contents
    )


def python2(value: Any) -> p.Assembled:
    """The same value as Python 2 would have pickled it: strings of bytes."""
    if isinstance(value, (p.Assembled, int, float, type(None))):
        return p.value(value)
    write: Callable[..., p.Assembled] = _PYTHON2[type(value)]
    return write(value)


_PYTHON2: Final[dict[type, Callable[..., p.Assembled]]] = {
    bytes: lambda text: p.Assembled(p.SHORT_BINSTRING(text)),
    str: lambda text: p.Assembled(p.SHORT_BINSTRING(text.encode())),
    list: lambda items: p.value([python2(item) for item in items]),
    tuple: lambda items: p.value(tuple(python2(item) for item in items)),
    dict: lambda pairs: p.Assembled(
        p.EMPTY_DICT
        + p.MARK
        + b"".join(python2(key) + python2(item) for key, item in pairs.items())
        + p.SETITEMS
    ),
}

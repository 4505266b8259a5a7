"""Legacy tars, which torch wrote before 0.2."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
from collections.abc import Mapping
from typing import Any, Final

from ...handmade import Piece, build, call, floats, longs, name, value
from ..registry import written
from ..wrong.streams import counted
from .tarring import Shown, members, number, tar

NUMBER: Final = "persistent-id:number"
#: torch refuses every tar under weights_only=True.
CLAIMS: Final[dict[str, Any]] = {"label": "built", "flags": ("weights-only-refuses",)}

FOUR: Final = ("FloatStorage", 4, floats(1.0, 2.0, 3.0, 4.0))


def of_one(root: Any = None, **options: Any) -> dict[str, bytes]:
    """The members of a tar with one storage of four floats, and a matrix on it."""
    root = {"weight": number(2)} if root is None else root
    return members(root, {1: FOUR}, {2: Shown(1, (2, 2))}, **options)


# ----------------------------------------------------------------------- trees


@written("container:tar", **CLAIMS)
def matrix() -> bytes:
    """A dict of one tensor of two dimensions."""
    return tar(of_one())


@written("container:tar", **CLAIMS)
def of_no_tensors() -> bytes:
    """A dict without tensors: no rows in the other two members."""
    return tar(members({"lr": 0.5, "epoch": 3}, {}, {}))


@written(NUMBER, **CLAIMS)
def tensor_alone() -> bytes:
    """A tensor that is the whole object."""
    return tar(of_one(number(2)))


@written(NUMBER, **CLAIMS)
def tensor_twice() -> bytes:
    """One tensor in two places: both are the same object."""
    return tar(of_one([number(2), number(2)]))


@written(NUMBER, **CLAIMS)
def several() -> bytes:
    """Three tensors in two storages, with numbers in no order."""
    storages = {9: FOUR, 4: ("FloatStorage", 1, floats(7.0))}
    tensors = {30: Shown(4, (1,)), 2: Shown(9, (4,)), 11: Shown(9, (2,), None, 2)}
    tree = {"a": number(2), "b": [number(11), number(30)]}
    return tar(members(tree, storages, tensors))


DTYPES: Final[dict[str, tuple[str, int, bytes]]] = {
    "float64": ("Double", 2, struct.pack("<2d", 0.5, -1.0)),
    "float16": ("Half", 2, struct.pack("<2e", 0.5, -1.0)),
    "int64": ("Long", 2, longs(1 << 40, -1)),
    "int32": ("Int", 2, struct.pack("<2i", 1 << 20, -1)),
    "int16": ("Short", 2, struct.pack("<2h", 1 << 10, -1)),
    "int8": ("Char", 2, b"\x01\xff"),
    "uint8": ("Byte", 2, b"\x01\xff"),
}


@written(NUMBER, each=DTYPES, **CLAIMS)
def dtype(kind: str, numel: int, data: bytes) -> bytes:
    """A tensor of {key}."""
    shown = Shown(1, (numel,), type=f"{kind}Tensor")
    return tar(members(number(2), {1: (f"{kind}Storage", numel, data)}, {2: shown}))


@written(NUMBER, **CLAIMS)
def dtypes() -> bytes:
    """Storages of seven dtypes, and a tensor on each."""
    storages = {
        n: (f"{kind}Storage", numel, data)
        for n, (kind, numel, data) in enumerate(DTYPES.values())
    }
    tensors = {
        10 + n: Shown(n, (numel,), type=f"{kind}Tensor")
        for n, (kind, numel, _) in enumerate(DTYPES.values())
    }
    return tar(members([number(n) for n in tensors], storages, tensors))


SHAPES: Final[dict[str, tuple[Shown, str]]] = {
    "scalar": (Shown(1, (), None, 3), "no dimensions"),
    "transposed": (Shown(1, (2, 2), (1, 2)), "stride (1, 2)"),
    "offset": (Shown(1, (2,), None, 1), "storage offset 1"),
    "every_second": (Shown(1, (2,), (2,)), "stride 2"),
    "expanded": (Shown(1, (3, 4), (0, 1)), "stride 0"),
    "empty": (Shown(1, (0, 7), (1, 1)), "no elements"),
    "of_5_dimensions": (Shown(1, (1, 2, 1, 2, 1)), "five dimensions"),
}


@written(NUMBER, each=SHAPES, **CLAIMS)
def view(shown: Shown, what: str) -> bytes:
    """A tensor with {what} on a storage of four elements."""
    return tar(members(number(2), {1: FOUR}, {2: shown}))


@written(NUMBER, **CLAIMS)
def shared_storage() -> bytes:
    """Two tensors on one storage, and the storage itself."""
    tensors = {2: Shown(1, (3,)), 3: Shown(1, (2,), (2,), 1)}
    return tar(members([number(2), number(3), number(1)], {1: FOUR}, tensors))


@written(NUMBER, **CLAIMS)
def storage_alone() -> bytes:
    """A storage, and no tensor."""
    return tar(members(number(1), {1: FOUR}, {}))


@written(NUMBER, **CLAIMS)
def empty_storage() -> bytes:
    """A storage without elements, and a tensor on it."""
    storages = {1: ("FloatStorage", 0, b"")}
    return tar(members(number(2), storages, {2: Shown(1, (0,))}))


@written(NUMBER, **CLAIMS)
def storage_views() -> bytes:
    """Parts of a storage: in its middle, of another part, and past its end."""
    views = ((5, 1, 1, 2), (6, 5, 1, 1), (7, 1, 3, 9))
    tensors = {2: Shown(5, (2,))}
    tree = [number(n) for n in (2, 5, 6, 7, 1)]
    return tar(members(tree, {1: FOUR}, tensors, views))


@written(NUMBER, **CLAIMS)
def rows_of_no_use() -> bytes:
    """A storage and a tensor that the object does not name."""
    storages = {1: FOUR, 3: ("LongStorage", 1, longs(5))}
    tensors = {2: Shown(1, (4,)), 4: Shown(3, (1,), type="LongTensor")}
    return tar(members(number(2), storages, tensors))


# ---------------------------------------------------------------- persistent ids


@written(
    NUMBER,
    each={
        "int": (2,),
        "zeros": ("002",),
        "arabic": ("\N{ARABIC-INDIC DIGIT TWO}",),
        "python_2": (Piece(counted(pickle.SHORT_BINSTRING, b"2")),),
    },
    **CLAIMS,
)
def number_as(key: Any) -> bytes:
    """The number of a tensor, spelled in another way ({key})."""
    return tar(of_one(Piece(value(key) + pickle.BINPERSID)))


@written("opcode:PERSID", **CLAIMS)
def number_as_text() -> bytes:
    """The number of a tensor by PERSID, the opcode of protocol 0."""
    return tar(of_one(Piece(pickle.PERSID + b"2\n")))


@written("persistent-id:module", **CLAIMS)
def module() -> bytes:
    """A module's class with its source, an object of it, and a tensor in that."""
    pid = (name("torch.nn.modules.linear.Linear"), "linear.py", "class Linear: ...\n")
    kind = value(pid) + pickle.BINPERSID
    made = Piece(kind + pickle.EMPTY_TUPLE + pickle.NEWOBJ)
    return tar(of_one(build(made, {"weight": number(2)})))


@written("torch._utils._rebuild_tensor", directory="tars", **CLAIMS)
def rebuilt() -> bytes:
    """A tensor that a function rebuilds of a storage of the tar."""
    root = call("torch._utils._rebuild_tensor", number(1), 1, (2,), (1,))
    return tar(of_one(root))


@written("build:torch.Tensor", directory="tars", **CLAIMS)
def built() -> bytes:
    """A tensor that BUILD fills with a storage of the tar."""
    state = (number(1), 0, (2, 2), (2, 1))
    return tar(of_one(build(call("torch.FloatTensor"), state)))


@written("opcode:SHORT_BINSTRING", flags=("weights-only-refuses", "python-2"),
         label="built", encoding="latin1")  # fmt: skip
def python_2() -> bytes:
    """A dict with a `str` of Python 2 for a key, in Latin-1."""
    key = counted(pickle.SHORT_BINSTRING, b"gr\xf6\xdfe")
    item = key + number(2) + pickle.SETITEM
    return tar(of_one(Piece(pickle.EMPTY_DICT + item)))


# --------------------------------------------------------------------- headers


def written_as(form: int, contents: Mapping[str, bytes], **facts: Any) -> bytes:
    """A tar of one of `tarfile`'s formats, with facts about each member."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for label, data in contents.items():
            member = tarfile.TarInfo(label)
            member.size = len(data)
            for fact, what in facts.items():
                setattr(member, fact, what)
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()[: archive.offset]


@written(
    "container:tar",
    each={"ustar": (tarfile.USTAR_FORMAT,), "gnu": (tarfile.GNU_FORMAT,)},
    **CLAIMS,
)
def owned(form: int) -> bytes:
    """A {key} tar with owners, times and modes."""
    return written_as(
        form, of_one(), mtime=1_484_000_000, mode=0o640, uid=1000, gid=100,
        uname="user", gname="users",
    )  # fmt: skip


@written("container:tar", **CLAIMS)
def pax_headers() -> bytes:
    """A pax tar whose members have extended headers, for times in fractions."""
    return written_as(tarfile.PAX_FORMAT, of_one(), mtime=1_484_000_000.5)


@written("container:tar", **CLAIMS)
def folder_and_others() -> bytes:
    """A tar with a folder, a link and a file that torch does not look for."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for label, kind in (("extra", tarfile.DIRTYPE), ("latest", tarfile.SYMTYPE)):
            member = tarfile.TarInfo(label)
            member.type, member.linkname = kind, "pickle"
            archive.addfile(member)
    others = file.getvalue()[: archive.offset - 1024]
    return others + tar({"notes": b"not read", **of_one()})


@written("container:tar", **CLAIMS)
def members_in_another_order() -> bytes:
    """The member `pickle` before the storages and tensors that it names."""
    contents = of_one()
    return tar({key: contents[key] for key in ("pickle", "tensors", "storages")})


@written("container:tar", **CLAIMS)
def member_twice() -> bytes:
    """Two members called `pickle`: the last one counts."""
    old = tar({"pickle": of_one({"epoch": 1})["pickle"]})[:-1024]
    return old + tar(of_one())


@written(
    "container:tar",
    each={
        "missing": (b"",),
        "of_one_block": (bytes(512),),
        "of_20_blocks": (bytes(20 * 512),),
        "with_junk": (bytes(1024) + b"junk" * 50,),
    },
    **CLAIMS,
)
def end(tail: bytes) -> bytes:
    """The two empty blocks at the end: {key}."""
    return tar(of_one())[:-1024] + tail

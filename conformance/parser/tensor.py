"""What a checkpoint is made of: tensors, storages, and inert objects.

All of these are values: nothing here reads a file, except that a storage
fetches its bytes when they are first asked for. A tensor is a view of a
storage, as in torch; two tensors share memory when their `storage` is the same
object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .dtypes import DTYPES, DTypeInfo
from .errors import LimitExceeded, Malformed, Uninitialised, Unsupported, quote

#: Where a storage's bytes come from: at hand, fetched on first use, or (with
#: no bytes at all, as on torch's `meta` device) from nowhere.
Source = memoryview | Callable[[], memoryview] | None


#: The swap unit of a big-endian `UntypedStorage`, until somebody knows it.
UNKNOWN_SWAP: Final = 0


class Storage:
    """A flat run of bytes, and the dtype that its first user gave it.

    `dtype` is torch's name of the element type, `nbytes` the size in bytes,
    `location` the device tag in the file (`"cpu"`, `"cuda:0"`, ...), `key` the
    name under which the file keeps it. In torch terms: a
    `torch.storage.TypedStorage` around its `UntypedStorage`.
    """

    __slots__ = (
        "__weakref__",
        "_source",
        "_swap",
        "dtype",
        "examined",
        "key",
        "location",
        "nbytes",
    )

    def __init__(
        self,
        dtype: str,
        nbytes: int,
        location: str = "cpu",
        key: str = "",
        source: Source = None,
        *,
        swap: int = 1,
    ) -> None:
        self.dtype = dtype
        self.nbytes = nbytes
        self.location = location
        self.key = key
        self._source: Source = source
        #: How many of its bytes checks have read, some of them again and again.
        self.examined = 0
        # Bytes in a unit whose order is to be turned round; 1 is none, and
        # negative a unit that a rebuild function, not the storage, knew.
        self._swap = swap

    @property
    def data(self) -> memoryview:
        """All the bytes, little-endian, read-only; fetched on first use.

        Raises `Uninitialised` where the file holds none (a meta tensor).
        """
        source = self._source
        if source is None:
            if self.nbytes == 0:
                return memoryview(b"")
            raise Uninitialised(
                f"the storage {quote(self.key)} on {quote(self.location)} has no bytes",
                phase="rebuild",
            )
        if not isinstance(source, memoryview):
            source = source()
        unit = abs(self._swap)
        if unit > 1:
            whole = self.nbytes - self.nbytes % unit
            units = np.frombuffer(source[:whole], dtype=f">u{unit}")
            swapped = units.astype(f"<u{unit}").tobytes() + bytes(source[whole:])
            source = memoryview(swapped)
            self._swap = 1
        self._source = source
        return source

    def fill(self, source: Source) -> None:
        """Says where the bytes are, once the container has come to them."""
        self._source = source

    def interpret(self, swap: int) -> None:
        """Says in which units a big-endian storage without a dtype is swapped.

        `_rebuild_tensor_v3` knows the dtype that its storage does not have.
        Raises `Unsupported` when two tensors disagree: no order suits both.
        """
        if self._swap == UNKNOWN_SWAP:
            self._swap = -swap
        elif self._swap < 0 and self._swap != -swap:
            raise Unsupported(
                "a big-endian storage under dtypes of different sizes", phase="rebuild"
            )

    @property
    def has_data(self) -> bool:
        """Whether the file holds bytes for this storage."""
        return self._source is not None or self.nbytes == 0

    def __repr__(self) -> str:
        return (
            f"Storage(dtype={self.dtype!r}, nbytes={self.nbytes}, "
            f"location={self.location!r}, key={self.key!r})"
        )


class Tensor:
    """A tensor as the file describes it; numbers only when asked for.

    `shape` and `stride` count elements, as does `storage_offset`. `type` is the
    full name of the class, `layout` one of `strided`, `sparse_coo`,
    `sparse_csr`, `sparse_csc`, `sparse_bsr`, `sparse_bsc`, `nested` (torch
    calls that one strided) and `jagged`. `parts` holds what a tensor without
    elements of its own is made of, under torch's accessor names (`indices`,
    `values`, `crow_indices`, `scales`, ...). `attributes` is the `__dict__` of
    a subclass, or of a tensor that carries attributes; `state` is what
    `__setstate__` would get from a subclass whose state is no dict.
    """

    __slots__ = (
        "__weakref__",
        "_attributes",
        "_device",
        "_dtype",
        "_is_conj",
        "_is_neg",
        "_layout",
        "_parts",
        "_requires_grad",
        "_shape",
        "_state",
        "_storage",
        "_storage_offset",
        "_stride",
        "_type",
    )

    def __init__(
        self,
        dtype: str,
        shape: tuple[int, ...],
        stride: tuple[int, ...] | None,
        storage_offset: int = 0,
        storage: Storage | None = None,
        requires_grad: bool = False,
        layout: str = "strided",
        device: str = "cpu",
        is_conj: bool = False,
        is_neg: bool = False,
        type: str = "torch.Tensor",
        parts: dict[str, Any] | None = None,
        attributes: dict[Any, Any] | None = None,
        state: Any = None,
    ) -> None:
        self._dtype = dtype
        self._shape = shape
        self._stride = stride
        self._storage_offset = storage_offset
        self._storage = storage
        self._requires_grad = requires_grad
        self._layout = layout
        self._device = device
        self._is_conj = is_conj
        self._is_neg = is_neg
        self._type = type
        self._parts = parts
        self._attributes = attributes
        self._state = state

    @property
    def dtype(self) -> str:
        """torch's name of the dtype, without the prefix: `"bfloat16"`."""
        return self._dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension, in elements."""
        return self._shape

    @property
    def stride(self) -> tuple[int, ...] | None:
        """Elements from one index to the next; `None` where there is no such thing."""
        return self._stride

    @property
    def storage_offset(self) -> int:
        """Where in the storage the first element lies, in elements."""
        return self._storage_offset

    @property
    def storage(self) -> Storage | None:
        """The bytes under this tensor; the same object where torch would share."""
        return self._storage

    @property
    def requires_grad(self) -> bool:
        """Whether torch would record operations on it."""
        return self._requires_grad

    @property
    def layout(self) -> str:
        """`"strided"`, `"sparse_coo"`, ..., `"nested"`, `"jagged"`."""
        return self._layout

    @property
    def device(self) -> str:
        """The device tag in the file; nothing is moved there."""
        return self._device

    @property
    def is_conj(self) -> bool:
        """Whether reading an element conjugates it (the bytes stay)."""
        return self._is_conj

    @property
    def is_neg(self) -> bool:
        """Whether reading an element negates it (the bytes stay)."""
        return self._is_neg

    @property
    def type(self) -> str:
        """The full name of the class: `"torch.nn.parameter.Parameter"`."""
        return self._type

    @property
    def parts(self) -> dict[str, Any]:
        """What a sparse, quantized, nested or wrapping tensor is made of."""
        return {} if self._parts is None else self._parts

    @property
    def attributes(self) -> dict[Any, Any]:
        """The Python attributes that the file gives the tensor."""
        return {} if self._attributes is None else self._attributes

    @property
    def state(self) -> Any:
        """A subclass's state that is no dict of attributes; else `None`."""
        return self._state

    @property
    def numel(self) -> int:
        """The number of elements; in a nested tensor, of those in its buffer."""
        if -1 in self._shape:
            return int(self.parts["values"].numel)
        count = 1
        for size in self._shape:
            count *= size
        return count

    def _take_view(self, other: Tensor) -> None:
        """`set_()`: this tensor now looks at what another one looks at."""
        self._shape, self._stride = other._shape, other._stride
        self._storage, self._storage_offset = other._storage, other._storage_offset
        self._layout, self._parts = other._layout, other._parts
        self._device = other._device

    def numpy(self) -> npt.NDArray[Any]:
        """The elements as a numpy array, without copying where numpy can say it.

        bfloat16 and float8 come as ml_dtypes types; quantized tensors give
        their integers, packed ones unpacked to a byte each; conj and neg bits
        are resolved in a copy. The array is read-only when it shows the file's
        own bytes. Raises `Unsupported` for sparse and nested tensors (see
        `parts`), for shapes that numpy cannot say and for what torch cannot
        negate, `Uninitialised` for meta tensors.
        """
        info = DTYPES[self._dtype]
        if self._layout != "strided" or self._stride is None:
            raise Unsupported(
                f"a {self._layout} tensor has no array of its own; see its parts",
                phase="rebuild",
            )
        if self._storage is None:
            raise Uninitialised(
                f"a {quote(self._type)} on {quote(self._device)} holds no elements",
                phase="rebuild",
            )
        data, offset = self._storage.data, self._storage_offset
        if info.per_byte > 1:
            needed = extent(self._shape, self._stride, offset)
            data, offset = _unpacked(data, offset, needed, info.per_byte)
        # Where nothing follows, a stride may be anything.
        strides = [
            step * info.itemsize if size > 1 else 0
            for size, step in zip(self._shape, self._stride, strict=True)
        ]
        try:
            if 0 in self._shape:
                return np.empty(self._shape, info.numpy)
            array: npt.NDArray[Any] = np.ndarray(
                self._shape, info.numpy, data, offset * info.itemsize, strides
            )
        except ValueError:
            raise Unsupported(
                f"numpy has no array of {len(self._shape)} dimensions with "
                f"{self.numel} elements",
                phase="rebuild",
            ) from None
        if self._is_conj or self._is_neg:
            array = _resolved(array, info, conj=self._is_conj, neg=self._is_neg)
        return array

    def tobytes(self) -> bytes:
        """The logical elements, row-major, little-endian."""
        array = self.numpy()
        try:
            return array.tobytes()
        except MemoryError:
            raise _too_large(array) from None

    def __repr__(self) -> str:
        name = self._type.rpartition(".")[2]
        return (
            f"{name}(dtype={self._dtype!r}, shape={self._shape}, stride={self._stride})"
        )


def _unpacked(
    data: memoryview, start: int, stop: int, per_byte: int
) -> tuple[memoryview, int]:
    """A byte for each element of a few bits, and which of them `start` is.

    The first element of a byte is in its low bits. torch counts the storage
    offset in elements where it checks it, and in bytes where it reads.
    """
    first = start // per_byte
    packed = np.frombuffer(data, np.uint8)[first : -(-stop // per_byte)]
    bits = 8 // per_byte
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    elements = ((packed[:, None] >> shifts) & ((1 << bits) - 1)).reshape(-1)
    return elements.data, start - first * per_byte


def _resolved(
    array: npt.NDArray[Any], info: DTypeInfo, *, conj: bool, neg: bool
) -> npt.NDArray[Any]:
    """The numbers that the conj and neg bits make of the stored ones.

    Signs are turned, and nothing else, also of zeros and NaNs.
    """
    if neg and info.name not in _NEGATED:
        raise Unsupported(f"a neg bit on {info.name}", phase="rebuild")
    try:
        out = np.array(array, order="C")
    except MemoryError:
        raise _too_large(array) from None
    if info.kind == "int":
        np.negative(out, out=out)
        return out
    unit = np.dtype(f"<u{info.swap}")
    sign = unit.type(1 << (8 * unit.itemsize - 1))
    parts = out.reshape(-1).view(unit)
    if neg:
        parts ^= sign
    if conj:
        parts[1::2] ^= sign
    return out


#: What torch can negate (2.13.0, on a CPU); it sets the bit on anything.
_NEGATED: Final = frozenset(
    """
    float64 float32 float16 bfloat16 complex128 complex64 complex32 bcomplex32
    int64 int32 int16 int8 uint8
    """.split()
)


def _too_large(array: npt.NDArray[Any]) -> LimitExceeded:
    return LimitExceeded(
        f"{array.nbytes} bytes of elements, more than fit into memory", phase="rebuild"
    )


def extent(shape: Iterable[int], stride: Iterable[int], storage_offset: int) -> int:
    """The number of elements a storage must hold for this view, exactly.

    The one bounds function: every rebuild path asks it. A view without
    elements needs none, wherever it begins (as in torch). Raises `Malformed`
    for anything negative.
    """
    last = storage_offset
    empty = False
    for size, step in zip(shape, stride, strict=True):
        if size < 0 or step < 0:
            raise Malformed(
                f"negative {'size' if size < 0 else 'stride'} "
                f"{size if size < 0 else step}",
                phase="rebuild",
            )
        if size == 0:
            empty = True
        else:
            last += (size - 1) * step
    if storage_offset < 0:
        raise Malformed(f"negative storage offset {storage_offset}", phase="rebuild")
    return 0 if empty else last + 1

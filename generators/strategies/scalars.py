"""Leaves without tensors, and what can be a key."""

from __future__ import annotations

import struct
from typing import Any, Final

import torch
from hypothesis import strategies as st

#: The most that LONG1 holds; torch's restricted unpickler knows no LONG4.
_LONG1: Final = 1 << (8 * 255 - 1)

#: Around each of these the pickler changes its opcode, or a reader its type.
_EDGES: Final = (0, 1 << 8, 1 << 16, 1 << 31, 1 << 32, 1 << 53, 1 << 63, 1 << 64)


def _edges() -> st.SearchStrategy[int]:
    near = {
        sign * edge + step for edge in _EDGES for sign in (1, -1) for step in (-1, 0, 1)
    }
    longest = {_LONG1 - 1, -_LONG1}
    return st.sampled_from(sorted(near, key=lambda value: (abs(value), value < 0))) | (
        st.sampled_from(sorted(longest))
    )


def _float(bits: int) -> float:
    value: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return value


#: Quiet and signalling NaNs with a payload, of both signs.
_NANS: Final = st.builds(
    lambda sign, payload: _float(sign << 63 | 0x7FF << 52 | payload),
    st.integers(0, 1),
    st.integers(1, (1 << 52) - 1),
)

_INTS: Final = st.integers(-10, 300) | st.integers() | _edges()
_FLOATS: Final = st.floats() | _NANS | st.sampled_from((0.0, -0.0, 5e-324, 1e308))
# Lone surrogates too: pickle writes them with "surrogatepass".
_TEXT: Final = st.one_of(
    st.text(max_size=8),
    st.text(st.characters(categories=["Cs", "Lo", "Nd"]), max_size=4),
    st.text(st.characters(categories=["Cs"]), min_size=1, max_size=2),
)
_COMPLEX: Final = st.builds(complex, _FLOATS, _FLOATS)
# Protocol 2 writes b"" as a call of `bytes`, which `weights_only` refuses.
_BYTES: Final = st.binary(min_size=1, max_size=8)

#: The values of torch's own that have a name or a short constructor.
_TORCH: Final = st.one_of(
    st.sampled_from(
        sorted({v for v in vars(torch).values() if isinstance(v, torch.dtype)}, key=str)
    ),
    st.lists(st.integers(0, 1 << 40), max_size=4).map(torch.Size),
    st.sampled_from(("cpu", "cuda", "cuda:3", "meta", "mps:0", "xpu:1")).map(
        torch.device
    ),
    st.sampled_from((torch.per_tensor_affine, torch.per_channel_symmetric)),
)

#: `torch.save` writes a layout as a call of a function; not hashable by value.
_LAYOUTS: Final = st.sampled_from(
    (torch.strided, torch.sparse_coo, torch.sparse_csr, torch.sparse_bsc)
)

_PLAIN_KEYS: Final = st.one_of(
    _TEXT, _INTS, st.booleans(), st.none(), _FLOATS, _BYTES, _COMPLEX, _TORCH
)
_KEYS: Final = st.one_of(
    _TEXT,
    _PLAIN_KEYS,
    st.lists(_PLAIN_KEYS, max_size=3).map(tuple),
)
_SCALARS: Final = st.one_of(
    st.none(),
    st.booleans(),
    _INTS,
    _FLOATS,
    _TEXT,
    _BYTES,
    _COMPLEX,
    st.binary(max_size=8).map(bytearray),
    _TORCH | _LAYOUTS,
)

_HUGE: Final = st.integers(_LONG1, _LONG1 << 70) | st.integers(-_LONG1 << 70, -_LONG1)
_ANY_KEYS: Final = st.one_of(
    _KEYS,
    st.just(b""),
    st.frozensets(_PLAIN_KEYS, max_size=3),
    _HUGE,
)
_ANY_SCALARS: Final = st.one_of(_SCALARS, st.just(b""), _HUGE)


def scalars(*, weights_only: bool = True) -> st.SearchStrategy[Any]:
    """Numbers, strings, bytes, `None`, and torch's dtypes, sizes and devices.

    Integers reach up to 255 bytes, floats have every bit pattern, strings hold
    lone surrogates. With `weights_only=False` also `b""` and integers of more
    than 255 bytes. Shrinks to `None`.
    """
    if not isinstance(weights_only, bool):
        raise TypeError(f"weights_only is a bool, not {weights_only!r}")
    return _SCALARS if weights_only else _ANY_SCALARS


def keys(*, weights_only: bool = True) -> st.SearchStrategy[Any]:
    """What can be the key of a dict or the member of a set, often odd.

    Strings, and numbers, NaN, `None`, bytes, dtypes, tuples of them; with
    `weights_only=False` also `b""` and frozensets. Shrinks to `""`.
    """
    if not isinstance(weights_only, bool):
        raise TypeError(f"weights_only is a bool, not {weights_only!r}")
    return _KEYS if weights_only else _ANY_KEYS

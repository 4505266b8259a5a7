"""How to save: container, pickle protocol, and torch's own switches."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal
from unittest import mock

import torch
from torch.utils.serialization import config as _config

Container = Literal["zip", "legacy"]
ByteOrder = Literal["little", "big"]


@dataclass(frozen=True)
class Format:
    """One way to call `torch.save`.

    `byteorder` is what the archive claims: the storages keep their bytes, so
    the numbers in a `big` one are others. `alignment` is the one of the
    records, in bytes, `crc32` whether checksums are computed. These three are
    for the zip container alone.
    """

    container: Container = "zip"
    protocol: int = 2
    byteorder: ByteOrder = "little"
    alignment: int = 64
    crc32: bool = True

    @property
    def keeps_numbers(self) -> bool:
        """Whether a reader sees the numbers that were saved."""
        return self.byteorder == sys.byteorder

    @property
    def keeps_all(self) -> bool:
        """Whether torch 2.13 can load from it all that it can save.

        In the legacy stream it cannot load a storage without a dtype ("type
        object 'torch.storage.UntypedStorage' has no attribute 'dtype'"), and
        as the bytes come after the pickle, a rebuild function that looks at
        them finds uninitialised memory. Under another byte order it swaps no
        storage without a dtype.
        """
        return self.container == "zip" and self.keeps_numbers


#: torch adds `patch` to this module at run time.
config: Final[Any] = _config

#: What `torch.save` does by default.
DEFAULT: Final = Format()


def save(tree: Any, format: Format = DEFAULT) -> bytes:
    """The bytes of the file in which `torch.save` keeps `tree`.

    The same tree gives the same bytes in a zip archive, as long as its sets
    iterate in the same order; the legacy stream holds addresses, unless
    `stable_keys` is entered.
    """
    file = io.BytesIO()
    with (
        warnings.catch_warnings(),
        mock.patch.object(sys, "byteorder", format.byteorder),
        config.patch(
            {
                "save.storage_alignment": format.alignment,
                "save.compute_crc32": format.crc32,
            }
        ),
    ):
        warnings.simplefilter("ignore")
        torch.save(
            tree,
            file,
            pickle_protocol=format.protocol,
            _use_new_zipfile_serialization=format.container == "zip",
        )
    return file.getvalue()


@contextlib.contextmanager
def stable_keys() -> Iterator[None]:
    """Lets torch name storages in the same way every time.

    The key of a storage in a legacy stream is its address, `_cdata`. Here it
    is a number that looks like one: as long, and, like an address, in no order
    that follows the order of use.
    """
    numbers: dict[int, int] = {}
    address = torch._C.StorageBase._cdata  # type: ignore[attr-defined]

    def stable(storage: Any) -> int:
        count = numbers.setdefault(address.__get__(storage), len(numbers))
        return 94_000_000_000_000 + 64 * (count * 7919 % 10_007)

    with mock.patch.object(
        torch.UntypedStorage, "_cdata", property(stable), create=True
    ):
        yield

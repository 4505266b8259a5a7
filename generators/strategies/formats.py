"""How to save: container, pickle protocol, and torch's own switches."""

from __future__ import annotations

import io
import sys
import warnings
from dataclasses import dataclass
from typing import Any, Final, Literal
from unittest import mock

import torch
from hypothesis import strategies as st
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
    iterate in the same order; the legacy stream holds addresses.
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


#: From 2**17 on torch writes files that nobody reads: the extra field of a zip
#: entry, which holds the padding, has a 16-bit length.
_ALIGNMENTS: Final = (64, 1, 3, 16, 512, 4096)


def formats(
    *, weights_only: bool = True, container: Container | None = None
) -> st.SearchStrategy[Format]:
    """Ways to save a tree so that `torch.load(weights_only=...)` can read it.

    With `weights_only=True` the pickle protocol is 2, because torch's
    restricted unpickler lacks most opcodes of the others. `container` asks for
    one container. Shrinks to torch's default.
    """
    if not isinstance(weights_only, bool):
        raise TypeError(f"weights_only is a bool, not {weights_only!r}")
    if container not in (None, "zip", "legacy"):
        raise ValueError(f"container is 'zip' or 'legacy', not {container!r}")
    protocols = st.just(2) if weights_only else st.sampled_from((2, 3, 4, 5))
    archives = st.builds(
        Format,
        protocol=protocols,
        byteorder=st.sampled_from(("little", "little", "big")),
        alignment=st.sampled_from(_ALIGNMENTS),
        crc32=st.sampled_from((True, True, False)),
    )
    streams = st.builds(Format, container=st.just("legacy"), protocol=protocols)
    if container == "zip":
        return archives
    return streams if container == "legacy" else archives | streams


def check_format(format: Format) -> None:
    """An argument check that many strategies share."""
    if not isinstance(format, Format):
        raise TypeError(f"format is a Format, not {format!r}")

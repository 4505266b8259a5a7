"""Ways to save a tree, drawn."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from ..saving import DEFAULT, ByteOrder, Container, Format, save

__all__ = ["DEFAULT", "ByteOrder", "Container", "Format", "formats", "save"]

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

"""Everything that can go wrong while a checkpoint is read.

Every error is a `CheckpointError`. The subclasses are the things a caller
would act on; the phase, the byte offset and the path in the tree say where.
The message is one line, whatever the file holds.
"""

from __future__ import annotations

import codecs
from typing import Final, Literal

Phase = Literal["container", "pickle", "rebuild"]

#: A name from the file is cut to this many characters in a message.
QUOTE: Final = 80


def quote(text: object) -> str:
    """Text from the file, on one line, printable and short enough to show."""
    if isinstance(text, bytes):
        text = text[: QUOTE + 1].decode("latin-1")
    if not isinstance(text, str):
        # Never repr() of what the file built: it may be deep, or huge.
        return f"<{type(text).__name__}>"
    # The function itself; by its name, Python would import a module.
    shown = codecs.unicode_escape_encode(text[:QUOTE])[0].decode("ascii")
    return f"'{shown}...'" if len(text) > QUOTE else f"'{shown}'"


class CheckpointError(Exception):
    """A file could not be read as a checkpoint.

    `phase` is where the reader was (`container`, `pickle` or `rebuild`),
    `offset` the byte in the file, counted from where reading began (`None`
    if no byte is to blame), and `path` the place in the tree, such as
    `['model']['fc.weight']`.
    """

    def __init__(
        self,
        message: str,
        *,
        phase: Phase = "container",
        offset: int | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.phase: Phase = phase
        self.offset = offset
        self.path = path

    def __str__(self) -> str:
        place: str = self.phase
        if self.offset is not None:
            place += f", byte {self.offset}"
        if self.path:
            place += f", at {self.path}"
        return f"{self.message} ({place})"

    @property
    def kind(self) -> str:
        """The class of the error, for machines: `Truncated`, `Malformed` ..."""
        return type(self).__name__


class NotACheckpoint(CheckpointError):
    """The file is something else: no zip archive, no tar, no pickle."""


class Truncated(CheckpointError):
    """The file ends before what it announces."""


class Malformed(CheckpointError):
    """The file contradicts itself or the format."""


class Unsupported(CheckpointError):
    """The file may be right, but this reader, or this mode, does not read it."""


class Uninitialised(CheckpointError):
    """The file asks for memory that nothing in it fills.

    torch hands out whatever lay in that memory; we have no bytes to give.
    """


class GlobalNotAllowed(CheckpointError):
    """`weights_only=True` and the pickle names something outside the allowlist.

    `name` is the global's full dotted name.
    """

    name: str = ""


class LimitExceeded(CheckpointError):
    """The file asks for more work or memory than `Limits` grants."""

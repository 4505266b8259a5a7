"""Files that other releases of torch wrote, and what those releases read in them.

`python -m generators.history` installs each release with an interpreter of its
time, runs `gold/` there, and removes it again. The files hold addresses, so a
second run does not give the same bytes: they are made once and kept.
"""

from __future__ import annotations

from .recipes import RELEASES, Release

__all__ = ["RELEASES", "Release"]

"""Mutants of zip archives: `mutate(data, random, words)`.

zips     the structures of a zip archive, as plain values that may lie
tearing  an archive taken apart
headers  what is said of its records
layout   where its parts are
mutants  what it contains, and the mutants that all of these make
"""

from __future__ import annotations

from .mutants import is_archive, mutate, pickle_of

__all__ = ["is_archive", "mutate", "pickle_of"]

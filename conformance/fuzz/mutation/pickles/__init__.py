"""Mutants of pickles: `mutate(data, random, words)`.

edges     numbers, strings, names at the edges
stack     a pickle as a list of opcodes: taken apart, and followed on the stack
spelling  an opcode's argument, and all the ways to write it
values    which value an edit is about, and which one it puts in
pieces    values of real pickles that stand on their own
followed  edits that keep the stack as high as it was
rebuild   the arguments of rebuild functions
wild      edits that do not care
mutants   the table of edits, and the mutants that they make
"""

from __future__ import annotations

from .mutants import mutate

__all__ = ["mutate"]

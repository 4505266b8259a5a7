"""Mutants that understand what they change; knows no reader.

edges     numbers, strings, names at the edges
stack     a pickle as a list of opcodes: taken apart, and followed on the stack
spelling  an opcode's argument, and all the ways to write it
values    which value an edit is about, and which one it puts in
pieces    values of real pickles that stand on their own
pickles   the table of edits, and the mutants that they make:
followed    edits that keep the stack as high as it was
rebuild     the arguments of rebuild functions
wild        edits that do not care
archives  zip archives, taken apart and put together again
streams   legacy streams
tars      tar archives
files     whatever a file is
"""

from __future__ import annotations

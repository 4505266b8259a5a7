"""Mutants that understand what they change; knows no reader.

edits       bytes that mean nothing, and numbers that lie
pickles/    opcodes, values, the arguments of rebuild functions
archives/   zip archives, taken apart and put together again
streams     legacy streams
tars        tar archives
files       whatever a file is
"""

from __future__ import annotations

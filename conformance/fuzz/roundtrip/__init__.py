"""A checkpoint from any bytes: what is in it, and what a reader must find there.

    choices     bytes as answers to questions
    specs       what only torch has: as it is written, and as it is read
    plain       Python's and numpy's own values
    storages    shared ones, parts of others, any key
    tensors     every layout, any view; torch's small values
    trees       containers, and what is in them twice
    writing     a tree as a pickle, and that in a container

Pickles are written by Python's own pickler, containers by `generators`: neither
knows the parser. What must be read is spelled with the parser's values.
"""

from __future__ import annotations

"""What must hold for every input, whoever fuzzes.

checks    the invariants, one small function each, and `check`, which targets call
reading   one way to read bytes, and the answer: a tree or an error
offering  the same bytes as a path, a file, a reader of single bytes
bounds    views inside their storages, indices inside their tensors
trees     what is in a tree that the parser made
cost      work and memory, counted
guard     no import, open, socket or process while parsing
state     what must be as it was
"""

from __future__ import annotations

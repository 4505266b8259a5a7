"""From what broke an invariant to a small file that anybody can replay.

    ddmin       the fewest items that still do
    search      one input made smaller, level by level, on a budget
    levels      all levels, in their order:
    archives, streams, tars   the parts of a file
    records     what is the same for all of those
    pickles     opcodes, balanced pieces, arguments
    raw         bytes
    clusters    findings told apart by their signatures

    judges      who says what the signature of a finding is: our targets, and torch
    child       the process in which they do
    facts       what both readers say of a file
    cases       a cluster as a case of the corpus: a file, and what it shows
    run         all of it, one after the other

The upper half knows no reader. A judge is any function from bytes to a signature,
or to `None` where nothing is wrong: bring your own.
"""

from __future__ import annotations

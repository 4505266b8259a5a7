"""Fuzzing: what no input may do, and machines that look for one that does.

    target      what a target is, and what it raises
    targets/    the invariants, one plain function per target
    mutation/   mutants that understand pickles and containers
    words       the dictionary: opcodes, globals, pieces of the corpus
    differential  ours and torch's answer to one input, as one outcome
    findings    what a target raised, one file per signature
    triage/     findings -> clusters -> smallest files -> ready cases
    engine      one process: atheris, a target, a mutator
    campaign    several of those: statistics, findings, a clean end

A target takes bytes and returns, or raises. Nothing in it knows who calls:
atheris, pytest over the corpus and over old findings, or Hypothesis. The mutator
and the triage know nothing of our parser but the opcode table: whoever writes a
reader can use them on theirs.
"""

from __future__ import annotations

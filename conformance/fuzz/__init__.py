"""Fuzzing: what no input may do, and machines that look for one that does.

    target        what a target is, and what it raises
    targets/      from bytes to the parser, one plain function per target
    invariants/   what must hold, whatever the bytes are
    roundtrip/    checkpoints built from bytes, and what they must give
    mutation/     mutants that understand pickles and containers
    words         the dictionary: opcodes, globals, pieces of the corpus
    differential  ours and torch's answer to one input, as one outcome
    feedback      outcomes, as if they were coverage
    findings      what a target raised, one file per signature
    lookup        targets by name
    campaign/     targets under atheris: jobs, statistics, coverage, a clean end
    triage/       findings -> clusters -> smallest files -> ready cases

A target takes bytes and returns, or raises. Nothing in it knows who calls:
atheris, pytest over the corpus and over old findings, or Hypothesis. The mutator
and the triage know nothing of our parser but the opcode table: whoever writes a
reader can use them on theirs.
"""

from __future__ import annotations

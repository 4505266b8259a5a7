"""Cases x loaders: which loader gets which rebuild path wrong.

judging       a case and a loader's answer -> a verdict
normal        descriptions and flat lists in one form, to be compared
causes        what went wrong, in words that are the same for each file with it
adapter       an adapter at work, asked about files and replaced when it dies
process       its process: lines, limits, what it died of
runner        cases x loaders -> results, several at a time
results       the result file, from which every view is made
expectations  what a loader is known to get wrong: strict both ways
changes       two result files -> what changed
smoke         an adapter checked by itself, step by step; hints: what to do then
"""

from __future__ import annotations

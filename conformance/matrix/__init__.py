"""Cases x loaders: which loader gets which rebuild path wrong.

judging       a case and a loader's answer -> a verdict
normal        descriptions and flat lists in one form, to be compared
adapter       one adapter's process: limits, lines, what it died of
runner        cases x loaders -> results, several at a time
results       the result file, from which every view is made
expectations  what a loader is known to get wrong: strict both ways
changes       two result files -> what changed
clusters      failures of one loader with one cause
smoke         an adapter checked by itself, step by step
"""

from __future__ import annotations

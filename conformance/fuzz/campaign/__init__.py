"""Targets under atheris, and what became of it.

engine      one process: atheris, a target, a mutator
job         such a process, seen from outside
crew        several, each replaced when an input ends it
campaign    their folder, their limits, a clean end
statistics  how it goes, written as it goes; summary: read again
reach       what of the parser the corpora reach
replaying   a target on files, in a process that may die of them
ossfuzz     what OSS-Fuzz and ClusterFuzzLite build from
"""

from __future__ import annotations

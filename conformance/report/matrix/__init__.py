"""Views of a run, for people and their tools; each is made of a result file.

views     what all of them say: counts, signs, clusters
terminal  a table, and what fails most
html      the page; `embedded` is the data in it
markdown  for an issue, a README, the summary of a job
junit     for whoever shows test results
badge     one loader in one line
files     all of these as files
"""

from __future__ import annotations

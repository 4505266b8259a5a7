"""The mutator and the triage turned on somebody else's loader, through its adapter.

    asking   one input: the loader's answer, and whether torch agrees
    hunt     mutants of what the loader reads well, until it does not
    judging  findings judged again, for the triage

There is no coverage of a loader in another language. Instead, an input that
brings a new kind of answer is kept and mutated further.
"""

from __future__ import annotations

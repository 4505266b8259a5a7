"""Prints the denominators of the installed torch as one JSON document."""

from __future__ import annotations

import json
import sys
import warnings

from . import collect

with warnings.catch_warnings():
    # torch says what is deprecated in it to whoever looks at all of it.
    warnings.simplefilter("ignore")
    document = collect()
json.dump(document, sys.stdout, indent=1)
print()

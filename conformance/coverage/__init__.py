"""Coverage by rebuild path: what the corpus reaches of all that there is.

`denominators` asks the installed torch what there is; `measure` reads the files
and sees what they do; `lines` runs both readers under coverage.py; `rows` puts
it together. `conformance/report/` has the views.
"""

from __future__ import annotations

from .rows import Coverage, cover

__all__ = ["Coverage", "cover"]

"""What pytest collects: `tests/torch` only where torch is installed."""

from __future__ import annotations

import importlib.util

collect_ignore = [] if importlib.util.find_spec("torch") else ["torch"]

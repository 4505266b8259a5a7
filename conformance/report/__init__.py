"""Views of results, for people. They judge nothing."""

from __future__ import annotations

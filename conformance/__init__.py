"""Conformance tests for everything that reads PyTorch checkpoints.

The reader is `conformance.parser`; the command is `torchproof`.
"""

from __future__ import annotations

__version__ = "0.1.0"

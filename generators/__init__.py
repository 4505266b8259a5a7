"""Real PyTorch writes checkpoints here. Everything below needs torch."""

from __future__ import annotations

"""What the parser makes of a tree (`checkpoints.py`), or why it refuses it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from conformance.parser import CheckpointError, load
from tests.builders.checkpoints import zipped


def rebuilt(
    tree: Any,
    *,
    weights_only: bool = True,
    container: Callable[[Any], bytes] = zipped,
    **options: Any,
) -> Any:
    """The tree after a container and the parser."""
    file = io.BytesIO(container(tree))
    return load(file, weights_only=weights_only, **options)


@contextmanager
def refused(
    kind: str = "Malformed", match: str = "", phase: str = "rebuild"
) -> Iterator[None]:
    """Fails unless what is inside is refused for this reason, and this one only."""
    with pytest.raises(CheckpointError, match=match) as caught:
        yield
    assert (caught.value.kind, caught.value.phase) == (kind, phase), caught.value

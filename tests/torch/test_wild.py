"""torch as a loader of what other libraries write: inert, and trusted."""

from __future__ import annotations

import datetime
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from conformance.compare import compare
from conformance.loaders import oracle, ours


class Outer:
    """Has a class inside, a class method, and one of its instances."""

    class Inner(nn.Linear):
        pass

    class Marked(torch.Tensor):
        pass

    @classmethod
    def make(cls) -> Outer:
        return cls()


class Zone(datetime.tzinfo):
    """A time zone of its own."""

    def utcoffset(self, _: Any) -> datetime.timedelta:
        return datetime.timedelta(hours=1)

    dst = utcoffset

    def tzname(self, _: Any) -> str:
        return "its own"


def records() -> Any:
    made = np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    return [made, made[0]]


WILD: dict[str, Callable[[], Any]] = {
    "class inside": lambda: Outer.Inner(1, 2),
    "tensor inside": lambda: torch.ones(2).as_subclass(Outer.Marked),
    "functions": lambda: [torch.relu, nn.functional.gelu, len, np.sin, Outer.make],
    "methods": lambda: [dict.get, "a".upper, torch.Tensor.add],
    "types of singletons": lambda: [type(None), type(...), type(NotImplemented)],
    "time zones": lambda: [
        datetime.datetime(2020, 1, 1, tzinfo=Zone()),
        datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
        datetime.time(1, tzinfo=Zone()),
    ],
    "records": records,
    # Functions go by the name of the modules that these come from.
    "shadowed modules": lambda: [
        nn.DataParallel(nn.Linear(1, 1)),
        nn.utils.spectral_norm(nn.Linear(2, 2)),
    ],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("trust", [False, True], ids=["inert", "trust"])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", WILD)
def test_it_is_read_alike(tmp_path: Path, name: str, legacy: bool, trust: bool) -> None:
    path = str(tmp_path / "wild.pt")
    torch.save(WILD[name](), path, _use_new_zipfile_serialization=not legacy)
    expected = oracle.load(path, weights_only=False, trust=trust)
    found = ours.load(path, weights_only=False)
    assert compare(found, expected).differences == ()


class _Pickler(pickle.Pickler):
    """Writes classes by value, in the form of cloudpickle."""

    def reducer_override(self, value: Any) -> Any:
        if value is Made:
            return _make_skeleton_class, (type, "Made"), {"doc": None}
        return NotImplemented


class Made(NamedTuple):
    x: torch.Tensor


def _make_skeleton_class(kind: Any, name: str) -> Any:
    return kind(name, (), {})


class _ByValue:
    """What `torch.save` needs of cloudpickle."""

    __name__ = "by value"
    Pickler = _Pickler


def test_an_instance_of_a_class_that_the_file_makes(tmp_path: Path) -> None:
    path = str(tmp_path / "made.pt")
    torch.save([Made(torch.ones(2)), Made], path, pickle_module=_ByValue())
    expected = oracle.load(path, weights_only=False)
    found = ours.load(path, weights_only=False)
    assert compare(found, expected).differences == ()

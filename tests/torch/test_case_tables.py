"""The tables of cases leave out no class of torch without saying why."""

from __future__ import annotations

import sys
import types
import unittest
from collections.abc import Iterable

import pytest
import torch
from torch.optim import lr_scheduler, swa_utils

from generators.cases.values import modules, optimizers


def left_out(installed: Iterable[str], *tables: Iterable[str]) -> set[str]:
    """What torch has and no table names; no table may name anything twice."""
    named = [name for table in tables for name in table]
    assert len(named) == len(set(named))
    return set(installed) - set(named)


@pytest.fixture
def torch_testing(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own tables for its tests want a package that we need for nothing."""
    stand_in = types.ModuleType("expecttest")
    stand_in.__dict__["TestCase"] = unittest.TestCase
    monkeypatch.setitem(sys.modules, "expecttest", stand_in)


def test_modules() -> None:
    installed = torch.nn.modules.__all__
    assert left_out(installed, modules.ARGUMENTS, modules.OTHERS) == set()
    assert left_out([*modules.ARGUMENTS, *modules.OTHERS], installed) == set()


def test_optimizers() -> None:
    installed = torch.optim.__all__
    assert left_out(installed, optimizers.ARGUMENTS, optimizers.OTHERS) == set()
    assert left_out([*optimizers.ARGUMENTS, *optimizers.OTHERS], installed) == set()


def test_schedulers() -> None:
    installed = {*lr_scheduler.__all__, swa_utils.SWALR.__name__}
    ours = [*optimizers.SCHEDULERS, *optimizers.OTHER_SCHEDULERS]
    assert left_out(installed, ours) == set()
    assert left_out(ours, installed) == set()


@pytest.mark.usefixtures("torch_testing")
def test_what_torch_tests_itself() -> None:
    from torch.testing._internal.common_modules import module_db
    from torch.testing._internal.common_optimizers import optim_db

    tested = {entry.module_cls for entry in module_db}
    ours = {kind for kind, _ in modules.CLASSES.values()}
    others = {getattr(torch.nn, name) for name in modules.OTHERS}
    assert len(tested) > 100
    assert tested <= ours | others
    tested = {entry.optim_cls for entry in optim_db}
    assert len(tested) > 10
    assert tested <= {kind for kind, _ in optimizers.CLASSES.values()}

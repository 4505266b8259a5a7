"""Optimizers, schedulers, and what else a run keeps to go on."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import nn, optim
from torch.optim import lr_scheduler, swa_utils

from .. import things
from ..registry import LEGACY, PROTOCOL_4, ZIP, saved
from .filling import fill, filled

REFUSED: Final = ("weights-only-refuses",)
V2: Final = "torch._utils._rebuild_tensor_v2"

# -------------------------------------------------------------------- optimizers

#: What each class of `torch.optim` is made with, after the parameters.
ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "ASGD": {"lr": 0.25},
    "Adadelta": {"lr": 0.5},
    "Adafactor": {"lr": 0.25},
    "Adagrad": {"lr": 0.25, "lr_decay": 0.5},
    "Adam": {"lr": 0.25, "amsgrad": True},
    "AdamW": {"lr": 0.25, "betas": (0.5, 0.75)},
    "Adamax": {"lr": 0.25},
    "LBFGS": {"lr": 0.25, "max_iter": 2, "history_size": 2},
    "Muon": {"lr": 0.25},
    "NAdam": {"lr": 0.25},
    "RAdam": {"lr": 0.25},
    "RMSprop": {"lr": 0.25, "momentum": 0.5, "centered": True},
    "Rprop": {"lr": 0.25},
    "SGD": {"lr": 0.25, "momentum": 0.5},
    "SparseAdam": {"lr": 0.25},
}

#: The names in `torch.optim.__all__` that ARGUMENTS leaves out, and why.
OTHERS: Final[dict[str, str]] = {
    "Optimizer": "the base class, which takes no step",
    "lr_scheduler": "a module: see SCHEDULERS",
    "swa_utils": "a module: see below",
    "swap_in_optimizer_params_and_state": "a function",
}

CLASSES: Final = {
    key: (getattr(optim, key), arguments) for key, arguments in ARGUMENTS.items()
}


def _parameters() -> list[nn.Parameter]:
    """Two matrices: Muon wants nothing else."""
    parameters = [nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(1, 2))]
    fill(parameters)
    return parameters


def _stepped(kind: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """An optimizer after a step, with numbers that no processor rounds its own way."""
    parameters = _parameters()
    optimizer = kind(parameters, **arguments)
    for parameter in parameters:
        ones = torch.ones_like(parameter)
        parameter.grad = ones.to_sparse() if kind is optim.SparseAdam else ones
    optimizer.step(lambda: torch.tensor(0.5))
    states = (state.values() for state in optimizer.state.values())
    values: Any = itertools.chain.from_iterable(states)
    fill(value for value in values if isinstance(value, torch.Tensor))
    fill(parameters)
    return optimizer


@saved(V2, directory="optimizers", each=CLASSES)
def state_of(kind: Callable[..., Any], arguments: dict[str, Any]) -> object:
    """The state dict of {key} after a step: parameters by their numbers, and groups."""
    return _stepped(kind, arguments).state_dict()


@saved("{kind.__module__}.{kind.__qualname__}", each=CLASSES, flags=REFUSED)
def whole(kind: Callable[..., Any], arguments: dict[str, Any]) -> object:
    """A whole {key} after a step: the keys of its state are the Parameters."""
    return _stepped(kind, arguments)


@saved(V2, directory="optimizers", formats=(LEGACY, PROTOCOL_4))
def state_after_step() -> object:
    """The state dict of Adam after a step."""
    return _stepped(optim.Adam, {"lr": 0.25}).state_dict()


@saved("opcode:SETITEMS")
def state_before_step() -> object:
    """The state dict of an optimizer that took no step: no tensors in it."""
    return optim.Adam(_parameters(), lr=0.25).state_dict()


@saved(V2, directory="optimizers")
def state_of_groups() -> object:
    """The state dict of an optimizer with two groups, one of them with a name."""
    first, second = _parameters()
    groups: list[dict[str, Any]] = [
        {"params": [first], "lr": 0.5},
        {"params": [second], "label": "head"},
    ]
    optimizer = optim.SGD(groups, lr=0.25, momentum=0.5)
    first.grad, second.grad = torch.ones(2, 2), torch.ones(1, 2)
    optimizer.step()
    return optimizer.state_dict()


@saved("opcode:SETITEMS")
def state_of_named_parameters() -> object:
    """The state dict of an optimizer that was told the names of its parameters."""
    return optim.SGD(nn.Linear(2, 1).named_parameters(), lr=0.25).state_dict()


@saved(V2, directory="optimizers")
def state_of_tensor_rate() -> object:
    """The state dict of an optimizer whose learning rate is a tensor."""
    rate = torch.tensor(0.25)
    return optim.Adam(_parameters(), lr=rate, capturable=True).state_dict()


@saved("torch.optim.sgd.SGD", flags=(*REFUSED, "alias"))
def whole_beside_module() -> object:
    """A whole module and its whole optimizer: they have the same Parameters."""
    module = filled(nn.Linear(2, 1))
    return {"model": module, "optimizer": optim.SGD(module.parameters(), lr=0.25)}


@saved("torch.optim.sgd.SGD", formats=(LEGACY, PROTOCOL_4), flags=REFUSED)
def whole_sgd_alone() -> object:
    """A whole SGD before its first step."""
    return optim.SGD(_parameters(), lr=0.25)


# -------------------------------------------------------------------- schedulers


def _sequential(optimizer: Any) -> Any:
    first = lr_scheduler.ConstantLR(optimizer, 0.5, 2)
    second = lr_scheduler.StepLR(optimizer, 2, 0.5)
    return lr_scheduler.SequentialLR(optimizer, [first, second], [1])


def _chained(optimizer: Any) -> Any:
    first = lr_scheduler.ConstantLR(optimizer, 0.5, 2)
    return lr_scheduler.ChainedScheduler([first, lr_scheduler.StepLR(optimizer, 2)])


#: How each class of `torch.optim.lr_scheduler` is made of an optimizer.
SCHEDULERS: Final[dict[str, tuple[Callable[[Any], Any], str]]] = {
    "ChainedScheduler": (_chained, "one after the other, at every step"),
    "ConstantLR": (lambda o: lr_scheduler.ConstantLR(o, 0.5, 2), "a factor"),
    "CosineAnnealingLR": (
        lambda o: lr_scheduler.CosineAnnealingLR(o, 4, 0.125),
        "half a wave",
    ),
    "CosineAnnealingWarmRestarts": (
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4, 2),
        "half waves that grow longer",
    ),
    "CyclicLR": (
        lambda o: lr_scheduler.CyclicLR(o, 0.125, 0.5, 2, cycle_momentum=False),
        "up and down",
    ),
    "ExponentialLR": (lambda o: lr_scheduler.ExponentialLR(o, 0.5), "a power"),
    "LambdaLR": (
        lambda o: lr_scheduler.LambdaLR(o, things.double),
        "a function, which no state dict has",
    ),
    "LinearLR": (lambda o: lr_scheduler.LinearLR(o, 0.5, 1.0, 2), "a line"),
    "MultiStepLR": (
        lambda o: lr_scheduler.MultiStepLR(o, [2, 2, 4], 0.5),
        "milestones, in a Counter",
    ),
    "MultiplicativeLR": (
        lambda o: lr_scheduler.MultiplicativeLR(o, things.double),
        "a function, which no state dict has",
    ),
    "OneCycleLR": (
        lambda o: lr_scheduler.OneCycleLR(o, 0.5, 8, anneal_strategy="linear"),
        "up once and down once",
    ),
    "PolynomialLR": (lambda o: lr_scheduler.PolynomialLR(o, 4, 1.0), "a polynomial"),
    "ReduceLROnPlateau": (
        lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5),
        "what was best, which is infinity",
    ),
    "SWALR": (lambda o: swa_utils.SWALR(o, 0.5, 2, "linear"), "a constant, in the end"),
    "SequentialLR": (_sequential, "one after the other"),
    "StepLR": (lambda o: lr_scheduler.StepLR(o, 2, 0.5), "a step every so often"),
}

#: The names in `torch.optim.lr_scheduler.__all__` that SCHEDULERS leaves out, and why.
OTHER_SCHEDULERS: Final[dict[str, str]] = {
    "LRScheduler": "the base class, which does not know the next rate",
}


def _scheduled(make: Callable[[Any], Any]) -> Any:
    optimizer = optim.SGD(_parameters(), lr=0.25, momentum=0.5)
    scheduler = make(optimizer)
    optimizer.step()
    if not isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
        scheduler.step()
    return scheduler


@saved("opcode:SETITEMS", each=SCHEDULERS)
def scheduler(make: Callable[[Any], Any], what: str) -> object:
    """The state dict of {key} after a step: {what}."""
    return _scheduled(make).state_dict()


#: SWALR lives in another module than its name in `torch.optim.lr_scheduler`.
WHOLE_SCHEDULERS = {key: row for key, row in SCHEDULERS.items() if key != "SWALR"}


@saved("torch.optim.lr_scheduler.{key}", each=WHOLE_SCHEDULERS, flags=REFUSED)
def scheduler_whole(make: Callable[[Any], Any], what: str) -> object:
    """A whole {key} after a step ({what}): its optimizer is inside."""
    return _scheduled(make)


# ------------------------------------------------------------- averages and scales


@saved("build:collections.OrderedDict")
def averaged_model_state() -> object:
    """The state dict of an AveragedModel: the count of models, then the averages."""
    averaged = swa_utils.AveragedModel(filled(nn.Linear(2, 1)))
    averaged.update_parameters(nn.Linear(2, 1))
    filled(averaged)
    return averaged.state_dict()


@saved("torch.optim.swa_utils.AveragedModel", flags=REFUSED)
def averaged_model_whole() -> object:
    """A whole AveragedModel: a module with a module inside."""
    return swa_utils.AveragedModel(filled(nn.Linear(2, 1)))


@saved("opcode:SETITEMS")
def scaler() -> object:
    """The state dict of a GradScaler: a scale, its factors and a count."""
    return torch.amp.GradScaler("cpu", init_scale=1024.0).state_dict()


@saved("opcode:EMPTY_DICT")
def scaler_disabled() -> object:
    """The state dict of a GradScaler that is switched off: nothing."""
    return torch.amp.GradScaler("cpu", enabled=False).state_dict()


@saved("torch.amp.grad_scaler.GradScaler", flags=REFUSED)
def scaler_whole() -> object:
    """A whole GradScaler: inside is a defaultdict whose factory is a function."""
    return torch.amp.GradScaler("cpu", init_scale=1024.0)


# ------------------------------------------------------------------- checkpoints


def _checkpoint() -> dict[str, Any]:
    model = filled(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    optimizer = optim.SGD(model.parameters(), lr=0.25, momentum=0.5)
    scheduler = lr_scheduler.MultiStepLR(optimizer, [30, 80])
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    scheduler.step()
    return {
        "model": filled(model).state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "scaler": torch.amp.GradScaler("cpu", init_scale=1024.0).state_dict(),
        "epoch": 3,
        "loss": 0.5,
    }


@saved("collections.Counter", directory="optimizers", formats=(ZIP, LEGACY, PROTOCOL_4))
def checkpoint() -> object:
    """A checkpoint of a run: the states of model, optimizer, scheduler and scaler."""
    return _checkpoint()


@saved("argparse.Namespace", formats=(ZIP, LEGACY), flags=REFUSED)
def checkpoint_with_arguments() -> object:
    """A checkpoint of a run that keeps the arguments of its command as well."""
    return {**_checkpoint(), "args": argparse.Namespace(lr=0.25, data="images")}


@saved("build:collections.OrderedDict")
def checkpoint_of_lightning() -> object:
    """A checkpoint in the form of PyTorch Lightning: callbacks, loops and versions."""
    states = _checkpoint()
    return {
        "epoch": 3,
        "global_step": 120,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": states["model"],
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": [1, 2]}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best": torch.tensor(0.5)}},
        "optimizer_states": [states["optimizer"]],
        "lr_schedulers": [states["scheduler"]],
        "hparams_name": "kwargs",
        "hyper_parameters": {"rate": 0.25, "layers": (2, 2)},
    }

"""Modules, optimizers, and what training keeps of them."""

from __future__ import print_function

import collections
import warnings

import torch
from torch import nn

import models
from cases import case, count

QUANTIZED = [
    ((0, 0), "torch.nn.quantized.dynamic.modules.linear.Linear"),
    ((1, 13), "torch.ao.nn.quantized.dynamic.modules.linear.Linear"),
]


@case("build:collections.OrderedDict", legacy=True, flags=["attributes"])
def state_dict():
    """A state dict of modules: weights, tied weights, counters, and `_metadata`."""
    net = nn.Sequential(models.Net(), nn.BatchNorm1d(3))
    return net.state_dict()


@case("torch._utils._rebuild_parameter", flags=["requires-grad"])
def state_dict_parameters():
    """A state dict that keeps the Parameters themselves."""
    return nn.Linear(2, 3).state_dict(keep_vars=True)


@case("models.Net", legacy=True, flags=["alias", "weights-only-refuses"])
def module():
    """A whole module of one's own class, with a layer that has two names."""
    return models.Net()


@case("torch.nn.modules.batchnorm.BatchNorm1d", flags=["weights-only-refuses"])
def batch_norm():
    """A whole BatchNorm1d."""
    return nn.BatchNorm1d(2)


@case("torch.nn.modules.rnn.LSTM", flags=["weights-only-refuses"])
def lstm():
    """A whole LSTM, whose attributes have changed from release to release."""
    return nn.LSTM(1, 2)


@case("build:collections.OrderedDict")
def lstm_state_dict():
    """The state dict of a bidirectional LSTM."""
    return nn.LSTM(1, 2, bidirectional=True).state_dict()


@case("torch.nn.modules.activation.MultiheadAttention", flags=["weights-only-refuses"])
def attention():
    """A whole MultiheadAttention, with the linear layer inside."""
    return nn.MultiheadAttention(2, 1)


def trained(make):
    net = nn.Linear(2, 1)
    optimizer = make(net.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        net(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    return net, optimizer


@case("torch._utils._rebuild_tensor_v2", legacy=True)
def checkpoint():
    """What a training loop saves: model, Adam, schedule, epoch and best loss."""
    net, optimizer = trained(lambda weights: torch.optim.Adam(weights, 0.1))
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    return collections.OrderedDict(
        [
            ("epoch", 3),
            ("model", net.state_dict()),
            ("optimizer", optimizer.state_dict()),
            ("scheduler", schedule.state_dict()),
            ("best", float("inf")),
        ]
    )


@case("torch._utils._rebuild_tensor_v2")
def sgd_state_dict():
    """The state dict of SGD with momentum."""
    make = torch.optim.SGD
    return trained(lambda weights: make(weights, 0.1, momentum=0.9))[1].state_dict()


@case("torch.optim.sgd.SGD", flags=["weights-only-refuses"])
def optimizer():
    """A whole optimizer, with its Parameters."""
    return torch.optim.SGD([nn.Parameter(count(2))], 0.1)


@case("torch.optim.lr_scheduler.StepLR", flags=["weights-only-refuses"])
def scheduler():
    """A whole learning rate schedule, and the optimizer inside."""
    made = torch.optim.SGD([nn.Parameter(count(2))], 0.1)
    return torch.optim.lr_scheduler.StepLR(made, 2)


def quantized():
    warnings.simplefilter("ignore")
    from torch.quantization import quantize_dynamic

    if "fbgemm" in torch.backends.quantized.supported_engines:
        torch.backends.quantized.engine = "fbgemm"
    return quantize_dynamic(nn.Sequential(nn.Linear(3, 2)), {nn.Linear})


@case("torch._utils._rebuild_qtensor", flags=["weights-only-refuses"])
def quantized_state_dict():
    """The state dict of a dynamically quantized module."""
    return quantized().state_dict()


@case(QUANTIZED, flags=["weights-only-refuses"])
def quantized_module():
    """A whole module that was quantized dynamically."""
    return quantized()


@case([((0, 0), "container:zip"), ((1, 3), "container:torchscript")], script=True)
def script():
    """A TorchScript archive: a traced Linear."""
    return torch.jit.trace(nn.Linear(2, 1), torch.ones(1, 2))

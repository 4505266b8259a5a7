"""Classes and functions that the checkpoints name."""

from __future__ import print_function

import collections

import torch
from torch import nn

try:
    import enum
except ImportError:  # Python 2 has none of its own
    enum = None


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc = nn.Linear(2, 3)
        self.register_buffer("steps", torch.arange(3))
        self.register_parameter("nothing", None)
        self.note = "a note"
        self.tied = self.fc

    def forward(self, x):
        return self.fc(x)


class Tagged(torch.Tensor):
    pass


class Plain(object):
    def __init__(self):
        self.number = 1
        self.tensor = torch.ones(2)


class Empty(object):
    pass


class Slots(object):
    __slots__ = ("first", "second")

    def __init__(self):
        self.first = 1
        self.second = [2]


class WithState(object):
    def __getstate__(self):
        return ("state", 1)

    def __setstate__(self, state):
        self.state = state


class WithReduce(object):
    def __init__(self, number):
        self.number = number

    def __reduce__(self):
        return WithReduce, (self.number,)


class Row(list):
    pass


class Config(dict):
    pass


class OldStyle:
    def __init__(self):
        self.number = 1


class OldStyleInit:
    def __init__(self, number):
        self.number = number

    def __getinitargs__(self):
        return (self.number,)


Point = collections.namedtuple("Point", "x y")

if enum:

    class Color(enum.Enum):
        RED = 1
        BLUE = "b"


def function(x):
    return x

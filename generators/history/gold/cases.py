"""The list of cases, and the decorator that fills it.

`path` is spelled as in `generators/cases/registry.py`. Where releases differ it
is a list of pairs: from which release on, and the path since then.
"""

from __future__ import print_function

import collections
import sys

import torch

PY2 = sys.version_info[0] == 2
VERSION = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])

FIELDS = "make path legacy protocols script encoding flags"
Case = collections.namedtuple("Case", FIELDS)

CASES = collections.OrderedDict()


def case(path, legacy=False, protocols=(2,), script=False, encoding="utf-8", flags=()):
    """A case of a function that returns what to save.

    `legacy`: in the old stream too, where the zip is the default. `encoding`: what
    Python 3 has to be given where Python 2 wrote the file. `script`: the function
    returns a module of TorchScript, which saves itself.
    """

    def register(function):
        now = [name for since, name in path if since <= VERSION][-1]
        row = (function, now, legacy, protocols, script, encoding, tuple(flags))
        CASES[function.__name__] = Case(*row)
        return function

    if not isinstance(path, list):
        path = [((0, 0), path)]
    return register


def count(*shape):
    """0, 1, 2, ... in this shape."""
    size = 1
    for length in shape:
        size *= length
    return torch.arange(float(size)).reshape(*shape)

"""A pickle module for Python 2 that remembers the order of the keys in the file.

Dicts have no order there, so what the release loads cannot tell. Only this much
is added to Python 2's own machine.
"""

from __future__ import print_function

import pickle

#: id of a dict -> its keys as they came. Nothing is freed while files are loaded.
ORDER = {}


def items(mapping):
    """The items of a dict in the order of the file."""
    keys = ORDER.get(id(mapping), [])
    if len(keys) != len(mapping) or set(keys) != set(mapping):
        return list(mapping.items())
    return [(key, mapping[key]) for key in keys]


class Unpickler(pickle.Unpickler):
    dispatch = dict(pickle.Unpickler.dispatch)

    def setitem(self):
        self.remember(self.stack[-3], [self.stack[-2]])
        self.load_setitem()

    def setitems(self):
        mark = self.marker()
        self.remember(self.stack[mark - 1], self.stack[mark + 1 :: 2])
        self.load_setitems()

    def build(self):
        state, made = self.stack[-1], self.stack[-2]
        self.load_build()
        if isinstance(state, dict) and hasattr(made, "__dict__"):
            ORDER[id(vars(made))] = ORDER.get(id(state), [])

    def remember(self, mapping, keys):
        if type(mapping) is dict:
            ORDER.setdefault(id(mapping), []).extend(keys)
            KEPT.append(mapping)

    dispatch[pickle.SETITEM] = setitem
    dispatch[pickle.SETITEMS] = setitems
    dispatch[pickle.BUILD] = build


#: So that no id is used twice.
KEPT = []


def load(file):
    return Unpickler(file).load()

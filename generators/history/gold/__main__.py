"""Saves every case with the installed torch, loads it again, and says what it is.

    PYTHON generators/history/gold FOLDER [--values]

Runs on Python 2.7 to 3.13 with torch 1.0 to 2.15, and imports nothing but them
and its neighbours. Writes the files and `gold.json`; with `--values` also what
is Python's alone.
"""

from __future__ import print_function

import collections
import inspect
import io
import json
import os
import signal
import sys
import traceback
import warnings

import numpy as np
import torch

import modules  # noqa: F401 (these three fill the list)
import tensors  # noqa: F401
import values
from cases import CASES, PY2, VERSION
from describe import Script, describe

#: Seconds for one file.
PATIENCE = 60
PYTHON_2 = ("python-2",) if PY2 else ()
#: The release from which on the zip is what `torch.save` writes.
ZIP_IS_DEFAULT = (1, 6)


def parameters(function):
    try:
        return list(inspect.signature(function).parameters)
    except AttributeError:  # Python 2
        return inspect.getargspec(function).args


HAS_ZIP = "_use_new_zipfile_serialization" in parameters(torch.save)
OPTIONS = {"weights_only": False} if "weights_only" in parameters(torch.load) else {}
if PY2:
    import python2

    OPTIONS["pickle_module"] = python2


def formats(case):
    """(suffix of the name, whether it is a zip archive, protocol)"""
    if case.script:
        yield "", True, 2
        return
    # An experiment at first: enough of it to see what it looks like.
    zips = HAS_ZIP and (case.legacy or VERSION >= ZIP_IS_DEFAULT)
    for protocol in case.protocols:
        if zips:
            yield ".protocol%d" % protocol if protocol != 2 else "", True, protocol
        if protocol == 2 and (case.legacy or VERSION < ZIP_IS_DEFAULT):
            yield ".legacy", False, protocol
        elif not zips:
            yield ".legacy%d" % protocol, False, protocol


def save(case, path, zipped, protocol):
    torch.manual_seed(0)
    np.random.seed(0)
    value = case.make()
    if case.script:
        torch.jit.save(value, path)
        return
    options = {"_use_new_zipfile_serialization": zipped} if HAS_ZIP else {}
    torch.save(value, path, pickle_protocol=protocol, **options)


def run(case, path, zipped, protocol):
    """What is known of one file; `skipped` if there is none."""
    try:
        save(case, path, zipped, protocol)
    except Exception as error:
        if os.path.exists(path):
            os.remove(path)
        return {"skipped": said(error)}
    try:
        value = Script(path) if case.script else torch.load(path, **OPTIONS)
        return {"answer": describe(value, case.encoding)}
    except Exception as error:
        if "-v" in sys.argv:
            traceback.print_exc()
        return {"answer": None, "answer_error": said(error)}


def said(error):
    first = (str(error).strip() or "no message").splitlines()[0]
    return "%s: %s" % (type(error).__name__, first[:300])


def apart(function, *args):
    """The result of a function in a process of its own, which may crash."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(PATIENCE)
        with io.open(writer, "wb") as file:
            file.write(json.dumps(function(*args)).encode("ascii"))
        os._exit(0)
    os.close(writer)
    with io.open(reader, "rb") as file:
        text = file.read()
    status = os.waitpid(child, 0)[1]
    if status & 127:
        return {"skipped": "crash: signal %d" % (status & 127)}
    if status:
        raise RuntimeError("a case failed; see above")
    return json.loads(text.decode("ascii"), object_pairs_hook=collections.OrderedDict)


def main(folder):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    cases, skipped = [], {}
    for name, case in CASES.items():
        if case.make.__module__ == values.__name__ and "--values" not in sys.argv:
            continue
        for ending, zipped, protocol in formats(case):
            file = name + ending
            path = os.path.join(folder, file + ".pt")
            found = apart(run, case, path, zipped, protocol)
            if "skipped" in found:
                skipped[file] = found["skipped"]
                if os.path.exists(path):  # a crash leaves one behind
                    os.remove(path)
                continue
            found.update(
                name=file,
                path=case.path,
                shows=" ".join(inspect.getdoc(case.make).split()),
                flags=sorted(set(case.flags + PYTHON_2)),
                encoding=case.encoding,
            )
            cases.append(found)
    provenance = {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": sys.version.split()[0],
    }
    everything = {"provenance": provenance, "cases": cases, "skipped": skipped}
    with io.open(os.path.join(folder, "gold.json"), "wb") as file:
        file.write(json.dumps(everything).encode("ascii"))
    print("%d files, %d skipped" % (len(cases), len(skipped)))


if __name__ == "__main__":
    main(sys.argv[1])

"""The guard: what it refuses, whom it watches, and what it lets pass."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.fuzz.invariants.guard import GUARD
from conformance.fuzz.target import Violation


@contextlib.contextmanager
def guarded(below: str = "") -> Iterator[None]:
    GUARD.up(below)
    try:
        yield
    finally:
        GUARD.down()


def _import() -> Any:
    import wave

    return wave


#: Deeds, and how Python calls them.
DEEDS: dict[str, Callable[[], Any]] = {
    "import": _import,
    "open": lambda: open(os.devnull),  # noqa: SIM115
    "os.listdir": lambda: os.listdir("."),
    "os.mkdir": lambda: os.mkdir("never"),
    "os.system": lambda: os.system("never"),  # noqa: S605, S607
    "socket.__new__": socket.socket,
    "subprocess.Popen": lambda: subprocess.Popen(["never"]),  # noqa: S607
    "compile": lambda: compile("1", "never", "eval"),
    "exec": lambda: exec("1"),  # noqa: S102
    "ctypes.dlopen": lambda: ctypes.CDLL("never"),
    "mmap.__new__": lambda: mmap.mmap(-1, 1),
}


@pytest.mark.parametrize("event", DEEDS)
def test_refuses(event: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    with pytest.raises(Violation) as refused, guarded():
        DEEDS[event]()
    assert refused.value.invariant == "side effect"
    assert refused.value.detail.split(" in ")[0] in (event, "compile")
    assert "wave" not in sys.modules


def test_remembers_what_was_swallowed() -> None:
    def swallow() -> None:
        with contextlib.suppress(Violation):
            open(os.devnull)  # noqa: SIM115

    with pytest.raises(Violation, match="open"), guarded():
        swallow()


def test_forgets_it_then() -> None:
    with pytest.raises(Violation), guarded():
        os.listdir(".")
    with guarded():
        assert id(GUARD)
    assert os.listdir(".")


def test_says_which_function_of_the_parser(tmp_path: Path) -> None:
    from conformance.parser import load

    (tmp_path / "a.pt").touch()
    with pytest.raises(Violation) as refused, guarded():
        load(tmp_path / "a.pt")
    assert refused.value.detail == "open in source.py:map_path"


def test_looks_away_when_it_is_down() -> None:
    with guarded():
        pass
    assert os.path.exists(os.devnull)
    with open(os.devnull, "rb") as file:
        assert not file.read()


def test_watches_its_own_thread() -> None:
    begin = threading.Event()
    found: list[str] = []

    def elsewhere() -> None:
        begin.wait(10)
        found.extend(os.listdir("."))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    with guarded():
        begin.set()
        thread.join(10)
    assert found


# ----------------------------------------------------------------- what it was given


def test_a_file_that_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(b"abc")
    with guarded(str(path)), open(path, "rb") as file:
        assert mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)[:] == b"abc"


def test_what_is_below_a_folder_that_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"abc")
    with guarded(str(tmp_path)):
        with os.scandir(tmp_path) as entries:
            names = [entry.name for entry in entries]
        with open(tmp_path / "a.pt", "rb") as file:
            assert file.read() == b"abc"
    assert names == ["a.pt"]


WRONG: dict[str, Callable[[Path], Any]] = {
    "to write": lambda folder: open(folder / "a.pt", "wb"),  # noqa: SIM115
    "to change": lambda folder: open(folder / "a.pt", "r+b"),  # noqa: SIM115
    "a new one": lambda folder: open(folder / "new", "xb"),  # noqa: SIM115
    "by a detour": lambda folder: open(folder / ".." / "a.pt", "rb"),  # noqa: SIM115
    "beside it": lambda folder: open(f"{folder}2", "rb"),  # noqa: SIM115
    "elsewhere": lambda folder: open(os.devnull, "rb"),  # noqa: SIM115
    "above": lambda folder: os.scandir(folder.parent),
    "to remove": lambda folder: os.remove(folder / "a.pt"),
}


@pytest.mark.parametrize("name", WRONG)
def test_nothing_else(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.pt").write_bytes(b"abc")
    with pytest.raises(Violation), guarded(str(tmp_path)):
        WRONG[name](tmp_path)
    assert (tmp_path / "a.pt").read_bytes() == b"abc"

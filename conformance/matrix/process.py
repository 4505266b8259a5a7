"""A process that is given lines and answers with lines, under limits.

It runs in a session of its own: Ctrl-C does not reach it, and it is ended with
whatever it has started. Its memory is looked at from outside, since limits of
the system count what is only reserved, and Node reserves a lot.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import Final

import psutil

from conformance.loaders.worker import Crash, Hang, OutOfMemory

#: Seconds between two looks at a process that is at work.
PAUSE: Final = 0.05
#: Seconds for a process to end by itself, when it should.
GRACE: Final = 2.0
#: Bytes of the longest line that is read.
LARGEST: Final = 64 << 20
#: Bytes of standard error that are kept.
OUTPUT: Final = 4096


@dataclass(frozen=True, slots=True)
class Broken:
    """What came is not what had to come; `message` says what."""

    message: str

    def __str__(self) -> str:
        return self.message


Failure = Crash | Hang | OutOfMemory | Broken


class Interrupted(Exception):
    """Nobody wants the answer any more."""


class Process:
    """One process, started at once; raises `OSError` if that cannot be.

    `memory`: bytes, resident, of it and all that it has started; what two of
    them share counts twice. `stop` is an event after which nobody waits.
    """

    def __init__(self, command: Sequence[str], memory: int, stop: Event) -> None:
        self.memory = memory
        self._stop = stop
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        pipes = (self._popen.stdin, self._popen.stdout, self._popen.stderr)
        self._pipes = [pipe for pipe in pipes if pipe is not None]
        self._stdin, self._stdout, self._stderr = (
            pipe.fileno() for pipe in self._pipes
        )
        self._said = bytearray()
        self._complained = b""
        self._gone = False
        self._selector = selectors.DefaultSelector()
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
        for number in (self._stdout, self._stderr):
            self._selector.register(number, selectors.EVENT_READ)

    @property
    def output(self) -> str:
        """The end of what it wrote to standard error since it was last asked."""
        return self._complained.decode("utf-8", "replace").strip()

    def ask(self, line: bytes, timeout: float) -> bytes | Failure:
        """The line with which it answers this one, without its end.

        After anything but bytes it is gone. Raises `Interrupted`.
        """
        self._read(0)
        self._complained = b""
        if self._said:
            return self._broken(f"it said more than it was asked for: {self._start}")
        if not self._write(line):
            return self._broken("it does not read its standard input")
        return self._answer(timeout)

    def _write(self, line: bytes) -> bool:
        """Lines are shorter than a pipe, which is empty if it reads them."""
        try:
            return os.write(self._stdin, line) == len(line)
        except BlockingIOError:
            return False
        except BrokenPipeError:
            # It says how it ended when its answer is read.
            return True

    def _answer(self, timeout: float) -> bytes | Failure:
        """The next line, or how it ended."""
        looked, seen = time.monotonic(), 0
        deadline = looked + timeout
        while (end := self._said.find(b"\n", seen)) < 0:
            seen = len(self._said)
            if seen > LARGEST:
                return self._broken(f"a line of more than {LARGEST >> 20} MB")
            now = time.monotonic()
            if now >= deadline:
                self.kill()
                return Hang(timeout)
            if self._stdout not in self._selector.get_map():
                return self._ended()
            if now - looked >= PAUSE:
                ended = self._look()
                if ended is not None:
                    return ended
                looked = now
            self._read(min(looked + PAUSE, deadline) - now)
        line = bytes(self._said[:end])
        # What is there already is no answer to the next question.
        del self._said[: end + 1]
        self._read(0)
        return line

    def _look(self) -> Failure | None:
        if self._stop.is_set():
            raise Interrupted
        if self._resident() > self.memory:
            self.kill()
            return OutOfMemory(f"more than {self.memory / 1e6:,.0f} MB")
        if self._popen.poll() is None:
            return None
        self._drain()
        return None if b"\n" in self._said else self._ended()

    def _read(self, seconds: float) -> bool:
        """Takes in what there is, or comes within so many; whether there was any."""
        any_at_all = False
        for key, _ in self._selector.select(max(0, seconds)):
            data = os.read(key.fd, 1 << 18)
            any_at_all = any_at_all or bool(data)
            if not data:
                self._selector.unregister(key.fd)
            elif key.fd == self._stdout:
                self._said += data
            else:
                self._complained = (self._complained + data)[-OUTPUT:]
        return any_at_all

    def _ended(self) -> Failure:
        """How it did; it is gone, or has closed its standard output."""
        try:
            status = self._popen.wait(GRACE)
        except subprocess.TimeoutExpired:
            return self._broken("it closed its standard output, and went on")
        self._drain()
        self.kill()
        return Crash(max(0, -status), max(0, status), self.output)

    def _drain(self) -> None:
        """Takes in the last words of a process that has ended."""
        # What it has started holds its pipes, too.
        self._kill_group()
        deadline = time.monotonic() + GRACE
        while self._read(0) and time.monotonic() < deadline:
            pass

    def _broken(self, message: str) -> Broken:
        self.kill()
        return Broken(message)

    @property
    def extra(self) -> bytes:
        """What it has said beyond its last answer."""
        return bytes(self._said)

    @property
    def _start(self) -> str:
        return repr(bytes(self._said[:200]))

    def _tree(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(self._popen.pid)
            return [root, *root.children(recursive=True)]
        return []

    def _resident(self) -> int:
        total = 0
        for process in self._tree():
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total

    def kill(self) -> None:
        """At once, with whatever it has started."""
        if self._gone:
            return
        self._gone = True
        if self._popen.returncode is None:
            # Those too that have a session of their own.
            for process in self._tree():
                with contextlib.suppress(psutil.Error):
                    process.kill()
        self._kill_group()
        self._popen.wait()
        self._selector.close()
        for pipe in self._pipes:
            pipe.close()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)

    def end(self, line: bytes) -> None:
        """Tells it to, and sees to it."""
        if self._gone:
            return
        self._write(line)
        self._pipes[0].close()
        deadline = time.monotonic() + GRACE
        with contextlib.suppress(subprocess.TimeoutExpired):
            while self._selector.get_map() and time.monotonic() < deadline:
                # It may wait for somebody to read what it has to say.
                self._read(PAUSE)
            self._popen.wait(max(0, deadline - time.monotonic()))
        self.kill()

"""A process that imports a module once and forks children that answer.

Importing torch takes seconds, forking a process that has done so milliseconds.
So there are two kinds of process: a *server* imports and forks, a *child*
answers; a child that dies takes nothing with it. Each child has a socket of its
own to whoever asks, which the server hands over; when the other side of a socket
is gone, a process ends.

Requests are JSON objects on a line each. An answer is a line of JSON, which says
what kind of answer it is and how many bytes of it follow. What is printed goes to
a file, so that no library's chatter can be taken for an answer.

A module is fit to run here when it has a function `answer(request) -> bytes`.
POSIX only; the limit on memory is `RLIMIT_AS`, and Linux's.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Final

#: How many bytes of what a child printed are kept when it dies, and of an error.
OUTPUT: Final = 4096
#: Seconds for a server to start; importing torch takes two on a good day.
START: Final = 120.0
#: An orphaned child ends itself so many seconds after its time is up.
GRACE: Final = 10
#: A process with threads is not safe to fork, and numerical libraries start
#: theirs at will.
ONE_THREAD: Final = {
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}

Answer = Callable[[dict[str, Any]], bytes]

# ------------------------------------------------------------------------- asking


class Channel:
    """A socket to another process: requests there, answers back.

    Every method may raise `TimeoutError`, and `EOFError` when the other side is
    gone.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()

    def send(self, request: Mapping[str, Any]) -> None:
        """Asks for something."""
        line = json.dumps(request).encode() + b"\n"
        # A process that is gone says so when its answer is read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._connection.sendall(line)

    def ask(self, request: Mapping[str, Any], timeout: float) -> tuple[str, bytes]:
        """The kind of the answer and its payload, within so many seconds.

        Raises `ValueError` for what is no answer.
        """
        self.send(request)
        return self.read(timeout)

    def read(self, timeout: float) -> tuple[str, bytes]:
        """An answer; raises as `ask` does."""
        deadline = time.monotonic() + timeout
        buffer = self._buffer
        while (end := buffer.find(b"\n")) < 0:
            self._fill(deadline)
        kind, size = json.loads(buffer[:end])
        while len(buffer) < end + 1 + size:
            self._fill(deadline)
        payload = bytes(buffer[end + 1 : end + 1 + size])
        del buffer[: end + 1 + size]
        return kind, payload

    def receive(self, timeout: float) -> tuple[int, Channel]:
        """A process id, and the way to it."""
        self._connection.settimeout(timeout)
        text, descriptors, _, _ = socket.recv_fds(self._connection, 64, 1)
        if not descriptors:
            raise EOFError
        return int(text), Channel(socket.socket(fileno=descriptors[0]))

    def _fill(self, deadline: float) -> None:
        # Not zero, which has another meaning.
        self._connection.settimeout(max(1e-3, deadline - time.monotonic()))
        try:
            data = self._connection.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        if not data:
            raise EOFError
        self._buffer += data

    def close(self) -> None:
        self._connection.close()


class Server:
    """The process that forks, its one child, and what the two print.

    Starts at once, and imports `modules`, of which the last one answers. Every
    method may raise `EOFError` when the server is gone and `TimeoutError`.
    """

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        # It must find this very package, wherever it was started.
        here = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
        path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
        # Sets of strings come in one order, whoever asks.
        fixed = {"PYTHONPATH": path, "PYTHONHASHSEED": "0", **ONE_THREAD}
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (see `end`)
        fcntl.fcntl(self._output, fcntl.F_SETFL, os.O_APPEND)
        self._printed = 0
        self._child = 0
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), *modules],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                env={**os.environ, **fixed, **environment},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._channel = Channel(ours)

    def ready(self) -> str:
        """Waits for the imports; what is missing for them, or nothing."""
        kind, payload = self._channel.read(START)
        message: str = json.loads(payload)[1] if kind == "rejected" else ""
        return message

    def fork(self, memory: int) -> Channel:
        """The way to a new child, which may map so many bytes more (0: any)."""
        # What earlier children printed interests nobody.
        self._output.truncate(0)
        self._channel.send({"fork": memory})
        self._child, child = self._channel.receive(START)
        return child

    def bury(self, *, kill: bool = True) -> int:
        """The exit status of the child, or minus the signal it died of."""
        if kill:
            self.kill()
        try:
            _, status = self._channel.ask({"bury": self._child}, GRACE)
        except TimeoutError:
            # It closed its socket and lives on.
            self.kill()
            self._channel.read(GRACE)
            status = b"0"
        self._child = 0
        return int(status)

    def kill(self) -> None:
        """Ends the child, and whatever it started; that is its process group."""
        if self._child:
            _kill(self._child)

    def status(self) -> int:
        """As `bury`, of the server itself, which is about to end."""
        try:
            return self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            return 0

    def mark(self) -> None:
        """From here on, what is printed is worth keeping."""
        self._printed = os.fstat(self._output.fileno()).st_size

    def printed(self) -> str:
        """The end of what was printed since `mark`."""
        size = os.fstat(self._output.fileno()).st_size
        begin = max(self._printed, size - OUTPUT)
        data = os.pread(self._output.fileno(), OUTPUT, begin)
        return data.decode("utf-8", "replace").strip()

    def end(self) -> None:
        """Ends everything; never raises."""
        self.kill()
        _kill(self._process.pid)
        self._process.wait()
        self._channel.close()
        self._output.close()


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


# ------------------------------------------------------------------------- server


def main(descriptor: int, modules: Sequence[str]) -> None:
    """The server's whole life: import, then fork and bury until nobody asks."""
    control = socket.socket(fileno=descriptor)
    # A limit of who started us is theirs; children get one of their own.
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    try:
        answer: Answer = [importlib.import_module(name) for name in modules][-1].answer
    except ImportError as error:
        _reply(control, "rejected", _error(error))
        return
    _freeze()
    # What is printed is printed once, by whoever printed it.
    sys.stdout.flush()
    _reply(control, "answer", b"")
    for line in control.makefile("rb"):
        match json.loads(line):
            case {"fork": memory}:
                with contextlib.ExitStack() as stack:
                    ours, theirs = map(stack.enter_context, socket.socketpair())
                    pid = os.fork()
                    if not pid:
                        # Its file above keeps the socket itself open.
                        os.close(descriptor)
                        ours.close()
                        _live(theirs, memory, answer)
                    socket.send_fds(control, [str(pid).encode()], [ours.fileno()])
            case {"bury": pid}:
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                _reply(control, "answer", str(status).encode())


# -------------------------------------------------------------------------- child


def _live(channel: socket.socket, memory: int, answer: Answer) -> None:
    """A child's whole life; does not return to what the server was doing."""
    status = 1
    try:
        os.setsid()
        if memory and sys.platform == "linux":
            with open("/proc/self/statm", encoding="ascii") as statm:
                mapped = int(statm.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (mapped + memory,) * 2)
        _reply(channel, "answer", b"")
        _serve(channel, answer)
        status = 0
    except BrokenPipeError:
        status = 0  # nobody waits for the answer any more
    except BaseException:  # noqa: BLE001 (the server's code is above us)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def _serve(channel: socket.socket, answer: Answer) -> None:
    modules = len(sys.modules)
    for line in channel.makefile("rb"):
        request = json.loads(line)
        # SIGALRM kills, unless who asked did so long before.
        signal.alarm(int(request.pop("timeout")) + GRACE)
        kind, payload = "answer", b""
        try:
            payload = answer(request)
        except MemoryError as error:
            kind, payload = "oom", str(error).encode("utf-8", "replace")
        except BaseException as error:  # noqa: BLE001 (a file may raise anything)
            kind, payload = "rejected", _error(error)
        signal.alarm(0)
        if len(sys.modules) > modules:
            modules = _freeze()
        _reply(channel, kind, payload)


def _reply(channel: socket.socket, kind: str, payload: bytes) -> None:
    header = json.dumps([kind, len(payload)]).encode()
    channel.sendall(header + b"\n" + payload)


def _freeze() -> int:
    """What is imported stays: no collection need look at it again."""
    gc.collect()
    gc.freeze()
    return len(sys.modules)


def _error(error: BaseException) -> bytes:
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 (its class is the file's own)
        message = "(an exception that has no words)"
    return json.dumps([type(error).__name__, message[:OUTPUT]]).encode()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])

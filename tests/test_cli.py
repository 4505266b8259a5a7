"""The command: what it prints, what it exits with, and that files cannot abuse it."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from conformance import __version__, cli
from conformance.commands.check import expand
from conformance.inspection import inspect
from conformance.loaders import reference
from conformance.report import terminal
from tests.builders import checkpoints

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed"
)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def weight(*numbers: float) -> checkpoints.Call:
    return checkpoints.tensor(checkpoints.floats(*numbers), (len(numbers),))


def save(path: Path, tree: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(checkpoints.zipped(tree))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Two tensors on one storage, one of them under two names, and a scalar."""
    storage = checkpoints.floats(1, 2, 3, 4)
    whole = checkpoints.tensor(storage, (2, 2))
    tail = checkpoints.tensor(storage, (2,), offset=2)
    return save(
        tmp_path / "model.pt",
        OrderedDict([("w", whole), ("tail", tail), ("again", whole), ("epoch", 3)]),
    )


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    call = checkpoints.Call("posix.system", "echo it ran")
    date = checkpoints.Call("datetime.date", b"\x07\xe4\x01\x02")
    module = checkpoints.Call("someone.else.Net", state={"w": weight(1.0)})
    return save(tmp_path / "evil.pt", [call, module, date])


# --------------------------------------------------------------------- inspect


def test_inspect_shows_what_is_in_a_file(model: Path) -> None:
    done = run("inspect", model)
    assert done.exit_code == 0
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert lines == [
        f"{model}  {model.stat().st_size} B",
        "zip archive · pickle protocol 2 · little-endian",
        "",
        "Safe: weights_only=True loads it; nothing beyond torch's allowlist.",
        "",
        "rebuilt by: torch._utils._rebuild_tensor_v2 2",
        "",
        "tensor     dtype    shape  bytes  shared with",
        "['w']      float32  2x2     16 B",
        "['tail']   float32  2        8 B  ['w']",
        "['again']  float32  2x2     16 B  = ['w']",
        "",
        "2 tensors, 6 elements, 24 B",
        "1 storage, 16 B, 16 B under more than one tensor",
        "dtypes: float32 2",
        "other values: int 1",
    ]


def test_inspect_json_has_the_same_facts(model: Path) -> None:
    done = run("inspect", model, "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["containers"] == ["zip"]
    assert found["error"] is found["refused"] is None
    assert [row["path"] for row in found["tensors"]] == [
        "['w']",
        "['tail']",
        "['again']",
    ]
    assert found["tensors"][1] == {
        "path": "['tail']",
        "type": "torch.Tensor",
        "dtype": "float32",
        "layout": "strided",
        "shape": [2],
        "nbytes": 8,
        "device": "cpu",
        "requires_grad": False,
        "storage": 0,
        "shared_with": "['w']",
        "same_object": False,
    }
    assert found["totals"] == {
        "tensors": 2,
        "parameters": 0,
        "elements": 6,
        "nbytes": 24,
        "storages": 1,
        "storage_nbytes": 16,
        "shared_nbytes": 16,
    }


def test_inspect_says_what_a_file_would_run(
    evil: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    done = run("inspect", evil)
    assert done.exit_code == 0
    assert "Refused with weights_only=True: the pickle names 'posix.system'" in (
        done.stdout
    )
    assert "Dangerous: torch.load(weights_only=False) would import 2 globals, and" in (
        done.stdout
    )
    assert "it ran" not in capfd.readouterr().out
    found = inspect(evil)
    kinds = [(row.name, row.uses, row.calls, row.known) for row in found.foreign]
    assert kinds == [
        ("posix.system", 1, 1, False),
        ("someone.else.Net", 1, 1, False),
        ("datetime.date", 1, 1, True),
    ]
    assert [row.dangerous for row in found.foreign] == [True, False, False]
    assert found.objects == {"posix.system": 1, "someone.else.Net": 1}


def test_inspect_shows_how_far_a_broken_file_came(tmp_path: Path) -> None:
    whole = checkpoints.legacy([weight(1.0), checkpoints.Call("a.b")])
    path = tmp_path / "cut.pt"
    path.write_bytes(whole[:-30])
    done = run("inspect", path)
    assert done.exit_code == 1
    assert "Reading stopped: " in done.stdout
    assert "rebuilt by: torch._utils._rebuild_tensor_v2 1" in done.stdout
    found = json.loads(run("inspect", path, "--json").stdout)
    assert found["error"]["phase"] in ("pickle", "container")
    assert isinstance(found["error"]["offset"], int)


def test_inspect_shows_the_first_tensors_or_all(tmp_path: Path) -> None:
    path = save(tmp_path / "many.pt", [weight(i) for i in range(terminal.ROWS + 5)])
    few = run("inspect", path).stdout
    assert "... and 5 more (--all shows them)" in few
    assert f"[{terminal.ROWS}]" not in few
    assert f"[{terminal.ROWS + 4}]" in run("inspect", path, "--all").stdout


def test_no_such_file(tmp_path: Path) -> None:
    done = run("inspect", tmp_path / "nothing.pt")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("torchproof: cannot read ")
    assert done.stderr.count("\n") == 1


# ---------------------------------------------------------- names of attackers

HOSTILE = "\x1b[31m\x07\x9b\x08\u202e\u2028[bold]x[/bold]\r\n\udc80:smile:"


@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_names_in_a_file_never_reach_a_terminal_raw(
    tmp_path: Path, json_too: list[str]
) -> None:
    tree = {
        HOSTILE: weight(1.0),
        "object": checkpoints.Call(f"evil.{HOSTILE.splitlines()[0][:9]}"),
        "type": checkpoints.Name("evil.\x1b[2Jname"),
    }
    done = run("inspect", save(tmp_path / "hostile.pt", tree), "--all", *json_too)
    assert done.exit_code == 0
    rest = {c for c in done.stdout if not c.isprintable()} - {"\n"}
    assert rest == set()
    assert "[bold]x[/bold]" in done.stdout
    assert ":smile:" in done.stdout


def test_printable() -> None:
    assert terminal.printable("plain [bold] ключ é") == "plain [bold] ключ é"
    assert terminal.printable("\x1b\x9b\u202e\u2028\ud800\n") == (
        r"\x1b\x9b\u202e\u2028\ud800\n"
    )


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_that_want_it(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)

    def shown(stream: io.StringIO) -> str:
        terminal.show_inspection(terminal.console(stream), inspect(model))
        return stream.getvalue()

    assert "\x1b[1;32mSafe: " in shown(Screen())
    assert "\x1b" not in shown(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;32m" not in shown(Screen())
    assert "Safe: " in shown(Screen())


def test_paths_in_whole_modules_are_shown_short() -> None:
    path = ".state['_modules']['bn1'].state['_buffers']['running_mean']"
    assert terminal.short_path(path) == ".bn1.running_mean"
    assert terminal.short_path("['a'].state['x']") == "['a'].state['x']"


# ----------------------------------------------------------------------- check


def test_check_without_torch_says_how_to_get_it(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "ORACLE", "conformance.loaders.no_such_module")
    done = run("check", model)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "pip install 'torchproof[torch]'" in done.stderr
    assert done.stderr.count("\n") == 1


@needs_torch
def test_check_compares_with_torch(model: Path, evil: Path) -> None:
    done = run("check", model)
    assert (done.exit_code, done.stderr) == (0, "")
    first, _, last = done.stdout.splitlines()
    assert first == f"equal  {model}  {model.stat().st_size} B, 2 tensors"
    assert last.startswith("1 file: 1 agree  torch 2.")
    done = run("check", model, evil, "--mode", "weights", "--mode", "full", "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["agree"] is True
    assert found["modes"] == ["weights_only=True", "weights_only=False"]
    assert [[mode["verdict"] for mode in file["modes"]] for file in found["files"]] == [
        ["equal", "equal"],
        ["both refuse", "equal"],
    ]


@needs_torch
def test_check_exits_with_1_when_the_readers_differ(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from conformance.loaders import ours

    real = ours.load

    def wrong(path: Any, **options: Any) -> Any:
        return real(save(Path(path).with_suffix(".other"), [1]), **options)

    monkeypatch.setattr(ours, "load", wrong)
    done = run("check", model, "--mode", "weights")
    assert done.exit_code == 1
    assert "type list != collections.OrderedDict at the root" in done.stdout
    assert "1 file: 0 agree, 1 do not" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.pt"], "there is no file nothing.pt"),
        (["nothing*.pt"], "nothing matches nothing*.pt"),
        (["empty"], "no checkpoint in empty"),
        (["--mode", "wrong", "a.pt"], "there is no mode 'wrong'; choose from weights,"),
    ],
)
def test_usage_errors_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    done = run("check", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"torchproof: {message}")
    assert done.stderr.count("\n") == 1


def test_files_folders_and_globs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.pt", "deep/b.PTH", "deep/er/c.ckpt", "deep/notes.txt", "[1].pt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    every = ["[1].pt", "a.pt", "deep/b.PTH", "deep/er/c.ckpt"]
    assert list(expand(["."])) == every
    assert list(expand(["deep/**/*"])) == [
        "deep/b.PTH",
        "deep/er/c.ckpt",
        "deep/notes.txt",
    ]
    # A file whose name looks like a glob is that file; and each comes once.
    assert list(expand(["[1].pt", "a.pt", "*.pt"])) == ["[1].pt", "a.pt"]


# ------------------------------------------------------------------ the process


def torchproof(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "conformance", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_version() -> None:
    with torchproof("--version") as process:
        out, err = process.communicate()
    assert (process.returncode, out, err) == (0, f"torchproof {__version__}\n", "")


def test_a_reader_that_had_enough(tmp_path: Path) -> None:
    """`torchproof inspect --all | head -1` ends without a traceback."""
    path = save(tmp_path / "many.pt", [weight(i) for i in range(3000)])
    with torchproof("inspect", "--all", path, env={**os.environ}) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""


def test_inspect_and_help_import_no_torch(model: Path) -> None:
    program = (
        "import sys; from conformance import cli;"
        f"sys.argv = ['torchproof', 'inspect', {str(model)!r}]\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

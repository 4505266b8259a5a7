"""An interpreter and a throw-away folder with a release of torch in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .recipes import Release


class Missing(Exception):
    """Something that a release needs is not to be had; says what."""


def interpreter(version: str) -> str:
    """The Python of this major and minor version, from PATH or from pyenv.

    Raises `Missing`. Each candidate is asked for its version: what pyenv puts on
    PATH may be there and still not run.
    """
    candidates = [shutil.which(f"python{version}")]
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = sorted(root.glob(f"versions/{version}.*/bin/python"))
    candidates += [str(path) for path in reversed(found)]
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        asked = subprocess.run(
            [candidate, "-c", program], capture_output=True, text=True, check=False
        )
        if asked.stdout.strip() == version:
            return candidate
    raise Missing(
        f"no Python {version}: neither python{version} on PATH, nor one in {root}"
        f" (pyenv install {version})"
    )


@contextlib.contextmanager
def installed(release: Release) -> Iterator[tuple[str, dict[str, str]]]:
    """The interpreter and the environment variables with which to run it.

    The folder (up to 5 GB) is gone afterwards, whatever happens. Raises `Missing`.
    """
    python = interpreter(release.python)
    with tempfile.TemporaryDirectory(prefix="torch-") as room:
        folder, scratch = Path(room, "packages"), Path(room, "scratch")
        scratch.mkdir()
        command = [
            python, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-compile",
            "--disable-pip-version-check", "--target", str(folder),
            *([] if release.dependencies else ["--no-deps"]),
            *release.requirements,
        ]  # fmt: skip
        done = subprocess.run(
            command,
            env={**os.environ, "TMPDIR": str(scratch)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            said = "\n".join(done.stderr.strip().splitlines()[-5:])
            raise Missing(f"pip could not install torch {release.name}:\n{said}")
        libraries = folder.glob("nvidia/**/lib")
        variables = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
        }
        yield python, variables

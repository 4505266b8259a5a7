"""How each release is installed: plain data.

Everything is exact. The wheels of CUDA are those that `import torch` needs; no
file is written on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Release:
    """One release of torch under one Python.

    `name` is its folder in the corpus; `python` the interpreter, major and minor;
    `requirements` what pip is given. `dependencies`: whether pip may add what
    these ask for. `values`: whether it also writes what is Python's alone, which
    no release of torch changes.
    """

    name: str
    python: str
    requirements: tuple[str, ...]
    dependencies: bool = False
    values: bool = False


def _release(
    version: str,
    python: str,
    numpy: str,
    extras: str = "",
    *,
    name: str = "",
    dependencies: bool = False,
    values: bool = False,
) -> Release:
    requirements = (f"torch=={version}", f"numpy=={numpy}", *extras.split())
    return Release(name or version, python, requirements, dependencies, values)


_CUDA_11: Final = (
    "nvidia-cuda-runtime-cu11==11.7.99 nvidia-cuda-nvrtc-cu11==11.7.99"
    " nvidia-cudnn-cu11==8.5.0.96 nvidia-cublas-cu11==11.10.3.66"
)
_CUDA_11_ALL: Final = (
    f"{_CUDA_11} nvidia-cuda-cupti-cu11==11.7.101 nvidia-cufft-cu11==10.9.0.58"
    " nvidia-curand-cu11==10.2.10.91 nvidia-cusolver-cu11==11.4.0.1"
    " nvidia-cusparse-cu11==11.7.4.91 nvidia-nccl-cu11==2.14.3"
    " nvidia-nvtx-cu11==11.7.91"
)
_PYTHON_2: Final = "future==0.18.3 typing==3.10.0.0 enum34==1.1.10 six==1.16.0"

#: Oldest first.
RELEASES: Final[dict[str, Release]] = {
    release.name: release
    for release in (
        _release("1.0.1", "3.6", "1.17.5", values=True),
        _release(
            "1.3.1", "2.7", "1.16.6", _PYTHON_2, name="1.3.1-python2.7", values=True
        ),
        _release("1.4.0", "3.7", "1.18.5"),
        _release("1.5.1", "3.8", "1.19.5", "future==0.18.3"),
        _release("1.6.0", "3.7", "1.19.5", "future==0.18.3", values=True),
        _release("1.8.1", "3.9", "1.20.3", "typing_extensions==4.1.1"),
        _release(
            "1.10.2", "3.6", "1.19.5", "typing_extensions==4.1.1 dataclasses==0.8"
        ),
        _release("1.13.1", "3.7", "1.21.6", f"typing_extensions==4.7.1 {_CUDA_11}"),
        _release(
            "2.0.1", "3.8", "1.24.4",
            "typing_extensions==4.7.1 sympy==1.12 mpmath==1.3.0 networkx==3.1"
            f" jinja2==3.1.2 markupsafe==2.1.3 filelock==3.12.2 {_CUDA_11_ALL}",
        ),
        _release("2.4.1", "3.8", "1.24.4", dependencies=True),
        _release("2.15.0", "3.13", "2.4.1", dependencies=True, values=True),
    )
}  # fmt: skip

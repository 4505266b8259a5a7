"""jittor's `jittor.load`, which reads PyTorch's files with a reader of its own.

It runs whatever a file asks for. jittor compiles its kernels when they are first
needed: a first run takes minutes, and files may take too long in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import serving
else:
    # A script finds what lies beside it.
    import serving

#: jittor takes a file for PyTorch's by the end of its name.
NAMES = (".pth", ".pt", ".bin")


def load(file: str, _encoding: str | None) -> dict[str, Any]:
    if not file.endswith(NAMES):
        raise serving.Skip(f"its name does not end in one of {', '.join(NAMES)}")
    found = serving.find(jittor.load(file), _is_var)
    return {"tensors": [_told(name, var) for name, var in found]}


def _is_var(value: Any) -> bool:
    return isinstance(value, jittor.Var)


def _told(name: str, var: Any) -> dict[str, Any]:
    dtype = str(var.dtype)
    elements = None if dtype == "bfloat16" else var.numpy().tobytes()
    # jittor has no empty shape: a vector of one element may be a scalar.
    shape = None if tuple(var.shape) == (1,) else var.shape
    return serving.tensor(name, elements, dtype=dtype, shape=shape)


if __name__ == "__main__":
    # It prints when it is imported.
    streams = serving.apart()
    import jittor

    serving.serve(
        load,
        streams,
        name="jittor",
        version=jittor.__version__,
        language="Python",
        facts=("dtype", "shape", "data"),
        homepage="https://cg.cs.tsinghua.edu.cn/jittor/",
        issues="https://github.com/Jittor/jittor/issues",
    )

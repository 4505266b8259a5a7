"""What torch 2.13 does not load as the release did, and why: plain data."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Final

_GONE: Final = "its release loads it, but torch 2.13 has no class of this name any more"
_SCRIPT_1_2: Final = (
    "its release loads it, but torch 2.13 loads no TorchScript archive without a"
    " data.pkl, and torch 1.2 wrote none"
)
_ZIP_1_4: Final = (
    "torch 1.4 loads it; torch 2.13 looks for the storages under data/, and this"
    " first zip has them under tensors/"
)

_STORAGES_1_4: Final = (
    "1.4.0/views 1.4.0/dtypes 1.4.0/parameter 1.4.0/storages 1.4.0/sparse_coo"
    " 1.4.0/sparse_hybrid 1.4.0/quantized_per_tensor 1.4.0/quantized_per_channel"
    " 1.4.0/state_dict 1.4.0/module 1.4.0/checkpoint 1.4.0/objects"
)
_BCOMPLEX: Final = "torch 2.15 loads it; torch 2.13 does not have this dtype yet"
_RANGE: Final = (
    "torch 2.15 loads it; what torch 2.13 does to a jagged tensor when it is rebuilt"
    " stumbles over the attributes of 2.15"
)
_MARKS: Final = (
    "torch 2.13 loads it, and adds marks of its own to the attributes of a jagged"
    " tensor that torch 2.4 saved"
)
_CSR: Final = (
    "torch 1.13 loads it; torch 2.13 has no _rebuild_sparse_csr_tensor any more"
)

#: Patterns of ids, and why a reader may load such a file or refuse it.
EITHER: Final[tuple[tuple[str, str], ...]] = (
    ("1.0.1/script", _SCRIPT_1_2),
    (_STORAGES_1_4, _ZIP_1_4),
    ("2.15.0/complex_bfloat16", _BCOMPLEX),
    ("2.15.0/nested_jagged", _RANGE),
    ("2.4.1/nested_jagged", _MARKS),
    ("1.13.1/sparse_csr 1.13.1/sparse_csr.legacy", _CSR),
    ("1.6.0/attention 1.8.1/attention", _GONE),
)

#: Patterns of ids, and where torch 2.13 finds such a file wrong in every mode.
INVALID: Final[tuple[tuple[str, str], ...]] = (
    # The parts of a complex tensor were saved as views of complex numbers.
    ("1.[689].?/complex_parts 1.10.2/complex_parts", "rebuild"),
)


def claims(name: str) -> dict[str, Any]:
    """Verdict, phase and reason of a file: `name` is its id in the family."""

    def said(table: tuple[tuple[str, str], ...]) -> str:
        return next(
            (
                text
                for patterns, text in table
                if any(fnmatchcase(name, pattern) for pattern in patterns.split())
            ),
            "",
        )

    if phase := said(INVALID):
        return {"verdict": "invalid", "phase": phase, "reason": ""}
    reason = said(EITHER)
    verdict = "either" if reason else "valid"
    return {"verdict": verdict, "phase": None, "reason": reason}

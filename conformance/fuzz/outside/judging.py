"""Findings of a loader judged again, for the triage."""

from __future__ import annotations

from ..triage.judges import Judgement, Judges
from .asking import Asking


class LoaderJudges(Judges):
    """Judges inputs by what one loader makes of them.

    `command` is what shows one again, before the name of the file.
    """

    def __init__(self, asking: Asking, command: str) -> None:
        super().__init__()
        self._asking = asking
        self._command = command

    def judge(self, target: str, data: bytes) -> Judgement:  # noqa: ARG002
        return Judgement(self._asking.hear(data).signature)

    def command(self, target: str) -> str:  # noqa: ARG002
        return self._command

    def hangs(self, signature: str) -> bool:
        return signature.startswith("timeout")

"""What `torchproof smoke` prints for people."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.padding import Padding

from conformance.matrix.smoke import Mark, Step
from conformance.report.terminal import plural, styled

STYLES: Final = {Mark.OK: "green", Mark.PASSED_BY: "yellow", Mark.SLIP: "bold red"}

#: Columns that the longest mark takes, with the space behind it.
INDENT: Final = 11
#: Characters of what a loader says.
WORDS: Final = 200


def show_step(out: Console, step: Step) -> None:
    """A line, and below it what came and a hint, where there is something to say."""
    mark = f"{step.mark.value:<{INDENT}}"
    out.print(styled((mark, STYLES[step.mark]), step.name), soft_wrap=True)
    for words, style in ((step.told[:WORDS], "dim"), (step.hint, "bold")):
        if words:
            out.print(Padding(styled((words, style)), (0, 0, 0, INDENT), expand=False))


def show_sum(out: Console, steps: list[Step]) -> None:
    """One line at the end."""
    slips = sum(step.mark is Mark.SLIP for step in steps)
    refused = sum(step.mark is Mark.PASSED_BY for step in steps)
    out.print()
    if slips:
        words = f"{slips} of {plural(len(steps), 'step')} not ok"
        out.print(styled((words, "bold red")))
        return
    out.print(styled((f"{plural(len(steps), 'step')}, no slip", "green")))
    if refused:
        out.print(f"{refused} not seen: the loader refuses such a file")
    out.print('next: torchproof run --command "..."', highlight=False)

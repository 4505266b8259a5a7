"""What `torchproof fuzz loader` prints for people."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from .terminal import console, plural, styled

if TYPE_CHECKING:
    from conformance.fuzz.outside.asking import Heard
    from conformance.fuzz.outside.hunt import Hunt, Progress

#: Seconds between two lines where there is no terminal to draw on.
PAUSE: Final = 5.0


@contextlib.contextmanager
def live(name: str, seconds: float) -> Iterator[Callable[[Progress], None]]:
    """A function to call with how far a hunt is, as often as one likes."""
    err = console(sys.stderr)
    drawn = -PAUSE
    known: set[str] = set()
    with contextlib.ExitStack() as stack:
        status = None
        if err.is_terminal:
            status = stack.enter_context(err.status(styled(f"{name}  starting")))
        pause = 0.25 if status else PAUSE

        def show(progress: Progress) -> None:
            nonlocal drawn
            for signature in progress.findings:
                if signature not in known:
                    known.add(signature)
                    err.print(styled(("finding  ", "bold red"), signature))
            if progress.seconds - drawn < pause:
                return
            drawn = progress.seconds
            line = styled((name, "bold"), f"  {_figures(progress)}")
            line.append(f", {max(0, seconds - progress.seconds):,.0f} s left")
            if status:
                status.update(line)
            else:
                err.print(line, soft_wrap=True)

        yield show


def _figures(progress: Progress) -> str:
    """`12,345 files, 210/s, corpus 56, 78 kinds of answer, 0 findings`."""
    return ", ".join(
        (
            plural(progress.asked, "file"),
            f"{progress.rate:,.0f}/s",
            f"corpus {progress.corpus:,}",
            f"{progress.kinds:,} kinds of answer",
            plural(len(progress.findings), "finding"),
        )
    )


def show_hunt(out: Console, hunt: Hunt) -> None:
    """One line for it, one for the verdicts, and what the corpus shows anyway."""
    progress = hunt.progress
    out.print(styled((hunt.name, "bold"), f"  {_figures(progress)}"), soft_wrap=True)
    verdicts = ", ".join(
        f"{verdict.value} {count:,}"
        for verdict, count in progress.verdicts.most_common()
    )
    out.print(styled(f"    {verdicts}"), soft_wrap=True)
    if hunt.known:
        told = f"    left out, for the corpus shows them: {len(hunt.known):,} kinds"
        out.print(styled((told, "dim")), soft_wrap=True)


def show_heard(out: Console, heard: Sequence[tuple[Path, Heard]]) -> None:
    """A line for each file, and what differs below it."""
    for file, one in heard:
        colour = "green" if one.signature is None else "bold red"
        torch = {True: "torch loads it", False: "torch refuses it", None: ""}
        out.print(
            styled(
                (f"{one.verdict.value}  ", colour),
                f"{file}  ",
                (torch[one.torch], "dim"),
            ),
            soft_wrap=True,
        )
        if one.message:
            out.print(styled(f"    {one.message}"), soft_wrap=True)
        for difference in one.differences:
            words = (
                f"    {difference.fact} of {difference.name!r}: "
                f"{difference.found}, not {difference.expected}"
            )
            out.print(styled(words), soft_wrap=True)

"""What `check` and `inspect` print for people.

Names come from files that nobody vouches for: all text passes `printable`
before it reaches a terminal, and none of it is read as rich's markup.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from typing import IO, Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.check import FileResult, ModeResult, Verdict
from conformance.inspection import Failure, Foreign, Inspection, Row
from conformance.ledger import reason

#: Where output is no terminal and nobody says how wide: room for one row a line.
PIPE_WIDTH: Final = 160

#: Control, format (so also bidirectional override), surrogate, private and
#: unassigned characters, and the separators that break a line.
_HIDDEN: Final = frozenset(["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"])


def console(stream: IO[str] | None = None) -> Console:
    """A console on stdout, or `stream`; colour on terminals, unless NO_COLOR."""
    stream = sys.stdout if stream is None else stream
    known = stream.isatty() or "COLUMNS" in os.environ
    return Console(
        file=stream,
        width=None if known else PIPE_WIDTH,
        highlight=False,
        emoji=False,
        markup=False,
        soft_wrap=False,
    )


def printable(text: str) -> str:
    """The text with everything escaped that a terminal might obey or hide."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode("ascii")
        if unicodedata.category(c) in _HIDDEN
        else c
        for c in text
    )


def sized(count: int) -> str:
    """A number of bytes, as people say it."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            break
        size /= 1000
    return f"{count} B" if unit == "B" else f"{size:.3g} {unit}"


def plural(count: int, noun: str) -> str:
    """`1 tensor`, `20,000 tensors`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def styled(*pieces: str | tuple[str, str]) -> Text:
    """One line of printable pieces, some with a style."""
    line = Text()
    for piece in pieces:
        text, style = (piece, "") if isinstance(piece, str) else piece
        line.append(printable(text), style)
    return line


def grid(*columns: dict[str, Any], title: bool = True) -> Table:
    """A table without lines, that takes no more room than it needs."""
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="dim",
        show_header=title,
    )
    for column in columns:
        table.add_column(**column)
    return table


# --------------------------------------------------------------------- inspect

#: One step down in what pickle stores of a `torch.nn.Module`.
_MODULE_STEP: Final = re.compile(
    r"\.state\['_(?:modules|parameters|buffers)'\]\['([^'\\]+)'\]"
)

#: Tensors that are shown unless all are asked for.
ROWS: Final = 20
#: Foreign globals, and kinds of values, that are shown before "and more".
FOREIGN: Final = 30
KINDS: Final = 12

CONTAINERS: Final = {
    "zip": "zip archive",
    "torchscript": "TorchScript archive",
    "legacy": "legacy stream",
    "tar": "legacy tar",
    "pickle": "plain pickle",
    "distcp": "distributed checkpoint",
}


def show_inspection(out: Console, found: Inspection, rows: int | None = ROWS) -> None:
    """Everything about one file; of the tensors the first `rows` (`None`: all)."""
    out.print(styled((found.file, "bold"), (f"  {sized(found.size)}", "dim")))
    if found.containers or found.protocols:
        out.print(_format_line(found))
    if found.error is not None:
        out.print()
        _show_failure(out, "Reading stopped", found.error)
    out.print()
    _show_safety(out, found)
    if found.rebuilds:
        out.print()
        out.print(_counted(("rebuilt by", found.rebuilds)))
    if found.error is not None:
        return
    if found.tensors:
        out.print()
        _show_tensors(out, found, rows)
    out.print()
    for line in _total_lines(found):
        out.print(line)


def _format_line(found: Inspection) -> Text:
    names = [CONTAINERS.get(name, name) for name in found.containers]
    pieces = [_repeats(names)]
    if found.protocols:
        numbers = [str(protocol) for protocol in found.protocols]
        pieces.append(f"pickle protocol {_repeats(numbers)}")
    if found.byteorder is not None:
        pieces.append(f"{found.byteorder}-endian")
    return styled((" · ".join(piece for piece in pieces if piece), "dim"))


def _repeats(names: list[str]) -> str:
    """The different names in their order: many protocols, mostly the same."""
    return ", ".join(dict.fromkeys(names))


def _show_failure(out: Console, what: str, error: Failure) -> None:
    place = error.phase
    if error.offset is not None:
        place += f", byte {error.offset:,}"
    if error.path:
        place += f", at {error.path}"
    out.print(styled((f"{what}: ", "bold red"), error.message, (f" ({place})", "dim")))


def _show_safety(out: Console, found: Inspection) -> None:
    """The answer to "is it safe?", and what it rests on."""
    foreign = found.foreign
    if found.error is not None:
        if not foreign:
            what = "Nothing beyond torch's allowlist in what was read before that."
            out.print(styled((what, "dim")))
    elif found.refused is None:
        out.print(
            styled(
                ("Safe: ", "bold green"),
                "weights_only=True loads it; nothing beyond torch's allowlist.",
            )
        )
    else:
        _show_failure(out, "Refused with weights_only=True", found.refused)
    if not foreign:
        return
    out.print(_verdict(foreign))
    table = grid(
        {"header": "global beyond the allowlist", "overflow": "fold"},
        {"header": "named", "justify": "right"},
        {"header": "called", "justify": "right"},
        {"header": "what it is"},
    )
    for row in foreign[:FOREIGN]:
        style, what = _kind(row)
        calls = f"{row.calls:,}" if row.calls else "-"
        name = styled((row.name, style))
        table.add_row(name, f"{row.uses:,}", calls, styled((what, style or "dim")))
    out.print(table)
    if len(foreign) > FOREIGN:
        out.print(styled((f"... and {len(foreign) - FOREIGN:,} more", "dim")))


def _verdict(foreign: list[Foreign]) -> Text:
    unknown = [row for row in foreign if not row.known]
    if not unknown:
        return styled(
            ("Plain data: ", "bold green"),
            "it only wants globals that are known to hold data.",
        )
    danger = any(row.dangerous for row in unknown)
    called = sum(1 for row in unknown if row.calls)
    what = f"import {plural(len(unknown), 'global')}"
    if called:
        what += f", and call {'it' if called == len(unknown) == 1 else f'{called:,}'}"
    return styled(
        ("Dangerous: ", "bold red") if danger else ("Careful: ", "bold yellow"),
        f"torch.load(weights_only=False) would {what}. Nothing ran here.",
    )


def _kind(row: Foreign) -> tuple[str, str]:
    """What a global is, and the style to say it in."""
    if row.dangerous:
        return "bold red", "acts on the machine"
    if row.known:
        return "", "plain data"
    package = row.name.partition(".")[0]
    if package == "__torch__":
        return "yellow", "TorchScript in the file"
    return "yellow", f"code of {package}"


def _show_tensors(out: Console, found: Inspection, rows: int | None) -> None:
    shown = found.tensors if rows is None else found.tensors[:rows]
    parts = [row.type.rpartition(".")[2] for row in shown]
    typed = any(part != "Tensor" for part in parts)
    shared = any(row.shared_with is not None for row in shown)
    table = grid(
        {"header": "tensor", "overflow": "fold"},
        *([{"header": "type", "overflow": "fold"}] if typed else []),
        {"header": "dtype", "overflow": "fold"},
        {"header": "shape", "overflow": "fold"},
        {"header": "bytes", "justify": "right", "no_wrap": True},
        *([{"header": "shared with", "overflow": "fold"}] if shared else []),
    )
    for row, part in zip(shown, parts, strict=True):
        dtype = row.dtype if row.layout == "strided" else f"{row.dtype} {row.layout}"
        if row.device != "cpu":
            dtype += f" {row.device}"
        cells = [styled((short_path(row.path), "cyan"))]
        if typed:
            cells.append(styled(part))
        cells.append(styled(dtype))
        cells.append(styled(shape_text(row.shape)))
        cells.append(styled("-" if row.nbytes is None else sized(row.nbytes)))
        if shared:
            cells.append(_shared_text(row))
        table.add_row(*cells)
    out.print(table)
    if len(shown) < len(found.tensors):
        left = len(found.tensors) - len(shown)
        out.print(styled((f"... and {left:,} more (--all shows them)", "dim")))


def short_path(path: str) -> str:
    """The path of a tensor in a whole module, as `named_parameters` has it."""
    return _MODULE_STEP.sub(r".\1", path)


def shape_text(shape: tuple[int, ...]) -> str:
    """`64x3x7x7`, `2x?` if ragged; `scalar` for no dimensions at all."""
    return "x".join("?" if n < 0 else str(n) for n in shape) or "scalar"


def _shared_text(row: Row) -> Text:
    if row.shared_with is None:
        return Text()
    path = short_path(row.shared_with)
    return styled((f"= {path}" if row.same_object else path, "magenta"))


def _total_lines(found: Inspection) -> Iterator[Text]:
    totals = found.totals
    line = f"{plural(totals.tensors, 'tensor')}"
    if totals.parameters:
        line += f" ({plural(totals.parameters, 'Parameter')})"
    line += f", {plural(totals.elements, 'element')}, {sized(totals.nbytes)}"
    yield styled((line, "bold"))
    line = f"{plural(totals.storages, 'storage')}, {sized(totals.storage_nbytes)}"
    if totals.shared_nbytes:
        line += f", {sized(totals.shared_nbytes)} under more than one tensor"
    yield styled(line)
    counts = (("dtypes", found.dtypes), ("objects", found.objects))
    for heading, counter in (*counts, ("other values", found.scalars)):
        if counter:
            yield _counted((heading, counter))


def _counted(row: tuple[str, dict[str, int]]) -> Text:
    """`dtypes: float32 102, int64 20`; the longer ones cut."""
    heading, counter = row
    line = styled((f"{heading}: ", "dim"))
    for index, (name, count) in enumerate(list(counter.items())[:KINDS]):
        line.append_text(styled(", " if index else "", name, (f" {count:,}", "dim")))
    if len(counter) > KINDS:
        line.append_text(styled((f", and {len(counter) - KINDS:,} more", "dim")))
    return line


# ----------------------------------------------------------------------- check

#: Characters of what a reader said; `--json` has all.
WORDS: Final = 200

#: Colour, which torch puts into its messages.
_ESCAPE_SEQUENCE: Final = re.compile(r"\x1b\[[0-9;]*m")

_STYLES: Final = {True: "green", False: "bold red"}


def show_check(out: Console, found: FileResult) -> None:
    """One file: a line if it is equal in all modes, else one for each verdict."""
    verdicts = dict.fromkeys(result.verdict for result in found.modes)
    # What to say of the file as a whole: what stands first in the list of
    # verdicts if all is well, else what stands last.
    choose = min if found.agrees else max
    headline = choose(verdicts, key=list(Verdict).index)
    facts = [sized(found.size)]
    if found.tensors:
        tensors = plural(found.tensors, "tensor")
        if found.parameters:
            tensors += f" ({plural(found.parameters, 'Parameter')})"
        facts.append(tensors)
    out.print(
        styled(
            (f"{headline.value}  ", _STYLES[found.agrees]),
            (found.file, "bold"),
            (f"  {', '.join(facts)}", "dim"),
        )
    )
    if list(verdicts) == [Verdict.EQUAL]:
        return
    for verdict in verdicts:
        same = [result for result in found.modes if result.verdict is verdict]
        _show_verdict(out, verdict, same)


def _show_verdict(out: Console, verdict: Verdict, results: list[ModeResult]) -> None:
    style = "dim" if verdict.agrees else "red"
    modes = _modes([result.mode for result in results])
    _indented(out, 1, styled((f"{verdict.value}:", style)), styled(modes))
    for who, words in dict.fromkeys(_said(results)):
        label = styled((f"{who}:", "dim"))
        _indented(out, 2, label, styled((_in_short(words), "dim")))
    shown = {result.differences: result for result in results if result.differences}
    for result in shown.values():
        if len(shown) > 1:
            _indented(out, 2, styled((f"{result.mode}:", "dim")))
        for difference in result.differences:
            _indented(out, 2, styled(str(difference)))
        left = result.total - len(result.differences)
        if left:
            _indented(out, 2, styled((f"... and {left:,} more (--limit)", "dim")))


def _said(results: list[ModeResult]) -> Iterator[tuple[str, str]]:
    """What the readers said instead of loading, and the ledger of it."""
    for result in results:
        if result.row is not None:
            yield "ledger", f"{result.row}: {reason(result.row)}"
    for result in results:
        if result.ours is not None:
            yield "ours", result.ours
    for result in results:
        if result.torch is not None:
            yield "torch", result.torch


def _modes(names: list[str]) -> str:
    """`weights_only=True, with and without mmap`."""
    mapped = {name.partition(",")[0] for name in names if "mmap" in name}
    plain = {name for name in names if "mmap" not in name}
    shown = []
    for name in dict.fromkeys(name.partition(",")[0] for name in names):
        if name not in mapped:
            shown.append(name)
        elif name in plain:
            shown.append(f"{name} with and without mmap")
        else:
            shown.append(f"{name} with mmap")
    return ", ".join(shown)


def _in_short(words: str) -> str:
    """What a reader said, on one line, without torch's advice."""
    advice = "WeightsUnpickler error: "
    if advice in words:
        kind, _, _ = words.partition(": ")
        words = f"{kind}: {words.rpartition(advice)[2]}"
    if words.startswith("Traceback"):
        words = f"{words.strip().splitlines()[-1]} (a bug; --json has the traceback)"
    words = " ".join(_ESCAPE_SEQUENCE.sub("", words).split())
    return words if len(words) <= WORDS else f"{words[:WORDS]}..."


def _indented(out: Console, depth: int, *cells: Text) -> None:
    """Cells side by side, the last one wrapped within its own column."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(width=4 * depth - 1)
    for _ in cells[1:]:
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("", *cells)
    out.print(table)


def show_summary(
    out: Console, results: list[FileResult], torch: str, seconds: float
) -> None:
    """How many files agree, with which torch."""
    agree = sum(result.agrees for result in results)
    line = f"{plural(len(results), 'file')}: {agree:,} agree"
    if agree < len(results):
        line += f", {len(results) - agree:,} do not"
    out.print()
    out.print(
        styled(
            (line, _STYLES[agree == len(results)]),
            (f"  torch {torch}, {seconds:.1f} s", "dim"),
        )
    )


@contextlib.contextmanager
def progress(total: int, out: Console) -> Iterator[Callable[[str], None]]:
    """A bar on standard error, if that is a terminal and there is some way to go.

    Where `out` is a terminal too, it is the same one, and must draw the bar
    itself to keep what it prints above it. Gives a function to call with the
    name of each file as its turn comes.
    """
    err = console(sys.stderr)
    if total < 2 or not err.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        console=out if out.is_terminal else err,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with bar:
        task = bar.add_task("", total=total)
        done = -1

        def step(name: str) -> None:
            nonlocal done
            done += 1
            short = name if len(name) <= 40 else f"...{name[-37:]}"
            bar.update(task, completed=done, description=printable(short))

        yield step

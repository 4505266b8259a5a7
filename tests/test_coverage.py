"""Coverage of a small corpus, made here: what it counts, and what its views say."""

from __future__ import annotations

import hashlib
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from conformance.commands.coverage import coverage
from conformance.corpus import format as corpus_format
from conformance.corpus.format import Answer, Case, Directory, Index
from conformance.corpus.paths import traced
from conformance.coverage import denominators, lines, measure, rows
from conformance.coverage.denominators import Denominator, Denominators
from conformance.description import to_document
from conformance.loaders import ours
from conformance.parser import DType, Global, Size
from conformance.report import (
    coverage_html,
    coverage_markdown,
    coverage_views,
    terminal,
)
from tests.builders import checkpoints
from tests.builders.checkpoints import Call, floats, tensor

V2 = "torch._utils._rebuild_tensor_v2"
PARAMETER = "torch._utils._rebuild_parameter"
HOSTILE = "<script>alert(1)</script> & a tensor."


def parameter(data: Call) -> Call:
    return Call(PARAMETER, data, True, checkpoints.hooks())


#: The files: what each holds, and its verdict.
TREES: dict[str, tuple[Any, corpus_format.Verdict]] = {
    "rebuild_tensor_v2/vector": (tensor(floats(1, 2), (2,)), "valid"),
    "rebuild_tensor_v2/too_long": (tensor(floats(1, 2), (3,)), "invalid"),
    "rebuild_parameter/vector": (
        {"w": parameter(tensor(floats(1, 2, 3), (3,)))},
        "valid",
    ),
    "objects/foreign": (Call("my.models.Net", 1), "either"),
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    directories: dict[str, list[Case]] = {}
    for id, (tree, verdict) in TREES.items():
        name, _, stem = id.rpartition("/")
        file = folder / name / f"{stem}.pt"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(checkpoints.zipped(tree))
        directories.setdefault(name, []).append(case_of(id, file, verdict))
    for name, cases in directories.items():
        ordered = tuple(sorted(cases, key=lambda case: case.id))
        directory = Directory(corpus_format.FORMAT, name, {"torch": "none"}, ordered)
        (folder / name / corpus_format.CASES).write_bytes(
            corpus_format.encode(directory)
        )
    counts = {name: len(cases) for name, cases in directories.items()}
    index = Index(corpus_format.FORMAT, "0", "torch 2.13.0", {}, counts, {})
    (folder / corpus_format.INDEX).write_bytes(corpus_format.encode_index(index))
    (folder / corpus_format.SCHEMA).write_bytes(corpus_format.schema() + b"\n")
    return folder


def case_of(id: str, file: Path, verdict: corpus_format.Verdict) -> Case:
    trace = traced(file)
    answer = None
    if verdict != "invalid":
        value = to_document(ours.load(str(file), weights_only=False))
        readers = ("full",)
        answer = Answer(readers, value)
    return Case(
        id=id,
        file=file.name,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        shows=HOSTILE,
        path=next(iter(trace.calls)),
        label="built",
        verdict=verdict,
        phase="rebuild" if verdict == "invalid" else None,
        reason="" if verdict != "either" else "Nobody knows the class.",
        containers=tuple(trace.containers),
        protocols=tuple(trace.protocols),
        calls=dict(sorted(trace.calls.items())),
        expected=answer,
    )


@pytest.fixture(scope="module")
def found(corpus: Path) -> rows.Coverage:
    return rows.cover(corpus, torch=False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Denominators:
    """As if a torch said so: one thing is covered, one cannot be, and one is new."""
    answer = Denominators(
        {"torch": "9.9.9", "numpy": "9", "python": "9"},
        (
            Denominator(
                "rebuild functions",
                "the source",
                {
                    V2: (V2,),
                    "torch._utils._rebuild_new": ("torch._utils._rebuild_new",),
                },
            ),
            Denominator(
                "layouts",
                "the source",
                {
                    "torch._mkldnn": ("layout:_mkldnn",),
                    "torch.strided": ("layout:strided",),
                },
            ),
        ),
    )
    monkeypatch.setattr(rows, "ask", lambda: answer)
    # Their functions are those of no torch.
    measure_lines = lines.measure
    monkeypatch.setattr(
        lines,
        "measure",
        lambda request: {} if request.reader == "torch" else measure_lines(request),
    )
    return answer


def row(found: rows.Coverage, path: str) -> rows.Row:
    return next(row for row in found.rows if row.path == path)


# --------------------------------------------------------------------- what is counted


def test_a_row_for_each_path_that_the_files_take(found: rows.Coverage) -> None:
    vector = row(found, V2)
    assert vector.group == "rebuild functions"
    assert vector.cases == (
        "rebuild_parameter/vector",
        "rebuild_tensor_v2/too_long",
        "rebuild_tensor_v2/vector",
    )
    assert vector.verdicts == {"invalid": 1, "valid": 2}
    assert vector.containers == {"zip": 3}
    assert vector.protocols == {2: 3}
    assert vector.dtypes == ("float32",)
    assert vector.signatures == ("storage, int, tuple[1], tuple[1], bool, OrderedDict",)
    assert vector.modes["weights_only=False"] == 2
    assert vector.modes["weights_only=True"] == 0
    assert vector.agree == 3
    assert row(found, PARAMETER).signatures == ("Tensor, bool, OrderedDict",)
    assert row(found, "container:zip").cases == tuple(sorted(TREES))
    assert row(found, "persistent-id:storage").group == "persistent ids"
    # What stays inert is no rebuild path.
    assert all(row.path != "my.models.Net" for row in found.rows)


def test_lines_are_those_that_the_cases_of_the_path_reach(
    found: rows.Coverage, corpus: Path
) -> None:
    reached = row(found, PARAMETER).ours
    assert reached is not None
    assert reached.function == "_rebuild_parameter"
    assert reached.module == "conformance.parser.rebuild.subclasses"
    done, there = reached.lines
    assert 0 < done <= there
    assert len(reached.missing) == there - done
    # The invalid case fails inside the function, and reaches no more of it.
    whole = row(found, V2).ours
    alone = answer_for(corpus, "rebuild_tensor_v2/too_long")[V2]
    assert whole is not None
    assert set(whole.missing) < set(alone.missing)


def answer_for(corpus: Path, *ids: str) -> dict[str, lines.Lines]:
    subjects = tuple(
        lines.Subject(id, str(corpus / f"{id}.pt"), "utf-8") for id in TREES
    )
    paths = {V2: ids, PARAMETER: ids, "container:zip": ids, "my.models.Net": ids}
    return lines.measure(lines.Request("ours", subjects, paths))


def test_a_path_without_cases_has_lines_and_reaches_none(corpus: Path) -> None:
    found = answer_for(corpus)
    assert found.keys() == {V2, PARAMETER}
    for reached in found.values():
        assert reached.lines[0] == reached.branches[0] == 0 < reached.lines[1]


def test_a_reader_that_dies_is_said_to(corpus: Path) -> None:
    gone = lines.Subject("gone", str(corpus / "gone.pt"), "utf-8")
    with pytest.raises(lines.MeasuringFailed, match=r"(?s)exit status 1.*gone\.pt"):
        lines.measure(lines.Request("ours", (gone,), {V2: ("gone",)}))


@pytest.mark.parametrize(
    ("shape", "stride", "expected"),
    [
        ((2, 3), (3, 1), "contiguous_format"),
        ((2, 3), (1, 2), None),
        ((), (), "contiguous_format"),
        ((2, 3, 4, 5), (60, 20, 5, 1), "contiguous_format"),
        ((2, 3, 4, 5), (60, 1, 15, 3), "channels_last"),
        ((2, 3, 4, 5, 6), (360, 1, 90, 18, 3), "channels_last_3d"),
        # Both at once: nobody could tell.
        ((2, 1, 1, 1), (1, 1, 1, 1), None),
        ((2, 3, 4), (12, 1, 3), None),
    ],
)
def test_memory_formats(
    shape: tuple[int, ...], stride: tuple[int, ...], expected: str | None
) -> None:
    assert measure.format_of(shape, stride) == expected


def test_words_of_a_signature() -> None:
    args: tuple[Any, ...] = (
        None,
        Size((1, 2)),
        (1,),
        [1],
        Global("a", "B"),
        DType("int8"),
        {},
        b"",
    )
    assert measure.signature(args) == (
        "None, Size[2], tuple[1], list, global, dtype, dict, bytes"
    )
    assert measure.signature(tuple(range(11))) == "int, " * 10 + "..."


# -------------------------------------------------------------------- what is to cover


def part(
    entries: dict[str, str], corpus: Path, title: str = "dtypes"
) -> dict[str, str]:
    """How the entries of a denominator stand, by their name."""
    by_path: dict[str, list[measure.Measured]] = {}
    for case in measure.measure(corpus):
        for path in case.paths:
            by_path.setdefault(path, []).append(case)
    denominator = Denominator(
        title, "", {name: (path,) for name, path in entries.items()}
    )
    found = rows.part_of(denominator, by_path)
    return {entry.name: entry.standing for entry in found.entries}


def test_an_entry_is_covered_by_a_file_that_does_it(corpus: Path) -> None:
    entries = {
        "float32": "dtype:float32",
        "int8": "dtype:int8",
        "net": "my.models.Net",
        "storage": "global:torch.FloatStorage",
        "stop": "opcode:STOP",
        "long4": "opcode:LONG4",
        "rows": "memory-format:contiguous_format",
    }
    standing = part(entries, corpus)
    covered = {name for name, how in standing.items() if how == "covered"}
    assert covered == {"float32", "net", "storage", "stop", "rows"}


def test_a_file_that_nobody_loads_covers_opcodes_alone(
    tmp_path: Path, corpus: Path
) -> None:
    only = next(
        case
        for case in measure.measure(corpus)
        if case.case.id == "rebuild_tensor_v2/too_long"
    )
    by_path = {path: [only] for path in only.paths}
    entries: dict[str, tuple[str, ...]] = {"v2": (V2,), "stop": ("opcode:REDUCE",)}
    found = rows.part_of(Denominator("x", "", entries), by_path)
    assert [entry.standing for entry in found.entries] == ["missing", "covered"]


def test_the_table_of_what_cannot_be_covered() -> None:
    table = denominators.uncoverable()
    assert table
    assert all(row.reason.endswith(".") for row in table)
    assert len({(row.denominator, row.entry) for row in table}) == len(table)


def test_a_pattern_speaks_of_its_own_denominator() -> None:
    row = denominators.Uncoverable("layouts", "torch._mkl*", "No storage.")
    assert row.matches("layouts", "torch._mkldnn")
    assert not row.matches("dtypes", "torch._mkldnn")
    assert not row.matches("layouts", "torch.strided")


@pytest.mark.usefixtures("asked")
def test_a_rebuild_function_that_is_new_is_a_hole(corpus: Path) -> None:
    found = rows.cover(corpus)
    functions, layouts = found.parts
    assert (functions.covered, functions.coverable, len(functions.entries)) == (1, 2, 2)
    assert [entry.name for entry in functions.missing] == ["torch._utils._rebuild_new"]
    assert (layouts.covered, layouts.coverable, len(layouts.entries)) == (1, 1, 2)
    assert not found.complete
    # It has a row of its own, which says that there is nothing.
    assert row(found, "torch._utils._rebuild_new").cases == ()


# -------------------------------------------------------------------------------- views


class Page(HTMLParser):
    """What a page links to, and the elements that a link can lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.scripts = 0
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.scripts += tag == "script"
        if tag == "a":
            self.links.append(values.get("href") or "")
        elif values.get("src") or values.get("href"):
            self.sources.append(tag)
        if values.get("id"):
            self.ids.append(str(values["id"]))


@pytest.mark.usefixtures("asked")
def test_the_page_leads_to_every_case_and_nowhere_else(corpus: Path) -> None:
    text = coverage_html.render(rows.cover(corpus), "../corpus")
    page = Page(text)
    assert page.sources == []
    assert len(set(page.ids)) == len(page.ids)
    within = {link[1:] for link in page.links if link.startswith("#")}
    assert within <= set(page.ids)
    files = {link for link in page.links if not link.startswith("#")}
    assert files == {f"../corpus/{id}.pt" for id in TREES}
    assert not re.search(r"https?:|url\(|@import", text)


def test_the_page_does_not_run_what_a_case_says(found: rows.Coverage) -> None:
    text = coverage_html.render(found, "corpus")
    assert Page(text).scripts == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; a tensor." in text


@pytest.mark.usefixtures("asked")
def test_markdown(corpus: Path) -> None:
    found = rows.cover(corpus)
    text = coverage_markdown.render(found)
    assert coverage_markdown.render(rows.cover(corpus)) == text
    assert "| rebuild functions | 1 | 2 | 2 | the source |" in text
    assert "- rebuild functions: `torch._utils._rebuild_new`" in text
    assert "- layouts: `torch._mkldnn`. Saving raises NotImplementedError" in text
    assert re.search(
        rf"\| `{V2}` \| 3 \| 2 \| zip \| 2 \| 1 \| 1 \| 0/2 \| 3/3 \|", text
    )
    tables = re.findall(r"^\|.*\|$", text, re.MULTILINE)
    header = next(line for line in tables if line.startswith("| path |"))
    columns = len(coverage_views.COLUMNS) + 1
    assert header.count("|") == columns + 1


@pytest.mark.usefixtures("asked")
def test_the_terminal_shows_holes_first(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    stream = io.StringIO()
    coverage_views.show(terminal.console(stream), rows.cover(corpus))
    text = stream.getvalue()
    assert text.index("rebuild functions, not covered") < text.index(V2)
    assert "torch._utils._rebuild_new" in text
    assert text.rstrip().endswith("1 hole  torch 9.9.9")


# ------------------------------------------------------------------------- the command


def run(*arguments: str | Path) -> Result:
    import typer

    app = typer.Typer()
    app.command()(coverage)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_without_torch_there_is_nothing_to_miss(corpus: Path) -> None:
    done = run("--corpus", corpus, "--no-torch", "--json")
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert document["parts"] == []
    assert {row["path"] for row in document["rows"]} >= {V2, PARAMETER, "container:zip"}
    assert document["cases"]["objects/foreign"] == {
        "file": "objects/foreign.pt",
        "shows": HOSTILE,
        "verdict": "either",
    }


@pytest.mark.usefixtures("asked")
def test_a_hole_is_exit_status_1(corpus: Path, tmp_path: Path) -> None:
    page, text = tmp_path / "coverage.html", tmp_path / "coverage.md"
    done = run("--corpus", corpus, "--html", page, "--markdown", text)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "_rebuild_new" in page.read_text("utf-8")
    assert "_rebuild_new" in text.read_text("utf-8")
    links = Page(page.read_text("utf-8")).links
    files = [link for link in links if not link.startswith("#")]
    assert files
    assert all((tmp_path / link).is_file() for link in files)


def test_no_corpus_is_exit_status_2(tmp_path: Path) -> None:
    done = run("--corpus", tmp_path)
    assert done.exit_code == 2
    assert "is no corpus" in done.stderr


def test_no_torch_is_exit_status_2(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable() -> Denominators:
        raise denominators.Unavailable("No module named 'torch'")

    monkeypatch.setattr(rows, "ask", unavailable)
    done = run("--corpus", corpus)
    assert done.exit_code == 2
    assert "No module named 'torch'" in done.stderr
    assert "--no-torch" in done.stderr

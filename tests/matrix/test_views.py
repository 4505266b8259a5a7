"""The views of a run: what each says; and that words of loaders are only text."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner
from typer.testing import Result as Invoked

from conformance.commands.report import report
from conformance.corpus.format import cases, corpus_folder
from conformance.loaders import adapters
from conformance.matrix import expectations, results
from conformance.matrix.expectations import Expectations, Group, Surprise
from conformance.matrix.results import Loader, Run, Verdict
from conformance.report.matrix import badge, embedded, html, junit, markdown, views
from conformance.report.matrix.terminal import show_absent, show_run
from conformance.report.terminal import console

from . import runs

RUN = runs.small()

#: Control characters, and those that hide or reorder text; lines may end.
UNSAFE = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\ud800-\udfff]"
)


def standing(run: Run, id: str) -> views.Standing:
    return next(one for one in views.standings(run) if one.loader.id == id)


def standing_of(**counts: int) -> views.Standing:
    verdicts = Counter({Verdict(name): count for name, count in counts.items()})
    return views.Standing(runs.loader("x"), verdicts, 0)


# ---------------------------------------------------------------------- plain data


def test_every_result_is_counted_once() -> None:
    assert sum(one.counts.total() for one in views.standings(RUN)) == len(RUN.results)
    gaps = standing(RUN, "gaps")
    assert gaps.counts == {
        Verdict.PASS: 1,
        Verdict.WRONG: 1,
        Verdict.REJECTS: 1,
        Verdict.ACCEPTS: 1,
        Verdict.MISSING: 1,
        Verdict.SKIP: 1,
        Verdict.CRASH: 1,
    }
    assert (gaps.judged, gaps.silent, gaps.percent) == (6, 2, 16)
    assert gaps.seconds == 7 * 0.25


def test_a_hundred_percent_is_all_of_them() -> None:
    assert standing_of(**{"pass": 999, "rejects": 1}).score == "99 %"
    assert standing_of(**{"pass": 7, "skip": 900}).score == "100 %"
    assert standing_of(skip=3).score == "nothing judged"
    assert standing_of(**{"pass": 93, "wrong": 2, "missing": 5}).score == (
        "93 % (7 silent)"
    )


def test_a_loader_without_results_is_there() -> None:
    found = views.standings(runs.run([runs.loader("late")], []))
    assert [one.score for one in found] == ["nothing judged"]


def test_clusters_begin_with_what_nobody_is_told() -> None:
    found = views.clusters(RUN)
    silent = [one.verdict.silent for one in found]
    assert silent == sorted(silent, reverse=True)
    loud = [len(one.cases) for one in found if not one.verdict.silent]
    assert loud == sorted(loud, reverse=True)
    assert sum(len(one.cases) for one in found) == len(list(views.failures(RUN)))
    refused = next(one for one in found if one.cause == "I refuse")
    assert (refused.loader, len(refused.cases)) == ("no", 3)
    assert refused.example in refused.cases


def test_every_verdict_has_a_sign_of_its_own() -> None:
    assert views.SIGNS.keys() == set(Verdict)
    assert len(set(views.SIGNS.values())) == len(Verdict)


# ------------------------------------------------------------------------ terminal


def shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    stream = io.StringIO()
    out = console(stream)
    show_run(out, run)
    show_absent(out, run)
    return stream.getvalue()


def test_the_terminal_shows_silent_failures_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = shown(RUN, monkeypatch)
    head = text.splitlines()[0]
    assert head.index("wrong") < head.index("missing") < head.index("rejects")
    assert head.index("rejects") < head.index("pass")
    assert text.index("the data differ") < text.index("I refuse")
    assert re.search(r"^gaps +1\.0 +16 %", text, re.MULTILINE)
    assert "7 cases, 3 loaders: 2 silent failures" in text
    assert "far-away was not asked: no module named far_away" in text
    assert not UNSAFE.search(text)


def test_the_terminal_says_that_a_run_was_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = runs.run([runs.loader("a")], [runs.result("a", "x/y", Verdict.PASS)])
    text = shown(whole, monkeypatch)
    assert "1 case, 1 loader: no silent failure" in text
    assert "cut off" not in text
    cut = runs.run([runs.loader("a")], [], complete=False)
    assert "cut off" in shown(cut, monkeypatch)


# ------------------------------------------------------------------------ Markdown


def cells(line: str) -> list[str]:
    """What GitHub sees: a bar ends a cell unless a backslash is before it."""
    return re.split(r"(?<!\\)\|", line)[1:-1]


def test_every_row_of_markdown_has_as_many_cells_as_its_head() -> None:
    lines = markdown.render(RUN).splitlines()
    width = 0
    for line in lines:
        if line.startswith("|"):
            width = width or len(cells(line))
            assert len(cells(line)) == width, line
        else:
            width = 0
    assert not UNSAFE.search("\n".join(lines))


def test_markdown_has_a_row_for_each_loader_and_its_causes() -> None:
    text = markdown.render(RUN)
    row = next(line for line in text.splitlines() if line.startswith("| `gaps`"))
    assert " ".join(cell.strip() or "-" for cell in cells(row)) == (
        "`gaps` `1.0` 16 % (2 silent) 1 1 - 1 - 1 1 1 1 dtype, shape, data"
    )
    assert "## `no`: failures by cause" in text
    assert "| × rejects | 3 | `I refuse` |" in text  # noqa: RUF001
    assert "## `good`" not in text
    assert "- `far-away` was not asked" in text


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("plain", "`plain`"),
        ("", "-"),
        ("a\nb\tc", "`a\\nb\\tc`"),
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
        ("``x", "``` ``x ```"),
        ("a|b", "`a\\|b`"),
        ("<b> @me #1", "`<b> @me #1`"),
    ],
)
def test_foreign_text_stays_in_its_code_span(text: str, span: str) -> None:
    assert markdown.code(text) == span


def test_of_many_causes_markdown_shows_the_largest() -> None:
    count = markdown.CLUSTERS + 5
    loader = runs.loader("many")
    every = [
        runs.result("many", f"a/{n}", Verdict.REJECTS, f"cause {n}")
        for n in range(count)
    ]
    assert "And 5 more causes, of 5 cases." in markdown.render(
        runs.run([loader], every)
    )


# --------------------------------------------------------------------------- JUnit


def suites(run: Run, surprises: list[Surprise]) -> dict[str, ET.Element]:
    text = junit.render(run, surprises)
    assert not UNSAFE.search(text)
    root = ET.fromstring(text)  # noqa: S314
    return {suite.attrib["name"]: suite for suite in root}


def test_only_what_is_not_expected_fails() -> None:
    strided = "rebuild_tensor_v2/strided"
    found = suites(RUN, [Surprise("gaps", strided, "wrong, unexpectedly")])
    assert found.keys() == {"good", "gaps", "no"}
    gaps = found["gaps"]
    assert (gaps.get("tests"), gaps.get("failures"), gaps.get("skipped")) == (
        "7",
        "1",
        "1",
    )
    tests = {test.attrib["name"]: test for test in gaps.iter("testcase")}
    failure = tests[strided].find("failure")
    assert failure is not None
    assert failure.attrib == {"type": "wrong", "message": "wrong, unexpectedly"}
    assert failure.text is not None
    assert "layer.weight: data 1, 3, 5, not 1, 2, 3" in failure.text
    assert "and 2 more" in failure.text
    known = tests["rebuild_tensor_v2/legacy"]
    assert known.find("failure") is None
    assert "no zip" in known.findtext("system-out", "")
    assert tests[strided].get("classname") == "gaps.rebuild_tensor_v2"
    assert not list(found["good"].iter("failure"))


def test_what_did_not_run_and_what_is_of_no_case_are_tests_too() -> None:
    found = suites(
        RUN,
        [
            Surprise("good", "gone/case", "is listed, and did not run"),
            Surprise("good", "", "skips 1, not 2"),
        ],
    )
    good = found["good"]
    failed = [test.get("name") for test in good if test.find("failure") is not None]
    assert failed == ["gone/case", junit.OF_THE_LOADER]
    assert (good.get("tests"), good.get("failures")) == ("9", "2")


def test_junit_keeps_the_words_of_a_loader() -> None:
    found = suites(RUN, [Surprise("gaps", "scalars/hostile", runs.HOSTILE)])
    failure = found["gaps"].find("*/failure")
    assert failure is not None
    assert "<script>window.stolen = 1</script>" in failure.attrib["message"]
    assert "\\x1b[31mred" in failure.attrib["message"]


# --------------------------------------------------------------------------- badge


def image(one: views.Standing) -> tuple[str, str, str]:
    """The title, what is to be read, and the colour."""
    text = badge.render(one)
    assert not UNSAFE.search(text)
    root = ET.fromstring(text)  # noqa: S314
    space = "{http://www.w3.org/2000/svg}"
    read = [one.text or "" for one in root.iter(f"{space}text")]
    fills = [
        one.attrib["fill"] for one in root.iter(f"{space}rect") if "fill" in one.attrib
    ]
    return root.findtext(f"{space}title", ""), " | ".join(read), fills[1]


def test_a_badge_says_how_many_and_how_many_silent() -> None:
    one = standing_of(**{"pass": 93, "wrong": 1, "missing": 1, "rejects": 5})
    title, read, colour = image(one)
    assert read == "torchproof | 93 % (2 silent)"
    assert title == "torchproof: x 1.0, 93 % (2 silent)"
    colours = {
        colour,
        image(standing_of(**{"pass": 1}))[2],
        image(standing_of(**{"pass": 1, "rejects": 1}))[2],
        image(standing_of(skip=1))[2],
    }
    assert len(colours) == 4


def test_a_badge_is_an_image_whatever_the_loader_calls_itself() -> None:
    loader = Loader(runs.HOSTILE, runs.HOSTILE, runs.HOSTILE, "C", ())
    title, read, _ = image(views.Standing(loader, Counter({Verdict.PASS: 1}), 0))
    assert read == "torchproof | 100 %"
    assert "</script><script>" in title


# -------------------------------------------------------------- the data in the page


def test_nothing_in_the_data_ends_its_element() -> None:
    data = embedded.data(RUN, runs.CASES, runs.FLAGS, "corpus", {})
    text = embedded.as_script(data)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text)["texts"] == data["texts"]
    assert not any(UNSAFE.search(shown) for shown in data["texts"])
    text.encode()


def test_only_the_web_is_linked() -> None:
    data = embedded.data(RUN, runs.CASES, runs.FLAGS, "corpus", {})
    assert "javascript:" not in json.dumps(data)
    assert embedded.web("https://example.org/x") == "https://example.org/x"
    for url in (
        "javascript:alert(1)",
        "file:///etc/passwd",
        "//x",
        "",
        "http://[",
        "x",
    ):
        assert embedded.web(url) == ""


def test_long_words_are_cut_and_say_so() -> None:
    long = "x" * 5000
    run = runs.run([runs.loader("a")], [runs.result("a", "x/y", Verdict.REJECTS, long)])
    data = embedded.data(run, {}, {}, "corpus", {})
    assert data["texts"] == ["x" * embedded.MESSAGE + "…"]


def test_a_case_of_another_corpus_is_shown_by_its_id() -> None:
    run = runs.run([runs.loader("a")], [runs.result("a", "x/y", Verdict.PASS)])
    data = embedded.data(run, {}, {}, "corpus", {})
    assert data["cases"] == [[0, "y", 0]]
    assert data["paths"] == ["not in this corpus"]


def test_what_is_known_of_a_cause_goes_with_it() -> None:
    link = "https://example.org/issues/3"
    groups = (
        Group(Verdict.REJECTS, "by-design", "I refuse", ("a/b",), "javascript:x"),
        Group(Verdict.TIMEOUT, "bug", "no answer within 10 s", ("a/c",), link),
    )
    known = views.known({"no": Expectations("no", "1.0", {}, groups)})
    data = embedded.data(RUN, runs.CASES, {}, "corpus", known)
    told = [cluster[4:] for cluster in data["clusters"]]
    assert told.count(["by-design", ""]) == 1
    assert told.count(["bug", link]) == 1
    assert told.count([]) == len(told) - 2


def test_a_page_of_everything_is_small() -> None:
    """Nearly four thousand cases, a dozen loaders: a few megabytes at most."""
    every = {case.id: case for _, case in cases(corpus_folder())}
    run = runs.as_if_run(every, 3)
    page = html.render(run, every, {}, "corpus")
    assert len(page.encode()) < 2_500_000


# ------------------------------------------------------------------------ the command


def run_report(*arguments: str | Path) -> Invoked:
    app = typer.Typer()
    app.command()(report)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Results of three cases of the corpus."""
    ids = [case.id for _, case in cases(corpus_folder())][:3]
    run = runs.run(
        [runs.loader("one"), runs.loader("two")],
        [
            *(runs.result("one", id, Verdict.PASS) for id in ids),
            *(runs.result("two", id, Verdict.WRONG) for id in ids),
        ],
    )
    path = tmp_path / "results.jsonl"
    path.write_bytes(b"".join(results.lines(run)))
    return path


def test_the_command_writes_every_view(file: Path, tmp_path: Path) -> None:
    page, text, tests, image = (
        tmp_path / "views" / name for name in ("a.html", "a.md", "a.xml", "a.svg")
    )
    done = run_report(
        file,
        *("--html", page),
        *("--markdown", text),
        *("--junit", tests),
        *("--badge", image, "--loader", "two"),
    )
    assert (done.exit_code, done.output) == (0, "")
    assert "0 % (3 silent)" in image.read_text("utf-8")
    assert "| `two` |" in text.read_text("utf-8")
    # Nobody expects anything of these loaders, and so they have to pass.
    root = ET.fromstring(tests.read_text("utf-8"))  # noqa: S314
    assert (root.get("tests"), root.get("failures")) == ("6", "3")
    found = re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert found
    data = json.loads(found[1])
    for directory, _, _, name, *_ in data["cases"]:
        folder = page.parent / data["corpus"] / data["directories"][directory]
        assert (folder / name).is_file()


def test_what_a_loader_is_expected_to_get_wrong_is_no_failure(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = results.read(file)
    two = run.header.loaders[1]
    known = expectations.updated(None, two, run, whole=True)
    (tmp_path / "expectations").mkdir()
    (tmp_path / "expectations" / "two.toml").write_text(expectations.encode(known))
    monkeypatch.setattr(adapters, "FOLDER", tmp_path)
    tests, page = tmp_path / "a.xml", tmp_path / "a.html"
    assert run_report(file, "--junit", tests, "--html", page).exit_code == 0
    root = ET.fromstring(tests.read_text("utf-8"))  # noqa: S314
    assert (root.get("tests"), root.get("failures")) == ("6", "0")
    assert '"bug"' in page.read_text("utf-8")


def test_the_page_can_lead_to_a_published_corpus(file: Path, tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    url = "https://example.org/corpus/"
    assert run_report(file, "--html", page, "--corpus-url", url).exit_code == 0
    assert '"corpus":"https://example.org/corpus"' in page.read_text("utf-8")


def test_without_a_view_the_command_prints_the_run(file: Path) -> None:
    done = run_report(file)
    assert done.exit_code == 0
    assert "3 cases, 2 loaders: 3 silent failures" in done.stdout
    document = json.loads(run_report(file, "--json").stdout)
    assert document["counts"]["two"]["wrong"] == 3
    assert [len(cause["cases"]) for cause in document["causes"]] == [3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--badge", "x.svg"], "whose badge? --loader says it; there are: one, two"),
        (["--badge", "x.svg", "--loader", "six"], "there is no loader six"),
        (["--markdown", "."], "cannot write ."),
        (["--html", "x.html", "--corpus", "."], "is no corpus"),
    ],
)
def test_what_cannot_be_made_is_exit_status_2(
    file: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    done = run_report(file, *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_what_is_no_result_file_is_exit_status_2(tmp_path: Path) -> None:
    assert run_report(tmp_path / "none.jsonl").exit_code == 2
    (tmp_path / "bad.jsonl").write_text("{}")
    done = run_report(tmp_path / "bad.jsonl")
    assert done.exit_code == 2
    assert "bad.jsonl, line 1" in done.stderr

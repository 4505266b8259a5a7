"""The page in a real browser: what it shows, and how it is used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.corpus.format import cases, corpus_folder
from conformance.matrix.expectations import Expectations, Group
from conformance.matrix.results import Verdict
from conformance.report.matrix import html, views

from . import runs
from .browser import Browser, executable

PROGRAM = executable()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium")

LINK = "https://example.org/issues/3"
KNOWN = views.known(
    {
        "gaps": Expectations(
            "gaps",
            "1.0",
            {},
            (Group(Verdict.WRONG, "bug", "the data differ", ("a/b",), LINK),),
        )
    }
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert PROGRAM is not None
    with Browser(PROGRAM, tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("page") / "matrix.html"
    page = html.render(runs.small(), runs.CASES, runs.FLAGS, "../corpus", KNOWN)
    file.write_text(page, encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Browser]:
    """The small run, just opened; at the end nothing may have gone wrong in it."""
    browser.look(1300, 900)
    browser.open(url)
    yield browser
    assert browser.problems() == []
    assert browser.value("window.stolen") is None


def button(loader: str, row: str) -> str:
    """The selector of a cell."""
    return f'#grid button[aria-label^="{loader}, {row}:"]'


def rows(page: Browser) -> list[str]:
    found: list[str] = page.value(
        "[...document.querySelectorAll('#grid tbody tr')].map(row =>"
        "row.querySelector('.name')?.innerText ?? row.innerText)"
    )
    return found


def focused(page: Browser) -> str:
    label = "document.activeElement.ariaLabel ?? document.activeElement.innerText"
    return str(page.value(label))


def test_loaders_across_and_directories_down(page: Browser) -> None:
    heads = page.value(
        "[...document.querySelectorAll('#grid thead th')].map(e => e.innerText)"
    )
    assert [head.split("\n")[0] for head in heads] == [
        "rebuild path",
        "good",
        "gaps",
        "no",
    ]
    assert rows(page) == ["dtypes", "rebuild_tensor_v2", "scalars"]
    assert page.text("#count") == "7 cases in 3 directories"
    text = page.text("#loaders")
    assert "16 %" in text
    assert "far-away" in text


def test_a_cell_says_its_verdict_in_a_sign_and_in_words(page: Browser) -> None:
    """No colour is needed to read it, nor eyes."""
    cell = button("gaps", "rebuild_tensor_v2")
    assert page.text(cell).split() == ["≠", "1", "/", "4"]
    said = page.value(f"document.querySelector('{cell}').ariaLabel")
    assert said == "gaps, rebuild_tensor_v2: 1 wrong, 1 accepts, 1 rejects, 1 pass"
    assert page.text(button("good", "rebuild_tensor_v2")).split() == ["✓", "4"]
    assert page.text(button("gaps", "scalars")).split() == ["†", "1"]


def test_a_directory_opens_its_paths(page: Browser) -> None:
    page.click("#grid tr:nth-child(2) th button")
    expanded = "[...document.querySelectorAll('[aria-expanded=true]')].length"
    assert page.value(expanded) == 1
    assert rows(page) == ["dtypes", "rebuild_tensor_v2", runs.V2, "scalars"]
    page.click("#unfold")
    assert len(rows(page)) == 3 + 4
    page.click("#unfold")
    assert len(rows(page)) == 3


def test_a_click_opens_the_cases_with_the_difference(page: Browser) -> None:
    page.click(button("gaps", "rebuild_tensor_v2"))
    heads = page.value(
        "[...document.querySelectorAll('#panel h3')].map(e => e.innerText)"
    )
    assert [head.split()[1] for head in heads] == [
        "wrong",
        "accepts",
        "rejects",
        "pass",
    ]
    assert "rebuild_tensor_v2/strided" in page.text("#panel .v-wrong .case")
    difference = page.text("#panel .diff tbody").split("\t")
    assert difference == ["layer.weight", "data", "1, 2, 3", "1, 3, 5"]
    assert "and 2 more differences" in page.text("#panel .v-wrong")
    assert page.text("#panel .v-rejects .told") == "ValueError: no zip"
    file = page.value("document.querySelector('#panel .v-wrong .get a').href")
    assert file.startswith("file://")
    assert file.endswith("/corpus/rebuild_tensor_v2/strided.pt")
    threads = page.value(
        "[...document.querySelectorAll('#panel .v-rejects a')].map(e => e.href)"
    )
    assert [link for link in threads if "://" in link and "file" not in link] == [
        "https://example.org/issues/7"
    ]


def test_another_loader_with_the_same_case_is_one_click_away(page: Browser) -> None:
    page.click(button("gaps", "rebuild_tensor_v2"))
    page.click("#panel .v-rejects .others button[aria-label='no: timeout']")
    assert page.text("#panel-title").split("\n")[0] == "rebuild_tensor_v2/legacy"
    assert page.text("#panel .told") == "no answer within 10 s"


def test_words_of_loaders_and_files_are_only_text(page: Browser) -> None:
    page.click(button("gaps", "scalars"))
    assert "<img src=x onerror=stolen=1>" in page.text("#panel .told")
    assert "</script><script>window.stolen = 1</script>" in page.text("#panel .case")
    assert page.value("document.querySelectorAll('img, script').length") == 2
    assert "javascript:" not in page.value("document.documentElement.outerHTML")


def test_filters_by_loader_verdict_container_and_text(page: Browser) -> None:
    page.click("#pick-verdicts .v-wrong")
    assert rows(page) == ["rebuild_tensor_v2"]
    page.click("#pick-verdicts .v-crash")
    assert rows(page) == ["rebuild_tensor_v2", "scalars"]
    page.click("#pick-loaders button:nth-child(1)")
    assert rows(page) == ["Nothing matches these filters."]
    page.click("#filters [type=reset]")
    page.choose("#pick-container", "legacy")
    assert rows(page) == ["rebuild_tensor_v2"]
    assert page.text(button("gaps", "rebuild_tensor_v2")).split() == ["×", "1"]  # noqa: RUF001
    page.click("#filters [type=reset]")
    page.choose("#pick-flag", "non-contiguous")
    assert page.text("#meaning") == runs.FLAGS["non-contiguous"]
    assert page.text("#count") == "1 case in 1 directory"
    page.click("#filters [type=reset]")
    page.write("#pick-text", "FLOAT64")
    assert rows(page) == ["dtypes", "global:torch.float64"]
    page.click("#filters [type=reset]")
    page.choose("#pick-order", "worst")
    assert rows(page) == ["rebuild_tensor_v2", "dtypes", "scalars"]


def test_the_address_brings_back_what_was_shown(page: Browser, url: str) -> None:
    page.click("#pick-verdicts .v-rejects")
    page.choose("#pick-asks", "valid")
    page.click(button("no", "rebuild_tensor_v2"))
    shown = page.text("#panel-title")
    address = page.value("location.href")
    page.open(address)
    assert page.text("#panel-title") == shown
    assert page.value("document.getElementById('panel').open") is True
    page.press("Escape")
    page.wait("!document.getElementById('panel').open")
    assert page.value("document.querySelectorAll('[aria-pressed=true]').length") == 1
    assert page.value("document.getElementById('pick-asks').value") == "valid"
    page.click("#filters [type=reset]")
    assert page.value("location.href") == url


def test_failures_by_cause(page: Browser) -> None:
    lines = page.value(
        "[...document.querySelectorAll('#clusters tbody tr')].map(row =>"
        "[...row.cells].map(e => e.innerText))"
    )
    assert [line[1].split()[1] for line in lines[:2]] == ["wrong", "missing"]
    refused = next(line for line in lines if line[3] == "I refuse")
    assert refused[:3] == ["no", "× rejects", "3"]  # noqa: RUF001
    assert lines[0][3] == "the data differ bug reported"
    assert page.value("document.querySelector('#clusters td:nth-child(4) a').href") == (
        LINK
    )
    page.click("#pick-verdicts .v-missing")
    page.click("#clusters .cause")
    assert page.text("#panel-title").startswith("w is not there")
    assert "dtypes/float64" in page.text("#panel-body")


def test_the_matrix_with_the_keyboard(page: Browser) -> None:
    page.value("document.querySelector('#grid button[tabindex=\"0\"]').focus()")
    assert "dtypes" in focused(page)
    page.press("Enter")
    assert rows(page)[1] == "global:torch.float64"
    page.press("ArrowDown")
    assert "float64" in focused(page)
    page.press("ArrowRight")
    page.press("ArrowRight")
    assert focused(page) == "gaps, global:torch.float64: 1 missing"
    page.press("Enter")
    assert page.value("document.getElementById('panel').open") is True
    assert "w is not there" in page.text("#panel-body")
    page.press("Escape")
    page.wait("!document.getElementById('panel').open")
    assert focused(page) == "gaps, global:torch.float64: 1 missing"
    page.press("End")
    assert focused(page).startswith("no, global:torch.float64")
    page.press("ArrowUp")
    assert focused(page).startswith("no, dtypes")
    page.press("Home")
    assert focused(page).split() == ["▸", "dtypes", "2"]
    page.press("Enter")
    assert len(rows(page)) == 3


def test_an_address_of_what_is_not_there_is_harmless(page: Browser, url: str) -> None:
    for show in ("show=cause&show=99", "show=gone&show=x", "show=", "loader=gone"):
        page.open(f"{url}#{show}")
        assert page.value("document.getElementById('panel').open") is False


def test_the_summary_opens_the_cases_of_a_verdict(page: Browser) -> None:
    page.click('.loaders button[aria-label="gaps, missing: 1"]')
    assert (
        page.text("#panel-title")
        == "gaps: missing\nloads, and drops something without a word"
    )
    assert "dtypes/float64" in page.text("#panel-body")


def luminance(page: Browser, selector: str, which: str) -> float:
    colour = page.value(
        f"getComputedStyle(document.querySelector({selector!r})).{which}"
    )
    red, green, blue = map(float, colour.strip("rgba()").split(",")[:3])
    parts = [c / 255 for c in (red, green, blue)]
    linear = [c / 12.92 if c <= 0.04 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
def test_light_and_dark_can_be_read(page: Browser, dark: bool) -> None:
    """The contrast that WCAG asks of small text: 4.5 to 1."""
    page.look(1300, 900, dark=dark)
    paper = luminance(page, "body", "backgroundColor")
    assert (paper < 0.5) is dark
    behind = {"": paper}
    for selector in (".dim", "body", ".legend .sign", "nav a", ".chips button"):
        behind[selector] = paper
    for verdict in Verdict:
        behind[f".legend .v-{verdict.value}"] = paper
    for selector in (".cell.v-wrong", ".cell.v-missing"):
        behind[selector] = luminance(page, selector, "backgroundColor")
    for selector, ground in behind.items():
        ink = luminance(page, selector or "body", "color")
        light, shade = max(ink, ground), min(ink, ground)
        assert (light + 0.05) / (shade + 0.05) >= 4.5, selector


def test_a_phone_has_room_for_it(page: Browser, url: str) -> None:
    page.look(360, 740)
    page.open(url)
    assert page.value("document.documentElement.scrollWidth") <= 360
    first = "document.querySelector('#grid tbody th').getBoundingClientRect().x"
    before = page.value(first)
    page.value("document.querySelector('.tall').scrollTo(150, 0)")
    assert page.value("document.querySelector('.tall').scrollLeft") > 0
    assert page.value(first) == pytest.approx(before, abs=1)
    page.click(button("gaps", "rebuild_tensor_v2"))
    assert page.value("document.getElementById('panel').offsetWidth") <= 360
    assert page.value("document.getElementById('panel').scrollWidth") <= 360


def test_the_whole_corpus(browser: Browser, tmp_path: Path) -> None:
    every = {case.id: case for _, case in cases(corpus_folder())}
    file = tmp_path / "matrix.html"
    run = runs.as_if_run(every)
    file.write_text(html.render(run, every, {}, "corpus"), encoding="utf-8")
    browser.look(1300, 900)
    browser.open(file.as_uri())
    assert browser.text("#count").startswith(f"{len(every):,} cases in ")
    browser.click("#unfold")
    paths = {(id.rpartition("/")[0], case.path) for id, case in every.items()}
    shown: Any = browser.value("document.querySelectorAll('#grid tr.path').length")
    assert shown == len(paths)
    assert browser.problems() == []

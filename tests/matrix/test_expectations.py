"""Expectation files: strict both ways, and written the same again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from conformance.matrix.expectations import (
    Expectations,
    Group,
    NoExpectations,
    encode,
    read,
    surprises,
    updated,
)
from conformance.matrix.results import Result, Run, Verdict

from . import runs

LOADER = runs.loader("mine")

TEXT = """\
loader = "Mine"
version = "1.0"

[skipped]
"nothing to compare" = 2

[[expected]]
verdict = "wrong"
kind = "bug"
because = "data differ"
link = "https://example.org/1"
cases = [
  "a/one",
  "a/two",
]

[[expected]]
verdict = "rejects"
kind = "unsupported"
because = "No: such \\"thing\\""
cases = ["b/one"]
"""


#: A group with the same verdict and cause, before the first one.
SAME_AGAIN = """[[expected]]
verdict = "wrong"
kind = "by-design"
because = "data differ"
cases = ["a/three"]

[[expected]]"""


def result(case: str, verdict: Verdict = Verdict.PASS, cause: str = "") -> Result:
    """Of a skip, the reason is a message."""
    skipped = verdict is Verdict.SKIP
    message, cause = (cause, "") if skipped else ("", cause)
    return Result("mine", case, verdict, 0.1, message=message, cause=cause)


#: What is expected, to the letter.
AS_EXPECTED = (
    result("a/one", Verdict.WRONG, "data differ"),
    result("a/two", Verdict.WRONG, "data differ"),
    result("b/one", Verdict.REJECTS, 'No: such "thing"'),
    result("c/one"),
    result("c/skipped", Verdict.SKIP, "nothing to compare"),
    result("c/too", Verdict.SKIP, "nothing to compare"),
)


def run_of(*changed: Result, but: Iterable[str] = (), complete: bool = True) -> Run:
    """As expected, but for these results, and without some cases."""
    found = {one.case: one for one in (*AS_EXPECTED, *changed)}
    results = [one for case, one in found.items() if case not in but]
    return runs.run([LOADER], results, complete=complete)


@pytest.fixture
def known(tmp_path: Path) -> Expectations:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT, "utf-8")
    return read(path)


def held(
    known: Expectations | None,
    run: Run,
    wanted: Callable[[str], bool] = lambda id: True,
    *,
    whole: bool = True,
) -> list[str]:
    by_id = {} if known is None else {"mine": known}
    return [str(one) for one in surprises(run, by_id, wanted, whole=whole)]


# ---------------------------------------------------------------------- holding


def test_nothing_to_say_if_all_is_as_expected(known: Expectations) -> None:
    assert held(known, run_of()) == []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (
            result("c/one", Verdict.MISSING, "w is not there"),
            "mine: c/one: missing (w is not there), unexpectedly",
        ),
        (
            result("c/new", Verdict.CRASH),
            "mine: c/new: crash, unexpectedly",
        ),
        (
            result("a/one"),
            "mine: a/one: pass, where wrong (data differ) is expected",
        ),
        (
            result("a/one", Verdict.MISSING, "data differ"),
            "mine: a/one: missing (data differ), where wrong (data differ) is expected",
        ),
        (
            result("a/one", Verdict.WRONG, "shape differs"),
            "mine: a/one: wrong (shape differs), where wrong (data differ) is expected",
        ),
    ],
)
def test_each_way_to_be_surprising(
    known: Expectations, changed: Result, line: str
) -> None:
    assert held(known, run_of(changed)) == [line]


def test_a_listed_case_that_did_not_run(known: Expectations) -> None:
    line = "mine: b/one: is listed, and did not run"
    assert held(known, run_of(but=["b/one"])) == [line]


def test_a_listed_case_that_was_not_to_run(known: Expectations) -> None:
    run = run_of(but=["b/one", "c/skipped"])
    assert held(known, run, lambda id: id != "b/one", whole=False) == []


def test_a_run_that_was_cut_off_is_held_to_what_ran(known: Expectations) -> None:
    run = run_of(result("a/one"), but=["b/one", "c/skipped"], complete=False)
    line = "mine: a/one: pass, where wrong (data differ) is expected"
    assert held(known, run) == [line]


def test_skips_are_counted_by_reason(known: Expectations) -> None:
    run = run_of(result("c/one", Verdict.SKIP, "not asked"), but=["c/too"])
    assert held(known, run) == [
        "mine: skips 1 cases, where 0 are expected: not asked",
        "mine: skips 1 cases, where 2 are expected: nothing to compare",
    ]
    assert held(known, run, whole=False) == []


def test_a_listed_case_must_not_be_skipped(known: Expectations) -> None:
    run = run_of(result("a/one", Verdict.SKIP, "nothing to compare"))
    assert held(known, run, whole=False) == [
        "mine: a/one: skip, where wrong (data differ) is expected"
    ]


def test_who_has_no_expectations_must_pass() -> None:
    """Or be skipped, however often."""
    lines = held(None, run_of())
    assert [line.partition(", ")[0] for line in lines] == [
        "mine: a/one: wrong (data differ)",
        "mine: a/two: wrong (data differ)",
        'mine: b/one: rejects (No: such "thing")',
    ]


def test_loaders_are_held_to_their_own(known: Expectations) -> None:
    """The same results of another loader are as unexpected as can be."""
    other = [
        Result("other", one.case, one.verdict, 0.1, cause=one.cause)
        for one in AS_EXPECTED
    ]
    run = runs.run([LOADER, runs.loader("other")], [*AS_EXPECTED, *other])
    lines = held(known, run)
    assert len(lines) == 3
    assert all(line.startswith("other: ") for line in lines)


# ---------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('loader = "Mine"', "", "`loader`"),
        ('"bug"', '"oops"', "'oops'"),
        ('"wrong"', '"worse"', "'worse'"),
        ('link = "', 'lnk = "', "`lnk`"),
        ('"a/two"', '"a/one"', "a/one is listed twice"),
        ('["b/one"]', '["a/one"]', "a/one is listed twice"),
        ('"wrong"', '"skip"', "skip is not to be listed"),
        ('"wrong"', '"pass"', "pass is not to be listed"),
        ('["b/one"]', '["b/one"', "array"),
        ("[[expected]]", SAME_AGAIN, "two groups have one cause: data differ"),
        ("2\n", '"2"\n', "Expected `int`"),
    ],
)
def test_what_is_no_expectation_file_is_told(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "mine.toml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1), "utf-8")
    with pytest.raises(NoExpectations) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert message in str(raised.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b'loader = "\xff"')
    with pytest.raises(NoExpectations, match="utf-8"):
        read(path)


# --------------------------------------------------------------------- updating


def test_kind_and_link_of_what_persists_are_kept(known: Expectations) -> None:
    run = run_of(
        result("a/two"),
        result("c/one", Verdict.WRONG, "data differ"),
        result("b/two", Verdict.REJECTS, "another reason"),
        result("c/new", Verdict.CRASH, "SIGSEGV"),
        but=["b/one"],
    )
    new = updated(known, LOADER, run, whole=True)
    link = "https://example.org/1"
    assert new.expected == (
        Group(Verdict.WRONG, "bug", "data differ", ("a/one", "c/one"), link),
        Group(Verdict.CRASH, "bug", "SIGSEGV", ("c/new",)),
        Group(Verdict.REJECTS, "unsupported", "another reason", ("b/two",)),
    )
    assert new.skipped == {"nothing to compare": 2}
    assert held(new, run) == []


def test_a_kind_that_somebody_chose_is_kept(
    known: Expectations, tmp_path: Path
) -> None:
    path = tmp_path / "chosen.toml"
    path.write_text(TEXT.replace('"unsupported"', '"by-design"'), "utf-8")
    new = updated(read(path), LOADER, run_of(), whole=True)
    assert [group.kind for group in new.expected] == ["bug", "by-design"]


def test_a_part_of_the_cases_updates_these_alone(known: Expectations) -> None:
    """Skips are counted in whole runs."""
    run = runs.run([LOADER], [result("a/one"), result("c/one", Verdict.CRASH)])
    new = updated(known, LOADER, run, whole=False)
    assert [(group.verdict, group.cases) for group in new.expected] == [
        (Verdict.WRONG, ("a/two",)),
        (Verdict.CRASH, ("c/one",)),
        (Verdict.REJECTS, ("b/one",)),
    ]
    assert new.skipped == {"nothing to compare": 2}
    whole = updated(known, LOADER, run, whole=True)
    assert [group.cases for group in whole.expected] == [("c/one",)]
    assert whole.skipped == {}


def test_what_is_written_is_read_and_written_the_same(tmp_path: Path) -> None:
    results = [
        result("a/one", Verdict.WRONG, runs.HOSTILE.replace("\ud800", "")),
        result("a/two", Verdict.CRASH, 'tab\t, \x7f, "quotes" and \\ in\nlines'),
        result("b/one", Verdict.SKIP, "a reason with a = and a \\"),
    ]
    run = runs.run([LOADER], results)
    first = updated(None, LOADER, run, whole=True)
    path = tmp_path / "mine.toml"
    path.write_bytes(encode(first).encode())
    again = read(path)
    assert again == first
    backwards = runs.run([LOADER], results[::-1])
    assert encode(updated(again, LOADER, backwards, whole=True)) == encode(first)
    assert held(again, run) == []


def test_the_file_is_for_people(known: Expectations) -> None:
    text = encode(known)
    assert text.startswith("# What this loader is known to get wrong")
    body = text[text.index("loader =") :]
    one_line, lines = 'cases = ["b/one"]', 'cases = [\n  "b/one",\n]'
    assert body == TEXT.replace(one_line, lines)

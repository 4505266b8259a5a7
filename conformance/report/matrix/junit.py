"""A run as JUnit's XML: a suite for each loader, a test for each case.

What is a failure is for the expectations to say: a test is of this project, and
what a loader is known to get wrong is not news.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable

from conformance.matrix.expectations import Surprise
from conformance.matrix.results import Result, Run, Verdict
from conformance.report.terminal import printable

from . import views

#: The test that stands for what is not about one case.
OF_THE_LOADER = "expectations"


def render(run: Run, surprises: Iterable[Surprise]) -> str:
    """The document. `surprises`: all that was not as expected."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for surprise in surprises:
        found[surprise.loader][surprise.case].append(surprise.message)
    root = ET.Element("testsuites", name="torchproof")
    for standing in views.standings(run):
        loader = standing.loader.id
        results = [one for one in run.results if one.loader == loader]
        _suite(root, standing, results, found[loader])
    total = {name: sum(int(suite.get(name, 0)) for suite in root) for name in _COUNTS}
    for name, count in total.items():
        root.set(name, str(count))
    root.set("time", f"{run.footer.seconds:.3f}")
    ET.indent(root, "")
    return ET.tostring(root, "unicode", xml_declaration=True) + "\n"


_COUNTS = ("tests", "failures", "skipped")


def _suite(
    root: ET.Element,
    standing: views.Standing,
    results: Iterable[Result],
    failed: dict[str, list[str]],
) -> None:
    loader = standing.loader
    suite = ET.SubElement(
        root, "testsuite", name=printable(loader.id), time=f"{standing.seconds:.3f}"
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("name", loader.name),
        ("version", loader.version),
        ("language", loader.language),
        ("compares", standing.compared),
    ):
        ET.SubElement(properties, "property", name=name, value=printable(value))
    # Cases that were listed, and did not run, are no results.
    left = dict(failed)
    for result in results:
        _test(suite, result, left.pop(result.case, []))
    for case, messages in left.items():
        test = _element(suite, loader.id, case or OF_THE_LOADER, 0)
        _failure(test, "expectations", messages, "")
    tests = suite.findall("testcase")
    for name, tag in (("failures", "failure"), ("skipped", "skipped")):
        count = sum(test.find(tag) is not None for test in tests)
        suite.set(name, str(count))
    suite.set("tests", str(len(tests)))


def _test(suite: ET.Element, result: Result, messages: list[str]) -> None:
    test = _element(suite, result.loader, result.case, result.seconds)
    if messages:
        _failure(test, result.verdict.value, messages, _told(result))
    elif result.verdict is Verdict.SKIP:
        ET.SubElement(test, "skipped", message=printable(result.message))
    elif result.verdict is not Verdict.PASS:
        # As expected, and still worth a line.
        ET.SubElement(test, "system-out").text = _told(result)


def _element(suite: ET.Element, loader: str, case: str, seconds: float) -> ET.Element:
    directory, _, _ = case.rpartition("/")
    where = ".".join(filter(None, [loader, directory.replace("/", ".")]))
    return ET.SubElement(
        suite,
        "testcase",
        classname=printable(where),
        name=printable(case),
        time=f"{seconds:.3f}",
    )


def _failure(test: ET.Element, kind: str, messages: list[str], told: str) -> None:
    message = printable("; ".join(messages))
    ET.SubElement(test, "failure", type=kind, message=message).text = told


def _told(result: Result) -> str:
    """What the loader said, or what is different: a line each."""
    lines = [f"{result.verdict.value}: {result.verdict.shows}", result.message]
    lines += [
        f"{one.name or '(root)'}: {one.fact} {one.found}, not {one.expected}"
        for one in result.differences
    ]
    more = result.total - len(result.differences)
    if result.differences and more:
        lines.append(f"and {more:,} more")
    return "\n".join(printable(line) for line in lines if line)

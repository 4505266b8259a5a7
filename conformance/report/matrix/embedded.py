"""The data in the page: as small as it can be, and text alone.

What passed takes one digit. Texts are given once, and named by their number; long
ones are cut, and say so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from conformance.corpus.format import Case
from conformance.matrix.results import Result, Run, Verdict
from conformance.report.terminal import CONTAINERS, printable

from .views import SIGNS, Cluster, KnownCauses, clusters

#: Characters of a message, and of one side of a difference.
MESSAGE: Final = 400
VALUE: Final = 120
#: Differences of one result.
DIFFERENCES: Final = 5

#: What a case's verdict asks of a loader.
ASKS: Final = {
    "valid": "must load",
    "invalid": "must be refused",
    "either": "may be refused",
}

_VERDICTS: Final = tuple(Verdict)
_DIGITS: Final = {verdict: str(number) for number, verdict in enumerate(_VERDICTS)}
#: A loader and a case without a result.
_NONE: Final = " "


class _Numbers:
    """Things by number, in the order in which they were first met."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __getitem__(self, thing: str) -> int:
        return self._numbers.setdefault(thing, len(self._numbers))

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)


def data(
    run: Run,
    cases: Mapping[str, Case],
    flags: Mapping[str, str],
    corpus: str,
    known: KnownCauses,
) -> dict[str, Any]:
    """Everything that the page shows; `matrix.js` says how it is read.

    `cases`: those of the corpus, by id. A result's case that is not among them is
    shown by its id alone. `flags` says what each flag means, `corpus` where the files
    are, seen from the page, and `known` what is known of causes.
    """
    ids = sorted({result.case for result in run.results})
    number = {id: place for place, id in enumerate(ids)}
    texts = _Numbers()
    names = {
        kind: _Numbers() for kind in ("directories", "paths", "containers", "flags")
    }
    found = clusters(run)
    cluster = {
        (one.loader, one.verdict, id): place
        for place, one in enumerate(found)
        for id in one.cases
    }
    order = {loader.id: place for place, loader in enumerate(run.header.loaders)}
    verdicts = {loader.id: [_NONE] * len(ids) for loader in run.header.loaders}
    details: dict[str, dict[int, list[Any]]] = {id: {} for id in verdicts}
    for result in run.results:
        place = number[result.case]
        verdicts[result.loader][place] = _DIGITS[result.verdict]
        if result.verdict is not Verdict.PASS:
            group = cluster.get((result.loader, result.verdict, result.case), -1)
            details[result.loader][place] = [group, *_detail(result, texts)]
    return {
        "verdicts": [
            [verdict.value, SIGNS[verdict], verdict.shows, verdict.silent]
            for verdict in _VERDICTS
        ],
        "loaders": [
            {
                "id": _cut(loader.id, VALUE),
                "version": _cut(loader.version, VALUE),
                "verdicts": "".join(verdicts[loader.id]),
                "details": details[loader.id],
            }
            for loader in run.header.loaders
        ],
        "clusters": [
            [
                order[one.loader],
                _VERDICTS.index(one.verdict),
                texts[_cut(one.shown, MESSAGE)],
                number[one.example],
                *_known(one, known),
            ]
            for one in found
        ],
        "asks": ASKS,
        "cases": [_case(id, cases.get(id), names) for id in ids],
        **{kind: list(numbers) for kind, numbers in names.items()},
        "meanings": [flags.get(flag, "") for flag in names["flags"]],
        "kinds": [CONTAINERS.get(name, name) for name in names["containers"]],
        "texts": list(texts),
        "corpus": corpus,
    }


def _known(cluster: Cluster, known: KnownCauses) -> list[str]:
    """The kind of a cause, and a link to where it is reported."""
    told = known.get((cluster.loader, cluster.verdict, cluster.cause))
    return [] if told is None else [told.kind, web(told.link)]


def _detail(result: Result, texts: _Numbers) -> list[Any]:
    """The message, how many differences there are, and the first of them."""
    shown = [
        [
            texts[_cut(difference.name, VALUE)],
            texts[_cut(difference.fact, VALUE)],
            texts[_cut(difference.expected, VALUE)],
            texts[_cut(difference.found, VALUE)],
        ]
        for difference in result.differences[:DIFFERENCES]
    ]
    message = texts[_cut(result.message, MESSAGE)]
    return [message, result.total, shown] if shown or result.total else [message]


def _case(id: str, case: Case | None, names: Mapping[str, _Numbers]) -> list[Any]:
    """Directory, name, path; and of a known case: what the page says about it."""
    directory, _, name = id.rpartition("/")
    head: list[Any] = [names["directories"][printable(directory)], printable(name)]
    if case is None:
        return [*head, names["paths"]["not in this corpus"]]
    return [
        *head,
        names["paths"][printable(case.path)],
        quote(case.file),
        case.verdict,
        printable(f"{case.shows} {case.reason}".strip()),
        [names["containers"][one] for one in dict.fromkeys(case.containers)],
        [names["flags"][one] for one in case.flags],
        [link for link in case.links if web(link)],
    ]


def _cut(text: str, most: int) -> str:
    """Nothing that hides or reorders text, and no more than `most` of it."""
    shown = printable(text[: most + 1])
    return shown if len(shown) <= most else f"{shown[:most]}…"


def web(url: str) -> str:
    """The URL, if a page can lead there: adapters could say `javascript:`."""
    try:
        return url if urlsplit(url).scheme in ("http", "https") else ""
    except ValueError:
        return ""


#: What ends a script element, begins a comment in one, or a line in JavaScript.
_ESCAPED: Final = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def as_script(value: Mapping[str, Any]) -> str:
    """JSON that may stand in a script element, whatever is in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_ESCAPED)

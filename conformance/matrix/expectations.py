"""What a loader is known to get wrong: one TOML file each, strict both ways.

Cases are listed in groups with one verdict and one cause. Whatever is not listed
is expected to pass, or to be skipped; skips are only counted, by reason, for
they say what an adapter cannot report, and can be half of the corpus. The counts
are held against whole runs, so that no adapter gets away with skipping more.

    loader = "tinygrad"
    version = "0.14.0"

    [skipped]
    "nothing in it that this loader reports" = 812

    [[expected]]
    verdict = "wrong"
    kind = "bug"
    because = "data at ...: other elements"
    link = "https://..."
    cases = [
      "rebuild_tensor_v2/strided",
    ]
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from .causes import template
from .results import Loader, Result, Run, Verdict

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: `bug`: the loader's; `unsupported`: it says so, or its documents do;
#: `by-design`: its authors want it so.
Kind = Literal["bug", "unsupported", "by-design"]

Key = tuple[Verdict, str]


class NoExpectations(ValueError):
    """A file is none of expectations; the message says why."""


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cases with one verdict and one cause. `link`: where it is reported."""

    verdict: Verdict
    kind: Kind
    because: str
    cases: tuple[str, ...]
    link: str = ""

    @property
    def key(self) -> Key:
        return self.verdict, self.because


class Expectations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file. `loader`, `version`: who it is about, as it says itself."""

    loader: str
    version: str
    skipped: dict[str, int] = {}
    expected: tuple[Group, ...] = ()

    @property
    def by_case(self) -> dict[str, Group]:
        return {case: group for group in self.expected for case in group.cases}


class Surprise(msgspec.Struct, frozen=True):
    """Something is not as expected; `case` is empty if it is not about one."""

    loader: str
    case: str
    message: str

    def __str__(self) -> str:
        return f"{self.loader}: {self.case and f'{self.case}: '}{self.message}"


def read(path: Path) -> Expectations:
    """The expectations in a file. Raises `NoExpectations` and `OSError`."""
    try:
        plain = tomllib.loads(path.read_bytes().decode())
        found = msgspec.convert(plain, Expectations)
    except (ValueError, msgspec.ValidationError) as error:
        raise NoExpectations(f"{path}: {error}") from error
    listed = Counter(case for group in found.expected for case in group.cases)
    twice = [case for case, count in listed.items() if count > 1]
    if twice:
        raise NoExpectations(f"{path}: {twice[0]} is listed twice")
    keys = Counter(group.key for group in found.expected)
    same = [because for (_, because), count in keys.items() if count > 1]
    if same:
        raise NoExpectations(f"{path}: two groups have one cause: {same[0]}")
    usual = [one for one in found.expected if not _told(one.verdict)]
    if usual:
        raise NoExpectations(f"{path}: {usual[0].verdict.value} is not to be listed")
    return found


def _told(verdict: Verdict) -> bool:
    """Whether cases with it are listed."""
    return verdict not in (Verdict.PASS, Verdict.SKIP)


# -------------------------------------------------------------------- holding


def surprises(
    run: Run,
    known: Mapping[str, Expectations],
    wanted: Callable[[str], bool],
    *,
    whole: bool,
) -> Iterator[Surprise]:
    """Whatever is not as expected; who has no expectations has to pass.

    `wanted` says of an id whether it was to run, also of one that is listed and
    no more in the corpus; `whole`, whether all were. Of a run that was cut off
    only what ran is looked at.
    """
    for loader in run.header.loaders:
        results = [one for one in run.results if one.loader == loader.id]
        expectations = known.get(loader.id)
        listed = {} if expectations is None else expectations.by_case
        for result in results:
            message = _surprise(listed.get(result.case), result)
            if message:
                yield Surprise(loader.id, result.case, message)
        if expectations is None or not run.footer.complete:
            continue
        for case in sorted(listed.keys() - {result.case for result in results}):
            if wanted(case):
                yield Surprise(loader.id, case, "is listed, and did not run")
        if whole:
            for message in _miscounted(expectations.skipped, _skips(results)):
                yield Surprise(loader.id, "", message)


def _miscounted(known: Mapping[str, int], found: Mapping[str, int]) -> Iterator[str]:
    for why in sorted(known.keys() | found.keys()):
        count, before = found.get(why, 0), known.get(why, 0)
        if count != before:
            yield f"skips {count:,} cases, where {before:,} are expected: {why}"


def _surprise(group: Group | None, result: Result) -> str:
    found = _said(result.verdict, result.cause)
    if group is None:
        return f"{found}, unexpectedly" if _told(result.verdict) else ""
    if group.key == (result.verdict, result.cause):
        return ""
    return f"{found}, where {_said(group.verdict, group.because)} is expected"


def _said(verdict: Verdict, cause: str) -> str:
    return f"{verdict.value} ({cause})" if cause else verdict.value


def _skips(results: Sequence[Result]) -> Counter[str]:
    """By the reason that is given, in words that are the same for each file."""
    skipped = [one for one in results if one.verdict is Verdict.SKIP]
    return Counter(template(one.message) for one in skipped)


# ------------------------------------------------------------------- updating


def updated(
    old: Expectations | None, loader: Loader, run: Run, *, whole: bool
) -> Expectations:
    """What to expect of a loader from now on.

    Groups keep their kind and link. If the run was not `whole`, what did not run
    stays as it was.
    """
    results = [one for one in run.results if one.loader == loader.id]
    cases: defaultdict[Key, set[str]] = defaultdict(set)
    for result in results:
        if _told(result.verdict):
            cases[result.verdict, result.cause].add(result.case)
    groups = {} if old is None else {group.key: group for group in old.expected}
    skipped: Mapping[str, int] = _skips(results)
    if old is not None and not whole:
        ran = {result.case for result in results}
        for group in old.expected:
            cases[group.key].update(set(group.cases) - ran)
        skipped = old.skipped
    order = list(Verdict)
    return Expectations(
        loader.name,
        loader.version,
        dict(sorted(skipped.items())),
        tuple(
            _group(groups.get(key), key, cases[key])
            for key in sorted(cases, key=lambda key: (-order.index(key[0]), key[1]))
            if cases[key]
        ),
    )


def _group(old: Group | None, key: Key, cases: Collection[str]) -> Group:
    verdict, because = key
    kind: Kind = "unsupported" if verdict is Verdict.REJECTS else "bug"
    if old is not None:
        kind = old.kind
    link = "" if old is None else old.link
    return Group(verdict, kind, because, tuple(sorted(cases)), link)


# -------------------------------------------------------------------- writing

HEAD: Final = """\
# What this loader is known to get wrong; `torchproof run --update-expectations`
# writes it anew, and keeps each group's kind and link.
"""


def encode(expectations: Expectations) -> str:
    """The file, a case a line."""
    lines = [
        HEAD,
        f"loader = {_string(expectations.loader)}",
        f"version = {_string(expectations.version)}",
    ]
    if expectations.skipped:
        lines += ["", "[skipped]"]
        lines += [f"{_string(why)} = {n}" for why, n in expectations.skipped.items()]
    for group in expectations.expected:
        lines += [
            "",
            "[[expected]]",
            f"verdict = {_string(group.verdict.value)}",
            f"kind = {_string(group.kind)}",
            f"because = {_string(group.because)}",
            *([f"link = {_string(group.link)}"] if group.link else []),
            "cases = [",
            *(f"  {_string(case)}," for case in group.cases),
            "]",
        ]
    return "\n".join(lines) + "\n"


def _string(text: str) -> str:
    """TOML's basic strings are JSON's, but for one more control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

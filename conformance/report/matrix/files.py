"""The views of a run as files, for the commands that make them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from conformance.corpus.format import cases, read_index
from conformance.matrix.expectations import Expectations, Surprise
from conformance.matrix.results import Run

from . import badge, junit, markdown, views


class NoView(ValueError):
    """A view cannot be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where each view goes, if it is wanted.

    `loader` is the id of the one on the badge; `corpus_url` where the page finds
    the files of the corpus, if not in their folder.
    """

    html: Path | None = None
    markdown: Path | None = None
    junit: Path | None = None
    badge: Path | None = None
    loader: str | None = None
    corpus_url: str | None = None

    @property
    def any(self) -> bool:
        return any((self.html, self.markdown, self.junit, self.badge))


def write(
    files: Files,
    run: Run,
    corpus: Path,
    *,
    surprises: Iterable[Surprise],
    expectations: Mapping[str, Expectations],
) -> None:
    """Writes those that are wanted.

    `corpus` is its folder; `surprises` what was not as expected, `expectations`
    those of the loaders, by id. Raises `NoView` and `OSError`.
    """
    if files.html is not None:
        known = views.known(expectations)
        _write(files.html, _page(run, corpus, files.html, files.corpus_url, known))
    if files.markdown is not None:
        _write(files.markdown, markdown.render(run))
    if files.junit is not None:
        _write(files.junit, junit.render(run, surprises))
    if files.badge is not None:
        _write(files.badge, badge.render(_of_the_badge(run, files.loader)))


def _page(
    run: Run, corpus: Path, page: Path, url: str | None, known: views.KnownCauses
) -> str:
    try:
        from . import html
    except ModuleNotFoundError as error:
        install = "install it with pip install 'torchproof[report]'"
        raise NoView(f"{error.name} is missing; {install}") from error
    if url is None:
        # Windows has no way from one drive to another, and POSIX always one.
        way = os.path.relpath(corpus.resolve(), page.resolve().parent)
        url = quote(Path(way).as_posix())
    every = {case.id: case for _, case in cases(corpus)}
    return html.render(run, every, read_index(corpus).flags, url.rstrip("/"), known)


def _of_the_badge(run: Run, id: str | None) -> views.Standing:
    found = {one.loader.id: one for one in views.standings(run)}
    if id is None and len(found) == 1:
        return next(iter(found.values()))
    if id in found:
        return found[id]
    names = ", ".join(found) or "none"
    if id is None:
        raise NoView(f"whose badge? --loader says it; there are: {names}")
    raise NoView(f"there is no loader {id} in this run; there are: {names}")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")

"""A loader in one line: `torchproof | 93 % (2 silent)`, as an SVG image."""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape, quoteattr

from conformance.report.terminal import printable

from .views import Standing

LABEL: Final = "torchproof"

#: All as expected; refused or worse, but said so; something came out wrong; nothing.
_GOOD, _LOUD, _SILENT, _NONE = "#1d7a45", "#80600a", "#b8231b", "#5c6570"

#: Widths of 11 px Verdana, near enough: `textLength` makes the text fit.
_NARROW: Final = frozenset(" ()|fijlrt.,:")
_PAD: Final = 6


def render(standing: Standing) -> str:
    """The image; its title names the loader and its version."""
    said = standing.score
    left, right = _width(LABEL), _width(said)
    total = left + right + 4 * _PAD
    loader = standing.loader
    title = printable(f"{LABEL}: {loader.id} {loader.version}, {said}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="20" '
        f'viewBox="0 0 {total} 20" role="img" aria-label={quoteattr(title)}>\n'
        f"<title>{escape(title)}</title>\n"
        f'<clipPath id="r"><rect width="{total}" height="20" rx="3"/></clipPath>\n'
        f'<g clip-path="url(#r)">'
        f'<rect width="{left + 2 * _PAD}" height="20" fill="#3b4149"/>'
        f'<rect x="{left + 2 * _PAD}" width="{right + 2 * _PAD}" height="20" '
        f'fill="{_colour(standing)}"/></g>\n'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{_PAD}" y="14" textLength="{left}">{LABEL}</text>'
        f'<text x="{left + 3 * _PAD}" y="14" textLength="{right}">'
        f"{escape(said)}</text></g>\n"
        "</svg>\n"
    )


def _colour(standing: Standing) -> str:
    if standing.percent is None:
        return _NONE
    if standing.silent:
        return _SILENT
    return _GOOD if standing.percent == 100 else _LOUD


def _width(text: str) -> int:
    return round(sum(4.3 if c in _NARROW else 11.8 if c == "%" else 6.9 for c in text))

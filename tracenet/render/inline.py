"""A picture as a piece of an HTML page: SVG that fits the page and leaves the rest of it alone."""

from __future__ import annotations

import re

from ..diagram import Diagram
from . import svg
from .png import PIXELS_A_POINT, size
from .theme import NIGHT, Paint

CLASS = "tracenet-picture"
FOUND = re.compile(r'<svg [^>]*?width="[^"]*" height="[^"]*"')
STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
RULE = re.compile(r"([^{}]+)(\{[^{}]*\})")


def inline(diagram: Diagram, paint: Paint | None = None) -> str:
    """The diagram as an SVG element, as wide as there is room and no wider than it was drawn."""
    text = svg.encode(diagram, paint).decode("utf-8")
    width = round(size(text)[0] * PIXELS_A_POINT)
    text = text[text.index("<svg ") :]
    fitting = f'class="{CLASS}" width="100%" style="max-width:{width}px;height:auto"'
    text = FOUND.sub(f'<svg {fitting} xmlns="http://www.w3.org/2000/svg" role="img"', text, count=1)
    return STYLE.sub(lambda found: f"<style>{_ours(found[1])}</style>", text, count=1)


def _ours(style: str) -> str:
    """Rules that hold in our picture only: those in an element's style hold for a whole page.

    >>> _ours("text{fill:red}.node,.edge{stroke:blue}")
    '.tracenet-picture text{fill:red}.tracenet-picture .node,.tracenet-picture .edge{stroke:blue}'
    """
    always, query, night = style.partition(NIGHT)
    always = RULE.sub(lambda found: _prefixed(found[1]) + found[2], always)
    return f"{always}{query}{{{_ours(night[1:-1])}}}" if query else always


def _prefixed(selectors: str) -> str:
    return ",".join(f".{CLASS} {selector.strip()}" for selector in selectors.split(","))

"""A picture as a piece of an HTML page: SVG that fits the page and leaves the rest of it alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape

from ..diagram import Diagram, Shown, plain
from ..figures import dimensions
from . import label, svg
from .png import PIXELS_A_POINT, size
from .theme import NIGHT, Paint

CLASS = "tracenet-picture"
FOUND = re.compile(r'<svg [^>]*?width="[^"]*" height="[^"]*"')
STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
TITLE = re.compile(r'(<g id="([^"]*)" class="(?:node|edge) [^>]*>\n<title>)[^<]*')
RULE = re.compile(r"([^{}]+)(\{[^{}]*\})")


def inline(diagram: Diagram, paint: Paint | None = None) -> str:
    """The diagram as an SVG element, as wide as there is room and no wider than it was drawn."""
    text = svg.encode(diagram, paint).decode("utf-8")
    width = round(size(text)[0] * PIXELS_A_POINT)
    text = text[text.index("<svg ") :]
    fitting = f'class="{CLASS}" width="100%" style="max-width:{width}px;height:auto"'
    text = FOUND.sub(f'<svg {fitting} xmlns="http://www.w3.org/2000/svg" role="img"', text, count=1)
    titles = _titles(diagram)
    text = TITLE.sub(lambda found: found[1] + escape(titles[found[2]]), text)
    return STYLE.sub(lambda found: f"<style>{_ours(found[1])}</style>", text, count=1)


def _titles(diagram: Diagram) -> dict[str, str]:
    """What each box and arrow says when it is pointed at: what it is, and its values."""
    nodes = {node.id: node for node in diagram.nodes}
    titles = {node.id: told(node.name, node.shown) for node in diagram.nodes}
    for edge in diagram.edges:
        titles[edge.id] = told(f"{nodes[edge.tail].name} → {nodes[edge.head].name}", edge.shown)
    return titles


def told(name: str, shown: Iterable[Shown]) -> str:
    """A name, and under it arrays with their numbers, or what is said of them, line by line.

    >>> told("loss", [Shown(key="cost", dtype="float64", grid=(("0.5",),))])
    'loss\\ncost, float64:\\n0.5'
    """
    lines = [label.clean(name)]
    for item in shown:
        shape = dimensions(item.shape) if item.shape else ""
        facts = (plain(item.name) or item.key, shape, item.dtype, item.state)
        numbers = ["  ".join(row) for row in item.grid] or list(item.summary[1:])
        head = label.clean(", ".join(fact for fact in facts if fact))
        lines += [f"{head}:" if numbers else head, *map(label.clean, numbers)]
    return "\n".join(line for line in lines if line)


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

"""A diagram as SVG, written by ourselves from a placement.

Each piece of text is written with its measured width as `textLength`, so that it stays in its box
whatever font the reader has; raised text is written as smaller, shifted text, as `baseline-shift`
is not understood everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from xml.sax.saxutils import escape, quoteattr

from ..diagram import Diagram
from . import label, palette
from .fonts import CSS_FAMILY
from .frames import AIR, Box, boxes
from .placement import CLEAR, Area, Placement, Shape, Words
from .placing import placed

MARGIN = 12
TAKES = {"M": 1, "L": 1, "H": 1, "C": 3, "Z": 0}
"""How many points each step of a path takes."""

STYLE = (
    "text{white-space:pre}"
    ".node:hover>path:first-of-type,.edge:hover>path{filter:brightness(.97)}"
    ".edge:hover>path{stroke-width:2.4}"
)


def encode(diagram: Diagram, ground: str = palette.WHITE) -> bytes:
    """The diagram as SVG. ground: the colour behind it, or `"none"`."""
    return "".join(_Writer(diagram, placed(diagram), ground).written()).encode("utf-8")


class _Writer:
    def __init__(self, diagram: Diagram, placement: Placement, ground: str) -> None:
        self.diagram = diagram
        self.ground = ground
        self.marks = placement.marks
        self.frames = boxes(diagram, placement)
        whole = reduce(Area.around, (box.area for box in self.frames), placement.area)
        self.left, self.top = whole.left - MARGIN, whole.top - MARGIN
        self.width = whole.right - whole.left + 2 * MARGIN
        self.height = whole.bottom - whole.top + 2 * MARGIN

    def written(self) -> Iterator[str]:
        width, height = rounded(self.width), rounded(self.height)
        yield (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}pt"'
            f' height="{height}pt" viewBox="0 0 {width} {height}" font-family="{CSS_FAMILY}">\n'
            f"<title>{escape(label.clean(self.diagram.title))}</title>\n"
            f"<desc>{escape(described(self.diagram))}</desc>\n<style>{STYLE}</style>\n"
        )
        if self.ground != CLEAR:
            yield f'<rect width="{width}" height="{height}" fill={quoteattr(self.ground)}/>\n'
        nodes = {node.id: node for node in self.diagram.nodes}
        yield from map(self._frame, self.frames)
        for edge in self.diagram.edges:
            yield from self._group(edge.id, f"edge {edge.kind}", label.edge_title(edge, nodes))
        for node in self.diagram.nodes:
            title = label.described(node.name, node.shown)
            yield from self._group(node.id, f"node {node.kind}", title)
        yield "</svg>\n"

    def _group(self, id: str, kind: str, title: str) -> Iterator[str]:
        yield f'<g id="{id}" class="{kind}">\n<title>{escape(label.clean(title))}</title>\n'
        for mark in self.marks.get(id, ()):
            yield self._text(mark) if isinstance(mark, Words) else self._shape(mark)
        yield "</g>\n"

    def _frame(self, box: Box) -> str:
        x, y = box.area.left - self.left, box.area.top - self.top
        width, height = box.area.right - box.area.left, box.area.bottom - box.area.top
        corner = f'x="{rounded(x)}" y="{rounded(y)}"'
        head = f'x="{rounded(x + AIR)}" y="{rounded(y + label.NUMBER_SIZE + 3)}"'
        return (
            f'<g id="{box.frame.id}" class="frame">\n'
            f"<title>{escape(label.clean(box.frame.name))}</title>\n"
            f'<rect {corner} width="{rounded(width)}" height="{rounded(height)}" rx="8"'
            f' fill="{palette.FRAME_GROUND}" stroke="{palette.FRAME}"/>\n'
            f'<text {head} font-size="{label.NUMBER_SIZE}" fill="{palette.QUIET}">'
            f"{escape(box.name)}</text>\n</g>\n"
        )

    def _shape(self, shape: Shape) -> str:
        if shape.fill == CLEAR and shape.stroke == CLEAR:
            return ""
        line = f' stroke="{shape.stroke}"' if shape.stroke != CLEAR else ""
        if line and shape.width != 1:
            line += f' stroke-width="{rounded(shape.width)}"'
        if line and shape.dash:
            line += f' stroke-dasharray="{shape.dash}"'
        if not line and "C" not in shape.code:
            line = ' shape-rendering="crispEdges"'  # no seams between the cells of a heatmap
        return f'<path d="{self._path(shape)}" fill="{shape.fill}"{line}/>\n'

    def _path(self, shape: Shape) -> str:
        points = iter(shape.points)
        steps = []
        for step in shape.code:
            ends = [next(points) for _ in range(TAKES[step])]
            if step == "H":
                steps.append(f"H{rounded(ends[0][0] - self.left)}")
            else:
                steps.append(step + " ".join(self._at(x, y) for x, y in ends))
        return "".join(steps)

    def _at(self, x: float, y: float) -> str:
        return f"{rounded(x - self.left)} {rounded(y - self.top)}"

    def _text(self, words: Words) -> str:
        bold = ' font-weight="bold"' if words.bold else ""
        italic = ' font-style="italic"' if words.italic else ""
        return (
            f'<text x="{rounded(words.x - self.left)}" y="{rounded(words.y - self.top)}"'
            f' font-size="{rounded(words.size)}" fill="{words.colour}"{bold}{italic}'
            f' textLength="{rounded(words.width)}" lengthAdjust="spacingAndGlyphs">'
            f"{escape(_firm(words.text))}</text>\n"
        )


def _firm(words: str) -> str:
    """Spaces at the ends made unbreakable, as SVG drops others and would stretch the rest."""
    left, right = len(words) - len(words.lstrip(" ")), len(words) - len(words.rstrip(" "))
    return "\u00a0" * left + words.strip(" ") + "\u00a0" * right


def rounded(x: float) -> str:
    """A number as short as two decimals allow.

    >>> rounded(12.0), rounded(0.127), rounded(-0.001)
    ('12', '0.13', '0')
    """
    text = f"{x:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def described(diagram: Diagram) -> str:
    """A sentence for those who do not see the picture."""
    names = [node.name for node in diagram.nodes if node.kind in ("forward", "loss")]
    path = " → ".join(names) if len(names) <= 20 else f"{len(names)} steps"
    count = f"Computation graph with {len(diagram.nodes)} boxes and {len(diagram.edges)} arrows."
    return label.clean(f"{count} Forward: {path}." if names else count)

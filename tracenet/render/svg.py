"""A diagram as SVG, written by ourselves from the positions that Graphviz found.

Graphviz says what to draw as a list of small operations (its `json` output, `_draw_`), with the
measured width of every piece of text. Each piece is written with that width as `textLength`, so
that it stays in its box whatever font the reader has; raised text is written as smaller, shifted
text, as `baseline-shift` is not understood everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from ..diagram import Diagram
from . import dot, label, palette
from .engine import layout
from .fonts import CSS_FAMILY
from .frames import AIR, Box, boxes

MARGIN = 12
BOLD, ITALIC, UNDERLINE, RAISED, LOWERED, STRUCK = 1, 2, 4, 8, 16, 32
"""Graphviz's flags of a piece of text."""
SMALLER = 5 / 6
"""How much smaller Graphviz measures raised and lowered text than its size says."""
CLEAR = "none"

STYLE = (
    "text{white-space:pre}"
    ".node:hover>path:first-of-type,.edge:hover>path{filter:brightness(.97)}"
    ".edge:hover>path{stroke-width:2.4}"
)

Ops = list[dict[str, Any]]


def encode(diagram: Diagram, ground: str = palette.WHITE) -> bytes:
    """The diagram as SVG. ground: the colour behind it, or `"none"`."""
    drawing = json.loads(layout(dot.text(diagram), "json"))
    return "".join(_Writer(diagram, drawing, ground).written()).encode("utf-8")


@dataclass(frozen=True, slots=True)
class _Pen:
    """What is drawn with, while operations follow each other."""

    stroke: str = palette.TEXT
    fill: str = CLEAR
    width: float = 1.0
    dash: str = ""
    size: float = label.TEXT_SIZE
    flags: int = 0


class _Writer:
    def __init__(self, diagram: Diagram, drawing: dict[str, Any], ground: str) -> None:
        self.diagram = diagram
        self.ground = ground
        self.frames = boxes(diagram, drawing)
        left, bottom, right, top = _bounds(drawing["bb"], self.frames)
        self.left, self.top = left - MARGIN, top + MARGIN
        self.width, self.height = right - left + 2 * MARGIN, top - bottom + 2 * MARGIN
        things = [*drawing.get("objects", ()), *drawing.get("edges", ())]
        self.ops = {thing["id"]: _operations(thing) for thing in things if "id" in thing}

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
            yield from self._group(edge.id, f"edge {edge.kind}", dot.edge_title(edge, nodes))
        for node in self.diagram.nodes:
            title = label.described(node.name, node.shown)
            yield from self._group(node.id, f"node {node.kind}", title)
        yield "</svg>\n"

    def _group(self, id: str, kind: str, title: str) -> Iterator[str]:
        yield f'<g id="{id}" class="{kind}">\n<title>{escape(label.clean(title))}</title>\n'
        for ops in self.ops.get(id, ()):
            yield from self._drawn(ops)
        yield "</g>\n"

    def _frame(self, box: Box) -> str:
        x, y = box.left - self.left, self.top - box.top
        width, height = rounded(box.right - box.left), rounded(box.top - box.bottom)
        corner = f'x="{rounded(x)}" y="{rounded(y)}"'
        head = f'x="{rounded(x + AIR)}" y="{rounded(y + label.NUMBER_SIZE + 3)}"'
        return (
            f'<g id="{box.frame.id}" class="frame">\n'
            f"<title>{escape(label.clean(box.frame.name))}</title>\n"
            f'<rect {corner} width="{width}" height="{height}" rx="8"'
            f' fill="{palette.FRAME_GROUND}" stroke="{palette.FRAME}"/>\n'
            f'<text {head} font-size="{label.NUMBER_SIZE}" fill="{palette.QUIET}">'
            f"{escape(box.name)}</text>\n</g>\n"
        )

    def _drawn(self, ops: Ops) -> Iterator[str]:
        pen = _Pen()
        for op in ops:
            kind = op["op"]
            if kind == "T":
                yield self._text(op, pen)
            elif kind in "PpLBbEe":
                yield self._shape(op, pen)
            else:
                pen = _changed(pen, op)

    # ------------------------------------------------------------------ shapes

    def _shape(self, op: dict[str, Any], pen: _Pen) -> str:
        fill = pen.fill if op["op"] in "PBE" else CLEAR
        if fill == CLEAR and pen.stroke == CLEAR:
            return ""
        line = f' stroke="{pen.stroke}"' if pen.stroke != CLEAR else ""
        if line and pen.width != 1:
            line += f' stroke-width="{rounded(pen.width)}"'
        if line and pen.dash:
            line += f' stroke-dasharray="{pen.dash}"'
        if not line and op["op"] == "P":
            line = ' shape-rendering="crispEdges"'  # no seams between the cells of a heatmap
        return f'<path d="{self._path(op)}" fill="{fill}"{line}/>\n'

    def _path(self, op: dict[str, Any]) -> str:
        if op["op"] in "Ee":
            return self._ellipse(*op["rect"])
        points = [self._at(x, y) for x, y in op["points"]]
        if op["op"] in "Bb":
            return f"M{points[0]}" + "".join(_curves(points)) + ("Z" if op["op"] == "B" else "")
        end = "Z" if op["op"] in "Pp" else ""
        return "M" + "L".join(points) + end

    def _ellipse(self, x: float, y: float, a: float, b: float) -> str:
        arc = f"A{rounded(a)} {rounded(b)} 0 1 0 "
        return f"M{self._at(x - a, y)}{arc}{self._at(x + a, y)}{arc}{self._at(x - a, y)}Z"

    def _at(self, x: float, y: float) -> str:
        return f"{rounded(x - self.left)} {rounded(self.top - y)}"

    # ------------------------------------------------------------------ text

    def _text(self, op: dict[str, Any], pen: _Pen) -> str:
        # Graphviz doubles backslashes once more than JSON asks for.
        words, width = label.clean(op["text"].replace("\\\\", "\\")), op["width"]
        if not words.strip() or width <= 0:
            return ""
        x = op["pt"][0] - self.left - {"l": 0, "c": width / 2, "r": width}[op["align"]]
        y = self.top - op["pt"][1]
        struck = self._strike(x, y, width, pen) if pen.flags & STRUCK else ""
        y, size = _shifted(y, pen)
        return (
            f'<text x="{rounded(x)}" y="{rounded(y)}" font-size="{rounded(size)}"'
            f' fill="{pen.stroke}"{_face(pen.flags)} textLength="{rounded(width)}"'
            f' lengthAdjust="spacingAndGlyphs">{escape(_firm(words))}</text>\n{struck}'
        )

    def _strike(self, x: float, y: float, width: float, pen: _Pen) -> str:
        """A line at one height through all of a name, raised letters included."""
        height = rounded(y - 0.28 * label.TEXT_SIZE)
        return (
            f'<path d="M{rounded(x)} {height}H{rounded(x + width)}" fill="none"'
            f' stroke="{pen.stroke}" stroke-width="0.9"/>\n'
        )


def _bounds(text: str, frames: list[Box]) -> tuple[float, float, float, float]:
    """The extent of a layout, with the frames that reach beyond it."""
    left, bottom, right, top = (float(x) for x in text.split(","))
    return (
        min(left, *(box.left for box in frames), left),
        min(bottom, *(box.bottom for box in frames), bottom),
        max(right, *(box.right for box in frames), right),
        max(top, *(box.top for box in frames), top),
    )


def _operations(thing: dict[str, Any]) -> list[Ops]:
    return [thing[key] for key in ("_draw_", "_hdraw_", "_tdraw_", "_ldraw_") if key in thing]


def _changed(pen: _Pen, op: dict[str, Any]) -> _Pen:
    """The pen after an operation that draws nothing itself."""
    kind = op["op"]
    if kind == "c":
        return replace(pen, stroke=_colour(op))
    if kind == "C":
        return replace(pen, fill=_colour(op))
    if kind == "F":
        return replace(pen, size=op["size"])
    if kind == "t":
        return replace(pen, flags=op["fontchar"])
    return _styled(pen, op["style"]) if kind == "S" else pen


def _styled(pen: _Pen, style: str) -> _Pen:
    if style.startswith("setlinewidth("):
        return replace(pen, width=float(style[13:-1]))
    for word, dash in (("dashed", "5 3"), ("dotted", "1 3"), ("solid", "")):
        if style.startswith(word):  # Graphviz 14 lets rubbish follow the word at a table's border
            return replace(pen, dash=dash)
    return pen


def _colour(op: dict[str, Any]) -> str:
    colour = str(op.get("color", CLEAR))
    return CLEAR if len(colour) == 9 and colour.endswith("00") else colour


def _curves(points: list[str]) -> Iterator[str]:
    """Bézier segments; straight ones as lines."""
    for i in range(0, len(points) - 3, 3):
        start, one, two, end = points[i : i + 4]
        if start == one and two == end:
            yield f"L{end}" if start != end else ""
        else:
            yield f"C{one} {two} {end}"


def _shifted(y: float, pen: _Pen) -> tuple[float, float]:
    """Height and size of a piece of text, raised and lowered ones included."""
    if pen.flags & RAISED:
        return y - 0.42 * pen.size, pen.size * SMALLER
    if pen.flags & LOWERED:
        return y + 0.22 * pen.size, pen.size * SMALLER
    return y, pen.size


def _face(flags: int) -> str:
    bold = ' font-weight="bold"' if flags & BOLD else ""
    italic = ' font-style="italic"' if flags & ITALIC else ""
    line = ' text-decoration="underline"' if flags & UNDERLINE else ""
    return bold + italic + line


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

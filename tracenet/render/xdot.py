"""The placement that Graphviz found, read from its `json`.

Graphviz says what to draw as lists of small operations (`_draw_` and others), each list with a pen
that operations change, and with the measured width of every piece of text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..diagram import Diagram
from . import dot, label, palette
from .blocks import shifted, strike
from .engine import layout
from .placement import CLEAR, Area, Block, Mark, Placement, Point, Shape, Words

BOLD, ITALIC, UNDERLINE, RAISED, LOWERED, STRUCK = 1, 2, 4, 8, 16, 32
"""Graphviz's flags of a piece of text."""
LISTS = ("_draw_", "_hdraw_", "_tdraw_", "_ldraw_")


@dataclass(frozen=True, slots=True)
class _Pen:
    """What is drawn with, while operations follow each other."""

    stroke: str = palette.TEXT
    fill: str = CLEAR
    width: float = 1.0
    dash: str = ""
    size: float = label.TEXT_SIZE
    flags: int = 0


def placed(diagram: Diagram) -> Placement:
    """Where Graphviz puts a diagram."""
    drawing = json.loads(layout(dot.text(diagram), "json"))
    left, bottom, right, top = (float(x) for x in drawing["bb"].split(","))
    nodes = [thing for thing in drawing.get("objects", ()) if "id" in thing and "pos" in thing]
    edges = [thing for thing in drawing.get("edges", ()) if "id" in thing]
    return Placement(
        Area(left, -top, right, -bottom),
        {thing["id"]: [(0, 0, Block(0, 0, list(_marks(thing))))] for thing in nodes + edges},
        {thing["id"]: _place(thing) for thing in nodes},
    )


def _place(thing: dict[str, Any]) -> Area:
    x, y = (float(number) for number in thing["pos"].split(","))
    half_width, half_height = float(thing["width"]) * 36, float(thing["height"]) * 36
    return Area(x - half_width, -y - half_height, x + half_width, -y + half_height)


def _marks(thing: dict[str, Any]) -> Iterator[Mark]:
    for key in LISTS:
        pen = _Pen()
        for op in thing.get(key, ()):
            if op["op"] == "T":
                yield from _words(op, pen)
            elif op["op"] in "PpLBb":
                yield _shape(op, pen)
            else:
                pen = _changed(pen, op)


def _shape(op: dict[str, Any], pen: _Pen) -> Shape:
    fill = pen.fill if op["op"] in "PB" else CLEAR
    points = tuple((x, -y) for x, y in op["points"])
    code = "M" + "L" * (len(points) - 1)
    if op["op"] in "Bb":
        code, points = _curve(points)
    return Shape(
        code + ("Z" if op["op"] in "PpB" else ""), points, pen.stroke, fill, pen.width, pen.dash
    )


def _curve(points: tuple[Point, ...]) -> tuple[str, tuple[Point, ...]]:
    """Bézier segments; straight ones as lines."""
    code, kept = "M", [points[0]]
    for i in range(0, len(points) - 3, 3):
        start, one, two, end = points[i : i + 4]
        if start != one or two != end:
            code, kept = code + "C", [*kept, one, two, end]
        elif start != end:
            code, kept = code + "L", [*kept, end]
    return code, tuple(kept)


def _words(op: dict[str, Any], pen: _Pen) -> Iterator[Mark]:
    # Graphviz doubles backslashes once more than JSON asks for.
    text, width = label.clean(op["text"].replace("\\\\", "\\")), float(op["width"])
    if not text.strip() or width <= 0:
        return
    x = op["pt"][0] - {"l": 0, "c": width / 2, "r": width}[op["align"]]
    y, size = -op["pt"][1], pen.size
    if pen.flags & STRUCK:
        yield strike(x, y, width, pen.stroke)
    if pen.flags & (RAISED | LOWERED):
        y, size = shifted(y, size, bool(pen.flags & RAISED))
    bold, italic = bool(pen.flags & BOLD), bool(pen.flags & ITALIC)
    yield Words(x, y, width, text, size, pen.stroke, bold, italic)


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

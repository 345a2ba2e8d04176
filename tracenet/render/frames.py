"""Where the frames of the op-level view lie: around all that stands in the columns of a block.

They are drawn behind a finished layout and are no clusters of Graphviz's: inside a cluster, and
across its border, `dot` forgets the order of the nodes in a column, and lanes get mixed up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..diagram import Diagram, Frame
from .label import clean, shortened

AIR = 8
HEADING = 15
"""Room for the name, above what is framed."""
LETTER = 4.8
"""The width of a letter of a frame's name, on average."""


@dataclass(frozen=True, slots=True)
class Box:
    """A frame with its place, in Graphviz's points, whose y points upwards."""

    frame: Frame
    name: str
    left: float
    bottom: float
    right: float
    top: float


def boxes(diagram: Diagram, drawing: dict[str, Any]) -> list[Box]:
    """The frames of a diagram in a layout, Graphviz's `json`; those around nothing are left out."""
    places = {thing["id"]: _extent(thing) for thing in drawing.get("objects", ()) if "id" in thing}
    found = []
    for frame in diagram.frames:
        columns = {node.column for node in diagram.nodes if node.id in frame.nodes}
        inside = [places[n.id] for n in diagram.nodes if n.column in columns and n.id in places]
        if inside:
            found.append(_around(frame, inside))
    return found


def _extent(thing: dict[str, Any]) -> tuple[float, float, float, float]:
    x, y = (float(number) for number in thing["pos"].split(","))
    half_width, half_height = float(thing["width"]) * 36, float(thing["height"]) * 36
    return x - half_width, y - half_height, x + half_width, y + half_height


def _around(frame: Frame, inside: list[tuple[float, float, float, float]]) -> Box:
    lefts, bottoms, rights, tops = zip(*inside, strict=True)
    left, right = min(lefts) - AIR, max(rights) + AIR
    letters = int((right - left - 2 * AIR) / LETTER)
    name = shortened(clean(frame.name), max(letters, 2))
    return Box(frame, name, left, min(bottoms) - AIR, right, max(tops) + AIR + HEADING)

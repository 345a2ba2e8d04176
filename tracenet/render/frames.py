"""Where the frames of the op-level view lie: around all that stands in the columns of a block.

They are drawn behind a finished layout and are no clusters of Graphviz's: inside a cluster, and
across its border, `dot` forgets the order of the nodes in a column, and lanes get mixed up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from ..diagram import Diagram, Frame
from .label import clean, shortened
from .placement import Area, Placement

AIR = 8
HEADING = 15
"""Room for the name, above what is framed."""
LETTER = 4.8
"""The width of a letter of a frame's name, on average."""


@dataclass(frozen=True, slots=True)
class Fence:
    """A frame with its place."""

    frame: Frame
    name: str
    area: Area


def boxes(diagram: Diagram, placement: Placement) -> list[Fence]:
    """The frames of a diagram; those around nothing are left out."""
    found = []
    for frame in diagram.frames:
        columns = {node.column for node in diagram.nodes if node.id in frame.nodes}
        places = [
            placement.places[node.id]
            for node in diagram.nodes
            if node.column in columns and node.id in placement.places
        ]
        if places:
            found.append(_around(frame, reduce(Area.around, places)))
    return found


def _around(frame: Frame, inside: Area) -> Fence:
    letters = int((inside.right - inside.left) / LETTER)
    name = shortened(clean(frame.name), max(letters, 2))
    area = Area(
        inside.left - AIR, inside.top - AIR - HEADING, inside.right + AIR, inside.bottom + AIR
    )
    return Fence(frame, name, area)

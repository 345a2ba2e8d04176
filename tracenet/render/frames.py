"""Where the frames of the op-level view lie: bands from the top to the bottom, around all that
stands in the columns of a block.

They are drawn behind a finished layout and are no clusters of Graphviz's: inside a cluster, and
across its border, `dot` forgets the order of the nodes in a column, and lanes get mixed up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

from ..diagram import Diagram, Frame
from .label import clean, shortened
from .placement import Area, Placement

AIR = 8
HEADING = 15
"""Room for the name, above what is framed."""
LETTER = 4.8
"""The width of a letter of a frame's name, on average."""
BETWEEN = 2.0 * AIR + 10.0
"""Between what two frames hold, or one holds and the next column."""


@dataclass(frozen=True, slots=True)
class Fence:
    """A frame with its place."""

    frame: Frame
    name: str
    area: Area


def boxes(diagram: Diagram, placement: Placement) -> list[Fence]:
    """The frames of a diagram; those around nothing are left out."""
    if not diagram.frames:
        return []
    places: dict[int, list[Area]] = {}
    for node in diagram.nodes:
        if node.id in placement.places:
            places.setdefault(node.column, []).append(placement.places[node.id])
    body = placement.body or placement.area
    found = []
    for frame, columns in _columns(diagram):
        inside = [area for column in columns for area in places.get(column, ())]
        if inside:
            found.append(_around(frame, reduce(Area.around, inside), body))
    return found


def walls(diagram: Diagram) -> set[int]:
    """The columns at which a frame begins, and those before which one ends."""
    after = dict(pairwise(sorted({node.column for node in diagram.nodes})))
    ends = [(min(columns), max(columns)) for _, columns in _columns(diagram) if columns]
    return {first for first, _ in ends} | {after[last] for _, last in ends if last in after}


def _columns(diagram: Diagram) -> Iterator[tuple[Frame, set[int]]]:
    """Each frame with its columns, which follow each other: a block is one call."""
    column = {node.id: node.column for node in diagram.nodes}
    for frame in diagram.frames:
        yield frame, {column[id] for id in frame.nodes if id in column}


def _around(frame: Frame, inside: Area, body: Area) -> Fence:
    letters = int((inside.right - inside.left) / LETTER)
    name = shortened(clean(frame.name), max(letters, 2))
    area = Area(inside.left - AIR, body.top - AIR - HEADING, inside.right + AIR, body.bottom + AIR)
    return Fence(frame, name, area)

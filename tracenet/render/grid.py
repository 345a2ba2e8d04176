"""The boxes of a two-row diagram in their cells, and what way each arrow takes.

A cell is one lane of one column. Where several boxes stand in a cell they stand side by side, so
that a lane is always one row; the backward lane, which is read leftwards, starts at the right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..diagram import BACKWARD_LANE, FORWARD_LANE, Diagram, Edge, Node
from . import typeset
from .frames import walls
from .placement import Area, Block

MAIN = (FORWARD_LANE, BACKWARD_LANE)
"""The lanes that the passes run along; boxes of the other lanes stand above or below these."""


@dataclass(slots=True, eq=False)
class Spot:
    """A box: what is in it, and where its middle is."""

    node: Node
    block: Block
    x: float = 0.0
    y: float = 0.0
    rank: int = 0

    @property
    def half(self) -> float:
        return self.block.width / 2

    @property
    def area(self) -> Area:
        width, height = self.half, self.block.height / 2
        return Area(self.x - width, self.y - height, self.x + width, self.y + height)


@dataclass(slots=True, eq=False)
class Way:
    """An arrow between two boxes, and the arrays at it."""

    edge: Edge
    tail: Spot
    head: Spot
    label: Block | None

    @property
    def ends(self) -> tuple[Spot, Spot]:
        """The left and the right box of an arrow in one lane."""
        first, second = sorted((self.tail, self.head), key=lambda spot: spot.rank)
        return first, second


@dataclass(slots=True)
class Grid:
    """Everything that is to be placed.

    columns: from the left, the boxes of each lane; rows: the boxes of each lane, from the left.
    straight: arrows between neighbours in a lane. upright: within a column. around: in a lane,
    past other boxes. loops: back to the box that they leave. across: all others. walls: columns
    that nothing at their left may reach into, as a frame begins or ends there.
    """

    spots: dict[str, Spot]
    columns: list[dict[int, list[Spot]]]
    rows: dict[int, list[Spot]] = field(default_factory=dict)
    straight: list[Way] = field(default_factory=list)
    upright: list[Way] = field(default_factory=list)
    around: list[Way] = field(default_factory=list)
    loops: list[Way] = field(default_factory=list)
    across: list[Way] = field(default_factory=list)
    walls: set[int] = field(default_factory=set)


def arranged(diagram: Diagram) -> Grid:
    """The cells of a diagram, and the ways of its arrows."""
    spots = {node.id: Spot(node, typeset.of_node(node)) for node in diagram.nodes}
    ways = [
        Way(edge, spots[edge.tail], spots[edge.head], typeset.of_edge(edge))
        for edge in diagram.edges
    ]
    grid = Grid(spots, _columns(spots.values(), ways), walls=walls(diagram))
    for column in grid.columns:
        for lane, cell in column.items():
            row = grid.rows.setdefault(lane, [])
            for spot in cell:
                spot.rank = len(row)
                row.append(spot)
    _sort_ways(grid, ways)
    return grid


def _columns(spots: Iterable[Spot], ways: list[Way]) -> list[dict[int, list[Spot]]]:
    columns: dict[int, dict[int, list[Spot]]] = {}
    for spot in spots:
        columns.setdefault(spot.node.column, {}).setdefault(spot.node.lane, []).append(spot)
    linked = links(ways)
    first = min(columns, default=0)
    for number, column in columns.items():
        for lane in MAIN:
            if lane == BACKWARD_LANE or number == first:
                column.get(lane, []).reverse()
        for lane, cell in column.items():
            if lane not in MAIN and len(cell) > 1:
                order = {id(s): i for main in MAIN for i, s in enumerate(column.get(main, ()))}
                cell.sort(key=lambda spot: _mean(order, linked.get(spot.node.id, ())))
    return [columns[number] for number in sorted(columns)]


def links(ways: Iterable[Way]) -> dict[str, list[Spot]]:
    """The boxes of the same column that each box has arrows to or from."""
    found: dict[str, list[Spot]] = {}
    for way in ways:
        if way.tail.node.column == way.head.node.column:
            found.setdefault(way.tail.node.id, []).append(way.head)
            found.setdefault(way.head.node.id, []).append(way.tail)
    return found


def _mean(order: dict[int, int], spots: Iterable[Spot]) -> float:
    places = [order[id(spot)] for spot in spots if id(spot) in order]
    return sum(places) / len(places) if places else 0.0


def _sort_ways(grid: Grid, ways: list[Way]) -> None:
    taken = set()
    for way in ways:
        tail, head = way.tail.node, way.head.node
        if tail is head:
            grid.loops.append(way)
            continue
        if tail.lane != head.lane:
            (grid.upright if tail.column == head.column else grid.across).append(way)
            continue
        left, right = way.ends
        pair = (tail.lane, left.rank)
        if right.rank - left.rank == 1 and pair not in taken:
            taken.add(pair)
            grid.straight.append(way)
        else:
            grid.around.append(way)

"""Where columns stand and boxes in them: as near to each other as what is between them allows.

Columns follow each other from the left. Each lane says how far its boxes must stand from those to
their left, so a wide cache reaches under the free space beside a narrow box.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from .frames import BETWEEN
from .grid import MAIN, Grid, Spot, Way, links
from .tracks import Track

ARROW, APART, AIR = 40.0, 16.0, 14.0
"""Between boxes with an arrow between them and without; beside what is written at an arrow."""
PASSAGE = 6.0
"""Half the room for an arrow that passes a lane."""
INSIDE = 9.0
"""How far from the corners of a box arrows may end."""
STEP = 20.0
"""Between the middles of boxes in neighbouring columns, at least."""

Column = dict[int, list[Spot]]
Reach = dict[int, tuple[float, float]]
"""How far a column reaches to the left and to the right of its middle, in each lane."""


class Spacing:
    """Sets x of every box.

    gaps: the free room right of a box, by lane and rank. passages: where upright arrows run.
    """

    def __init__(self, grid: Grid, tracks: list[Track]) -> None:
        self.gaps: dict[tuple[int, int], tuple[float, float]] = {}
        self.passages: dict[str, float] = {}
        self._needed = _needed(grid, tracks)
        self._walls = grid.walls
        self._linked = links(grid.upright)
        self._ends: dict[int, float] = {}
        self._last: dict[int, Spot] = {}
        self._middle = float("-inf")
        passing: dict[int, list[Way]] = {}
        for way in (*grid.upright, *grid.across):
            passing.setdefault(way.tail.node.column, []).append(way)
        for column in grid.columns:
            number = next(iter(column.values()))[0].node.column
            self._place(column, passing.get(number, []))

    def _place(self, column: Column, ways: list[Way]) -> None:
        self._within(column)
        reach = {
            lane: (cell[0].x - cell[0].half, cell[-1].x + cell[-1].half)
            for lane, cell in column.items()
        }
        for way in ways:
            self.passages[way.edge.id] = _passage(way, column, reach)
        x = self._nearest(column, reach)
        for way in ways:
            self.passages[way.edge.id] += x
        for cell in column.values():
            for spot in cell:
                spot.x += x
        self._close(column, reach, x)

    def _within(self, column: Column) -> None:
        """Boxes of the passes around the middle of the column, others above and below those."""
        for lane in sorted(column, key=lambda lane: (lane not in MAIN, lane)):
            cell = column[lane]
            steps = [self._between(one, two) for one, two in pairwise(cell)]
            width = sum(2 * spot.half for spot in cell) + sum(steps)
            x = -width / 2
            if lane not in MAIN:
                x += self._mean(cell)
            for spot, step in zip(cell, [*steps, 0.0], strict=True):
                spot.x = x + spot.half
                x += 2 * spot.half + step

    def _mean(self, cell: Iterable[Spot]) -> float:
        """The middle of the boxes that those of a cell hang on."""
        upper = {id(s): s.x for spot in cell for s in self._linked.get(spot.node.id, ())
                 if s.node.lane in MAIN or s.node.lane < spot.node.lane}  # fmt: skip
        return sum(upper.values()) / len(upper) if upper else 0.0

    def _between(self, one: Spot, two: Spot) -> float:
        usual = 2 * APART if one.node.lane in MAIN else APART
        return self._needed.get((one.node.lane, one.rank), usual)

    def _nearest(self, column: Column, reach: Reach) -> float:
        """The least x that leaves room to all boxes at the left."""
        middles = [spot.x for cell in column.values() for spot in cell]
        x = 0.0 if not self._last else self._middle + STEP - min(middles)
        for lane, (left, _) in reach.items():
            if lane in self._ends:
                cell = column.get(lane)
                both = cell and lane in self._last
                gap = self._between(self._last[lane], cell[0]) if both and cell else APART
                x = max(x, self._ends[lane] + gap - left)
        if self._ends and next(iter(column.values()))[0].node.column in self._walls:
            first = min(left for left, _ in reach.values())
            x = max(x, max(self._ends.values()) + BETWEEN - first)
        self._middle = x + max(middles)
        return x

    def _close(self, column: Column, reach: Reach, x: float) -> None:
        """Notes the free room in each lane, and where the next column may begin."""
        for lane, (left, right) in reach.items():
            cell = column.get(lane, [])
            if cell and lane in self._last:
                self.gaps[lane, self._last[lane].rank] = self._ends[lane], x + left
            for one, two in pairwise(cell):
                self.gaps[lane, one.rank] = one.x + one.half, two.x - two.half
            self._ends[lane] = x + right
            if cell:
                self._last[lane] = cell[-1]


def _needed(grid: Grid, tracks: list[Track]) -> dict[tuple[int, int], float]:
    """The room that must be right of a box, by lane and rank: for arrows and what is at them."""
    found: dict[tuple[int, int], float] = {}
    for way in grid.straight:
        wide = way.label.width + 2 * AIR if way.label else 0.0
        found[way.tail.node.lane, way.ends[0].rank] = max(ARROW, wide)
    for track in tracks:
        for way, rank in track.written:
            key = track.lane, rank
            wide = way.label.width + 2 * AIR if way.label else 0.0
            found[key] = max(found.get(key, 2 * APART), wide)
    return found


def _passage(way: Way, column: Column, reach: Reach) -> float:
    """Where an upright arrow runs, past what stands in the lanes between; room is kept there."""
    tail, head = way.tail, way.head
    low, high = sorted((tail.node.lane, head.node.lane))
    x = _aligned(tail, head) if tail.node.column == head.node.column else _aside(tail, head)
    between = [lane for lane in column if low < lane < high]
    crossed = [s for lane in between for s in column[lane] if abs(s.x - x) < s.half + PASSAGE]
    if crossed:
        x = max(reach[lane][1] for lane in between) + 2 * PASSAGE
    for lane in range(low + 1, high):
        _reserve(reach, lane, x - PASSAGE, x + PASSAGE)
    if way.label is not None:
        _reserve(reach, tail.node.lane, x, x + way.label.width + AIR)
    return x


def _reserve(reach: Reach, lane: int, left: float, right: float) -> None:
    old = reach.get(lane, (left, right))
    reach[lane] = min(old[0], left), max(old[1], right)


def _aligned(tail: Spot, head: Spot) -> float:
    """An x at which a straight line meets both boxes, near the middle of the narrower one."""
    low = max(tail.x - tail.half, head.x - head.half) + INSIDE
    high = min(tail.x + tail.half, head.x + head.half) - INSIDE
    wanted = head.x if head.half < tail.half else tail.x
    if low <= high:
        return min(max(wanted, low), high)
    room = max(head.half - INSIDE, 0.0)
    return min(max(tail.x, head.x - room), head.x + room)


def _aside(tail: Spot, head: Spot) -> float:
    """Where an arrow to another lane and column leaves: towards its head."""
    side = 1 if head.node.column > tail.node.column else -1
    return tail.x + side * tail.half / 2

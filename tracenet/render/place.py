"""tracenet's own placement of pictures in rows, in a time that grows as the picture does.

Boxes stand in cells (`grid`), columns as near to each other as boxes and written arrays allow
(`spacing`), lanes as well (`levels`). Arrows between neighbours are straight; others run along
tracks of their own, above or below their row (`tracks`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

from ..diagram import Diagram
from . import label, tracks
from .arrows import arrow, bent
from .grid import Grid, Spot, Way, arranged
from .levels import CLEARANCE, Levels
from .placement import Area, Block, Mark, Placement, Point
from .spacing import Spacing
from .tracks import UNDER, Track

PAST = 6.0
"""Between a line and what is written beside it."""


def placed(diagram: Diagram) -> Placement:
    """Where everything of a diagram lies."""
    return _Router(diagram, arranged(diagram)).done()


class _Router:
    """A grid whose boxes are placed, while its arrows are drawn."""

    def __init__(self, diagram: Diagram, grid: Grid) -> None:
        self.diagram = diagram
        self.nodes = {node.id: node for node in diagram.nodes}
        self.grid = grid
        self.tracks = tracks.found(grid)
        self.spacing = Spacing(grid, self.tracks)
        for track in self.tracks:
            for way in track.ways:
                if way.tail.node.lane != track.lane:
                    track.ports[way.tail.node.id] = self.spacing.passages[way.edge.id]
            if track.loops:
                track.turn(self._beside_loop(track))
        self.order = sorted(grid.rows)
        self.levels = Levels(grid, self.tracks, set(self._bends()))
        tracks.set_ports(self.tracks, self._met())
        self.blocks: dict[str, list[tuple[float, float, Block]]] = {}
        self.area = Area(0, 0, 0, 0)

    def done(self) -> Placement:
        places = {id: spot.area for id, spot in self.grid.spots.items()}
        if places:
            self.area = reduce(Area.around, places.values())
        for way in self.grid.straight:
            self._straight(way)
        for way in self.grid.upright:
            self._upright(way)
        for track in self.tracks:
            self._along(track)
        for id, spot in self.grid.spots.items():
            self.blocks[id] = [(places[id].left, places[id].top, spot.block)]
        return Placement(self.area, self.blocks, places)

    def _style(self, way: Way) -> tuple[str, str]:
        dash = "5 3" if label.is_dashed(way.edge, self.nodes) else ""
        return label.edge_colour(way.edge, self.nodes), dash

    def _line(self, way: Way, marks: list[Mark]) -> None:
        self.blocks[way.edge.id] = [(0, 0, Block(0, 0, marks))]

    def _straight(self, way: Way) -> None:
        """An arrow to a neighbour in the lane, with what flows written above it."""
        y = self._meeting(way.tail, way.head)
        side = 1 if way.head.rank > way.tail.rank else -1
        points = [(way.tail.x + side * way.tail.half, y), (way.head.x - side * way.head.half, y)]
        self._line(way, arrow(points, *self._style(way)))
        self._write(way, way.tail.node.lane, way.ends[0].rank, y)

    def _meeting(self, one: Spot, two: Spot) -> float:
        """A height that both boxes have."""
        a, b = one.area, two.area
        return (max(a.top, b.top) + min(a.bottom, b.bottom)) / 2

    def _write(self, way: Way, lane: int, rank: int, y: float) -> None:
        """Writes what flows along an arrow on a line, in the middle of the gap right of a box."""
        if way.label is None:
            return
        left, right = self.spacing.gaps[lane, rank]
        x, top = (left + right - way.label.width) / 2, y - UNDER - way.label.height
        self._draw(way, x, top)

    def _draw(self, way: Way, x: float, top: float) -> None:
        if way.label is not None:
            self.blocks[way.edge.id].append((x, top, way.label))
            area = Area(x, top, x + way.label.width, top + way.label.height)
            self.area = self.area.around(area)

    # ------------------------------------------------------------------ upright

    def _upright(self, way: Way) -> None:
        """An arrow within a column."""
        x, (start, end) = self.spacing.passages[way.edge.id], self._sides(way)
        colour, dash = self._style(way)
        at, to = _inside(way.tail, x), _inside(way.head, x)
        if at == to == x:
            marks = arrow([(x, start), (x, end)], colour, dash)
        elif abs(way.tail.node.lane - way.head.node.lane) == 1 or at == x or to == x:
            marks = bent(
                (at, start), (to, end), *self.levels.bend(*self._lanes(way, to == x)), colour, dash
            )
        else:
            marks = arrow(self._detour(way, at, x, to), colour, dash)
        self._line(way, marks)
        self._beside(way, at)

    def _bends(self) -> Iterator[tuple[int, int]]:
        """The channels in which upright arrows move sideways."""
        for way in self.grid.upright:
            x = self.spacing.passages[way.edge.id]
            if not _inside(way.tail, x) == x == _inside(way.head, x):
                yield self._lanes(way, True)
                yield self._lanes(way, False)

    def _met(self) -> dict[tuple[int, bool], list[float]]:
        """Where upright arrows meet boxes, by the box's `id` and whether from above."""
        found: dict[tuple[int, bool], list[float]] = {}
        for way in self.grid.upright:
            x, down = self.spacing.passages[way.edge.id], way.head.node.lane > way.tail.node.lane
            found.setdefault((id(way.tail), not down), []).append(_inside(way.tail, x))
            found.setdefault((id(way.head), down), []).append(_inside(way.head, x))
        return found

    def _beside(self, way: Way, x: float) -> None:
        """Writes what flows along an upright arrow right of it, where it leaves its box."""
        if way.label is not None:
            upper, _ = self._channel(way, True)
            under = self.levels.under[self._lanes(way, True)[0]]
            self._draw(way, x + UNDER, upper + under + CLEARANCE)

    def _sides(self, way: Way) -> tuple[float, float]:
        """The heights at which an upright arrow leaves and arrives."""
        tail, head = way.tail.area, way.head.area
        down = way.head.node.lane > way.tail.node.lane
        return (tail.bottom, head.top) if down else (tail.top, head.bottom)

    def _channel(self, way: Way, at_tail: bool) -> tuple[float, float]:
        """Upper and lower end of the channel next to a box, towards the other one."""
        upper, lower = self._lanes(way, at_tail)
        return self.levels.bottoms[upper], self.levels.tops[lower]

    def _lanes(self, way: Way, at_tail: bool) -> tuple[int, int]:
        """The lanes above and below that channel."""
        near, far = (way.tail, way.head) if at_tail else (way.head, way.tail)
        lane, lanes = near.node.lane, self.order
        other = lanes[lanes.index(lane) + (1 if far.node.lane > lane else -1)]
        return min(lane, other), max(lane, other)

    def _detour(self, way: Way, at: float, x: float, to: float) -> list[Point]:
        """Past boxes that stand between: aside in one channel, and back in another."""
        start, end = self._sides(way)
        down = 1 if end > start else -1
        first = self._channel(way, True)[0 if down > 0 else 1] + down * CLEARANCE / 2
        second = sum(self.levels.bend(*self._lanes(way, False))) / 2
        return [(at, start), (at, first), (x, first), (x, second), (to, second), (to, end)]

    # ------------------------------------------------------------------ along tracks

    def _along(self, track: Track) -> None:
        y = self.levels.height(track)
        for way in track.ways if not track.loops else ():
            ends = [self._end(track, way.tail), self._end(track, way.head)]
            (a, top), (b, bottom) = ends
            start = [(a, top)] if _inside(way.tail, a) == a else self._aside(way, a, top)
            points = [*start, (a, y), (b, y), (b, bottom)]
            self._line(way, arrow(points, *self._style(way)))
            self.area = self.area.around(Area(min(a, b), y, max(a, b), y))
            if way.tail.node.lane != track.lane:
                self._beside(way, track.ports[way.tail.node.id])
        if track.loops:
            self._loop(track, y)
            return
        for way, rank in track.written:
            self._write(way, track.lane, rank, y)

    def _loop(self, track: Track, y: float) -> None:
        """From a box back to itself."""
        (a, b), area = track.turns, track.hub.area
        edge = area.top if track.above else area.bottom
        (way,) = track.ways
        self._line(way, arrow([(a, edge), (a, y), (b, y), (b, edge)], *self._style(way)))
        self.area = self.area.around(Area(min(a, b), y, max(a, b), y))
        if way.label is not None:
            x = min((a + b - way.label.width) / 2, track.bound - PAST - way.label.width)
            self._draw(way, x if track.above else max(a, b) + PAST, y - UNDER - way.label.height)

    def _beside_loop(self, track: Track) -> list[float]:
        """Where arrows meet the side of a box from which a loop leaves."""
        hub, lane = track.hub, track.lane
        met = [
            way for way in (*self.grid.upright, *self.grid.across) if hub in (way.tail, way.head)
        ]
        lanes = [way.tail if way.head is hub else way.head for way in met]
        return [
            _inside(hub, self.spacing.passages[way.edge.id])
            for way, other in zip(met, lanes)
            if (other.node.lane < lane) == track.above
        ]

    def _end(self, track: Track, spot: Spot) -> Point:
        """Where an arrow of a track meets a box."""
        area = spot.area
        above = track.above if spot.node.lane == track.lane else not track.above
        return track.ports[spot.node.id], area.top if above else area.bottom

    def _aside(self, way: Way, x: float, y: float) -> list[Point]:
        """From a box to where an arrow can pass the boxes of another lane."""
        down = way.head.node.lane > way.tail.node.lane
        at = _inside(way.tail, x)
        first = self._channel(way, True)[0 if down else 1] + (CLEARANCE if down else -CLEARANCE) / 2
        return [(at, y), (at, first), (x, first)]


def _inside(spot: Spot, x: float) -> float:
    """The x of a box's side that is nearest to a line."""
    room = max(spot.half - 2, 0)
    return min(max(x, spot.x - room), spot.x + room)

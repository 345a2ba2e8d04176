"""Long arrows in one lane: each runs along a track above or below its row, and turns into boxes.

Arrows that leave one box with data, or with the same gradient, share a track, as branches of one
line; so do those that bring gradients to one box. Tracks are stacked, those within others nearer to
the row, so that arrows cross only where their ends lie between each other. An arrow back to its own
box is a short track.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..diagram import FORWARD_LANE
from .grid import Grid, Spot, Way

SPACE = 10.0
"""Between tracks."""
NEAR, FAR = 0.3, 0.8
"""How far from the middle of their box loops leave and reach it, as shares of half its width."""
LOOP = 12.0
"""How far they reach at least from it, besides what all arrows keep."""
ROOM = 4.0
"""Between the ends of arrows at one side of a box, at least, where there is room for it."""
UNDER = 3.0
"""Between a line and what is written above it."""


@dataclass(slots=True, eq=False)
class Track:
    """A line along a lane. hub: the box where its arrows meet. depth: its distance from the row.

    written: the arrays that are written at it, each with the box in whose gap they stand.
    ports: where arrows turn into a box, by the box's id; a passage stands there for a box that
    is in another lane. turns: where a loop leaves and comes back; bound: what it keeps away from.
    """

    lane: int
    above: bool
    hub: Spot
    ways: list[Way] = field(default_factory=list)
    written: list[tuple[Way, int]] = field(default_factory=list)
    depth: float = 0.0
    ports: dict[str, float] = field(default_factory=dict)
    turns: tuple[float, float] = (0.0, 0.0)
    bound: float = 0.0

    @property
    def spots(self) -> list[Spot]:
        """Its boxes, the hub first."""
        found = {id(self.hub): self.hub}
        for way in self.ways:
            for spot in (way.tail, way.head):
                found[id(spot)] = spot
        return list(found.values())

    @property
    def loops(self) -> bool:
        """Whether its arrow leads back to the box that it leaves."""
        return self.ways[0].tail is self.ways[0].head

    def turn(self, passages: list[float]) -> None:
        """Sets where a loop leaves its box and comes back: against the way that the lane is read,
        and beside the arrows that end or begin there."""
        x, half, side = self.hub.x, self.hub.half, -1 if self.above else 1
        bound = side * max(side * passage for passage in [x, *passages])
        far = x + side * half * FAR
        near = bound + side * min(half * NEAR, abs(far - bound) / 2)
        self.bound, self.turns = bound, (near, far)

    @property
    def height(self) -> float:
        """The height of what is written above the line."""
        written = max((w.label.height + UNDER for w, _ in self.written if w.label), default=0.0)
        return max(written, LOOP) if self.loops and not self.above else written


def found(grid: Grid) -> list[Track]:
    """The tracks of a grid, and in which gap each of their labels stands."""
    tracks: dict[object, Track] = {}
    leaving = Counter((way.tail.node.id, way.edge.shown) for way in grid.around)
    for way in grid.around:
        spreads = way.edge.shown and leaving[way.tail.node.id, way.edge.shown] > 1
        hub = way.head if way.edge.kind == "gradient" and not spreads else way.tail
        lane = hub.node.lane
        rightwards = way.ends[0] is hub
        key = id(hub), rightwards, way.edge.kind == "gradient", spreads and way.edge.shown
        track = tracks.setdefault(key, Track(lane, lane <= FORWARD_LANE, hub))
        track.ways.append(way)
    for way in grid.across:
        above = way.tail.node.lane < way.head.node.lane
        tracks[id(way)] = Track(way.head.node.lane, above, way.head, [way])
    for track in tracks.values():
        track.written = _written(track)
    for way in grid.loops:
        lane, rank = way.head.node.lane, way.head.rank
        loop = Track(lane, lane <= FORWARD_LANE, way.head, [way])
        beside = rank - 1 if loop.above and rank else rank
        loop.written = [(way, beside)] if way.label is not None else []
        tracks[id(way)] = loop
    return list(tracks.values())


def _written(track: Track) -> list[tuple[Way, int]]:
    """The labels of a track with the rank of the box right before the gap that they stand in."""
    same_lane = [way for way in track.ways if way.tail.node.lane == way.head.node.lane]
    ways = [way for way in same_lane if way.label is not None]
    same = len({way.edge.shown for way in ways}) == 1 if len(ways) > 1 else False
    if same:
        ways = ways[:1]
    found = []
    for way in ways:
        left, right = way.ends
        by_hub = same or (len(track.ways) == 1 and track.hub is way.tail)
        spot = track.hub if by_hub else (way.tail if track.hub is way.head else way.head)
        at = left.rank if spot is left else right.rank - 1
        found.append((way, at))
    return found


# ---------------------------------------------------------------------- how deep tracks lie


def stack(tracks: list[Track], start: float) -> float:
    """Sets the depth of the tracks at one side of a lane; returns how far they reach."""
    if not tracks:
        return start
    spans = [_span(track) for track in tracks]
    stops = sorted({x for span in spans for x in span})
    place = {x: i for i, x in enumerate(stops)}
    filled = np.full(len(stops), start)
    level = levels(spans)
    for i in sorted(range(len(tracks)), key=lambda i: (level[i], i)):
        track, (left, right) = tracks[i], (place[x] for x in spans[i])
        at = float(filled[left : right + 1].max()) + (LOOP if track.loops and track.above else 0.0)
        track.depth = at if track.above else at + track.height
        filled[left : right + 1] = at + track.height + SPACE
    return float(filled.max())


def levels(spans: list[tuple[float, float]]) -> list[int]:
    """The level of each span: none overlap in a level, and a span lies above those within it.

    First fit in the order of their right ends: what keeps a span from a level keeps those around it
    from that level too. In the order of length, arrows from each time step to the next, which overlap
    by turns, would lie one above the other like stairs.

    >>> levels([(0, 3), (2, 5), (4, 7), (0, 7)])
    [0, 1, 0, 2]
    """
    found = [0] * len(spans)
    ends = np.full(len(spans), -np.inf)  # the right end of each level
    for i in sorted(range(len(spans)), key=lambda i: (spans[i][1], -spans[i][0])):
        left, right = spans[i]
        found[i] = int(np.argmax(ends < left))
        ends[found[i]] = right
    return found


def _span(track: Track) -> tuple[float, float]:
    """What a track covers: it ends beside the middle of a box, where another one may start."""
    if track.loops:
        left, right = sorted(track.turns)
        return left - track.hub.half, right + track.hub.half
    xs = [track.ports.get(spot.node.id, spot.x) for spot in track.spots]
    return min(xs) + 1, max(xs) - 1


def set_ports(tracks: list[Track], met: Mapping[tuple[int, bool], list[float]]) -> None:
    """Where each track turns into its boxes: lower tracks further out, so that none cross.

    met: where upright arrows meet a box (its `id`) from above or below; tracks turn in beyond them.
    """
    sides: dict[tuple[int, bool, bool], list[tuple[float, Track, Spot]]] = {}
    for track in tracks:
        if track.loops:
            continue
        spots = track.spots
        left, right = min(s.x for s in spots), max(s.x for s in spots)
        for spot in spots:
            if spot.node.id not in track.ports:
                at_left = spot.x > left if spot is not track.hub else spot.x >= right
                key = (id(spot), track.above, at_left)
                sides.setdefault(key, []).append((track.depth, track, spot))
    for (box, above, at_left), ends in sides.items():
        ends.sort(key=lambda end: end[0])
        taken = [x - ends[0][2].x for x in met.get((box, above), ())]
        inner = max([0.0, *(-x if at_left else x for x in taken)])
        for i, (_, track, spot) in enumerate(ends):
            if spot.half - inner < ROOM * (len(ends) + 1):
                inner = 0.0
            out = inner + (spot.half - inner) * (len(ends) - i) / (len(ends) + 1)
            track.ports[spot.node.id] = spot.x - out if at_left else spot.x + out

"""How high the lanes stand: the tallest box of each, and between lanes room for what runs there."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

from ..diagram import CACHE_LANE, FORWARD_LANE, PARAMETER_LANE
from .grid import MAIN, Grid, Way
from .tracks import SPACE, UNDER, Track, stack

CHANNEL = 32.0
"""Between the boxes of two lanes."""
BEND = 26.0
"""The height in which an upright arrow moves sideways."""
CLEARANCE = 9.0
"""Between boxes and what runs or is written in a channel."""


class Levels:
    """Sets y of every box, and the depth of every track.

    tops, bottoms: of the boxes of each lane. middles: where arrows along a lane run. bends: the
    pairs of lanes between which upright arrows move sideways.
    """

    def __init__(self, grid: Grid, tracks: list[Track], bends: Collection[tuple[int, int]]) -> None:
        self.tops: dict[int, float] = {}
        self.bottoms: dict[int, float] = {}
        self.middles: dict[int, float] = {}
        lanes = sorted(grid.rows)
        tall = {lane: max(s.block.height for s in grid.rows[lane]) for lane in lanes}
        over = {lane: _over(grid, tracks, lane, tall[lane]) for lane in lanes}
        under = {lane: _under(tracks, lane) for lane in lanes}
        y = 0.0
        for before, lane in pairwise([None, *lanes]):
            assert lane is not None
            if before is not None:
                written = _written([*grid.upright, *grid.across], before, lane)
                written += BEND + CLEARANCE if (before, lane) in bends else 0.0
                y += max(CHANNEL, over[lane] + under[before] + written)
            self.tops[lane], self.bottoms[lane] = y, y + tall[lane]
            self.middles[lane] = y + tall[lane] / 2
            y += tall[lane]
        self.over, self.under = over, under
        for lane, row in grid.rows.items():
            for spot in row:
                spot.y = self._middle(lane, spot.block.height)

    def _middle(self, lane: int, height: float) -> float:
        """Parameters stand on the ground of their lane, gradients hang from the top of theirs."""
        if lane == PARAMETER_LANE:
            return self.bottoms[lane] - height / 2
        if FORWARD_LANE <= lane <= CACHE_LANE + 1:
            return self.middles[lane]
        return self.tops[lane] + height / 2

    def bend(self, upper: int, lower: int) -> tuple[float, float]:
        """Where arrows move sideways between two lanes: away from what runs along a pass."""
        if upper in MAIN:
            bottom = self.tops[lower] - self.over[lower]
            return bottom - BEND, bottom
        top = self.bottoms[upper] + self.under[upper]
        return top, top + BEND

    def height(self, track: Track) -> float:
        """The y of a track."""
        if track.above:
            return self.tops[track.lane] - track.depth
        return self.bottoms[track.lane] + track.depth


def _over(grid: Grid, tracks: list[Track], lane: int, tall: float) -> float:
    """How far what belongs to a lane reaches above its boxes."""
    written = [w.label.height for w in grid.straight if w.label and w.tail.node.lane == lane]
    above = max(written, default=0.0) + UNDER - tall / 2
    reach = above if written and above > 0 else 0.0
    ours = [track for track in tracks if track.lane == lane and track.above]
    if ours:
        return stack(ours, reach + CLEARANCE) + CLEARANCE - SPACE
    return reach + CLEARANCE if reach else 0.0


def _under(tracks: list[Track], lane: int) -> float:
    """How far what belongs to a lane reaches below its boxes."""
    ours = [track for track in tracks if track.lane == lane and not track.above]
    return stack(ours, CLEARANCE) + CLEARANCE if ours else 0.0


def _written(ways: list[Way], upper: int, lower: int) -> float:
    """The room between two lanes for what is written at upright arrows that leave there."""
    heights = [way.label.height for way in ways if way.label and _leaves(way, upper, lower)]
    return max(heights) + 2 * CLEARANCE if heights else 0.0


def _leaves(way: Way, upper: int, lower: int) -> bool:
    """Whether an arrow leaves its first box into the channel between two lanes."""
    tail, head = way.tail.node.lane, way.head.node.lane
    return tail == (upper if head > tail else lower)

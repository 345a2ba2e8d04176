"""Arrows as marks: lines with round corners, and a head that touches the box."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

from .placement import CLEAR, Mark, Point, Shape

HEAD, SPREAD = 7.5, 2.8
"""The length of an arrow's head, and half its width."""
WIDTH = 1.2
ROUND = 9.0
"""The radius of a corner."""


def arrow(points: Sequence[Point], colour: str, dash: str = "") -> list[Mark]:
    """A line through points, its corners round, and the head at the last one."""
    (x, y), (a, b) = points[-2:]
    long = hypot(a - x, b - y) or 1.0
    dx, dy = (a - x) / long, (b - y) / long
    neck = a - dx * HEAD, b - dy * HEAD
    code, path = _rounded([*points[:-1], neck])
    return [Shape(code, path, colour, CLEAR, WIDTH, dash), _head((a, b), dx, dy, colour)]


def bent(start: Point, end: Point, top: float, bottom: float, colour: str, dash: str) -> list[Mark]:
    """An upright arrow that moves sideways between two heights, in a channel, as a smooth curve."""
    (x, y), (a, b) = start, end
    down = 1.0 if b > y else -1.0
    first, second = (top, bottom) if b > y else (bottom, top)
    second -= down * HEAD
    middle = (first + second) / 2
    path = (start, (x, first), (x, middle), (a, middle), (a, second), (a, b - down * HEAD))
    return [Shape("MLCL", path, colour, CLEAR, WIDTH, dash), _head(end, 0.0, down, colour)]


def _head(tip: Point, dx: float, dy: float, colour: str) -> Shape:
    (x, y), back, side = tip, HEAD, SPREAD
    corners = (
        (x, y),
        (x - dx * back - dy * side, y - dy * back + dx * side),
        (x - dx * back + dy * side, y - dy * back - dx * side),
    )
    return Shape("MLLZ", corners, colour, colour)


def _rounded(points: Sequence[Point]) -> tuple[str, tuple[Point, ...]]:
    """A path whose corners are curves."""
    code, path = "M", [points[0]]
    for i in range(1, len(points) - 1):
        before, corner, after = points[i - 1 : i + 2]
        r = min(ROUND, _distance(before, corner) / 2, _distance(corner, after) / 2)
        one, two = _towards(corner, before, r), _towards(corner, after, r)
        code += "LC"
        path += [one, _towards(corner, before, r * 0.45), _towards(corner, after, r * 0.45), two]
    return code + "L", (*path, points[-1])


def _distance(one: Point, two: Point) -> float:
    return hypot(two[0] - one[0], two[1] - one[1])


def _towards(start: Point, end: Point, by: float) -> Point:
    share = by / (_distance(start, end) or 1.0)
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share

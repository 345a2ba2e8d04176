"""Where everything of a picture lies: what every way of placing gives, and every writer reads.

A placement says for each node and arrow what is drawn for it, as marks: shapes and words with
their places. x points rightwards and y downwards, in points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Point = tuple[float, float]
CLEAR = "none"


class Words(NamedTuple):
    """A piece of text in one style: `x` is its left end, `y` its baseline."""

    x: float
    y: float
    width: float
    text: str
    size: float
    colour: str
    bold: bool = False
    italic: bool = False

    def moved(self, dx: float, dy: float) -> Words:
        """The same words elsewhere."""
        x, y, *others = self
        return Words(x + dx, y + dy, *others)  # type: ignore[arg-type]


class Shape(NamedTuple):
    """A line or an area. code: one letter a step as in SVG, of M, L, C (three points), H and Z."""

    code: str
    points: tuple[Point, ...]
    stroke: str = CLEAR
    fill: str = CLEAR
    width: float = 1.0
    dash: str = ""

    def moved(self, dx: float, dy: float) -> Shape:
        """The same shape elsewhere."""
        code, points, *others = self
        return Shape(code, tuple((x + dx, y + dy) for x, y in points), *others)  # type: ignore[arg-type]


Mark = Words | Shape


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle with its sides parallel to those of the paper."""

    left: float
    top: float
    right: float
    bottom: float

    def around(self, other: Area) -> Area:
        """The least area that holds both."""
        return Area(
            min(self.left, other.left), min(self.top, other.top),
            max(self.right, other.right), max(self.bottom, other.bottom),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placement:
    """The whole picture. marks: by the id of a node or arrow; places: the boxes of the nodes."""

    area: Area
    marks: Mapping[str, Sequence[Mark]] = field(default_factory=dict)
    places: Mapping[str, Area] = field(default_factory=dict)


def rectangle(x: float, y: float, width: float, height: float, fill: str) -> Shape:
    """A filled rectangle."""
    corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    return Shape("MLLLZ", corners, CLEAR, fill)

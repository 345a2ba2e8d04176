"""Where everything of a picture lies: what every way of placing gives, and every writer reads.

A placement says for each node and arrow what is drawn for it, as blocks of marks: shapes and words
with their places. x points rightwards and y downwards, in points.
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


class Shape(NamedTuple):
    """A line or an area. code: one letter a step as in SVG, of M, L, C (three points), H, Z."""

    code: str
    points: tuple[Point, ...]
    stroke: str = CLEAR
    fill: str = CLEAR
    width: float = 1.0
    dash: str = ""


class Box(NamedTuple):
    """A rectangle, whose corners may be round."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    stroke: str = CLEAR
    corner: float = 0.0
    dash: str = ""


Mark = Words | Shape | Box


@dataclass(slots=True)
class Block:
    """A piece of a picture: its size, the marks of its own, and blocks inside it.

    All places in it are seen from its upper left corner.
    """

    width: float
    height: float
    marks: Sequence[Mark] = ()
    inside: Sequence[tuple[float, float, Block]] = ()


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle with its sides parallel to those of the paper."""

    left: float
    top: float
    right: float
    bottom: float

    def proportioned(self, ratio: float, margin: float) -> Area:
        """With room at both sides, or above and below, so that its width is `ratio` times its
        height once there is a margin around it; as it is for a ratio of 0."""
        width, height = self.right - self.left + 2 * margin, self.bottom - self.top + 2 * margin
        across = max(0.0, height * ratio - width) / 2
        along = max(0.0, width / ratio - height) / 2 if ratio else 0.0
        return Area(self.left - across, self.top - along, self.right + across, self.bottom + along)

    def around(self, other: Area) -> Area:
        """The least area that holds both."""
        return Area(
            min(self.left, other.left), min(self.top, other.top),
            max(self.right, other.right), max(self.bottom, other.bottom),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placement:
    """The whole picture: where its blocks lie, by the id of the node or arrow that they draw.

    places: the boxes of the nodes. body: the picture without its legend, where it has one.
    """

    area: Area
    blocks: Mapping[str, Sequence[tuple[float, float, Block]]] = field(default_factory=dict)
    places: Mapping[str, Area] = field(default_factory=dict)
    body: Area | None = None

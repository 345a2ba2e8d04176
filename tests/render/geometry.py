"""Reads a written SVG back: boxes, texts and their places."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

NS = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def holds(self, other: Box, slack: float = 0.6) -> bool:
        return (
            self.left - slack <= other.left and other.right <= self.right + slack
            and self.top - slack <= other.top and other.bottom <= self.bottom + slack
        )  # fmt: skip

    def overlaps(self, other: Box) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


def root(svg: bytes) -> ET.Element:
    return ET.fromstring(svg)


def groups(svg: bytes, kind: str) -> dict[str, ET.Element]:
    """The groups of a class, by id."""
    found = root(svg).findall(f".//{NS}g")
    return {g.attrib["id"]: g for g in found if g.attrib["class"].split()[0] == kind}


def box(group: ET.Element) -> Box:
    """What all paths of a group cover, control points included."""
    numbers = [
        float(n) for path in group.findall(f"{NS}path") if "H" not in path.attrib["d"]
        for n in re.findall(r"-?[\d.]+", path.attrib["d"])
    ]  # fmt: skip
    xs, ys = numbers[::2], numbers[1::2]
    return Box(min(xs), min(ys), max(xs), max(ys))


def texts(group: ET.Element) -> list[Box]:
    """The places of the texts of a group, by their textLength."""
    found = []
    for text in group.findall(f"{NS}text"):
        x, y, size = (float(text.attrib[key]) for key in ("x", "y", "font-size"))
        width = float(text.attrib["textLength"])
        found.append(Box(x, y - 0.75 * size, x + width, y + 0.2 * size))
    return found


def words(group: ET.Element) -> str:
    return "".join("".join(text.itertext()) for text in group.findall(f"{NS}text"))

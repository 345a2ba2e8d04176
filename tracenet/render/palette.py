"""Every colour of a picture, in one table: those of the default theme on light ground.

Pictures are placed in these colours; another theme (`theme.py`) puts its own in their places, so
no two that a theme may tell apart are equal.

Blue is forward and vermillion backward (Okabe and Ito's pair that colour-blind readers tell
apart); place, dashes and the d prefix say the same without colour. Text has a contrast of at
least 4.5 to 1 against what it stands on, which a test holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Ink:
    """The colours of one kind of box: its border, its ground, the ground of its numbers."""

    border: str
    ground: str
    cell: str
    dashed: bool = False


FORWARD_BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREY = "#57606a"
OCHRE = "#8a6d00"
WHITE = "#ffffff"

TEXT = "#1f2328"
QUIET = "#57606a"
"""Text that comes second: labels of statistics, remarks."""
STRUCK = "#6e7781"
"""Text of what was not computed; the arrow to it is lighter."""
STRUCK_ARROW = "#868f99"
ALARM_TEXT = "#a40e26"
ALARM_CELL = "#ffd7d5"
"""Numbers that are NaN or infinite."""
MARKS = {
    "right": "#1a7f37",
    "scaled": "#735c00",
    "wrong": ALARM_TEXT,
    "unchecked": QUIET,
    "left": ALARM_TEXT,
}
"""Text of a check's verdict on a box, and of values that left the trace."""
FRAME = "#8c959f"
FRAME_GROUND = "#fafbfc"

PLAIN = Ink(GREY, "#f6f8fa", "#e1e4e8")

NODES = {
    "input": PLAIN,
    "parameter": PLAIN,
    "value": PLAIN,
    "forward": Ink(FORWARD_BLUE, "#eaf4fb", "#d3e8f6"),
    "cache": Ink(OCHRE, "#fffbea", "#fdf0c0", dashed=True),
    "loss": Ink("#1a7f36", "#eefbf1", "#cdeed6"),
    "backward": Ink(VERMILLION, "#fdf1ea", "#f8dcc8"),
    "gradient": Ink(VERMILLION, WHITE, "#f8dcc8"),
    "update": Ink("#6639ba", "#f5f0ff", "#e4d8fb"),
}

EDGES = {
    "data": Ink(FORWARD_BLUE, WHITE, "#d3e8f6"),
    "cache": Ink(OCHRE, WHITE, "#fdf0c0", dashed=True),
    "gradient": Ink(VERMILLION, WHITE, "#f8dcc8"),
}

HEAT_NAN = TEXT
HEAT_LEAST, HEAT_ZERO, HEAT_MOST = "#0072b3", "#fefefe", "#d55e01"
"""Blue and vermillion and white, a shade beside those that mean the passes and the paper."""
LEVELS = 12
"""Shades of the heatmap on either side of zero: few, so that labels stay short."""


def heat(value: float | None) -> str:
    """The colour of a number from -1 (blue) over 0 (white) to 1 (vermillion); None is NaN.

    >>> heat(-1), heat(0), heat(1), heat(None)
    ('#0072b3', '#fefefe', '#d55e01', '#1f2328')
    """
    if value is None:
        return HEAT_NAN
    return shade(round(max(-1.0, min(value, 1.0)) * LEVELS), HEAT_LEAST, HEAT_ZERO, HEAT_MOST)


@cache  # heatmaps are of few levels and of many squares
def shade(level: int, least: str, zero: str, most: str) -> str:
    """The colour of a level from -LEVELS to LEVELS between three colours."""
    return mixed(zero, most if level > 0 else least, abs(level) / LEVELS)


def mixed(start: str, end: str, share: float) -> str:
    """The colour that lies a share of the way from one to another."""
    pairs = zip(channels(start), channels(end), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def pictured(colour: str) -> str:
    """A colour of a picture, a shade beside those of the palette, which themes change."""
    red, green, blue = channels(colour)
    while colour in _OURS:
        blue += 1 if blue < 128 else -1
        colour = f"#{red:02x}{green:02x}{blue:02x}"
    return colour


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21, as WCAG 2 defines it.

    >>> contrast("#ffffff", "#000000")
    21.0
    """
    low, high = sorted((_luminance(one), _luminance(other)))
    return round((high + 0.05) / (low + 0.05), 2)


def _luminance(colour: str) -> float:
    parts = [c / 255 for c in channels(colour)]
    r, g, b = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


_OURS = {
    *(
        colour.lower()
        for ink in (*NODES.values(), *EDGES.values())
        for colour in (ink.border, ink.ground, ink.cell)
    ),
    *(colour.lower() for colour in (TEXT, QUIET, STRUCK, STRUCK_ARROW, ALARM_TEXT, ALARM_CELL)),
    *(colour.lower() for colour in (*MARKS.values(), FRAME, FRAME_GROUND, WHITE)),
    *(heat(level / LEVELS) for level in range(-LEVELS, LEVELS + 1)),
}

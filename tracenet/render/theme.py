"""Themes: what the colours of a picture are exchanged for, on light and on dark ground.

A picture is placed in the colours of `palette`, each of which has a role. A `Paint` gives the
colours of a theme for one ground, and dashes for lines that differ in nothing else; writers ask it
as they write, and placing knows nothing of themes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

from ..errors import UsageError, unknown
from . import palette
from .placement import CLEAR, Box, Mark, Shape, Words

GROUNDS = ("light", "dark", "both", "transparent")
"""both: the reader's own, by `prefers-color-scheme`. transparent: light, and nothing behind it."""
WITH_BOTH = ("svg", "html")
KINDS = ("forward", "cache", "loss", "backward", "update")
"""Kinds of boxes whose border, ground and cells each theme colours."""


def _roles() -> dict[str, str]:
    found = {
        "paper": palette.WHITE, "text": palette.TEXT, "quiet": palette.QUIET,
        "struck": palette.STRUCK, "faint": palette.STRUCK_ARROW,
        "alarm": palette.ALARM_TEXT, "alarm-cell": palette.ALARM_CELL,
        "right": palette.MARKS["right"], "scaled": palette.MARKS["scaled"],
        "frame": palette.FRAME, "frame-ground": palette.FRAME_GROUND,
        "plain-ground": palette.PLAIN.ground, "plain-cell": palette.PLAIN.cell,
    }  # fmt: skip
    for kind in KINDS:
        ink = palette.NODES[kind]
        found |= {kind: ink.border, f"{kind}-ground": ink.ground, f"{kind}-cell": ink.cell}
    heat = palette.HEAT_LEAST, palette.HEAT_ZERO, palette.HEAT_MOST
    found |= dict(zip(HEAT, heat, strict=True))
    return {role: colour.lower() for role, colour in found.items()}


HEAT = ("heat-least", "heat-zero", "heat-most")
ROLES = _roles()
"""What each colour of the palette is for."""
DASHED = (*KINDS, "alarm")
"""Lines that a theme may dash; alarm: the border of a box that a check found wrong."""


@dataclass(frozen=True)
class Theme:
    """Colours by role, for light ground and for dark; dashes in points, `"6 3"`, by kind of line."""

    name: str
    light: Mapping[str, str]
    dark: Mapping[str, str]
    dash: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Paint:
    """A theme on one ground: colours for those of the palette, and dashes by its colours.

    paper: the colour behind the picture, or `"none"`. night: colours on dark ground for the colours
    that are written, where the reader's settings decide; else empty.
    """

    colours: Mapping[str, str]
    dashes: Mapping[str, str]
    paper: str = palette.WHITE
    night: Mapping[str, str] = field(default_factory=dict)

    def colour(self, key: str) -> str:
        """What is written for a colour of the palette."""
        return self.colours.get(key.lower(), key)

    def mark(self, mark: Mark) -> Mark:
        """A mark in the theme's colours and dashes."""
        mark = self.dashed(mark)
        if isinstance(mark, Words):
            return mark._replace(colour=self.colour(mark.colour))
        return mark._replace(fill=self.colour(mark.fill), stroke=self.colour(mark.stroke))

    def dashed(self, mark: Mark) -> Mark:
        """A mark in the theme's dashes; heads of arrows are areas, and stay whole."""
        if isinstance(mark, Words) or (isinstance(mark, Shape) and mark.fill != CLEAR):
            return mark
        return mark._replace(dash=self.dashes.get(mark.stroke.lower(), mark.dash))

    def backdrop(self, width: float, height: float) -> Iterator[Box]:
        """The paper, where a sheet that is white by itself needs another."""
        if self.paper not in (CLEAR, palette.WHITE):
            yield Box(0, 0, width, height, palette.WHITE)

    def rules(self, text: str) -> str:
        """A style for dark ground, over the colours that an SVG text has."""
        found = []
        for colour, dark in self.night.items():
            for name in ("fill", "stroke"):
                if f'{name}="{colour}"' in text:
                    found.append(f'[{name}="{colour}"]{{{name}:{dark}}}')
        return f"{NIGHT}{{{''.join(found)}}}" if found else ""


NIGHT = "@media (prefers-color-scheme:dark)"


@lru_cache(maxsize=32)
def paint(theme: str | Path = "default", ground: str = "light", format: str = "svg") -> Paint:
    """What a theme, by its name or its TOML file, makes of the palette on a ground.

    Raises UsageError for a theme or ground that does not exist, for a file that is no theme, and
    for `"both"` in a format whose readers have no settings to follow.
    """
    if ground not in GROUNDS:
        raise unknown("ground", ground, GROUNDS)
    if ground == "both" and format not in WITH_BOTH:
        raise UsageError(
            f"the ground 'both' is for .svg and .html, and .{format} has one: use light or dark"
        )
    chosen = named(theme)
    light, dark = _mapped(chosen.light), _mapped(chosen.dark)
    dashes = {ROLES[kind]: dash for kind, dash in chosen.dash.items()}
    if ground == "both":
        light = _told_apart(light, dark)
        night = {light[key]: dark[key] for key in light}
        return Paint(light, dashes, light[palette.WHITE], night)
    colours = dark if ground == "dark" else light
    paper = CLEAR if ground == "transparent" else colours[palette.WHITE]
    return Paint(colours, dashes, paper)


def named(theme: str | Path) -> Theme:
    """A theme that is built in, or from a file whose name ends in .toml."""
    from .themes import THEMES

    if str(theme).lower().endswith(".toml"):
        from .theme_file import read

        return read(Path(theme))
    if theme not in THEMES:
        raise unknown("theme", theme, (*THEMES, "FILE.toml"))
    return THEMES[str(theme)]


def _mapped(colours: Mapping[str, str]) -> dict[str, str]:
    """Colours of the palette, shades of heatmaps included → those of a theme, by its roles."""
    found = {key: colours[role].lower() for role, key in ROLES.items() if role not in HEAT}
    ends = [colours[role] for role in HEAT]
    return found | {key: palette.shade(level, *ends) for level, key in levels().items()}


@cache
def levels() -> dict[int, str]:
    """The shades of heatmaps in the palette."""
    ends = [ROLES[role] for role in HEAT]
    return {n: palette.shade(n, *ends) for n in range(-palette.LEVELS, palette.LEVELS + 1)}


def _told_apart(light: Mapping[str, str], dark: Mapping[str, str]) -> dict[str, str]:
    """The light colours, those moved by a shade too small to see that are two in the dark.

    A reader's style finds what it changes by the colour that is written.
    """
    found: dict[str, str] = {}
    meant: dict[str, str] = {}
    for key, colour in light.items():
        while meant.setdefault(colour, dark[key]) != dark[key]:
            blue = int(colour[5:], 16)
            colour = f"{colour[:5]}{blue - 1 if blue > 127 else blue + 1:02x}"
        found[key] = colour
    return found


def faults(theme: Theme) -> Iterator[tuple[str, str, str, float, float]]:
    """(ground, role, role behind it, contrast, least contrast) where a theme is hard to read.

    The least contrasts are those of WCAG 2.2: 4.5 for text (1.4.3), 3 for lines (1.4.11).
    """
    for ground, colours in (("light", theme.light), ("dark", theme.dark)):
        for least, front, behind in _stands_on():
            found = palette.contrast(colours[front], colours[behind])
            if found < least:
                yield ground, front, behind, found, least


def _stands_on() -> Iterator[tuple[float, str, str]]:
    """What stands on what: the least contrast, the role in front, the role behind."""
    grounds = ("paper", "plain-ground", *(f"{kind}-ground" for kind in KINDS))
    for ground in grounds:
        yield from ((4.5, role, ground) for role in ("text", "quiet", "alarm", "right", "scaled"))
        yield 3, "quiet", ground
    for kind in ("plain", *KINDS):
        yield 4.5, "text", f"{kind}-cell"
    for kind in KINDS:
        yield from ((3, kind, ground) for ground in ("paper", f"{kind}-ground"))
    yield from (
        (4.5, "alarm", "alarm-cell"),
        (4.5, "struck", "paper"),
        (4.5, "quiet", "frame-ground"),
    )
    yield from ((3, "faint", "paper"), (3, "frame", "paper"))
    for kind in ("forward", "backward", "cache"):
        yield 3, kind, "frame-ground"  # arrows cross frames

"""Colours by name in TeX: those of the palette by what they are for, others by their shade."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from . import palette
from .placement import CLEAR, Words
from .sheet import Sheet
from .theme import Paint, levels

SINGLE = ("TEXT", "QUIET", "WHITE", "STRUCK", "STRUCK_ARROW", "ALARM_TEXT", "ALARM_CELL", "FRAME")


def name(colour: str) -> str:
    """What a colour is called.

    >>> name("#0072B2"), name("#d3e8f6"), name("#123456")
    ('tracenet-forward', 'tracenet-forward-cell', 'tracenet-123456')
    """
    return "tracenet-" + _names().get(colour.lower(), colour.lower().removeprefix("#"))


def definitions(page: Sheet, paint: Paint | None = None) -> Iterator[str]:
    """A definition for each colour that a picture uses, as a theme has it."""
    for called, colour in sorted({(name(colour), colour.lower()) for colour in _used(page)}):
        shade = colour if paint is None else paint.colour(colour)
        yield f"\\providecolor{{{called}}}{{HTML}}{{{shade[1:].upper()}}}"


def _used(page: Sheet) -> Iterator[str]:
    for _, marks in page.groups:
        for mark in marks:
            found = (mark.colour,) if isinstance(mark, Words) else (mark.fill, mark.stroke)
            yield from (colour for colour in found if colour != CLEAR)


@cache
def _names() -> dict[str, str]:
    """The palette by shade; where two mean one shade, the name that says more about the picture."""
    found = {}
    for key in SINGLE:
        found[getattr(palette, key).lower()] = key.lower().replace("_", "-")
    found[palette.WHITE] = "paper"
    found[palette.FRAME_GROUND] = "frame-ground"
    found |= {palette.MARKS[mark].lower(): mark for mark in ("right", "scaled")}
    found |= {shade: f"heat-{level + palette.LEVELS}" for level, shade in levels().items()}
    for kind in ("gradient", "update", "loss", "cache", "input", "backward", "forward"):
        ink = palette.NODES[kind]
        found |= {ink.cell.lower(): f"{kind}-cell", ink.border.lower(): kind}
        if ink.ground != palette.WHITE:
            found[ink.ground.lower()] = f"{kind}-ground"
    return found

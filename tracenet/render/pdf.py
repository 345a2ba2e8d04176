"""A diagram as PDF, drawn by Graphviz: vectors, with the letters' shapes inside.

Cairo writes the time of the day into each file; it is overwritten, so that the same diagram gives
the same bytes.
"""

from __future__ import annotations

import re

from ..diagram import Diagram
from . import dot, label, palette, xdot
from .engine import layout
from .frames import AIR, HEADING, Fence, boxes

DATE = re.compile(rb"(/(?:Creation|Mod)Date \(D:)([^)]*)(\))")


def encode(diagram: Diagram) -> bytes:
    """The diagram as PDF."""
    text = dot.text(diagram)
    if not diagram.frames:
        return timeless(layout(text, "pdf"))
    found = boxes(diagram, xdot.placed(diagram))
    placed = layout(text, "dot").decode("utf-8").rstrip().removesuffix("}")
    return timeless(layout(placed + framed(found) + "}\n", "pdf", "nop2"))


def framed(found: list[Fence]) -> str:
    """Frames as DOT for a graph that has positions: grounds behind it, names as further nodes."""
    grounds = " ".join(_ground(box) for box in found)
    names = "".join(_name(box) for box in found if box.name)
    return f'graph [_background="{grounds}"]\n{names}'


def _ground(box: Fence) -> str:
    """A rectangle in xdot, Graphviz's language of drawing; its text crashes Graphviz 14 here."""
    area = box.area
    x, right, y, top = (f"{n:.2f}" for n in (area.left, area.right, -area.bottom, -area.top))
    colours = f"c 7 -{palette.FRAME} C 7 -{palette.FRAME_GROUND}"
    return f"{colours} P 4 {x} {y} {right} {y} {right} {top} {x} {top}"


def _name(box: Fence) -> str:
    area = box.area
    width = area.right - area.left - 2 * AIR
    cell = f'<TD ALIGN="LEFT" FIXEDSIZE="TRUE" WIDTH="{width:.0f}" HEIGHT="{HEADING}">'
    inside = label.font(label.html(box.name), label.NUMBER_SIZE, palette.QUIET)
    place = f"{(area.left + area.right) / 2:.2f},{-area.top - HEADING / 2 - 2:.2f}"
    return f'{box.frame.id} [pos="{place}", label=<{label.table([f"{cell}{inside}</TD>"])}>]\n'


def timeless(data: bytes) -> bytes:
    """The file with its dates overwritten, digit by digit, as offsets in it must not move."""
    return DATE.sub(lambda found: found[1] + _fixed(found[2]) + found[3], data)


def _fixed(date: bytes) -> bytes:
    return b"20000101" + re.sub(rb"\d", b"0", date[8:])

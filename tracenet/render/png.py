"""A diagram as PNG: its SVG, drawn by resvg with the fonts that came with the installation.

Nothing is taken from the system, unless a name needs a script that those fonts do not have.
"""

from __future__ import annotations

import re

from ..diagram import Diagram
from ..errors import EngineError
from . import svg
from .fonts import font_files

SCALE = 2.0
MOST_PIXELS = 32_000_000
"""Larger pictures are drawn at a smaller scale, down to that of the SVG itself."""

PIXELS_A_POINT = 96 / 72


def encode(diagram: Diagram, scale: float = SCALE) -> bytes:
    """The diagram as PNG. scale: 1 is 96 pixels an inch."""
    return drawn(svg.encode(diagram).decode("utf-8"), scale)


def drawn(text: str, scale: float = SCALE) -> bytes:
    """SVG text, of the kind that `svg` writes, as PNG."""
    import resvg_py

    files = list(font_files())
    try:
        image = resvg_py.svg_to_bytes(
            svg_string=text,
            zoom=fitting(text, scale),
            dpi=96,
            font_files=files,
            skip_system_fonts=bool(files) and not needs_system_fonts(text),
            sans_serif_family="Source Sans Pro",
        )
    except ValueError as error:
        raise EngineError(f"the PNG could not be drawn ({error}): write .svg instead") from None
    return bytes(image)


def fitting(text: str, scale: float) -> float:
    """The scale, or a smaller one if the picture had too many pixels."""
    width, height = (float(x) * PIXELS_A_POINT for x in size(text))
    most = (MOST_PIXELS / (width * height)) ** 0.5
    return min(scale, max(1.0, most))


def size(text: str) -> tuple[float, float]:
    """Width and height of SVG text, in points."""
    found = re.search(r'width="([\d.]+)pt"\s+height="([\d.]+)pt"', text)
    if found is None:
        raise EngineError("the SVG has no size in points")
    return float(found[1]), float(found[2])


def needs_system_fonts(text: str) -> bool:
    """Whether there are letters beyond those that Source Sans and DejaVu hold between them."""
    return any("\u0700" <= c <= "\u1cff" or c > "\u2dff" for c in text)

"""A diagram as PNG: its SVG, drawn by resvg with the fonts that came with the installation.

Nothing is taken from the system, unless a name needs a script that those fonts do not have.
"""

from __future__ import annotations

import re
import warnings

from ..diagram import Diagram
from ..errors import EngineError, UsageError
from . import svg
from .fonts import font_files
from .theme import Paint

SCALE = 2.0
MOST_PIXELS = 32_000_000
"""Larger pictures are drawn at a smaller scale, down to that of the SVG itself."""

INCH = 96
"""Pixels an inch at scale 1."""
PIXELS_A_POINT = INCH / 72


def encode(
    diagram: Diagram, scale: float = SCALE, paint: Paint | None = None,
    dpi: float | None = None, width: int | None = None,
) -> bytes:  # fmt: skip
    """The diagram as PNG. scale: 1 is 96 pixels an inch; dpi: pixels an inch; width: in pixels.

    Raises UsageError where the picture would have more than `MOST_PIXELS` at the size asked for.
    """
    text = svg.encode(diagram, paint).decode("utf-8")
    if dpi is None and width is None:
        return drawn(text, _said(text, scale))
    return drawn(text, asked(text, dpi, width))


def asked(text: str, dpi: float | None, width: int | None) -> float:
    """The scale at which SVG text has so many pixels an inch, or is so many pixels wide."""
    across, down = (x * PIXELS_A_POINT for x in size(text))
    # resvg rounds the size of the SVG to whole pixels first
    scale = dpi / INCH if dpi is not None else (width or 0) / int(across + 0.5)
    if scale * scale * across * down > MOST_PIXELS:
        most = (MOST_PIXELS / (across * down)) ** 0.5
        raise UsageError(
            f"the PNG would have {scale * across:.0f} × {scale * down:.0f} pixels, and at most "
            f"{MOST_PIXELS // 10**6} million are drawn: ask for at most {int(most * INCH)} dpi "
            f"or a width of {int(most * across)}, or write .svg or .pdf"
        )
    if min(across, down) * scale < 1:
        raise UsageError(f"the PNG would be {scale * across:.1f} × {scale * down:.1f} pixels small")
    return scale


def drawn(text: str, scale: float = SCALE) -> bytes:
    """SVG text, of the kind that `svg` writes, as PNG."""
    import resvg_py

    files = list(font_files())
    try:
        image = resvg_py.svg_to_bytes(
            svg_string=text,
            zoom=scale,
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


def _said(text: str, scale: float) -> float:
    """The scale that fits; where it is smaller, that is said."""
    found = fitting(text, scale)
    if found < scale:
        across, down = (x * PIXELS_A_POINT * found for x in size(text))
        warnings.warn(
            f"the PNG is drawn with {found * INCH:.0f} dots an inch instead of {scale * INCH:.0f},"
            f" as {across:.0f} × {down:.0f} pixels: .svg and .pdf are sharp at any size",
            stacklevel=2,
        )
    return found


def size(text: str) -> tuple[float, float]:
    """Width and height of SVG text, in points."""
    found = re.search(r'width="([\d.]+)pt"\s+height="([\d.]+)pt"', text)
    if found is None:
        raise EngineError("the SVG has no size in points")
    return float(found[1]), float(found[2])


def needs_system_fonts(text: str) -> bool:
    """Whether there are letters beyond those that Source Sans and DejaVu hold between them."""
    return any("\u0700" <= c <= "\u1cff" or c > "\u2dff" for c in text)

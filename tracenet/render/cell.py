"""What a notebook shows of a trace: the picture as HTML, as SVG, as PNG, and a summary in words.

A notebook asks for a bundle and takes the richest form that it can show. HTML comes first, since
only SVG inside a page shows the values under the mouse. PNG takes a while, and is made only when it
is asked for. IPython is not needed, and not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..diagram import Diagram
from ..errors import TracenetError
from . import png, story, svg
from .inline import inline
from .theme import Paint, paint

PLAIN, HTML, SVG, PNG = "text/plain", "text/html", "image/svg+xml", "image/png"
USUAL = (HTML, SVG)
PAPER = "border-radius:8px;padding:4px;text-align:center;overflow-x:auto"
"""The picture has its own paper, whatever the notebook's theme is."""


def bundle(
    summary: str,
    draw: Callable[[], Diagram],
    include: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    theme: str = "default",
    ground: str = "light",
) -> dict[str, Any]:
    """The forms of a picture by their MIME types; text alone where it cannot be drawn."""
    look = paint(theme, ground, "html")
    left_out = set(exclude or ())
    wanted = [mime for mime in (include or USUAL) if mime in WRITERS and mime not in left_out]
    found: dict[str, Any] = {}
    try:
        diagram = draw()
        summary = f"{summary}\n{story.short(diagram)}"
        found = {mime: WRITERS[mime](diagram, look) for mime in wanted}
    except TracenetError as error:
        summary = f"{summary}\nnot drawn: {error}"
    if PLAIN not in left_out:
        found[PLAIN] = summary
    return found


def _html(diagram: Diagram, look: Paint) -> str:
    paper = "transparent" if look.night else look.paper  # the SVG's own, where there are two
    return f'<div style="background:{paper};{PAPER}">{inline(diagram, look)}</div>'


def _svg(diagram: Diagram, look: Paint) -> str:
    return svg.encode(diagram, look).decode("utf-8")


def _png(diagram: Diagram, look: Paint) -> bytes:
    return png.encode(diagram, paint=look)


WRITERS: dict[str, Callable[[Diagram, Paint], Any]] = {HTML: _html, SVG: _svg, PNG: _png}


@dataclass(frozen=True)
class Cell:
    """A picture that a notebook shows where a cell ends in it: what `Trace.show` returns."""

    summary: str
    draw: Callable[[], Diagram]
    theme: str = "default"
    ground: str = "light"

    def __repr__(self) -> str:
        return self.summary

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return bundle(self.summary, self.draw, include, exclude, self.theme, self.ground)

"""What a notebook shows of a trace: the picture as HTML, as SVG, as PNG, and a summary in words.

A notebook asks for a bundle and takes the richest form that it can show. HTML comes first, since
only SVG inside a page shows the values under the mouse. PNG takes a while, and is made only when it
is asked for. IPython is not needed, and not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..diagram import Diagram
from ..errors import TracenetError
from . import png, svg
from .inline import inline

PLAIN, HTML, SVG, PNG = "text/plain", "text/html", "image/svg+xml", "image/png"
USUAL = (HTML, SVG)
PAPER = "background:#fff;border-radius:8px;padding:4px;text-align:center;overflow-x:auto"
"""The picture's own paper: its text is dark, whatever the notebook's theme is."""


def bundle(
    summary: str,
    draw: Callable[[], Diagram],
    include: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
) -> dict[str, Any]:
    """The forms of a picture by their MIME types; text alone where it cannot be drawn."""
    left_out = set(exclude or ())
    wanted = [mime for mime in (include or USUAL) if mime in WRITERS and mime not in left_out]
    found: dict[str, Any] = {}
    try:
        diagram = draw()
        summary = f"{summary}\n{svg.described(diagram)}"
        found = {mime: WRITERS[mime](diagram) for mime in wanted}
    except TracenetError as error:
        summary = f"{summary}\nnot drawn: {error}"
    if PLAIN not in left_out:
        found[PLAIN] = summary
    return found


def _html(diagram: Diagram) -> str:
    return f'<div style="{PAPER}">{inline(diagram)}</div>'


def _svg(diagram: Diagram) -> str:
    return svg.encode(diagram).decode("utf-8")


WRITERS: dict[str, Callable[[Diagram], Any]] = {HTML: _html, SVG: _svg, PNG: png.encode}

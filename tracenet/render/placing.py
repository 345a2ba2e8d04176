"""Who places a diagram: tracenet itself where it has rows, Graphviz where it is a free graph."""

from __future__ import annotations

import os

from ..diagram import Diagram
from ..errors import unknown
from .engine import CHOICE, CHOICES
from .placement import Placement

ROWS = "blocks"
"""The view whose boxes stand in rows and columns; others may have any shape."""


def placed(diagram: Diagram) -> Placement:
    """Where everything of a diagram lies. TRACENET_ENGINE (pygraphviz, dot) forces Graphviz."""
    choice = os.environ.get(CHOICE, "")
    if choice not in CHOICES:
        raise unknown(CHOICE, choice, CHOICES[1:])
    if is_own(diagram):
        from .place import placed
    else:
        from .xdot import placed
    return placed(diagram)


def is_own(diagram: Diagram) -> bool:
    """Whether tracenet places a diagram itself."""
    return diagram.view == ROWS and os.environ.get(CHOICE, "") in ("", "none")

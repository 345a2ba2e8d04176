"""Who places a diagram: tracenet itself where it has rows, Graphviz where it is a free graph."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from ..diagram import Diagram
from ..errors import unknown
from .engine import CHOICE, CHOICES
from .placement import Placement

ROWS = ("blocks", "network", "cache")
"""The views whose boxes stand in rows and columns; others may have any shape."""


def placed(diagram: Diagram) -> Placement:
    """Where everything of a diagram lies. TRACENET_ENGINE (pygraphviz, dot) forces Graphviz."""
    bare = replace(diagram, legend=False)
    found = _placed(bare)
    if diagram.legend:
        from .legend import under

        found = under(found, diagram)
    return found


def _placed(diagram: Diagram) -> Placement:
    choice = os.environ.get(CHOICE, "")
    if choice not in CHOICES:
        raise unknown(CHOICE, choice, CHOICES[1:])
    if is_own(diagram) and diagram.view == "circuit":
        from .circuit import placed
    elif is_own(diagram):
        from .place import placed
    else:
        from .xdot import placed
    return placed(diagram)


def is_own(diagram: Diagram) -> bool:
    """Whether tracenet places a diagram itself."""
    return diagram.view in (*ROWS, "circuit") and os.environ.get(CHOICE, "") in ("", "none")


@contextmanager
def no_search_for_cycles() -> Iterator[None]:
    """Leaves garbage to reference counts for a while.

    A large picture is a great many small objects and no cycle among them; Python would look for
    cycles again and again while they are made, which takes as long as the drawing itself.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()

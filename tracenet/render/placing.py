"""Who places a diagram: tracenet itself, or Graphviz where that is asked for and comes to an end."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace

from ..diagram import Diagram
from ..errors import unknown
from .engine import CHOICE, CHOICES, GaveUp
from .placement import Placement


def placed(diagram: Diagram) -> Placement:
    """Where everything of a diagram lies. TRACENET_ENGINE (pygraphviz, dot) asks for Graphviz."""
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
    if choice in ("pygraphviz", "dot"):
        try:
            from .xdot import placed

            return placed(diagram)
        except GaveUp as error:
            warnings.warn(
                f"{error}: tracenet placed this picture itself; write .dot to give Graphviz more time",
                stacklevel=2,
            )
    return own(diagram)


def own(diagram: Diagram) -> Placement:
    """tracenet's own placement."""
    if diagram.view == "circuit":
        from .circuit import placed
    else:
        from .place import placed
    return placed(diagram)

"""Nodes and edges while a picture is collected, and how arrays are shown in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from . import notation
from .diagram import (
    Diagram,
    Edge,
    Node,
    Run,
    Shown,
)
from .errors import UsageError, unknown
from .figures import shown
from .formulas import Formulas
from .images import image, is_image
from .trace import Trace

VALUES = ("full", "summary", "heatmap", "histogram", "shapes", "none")
CELLS = 6
"""Arrays in a box; further ones are counted."""


def checked(values: str, digits: int) -> None:
    """Raises UsageError for options that mean nothing."""
    if values not in VALUES:
        raise unknown("amount of values", values, VALUES)
    if not 1 <= digits <= 17:
        raise UsageError(f"digits must be from 1 to 17, got {digits}")


class Drawing:
    """Nodes and edges while they are collected, and how arrays are shown in them."""

    def __init__(self, trace: Trace, values: str, digits: int) -> None:
        self.trace = trace
        self.mode = values
        self.digits = digits
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.formulas = Formulas(trace)
        self._arrays: dict[tuple[int, str | None, int], Shown] = {}

    def node(self, kind: str, lane: int, column: int, name: str, **fields: Any) -> str:
        id = f"n{len(self.nodes)}"
        self.nodes.append(Node(id, kind, lane, column, name, **fields))
        return id

    def edge(self, tail: str, head: str, kind: str, shown: Iterable[Shown] = ()) -> None:
        self.edges.append(Edge(f"e{len(self.edges)}", tail, head, kind, tuple(shown)))

    def array(self, id: int, name: str | None = None, digits: int = 0) -> Shown:
        """A value as it is drawn: in many places, and found out once."""
        key = id, name, digits or self.digits
        if key not in self._arrays:
            self._arrays[key] = self._array(*key)
        return self._arrays[key]

    def _array(self, id: int, name: str | None, digits: int) -> Shown:
        value = self.trace.values[id]
        data = self.trace.found(id)
        state = {"constant": "constant", "random": "random"}.get(value.role, "")
        text = self.formulas.label(id) if name is None else notation.text(name)
        found = shown(text, value.key, data, values=self.mode, digits=digits, state=state)
        if value.role == "input" and found.heat and is_image(data):
            return replace(found, heat=(), image=image(found.data))  # type: ignore[arg-type]
        return found

    def arrays(self, ids: Iterable[int]) -> tuple[Shown, ...]:
        """Several values; past a limit they are counted instead."""
        ids = list(ids)
        found = tuple(self.array(id) for id in ids[:CELLS])
        if len(ids) > CELLS:
            found += (Shown(name=(Run(f"+{len(ids) - CELLS} more"),)),)
        return found

    def path(self, block: int) -> str:
        return "/".join(b.name for b in self.trace.around(block))

    def done(self, view: str) -> Diagram:
        title = self.trace.title + (" (failed)" if self.trace.failed else "")
        return Diagram(title, view, tuple(self.nodes), tuple(self.edges))

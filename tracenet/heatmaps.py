"""One scale of colours for all heatmaps of a kind: a weight twice as large is twice as dark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .diagram import Diagram, Edge, Node, Shown

KINDS = {
    "input": "input",
    "parameter": "parameter",
    "update": "parameter",
    "gradient": "gradient of a parameter",
    "backward": "gradient",
    "cache": "kept",
}
"""What the arrays in a kind of box are; those in others, and along arrows of data, are values."""
ENDS = ("input", "parameter", "gradient")
"""Boxes that say what an array is wherever else it is drawn."""

BLANK = 1000
"""An array so many times as large as the median of its kind keeps a scale of its own."""


def together(diagram: Diagram) -> Diagram:
    """The diagram with the heatmaps of each kind on one scale, that of the largest of them.

    Parameters, their gradients, inputs, other values, and gradients of those are a kind each, and
    so is what is in caches alone. Another array in a cache is of the kind that it is of elsewhere. An array
    beyond all others of its kind, as a mask of -1e9, stays on its own.
    """
    kinds = dict(_kinds(diagram))
    found: dict[str, list[float]] = {}
    parts: tuple[Node | Edge, ...] = (*diagram.nodes, *diagram.edges)
    for part in parts:
        for item in part.shown:
            if any(x for row in item.heat for x in row):  # zeros are the same on every scale
                kind = _kind(item, part, kinds)
                found.setdefault(kind, []).append(item.scale)
    if not found:
        return diagram
    scales = {kind: _common(several) for kind, several in found.items()}

    def scaled(part: Node | Edge) -> tuple[Shown, ...]:
        return tuple(
            _on(item, scales.get(_kind(item, part, kinds), item.scale)) if item.heat else item
            for item in part.shown
        )

    nodes = tuple(replace(node, shown=scaled(node)) for node in diagram.nodes)
    edges = tuple(replace(edge, shown=scaled(edge)) for edge in diagram.edges)
    return replace(diagram, nodes=nodes, edges=edges)


def _common(scales: list[float]) -> float:
    """The largest scale, but for those so large that all other heatmaps would be blank.

    A causal mask of -1e9 is a value among the others.
    """
    middle = sorted(scales)[(len(scales) - 1) // 2]
    return max(scale for scale in scales if scale <= BLANK * middle)


def _kinds(diagram: Diagram) -> Iterator[tuple[str, str]]:
    """The kind of each array by its key, as far as a box that is there for it says so."""
    for node in diagram.nodes:
        if node.kind in ENDS:
            yield from ((item.key, KINDS[node.kind]) for item in node.shown)
    known = {item.key for node in diagram.nodes if node.kind in ENDS for item in node.shown}
    for edge in diagram.edges:
        kind = "gradient" if edge.kind == "gradient" else "value"
        yield from ((item.key, kind) for item in edge.shown if item.key not in known)


def _kind(item: Shown, part: Node | Edge, kinds: dict[str, str]) -> str:
    found = kinds.get(item.key)
    if found is None and isinstance(part, Edge):
        return "gradient" if part.kind == "gradient" else "value"
    return found or KINDS.get(part.kind, "value")


def _on(item: Shown, scale: float) -> Shown:
    """A heatmap on a larger scale; one beyond it stays on its own."""
    if item.scale > scale:
        return item
    share = item.scale / scale
    heat = tuple(tuple(None if x is None else x * share for x in row) for row in item.heat)
    return replace(item, heat=heat, scale=scale)

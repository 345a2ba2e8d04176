"""The order in which a picture is revealed: that of the run, forwards and then back."""

from __future__ import annotations

from collections.abc import Mapping

from ..diagram import Diagram, Node

BACK = ("backward",)
AFTER = ("update",)
BESIDE = ("input", "parameter", "cache", "gradient")
"""Boxes that appear together with the block which they belong to."""


def order(diagram: Diagram) -> dict[str, int]:
    """For each box, arrow and frame the step, from 1, at which it appears.

    Blocks of the forward pass come from the left to the right, those of the backward pass from the
    right to the left, and then the update; blocks in one column and one pass come together.
    """
    blocks = [node for node in diagram.nodes if node.kind not in BESIDE]
    turns = {turn: i for i, turn in enumerate(sorted({_turn(node) for node in blocks}), 1)}
    steps = {node.id: turns[_turn(node)] for node in blocks}
    steps |= _beside(diagram, steps)
    for edge in diagram.edges:
        steps[edge.id] = max(steps[edge.tail], steps[edge.head])
    for frame in diagram.frames:
        steps[frame.id] = min((steps[id] for id in frame.nodes if id in steps), default=1)
    return steps


def _turn(node: Node) -> tuple[int, int]:
    """When a block runs: in which pass, and where in it."""
    if node.kind in AFTER:
        return 2, 0
    return (1, -node.column) if node.kind in BACK else (0, node.column)


def _beside(diagram: Diagram, steps: Mapping[str, int]) -> dict[str, int]:
    """Boxes beside blocks: with the block that makes them; if there is none, with the first that
    reads them."""
    makers: dict[str, list[int]] = {}
    readers: dict[str, list[int]] = {}
    for edge in diagram.edges:
        if edge.tail in steps:
            makers.setdefault(edge.head, []).append(steps[edge.tail])
        if edge.head in steps:
            readers.setdefault(edge.tail, []).append(steps[edge.head])
    others = [node.id for node in diagram.nodes if node.kind in BESIDE]
    return {id: min(makers.get(id) or readers.get(id) or [1]) for id in others}
